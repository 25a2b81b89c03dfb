//! What holds for every text.

use cask_containerfile::{
    Dialect, Escape, ExpandOptions, ParseOptions, Span, Tree, expand, expand_words, parse,
    parse_with,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Pieces of which interesting files are made.
const PIECES: &[&str] = &[
    "FROM ",
    "RUN ",
    "COPY ",
    "ADD ",
    "ENV ",
    "ONBUILD ",
    "ARG ",
    "HEALTHCHECK ",
    "CMD ",
    "LABEL ",
    "a",
    "b=c",
    "\"",
    "'",
    "\\",
    "`",
    "\n",
    "\r\n",
    " ",
    "\t",
    "#",
    "# x\n",
    "# escape=`\n",
    "<<EOF",
    "<<-\"EOF\"",
    "EOF\n",
    "EOF",
    "--mount=type=cache,target=/x ",
    "--from=a ",
    "--",
    "[\"x\", ",
    "\"y\"]",
    "[",
    "]",
    "${",
    "}",
    "$x",
    ":-",
    "/",
    "//",
    "*",
    "ä",
    "\u{feff}",
    "\u{a0}",
    "AS ",
    "=",
    "\u{85}",
    "\0",
    "EXPOSE 80/TCP",
    "syntax=docker/dockerfile:1",
    "# check=skip=all\n",
    "#%",
    "\\\n",
];

fn file() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(PIECES);
    prop_oneof![vec(piece, 0..40).prop_map(|pieces| pieces.concat()), any::<String>()]
}

/// Items and tokens follow each other without a gap.
fn assert_lossless(tree: &Tree) {
    let mut at = 0;
    for item in tree.items() {
        assert_eq!(item.span().start(), at);
        at = item.span().end();
    }
    assert_eq!(at, tree.source().len());
    at = 0;
    for token in tree.tokens() {
        assert_eq!(token.span.start(), at, "{token:?}");
        assert!(!token.span.is_empty());
        at = token.span.end();
    }
    assert_eq!(at, tree.source().len());
    assert_eq!(tree.print(), tree.source());
}

fn assert_within(tree: &Tree, span: Span) {
    assert!(tree.source().get(span.range()).is_some(), "{span:?} of {:?}", tree.source());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn every_text_is_printed_again(source in file()) {
        for dialect in [Dialect::BuildKit, Dialect::Buildah] {
            let mut options = ParseOptions::default();
            options.dialect = dialect;
            let parsed = parse_with(&source, &options);
            assert_lossless(&parsed.tree);
            for diagnostic in &parsed.diagnostics {
                assert_within(&parsed.tree, diagnostic.span);
            }
            for statement in parsed.tree.statements() {
                assert_within(&parsed.tree, statement.head());
                for word in statement.words() {
                    assert_within(&parsed.tree, word.span);
                }
            }
        }
    }

    #[test]
    fn a_word_on_one_line_is_where_its_span_says(source in file()) {
        let parsed = parse(&source);
        for statement in parsed.tree.statements().filter(|s| !s.is_json()) {
            for word in statement.words() {
                let text = parsed.tree.text(word.span);
                let is_one_line = !text.contains('\n');
                prop_assert!(!is_one_line || text.starts_with(word.as_str()), "{text:?} {word:?}");
            }
        }
    }

    #[test]
    fn words_are_expanded_or_refused(word in file()) {
        let variables = [("x", "a/b.c"), ("a", "")];
        for (dialect, escape) in [
            (Dialect::BuildKit, Escape::Backslash),
            (Dialect::BuildKit, Escape::Backtick),
            (Dialect::Buildah, Escape::Backslash),
        ] {
            let mut options = ExpandOptions::default();
            (options.dialect, options.escape) = (dialect, escape);
            match expand(&word, &variables[..], &options) {
                Ok(expansion) => {
                    for found in &expansion.uses {
                        prop_assert_eq!(&word[found.range.clone()], found.name.as_str());
                    }
                    prop_assert!(expand_words(&word, &variables[..], &options).is_ok());
                }
                Err(error) => prop_assert!(word.is_char_boundary(error.offset)),
            }
        }
    }
}

#[test]
fn hostile_texts_end() {
    let many = |piece: &str| piece.repeat(200_000 / piece.len());
    let files = [
        many("${x:-"),
        many("ONBUILD "),
        many("x\n"),
        many("RUN <<E\n"),
        many("RUN a <<E "),
        many("FROM a\\\n"),
        many("#\n"),
        many("RUN [\"a\", "),
        many("ENV a=\""),
        format!("FROM a\n{}", many("COPY --from=0 --chown=a ")),
        format!("FROM a\nRUN --mount={}", many("target=/x,")),
    ];
    for file in files {
        let parsed = parse(&file);
        assert_lossless(&parsed.tree);
    }
    let options = ExpandOptions::default();
    let long = "a".repeat(100_000);
    let variables = [("x", long.as_str())];
    for word in
        [many("${x:-"), many("$x"), format!("${{x//{}/}}", many("a*")), "${x//*b/c}".to_owned()]
    {
        let _ = expand(&word, &variables[..], &options);
    }
}

