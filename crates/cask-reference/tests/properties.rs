//! What holds for every text.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use std::fmt::Debug;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use cask_reference::{
    AnyReference, Digest, LiteralReference, Pattern, Reference, ReferenceError, ReferenceErrorKind,
    Repository, Tag, sort_by_information,
};
use proptest::prelude::*;
use regex_lite::Regex;

/// Texts that are close to references, so that they get past the first byte.
fn reference_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => "[a-zA-Z0-9]{1,3}",
        4 => "[.:/@_-]",
        1 => Just("[::1]".to_owned()),
        1 => Just("docker.io/".to_owned()),
        1 => Just("index.docker.io/".to_owned()),
        1 => Just("library/".to_owned()),
        1 => Just("localhost/".to_owned()),
        1 => Just("__".to_owned()),
        1 => Just("@sha256:".to_owned()),
        1 => Just("0123456789abcdef".repeat(2)),
        1 => Just("0123456789abcdef".repeat(4)),
        1 => Just("@sha384:".to_owned() + &"0123456789abcdef".repeat(6)),
        1 => Just("a".repeat(120)),
        1 => any::<char>().prop_map(String::from),
        // Characters whose lower case is ASCII.
        1 => prop_oneof![Just("\u{212a}".to_owned()), Just("\u{130}".to_owned())],
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

/// References by the grammar.
fn reference() -> impl Strategy<Value = String> {
    let component = "[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,3}){0,2}";
    let host = "([a-zA-Z0-9]([a-zA-Z0-9-]{0,3}[a-zA-Z0-9])?\\.){0,2}[a-zA-Z0-9]{1,3}";
    let domain = prop_oneof![
        4 => host.prop_map(|host| host + "/"),
        2 => (host, "[0-9]{1,6}").prop_map(|(host, port)| format!("{host}:{port}/")),
        1 => "\\[[0-9a-fA-F:]{1,9}\\](:[0-9]{1,5})?/",
        1 => Just("docker.io/".to_owned()),
        1 => Just("docker.io/library/".to_owned()),
        1 => Just("localhost/".to_owned()),
        4 => Just(String::new()),
    ];
    let path = prop::collection::vec(component, 1..4).prop_map(|path| path.join("/"));
    let tag = prop_oneof![Just(String::new()), ":[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,9}"];
    let digest = prop_oneof![
        2 => Just(String::new()),
        1 => "@sha256:[0-9a-f]{64}",
        1 => "@sha512:[0-9a-f]{128}",
    ];
    (domain, path, tag, digest)
        .prop_map(|(domain, path, tag, digest)| domain + &path + &tag + &digest)
}

/// References with something wrong here or there, or not quite.
fn edited_reference() -> impl Strategy<Value = String> {
    let edit = prop_oneof![
        2 => "[A_./:@\\[\\]-]",
        1 => "[a0:~ é]",
        1 => "_{1,3}|-{1,2}|:[0-9]|:[a-z]/",
        1 => "-\\.|-/|-:|\\[\\]/",
        1 => Just(String::new()),
    ];
    let end = prop_oneof![
        6 => Just(String::new()),
        1 => ":[a-z]{126,130}",
        1 => "@[a-z][.+]?[a-z0-9][a-z]:[0-9a-fA-F]{31,33}",
    ];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), edit), 0..3);
    (reference(), edits, end).prop_map(|(mut text, edits, end)| {
        for (index, replaces, edit) in edits {
            // The digits of a digest are many, and dull.
            let places = text.char_indices().map(|(at, _)| at).take(24).collect::<Vec<_>>();
            let at = *index.get(&places);
            let end = if replaces { text.ceil_char_boundary(at + 1) } else { at };
            text.replace_range(at..end, &edit);
            if text.is_empty() {
                break;
            }
        }
        text + &end
    })
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => reference_like(),
        1 => reference(),
        4 => edited_reference(),
        1 => any::<String>()
    ]
}

