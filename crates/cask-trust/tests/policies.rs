//! Policies as a program meets them.

use std::path::PathBuf;

use cask_trust::{
    ErrorKind, KeySource, MAX_POLICY_BYTES, Policy, PolicyErrorKind, Requirement, Scope,
    UnparsedImage,
};
use proptest::prelude::*;

/// The folder of cases, or `None` where there is none and nobody promised one.
fn cases() -> Option<PathBuf> {
    cask_cases::folder("the policy of containers/image")
}

fn docker(identity: &str, namespaces: &[&str]) -> Scope<'static> {
    Scope::new("docker", identity, namespaces.iter().map(ToString::to_string))
}

#[test]
fn one_transport_is_accepted_whatever_the_policy_says_of_it() {
    let text = br#"{"default":[{"type":"reject"}],"transports":{"dir":{"":[{"type":"reject"}]}}}"#;
    let policy = Policy::parse(text, "p").unwrap().danger_accepting("dir");
    assert!(policy.accepts_unsigned(&Scope::new("dir", "/a", [])));
    assert!(!policy.accepts_unsigned(&Scope::new("oci", "/a", [])));
}

#[test]
fn the_upstream_fixture_parses_and_matches_by_scope() {
    let Some(folder) = cases() else { return };
    let text = std::fs::read(folder.join("fixtures/policy/policy.json")).unwrap();
    let policy = Policy::parse(&text, "policy.json").unwrap();
    let mut scopes = 0;
    policy
        .validate_scopes(|transport, _| {
            scopes += 1;
            if transport == "docker" { Ok(()) } else { Err("no scopes here") }
        })
        .unwrap();
    assert_eq!(scopes, 14);

    let check = |scope: &Scope<'_>, matched: &str, types: &[&str]| {
        let found = policy.requirements_for(scope);
        assert_eq!(found.to_string(), matched);
        let found: Vec<_> = found.requirements().iter().map(Requirement::type_name).collect();
        assert_eq!(found, types);
    };
    check(&Scope::new("oci", "/a", []), "default", &["reject"]);
    check(&Scope::new("dir", "/a", []), r#"transports.dir[""]"#, &["insecureAcceptAnything"]);
    check(
        &docker("example.com/hardened:1", &["example.com/hardened", "example.com", "*.com"]),
        r#"transports.docker["example.com/hardened"]"#,
        &["signedBy", "signedBy", "signedBaseLayer"],
    );
    check(
        &docker("a.redhat.com/x:1", &["a.redhat.com/x", "a.redhat.com", "*.redhat.com", "*.com"]),
        r#"transports.docker["*.redhat.com"]"#,
        &["signedBy"],
    );
    check(&docker("example.net/x:1", &["example.net/x", "example.net"]), "default", &["reject"]);
    let sigstore = docker("example.com/sigstore/key-data-example", &[]);
    check(
        &sigstore,
        r#"transports.docker["example.com/sigstore/key-data-example"]"#,
        &["sigstoreSigned"],
    );
    assert!(!policy.accepts_unsigned(&sigstore));
}

#[test]
fn errors_tell_the_place() {
    #[track_caller]
    fn check(text: &str, kind: PolicyErrorKind, path: &str, place: (u32, u32), message: &str) {
        let error = Policy::parse(text.as_bytes(), "e.json").unwrap_err();
        assert_eq!(error.message(), message);
        assert_eq!(error.kind(), kind);
        assert_eq!(error.path(), path);
        assert_eq!((error.line(), error.column()), place);
        let lines: usize =
            text.split_inclusive('\n').take(place.0 as usize - 1).map(str::len).sum();
        assert_eq!(error.offset(), lines + place.1 as usize - 1);
    }
    check(
        "{\"default\": [{\"type\": \"reject\"}],\n  \"x\": 1}",
        PolicyErrorKind::UnknownKey,
        "",
        (2, 3),
        r#"Unknown key "x"; known here: default, transports"#,
    );
    check(
        "{\n \"Default\": [{\"type\": \"reject\"}]}",
        PolicyErrorKind::UnknownKey,
        "",
        (2, 2),
        r#"Unknown key "Default"; did you mean "default"?"#,
    );
    check(
        "{\"default\": [{\"type\": \"reject\"}], \"transports\": {\n\"docker\": {\n\
         \"a.b/c\": [\n {\"type\": \"reject\"},\n {\"type\": \"signedBy\", \"keyType\": \"GPGKeys\",\n\
         \"keyPath\": 7}]}}}",
        PolicyErrorKind::WrongType,
        r#"transports.docker["a.b/c"][1].keyPath"#,
        (6, 12),
        "cannot unmarshal number into a string",
    );
    check(
        "{\"default\": [{\"type\": \"reject\"}], \"transports\": {\"dir\": {\n\"/a\": 1,\n\"/a\": 1}}}",
        PolicyErrorKind::DuplicateKey,
        "transports.dir",
        (3, 1),
        r#"Duplicate key "/a""#,
    );
    check("{", PolicyErrorKind::Syntax, "", (1, 2), "unexpected end of JSON input");
    check(
        "\n{}",
        PolicyErrorKind::KeyCombination,
        "",
        (2, 1),
        r#"Default policy is missing; add "default": [{"type": "reject"}] or another"#,
    );
    check(
        r#"{"default": [{"type": "allow"}]}"#,
        PolicyErrorKind::InvalidValue,
        "default[0]",
        (1, 14),
        "Unknown policy requirement type \"allow\"; known are insecureAcceptAnything, reject, \
         signedBy, sigstoreSigned and signedBaseLayer",
    );
}

