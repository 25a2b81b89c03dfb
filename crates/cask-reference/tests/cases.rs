//! The tables of cases from the field.
//!
//! They are read from the folder that `CASK_CASES` names. Where it is unset, the tests fail if
//! `CI` is set and pass otherwise.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use cask_reference::{
    AnyReference, Digest, DigestErrorKind, LiteralReference, Pattern, Reference,
    ReferenceErrorKind, Repository, Tag, sort_by_information,
};
use serde_json::Value;

/// Reads a table, or `None` where there are none.
fn table(name: &str) -> Option<Value> {
    cask_cases::document(name)
}

fn rows(table: &Value) -> &[Value] {
    table.as_array().unwrap()
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_else(|| panic!("no {key} in {row}"))
}

/// What one function made of an input, in the words of the tables.
fn outcome(fields: Result<Vec<(&str, String)>, String>) -> Value {
    match fields {
        Ok(fields) => fields.into_iter().map(|(key, text)| (key, Value::from(text))).collect(),
        Err(error) => Value::from_iter([("error", error)]),
    }
}

fn with_optional<'a>(
    mut fields: Vec<(&'a str, String)>,
    tag: Option<&Tag>,
    digest: Option<&Digest>,
) -> Vec<(&'a str, String)> {
    fields.extend(tag.map(|tag| ("tag", tag.to_string())));
    fields.extend(digest.map(|digest| ("digest", digest.to_string())));
    fields
}

fn strict(input: &str) -> Value {
    outcome(LiteralReference::parse(input).map_err(|error| error.to_string()).map(|found| {
        let familiar = found.to_string().replacen(found.name(), found.familiar_name(), 1);
        let fields = vec![
            ("domain", found.domain().unwrap_or_default().into()),
            ("path", found.path().into()),
            ("name", found.name().into()),
            ("familiar_name", found.familiar_name().into()),
            ("familiar_string", familiar),
            ("string", found.to_string()),
        ];
        with_optional(fields, found.tag(), found.digest())
    }))
}

fn named_fields(found: &Reference) -> Vec<(&'static str, String)> {
    let fields = vec![
        ("domain", found.domain().into()),
        ("path", found.path().into()),
        ("name", found.name().into()),
        ("familiar_name", found.repository().familiar().into()),
        ("familiar_string", found.familiar()),
        ("string", found.to_string()),
    ];
    with_optional(fields, found.tag(), found.digest())
}

fn normalized(input: &str) -> Value {
    outcome(Reference::parse_normalized(input).map_err(|error| error.to_string()).map(|found| {
        let mut fields = named_fields(&found);
        fields.push(("tag_name_only_string", found.with_default_tag().to_string()));
        fields
    }))
}

fn any(input: &str) -> Value {
    outcome(AnyReference::parse(input).map_err(|error| error.to_string()).map(
        |found| match found {
            AnyReference::Named(reference) => named_fields(&reference),
            AnyReference::Digest(digest) => {
                vec![("string", digest.to_string()), ("digest", digest.to_string())]
            }
        },
    ))
}

fn docker_ref(input: &str) -> Value {
    let found = Reference::parse_docker_ref(input).map_err(|error| error.to_string());
    outcome(found.map(|found| vec![("string", found.to_string())]))
}

#[test]
fn every_reference_is_parsed_as_by_go() {
    let Some(table) = table("reference-parse.json") else { return };
    let cases = rows(&table["cases"]);
    let mut with_sha512 = 0;
    for case in cases {
        let input = text(case, "input");
        let expected = match &case["with_sha512_registered"] {
            Value::Null => case,
            other => {
                with_sha512 += 1;
                other
            }
        };
        assert_eq!(strict(input), expected["strict"], "{input:?}");
        assert_eq!(normalized(input), expected["normalized"], "{input:?}");
        assert_eq!(any(input), expected["any"], "{input:?}");
        assert_eq!(docker_ref(input), expected["docker_ref"], "{input:?}");
    }
    assert_eq!((cases.len(), with_sha512), (288, 1));
}