/// Whether the text is a reference as written, by the regular expressions of the Go package.
fn is_reference_by_go(text: &str) -> Option<[String; 4]> {
    static WHOLE: LazyLock<Regex> = LazyLock::new(|| {
        let label = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
        let host = format!(r"(?:{label}(?:\.{label})*|\[(?:[a-fA-F0-9:]+)\])");
        let component = "[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*";
        let name = format!("(?:({host}(?::[0-9]+)?)/)?({component}(?:/{component})*)");
        let tag = r"[0-9A-Za-z_][0-9A-Za-z_.-]*";
        let digest = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*[:][0-9A-Fa-f]{32,}";
        Regex::new(&format!(r"\A{name}(?::({tag}))?(?:@({digest}))?\z")).unwrap()
    });
    let found = WHOLE.captures(text)?;
    let parts = [1, 2, 3, 4].map(|n| found.get(n).map_or("", |part| part.as_str()).to_owned());
    // A repetition of 128 would make the expression slow.
    (parts[2].len() <= 128).then_some(parts)
}

/// Checks what an error promises.
fn check_error(error: &ReferenceError, input: &str) {
    assert_eq!(error.input(), input);
    assert!(input.is_char_boundary(error.offset()), "{error:?}");
    assert!(!error.expected().is_empty());
    assert!(error.to_string().len() < 600);
}

/// Checks that a value prints as what parses to it.
fn check_round_trip<T: FromStr<Err: Debug> + ToString + Debug + PartialEq>(value: &T) {
    assert_eq!(value.to_string().parse::<T>().unwrap(), *value);
}

/// Failures are for whoever sees them to turn into cases of a table, not for a file.
fn config() -> ProptestConfig {
    ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_grammar_is_that_of_the_regular_expressions(text in any_text()) {
        let expected = is_reference_by_go(&text);
        match LiteralReference::parse(&text) {
            Ok(found) => {
                let [domain, path, tag, digest] = expected.expect("not a reference");
                prop_assert_eq!(found.domain().unwrap_or_default(), domain);
                prop_assert_eq!(found.path(), path);
                prop_assert_eq!(found.tag().map_or("", Tag::as_str), tag);
                prop_assert_eq!(found.digest().map_or("", Digest::as_str), digest);
                prop_assert_eq!(found.to_string(), text);
            }
            Err(error) => {
                let by_grammar = matches!(
                    error.kind(),
                    ReferenceErrorKind::Empty
                        | ReferenceErrorKind::InvalidFormat
                        | ReferenceErrorKind::NotLowercase
                );
                prop_assert_eq!(expected.is_none(), by_grammar, "{:?}", error);
                check_error(&error, &text);
            }
        }
    }

    #[test]
    fn what_stands_before_an_error_can_start_a_reference(text in any_text()) {
        let Err(error) = LiteralReference::parse(&text) else { return Ok(()) };
        let before = &text[..error.offset()];
        match error.kind() {
            ReferenceErrorKind::InvalidFormat => {
                let digits = "0".repeat(32);
                let ends = ["", "a", "/a", "0/a", "]/a", "0]/a", &digits, &format!(":{digits}")];
                let completed = ends.iter().any(|end| {
                    let whole = format!("{before}{end}");
                    is_reference_by_go(&whole).is_some()
                        || is_reference_by_go(&format!("{before}a{end}")).is_some()
                });
                prop_assert!(completed, "{:?}", error);
            }
            ReferenceErrorKind::NotLowercase => {
                let there = text[error.offset()..].chars().next().unwrap();
                prop_assert!(there.to_lowercase().next() != Some(there), "{:?}", error);
            }
            _ => {}
        }
    }

    #[test]
    fn whatever_parses_prints_as_what_parses_to_it(text in any_text()) {
        match Reference::parse_normalized(&text) {
            Ok(reference) => {
                check_round_trip(&reference);
                check_round_trip(reference.repository());
                prop_assert!(!reference.domain().is_empty() && !reference.path().is_empty());
                prop_assert_eq!(
                    format!("{}/{}", reference.domain(), reference.path()),
                    reference.name()
                );
                let repository = reference.repository().clone();
                prop_assert_eq!(
                    Repository::new(repository.domain(), repository.path()),
                    Ok(repository)
                );
            }
            Err(error) => check_error(&error, &text),
        }
        if let Ok(reference) = LiteralReference::parse(&text) {
            check_round_trip(&reference);
        }
        if let Ok(tag) = text.parse::<Tag>() {
            check_round_trip(&tag);
        }
        if let Ok(digest) = text.parse::<Digest>() {
            check_round_trip(&digest);
        }
    }

    #[test]
    fn what_people_are_shown_names_the_same(text in any_text()) {
        if let Ok(reference) = Reference::parse_normalized(&text) {
            match Reference::parse_normalized(&reference.familiar()) {
                Ok(again) => prop_assert_eq!(again, reference),
                Err(error) => prop_assert_eq!(error.kind(), ReferenceErrorKind::Identifier),
            }
        }
    }

    #[test]
    fn a_short_name_is_one_whose_domain_is_filled_in(text in reference()) {
        let written = LiteralReference::parse(&text).unwrap();
        if let Ok(normalized) = written.normalize() {
            let is_named = written.domain() == Some(normalized.domain())
                || text.starts_with("index.docker.io/");
            prop_assert_eq!(written.is_short_name(), !is_named);
            if !is_named {
                let qualified = written.qualify("quay.io").unwrap();
                prop_assert_eq!(qualified.to_string(), format!("quay.io/{text}"));
            }
        }
    }

    #[test]
    fn a_reference_has_one_of_tag_and_digest_where_one_is_wanted(text in any_text()) {
        if let Ok(reference) = Reference::parse_docker_ref(&text) {
            prop_assert!(reference.tag().is_some() != reference.digest().is_some());
            prop_assert_eq!(reference.policy_identity(), Some(reference.to_string()));
            prop_assert!(reference.selector().is_some());
            prop_assert_eq!(reference.clone().tag_or_digest_only(), reference);
        }
    }

    #[test]
    fn sorting_keeps_every_reference(texts in prop::collection::vec(any_text(), 0..6)) {
        let sorted = sort_by_information(&texts);
        prop_assert_eq!(sorted.len(), texts.len());
        prop_assert_eq!(&sort_by_information(&sorted), &sorted);
    }

    #[test]
    fn order_agrees_with_sorting(left in any_text(), right in any_text()) {
        let parsed = (AnyReference::parse(&left), AnyReference::parse(&right));
        if let (Ok(left), Ok(right)) = parsed {
            let in_order = left.cmp_by_information(&right).is_le();
            let texts = [left.to_string(), right.to_string()];
            prop_assert_eq!(sort_by_information(&texts) == texts, in_order);
        }
    }

    #[test]
    fn no_pattern_makes_matching_fail(pattern in "[ab*?^\\\\\\[\\]-]{0,12}", text in "[ab/]{0,8}") {
        match pattern.parse::<Pattern>() {
            Ok(pattern) => {
                pattern.matches(&text);
            }
            Err(error) => prop_assert!(error.offset() <= pattern.len()),
        }
    }

    #[test]
    fn a_pattern_is_a_regular_expression(
        atoms in prop::collection::vec(prop::sample::select(ATOMS), 0..8),
        text in "[ab/*]{0,8}",
    ) {
        let pattern: String = atoms.iter().map(|(atom, _)| *atom).collect();
        let regex: String = atoms.iter().map(|(_, regex)| *regex).collect();
        let regex = Regex::new(&format!(r"\A{regex}\z")).unwrap();
        let pattern: Pattern = pattern.parse().unwrap();
        prop_assert_eq!(pattern.matches(&text), regex.is_match(&text));
    }
}

