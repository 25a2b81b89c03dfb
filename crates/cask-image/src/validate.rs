//! Checking documents against the letter of the OCI image specification.
//!
//! The parsers take what can be understood in one way only. These functions take what the
//! specification's schema takes: less, because null is no value there and a manifest needs layers.

use cask_json::{Document, Entry, Fields, Kind, Value, parse, quoted};

use crate::descriptor::{Descriptor, Unknown};
use crate::error::{Faulty, ManifestError, ManifestErrorKind as ErrorKind};
use crate::image_config::RULES;
use crate::manifest::parse_manifest;
use crate::{ImageConfig, ImageManifest, Index, MediaType};

/// Checks an OCI image manifest.
///
/// # Errors
/// Those of [`RawManifest::parse`](crate::RawManifest::parse); and if there are no layers, a field
/// is null, or a media type or a URL is malformed.
///
/// Source: OCI image specification, `schema/image-manifest-schema.json`.
pub fn validate_manifest(bytes: &[u8]) -> Result<(), ManifestError> {
    let document = parse_manifest(bytes)?;
    let image = ImageManifest::read(&document, &MediaType::OciManifest)?;
    let fields = Fields::of(document.root())?;
    refuse_nulls(document.root(), NAMED)?;
    check_media_type(&fields, "artifactType")?;
    check_descriptor(fields.require("config")?)?;
    fields.array("layers")?.try_for_each(check_descriptor)?;
    check_subject(&fields)?;
    if image.layers.is_empty() {
        let detail = "the specification wants at least one layer";
        return Err(fields.require("layers")?.fault(ErrorKind::InvalidValue, detail));
    }
    Ok(())
}

/// Checks an OCI image index.
///
/// # Errors
/// Those of [`RawManifest::parse`](crate::RawManifest::parse); and if a field is null, a platform
/// lacks architecture or operating system, or a media type or a URL is malformed.
///
/// Source: OCI image specification, `schema/image-index-schema.json`.
pub fn validate_index(bytes: &[u8]) -> Result<(), ManifestError> {
    let document = parse_manifest(bytes)?;
    Index::read(&document, &MediaType::OciIndex)?;
    let fields = Fields::of(document.root())?;
    refuse_nulls(document.root(), NAMED)?;
    check_media_type(&fields, "artifactType")?;
    fields.array("manifests")?.try_for_each(check_descriptor)?;
    check_subject(&fields)
}

/// Checks a descriptor that stands alone.
///
/// # Errors
/// If it is not JSON, lacks a media type, a digest or a size, or holds a value that is null or
/// malformed.
///
/// Source: OCI image specification, `schema/content-descriptor.json`.
pub fn validate_descriptor(bytes: &[u8]) -> Result<(), ManifestError> {
    let document = parse_manifest(bytes)?;
    Descriptor::read(document.root(), &mut Unknown::default())?;
    check_descriptor(document.root())
}

/// Checks the `oci-layout` file of an image layout.
///
/// # Errors
/// If it is not JSON, or does not say the version 1.0.0.
///
/// Source: OCI image specification, `schema/image-layout-schema.json`.
pub fn validate_layout(bytes: &[u8]) -> Result<(), ManifestError> {
    let document = parse_manifest(bytes)?;
    let version = Fields::of(document.root())?.require("imageLayoutVersion")?;
    if version.as_str()? != "1.0.0" {
        let detail = format!("the version is {}, not \"1.0.0\"", quoted(version.as_str()?));
        return Err(version.fault(ErrorKind::UnsupportedVersion, detail));
    }
    Ok(())
}

/// Checks an OCI image config.
///
/// # Errors
/// Those of [`ImageConfig::parse`]; and if architecture, operating system or root filesystem are
/// missing, a key is in another case, a field is null that may not be, or a variable of the
/// environment has no name and no equals sign.
///
/// Source: OCI image specification, `schema/config-schema.json`.
pub fn validate_config(bytes: &[u8]) -> Result<(), ManifestError> {
    let document = parse(bytes, RULES)?;
    ImageConfig::read(&document)?;
    check_config(&document)
}

fn check_config(document: &Document<'_>) -> Result<(), ManifestError> {
    let fields = Fields::of(document.root())?;
    refuse_nulls(document.root(), CONFIG)?;
    let names = ["created", "author", "architecture", "os", "variant", "os.version", "os.features"];
    names.iter().try_for_each(|name| fields.get(name).map(drop))?;
    fields.require("architecture")?;
    fields.require("os")?;
    let rootfs = fields.require("rootfs")?;
    refuse_nulls(rootfs, &["type", "diff_ids"])?;
    let rootfs = Fields::of(rootfs)?;
    rootfs.require("diff_ids")?.items()?;
    let kind = rootfs.require("type")?;
    if kind.as_str()? != "layers" {
        let detail = format!("the type is {}, not \"layers\"", quoted(kind.as_str()?));
        return Err(kind.fault(ErrorKind::InvalidValue, detail));
    }
    fields.array("history")?.try_for_each(check_history)?;
    fields.get("config")?.map_or(Ok(()), check_execution)
}