#[test]
fn patterns_match_as_in_go() {
    let Some(table) = table("reference-misc.json") else { return };
    let cases = rows(&table["familiar_match"]);
    assert_eq!(cases.len(), 9);
    for case in cases {
        let pattern: Pattern = text(case, "pattern").parse().unwrap();
        let reference = AnyReference::parse(text(case, "reference")).unwrap();
        assert_eq!(Value::from(reference.familiar_matches(&pattern)), case["expected"], "{case}");
    }
}

#[test]
fn references_are_sorted_as_in_go() {
    let Some(table) = table("reference-misc.json") else { return };
    let cases = rows(&table["sorting"]);
    assert_eq!(cases.len(), 5);
    for case in cases {
        let unsorted: Vec<&str> = rows(&case["unsorted"]).iter().map(text_of).collect();
        assert_eq!(Value::from(sort_by_information(&unsorted)), case["expected"]);
    }
}

#[test]
fn domains_are_those_of_go() {
    let Some(table) = table("reference-misc.json") else { return };
    let cases = rows(&table["domain_regexp"]);
    assert_eq!(cases.len(), 30);
    for case in cases {
        let input = text(case, "input");
        let found = LiteralReference::parse(&format!("{input}/x"));
        let is_domain = found.is_ok_and(|found| found.domain() == Some(input));
        assert_eq!(Value::from(is_domain), case["match"], "{input:?}");
    }
}

#[test]
fn names_are_those_of_go() {
    let Some(table) = table("reference-misc.json") else { return };
    let cases = rows(&table["full_name_regexp"]);
    assert_eq!(cases.len(), 63);
    for case in cases {
        let input = text(case, "input");
        let found = LiteralReference::parse(input).ok().filter(|found| found.name() == input);
        assert_eq!(Value::from(found.is_some()), case["match"], "{input:?}");
        if let (Some(found), Value::Array(subs)) = (found, &case["subs"]) {
            assert_eq!(*subs, [found.domain().unwrap_or_default(), found.path()], "{input:?}");
        }
    }
}

#[test]
fn references_are_cut_as_in_go() {
    let Some(table) = table("reference-misc.json") else { return };
    let cases = rows(&table["reference_regexp"]);
    assert_eq!(cases.len(), 12);
    for case in cases {
        let input = text(case, "input");
        let found = LiteralReference::parse(input).ok();
        assert_eq!(Value::from(found.is_some()), case["match"], "{input:?}");
        if let (Some(found), Value::Array(subs)) = (found, &case["subs"]) {
            let tag = found.tag().map_or("", Tag::as_str);
            let digest = found.digest().map_or("", Digest::as_str);
            assert_eq!(*subs, [found.name(), tag, digest], "{input:?}");
        }
    }
}

#[test]
fn identifiers_are_those_of_go() {
    let Some(table) = table("reference-misc.json") else { return };
    let cases = rows(&table["identifier_regexp"]);
    assert_eq!(cases.len(), 5);
    for case in cases {
        let found = Reference::parse_normalized(text(case, "input"));
        let is_id = found.is_err_and(|error| error.kind() == ReferenceErrorKind::Identifier);
        assert_eq!(Value::from(is_id), case["match"], "{case}");
    }
}

/// Five rows have a digest of 37 digits, which the Go package prints, and refuses to parse. Here it
/// is no [`Digest`], and so the rows are tested with a whole one.
#[test]
fn tags_and_digests_are_attached_as_in_go() {
    let Some(table) = table("reference-misc.json") else { return };
    let whole = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let mut short_digests = 0;
    for (section, count) in [("with_tag", 5), ("with_digest", 4)] {
        let cases = rows(&table[section]);
        assert_eq!(cases.len(), count);
        for case in cases {
            let mut found = Reference::parse_normalized(text(case, "name")).unwrap();
            let mut expected = text(case, "combined").to_owned();
            let (tag, digest) = (text(case, "tag"), text(case, "digest"));
            if !tag.is_empty() {
                found = found.with_tag(tag.parse().unwrap());
            }
            if !digest.is_empty() {
                short_digests += 1;
                let error = digest.parse::<Digest>().unwrap_err();
                assert_eq!(error.kind(), DigestErrorKind::InvalidLength);
                let error = Reference::parse_normalized(&expected).unwrap_err();
                assert_eq!(error.to_string(), "invalid checksum digest length");
                expected = expected.replace(digest, whole);
                found = found.with_digest(whole.parse().unwrap());
            }
            assert_eq!(found.familiar(), expected, "{case}");
        }
    }
    assert_eq!(short_digests, 5);
}

