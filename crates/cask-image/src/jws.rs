//! The signatures inside Docker's schema 1 manifests.

use bytes::Bytes;
use cask_json::{Document, Fields, Value, base64, parse};

use crate::error::{Faulty, ManifestError, ManifestErrorKind as ErrorKind};
use crate::manifest::parse_manifest;
use crate::rules::rules;

/// What a schema 1 manifest's signatures sign: the bytes without the signatures.
///
/// Each signature says how many bytes of the document come before the signatures, and which bytes
/// follow after those; all have to say the same. `None` if there are no signatures. That the
/// signatures are genuine is not checked: nobody ever had a use for their keys.
///
/// Source: `libtrust`, `ParsePrettySignature`.
pub(crate) fn payload(bytes: &Bytes) -> Result<Option<Bytes>, ManifestError> {
    let document = parse_manifest(bytes)?;
    payload_of(&document, bytes)
}

pub(crate) fn payload_of(
    document: &Document<'_>,
    bytes: &Bytes,
) -> Result<Option<Bytes>, ManifestError> {
    let fields = Fields::of(document.root())?;
    let Some(signatures) = fields.get("signatures")? else { return Ok(None) };
    let invalid = |detail: &str| signatures.fault(ErrorKind::InvalidValue, detail);
    let mut format = None;
    for signature in signatures.items()? {
        let this = read_format(signature)?;
        if *format.get_or_insert_with(|| this.clone()) != this {
            return Err(invalid("the signatures sign different documents"));
        }
    }
    let Some((length, tail)) = format else { return Err(invalid("there is no signature")) };
    let signed = usize::try_from(length).ok().and_then(|length| bytes.get(..length));
    let Some(signed) = signed else {
        return Err(invalid("the signatures sign more than the document has"));
    };
    Ok(Some([signed, &tail].concat().into()))
}

/// The length of the part before the signatures, and what follows after them.
fn read_format(signature: Value<'_>) -> Result<(i64, Vec<u8>), ManifestError> {
    let protected = Fields::of(signature)?.require("protected")?;
    let invalid = |detail: String| protected.fault(ErrorKind::InvalidValue, detail);
    let header = base64::decode_url(&without_space(protected.as_str()?))
        .ok_or_else(|| invalid("this is not base64 of the kind for URLs".into()))?;
    let rules = rules(64 << 10);
    let header = parse(&header, rules).map_err(|error| invalid(error.to_string()))?;
    let read = |header: &Document<'_>| {
        let fields = Fields::of(header.root())?;
        let length = fields.require("formatLength")?.as_integer()?;
        let tail = fields.require("formatTail")?;
        let bytes = base64::decode_url(&without_space(tail.as_str()?));
        let not_base64 =
            || tail.fault(ErrorKind::InvalidValue, "this is not base64 of the kind for URLs");
        Ok((length, bytes.ok_or_else(not_base64)?))
    };
    read(&header).map_err(|error: ManifestError| invalid(error.to_string()))
}

/// Line breaks and spaces do not count.
fn without_space(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '\n' | ' ')).collect()
}
