//! The document as a whole.

use std::collections::BTreeMap;

use super::fields::{Fields, elements, fault, members};
use super::path::Path;
use super::requirement;
use crate::error::{Fault, PolicyErrorKind};
use crate::json::{self, Value};
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
            position: json::Position { offset: MAX_POLICY_BYTES, line: 1, column: 1 },
        });
    }
    let document = json::read(text).map_err(|error| Fault {
        kind: PolicyErrorKind::Syntax,
        message: error.message,
        path: String::new(),
        position: error.position,
    })?;
    let fields = Fields::read(&document, &Path::Root, &["default", "transports"])?;
    let default = fields.optional("default").map(|value| {
        let requirements = requirements(value, &fields.at("default"))?;
        Ok(Entry { requirements, position: value.position })
    });
    let default = default.transpose()?;
    let transports = match fields.optional("transports") {
        Some(value) => transports(value, &fields.at("transports"))?,
        None => Transports::new(),
    };
    let missing = r#"Default policy is missing; add "default": [{"type": "reject"}] or another"#;
    Ok((default.ok_or_else(|| fields.combination(missing))?, transports))
}

fn transports(value: &Value, at: &Path<'_>) -> Result<Transports, Fault> {
    let mut transports = Transports::new();
    for transport in members(value, at)? {
        let at = at.key(&transport.key);
        let mut scopes = BTreeMap::new();
        for scope in members(&transport.value, &at)? {
            let requirements = requirements(&scope.value, &at.key(&scope.key))?;
            scopes.insert(scope.key.clone(), Entry { requirements, position: scope.position });
        }
        transports.insert(transport.key.clone(), scopes);
    }
    Ok(transports)
}

fn requirements(value: &Value, at: &Path<'_>) -> Result<Vec<Requirement>, Fault> {
    let values = match value.kind {
        json::Kind::Null => &[],
        _ => elements(value, at)?,
    };
    if values.is_empty() {
        let message = "List of verification policy requirements must not be empty; \
                       to accept everything, write insecureAcceptAnything";
        return Err(fault(PolicyErrorKind::InvalidValue, value, at, message));
    }
    let values = values.iter().enumerate();
    values.map(|(index, value)| requirement::requirement(value, &at.index(index))).collect()
}