/// What a file means: everything but how it is written.
fn meaning(tree: &Tree) -> Vec<String> {
    let statements = tree.statements().map(|statement| {
        let flags: Vec<&str> = statement.flags().iter().map(|flag| flag.text.as_str()).collect();
        let mut words: Vec<String> = statement.words().iter().map(|w| w.text.to_string()).collect();
        if statement.is("FROM") && words.len() == 3 {
            words[1] = words[1].to_uppercase();
        }
        let bodies: Vec<(&str, &str)> =
            statement.heredocs().iter().map(|h| (h.name.as_str(), h.text.as_str())).collect();
        let trigger = match &statement.arguments {
            cask_containerfile::Arguments::Trigger(trigger) => trigger.text(),
            _ => "",
        };
        let keyword = statement.keyword().to_ascii_uppercase();
        let is_known = statement.instruction().is_some();
        format!("{keyword} {flags:?} {words:?} {bodies:?} {trigger:?} {is_known}")
    });
    let directives = tree.directives().map(|d| format!("{:?} {:?}", d.key, d.value));
    directives.chain(statements).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn formatting_keeps_the_meaning(source in file()) {
        let before = parse(&source).tree;
        let text = cask_containerfile::format(&before);
        let after = parse(&text).tree;
        prop_assert_eq!(meaning(&before), meaning(&after), "{:?} to {:?}", source, text);
        prop_assert_eq!(cask_containerfile::format(&after), text);
    }

    #[test]
    fn cve_2024_23650_lints_and_renderers_take_every_text(source in file()) {
        let parsed = parse(&source);
        let options = cask_containerfile::LintOptions::default();
        let report = cask_containerfile::lint(&parsed.tree, &options);
        let mut all = parsed.diagnostics.clone();
        all.extend(report.diagnostics);
        for diagnostic in &all {
            assert_within(&parsed.tree, diagnostic.span);
        }
        let file = cask_containerfile::RenderedFile { name: "x", source: &source, diagnostics: &all };
        let _ = cask_containerfile::render_text(&file);
        let json = cask_containerfile::render_json(&[file]);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
        let sarif = cask_containerfile::render_sarif(&[file], "t", "1");
        prop_assert!(serde_json::from_str::<serde_json::Value>(&sarif).is_ok());
        let graph = cask_containerfile::Graph::new(&parsed.tree.stages(), |s| s.from.image.text.to_string());
        let _ = (graph.to_dot(None), graph.to_mermaid(Some(0)));
    }

    #[test]
    fn ignore_files_take_every_text(text in file(), path in file()) {
        if let Ok(ignore) = cask_containerfile::IgnoreFile::parse(&text) {
            let decision = ignore.decide(&path);
            prop_assert!(decision.rule.is_none_or(|rule| rule < ignore.rules().len()));
        }
    }
}

/// The inputs that the fuzz targets keep, of which each was new to them in some way.
fn corpus(target: &str) -> Vec<String> {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(folder).expect("the corpus is in the repository");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.expect("an entry of the corpus").path();
        String::from_utf8_lossy(&std::fs::read(path).expect("a file of the corpus")).into_owned()
    };
    entries.map(read).collect()
}

#[test]
fn the_kept_corpus_is_taken_as_the_fuzz_targets_want_it() {
    let files = corpus("parse");
    assert_eq!(files.len(), 102);
    for source in files {
        let tree = parse(&source).tree;
        assert_lossless(&tree);
        let _ = cask_containerfile::lint(&tree, &cask_containerfile::LintOptions::default());
        let formatted = cask_containerfile::format(&tree);
        let again = cask_containerfile::format(&parse(&formatted).tree);
        assert_eq!(again, formatted, "{source:?}");
    }
    let words = corpus("expand");
    assert_eq!(words.len(), 52);
    for word in words {
        for dialect in [Dialect::BuildKit, Dialect::Buildah] {
            let mut options = ExpandOptions::default();
            options.dialect = dialect;
            let variables = [("a", "x/y.z"), ("b", "")];
            let whole = expand(&word, &variables[..], &options);
            let several = expand_words(&word, &variables[..], &options);
            assert_eq!(whole.is_ok(), several.is_ok(), "{word:?}");
        }
    }
    let rules = corpus("ignore");
    assert_eq!(rules.len(), 41);
    for text in rules {
        if let Ok(file) = cask_containerfile::IgnoreFile::parse(&text) {
            let decision = file.decide("a/b.c");
            assert!(decision.rule.is_none_or(|rule| rule < file.rules().len()), "{text:?}");
        }
    }
}

#[test]
fn heredocs_of_many_names_take_linear_time() {
    let words: String = (0..20_000).map(|number| format!("<<E{number:05} ")).collect();
    let excludes: String = (0..20_000).map(|number| format!("--exclude=a{number:05} ")).collect();
    for source in [format!("FROM a\nCOPY {words}/\n"), format!("FROM a\nCOPY {excludes}a b\n")] {
        let parsed = parse(&source);
        assert_eq!(parsed.tree.print(), source);
    }
}

/// A matcher that tries again from every place takes hours here.
#[test]
fn patterns_of_variables_and_of_ignored_files_take_linear_time() {
    let long = "a".repeat(1 << 15);
    let variables = [("v", long.as_str())];
    let options = ExpandOptions::default();
    for pattern in ["*a*a*a*a*a*a*b", "a*a*a*b", "?????b", "*b"] {
        for word in [format!("${{v//{pattern}/x}}"), format!("${{v/{pattern}/x}}")] {
            assert!(expand(&word, &variables[..], &options).unwrap().text == long, "{word}");
        }
        for word in [format!("${{v##{pattern}}}"), format!("${{v%%{pattern}}}")] {
            assert!(expand(&word, &variables[..], &options).unwrap().text == long, "{word}");
        }
    }
    let path = format!("{}/{}", "a".repeat(2000), "a/".repeat(1000) + "c");
    for rule in ["**/*a*a*a*a*a*b", "*a*a*a*/**/**/**/**/b", &"**/a/".repeat(300)] {
        let file = cask_containerfile::IgnoreFile::parse(rule).unwrap();
        let _ = file.decide(&path);
    }
    let rules: String = (0..10_000).map(|number| format!("*a*{number}\n")).collect();
    let file = cask_containerfile::IgnoreFile::parse(&rules).unwrap();
    assert!(file.decide("b/c").rule.is_none());
}
