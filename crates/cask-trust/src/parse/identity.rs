//! Which identity a signature must claim.

use cask_json::{Value, quoted_as_go};
use cask_reference::{LiteralReference, Reference};

use super::fields::{Fields, fault};
use super::path::Path;
use super::requirement::type_name;
use crate::error::{Fault, PolicyErrorKind};
use crate::requirement::SignedIdentity;

/// Reads a `signedIdentity` or `baseLayerIdentity`.
pub(super) fn signed_identity(value: Value<'_>, at: &Path<'_>) -> Result<SignedIdentity, Fault> {
    let plain = |identity| Fields::read(value, at, &["type"]).map(|_| identity);
    match type_name(value, at)? {
        "matchExact" => plain(SignedIdentity::MatchExact),
        "matchRepoDigestOrExact" => plain(SignedIdentity::MatchRepoDigestOrExact),
        "matchRepository" => plain(SignedIdentity::MatchRepository),
        "exactReference" => exact_reference(value, at),
        "exactRepository" => {
            let fields = Fields::read(value, at, &["type", "dockerRepository"])?;
            reference(&fields, "dockerRepository").map(SignedIdentity::ExactRepository)
        }
        "remapIdentity" => remap_identity(value, at),
        other => Err(fault(
            PolicyErrorKind::InvalidValue,
            value,
            at,
            format!(
                "Unknown policy reference match type {}; known are matchExact, \
                 matchRepoDigestOrExact, matchRepository, exactReference, exactRepository and \
                 remapIdentity",
                quoted_as_go(other)
            ),
        )),
    }
}

fn exact_reference(value: Value<'_>, at: &Path<'_>) -> Result<SignedIdentity, Fault> {
    const KEY: &str = "dockerReference";
    let fields = Fields::read(value, at, &["type", KEY])?;
    let reference = reference(&fields, KEY)?;
    if reference.tag().is_none() && reference.digest().is_none() {
        let text = fields.required_string(KEY)?;
        let message = format!(
            "{KEY} {} contains neither a tag nor digest; \
             for a whole repository write exactRepository",
            quoted_as_go(text)
        );
        return Err(fields.invalid(KEY, fields.required(KEY)?, message));
    }
    Ok(SignedIdentity::ExactReference(reference))
}

fn reference(fields: &Fields<'_>, key: &str) -> Result<Reference, Fault> {
    let text = fields.required_string(key)?;
    Reference::parse_normalized(text).map_err(|error| {
        let text = quoted_as_go(text);
        let message = format!("Invalid format of {key} {text}: {error}");
        match fields.required(key) {
            Ok(value) => fields.invalid(key, value, message),
            Err(missing) => missing,
        }
    })
}

fn remap_identity(value: Value<'_>, at: &Path<'_>) -> Result<SignedIdentity, Fault> {
    let fields = Fields::read(value, at, &["type", "prefix", "signedPrefix"])?;
    let prefix = |key| {
        let text = fields.required_string(key)?;
        if is_remapping_prefix(text) {
            return Ok(text.to_owned());
        }
        let message = format!(
            "prefix {} is not valid; it has to be host[:port], or that with a namespace or \
             repository, without tag or digest",
            quoted_as_go(text)
        );
        Err(fields.invalid(key, fields.required(key)?, message))
    };
    Ok(SignedIdentity::RemapIdentity {
        prefix: prefix("prefix")?,
        signed_prefix: prefix("signedPrefix")?,
    })
}

/// Tells whether `text` is a host with optional port, or a name that begins with one.
///
/// Any first component that reads as a host is one, be it `example.com` or `library`.
///
/// Source: containers/image, `validateIdentityRemappingPrefix`.
fn is_remapping_prefix(text: &str) -> bool {
    let is_host = LiteralReference::parse(&format!("{text}/x"))
        .is_ok_and(|reference| reference.domain() == Some(text));
    let is_name = || {
        LiteralReference::parse(text).is_ok_and(|reference| {
            let name_only = reference.tag().is_none() && reference.digest().is_none();
            reference.domain().is_some() && name_only
        })
    };
    is_host || is_name()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remapping_prefix_begins_with_a_host() {
        #[track_caller]
        fn check(text: &str, expected: bool) {
            assert_eq!(is_remapping_prefix(text), expected, "{text:?}");
        }
        // Source: containers/image, `TestValidateIdentityRemappingPrefix`, without addresses.
        for valid in [
            "localhost",
            "example.com",
            "example.com:80",
            "example.com/repo",
            "example.com/ns1/ns2/ns3/repo.with.dots-dashes_underscores",
            "example.com:80/ns1/ns2/ns3/repo.with.dots-dashes_underscores",
            "ns/repo",
            "name",
        ] {
            check(valid, true);
        }
        for invalid in [
            "",
            "/",
            "/repo",
            "example.com/",
            "example.com/UPPERCASEISINVALID",
            "example.com/repo/",
            "example.com/repo:tag",
            "example.com/repo:tag-with-dashes",
            "example.com/repo@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "example.com//repo",
            "example.com:port",
            "*.example.com",
            "a b",
            "a/x:t@",
        ] {
            check(invalid, false);
        }
    }
}
