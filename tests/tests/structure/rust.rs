//! A Rust file as a row of tokens with line numbers: comments are gone, strings cannot be mistaken for code, and it
//! is known which tokens are compiled for tests only.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// One token. Groups are flattened to their brackets.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// An identifier or a literal as written, or one character of punctuation. `->` is two tokens.
    pub(crate) text: String,
    /// From 1.
    pub(crate) line: usize,
    /// Below a `#[cfg(test)]`.
    pub(crate) test: bool,
}

/// A file in tokens.
pub(crate) struct Rust {
    pub(crate) tokens: Vec<Token>,
    /// The line of the first test module at the top level of the file.
    pub(crate) tests_begin: Option<usize>,
    /// Names of the modules that stand in files of their own and are compiled for tests only.
    pub(crate) test_modules: Vec<String>,
    /// The line of the first thing at the top level that is neither a module, nor a `use`, nor an attribute.
    pub(crate) defines: Option<usize>,
}

impl Rust {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// Where the text is not a sequence of Rust tokens; says at which line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let stream: TokenStream = text.parse().map_err(|error: proc_macro2::LexError| {
            format!("{}: {error}", error.span().start().line)
        })?;
        let mut rust =
            Self { tokens: Vec::new(), tests_begin: None, test_modules: Vec::new(), defines: None };
        rust.defines = first_definition(stream.clone());
        rust.flatten(stream, false, true);
        Ok(rust)
    }

    /// Lines at which the words of `pattern` (separated by spaces) follow one another, with whether that is test code.
    pub(crate) fn find(&self, pattern: &str) -> Vec<Token> {
        let words: Vec<&str> = pattern.split(' ').collect();
        let fits = |row: &[Token]| row.iter().zip(&words).all(|(token, word)| token.text == *word);
        self.tokens.windows(words.len()).filter(|row| fits(row)).map(|row| row[0].clone()).collect()
    }

    fn flatten(&mut self, stream: TokenStream, test: bool, top: bool) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        while at < trees.len() {
            let end = if test {
                at
            } else {
                test_item_end(&trees[at..]).map_or(at, |length| at + length)
            };
            if end > at {
                self.note_test_module(&trees[at..end], top);
                trees[at..end].iter().for_each(|tree| self.push(tree.clone(), true));
                at = end;
            } else {
                self.push(trees[at].clone(), test);
                at += 1;
            }
        }
    }

    fn push(&mut self, tree: TokenTree, test: bool) {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = brackets(group.delimiter());
                self.tokens.push(Token { text: open.to_owned(), line, test });
                self.flatten(group.stream(), test, false);
                let line = group.span_close().start().line;
                self.tokens.push(Token { text: close.to_owned(), line, test });
            }
            other => self.tokens.push(Token { text: other.to_string(), line, test }),
        }
    }

    fn note_test_module(&mut self, item: &[TokenTree], top: bool) {
        let words: Vec<String> = item.iter().map(ToString::to_string).collect();
        let Some(module) = words.iter().position(|word| word == "mod") else { return };
        if top && self.tests_begin.is_none() {
            self.tests_begin = Some(item[0].span().start().line);
        }
        if words.last().is_some_and(|last| last == ";") {
            self.test_modules.extend(words.get(module + 1).cloned());
        }
    }
}

fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

