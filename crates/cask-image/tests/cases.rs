//! Tables of cases from the field, and the schema tests of the OCI image specification.
//!
//! They are read from the folder that `CASK_CASES` names.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use cask_image::{
    CompressionChange, Digest, EncryptionChange, ImageFormat, ImageManifest, Index, LayerChange,
    LayerCompression, Manifest, ManifestError, MediaType, PlatformWanted, PreferredCompression,
    RawManifest, choose_instance, choose_instance_preferring, validate_config, validate_descriptor,
    validate_index, validate_layout, validate_manifest,
};
use serde_json::Value;

/// The folder of cases; `None` where there is none and none is needed.
fn folder() -> Option<PathBuf> {
    cask_cases::folder("the image formats")
}

fn table_file(name: &str) -> Option<Value> {
    let text = std::fs::read_to_string(folder()?.join(name)).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

/// The rows of one of the tables in `manifest.json`, with their number asserted.
fn rows(name: &str, count: usize) -> Vec<Value> {
    let Some(file) = table_file("manifest.json") else { return Vec::new() };
    let rows = file["tables"][format!("image/manifest {name}")]["rows"].as_array().unwrap().clone();
    assert_eq!(rows.len(), count, "{name}");
    rows
}

/// A fixture, wherever a link in the folder leads.
///
/// One link leads out of the folder: another schema 1 manifest stands in for its end.
fn fixture(name: &str) -> Vec<u8> {
    let name = match name {
        "schema2-to-schema1-by-docker.json" => "v2s1.manifest.json",
        name => name,
    };
    let fixtures = folder().unwrap().join("fixtures");
    match std::fs::read(fixtures.join("manifest").join(name)) {
        Ok(bytes) if !bytes.starts_with(b"../") => bytes,
        _ => std::fs::read(fixtures.join("manifest-internal").join(name)).unwrap(),
    }
}

fn text<'v>(row: &'v Value, key: &str) -> &'v str {
    row[key].as_str().unwrap_or_default()
}

fn parse_as(media_type: MediaType, bytes: Vec<u8>) -> Result<Manifest, ManifestError> {
    RawManifest::new(bytes, media_type).parse()
}

fn index(name: &str) -> Index {
    match RawManifest::guess(fixture(name)).unwrap().parse().unwrap() {
        Manifest::Index(index) => index,
        other => panic!("{name} is {other:?}"),
    }
}

