//! What every kind of manifest has in common.

use cask_json::{Document, Fields, Value, parse, quoted};

use crate::error::{Faulty, ManifestError, ManifestErrorKind as ErrorKind};
use crate::rules::rules;
use crate::{
    Descriptor, ImageManifest, Index, MAX_MANIFEST_BYTES, MediaType, RawManifest, Schema1,
};

/// What the bytes of a [`RawManifest`] say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "the large variant is the usual one")]
pub enum Manifest {
    /// One image, or an artifact: a config and layers.
    Image(ImageManifest),
    /// Several manifests.
    Index(Index),
    /// One image in Docker's first format, which has no config.
    Schema1(Schema1),
}

impl Manifest {
    /// The manifest that this one is about, for a referrer.
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Image(image) => image.subject.as_ref(),
            Self::Index(index) => index.subject.as_ref(),
            Self::Schema1(_) => None,
        }
    }

    /// Reads a raw manifest. See [`RawManifest::parse`].
    pub(crate) fn read(raw: &RawManifest) -> Result<Self, ManifestError> {
        let document = parse_manifest(raw.bytes())?;
        match raw.media_type() {
            MediaType::OciManifest | MediaType::DockerManifest => {
                ImageManifest::read(&document, raw.media_type()).map(Self::Image)
            }
            MediaType::OciIndex | MediaType::DockerManifestList => {
                Index::read(&document, raw.media_type()).map(Self::Index)
            }
            MediaType::DockerSchema1 | MediaType::DockerSchema1Signed => {
                Schema1::read(&document, raw.bytes()).map(Self::Schema1)
            }
            other => {
                let detail = format!("{} is not the type of a manifest", quoted(other.as_str()));
                Err(document.root().fault(ErrorKind::UnknownType, detail))
            }
        }
    }
}

/// Parses the JSON of a manifest.
pub(crate) fn parse_manifest(bytes: &[u8]) -> Result<Document<'_>, ManifestError> {
    Ok(parse(bytes, rules(MAX_MANIFEST_BYTES))?)
}

/// The fields that tell the kinds of manifest apart.
const KIND_FIELDS: [&str; 5] = ["config", "layers", "manifests", "fsLayers", "history"];

/// Refuses a document that has fields of another kind of manifest as well.
///
/// Source: CVE-2021-41190; `containers/image`, `ValidateUnambiguousManifestFormat`.
pub(crate) fn refuse_other_kinds(
    fields: &Fields<'_>,
    own: &[&str],
    media_type: &MediaType,
) -> Result<(), ManifestError> {
    let others = KIND_FIELDS.iter().filter(|name| !own.contains(*name));
    for name in others {
        if let Some(value) = fields.get_any_case(name) {
            let detail = format!(
                "rejecting ambiguous manifest, unexpected field {name:?} in supposedly {media_type}"
            );
            return Err(value.fault(ErrorKind::Ambiguous, detail));
        }
    }
    Ok(())
}

/// Refuses a document that is of another version, or that says that it is of another type.
///
/// Returns whether it says its type.
pub(crate) fn check_declarations(
    fields: &Fields<'_>,
    version: i64,
    media_type: &MediaType,
) -> Result<bool, ManifestError> {
    let found = fields.require("schemaVersion")?;
    if found.as_integer()? != version {
        let text = String::from_utf8_lossy(found.text());
        let detail = format!("{media_type} has the version {version}, not {text}");
        return Err(found.fault(ErrorKind::UnsupportedVersion, detail));
    }
    let Some(value) = fields.get("mediaType")? else { return Ok(false) };
    let declared = value.as_str()?;
    if declared.is_empty() {
        return Ok(false);
    }
    let both_schema1 = media_type.is_schema1() && MediaType::from(declared).is_schema1();
    if declared != media_type.as_str() && !both_schema1 {
        let detail = format!("the document is {}, but came as {media_type}", quoted(declared));
        return Err(value.fault(ErrorKind::MediaTypeConflict, detail));
    }
    Ok(true)
}

/// Refuses more entries than a limit.
pub(crate) fn check_count(value: Value<'_>, count: usize, max: usize) -> Result<(), ManifestError> {
    if count > max {
        let detail = format!("{count} entries are more than the limit of {max}");
        return Err(value.fault(ErrorKind::TooComplex, detail));
    }
    Ok(())
}

/// Finds out what kind of manifest some bytes are.
///
/// Source: `containers/image`, `GuessMIMEType`, which gives the same answers except that it
/// guesses an OCI manifest where this finds nothing to go by.
pub(crate) fn guess(bytes: &[u8]) -> Result<MediaType, ManifestError> {
    let document = parse_manifest(bytes)?;
    guess_document(&document)
}