fn is(tree: Option<&TokenTree>, character: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

fn word(tree: Option<&TokenTree>) -> Option<String> {
    match tree {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    }
}

/// How many tokens the attribute at the start takes: 0 where there is none.
fn attribute_length(trees: &[TokenTree]) -> usize {
    if !is(trees.first(), '#') {
        return 0;
    }
    let inner = usize::from(is(trees.get(1), '!'));
    usize::from(matches!(trees.get(1 + inner), Some(TokenTree::Group(_)))) * (2 + inner)
}

fn is_test_attribute(trees: &[TokenTree]) -> bool {
    let text: String = trees.iter().map(ToString::to_string).collect();
    let text: String = text.split_whitespace().collect();
    text.starts_with("#[cfg(test)]") || text.starts_with("#[cfg(all(test,")
}

/// How many tokens the item at the start takes, where its first attribute says that it is for tests.
fn test_item_end(trees: &[TokenTree]) -> Option<usize> {
    let attribute = attribute_length(trees);
    if attribute == 0 || !is_test_attribute(&trees[..attribute]) {
        return None;
    }
    let ends = |tree: &TokenTree| match tree {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';' && punct.spacing() == Spacing::Alone,
        _ => false,
    };
    Some(trees.iter().position(ends).map_or(trees.len(), |last| last + 1))
}

/// The line of the first thing that is neither an attribute, a `use` or `extern crate`, nor a module of such things.
fn first_definition(stream: TokenStream) -> Option<usize> {
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    let mut rest = trees.as_slice();
    while let Some(first) = rest.first() {
        let line = first.span().start().line;
        let attribute = attribute_length(rest);
        if attribute > 0 {
            rest = &rest[attribute..];
            continue;
        }
        if word(rest.first()).as_deref() == Some("pub") {
            let scope = matches!(rest.get(1), Some(TokenTree::Group(_)));
            rest = &rest[1 + usize::from(scope)..];
        }
        match (word(rest.first()).as_deref(), rest.get(2)) {
            (Some("mod"), Some(TokenTree::Group(body))) => {
                if let Some(line) = first_definition(body.stream()) {
                    return Some(line);
                }
                rest = &rest[3..];
            }
            (Some("mod" | "use" | "extern"), _) => match rest.iter().position(|t| is(Some(t), ';'))
            {
                Some(end) if !rest[..end].iter().any(is_code) => rest = &rest[end + 1..],
                _ => return Some(line),
            },
            _ => return Some(line),
        }
    }
    None
}

/// Whether a token cannot stand in a declaration: `extern "C" { … }` and `extern fn` are code.
fn is_code(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Literal(_)) || word(Some(tree)).as_deref() == Some("fn")
}

#[test]
fn declarations_are_told_from_definitions() {
    fn check(text: &str, first_definition: Option<usize>) {
        assert_eq!(Rust::parse(text).unwrap().defines, first_definition, "{text}");
    }
    check("//! Page.\n#![doc = \"x\"]\nmod a;\npub mod b;\npub use a::{B, c::*};", None);
    check("pub(crate) mod a;\nextern crate alloc;\n/// Doc.\n#[cfg(unix)]\nmod b;", None);
    check("pub mod prelude {\n pub use crate::A;\n}", None);
    check("mod a;\npub fn b() {}", Some(2));
    check("mod a {\n fn b() {}\n}", Some(2));
    check("mod a;\n#[cfg(test)]\nmod tests {\n #[test]\n fn b() {}\n}", Some(5));
    check("extern \"C\" { fn f(); }\nuse a::b;", Some(1));
    check("macro_rules! m { () => {} }", Some(1));
}

#[test]
fn code_for_tests_is_marked() {
    fn check(text: &str, tests_begin: Option<usize>, word_in_test: bool) {
        let rust = Rust::parse(text).unwrap();
        assert_eq!(rust.tests_begin, tests_begin, "{text}");
        assert_eq!(rust.find("word")[0].test, word_in_test, "{text}");
    }
    check("fn word() {}", None, false);
    check("// #[cfg(test)]\nfn word() {}", None, false);
    check("fn a() {}\n#[cfg(test)]\nmod tests { fn word() {} }", Some(2), true);
    check("#[cfg(test)]\n#[path = \"x.rs\"]\nmod tests;\nfn word() {}", Some(1), false);
    check("#[cfg(test)]\nuse a::b;\nfn word() {}", None, false);
    check("#[cfg(test)]\nfn word() {}", None, true);
    check("#[cfg(all(test, unix))]\nmod tests { fn word() {} }", Some(1), true);
    check("#[cfg(any(test, feature = \"x\"))]\nfn word() {}", None, false);
    assert_eq!(Rust::parse("#[cfg(test)]\nmod cases;").unwrap().test_modules, ["cases"]);
}