fn image(name: &str) -> ImageManifest {
    match RawManifest::guess(fixture(name)).unwrap().parse().unwrap() {
        Manifest::Image(image) => image,
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn guessing_types() {
    for row in rows("TestGuessMIMEType:cases", 14) {
        let guessed = MediaType::of_manifest(&fixture(text(&row, "path")));
        let guessed = guessed.map_or(String::new(), |guessed| guessed.to_string());
        assert_eq!(guessed, text(&row, "mimeType"), "{row}");
    }
}

#[test]
fn digests() {
    for row in rows("TestDigest:cases", 3) {
        let raw = RawManifest::guess(fixture(text(&row, "path"))).unwrap();
        assert_eq!(raw.digest().as_str(), text(&row, "expectedDigest"), "{row}");
    }
    for row in rows("TestMatchesDigest:cases", 8) {
        let raw = RawManifest::guess(fixture(text(&row, "path"))).unwrap();
        let digest = text(&row, "expectedDigest").parse::<Digest>();
        assert_eq!(digest.is_ok_and(|digest| raw.matches(&digest)), row["result"], "{row}");
    }
}

#[test]
fn invalid_signatures_of_schema1_are_refused() {
    if folder().is_some() {
        let raw = RawManifest::guess(fixture("v2s1-invalid-signatures.manifest.json")).unwrap();
        let error = raw.parse().unwrap_err();
        assert_eq!(error.path(), "signatures", "{error}");
    }
}

#[test]
fn kinds_of_media_types() {
    for row in rows("TestMIMETypeIsMultiImage:literal", 6) {
        assert_eq!(MediaType::from(text(&row, "mt")).is_index(), row["expected"], "{row}");
    }
    for row in rows("TestNormalizedMIMEType:literal", 6) {
        let content_type = row.as_str().unwrap();
        let raw = RawManifest::received("{}", Some(content_type)).unwrap();
        assert_eq!(raw.media_type().as_str(), content_type);
    }
    // The Go tools take these for schema 1 without looking; so they are, if the bytes are.
    for row in rows("TestNormalizedMIMEType:literal#2", 4) {
        let raw = RawManifest::received(fixture("v2s1.manifest.json"), row.as_str()).unwrap();
        assert_eq!(*raw.media_type(), MediaType::DockerSchema1Signed, "{row}");
        let raw = RawManifest::received(fixture("v2s2.manifest.json"), row.as_str()).unwrap();
        assert_eq!(*raw.media_type(), MediaType::DockerManifest, "{row}");
    }
}

#[test]
fn known_media_types() {
    let tables =
        [("TestSupportedSchema2MediaType:data", 8), ("TestSupportedOCI1MediaType:data", 11)];
    // Types of documents that no manifest names, and that have no name here.
    let unnamed =
        ["application/vnd.oci.descriptor.v1+json", "application/vnd.oci.layout.header.v1+json"];
    for row in tables.iter().flat_map(|(name, count)| rows(name, *count)) {
        let media_type = MediaType::from(text(&row, "m"));
        let unknown = matches!(media_type, MediaType::Other(_));
        let expected = row["mustFail"] == true || unnamed.contains(&media_type.as_str());
        assert_eq!(unknown, expected, "{row}");
    }
}

/// The format whose layer types a row's variant table has.
fn format_of(row: &Value) -> ImageFormat {
    if row["compression"].to_string().contains("vnd.oci") {
        ImageFormat::Oci
    } else {
        ImageFormat::Docker
    }
}

fn check_compression(table: &str, count: usize, compression: LayerCompression) {
    for row in rows(&format!("TestUpdatedMIMEType:{table}"), count) {
        let media_type = MediaType::from(text(&row, "mimeType"));
        let found = format_of(&row).layer_type(&media_type, compression);
        let expected = row.get("updatedType").map(|updated| updated.as_str().unwrap());
        assert_eq!(found.as_ref().map(MediaType::as_str), expected, "{table} {row}");
    }
}

#[test]
fn compressions_of_layer_types() {
    check_compression("decompressSuccess", 10, LayerCompression::None);
    check_compression("decompressFailure", 10, LayerCompression::None);
    check_compression("compressGzipSuccess", 10, LayerCompression::Gzip);
    check_compression("compressGzipFailure", 10, LayerCompression::Gzip);
    check_compression("compressZstdSuccess", 6, LayerCompression::Zstd);
    check_compression("compressZstdFailure", 14, LayerCompression::Zstd);
    // Nothing changes the type here, be it a layer's or not.
    for row in rows("TestUpdatedMIMEType:preserve", 20) {
        let mut image = image("v2s2.uncompressed.manifest.json");
        image.format = format_of(&row);
        image.layers[0].media_type = MediaType::from(text(&row, "mimeType"));
        let keep: Vec<LayerChange> = image.layers.iter().map(LayerChange::keep).collect();
        assert_eq!(image.with_layers(&keep).unwrap().layers, image.layers, "{row}");
    }
}

/// A row's instruction for one layer; `None` for one that cannot be said here: an unknown
/// operation, or compressing with nothing.
fn change(update: &Value) -> Option<LayerChange> {
    let algorithm = match update["CompressionAlgorithm"]["name"].as_str() {
        Some("gzip") => Some(LayerCompression::Gzip),
        Some("zstd") => Some(LayerCompression::Zstd),
        Some(_) => return None,
        None => None,
    };
    let compression = match (update["CompressionOperation"].as_u64()?, algorithm) {
        (0, None) => CompressionChange::Keep,
        (1, None) => CompressionChange::To(LayerCompression::None),
        (0 | 2, Some(algorithm)) => CompressionChange::To(algorithm),
        _ => return None,
    };
    let encryption = match update["CryptoOperation"].as_u64()? {
        0 => EncryptionChange::Keep,
        1 => EncryptionChange::Encrypt,
        2 => EncryptionChange::Decrypt,
        _ => return None,
    };
    let annotations: Option<BTreeMap<String, String>> =
        serde_json::from_value(update["Annotations"].clone()).unwrap();
    Some(LayerChange {
        digest: text(update, "Digest").parse().unwrap(),
        size: update["Size"].as_u64()?,
        compression,
        encryption,
        urls: Vec::new(),
        annotations: annotations.unwrap_or_default(),
    })
}

#[test]
fn changing_layers() {
    let tables = [
        ("TestSchema2UpdateLayerInfos:literal", 7, 1),
        ("TestOCI1UpdateLayerInfos:literal", 11, 2),
    ];
    for (table, count, expected_unsayable) in tables {
        let mut unsayable = 0;
        for row in rows(table, count) {
            let changes = row["updates"].as_array().unwrap().iter().map(change);
            let Some(changes) = changes.collect::<Option<Vec<_>>>() else {
                assert_eq!(text(&row, "expectedFixture"), "", "{row}");
                unsayable += 1;
                continue;
            };
            let changed = image(text(&row, "sourceFixture")).with_layers(&changes);
            match (changed, text(&row, "expectedFixture")) {
                (changed, "") => assert!(changed.is_err(), "{row}"),
                (changed, expected) => {
                    let encoded = changed.unwrap().encode();
                    let found: Value = serde_json::from_slice(encoded.bytes()).unwrap();
                    let mut expected: Value = serde_json::from_slice(&fixture(expected)).unwrap();
                    if *encoded.media_type() == MediaType::DockerManifest {
                        // Some fixtures have them, but the format has not.
                        expected.as_object_mut().unwrap().remove("annotations");
                    }
                    assert_eq!(found, expected, "{row}");
                }
            }
        }
        assert!(folder().is_none() || unsayable == expected_unsayable, "{table}: {unsayable}");
    }
}

/// Two tables are about things that are not here: `TestCompressionVariantMIMEType` (17 rows) tests
/// a lookup in tables of invented types, where this crate has an enum; and
/// `TestSchema1UpdateLayerInfos` (5 rows) writes schema 1, which this crate only reads.
#[test]
fn tables_about_other_things() {
    rows("TestCompressionVariantMIMEType:literal", 17);
    rows("TestSchema1UpdateLayerInfos:literal", 5);
    if let Some(file) = table_file("manifest.json") {
        let tables = file["tables"].as_object().unwrap();
        let rows = tables.values().map(|table| table["rows"].as_array().unwrap().len());
        assert_eq!((tables.len(), rows.sum::<usize>()), (28, 209));
    }
}

#[test]
fn documents_of_another_kind_are_refused() {
    let tables = [
        ("", 4, MediaType::DockerSchema1Signed),
        ("#2", 3, MediaType::DockerManifestList),
        ("#3", 4, MediaType::DockerManifest),
        ("#4", 3, MediaType::OciManifest),
    ];
    for (number, count, media_type) in tables {
        for row in rows(&format!("testManifestFixturesAreRejected:fixtures{number}"), count) {
            let bytes = fixture(row.as_str().unwrap());
            assert!(parse_as(media_type.clone(), bytes.clone()).is_err(), "{media_type} {row}");
            // Not even without the type that it says.
            let mut value: Value = serde_json::from_slice(&bytes).unwrap();
            value.as_object_mut().unwrap().remove("mediaType");
            let parsed = parse_as(media_type.clone(), value.to_string().into());
            let same_fields =
                media_type == MediaType::OciManifest || media_type == MediaType::DockerManifest;
            let one_kind = value.get("layers").is_some() && same_fields;
            assert_eq!(parsed.is_ok(), one_kind, "{media_type} {row}");
        }
    }
}

#[test]
fn documents_of_two_kinds_are_refused() {
    let tables = [
        ("", 3, "v2s1-unsigned.manifest.json"),
        ("#2", 4, "v2list.manifest.json"),
        ("#3", 3, "v2s2.manifest.json"),
        ("#3", 3, "ociv1.manifest.json"),
        ("#2", 4, "ociv1.image.index.json"),
    ];
    for (number, count, name) in tables {
        for row in
            rows(&format!("testValidManifestWithExtraFieldsIsRejected:fields{number}"), count)
        {
            let media_type = MediaType::of_manifest(&fixture(name)).unwrap();
            let field = row.as_str().unwrap();
            for key in [field.to_owned(), field.to_uppercase()] {
                let mut value: Value = serde_json::from_slice(&fixture(name)).unwrap();
                assert!(parse_as(media_type.clone(), value.to_string().into()).is_ok(), "{name}");
                value[key.as_str()] = serde_json::json!([]);
                let error = parse_as(media_type.clone(), value.to_string().into()).unwrap_err();
                assert_eq!(error.kind(), cask_image::ManifestErrorKind::Ambiguous, "{name} {key}");
            }
        }
    }
}

#[test]
fn lists() {
    for row in rows("TestParseLists:cases", 2) {
        let index = index(text(&row, "path"));
        assert_eq!(index.format.index_type().as_str(), text(&row, "mimeType"));
    }
}

#[test]
fn choosing_instances() {
    for row in rows("TestChooseInstance:literal", 3) {
        let index = index(text(&row, "listFile"));
        for case in row["matchedInstances"].as_array().unwrap() {
            let mut wanted = PlatformWanted::new("linux", text(case, "arch"));
            wanted.variant = Some(text(case, "variant").to_owned()).filter(|v| !v.is_empty());
            let chosen = choose_instance(&index, &wanted).unwrap();
            assert_eq!(chosen.digest.as_str(), text(case, "instanceDigest"), "{row} {case}");
        }
        for architecture in row["unmatchedInstances"].as_array().unwrap() {
            let wanted = PlatformWanted::new("linux", architecture.as_str().unwrap());
            assert!(choose_instance(&index, &wanted).is_err(), "{row}");
        }
    }
    if folder().is_none() {
        return;
    }
    let index = index("oci1.index.zstd-selection.json");
    let wanted = PlatformWanted::new("linux", "amd64");
    for (preferred, expected) in
        [(PreferredCompression::Zstd, "bbbb"), (PreferredCompression::Gzip, "aaaa")]
    {
        let chosen = choose_instance_preferring(&index, &wanted, preferred).unwrap();
        assert!(chosen.digest.hex().starts_with(expected), "{preferred:?} {}", chosen.digest);
    }
}

/// The fixtures that hold every field carry data that is not what their digests say.
#[test]
fn data_that_is_not_what_its_digest_says_is_refused() {
    if folder().is_none() {
        return;
    }
    for name in ["ociv1.everything.json", "oci1.index.everything.json"] {
        let error = RawManifest::guess(fixture(name)).unwrap().parse().unwrap_err();
        assert!(error.path().ends_with(".data"), "{error}");
        let mut honest = String::from_utf8(fixture(name)).unwrap();
        for data in ["YQ==", "YmM=", "ZGVm"] {
            honest = honest.replace(&format!("\"data\": \"{data}\","), "");
            honest = honest.replace(&format!(",\n        \"data\": \"{data}\""), "");
            honest = honest.replace(&format!(",\n            \"data\": \"{data}\""), "");
        }
        // All other fields come back out.
        let raw = RawManifest::guess(honest.clone().into_bytes()).unwrap();
        let encoded = match raw.parse().unwrap() {
            Manifest::Image(image) => image.encode(),
            Manifest::Index(index) => index.encode(),
            other => panic!("{other:?}"),
        };
        let found: Value = serde_json::from_slice(encoded.bytes()).unwrap();
        assert_eq!(found, serde_json::from_str::<Value>(&honest).unwrap());
    }
    for name in ["v2s2.everything.json", "v2list.everything.json"] {
        let raw = RawManifest::guess(fixture(name)).unwrap();
        let encoded = match raw.parse().unwrap() {
            Manifest::Image(image) => image.encode(),
            Manifest::Index(index) => index.encode(),
            other => panic!("{other:?}"),
        };
        let found: Value = serde_json::from_slice(encoded.bytes()).unwrap();
        assert_eq!(found, serde_json::from_slice::<Value>(&fixture(name)).unwrap());
    }
}

/// The rows of the specification's schema tests where the answer here is another one, and why.
const DEVIATIONS: [(usize, &str); 7] = [
    (31, "sha256+b64 is not a registered algorithm: what it names could not be verified"),
    (32, "the same document again"),
    (33, "sha256+foo-bar is not a registered algorithm"),
    (34, "sha256.foo-bar is not a registered algorithm"),
    (35, "multihash+base58 is not a registered algorithm"),
    (37, "sha256+b64u is not a registered algorithm"),
    (60, "four digests of such algorithms; and text behind the document, a slip of the table"),
];

#[test]
fn schemas_of_the_specification() {
    let Some(file) = table_file("image-spec-schema.json") else { return };
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 82);
    let mut deviations = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let mut json = text(case, "json").to_owned();
        if text(case, "source").contains("BackwardsCompatibility") {
            for (docker, oci) in [
                (MediaType::DockerManifestList, MediaType::OciIndex),
                (MediaType::DockerManifest, MediaType::OciManifest),
                (MediaType::DockerConfig, MediaType::OciConfig),
            ] {
                json = json.replace(docker.as_str(), oci.as_str());
            }
        }
        let kind = match text(case, "kind") {
            "prose-example" => text(case, "media_type"),
            kind => kind,
        };
        let validate: fn(&[u8]) -> Result<(), ManifestError> = match kind {
            "config" | "application/vnd.oci.image.config.v1%2Bjson" => validate_config,
            "descriptor" | "application/vnd.oci.descriptor.v1%2Bjson" => validate_descriptor,
            "image-index" | "application/vnd.oci.image.index.v1%2Bjson" => validate_index,
            "image-layout" | "application/vnd.oci.layout.header.v1%2Bjson" => validate_layout,
            "manifest" | "application/vnd.oci.image.manifest.v1%2Bjson" => validate_manifest,
            other => panic!("{other}"),
        };
        let found = validate(json.as_bytes());
        if found.is_ok() != (case["valid"] == true) {
            eprintln!("{number} {} {found:?}", text(case, "comment"));
            deviations.push(number);
        }
    }
    let known: Vec<usize> = DEVIATIONS.iter().map(|(number, _)| *number).collect();
    assert_eq!(deviations, known);
}
