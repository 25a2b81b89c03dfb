//! What skopeo does with odd policies, compared with what we do.

use cask_trust::{Policy, Scope, UnparsedImage};

/// The directory that `@DIR@` stands for.
const DIR: &str = "/images";

/// Where the outcome is another one on purpose: policy, our outcome, what our message contains.
const OTHER_OUTCOMES: [(&str, &str, &str); 12] = [
    // Go replaces what is not Unicode by U+FFFD.
    ("invalid UTF-8 in a scope", "invalid", "invalid UTF-8"),
    ("lone surrogate in a scope", "invalid", "lone surrogate in string literal"),
    // Go reads a list of numbers as bytes, and a null in a list of strings as an empty string.
    ("signedBy data as numbers", "invalid", "cannot unmarshal array into a string"),
    ("signedBy paths of null", "invalid", "cannot unmarshal null into a string"),
    // Newer versions of containers/image refuse these two too, the second in other words.
    ("sigstoreSigned empty path", "invalid", "keyPath must not be empty"),
    ("sigstoreSigned null data", "invalid", "cannot unmarshal null into a string"),
    // Keys that are newer than skopeo 1.9.3.
    ("sigstoreSigned paths (newer)", "rejected", "sigstoreSigned not implemented yet"),
    ("sigstoreSigned datas (newer)", "rejected", "sigstoreSigned not implemented yet"),
    ("sigstoreSigned rekor (newer)", "rejected", "sigstoreSigned not implemented yet"),
    ("sigstoreSigned fulcio (newer)", "rejected", "sigstoreSigned not implemented yet"),
    (
        "sigstoreSigned fulcio without rekor (newer)",
        "invalid",
        "At least one of rekorPublicKeyPath, rekorPublicKeyPaths, rekorPublicKeyData and \
         rekorPublicKeyDatas must be specified if fulcio is used",
    ),
    ("sigstoreSigned pki (newer)", "rejected", "sigstoreSigned not implemented yet"),
];

/// Where only the words are others: policy, what our message contains.
const OTHER_WORDS: [(&str, &str); 13] = [
    // Null is of the wrong type for us, where Go leaves an empty string.
    ("signedBy key type null", "cannot unmarshal null into a string"),
    ("signedBy null path", "cannot unmarshal null into a string"),
    ("signedBy paths null", "cannot unmarshal null into a list"),
    ("signedBy data null", "cannot unmarshal null into a string"),
    // We say which value is wrong.
    ("signedBy empty path", "keyPath must not be empty"),
    (
        "exactReference with neither",
        r#"dockerReference "example.com/a" contains neither a tag nor digest"#,
    ),
    // Newer versions name the repository, and quote the reference.
    (
        "exactReference in capitals",
        r#"Invalid format of dockerReference "example.com/A:1": invalid reference format: repository name (A) must be lowercase"#,
    ),
    (
        "exactReference with short digest",
        r#"Invalid format of dockerReference "example.com/a@sha256:0123": invalid reference format"#,
    ),
    ("exactReference empty", r#"Invalid format of dockerReference "": invalid reference format"#),
    (
        "exactRepository invalid",
        r#"Invalid format of dockerRepository "example.com/a b": invalid reference format"#,
    ),
    ("exactRepository that looks like an ID", "cannot specify 64-byte hexadecimal strings"),
    // Newer versions know more keys that could have been there.
    (
        "sigstoreSigned without key",
        "exactly one of keyPath, keyPaths, keyData, keyDatas, fulcio, and pki must be specified",
    ),
    (
        "sigstoreSigned path and data",
        "exactly one of keyPath, keyPaths, keyData, keyDatas, fulcio, and pki must be specified",
    ),
];

/// Rows of a table: lines that are no comments, split at tabs.
fn rows(table: &str) -> Vec<Vec<&str>> {
    table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
        .collect()
}

/// A policy's text of its row: `%XX` is a byte, `@DIR@` the directory.
fn text(field: &str) -> Vec<u8> {
    let field = field.replace("@DIR@", DIR);
    let mut parts = field.split('%');
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        out.push(u8::from_str_radix(digits, 16).expect("two digits follow a %"));
        out.extend_from_slice(rest.as_bytes());
    }
    out
}

/// What `dir:` says of the scopes in the recordings.
fn dir_scope(scope: &str) -> Result<(), &'static str> {
    let mut parts = scope.strip_prefix('/').ok_or("it must be an absolute path")?.split('/');
    let is_canonical = parts.all(|part| !matches!(part, "" | "." | ".."));
    if is_canonical { Ok(()) } else { Err("it must be in its shortest form") }
}

/// What we do with a policy and the image `dir:a`: outcome and message.
fn outcome(text: &[u8]) -> (&'static str, String) {
    let parsed = Policy::parse(text, "policy.json").and_then(|policy| {
        policy.validate_scopes(|transport, scope| match transport {
            "dir" => dir_scope(scope),
            _ => Ok(()),
        })?;
        Ok(policy)
    });
    let policy = match parsed {
        Ok(policy) => policy,
        Err(error) => return ("invalid", format!("Error loading trust policy: {error}")),
    };
    let scope = Scope::new("dir", format!("{DIR}/a"), [DIR.to_string()]);
    match policy.check(&scope, &UnparsedImage::new("dir:a")) {
        Ok(()) => ("accepted", String::new()),
        Err(error) => ("rejected", error.to_string()),
    }
}

/// What our message contains if skopeo's is `recorded`: its words, as far as they are not about Go.
fn phrase(recorded: &str) -> String {
    if recorded.contains("A signature was required, but no signature exists") {
        return "not implemented yet: this version cannot verify the signature it asks for".into();
    }
    for end in ["JSON object expected, got ", "signedBaseLayer not implemented yet"] {
        if let Some(at) = recorded.find(end) {
            return recorded[..at + end.len()].into();
        }
    }
    match recorded.split_once("json: cannot unmarshal ") {
        Some((_, rest)) => {
            let found = rest.split(" into ").next().unwrap_or_default();
            format!("cannot unmarshal {found} into ")
        }
        None => recorded.into(),
    }
}

#[test]
fn policies_are_accepted_and_refused_as_skopeo_does() {
    let policies = rows(include_str!("recordings/policies.tsv"));
    let recorded = rows(include_str!("recordings/skopeo-1.9.3.tsv"));
    assert_eq!(policies.len(), 171);
    assert_eq!(recorded.len(), policies.len());
    let mut failures = Vec::new();
    for (policy, recorded) in policies.iter().zip(&recorded) {
        let (&[name, field], &[recorded_name, expected, message]) = (&policy[..], &recorded[..])
        else {
            panic!("odd row: {policy:?} {recorded:?}");
        };
        assert_eq!(name, recorded_name);
        let other = OTHER_OUTCOMES.iter().find(|other| other.0 == name);
        let words = OTHER_WORDS.iter().find(|other| other.0 == name);
        let (expected, phrase) = match (other, words) {
            (Some((_, outcome, phrase)), _) => (*outcome, (*phrase).to_string()),
            (_, Some((_, phrase))) => (expected, (*phrase).to_string()),
            _ => (expected, phrase(message)),
        };
        let (found, message) = outcome(&text(field));
        if found != expected || !message.contains(&phrase) {
            failures.push(format!("{name}: {found} {message}\n  not {expected} {phrase}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