#[test]
fn a_text_of_more_than_the_limit_is_refused() {
    let mut text = br#"{"default": [{"type": "reject"}]}"#.to_vec();
    text.resize(MAX_POLICY_BYTES, b' ');
    assert!(Policy::parse(&text, "policy.json").is_ok());
    text.push(b' ');
    let error = Policy::parse(&text, "policy.json").unwrap_err();
    assert_eq!(error.kind(), PolicyErrorKind::TooLarge);
    assert_eq!(error.message(), "exceeded maximum allowed size of 1048576 bytes: it has 1048577");
}

#[test]
fn messages_stay_short_and_harmless() {
    let text = format!("{{\"\\u001b[31m{}\": 1}}", "x".repeat(100_000));
    let error = Policy::parse(text.as_bytes(), "e\n.json").unwrap_err().to_string();
    assert!(error.starts_with(r#"invalid policy in "e\n.json": Unknown key "\x1b[31mxxx"#));
    assert!(error.len() < 400 && !error.contains(['\n', '\x1b']), "{error}");
}

#[test]
fn scopes_are_validated_by_the_caller() {
    let text = br#"{"default": [{"type": "reject"}], "transports": {
        "floppy": {"a:": [{"type": "reject"}]},
        "dir": {"": [{"type": "reject"}], "/ok": [{"type": "reject"}],
                "srv": [{"type": "reject"}]}}}"#;
    let policy = Policy::parse(text, "policy.json").unwrap();
    let error = policy
        .validate_scopes(|transport, scope| match transport {
            "dir" if !scope.starts_with('/') => Err("it must be an absolute path"),
            _ => Ok(()),
        })
        .unwrap_err();
    assert_eq!(error.kind(), PolicyErrorKind::InvalidScope);
    assert_eq!(
        error.to_string(),
        "invalid policy in \"policy.json\": Unknown key \"srv\": it must be an absolute \
         path (transports.dir, line 4 column 17)"
    );
}

#[test]
fn all_requirements_that_fail_are_listed() {
    let text = br#"{"default": [{"type": "insecureAcceptAnything"}], "transports": {"docker": {
        "a.b": [
            {"type": "insecureAcceptAnything"},
            {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"},
            {"type": "sigstoreSigned", "keyPath": "/k"}
        ],
        "a.b/c": [{"type": "reject"}, {"type": "sigstoreSigned", "keyPath": "/k"}, {"type": "reject"}]
    }}}"#;
    let policy = Policy::parse(text, "p.json").unwrap();
    let image = UnparsedImage::new("docker://a.b/c:1");

    let error = policy.check(&docker("a.b/x:1", &["a.b/x", "a.b"]), &image).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unverifiable);
    assert_eq!(error.image(), "docker://a.b/c:1");
    let failures: Vec<_> = error.failures().iter().map(|f| (f.number(), f.requirement())).collect();
    assert_eq!(failures, [(2, "signedBy"), (3, "sigstoreSigned")]);
    assert_eq!(
        error.to_string(),
        "Source image rejected: signedBy not implemented yet: this version cannot verify the \
         signature it asks for (requirement 2 of transports.docker[\"a.b\"] in \"p.json\", line 2); \
         sigstoreSigned not implemented yet: this version cannot verify the signature it asks for \
         (requirement 3 of transports.docker[\"a.b\"] in \"p.json\", line 2)"
    );

    let error = policy.check(&docker("a.b/c:1", &["a.b/c", "a.b"]), &image).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(error.failures().len(), 3);
    assert_eq!(
        error.to_string(),
        "Source image rejected: Running image docker://a.b/c:1 is rejected by policy.; \
         sigstoreSigned not implemented yet: this version cannot verify the signature it asks for \
         (requirement 2 of transports.docker[\"a.b/c\"] in \"p.json\", line 7)"
    );
}