fn check_history(entry: Value<'_>) -> Result<(), ManifestError> {
    let names = &["created", "author", "created_by", "comment", "empty_layer"];
    refuse_nulls(entry, names)?;
    let fields = Fields::of(entry)?;
    Ok(names.iter().try_for_each(|name| fields.get(name).map(drop))?)
}

fn check_execution(config: Value<'_>) -> Result<(), ManifestError> {
    const NOT_NULL: &[&str] =
        &["User", "ExposedPorts", "Env", "WorkingDir", "StopSignal", "ArgsEscaped"];
    refuse_nulls(config, NOT_NULL)?;
    let fields = Fields::of(config)?;
    for name in NOT_NULL.iter().chain(&["Entrypoint", "Cmd", "Volumes", "Labels"]) {
        if let Some(value) = fields.get(name)? {
            refuse_null_parts(value)?;
        }
    }
    for name in ["Entrypoint", "Cmd"] {
        fields.array(name)?;
    }
    for variable in fields.array("Env")? {
        if variable.as_str()?.split_once('=').is_none_or(|(name, _)| name.is_empty()) {
            let detail = format!("{} is not NAME=value", quoted(variable.as_str()?));
            return Err(variable.fault(ErrorKind::InvalidValue, detail));
        }
    }
    Ok(())
}

const CONFIG: &[&str] = &[
    "created",
    "author",
    "architecture",
    "os",
    "variant",
    "os.version",
    "os.features",
    "config",
    "rootfs",
    "history",
];

/// The fields that may not be null, of all documents but configs: no name is used for anything
/// else in another one.
const NAMED: &[&str] = &[
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    "digest",
    "size",
    "urls",
    "data",
    "platform",
    "architecture",
    "os",
    "os.version",
    "os.features",
    "variant",
];

fn refuse_nulls(object: Value<'_>, names: &[&str]) -> Result<(), ManifestError> {
    let Kind::Object(mut entries) = object.kind() else { return Ok(()) };
    let null = entries.find(|e| e.value().is_null() && names.contains(&e.key()));
    null.map_or(Ok(()), |entry| Err(entry.value().wrong_type("a value").into()))
}

/// Refuses nulls among the elements of an array or an object.
fn refuse_null_parts(value: Value<'_>) -> Result<(), ManifestError> {
    let null = match value.kind() {
        Kind::Array(mut items) => items.find(|item| item.is_null()),
        Kind::Object(entries) => entries.map(Entry::value).find(|value| value.is_null()),
        _ => None,
    };
    null.map_or(Ok(()), |null| Err(null.wrong_type("a value").into()))
}

fn check_subject(fields: &Fields<'_>) -> Result<(), ManifestError> {
    if let Some(annotations) = fields.get("annotations")? {
        refuse_null_parts(annotations)?;
    }
    fields.get("subject")?.map_or(Ok(()), check_descriptor)
}

fn check_descriptor(descriptor: Value<'_>) -> Result<(), ManifestError> {
    refuse_nulls(descriptor, NAMED)?;
    let fields = Fields::of(descriptor)?;
    check_media_type(&fields, "mediaType")?;
    check_media_type(&fields, "artifactType")?;
    for name in ["urls", "annotations"] {
        if let Some(value) = fields.get(name)? {
            refuse_null_parts(value)?;
        }
    }
    for url in fields.array("urls")? {
        if !is_uri(url.as_str()?) {
            let detail = format!("{} is not a URL", quoted(url.as_str()?));
            return Err(url.fault(ErrorKind::InvalidValue, detail));
        }
    }
    if let Some(platform) = fields.get("platform")? {
        refuse_nulls(platform, NAMED)?;
        let fields = Fields::of(platform)?;
        fields.require("architecture")?;
        fields.require("os")?;
    }
    Ok(())
}

fn check_media_type(fields: &Fields<'_>, name: &str) -> Result<(), ManifestError> {
    let Some(value) = fields.get(name)? else { return Ok(()) };
    if MediaType::from(value.as_str()?).is_well_formed() {
        return Ok(());
    }
    let detail = format!("{} is not a media type", quoted(value.as_str()?));
    Err(value.fault(ErrorKind::InvalidValue, detail))
}

/// Whether a text is a URI with a scheme.
///
/// Source: RFC 3986; only the characters are checked, not the grammar of hosts.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let scheme_char = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b);
    let escapes = rest.split('%').skip(1);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(scheme_char)
        && rest.bytes().all(allowed)
        && escapes
            .map(str::as_bytes)
            .all(|e| e.len() >= 2 && e[..2].iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_need_a_scheme_and_no_strange_characters() {
        for (text, expected) in [
            ("https://example.com/a%20b?c=d#e", true),
            ("file:///x", true),
            ("urn:x", true),
            ("value", false),
            ("/path", false),
            ("1http://x", false),
            ("https://a b", false),
            ("https://a\"b", false),
            ("https://%zz", false),
            ("https://%2", false),
            ("https://é", false),
        ] {
            assert_eq!(is_uri(text), expected, "{text}");
        }
    }
}