/// Pieces of patterns, and what they are as regular expressions.
const ATOMS: &[(&str, &str)] = &[
    ("*", "[^/]*"),
    ("?", "[^/]"),
    ("a", "a"),
    ("b", "b"),
    ("/", "/"),
    ("[ab]", "[ab]"),
    ("[^a/]", "[^a/]"),
    ("[a-b*]", "[a-b*]"),
    ("\\*", r"\*"),
];

/// Each takes a few milliseconds; if the time grew with the square of the length, a minute.
#[test]
fn hostile_texts_take_linear_time() {
    let start = Instant::now();
    for piece in
        ["a", "a/", "a.", "a-", "-", "__", ".", ":", "@", "[", "[:", "A", "É", "a:1/", "a+", "*a"]
    {
        for (prefix, suffix) in
            [("", ""), ("", "/a"), ("a:", ""), ("a@", ""), ("a.b/", ""), ("[", "]/a"), ("", "/A")]
        {
            let text = format!("{prefix}{}{suffix}", piece.repeat((1 << 16) / piece.len()));
            let _ = LiteralReference::parse(&text);
            let _ = AnyReference::parse(&text);
            let _ = text.parse::<Digest>();
        }
    }
    assert!(start.elapsed() < Duration::from_secs(120), "{:?}", start.elapsed());
}