#[test]
fn a_signature_can_be_asked_for_where_the_policy_does_not() {
    let image = UnparsedImage::new("dir:a");
    let scope = Scope::new("dir", "/a", []);
    let policy = Policy::danger_accept_anything();
    assert!(policy.accepts_unsigned(&scope));
    assert!(policy.check(&scope, &image).is_ok());
    let error = policy.check_signed(&scope, &image).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignatureRequired);
    assert_eq!(
        error.to_string(),
        "Source image rejected: No signature verification policy found for image dir:a"
    );

    let policy = Policy::reject_everything();
    assert!(!policy.accepts_unsigned(&scope));
    let error = policy.check_signed(&scope, &image).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(policy.requirements_for(&scope).line(), None);
}

#[test]
fn a_list_with_one_requirement_that_accepts_unsigned_does_not_accept_unsigned() {
    let text = br#"{"default": [
        {"type": "insecureAcceptAnything"},
        {"type": "signedBy", "keyType": "GPGKeys", "keyData": ""}]}"#;
    let policy = Policy::parse(text, "p.json").unwrap();
    let scope = Scope::new("dir", "/a", []);
    assert!(!policy.accepts_unsigned(&scope));
    let Requirement::SignedBy(signed_by) = &policy.requirements_for(&scope).requirements()[1]
    else {
        panic!("not signedBy");
    };
    assert_eq!(signed_by.keys, [KeySource::Data(Vec::new())]);
}

/// Pieces from which texts are made that come close to a policy.
fn pieces() -> impl Strategy<Value = String> {
    let words = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\u00",
        "null",
        "true",
        "1",
        "-",
        ".5",
        "\n",
        " ",
        "\"default\"",
        "\"transports\"",
        "\"type\"",
        "\"reject\"",
        "\"signedBy\"",
        "\"keyPath\"",
        "\"keyType\"",
        "\"GPGKeys\"",
        "\"sigstoreSigned\"",
        "\"fulcio\"",
        "\"signedIdentity\"",
        "\"remapIdentity\"",
        "\"prefix\"",
        "\"keyData\"",
        "\"YQ==\"",
        "[{\"type\":\"reject\"}]",
        "{\"default\":[{\"type\":",
        "é",
        "😀",
    ];
    proptest::collection::vec(proptest::sample::select(words.to_vec()), 0..40)
        .prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Policy::parse(&text, "policy.json");
    }

    #[test]
    fn no_pieces_of_policies_make_the_parser_panic(text in pieces()) {
        if let Err(error) = Policy::parse(text.as_bytes(), "policy.json") {
            prop_assert!(error.offset() <= text.len());
            prop_assert!(error.line() >= 1 && error.column() >= 1);
        }
    }

    #[test]
    fn a_policy_that_was_cut_anywhere_is_refused(at in 0..150_usize) {
        let text = br#"{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/k","signedIdentity":{"type":"remapIdentity","prefix":"a.b","signedPrefix":"c.d"}}],"transports":{"dir":{}}}"#;
        prop_assert!(Policy::parse(text, "policy.json").is_ok());
        prop_assert!(Policy::parse(&text[..at], "policy.json").is_err());
    }

    #[test]
    fn every_scope_is_found_by_its_own_name(
        scopes in proptest::collection::btree_set("[a-z\"\\\\é.:/@*-]{1,12}", 1..8),
    ) {
        let quote = |scope: &String| scope.replace('\\', "\\\\").replace('"', "\\\"");
        let entries: Vec<_> =
            scopes.iter().map(|s| format!(r#""{}":[{{"type":"insecureAcceptAnything"}}]"#, quote(s))).collect();
        let text = format!(
            r#"{{"transports":{{"t":{{{}}}}},"default":[{{"type":"reject"}}]}}"#,
            entries.join(",")
        );
        let policy = Policy::parse(text.as_bytes(), "policy.json").unwrap();
        for scope in &scopes {
            let by_identity = Scope::new("t", scope.clone(), []);
            prop_assert_eq!(policy.requirements_for(&by_identity).scope(), Some(scope.as_str()));
            let by_namespace = Scope::new("t", "0", ["1".to_string(), scope.clone()]);
            prop_assert!(policy.check(&by_namespace, &UnparsedImage::new("x")).is_ok());
        }
        let other = Scope::new("u", scopes.first().unwrap().clone(), []);
        prop_assert!(policy.check(&other, &UnparsedImage::new("x")).is_err());
    }
}
