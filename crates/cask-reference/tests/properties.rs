//! What holds for every text.

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

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![2 => reference_like(), 2 => reference(), 1 => any::<String>()]
}

/// Whether the text is a reference as written, by the regular expressions of the Go package.
fn is_reference_by_go(text: &str) -> Option<[String; 4]> {
    static WHOLE: LazyLock<Regex> = LazyLock::new(|| {
        let label = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
        let host = format!(r"(?:{label}(?:\.{label})*|\[(?:[a-fA-F0-9:]+)\])");
        let component = "[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*";
        let name = format!("(?:({host}(?::[0-9]+)?)/)?({component}(?:/{component})*)");
        let tag = r"[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}";
        let digest = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*[:][0-9A-Fa-f]{32,}";
        Regex::new(&format!(r"\A{name}(?::({tag}))?(?:@({digest}))?\z")).unwrap()
    });
    let found = WHOLE.captures(text)?;
    Some([1, 2, 3, 4].map(|n| found.get(n).map_or("", |part| part.as_str()).to_owned()))
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
    assert_eq!(value.to_string().parse::<T>().as_ref(), Ok(value).as_ref().map_err(|()| ()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

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
    fn an_error_shows_how_far_a_text_is_good(text in any_text()) {
        if let Err(error) = LiteralReference::parse(&text)
            && error.kind() == ReferenceErrorKind::InvalidFormat
            && !text.contains("//")
        {
            // Cut there, the error comes no later; so nothing before it was the cause.
            if let Err(earlier) = LiteralReference::parse(&text[..error.offset()]) {
                prop_assert!(earlier.offset() <= error.offset());
            }
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
        }
        let qualified = written.qualify("quay.io").unwrap();
        prop_assert_eq!(qualified.to_string(), format!("quay.io/{text}"));
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
    fn no_pattern_makes_matching_fail(pattern in "[]ab*?^\\\\[-]{0,12}", text in "[ab/]{0,8}") {
        match pattern.parse::<Pattern>() {
            Ok(pattern) => {
                pattern.matches(&text);
            }
            Err(error) => prop_assert!(error.offset() <= pattern.len()),
        }
    }

    #[test]
    fn a_text_matches_itself_and_a_star(text in "[ab☺:]{0,8}") {
        prop_assert!(text.parse::<Pattern>().unwrap().matches(&text));
        prop_assert!("*".parse::<Pattern>().unwrap().matches(&text));
        let spread: String = text.chars().flat_map(|c| ['*', c]).collect();
        prop_assert!(spread.parse::<Pattern>().unwrap().matches(&text));
    }
}

/// A megabyte takes milliseconds; if the time grew with the square of the length, hours.
#[test]
fn hostile_texts_take_linear_time() {
    let start = Instant::now();
    for piece in
        ["a", "a/", "a.", "a-", "-", "__", ".", ":", "@", "[", "[:", "A", "É", "a:1/", "a+", "*a"]
    {
        for (prefix, suffix) in
            [("", ""), ("", "/a"), ("a:", ""), ("a@", ""), ("a.b/", ""), ("[", "]/a"), ("", "/A")]
        {
            let text = format!("{prefix}{}{suffix}", piece.repeat((1 << 20) / piece.len()));
            let _ = LiteralReference::parse(&text);
            let _ = AnyReference::parse(&text);
            let _ = text.parse::<Digest>();
        }
    }
    assert!(start.elapsed() < Duration::from_secs(120), "{:?}", start.elapsed());
}
