//! Which images a build may begin with, and what it takes instead: the file of `--source-policy-file`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use cask::reference::Reference;
use cask_build::{Error, ErrorKind};
use serde::Deserialize;

/// What stands before the name of an image.
const SCHEME: &str = "docker-image://";

/// Rules, of which the first that is about an image counts.
///
/// Source: buildah, `pkg/sourcepolicy/policy.go`; BuildKit, `sourcepolicy/pb/policy.proto`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct SourcePolicy {
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Rule {
    action: Action,
    selector: Selector,
    #[serde(default)]
    updates: Updates,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Action {
    Allow,
    Deny,
    Convert,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Selector {
    identifier: String,
    #[serde(default)]
    match_type: MatchType,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum MatchType {
    Exact,
    #[default]
    Wildcard,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct Updates {
    #[serde(default)]
    identifier: String,
    #[serde(default)]
    attrs: serde_json::Map<String, serde_json::Value>,
}

impl SourcePolicy {
    /// Reads a file.
    ///
    /// # Errors
    /// For what is no policy, and for rules that would hold for nothing: whoever wrote them relies on them.
    pub(super) fn load(path: &Path) -> Result<Self> {
        let shown = || format!("--source-policy-file {}", path.display());
        let text = fs::read(path).with_context(shown)?;
        Self::parse(&text).with_context(shown)
    }

    fn parse(text: &[u8]) -> Result<Self> {
        let document: serde_json::Value = serde_json::from_slice(text)?;
        if !document.is_object() {
            bail!("it is no object with rules");
        }
        let policy: Self = serde_json::from_value(document)?;
        for (number, rule) in policy.rules.iter().enumerate() {
            rule.check().with_context(|| format!("rule {number}"))?;
        }
        Ok(policy)
    }

    /// What is taken instead of an image: itself, where no rule says otherwise.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for an image that a rule denies.
    pub(super) fn decide(&self, image: &str) -> cask_build::Result<String> {
        let names = identifiers(image);
        let fits = |rule: &Rule| names.iter().any(|name| rule.selector.fits(name));
        let Some((number, rule)) = self.rules.iter().enumerate().find(|(_, rule)| fits(rule))
        else {
            return Ok(image.to_owned());
        };
        match rule.action {
            Action::Allow => Ok(image.to_owned()),
            Action::Convert => {
                let other = &rule.updates.identifier;
                Ok(other.strip_prefix(SCHEME).unwrap_or(other).to_owned())
            }
            Action::Deny => {
                let selector = &rule.selector.identifier;
                let detail = format!(
                    "denied by source policy: matched rule {number} (selector: {selector:?})"
                );
                Err(Error::new(ErrorKind::Invalid, format!("source {image:?}"), detail))
            }
        }
    }
}

impl Rule {
    fn check(&self) -> Result<()> {
        let Self { action, selector, updates } = self;
        let identifier = selector.identifier.as_str();
        if identifier.is_empty() {
            bail!("selector.identifier is required");
        }
        let other = identifier.split_once("://").filter(|(scheme, _)| *scheme != "docker-image");
        if let Some((scheme, _)) = other.filter(|(scheme, _)| !scheme.contains(['*', '?'])) {
            bail!("{scheme}:// is not supported: rules are about images, {SCHEME}NAME");
        }
        if *action == Action::Convert && updates.identifier.is_empty() {
            bail!("updates.identifier is required for CONVERT action");
        }
        if let Some(name) = updates.attrs.keys().next() {
            bail!("updates.attrs {name:?} is not supported: name the image by its digest");
        }
        Ok(())
    }
}

impl Selector {
    fn fits(&self, name: &str) -> bool {
        match self.match_type {
            MatchType::Exact => self.identifier == name,
            MatchType::Wildcard => fits(self.identifier.as_bytes(), name.as_bytes()),
        }
    }
}

/// The names under which rules know an image: whole, and with the tag that is meant where there is none.
fn identifiers(image: &str) -> Vec<String> {
    let bare = image.strip_prefix("docker://").unwrap_or(image);
    let bare = bare.strip_prefix(SCHEME).unwrap_or(bare);
    let Ok(whole) = Reference::parse_normalized(bare) else {
        return vec![format!("{SCHEME}{image}")];
    };
    let mut names = vec![whole.to_string(), whole.with_default_tag().to_string()];
    names.dedup();
    names.into_iter().map(|name| format!("{SCHEME}{name}")).collect()
}

/// Whether a text is what a pattern with `*`, any text, and `?`, one byte, stands for.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    // Where the last star stands, and up to where it reaches so far.
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[read] => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((place, reach)) = star else { return false };
                star = Some((place, reach + 1));
                (at, read) = (place + 1, reach + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(rules: &str) -> Result<SourcePolicy> {
        SourcePolicy::parse(format!("{{\"rules\": [{rules}]}}").as_bytes())
    }

    #[test]
    fn patterns_are_about_all_of_a_name() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(fits(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        };
        for (pattern, text) in [
            ("*", ""),
            ("", ""),
            ("a*c", "abbc"),
            ("a*b*c", "aXbYbZc"),
            ("a?c", "abc"),
            ("**", "x"),
        ] {
            check(pattern, text, true);
        }
        for (pattern, text) in
            [("", "a"), ("a", ""), ("a*c", "abbcd"), ("?", ""), ("a?c", "ac"), ("*b", "ba")]
        {
            check(pattern, text, false);
        }
        // Many stars take no time.
        check(&"*a".repeat(100), &"a".repeat(20_000), true);
        check(&format!("{}b", "*a".repeat(100)), &"a".repeat(20_000), false);
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let rules = r#"
            {"action": "ALLOW", "selector": {"identifier": "docker-image://docker.io/library/debian:12"}},
            {"action": "CONVERT", "selector": {"identifier": "docker-image://docker.io/library/debian:*"},
             "updates": {"identifier": "docker-image://localhost/base"}},
            {"action": "DENY", "selector": {"identifier": "docker-image://quay.io/*"}},
            {"action": "DENY", "selector": {"identifier": "docker-image://a.b/*", "matchType": "EXACT"}}"#;
        let policy = policy(rules).unwrap();
        let check = |image: &str, expected: &str| {
            assert_eq!(policy.decide(image).unwrap(), expected, "{image}");
        };
        check("debian:12", "debian:12");
        check("debian:13", "localhost/base");
        // The tag that is meant is said or not, and so is the transport.
        check("debian", "localhost/base");
        check("docker://debian:11", "localhost/base");
        check("localhost/debian:13", "localhost/debian:13");
        check("oci-archive:/a/b.tar", "oci-archive:/a/b.tar");
        check("a.b/c", "a.b/c");
        let denied = policy.decide("quay.io/x/y:z").unwrap_err();
        let expected = "source \"quay.io/x/y:z\": denied by source policy: matched rule 2 \
                        (selector: \"docker-image://quay.io/*\")";
        assert_eq!(denied.to_string(), expected);
        assert_eq!(SourcePolicy::default().decide("x").unwrap(), "x");
    }

    #[test]
    fn rules_that_would_hold_for_nothing_are_refused() {
        let check = |rule: &str, expected: &str| {
            let error = format!("{:#}", policy(rule).unwrap_err());
            assert!(error.contains(expected), "{error}");
        };
        check(r#"{"selector": {"identifier": "x"}}"#, "missing field `action`");
        check(r#"{"action": "FROB", "selector": {"identifier": "x"}}"#, "FROB");
        check(
            r#"{"action": "DENY", "selector": {"identifier": ""}}"#,
            "rule 0: selector.identifier",
        );
        let regex = r#"{"action": "DENY", "selector": {"identifier": "x", "matchType": "REGEX"}}"#;
        check(regex, "REGEX");
        check(r#"{"action": "CONVERT", "selector": {"identifier": "x"}}"#, "updates.identifier");
        check(r#"{"action": "DENY", "selector": {"identifier": "https://x"}}"#, "https://");
        let attributes = r#"{"action": "ALLOW", "selector": {"identifier": "*"}, "updates": {"attrs": {"a": "b"}}}"#;
        check(attributes, "updates.attrs \"a\" is not supported");
        assert!(SourcePolicy::parse(b"[]").is_err());
        assert_eq!(SourcePolicy::parse(b"{}").unwrap(), SourcePolicy::default());
    }
}
