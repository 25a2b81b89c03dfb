//! From a text to checked parts: with and without filling in what was left out.

use crate::digest::read_digest;
use crate::grammar::{self, First, Parts, Stop};
use crate::{
    Algorithm, Digest, DigestErrorKind, PATH_MAX_BYTES, ReferenceError, ReferenceErrorKind, Tag,
};

/// The domain of names that have none.
pub(crate) const DEFAULT_DOMAIN: &str = "docker.io";
/// An old name of the same registry.
const LEGACY_DOMAIN: &str = "index.docker.io";
/// Where the default domain keeps repositories whose path has a single component.
pub(crate) const OFFICIAL_PREFIX: &str = "library/";

/// A reference whose every part has been checked.
pub(crate) struct Checked<'a> {
    pub(crate) domain: Option<&'a str>,
    /// Whether [`OFFICIAL_PREFIX`] stands before the path.
    pub(crate) is_official: bool,
    pub(crate) path: &'a str,
    /// Where the path ends in the text.
    pub(crate) name_end: usize,
    pub(crate) tag: Option<Tag>,
    pub(crate) digest: Option<Digest>,
}

/// Which domain a text names, before anything else about it is known.
struct Placement {
    /// Whether the domain is [`DEFAULT_DOMAIN`], given or not.
    is_default: bool,
    /// Whether [`OFFICIAL_PREFIX`] is to be put before the path.
    is_official: bool,
    /// Where the text after the domain starts.
    rest: usize,
}

/// Tells whether the first of several components is meant as a domain rather than as a path.
///
/// Source: distribution/reference, `splitDockerDomain`. Upper case makes a domain, because it
/// cannot make a path.
pub(crate) fn is_meant_as_domain(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || grammar::first_upper(first).is_some()
}

fn place(text: &str) -> Placement {
    let Some((first, rest)) = text.split_once('/') else {
        return Placement { is_default: true, is_official: true, rest: 0 };
    };
    let after_first = first.len() + 1;
    if first == DEFAULT_DOMAIN || first == LEGACY_DOMAIN {
        Placement { is_default: true, is_official: !rest.contains('/'), rest: after_first }
    } else if is_meant_as_domain(first) {
        Placement { is_default: false, is_official: false, rest: after_first }
    } else {
        Placement { is_default: true, is_official: false, rest: 0 }
    }
}

/// Reads a reference as written.
///
/// Source: distribution/reference, `Parse`.
pub(crate) fn read_literal(text: &str) -> Result<Checked<'_>, ReferenceError> {
    if text.is_empty() {
        let stop = Stop { offset: 0, expected: "the name of a repository" };
        return Err(ReferenceError::new(ReferenceErrorKind::Empty, text, stop));
    }
    read(text, 0, First::DomainOrPath, false)
}

/// Reads a reference, and fills in the domain.
///
/// Source: distribution/reference, `ParseNormalizedNamed`.
pub(crate) fn read_normalized(text: &str) -> Result<Checked<'_>, ReferenceError> {
    if grammar::is_identifier(text) {
        let stop = Stop { offset: 0, expected: "a name, not 64 hexadecimal digits" };
        return Err(ReferenceError::new(ReferenceErrorKind::Identifier, text, stop));
    }
    let Placement { is_default, is_official, rest } = place(text);
    refuse_upper_case(text, rest, is_official)?;
    if is_default {
        let checked = read(text, rest, First::Path, is_official)?;
        return Ok(Checked { domain: Some(DEFAULT_DOMAIN), ..checked });
    }
    let checked = read(text, 0, First::DomainOrPath, false)?;
    if checked.domain.is_some() {
        return Ok(checked);
    }
    // `foo_bar.com/app`: meant as a domain, and readable only as a path. Go's package gives a name
    // without any domain here; we promise that there is one.
    let first = text.split_once('/').map_or(text, |(first, _)| first);
    let stop = grammar::domain(first).err().unwrap_or(Stop { offset: 0, expected: "a domain" });
    Err(ReferenceError::new(ReferenceErrorKind::InvalidFormat, text, stop))
}

