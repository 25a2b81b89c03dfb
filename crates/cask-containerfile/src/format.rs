//! Files in one style, with the same meaning.

use crate::edit::{Edit, apply};
use crate::instruction::Instruction;
use crate::parse::{DIRECTIVE_BLANKS, key_and_value};
use crate::span::Span;
use crate::statement::{Arguments, Statement, Token, TokenKind};
use crate::tree::{Item, Tree};

/// Formats a file. The result has the same meaning, and formatted again it stays as it is.
///
/// - Keywords are in upper case, or in lower case where most of the file's are; AS as its FROM.
/// - Instructions and comments begin at the first column, outside of an instruction that goes over
///   several lines.
/// - One blank separates a keyword, flags and words on a line.
/// - Nothing stands behind the last character of a line.
/// - Empty lines inside of instructions, and at the beginning and the end of the file, are gone;
///   several of them between instructions become one.
/// - The file ends with a line end.
///
/// Everything else stays, byte for byte: the text of commands with its line breaks and its
/// indentation, heredocs, quotes, line ends, and an instruction with an error in it.
#[must_use]
pub fn format(tree: &Tree) -> String {
    apply(tree.source(), &format_edits(tree)).unwrap_or_else(|| tree.source().to_owned())
}

/// The changes that [`format()`] makes, in the order of the file; none where it is formatted.
#[must_use]
pub fn format_edits(tree: &Tree) -> Vec<Edit> {
    let mut formatting = Formatting { tree, edits: Vec::new(), is_lower: is_lower(tree) };
    formatting.empty_lines();
    for item in tree.items() {
        match item {
            Item::Statement(statement) if statement.instruction().is_some() => {
                formatting.statement(statement);
            }
            Item::Comment(span) => formatting.comment(span),
            Item::Directive(directive) => formatting.comment(directive.span),
            _ => {}
        }
    }
    formatting.end();
    let mut edits = formatting.edits;
    edits.retain(|edit| tree.text(edit.span) != edit.text);
    edits.sort_by_key(|edit| (edit.span.start(), edit.span.end()));
    edits
}

/// Whether more keywords are in lower case than in upper case.
fn is_lower(tree: &Tree) -> bool {
    let words = tree.statements().filter(|s| s.instruction().is_some()).map(|s| s.keyword());
    let (mut lower, mut upper) = (0, 0);
    for word in words {
        lower += usize::from(word == word.to_lowercase());
        upper += usize::from(word == word.to_uppercase());
    }
    lower > upper
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ' || byte == b'\t')
}

struct Formatting<'a> {
    tree: &'a Tree,
    edits: Vec<Edit>,
    is_lower: bool,
}

