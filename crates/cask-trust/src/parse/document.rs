//! The document as a whole.

use std::collections::BTreeMap;

use cask_json::{Document, Position, Rules, Value, parse};

use super::fields::{Fields, elements, fault, members};
use super::path::Path;
use super::requirement;
use crate::error::{Fault, PolicyErrorKind};
use crate::policy::{Entry, MAX_POLICY_BYTES, Transports};
use crate::requirement::Requirement;

/// Parses the text of a policy.
pub(crate) fn policy(text: &[u8]) -> Result<(Entry, Transports), Fault> {
    if text.len() > MAX_POLICY_BYTES {
        return Err(Fault {
            kind: PolicyErrorKind::TooLarge,
            message: format!(
                "exceeded maximum allowed size of {MAX_POLICY_BYTES} bytes: it has {}",
                text.len()
            ),
            path: String::new(),
            position: Position { offset: MAX_POLICY_BYTES, ..Position::default() },
        });
    }
    let document = read(text)?;
    let fields = Fields::read(document.root(), &Path::Root, &["default", "transports"])?;
    let default = fields.optional("default").map(|value| {
        let requirements = requirements(value, &fields.at("default"))?;
        Ok(Entry { requirements, position: Some(value.position()) })
    });
    let default = default.transpose()?;
    let transports = match fields.optional("transports") {
        Some(value) => transports(value, &fields.at("transports"))?,
        None => Transports::new(),
    };
    let missing = r#"Default policy is missing; add "default": [{"type": "reject"}] or another"#;
    Ok((default.ok_or_else(|| fields.combination(missing))?, transports))
}

/// The most levels that values may nest. A policy needs eight.
const MAX_DEPTH: usize = 128;

/// Parses the JSON: duplicates of keys are found later, since they have words of their own.
pub(super) fn read(text: &[u8]) -> Result<Document<'_>, Fault> {
    // With so many bytes there cannot be more values.
    const RULES: Rules = Rules::new(MAX_POLICY_BYTES as u64)
        .with_max_depth(MAX_DEPTH)
        .with_max_values(MAX_POLICY_BYTES)
        .keeping_duplicates()
        .in_go_words();
    let refused = |message: String, position| {
        let kind = PolicyErrorKind::Syntax;
        Err(Fault { kind, message, path: String::new(), position })
    };
    // Before anything else: a text in another encoding is not JSON that is wrong at some byte.
    if let Err(error) = str::from_utf8(text) {
        return refused("invalid UTF-8".into(), Position::of(text, error.valid_up_to()));
    }
    parse(text, RULES).or_else(|error| refused(error.detail().to_owned(), error.position()))
}

fn transports(value: Value<'_>, at: &Path<'_>) -> Result<Transports, Fault> {
    let mut transports = Transports::new();
    for transport in members(value, at)? {
        let at = at.key(transport.key());
        let mut scopes = BTreeMap::new();
        for scope in members(transport.value(), &at)? {
            let requirements = requirements(scope.value(), &at.key(scope.key()))?;
            let entry = Entry { requirements, position: Some(scope.key_position()) };
            scopes.insert(scope.key().to_owned(), entry);
        }
        transports.insert(transport.key().to_owned(), scopes);
    }
    Ok(transports)
}

fn requirements(value: Value<'_>, at: &Path<'_>) -> Result<Vec<Requirement>, Fault> {
    let values = if value.is_null() { None } else { Some(elements(value, at)?) };
    let Some(values) = values.filter(|values| values.len() > 0) else {
        let message = "List of verification policy requirements must not be empty; \
                       to accept everything, write insecureAcceptAnything";
        return Err(fault(PolicyErrorKind::InvalidValue, value, at, message));
    };
    let values = values.enumerate();
    values.map(|(index, value)| requirement::requirement(value, &at.index(index))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(nested(MAX_DEPTH).as_bytes()).is_ok());
        let error = read(nested(MAX_DEPTH + 1).as_bytes()).unwrap_err();
        assert_eq!(error.message, "exceeded max depth of 128 nested values");
        assert!(read("[".repeat(1 << 20).as_bytes()).is_err());
    }

    #[test]
    fn bad_text_and_duplicates_are_found_where_they_always_were() {
        // The whole text is UTF-8, or nothing else is said about it.
        let error = read(b"{]\n\"\xff\"").unwrap_err();
        assert_eq!((error.kind, &*error.message), (PolicyErrorKind::Syntax, "invalid UTF-8"));
        assert_eq!(error.position, Position { offset: 4, line: 2, column: 2 });
        assert!(read(br#"{"a":1,"a":2}"#).is_ok());
    }
}
