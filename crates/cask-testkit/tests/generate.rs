//! What is generated is what is said to be generated.

use std::collections::BTreeMap;
use std::io::Read as _;

use bytes::Bytes;
use cask_image::{Algorithm, Hasher, MediaType, Platform};
use cask_testkit::generate::{
    ArtifactSpec, Blob, Compression, Content, Format, Image, ImageSpec, IndexSpec, LayerSpec,
    SaveForm, TarEntry, attestation, dir_files, docker_archive, oci_archive, oci_layout_files,
    platforms_index, write_dir, write_oci_layout,
};
use proptest::prelude::*;
use serde_json::Value;

fn json(bytes: &Bytes) -> Value {
    serde_json::from_slice(bytes).expect("a generated document is JSON")
}

fn unpacked(bytes: &Bytes, compression: Compression) -> Vec<u8> {
    let mut out = Vec::new();
    match compression {
        Compression::None => return bytes.to_vec(),
        Compression::Gzip => flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut out),
        Compression::Zstd => {
            zstd::Decoder::new(&bytes[..]).expect("a stream").read_to_end(&mut out)
        }
    }
    .expect("a whole stream");
    out
}

/// Checks everything that documents tell, against bytes.
fn check_image(image: &Image, compression: Compression, algorithm: Algorithm) {
    let content = image.content();
    assert!(content.is_honest());
    let manifest = json(&image.manifest.bytes);
    let config = json(&image.config.bytes);
    let link = |document: &Value, blob: &Blob| {
        assert_eq!(document["mediaType"], blob.descriptor.media_type.as_str());
        assert_eq!(document["digest"], Hasher::digest(algorithm, &blob.bytes).as_str());
        assert_eq!(document["size"], blob.bytes.len());
    };
    assert_eq!(manifest["mediaType"], image.manifest.descriptor.media_type.as_str());
    link(&manifest["config"], &image.config);
    assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(image.layers.len()));
    for (index, layer) in image.layers.iter().enumerate() {
        link(&manifest["layers"][index], &layer.blob);
        assert_eq!(unpacked(&layer.blob.bytes, compression), layer.tar);
        let diff_id = Hasher::digest(algorithm, &layer.tar);
        assert_eq!(layer.diff_id, diff_id);
        assert_eq!(config["rootfs"]["diff_ids"][index], diff_id.as_str());
    }
    let steps = config["history"].as_array().expect("steps").iter();
    let full = steps.filter(|step| step.get("empty_layer").is_none());
    assert_eq!(full.count(), image.layers.len());
}

#[test]
fn images_tell_the_truth_in_every_form() {
    for format in [Format::Oci, Format::Docker] {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
                let layer = |seed| LayerSpec::new(seed).compression(compression);
                let image = ImageSpec::new(5)
                    .format(format)
                    .algorithm(algorithm)
                    .layer(layer(1).size_bytes(100_000).files(7))
                    .layer(layer(2).entry(TarEntry::file("etc/.wh.passwd", "")))
                    .build();
                check_image(&image, compression, algorithm);
            }
        }
    }
    check_image(&ImageSpec::new(5).without_layers().build(), Compression::None, Algorithm::Sha256);
}

#[test]
fn media_types_are_those_of_the_format() {
    #[track_caller]
    fn check(format: Format, compression: Compression, expected: [&str; 3]) {
        let layer = LayerSpec::new(1).compression(compression);
        let image = ImageSpec::new(1).format(format).layer(layer).build();
        let types = [&image.manifest, &image.config, &image.layers[0].blob];
        assert_eq!(types.map(|blob| blob.descriptor.media_type.as_str()), expected);
    }
    let oci =
        ["application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json"];
    let docker = [
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.container.image.v1+json",
    ];
    let layer = "application/vnd.oci.image.layer.v1.tar";
    check(Format::Oci, Compression::None, [oci[0], oci[1], layer]);
    check(Format::Oci, Compression::Gzip, [oci[0], oci[1], &format!("{layer}+gzip")]);
    check(Format::Oci, Compression::Zstd, [oci[0], oci[1], &format!("{layer}+zstd")]);
    let layer = "application/vnd.docker.image.rootfs.diff.tar";
    check(Format::Docker, Compression::None, [docker[0], docker[1], layer]);
    check(Format::Docker, Compression::Gzip, [docker[0], docker[1], &format!("{layer}.gzip")]);
    let foreign = LayerSpec::new(1).foreign("https://example.com/layer");
    let image = ImageSpec::new(1).layer(foreign).build();
    let layer = &json(&image.manifest.bytes)["layers"][0];
    assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip");
    assert_eq!(layer["urls"][0], "https://example.com/layer");
}

