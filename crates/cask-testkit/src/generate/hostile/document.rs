//! Manifests that must not be understood.

use cask_image::MediaType;

use super::case::{Case, Fault};
use crate::generate::content::Blob;

/// Texts that stand where a digest belongs and are none.
pub const DIGESTS: [&str; 22] = [
    "",
    "sha256",
    "sha256:",
    ":",
    "sha256:0123",
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0",
    "sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
    "sha256:0123456789abcdeg0123456789abcdef0123456789abcdef0123456789abcdef",
    " sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\\n",
    "sha512:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "md5:0123456789abcdef0123456789abcdef",
    "SHA256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "sha256:../../../../../../../../../../../../../../../../../../../etc/passwd",
    "../sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "sha256/../../x:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "sha256:..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "sha256:/etc/passwd",
    "sha256:\\u0000123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef?x=y",
];

/// Texts that stand where a size belongs and are none.
pub const SIZES: [&str; 9] = [
    "-1",
    "-9223372036854775808",
    "9223372036854775808",
    "99999999999999999999999",
    "1.5",
    "1e400",
    "\"12\"",
    "[]",
    "true",
];

const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

/// A part of a manifest, with the digest and the size as they are to stand.
fn link(media_type: &str, digest: &str, size: &str) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
}

fn manifest(config: &str, layer: &str, more: &str) -> Blob {
    let media_type = MediaType::OciManifest;
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{media_type}","config":{config},"layers":[{layer}]{more}}}"#
    );
    Blob::new(media_type, text)
}

fn index(entry: &str) -> Blob {
    let media_type = MediaType::OciIndex;
    let text = format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[{entry}]}}"#);
    Blob::new(media_type, text)
}

fn config(digest: &str, size: &str) -> String {
    link(MediaType::OciConfig.as_str(), digest, size)
}

fn layer(digest: &str, size: &str) -> String {
    link("application/vnd.oci.image.layer.v1.tar", digest, size)
}

/// Manifests and indexes with something impossible in them: each of [`DIGESTS`] and [`SIZES`] in
/// each place, and texts that are no manifest.
pub fn malformed_manifests() -> Vec<Case<Blob>> {
    let texts = DIGESTS.iter().map(|text| ("digest", *text, *text, "2"));
    let texts = texts.chain(SIZES.iter().map(|text| ("size", *text, DIGEST, *text)));
    let (good_config, good_layer) = (config(DIGEST, "2"), layer(DIGEST, "2"));
    let mut cases = Vec::new();
    for (what, text, digest, size) in texts {
        let entry = link(MediaType::OciManifest.as_str(), digest, size);
        let places = [
            ("config", manifest(&config(digest, size), &good_layer, "")),
            ("layer", manifest(&good_config, &layer(digest, size), "")),
            ("subject", manifest(&good_config, &good_layer, &format!(",\"subject\":{entry}"))),
            ("entry", index(&entry)),
        ];
        cases.extend(places.into_iter().map(|(place, blob)| {
            Case::new(format!("{what} {text:?} of the {place}"), Fault::Malformed, blob)
        }));
    }
    let texts: [(&str, &[u8]); 11] = [
        ("nothing", b""),
        ("null", b"null"),
        ("a list", b"[]"),
        ("a string", b"\"manifest\""),
        ("an empty object", b"{}"),
        ("a manifest cut short", b"{\"schemaVersion\":2,\"config\":{"),
        ("two documents", b"{\"schemaVersion\":2}{\"schemaVersion\":2}"),
        ("a document of ten thousand levels", &[b'['; 10_000]),
        ("bytes that are no UTF-8", b"{\"schemaVersion\":2,\"layers\":[],\"x\":\"\xff\"}"),
        ("a NUL in a key", b"{\"schemaVersion\0\":2}"),
        ("layers that are no list", b"{\"schemaVersion\":2,\"layers\":{}}"),
    ];
    cases.extend(texts.into_iter().map(|(name, text)| {
        Case::new(name, Fault::Malformed, Blob::new(MediaType::OciManifest, text.to_vec()))
    }));
    cases
}

/// Documents that are a manifest to one reader and something else to another: keys of two kinds,
/// keys in other case, and keys that stand twice.
///
/// Source: CVE-2021-41190; containers/image, `manifest.ValidateUnambiguousManifestFormat`.
pub fn ambiguous_manifests() -> Vec<Case<Blob>> {
    let (config_, layer_) = (config(DIGEST, "2"), layer(DIGEST, "2"));
    let image = format!(r#""config":{config_},"layers":[{layer_}]"#);
    let entry = link(MediaType::OciManifest.as_str(), DIGEST, "2");
    let list = format!(r#""manifests":[{entry}]"#);
    let head = |media_type: &MediaType| format!(r#""schemaVersion":2,"mediaType":"{media_type}""#);
    let (is_image, is_list) = (head(&MediaType::OciManifest), head(&MediaType::OciIndex));
    let empty = format!(r#""config":{config_},"layers":[]"#);
    let cases = [
        ("manifest that is also an index", format!("{is_image},{image},{list}")),
        ("index that is also a manifest", format!("{is_list},{list},{image}")),
        ("index with layers", format!(r#"{is_list},{list},"layers":[]"#)),
        ("index with a config", format!(r#"{is_list},{list},"config":{config_}"#)),
        ("manifest with layers of schema 1", format!(r#"{is_image},{image},"fsLayers":[]"#)),
        ("manifest with history of schema 1", format!(r#"{is_image},{image},"history":[]"#)),
        (
            "manifest that is also an index, in capitals",
            format!(r#"{is_image},{image},"MANIFESTS":[{entry}]"#),
        ),
        (
            "index that is also a manifest, in capitals",
            format!(r#"{is_list},{list},"Config":{config_},"Layers":[]"#),
        ),
        ("layers twice", format!(r#"{is_image},{image},"layers":[]"#)),
        ("layers twice, once in capitals", format!(r#"{is_image},{image},"Layers":[]"#)),
        ("layers twice, once escaped", format!(r#"{is_image},{image},"\u006cayers":[]"#)),
        ("config twice", format!(r#"{is_image},{empty},"config":{}"#, config(DIGEST, "3"))),
        (
            "media type twice",
            format!(r#"{is_image},{image},"mediaType":"{}""#, MediaType::OciIndex),
        ),
        ("manifests twice", format!(r#"{is_list},{list},"manifests":[]"#)),
        (
            "digest of a layer twice",
            format!(
                r#"{is_image},"config":{config_},"layers":[{{"digest":"{DIGEST}",{}]"#,
                &layer_[1..]
            ),
        ),
    ];
    let blob = |text: &str| {
        let list = text.starts_with(&is_list);
        let media_type = if list { MediaType::OciIndex } else { MediaType::OciManifest };
        Blob::new(media_type, format!("{{{text}}}"))
    };
    cases.into_iter().map(|(name, text)| Case::new(name, Fault::Ambiguous, blob(&text))).collect()
}