fn guess_document(document: &Document<'_>) -> Result<MediaType, ManifestError> {
    let root = document.root();
    let fields = Fields::of(root)?;
    let unknown = |detail: &str| Err(root.fault(ErrorKind::UnknownType, detail));
    let declared = fields.string("mediaType")?.map(MediaType::from);
    if let Some(declared) = declared.filter(|t| t.is_manifest() && !t.is_schema1()) {
        return Ok(declared);
    }
    match fields.integer("schemaVersion")? {
        Some(1) if fields.get("signatures")?.is_some() => Ok(MediaType::DockerSchema1Signed),
        Some(1) => Ok(MediaType::DockerSchema1),
        Some(2) => {
            let is_image = fields.get("config")?.is_some() || fields.get("layers")?.is_some();
            match (is_image, fields.get("manifests")?) {
                (true, Some(manifests)) => {
                    let detail = "rejecting ambiguous manifest, both an image and an index";
                    Err(manifests.fault(ErrorKind::Ambiguous, detail))
                }
                (true, None) => guess_image(&fields),
                (false, _) if fields.has("manifests") => Ok(MediaType::OciIndex),
                (false, _) => unknown("the document has neither a config nor layers nor manifests"),
            }
        }
        Some(version) => {
            unknown(&format!("schemaVersion {version} is of no known kind of manifest"))
        }
        None => unknown("the document has neither a known mediaType nor a schemaVersion"),
    }
}