/// A change of what a seed makes is a change of every recorded result.
#[test]
fn a_seed_always_makes_the_same_image() {
    let layer = LayerSpec::new(1).compression(Compression::None);
    let spec = ImageSpec::new(1).layer(layer.clone()).label("a", "b").annotation("c", "d");
    assert_eq!(spec.build(), spec.build());
    assert_eq!(
        spec.build().digest().as_str(),
        "sha256:dbfe61a10f2d76d1d4259929e8046d8219cafd176e91bfdd33dfcd3da9b013e6"
    );
    let other = ImageSpec::new(2).layer(layer).build();
    assert_ne!(other.digest(), spec.build().digest());
    assert_eq!(other.layers, spec.build().layers);
    assert_ne!(ImageSpec::new(1).build().layers, ImageSpec::new(2).build().layers);
}

#[test]
fn content_holds_nothing_twice() {
    let layer = LayerSpec::new(1);
    let image = ImageSpec::new(1).layer(layer.clone()).layer(layer).build();
    assert_eq!(image.layers.len(), 2);
    assert_eq!(image.content().blobs.len(), 2);
    let index = IndexSpec::new().image(&image).image(&image).build();
    assert_eq!(index.manifests.len(), 2);
    assert_eq!(json(index.top_bytes())["manifests"].as_array().map(Vec::len), Some(2));
}

#[test]
fn indexes_nest_and_carry_everything() {
    let arm = Platform { variant: Some("v7".into()), ..Platform::new("linux", "arm") };
    let image = ImageSpec::new(1).platform(arm).build();
    let inner = IndexSpec::new().image(&image).attestation(&image).build();
    let sbom = ArtifactSpec::new(3, "application/spdx+json").subject(&image.manifest.descriptor);
    let sbom = sbom.annotation("a", "b").blob("text/plain", "hello").build();
    let outer = IndexSpec::new().content(&inner).content(&sbom).annotation("name", "outer").build();
    assert!(outer.is_honest());
    assert_eq!(outer.manifests.last().map(Blob::digest), Some(&outer.top.digest));
    let entries = |content: &Content| json(content.top_bytes())["manifests"].clone();

    let found = entries(&inner);
    assert_eq!(found[0]["platform"]["architecture"], "arm");
    assert_eq!(found[0]["platform"]["variant"], "v7");
    assert_eq!(found[1]["platform"]["os"], "unknown");
    let annotations = &found[1]["annotations"];
    assert_eq!(annotations["vnd.docker.reference.type"], "attestation-manifest");
    assert_eq!(annotations["vnd.docker.reference.digest"], image.digest().as_str());
    assert!(outer.manifest(&attestation(&image).top.digest).is_some());

    let found = entries(&outer);
    assert_eq!(found[0]["mediaType"], "application/vnd.oci.image.index.v1+json");
    assert_eq!(found[1]["artifactType"], "application/spdx+json");
    let manifest = json(sbom.top_bytes());
    assert_eq!(manifest["subject"]["digest"], image.digest().as_str());
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.empty.v1+json");
    assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(2));
}

#[test]
fn platform_indexes_share_their_lowest_layer() {
    for (format, manifests, blobs) in
        [(Format::Oci, 7, 3 + 3 + 1 + 6), (Format::Docker, 4, 3 + 3 + 1)]
    {
        let index = platforms_index(4, format);
        assert!(index.is_honest());
        assert_eq!((index.manifests.len(), index.blobs.len()), (manifests, blobs));
    }
}

/// Every file of a layout or directory that is named by a digest has it.
fn check_names(files: &BTreeMap<String, Bytes>, blobs: usize) {
    let mut checked = 0;
    for (path, bytes) in files {
        let name = path.rsplit('/').next().unwrap_or_default();
        let name = name.strip_suffix(".manifest.json").unwrap_or(name);
        let algorithm = match name.len() {
            64 => Algorithm::Sha256,
            135 => Algorithm::Sha512,
            128 => Algorithm::Sha512,
            _ => continue,
        };
        assert_eq!(Hasher::digest(algorithm, bytes).hex(), name.trim_start_matches("sha512-"));
        checked += 1;
    }
    assert_eq!(checked, blobs);
}