impl Formatting<'_> {
    fn replace(&mut self, span: Span, text: impl Into<String>) {
        self.edits.push(Edit::new(span, text));
    }

    fn cased(&self, word: &str) -> String {
        if self.is_lower { word.to_ascii_lowercase() } else { word.to_ascii_uppercase() }
    }

    /// Without indentation, and without blanks at its end.
    fn comment(&mut self, span: Span) {
        let text = self.tree.text(span);
        let end = line_end(text);
        // Other white space at the end may belong to what a directive says.
        let text = text[..text.len() - end.len()].trim_start().trim_end_matches(DIRECTIVE_BLANKS);
        self.replace(span, format!("{text}{end}"));
    }

    /// Runs of empty lines between instructions.
    fn empty_lines(&mut self) {
        let items: Vec<Item<'_>> = self.tree.items().collect();
        let begins = |index: usize| {
            items[..index]
                .iter()
                .all(|item| matches!(item, Item::ByteOrderMark(_) | Item::EmptyLine(_)))
        };
        let mut index = 0;
        while index < items.len() {
            let run = items[index..].iter().take_while(|i| matches!(i, Item::EmptyLine(_))).count();
            if run == 0 {
                index += 1;
                continue;
            }
            let next = items.get(index + run);
            let is_needed = next.is_some_and(|item| self.is_special_at_the_start(item));
            let is_first = index <= 1 && begins(index);
            let keep = usize::from(next.is_some() && (!is_first || is_needed));
            for (position, item) in items[index..index + run].iter().enumerate() {
                let text = self.tree.text(item.span());
                let kept = if position < keep { line_end(text) } else { "" };
                self.replace(item.span(), kept);
            }
            index += run;
        }
    }

    /// Whether an item would be another without the empty line before it: a comment that could be
    /// a directive, and a character that could be the byte order mark.
    fn is_special_at_the_start(&self, item: &Item<'_>) -> bool {
        let text = self.tree.text(item.span()).trim();
        match item {
            Item::Comment(_) => key_and_value(text.strip_prefix('#').unwrap_or(text)).is_some(),
            _ => text.starts_with('\u{feff}'),
        }
    }

    fn statement(&mut self, statement: &Statement) {
        let keyword = self.cased(statement.keyword());
        self.replace(statement.keyword_span(), keyword);
        if let (Some(Instruction::From(_)), [_, keyword, _]) =
            (statement.instruction(), statement.words().as_slice())
        {
            let text = self.cased(&keyword.text);
            self.replace(keyword.span, text);
        }
        let is_trigger = matches!(statement.arguments, Arguments::Trigger(_));
        let tokens = statement.tokens();
        for (index, token) in tokens.iter().enumerate() {
            let text = self.tree.text(token.span);
            match token.kind {
                TokenKind::Blank => {
                    let before = index.checked_sub(1).map(|at| tokens[at]);
                    self.blank(*token, before, tokens.get(index + 1), is_trigger);
                }
                TokenKind::Continuation => {
                    let escape = statement.escape.char();
                    self.replace(token.span, format!("{escape}{}", line_end(text)));
                }
                TokenKind::Comment => {
                    let end = line_end(text);
                    let kept = text[..text.len() - end.len()].trim_end();
                    self.replace(token.span, format!("{kept}{end}"));
                }
                TokenKind::EmptyLine => self.replace(token.span, ""),
                _ => {}
            }
        }
    }

    /// What is between two words, at the beginning or at the end of a line.
    fn blank(
        &mut self,
        token: Token,
        before: Option<Token>,
        after: Option<&Token>,
        is_trigger: bool,
    ) {
        let text = self.tree.text(token.span);
        let is_word =
            |kind| matches!(kind, TokenKind::Keyword | TokenKind::Flag | TokenKind::Argument);
        let after = after.map(|token| token.kind);
        match before.map(|token| token.kind) {
            // The indentation.
            None => self.replace(token.span, ""),
            _ if is_blank(text) && matches!(after, None | Some(TokenKind::LineEnd)) => {
                self.replace(token.span, "");
            }
            // Of a trigger, the text is stored in the image.
            Some(TokenKind::Argument | TokenKind::Flag) if is_trigger => {}
            Some(TokenKind::Keyword)
                if is_trigger && before.is_some_and(|b| b.span.start() != self.first(token)) => {}
            Some(kind) if is_word(kind) && is_blank(text) && after.is_some_and(is_word) => {
                self.replace(token.span, " ");
            }
            // Before the bracket of a JSON array.
            Some(TokenKind::Keyword) if text.starts_with([' ', '\t']) && !is_blank(text) => {
                let rest = text.trim_start_matches([' ', '\t']);
                let span = Span::new(token.span.start(), token.span.end() - rest.len());
                self.replace(span, " ");
            }
            _ => {}
        }
    }

    /// Where the keyword of the statement begins that a token belongs to.
    fn first(&self, token: Token) -> usize {
        self.tree
            .statement_at(token.span.start())
            .map_or(0, |statement| statement.keyword_span().start())
    }

    /// The end of the last line.
    fn end(&mut self) {
        let source = self.tree.source();
        let last = self.tree.items().rev().find(|item| !matches!(item, Item::EmptyLine(_)));
        let (Some(item), false) = (last, source.ends_with('\n')) else { return };
        if let Item::Statement(statement) = item {
            // An open heredoc would become longer.
            // An empty line goes, and a line end is before it.
            let is_open = statement.tokens().last().is_some_and(|token| {
                matches!(token.kind, TokenKind::HeredocBody | TokenKind::EmptyLine)
            });
            if statement.instruction().is_none() || is_open {
                return;
            }
        }
        if matches!(item, Item::ByteOrderMark(_)) || item.span().end() != source.len() {
            return;
        }
        // An edit of the last line may be there already.
        match self
            .edits
            .iter_mut()
            .find(|edit| edit.span.end() == source.len() && !edit.text.is_empty())
        {
            Some(edit) => edit.text.push('\n'),
            None => self.replace(Span::new(source.len(), source.len()), "\n"),
        }
    }
}