#[test]
fn policy_names_are_those_of_containers_image() {
    let Some(table) = table("transport-names.json") else { return };
    let rows = |name: &str| {
        let name = format!("image/docker/policyconfiguration TestDockerReference:{name}");
        table["tables"][&name]["rows"].clone()
    };
    let (names, suffixes) = (rows("literal"), rows("literal#2"));
    let (names, suffixes) = (names.as_object().unwrap(), suffixes.as_object().unwrap());
    assert_eq!((names.len(), suffixes.len()), (12, 2));
    for (name, namespaces) in names {
        let repository = Repository::parse_normalized(name).unwrap();
        assert_eq!(Value::from(repository.policy_namespaces()), *namespaces, "{name}");
        assert_eq!(Reference::from(repository).policy_identity(), None, "{name}");
        for (suffix, in_identity) in suffixes {
            let reference = Reference::parse_normalized(&format!("{name}{suffix}")).unwrap();
            let identity = format!("{}{}", text_of(&namespaces[0]), text_of(in_identity));
            assert_eq!(reference.policy_identity(), Some(identity));
        }
    }
    // The same lists once more, as the test makes them while it runs.
    let lists: Vec<Value> = std::iter::once(rows("expectedNS"))
        .chain((2..=8).map(|n| rows(&format!("expectedNS#{n}"))))
        .collect();
    for list in lists {
        let repository = Repository::parse_normalized(text_of(&list[0])).unwrap();
        assert_eq!(Value::from(repository.policy_namespaces()), list);
    }
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// What follows a transport's prefix is a reference in some rows of the transports' tables.
#[test]
fn references_in_transport_names_are_those_of_containers_image() {
    let mut tested = Vec::new();
    for (file, name, prefix) in [
        ("docker-transport.json", "docker TestNewReference:validReference", ""),
        ("transport-names.json", "docker/daemon TestNewReference:validNamedReference", ""),
        (
            "transport-names.json",
            "docker/archive TestReferenceDockerReference:validReference",
            "/path:",
        ),
        ("transport-names.json", "storage TestStorageReferenceDockerReference:validReference", ""),
    ] {
        let Some(table) = table(file) else { return };
        let references: Vec<(Reference, &Value)> =
            rows(&table["tables"][format!("image/{name}TestCases")]["rows"])
                .iter()
                // The others have an ID, an index, or nothing, in place of a reference or after it.
                .filter_map(|row| {
                    let input = text(row, "input").strip_prefix(prefix)?;
                    Some((Reference::parse_normalized(input).ok()?.with_default_tag(), row))
                })
                .collect();
        tested.push(references.len());
        for (reference, row) in references {
            assert_eq!(reference.to_string(), text(row, "dockerRef"));
            if name.starts_with("docker/daemon") {
                assert_eq!(reference.familiar(), text(row, "stringWithinTransport"));
            }
            if let Value::Array(namespaces) = &row["namespaces"] {
                check_storage_namespaces(&reference, namespaces);
            }
        }
    }
    assert_eq!(tested, [4, 4, 3, 4]);
}

/// Storage has no wildcards, and puts the tagged name first where there is a digest too.
fn check_storage_namespaces(reference: &Reference, expected: &[Value]) {
    let tagged = reference.clone().without_digest().to_string();
    let has_both = reference.tag().is_some() && reference.digest().is_some();
    let found = has_both.then_some(tagged.as_str());
    let found: Vec<&str> = found.into_iter().chain(reference.repository().ancestors()).collect();
    assert_eq!(expected, found, "{reference}");
}

/// A registry is asked for the digest or the tag.
#[test]
fn selectors_are_those_of_containers_image() {
    let Some(table) = table("docker-transport.json") else { return };
    let cases = &table["tables"]["image/docker TestReferenceTagOrDigest:literal"]["rows"];
    let cases = cases.as_object().unwrap();
    assert_eq!(cases.len(), 2);
    for (input, expected) in cases {
        let input = input.strip_prefix("//").unwrap();
        let reference = Reference::parse_normalized(input).unwrap();
        assert_eq!(reference.selector(), expected.as_str());
    }
}