/// Refuses upper case in the path, with the words that people know for it.
fn refuse_upper_case(text: &str, rest: usize, is_official: bool) -> Result<(), ReferenceError> {
    // As far as the first colon: Go's package has not yet separated a digest either.
    let path = text[rest..].split(':').next().unwrap_or_default();
    if grammar::first_upper(path).is_none() {
        return Ok(());
    }
    let name = if is_official { format!("{OFFICIAL_PREFIX}{path}") } else { path.into() };
    let stop = in_lower_case(path, 0).after(rest);
    Err(ReferenceError::new(ReferenceErrorKind::NotLowercase, text, stop).quoting(name))
}

/// The stop at the first upper-case character, or at `otherwise` if there is none.
fn in_lower_case(path: &str, otherwise: usize) -> Stop {
    let offset = grammar::first_upper(path).unwrap_or(otherwise);
    Stop { offset, expected: "lower case" }
}

/// Reads what starts at `base`, and checks all that the grammar does not.
fn read(
    input: &str,
    base: usize,
    first: First,
    is_official: bool,
) -> Result<Checked<'_>, ReferenceError> {
    let text = &input[base..];
    let fail = |kind, stop: Stop| ReferenceError::new(kind, input, stop.after(base));
    let parts = grammar::split(text, first).map_err(|stop| match grammar::lowered(text) {
        Some(lowered) if grammar::split(&lowered, first).is_ok() => {
            fail(ReferenceErrorKind::NotLowercase, in_lower_case_path(text, stop))
        }
        _ => fail(ReferenceErrorKind::InvalidFormat, stop),
    })?;
    let room = PATH_MAX_BYTES - if is_official { OFFICIAL_PREFIX.len() } else { 0 };
    if parts.path.len() > room {
        let stop = Stop { offset: parts.path_offset() + room, expected: "the end of the path" };
        return Err(fail(ReferenceErrorKind::NameTooLong, stop));
    }
    let digest = read_digest_part(&parts)
        .map_err(|(kind, stop)| fail(ReferenceErrorKind::InvalidDigest(kind), stop))?;
    Ok(Checked {
        domain: parts.domain,
        is_official,
        path: parts.path,
        name_end: base + parts.path_offset() + parts.path.len(),
        tag: parts.tag.map(Tag::from_checked),
        digest,
    })
}

/// The stop at the first upper-case letter that the path may not have.
fn in_lower_case_path(text: &str, stop: Stop) -> Stop {
    let name = text.split('@').next().unwrap_or_default();
    let start = match name.split_once('/') {
        Some((first, _)) if grammar::domain(first).is_ok() => first.len() + 1,
        _ => 0,
    };
    in_lower_case(&name[start..], stop.offset.saturating_sub(start)).after(start)
}

fn read_digest_part(parts: &Parts<'_>) -> Result<Option<Digest>, (DigestErrorKind, Stop)> {
    let Some(text) = parts.digest else { return Ok(None) };
    match read_digest(text) {
        Ok(digest) => Ok(Some(digest)),
        Err((kind, offset)) => {
            let expected = match kind {
                DigestErrorKind::UnsupportedAlgorithm => "sha256, sha384 or sha512",
                DigestErrorKind::InvalidLength => {
                    match text.split(':').next().unwrap_or_default().parse() {
                        Ok(Algorithm::Sha256) => "64 digits after sha256",
                        Ok(Algorithm::Sha384) => "96 digits after sha384",
                        _ => "128 digits after sha512",
                    }
                }
                DigestErrorKind::InvalidFormat => "lower-case hexadecimal digits",
            };
            Err((kind, Stop { offset, expected }.after(parts.digest_offset())))
        }
    }
}