/// The end of a line: all `\r` and `\n` at its end.
fn line_end(text: &str) -> &str {
    &text[text.trim_end_matches(['\r', '\n']).len()..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    fn check(source: &str, expected: &str) {
        let found = format(&parse(source).tree);
        assert_eq!(found, expected, "{source:?}");
        assert_eq!(format(&parse(expected).tree), expected, "again: {expected:?}");
    }

    #[test]
    fn keywords_have_one_case() {
        check("From a as b\nRUN c\n", "FROM a AS b\nRUN c\n");
        check("from a AS b\nrun c\nCOPY d e\n", "from a as b\nrun c\ncopy d e\n");
        check("FROM a\nonbuild run  b\n", "FROM a\nONBUILD run  b\n");
    }

    #[test]
    fn blanks_are_one() {
        check(
            "FROM   a\tAS  b  \n  COPY --from=x   --link  c   d\n",
            "FROM a AS b\nCOPY --from=x --link c d\n",
        );
        check("FROM a\nRUN   echo  'x  y'  \n", "FROM a\nRUN echo  'x  y'\n");
        check(
            "FROM a\nENV  a=\"b  c\"   d=e\nENV  f   g  h\n",
            "FROM a\nENV a=\"b  c\" d=e\nENV f g  h\n",
        );
        check("FROM a\nCMD   [\"b\",  \"c\"]\n", "FROM a\nCMD [\"b\",  \"c\"]\n");
        check(
            "FROM a\nHEALTHCHECK  --retries=3   CMD   b  c\n",
            "FROM a\nHEALTHCHECK --retries=3 CMD b  c\n",
        );
        check("  # c  \nFROM a\n", "# c\nFROM a\n");
    }

    #[test]
    fn empty_lines_are_few() {
        check("\n\nFROM a\n\n\n\nRUN b\n\n\n", "FROM a\n\nRUN b\n");
        check("FROM a\nRUN b \\ \n\n   c\n", "FROM a\nRUN b \\\n   c\n");
        check("FROM a\r\n\r\n\r\nRUN b\r\n", "FROM a\r\n\r\nRUN b\r\n");
        check("", "");
        check("\n \n", "");
        check("FROM a", "FROM a\n");
        check("FROM a\n#  b  ", "FROM a\n#  b\n");
        check("FROM a\nRUN b \\  ", "FROM a\nRUN b \\\n");
        check("FROM a\nRUN b \\\n# c\n ", "FROM a\nRUN b \\\n# c\n");
    }

    #[test]
    fn a_comment_does_not_become_a_directive() {
        check("\n\n# escape=`\nFROM a\n", "\n# escape=`\nFROM a\n");
        check("\n# note\nFROM a\n", "# note\nFROM a\n");
        // No escape is a backtick with a vertical tab: this is an error, and stays one.
        check("# escape=`\u{b}\nFROM a\n", "# escape=`\u{b}\nFROM a\n");
    }

    #[test]
    fn what_has_a_meaning_stays() {
        check(
            "FROM a\nRUN <<EOF\n  x  \n\n\n  y\nEOF\n",
            "FROM a\nRUN <<EOF\n  x  \n\n\n  y\nEOF\n",
        );
        check("FROM a\n  cpoy  b   c  \nRUN d\n", "FROM a\n  cpoy  b   c  \nRUN d\n");
        check("FROM a\nRUN <<EOF\nx", "FROM a\nRUN <<EOF\nx");
        check("FROM a\nRUN b \\\n    # c  \n      d\n", "FROM a\nRUN b \\\n    # c\n      d\n");
    }
}