/// An image manifest without a type is Docker's if its config is.
fn guess_image(fields: &Fields<'_>) -> Result<MediaType, ManifestError> {
    let Some(config) = fields.get("config")? else { return Ok(MediaType::OciManifest) };
    let config_type = Fields::of(config)?.string("mediaType")?.map(MediaType::from);
    Ok(match config_type {
        Some(MediaType::DockerConfig) => MediaType::DockerManifest,
        _ => MediaType::OciManifest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// Fills in a digest for `DIGEST` and a descriptor for `DESCRIPTOR`.
    fn filled(document: &str) -> String {
        let descriptor = r#"{"mediaType":"a/b","digest":"DIGEST","size":0}"#;
        document.replace("DESCRIPTOR", descriptor).replace("DIGEST", DIGEST)
    }

    fn check_refused(media_type: MediaType, document: &str, kind: ErrorKind, path: &str) {
        let document = filled(document);
        let error = RawManifest::new(document.clone(), media_type).parse().expect_err(&document);
        assert_eq!((error.kind(), error.path()), (kind, path), "{document}\n{error}");
    }

    fn check_image(document: &str, kind: ErrorKind, path: &str) {
        check_refused(MediaType::OciManifest, document, kind, path);
    }

    #[test]
    fn errors_say_where_the_value_is() {
        let layer = r#"{"mediaType":"a/b","size":0,"digest":"sha256:../../x"}"#;
        let document = format!(
            "{{\"schemaVersion\":2,\n \"config\":DESCRIPTOR,\n  \"layers\":[DESCRIPTOR,{layer}]}}"
        );
        let document = filled(&document);
        let error = RawManifest::new(document.clone(), MediaType::OciManifest).parse().unwrap_err();
        assert_eq!(error.path(), "layers[1].digest");
        assert!(document[error.offset()..].starts_with("\"sha256:../../x"));
        assert_eq!(error.line(), 3);
        assert_eq!(
            error.to_string(),
            "layers[1].digest: invalid checksum digest length: \"sha256:../../x\" (line 3, column 162)"
        );
    }

    const MALFORMED: &[(&str, ErrorKind, &str)] = &[
        ("", ErrorKind::Syntax, ""),
        ("[]", ErrorKind::WrongType, ""),
        (r#"{"schemaVersion":2,}"#, ErrorKind::Syntax, ""),
        (r#"{"a":[1,{"b":01}]}"#, ErrorKind::Syntax, "a[1].b"),
        (r#"{"config":DESCRIPTOR,"layers":[]}"#, ErrorKind::MissingField, "schemaVersion"),
        (
            r#"{"schemaVersion":3,"config":DESCRIPTOR,"layers":[]}"#,
            ErrorKind::UnsupportedVersion,
            "schemaVersion",
        ),
        (
            r#"{"schemaVersion":"2","config":DESCRIPTOR,"layers":[]}"#,
            ErrorKind::WrongType,
            "schemaVersion",
        ),
        (
            r#"{"schemaVersion":2.0,"config":DESCRIPTOR,"layers":[]}"#,
            ErrorKind::InvalidValue,
            "schemaVersion",
        ),
        (r#"{"schemaVersion":2,"layers":[]}"#, ErrorKind::MissingField, "config"),
        (r#"{"schemaVersion":2,"config":DESCRIPTOR}"#, ErrorKind::MissingField, "layers"),
        (r#"{"schemaVersion":2,"config":DESCRIPTOR,"layers":{}}"#, ErrorKind::WrongType, "layers"),
        (
            r#"{"schemaVersion":2,"config":DESCRIPTOR,"layers":[null]}"#,
            ErrorKind::WrongType,
            "layers[0]",
        ),
        (
            r#"{"schemaVersion":2,"config":{"mediaType":"a/b","size":0},"layers":[]}"#,
            ErrorKind::MissingField,
            "config.digest",
        ),
        (
            r#"{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"DIGEST"},"layers":[]}"#,
            ErrorKind::MissingField,
            "config.size",
        ),
        (
            r#"{"schemaVersion":2,"config":{"size":0,"digest":"DIGEST"},"layers":[]}"#,
            ErrorKind::MissingField,
            "config.mediaType",
        ),
        (
            r#"{"schemaVersion":2,"config":{"mediaType":"a/b\r\nx: y","size":0,"digest":"DIGEST"},"layers":[]}"#,
            ErrorKind::InvalidValue,
            "config.mediaType",
        ),
        (
            r#"{"schemaVersion":2,"config":{"mediaType":"a/b","size":-1,"digest":"DIGEST"},"layers":[]}"#,
            ErrorKind::InvalidValue,
            "config.size",
        ),
        (
            r#"{"schemaVersion":2,"config":{"mediaType":"a/b","size":9223372036854775808,"digest":"DIGEST"},"layers":[]}"#,
            ErrorKind::InvalidValue,
            "config.size",
        ),
        (
            r#"{"schemaVersion":2,"config":{"mediaType":"a/b","size":1e3,"digest":"DIGEST"},"layers":[]}"#,
            ErrorKind::InvalidValue,
            "config.size",
        ),
        (
            r#"{"schemaVersion":2,"config":{"mediaType":"a/b","size":0,"digest":"DIGEST","data":"YQ=="},"layers":[]}"#,
            ErrorKind::InvalidValue,
            "config.data",
        ),
        (
            r#"{"schemaVersion":2,"config":{"mediaType":"a/b","size":1,"digest":"DIGEST","data":"YQ=="},"layers":[]}"#,
            ErrorKind::InvalidValue,
            "config.data",
        ),
        (
            r#"{"schemaVersion":2,"config":DESCRIPTOR,"layers":[],"annotations":{"a.b/c":1}}"#,
            ErrorKind::WrongType,
            "annotations[\"a.b/c\"]",
        ),
    ];

    #[test]
    fn malformed_values_are_refused() {
        for (document, kind, path) in MALFORMED {
            check_image(document, *kind, path);
        }
        let largest = filled(
            r#"{"schemaVersion":2,"config":{"mediaType":"a/b","size":9223372036854775807,"digest":"DIGEST"},"layers":null}"#,
        );
        let Ok(Manifest::Image(image)) = RawManifest::new(largest, MediaType::OciManifest).parse()
        else {
            panic!("the largest size is fine")
        };
        assert_eq!((image.config.size, image.layers.len()), (i64::MAX as u64, 0));
    }

    #[test]
    fn ambiguous_documents_are_refused() {
        for (document, kind, path) in [
            (
                r#"{"schemaVersion":2,"config":DESCRIPTOR,"layers":[],"manifests":[]}"#,
                ErrorKind::Ambiguous,
                "manifests",
            ),
            (
                r#"{"schemaVersion":2,"config":DESCRIPTOR,"layers":[],"Manifests":[]}"#,
                ErrorKind::Ambiguous,
                "Manifests",
            ),
            (
                "{\"schemaVersion\":2,\"config\":DESCRIPTOR,\"layers\":[],\"manife\u{17f}ts\":[]}",
                ErrorKind::Ambiguous,
                "[\"manife\u{17f}ts\"]",
            ),
            (
                r#"{"schemaVersion":2,"config":DESCRIPTOR,"layers":[],"history":{}}"#,
                ErrorKind::Ambiguous,
                "history",
            ),
            (
                r#"{"schemaVersion":2,"config":DESCRIPTOR,"layers":[],"FSLAYERS":1}"#,
                ErrorKind::Ambiguous,
                "FSLAYERS",
            ),
            (
                r#"{"schemaVersion":2,"config":DESCRIPTOR,"Layers":[]}"#,
                ErrorKind::Ambiguous,
                "Layers",
            ),
            (
                r#"{"schemaVersion":2,"config":DESCRIPTOR,"layers":[],"layers":[]}"#,
                ErrorKind::DuplicateKey,
                "layers",
            ),
            (
                r#"{"schemaVersion":2,"config":DESCRIPTOR,"layers":[],"Layers":[]}"#,
                ErrorKind::DuplicateKey,
                "Layers",
            ),
            (
                r#"{"schemaVersion":2,"config":DESCRIPTOR,"layers":[],"x":1,"X":1}"#,
                ErrorKind::DuplicateKey,
                "X",
            ),
            (
                r#"{"schemaVersion":2,"config":DESCRIPTOR,"layers":[],"x":{"a":1,"a":1}}"#,
                ErrorKind::DuplicateKey,
                "x.a",
            ),
            (
                r#"{"schemaVersion":2,"config":{"mediaType":"a/b","size":0,"digest":"DIGEST","Digest":"DIGEST"},"layers":[]}"#,
                ErrorKind::DuplicateKey,
                "config.Digest",
            ),
            (
                r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","config":DESCRIPTOR,"layers":[]}"#,
                ErrorKind::MediaTypeConflict,
                "mediaType",
            ),
        ] {
            check_image(document, kind, path);
        }
        for (document, path) in [
            (r#"{"schemaVersion":2,"manifests":[],"config":{}}"#, "config"),
            (r#"{"schemaVersion":2,"manifests":[],"lAyers":[]}"#, "lAyers"),
        ] {
            check_refused(MediaType::OciIndex, document, ErrorKind::Ambiguous, path);
            check_refused(MediaType::DockerManifestList, document, ErrorKind::Ambiguous, path);
        }
        // Keys of maps may differ by case, and null is nothing.
        let fine = filled(
            r#"{"schemaVersion":2,"config":DESCRIPTOR,"layers":[],"annotations":{"a":"1","A":"2"},"manifests":null}"#,
        );
        assert!(RawManifest::new(fine, MediaType::OciManifest).parse().is_ok());
    }

    #[test]
    fn limits_hold() {
        let deep =
            format!(r#"{{"schemaVersion":2,"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        check_image(&deep, ErrorKind::TooComplex, &format!("x{}", "[0]".repeat(63)));
        let many = format!(r#"{{"schemaVersion":2,"x":[0{}]}}"#, ",0".repeat(300_000));
        check_image(&many, ErrorKind::TooComplex, "x[262141]");
        let large = format!(r#"{{"schemaVersion":2,"x":"{}"}}"#, "y".repeat(4 << 20));
        check_image(&large, ErrorKind::TooLarge, "");
        let layers = format!(
            r#"{{"schemaVersion":2,"config":DESCRIPTOR,"layers":[DESCRIPTOR{}]}}"#,
            ",DESCRIPTOR".repeat(10_000)
        );
        check_image(&layers, ErrorKind::TooComplex, "layers");
    }

    #[test]
    fn guessing_needs_something_to_go_by() {
        fn check(document: &str, expected: Result<MediaType, ErrorKind>) {
            let found = MediaType::of_manifest(filled(document).as_bytes()).map_err(|e| e.kind());
            assert_eq!(found, expected, "{document}");
        }
        check(r#"{"schemaVersion":2,"config":DESCRIPTOR,"layers":[]}"#, Ok(MediaType::OciManifest));
        check(r#"{"schemaVersion":2,"layers":[]}"#, Ok(MediaType::OciManifest));
        check(r#"{"schemaVersion":2,"manifests":null}"#, Ok(MediaType::OciIndex));
        check(r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#, Err(ErrorKind::Ambiguous));
        check(
            r#"{"schemaVersion":2,"MediaType":"application/vnd.oci.image.index.v1+json"}"#,
            Err(ErrorKind::Ambiguous),
        );
        check(r#"{"schemaVersion":2}"#, Err(ErrorKind::UnknownType));
        check(r#"{"schemaVersion":7,"manifests":[]}"#, Err(ErrorKind::UnknownType));
        check(r#"{"manifests":[]}"#, Err(ErrorKind::UnknownType));
        check("nonsense", Err(ErrorKind::Syntax));
        let content_type = Some("application/vnd.OCI.image.index.v1+json; charset=utf-8");
        let raw = RawManifest::received("{}", content_type).unwrap();
        assert_eq!(*raw.media_type(), MediaType::OciIndex);
        assert!(RawManifest::received("{}", Some("text/plain")).is_err());
    }
}