#[test]
fn layouts_hold_every_blob_and_name() {
    let image = ImageSpec::new(1).build();
    let sha512 = ImageSpec::new(1).algorithm(Algorithm::Sha512).build().content();
    let sbom = ArtifactSpec::new(3, "x/y").subject(&image.manifest.descriptor).build();
    let content = image.content();
    let files = oci_layout_files(&[(Some("a"), &content), (None, &sbom), (Some("b"), &sha512)]);
    check_names(&files, 4 + 3 + 4);
    assert_eq!(files["oci-layout"], r#"{"imageLayoutVersion":"1.0.0"}"#);
    let entries = &json(&files["index.json"])["manifests"];
    assert_eq!(entries[0]["digest"], image.digest().as_str());
    assert_eq!(entries[0]["annotations"]["org.opencontainers.image.ref.name"], "a");
    assert!(entries[1].get("annotations").is_none());
    assert_eq!(entries[1]["artifactType"], "x/y");
    assert!(files.keys().filter(|path| path.starts_with("blobs/sha512/")).count() == 4);

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/layout");
    write_oci_layout(&path, &[(Some("a"), &content)]).unwrap();
    assert_eq!(
        std::fs::read(path.join("index.json")).unwrap(),
        oci_layout_files(&[(Some("a"), &content)])["index.json"]
    );
    write_oci_layout(&directory.path().join("empty"), &[]).unwrap();
    assert!(directory.path().join("empty/blobs/sha256").is_dir());
}

#[test]
fn directories_hold_every_blob_and_instance() {
    let content = platforms_index(1, Format::Docker);
    let files = dir_files(&content);
    check_names(&files, 7 + 3);
    assert_eq!(files["manifest.json"], content.top_bytes());
    assert_eq!(files["version"], "Directory Transport Version: 1.1\n");
    assert_eq!(files.len(), 7 + 3 + 2);

    let sha512 = ImageSpec::new(1).algorithm(Algorithm::Sha512).build().content();
    let files = dir_files(&sha512);
    check_names(&files, 3);
    assert_eq!(files["version"], "Directory Transport Version: 1.2\n");

    let directory = tempfile::tempdir().unwrap();
    write_dir(directory.path(), &sha512).unwrap();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), files.len());
}

/// The members of an archive, as an independent reader sees them.
fn members(archive: &[u8]) -> BTreeMap<String, Bytes> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().expect("an archive");
    let entry = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.expect("an entry");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("content");
        (entry.path().expect("a name").display().to_string(), bytes.into())
    };
    entries.map(entry).collect()
}

#[test]
fn archives_hold_what_the_directories_hold() {
    let image = ImageSpec::new(1).format(Format::Docker).build();
    let other = ImageSpec::new(2).build();
    let content = image.content();
    let entries = [(Some("a"), &content)];
    let mut found = members(&oci_archive(&entries));
    found.retain(|path, _| !path.ends_with('/'));
    assert_eq!(found, oci_layout_files(&entries));

    for form in [SaveForm::Flat, SaveForm::Hybrid] {
        let images: [(&Image, &[&str]); 3] = [
            (&image, &["docker.io/library/a:1", "docker.io/library/a:2"]),
            (&other, &[]),
            (&image, &[]),
        ];
        let found = members(&docker_archive(&images, form));
        let items = json(&found["manifest.json"]);
        for (index, (image, tags)) in images.iter().enumerate() {
            let item = &items[index];
            assert_eq!(item["RepoTags"].as_array().map(Vec::len), Some(tags.len()));
            assert_eq!(found[item["Config"].as_str().unwrap()], image.config.bytes);
            for (index, layer) in image.layers.iter().enumerate() {
                let bytes = match form {
                    SaveForm::Flat => &layer.tar,
                    SaveForm::Hybrid => &layer.blob.bytes,
                };
                assert_eq!(found[item["Layers"][index].as_str().unwrap()], bytes);
            }
        }
        assert_eq!(found.contains_key("index.json"), form == SaveForm::Hybrid);
    }
}

#[test]
fn the_type_of_a_layer_can_lie() {
    let layer = LayerSpec::new(1).compression(Compression::None);
    let layer = layer.media_type(MediaType::OciLayer(cask_image::LayerCompression::Gzip));
    let image = ImageSpec::new(1).layer(layer).build();
    assert_eq!(image.layers[0].blob.bytes, image.layers[0].tar);
    assert!(image.content().is_honest());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn layers_of_any_size_have_that_size(seed: u64, files in 0..9_usize, size in 0..20_000_usize) {
        let layer = LayerSpec::new(seed).files(files).size_bytes(size);
        let image = ImageSpec::new(seed).layer(layer).build();
        prop_assert!(image.content().is_honest());
        let found: usize = members(&image.layers[0].tar).values().map(Bytes::len).sum();
        prop_assert_eq!(found, if files == 0 { 0 } else { size });
    }
}
