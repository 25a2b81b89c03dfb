use super::*;
use crate::{
    Algorithm, Descriptor, Hasher, ImageFormat, ImageManifest, Index, LayerCompression, Manifest,
    MediaType, Platform, RawManifest, Schema1,
};

fn descriptor(media_type: &str) -> Descriptor {
    Descriptor::new(MediaType::from(media_type), Hasher::digest(Algorithm::Sha256, b"{}"), 2)
}

fn oci_image(layers: &[&str]) -> ImageManifest {
    let layers = layers.iter().map(|layer| descriptor(layer)).collect();
    ImageManifest::new(
        ImageFormat::Oci,
        descriptor("application/vnd.oci.image.config.v1+json"),
        layers,
    )
}

fn docker_image(layers: &[&str]) -> ImageManifest {
    let config = descriptor("application/vnd.docker.container.image.v1+json");
    ImageManifest::new(
        ImageFormat::Docker,
        config,
        layers.iter().map(|layer| descriptor(layer)).collect(),
    )
}

const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// Checks the kind and the subject of an error.
fn check<T: std::fmt::Debug>(
    result: Result<T, ConversionError>,
    kind: ConversionErrorKind,
    subject: &str,
) {
    let error = result.expect_err(subject);
    assert_eq!((error.kind(), error.subject()), (kind, subject), "{error}");
}

#[test]
fn what_docker_has_no_type_for_is_refused() {
    for (suffix, kind) in [
        ("+zstd", ConversionErrorKind::UnsupportedCompression),
        ("+encrypted", ConversionErrorKind::UnsupportedEncryption),
        ("+zstd+encrypted", ConversionErrorKind::UnsupportedEncryption),
        ("+lz4", ConversionErrorKind::UnknownLayerType),
    ] {
        let image = oci_image(&[OCI_LAYER, &format!("{OCI_LAYER}{suffix}")]);
        check(image.to_docker(), kind, "layers[1]");
    }
    let mut artifact = oci_image(&[]);
    artifact.config.media_type = MediaType::OciEmpty;
    artifact.artifact_type = Some(MediaType::from("application/x"));
    assert!(artifact.is_artifact());
    let error = artifact.to_docker().unwrap_err();
    assert_eq!(error.kind(), ConversionErrorKind::Artifact);
    assert_eq!(
        error.to_string(),
        "unsupported image-specific operation on artifact with type \"application/x\""
    );
    let mut mixed = oci_image(&[]);
    mixed.config.media_type = MediaType::DockerConfig;
    check(mixed.to_docker(), ConversionErrorKind::MixedFormats, "");
}

#[test]
fn everything_that_is_lost_is_named() {
    let mut image = oci_image(&[OCI_LAYER]);
    image.annotations = [("a".into(), "b".into())].into();
    image.subject = Some(descriptor("application/vnd.oci.image.manifest.v1+json"));
    image.artifact_type = Some(MediaType::from("a/b"));
    image.unknown_fields = vec!["x.y".into()];
    image.config.data = Some(b"{}".to_vec());
    image.layers[0].annotations = [("a".into(), "b".into())].into();
    image.layers[0].platform = Some(Platform::new("linux", "amd64"));
    let losses = image.to_docker().unwrap().losses;
    let losses: Vec<(&str, LossKind)> = losses.iter().map(|l| (l.path.as_str(), l.kind)).collect();
    assert_eq!(
        losses,
        [
            ("annotations", LossKind::Annotations),
            ("artifactType", LossKind::ArtifactType),
            ("subject", LossKind::Subject),
            ("x.y", LossKind::UnknownField),
            ("config.data", LossKind::EmbeddedData),
            ("layers[0].annotations", LossKind::Annotations),
            ("layers[0].platform", LossKind::Platform),
        ]
    );
}

#[test]
fn the_config_has_to_be_the_right_one() {
    let image = docker_image(&[DOCKER_LAYER]);
    assert!(image.to_oci(b"{}").is_ok());
    check(image.to_oci(b"{ }"), ConversionErrorKind::WrongConfig, "config");
    let mut long = image.clone();
    long.config.size = 3;
    check(long.to_oci(b"{}"), ConversionErrorKind::WrongConfig, "config");
    let mut bad = image.clone();
    bad.config.digest = Hasher::digest(Algorithm::Sha256, b"[]");
    let error = bad.to_oci(b"[]").unwrap_err();
    assert_eq!(error.kind(), ConversionErrorKind::InvalidConfig);
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.to_string().starts_with("expected an object"), "{source}");
    check(
        docker_image(&[DOCKER_LAYER, OCI_LAYER]).to_oci(b"{}"),
        ConversionErrorKind::UnknownLayerType,
        "layers[1]",
    );
}

#[test]
fn a_manifest_in_the_format_already_stays() {
    let (oci, docker) = (oci_image(&["application/x"]), docker_image(&["application/x"]));
    assert_eq!(oci.to_oci(b"").unwrap().manifest, oci);
    assert_eq!(docker.to_docker().unwrap().manifest, docker);
}

#[test]
fn layers_change_in_number_never_and_in_type_where_there_is_one() {
    let image = oci_image(&[OCI_LAYER, "application/x"]);
    let keep: Vec<LayerChange> = image.layers.iter().map(LayerChange::keep).collect();
    assert_eq!(image.with_layers(&keep).unwrap(), image);
    check(image.with_layers(&keep[1..]), ConversionErrorKind::LayerCount, "layers");
    let gzip = |change: &LayerChange| LayerChange {
        compression: CompressionChange::To(LayerCompression::Gzip),
        ..change.clone()
    };
    let changes: Vec<LayerChange> = keep.iter().map(gzip).collect();
    check(image.with_layers(&changes), ConversionErrorKind::UnknownLayerType, "layers[1]");

    let docker = docker_image(&[DOCKER_LAYER]);
    let mut change = LayerChange::keep(&docker.layers[0]);
    change.compression = CompressionChange::To(LayerCompression::Zstd);
    check(docker.with_layers(&[change]), ConversionErrorKind::UnsupportedCompression, "layers[0]");
    let mut change = LayerChange::keep(&docker.layers[0]);
    change.encryption = EncryptionChange::Encrypt;
    check(docker.with_layers(&[change]), ConversionErrorKind::UnsupportedEncryption, "layers[0]");
    // Some tools write this type, which Docker never had. It can be got rid of.
    let zstd = docker_image(&[&format!("{DOCKER_LAYER}.zstd")]);
    let changed = zstd.with_layers(&[gzip(&LayerChange::keep(&zstd.layers[0]))]).unwrap();
    assert_eq!(changed.layers[0].media_type.as_str(), format!("{DOCKER_LAYER}.gzip"));
}

#[test]
fn recompressing_forgets_what_was_said_of_the_bytes() {
    let mut layer = descriptor(OCI_LAYER);
    layer.urls = vec!["https://example.com".into()];
    for key in [
        "containerd.io/snapshot/stargz/toc.digest",
        "io.containers.zstd-chunked.manifest-position",
        "io.github.containers.zstd-chunked.manifest-position",
        "org.example",
    ] {
        layer.annotations.insert(key.into(), "x".into());
    }
    let digest = Hasher::digest(Algorithm::Sha256, b"new");
    let change = LayerChange::recompressed(&layer, digest, 3, LayerCompression::Zstd);
    assert!(change.urls.is_empty());
    assert_eq!(change.annotations.keys().collect::<Vec<_>>(), ["org.example"]);
}

#[test]
fn entries_without_a_platform_need_an_assumed_one() {
    let index = Index::new(
        ImageFormat::Oci,
        vec![descriptor("application/vnd.oci.image.manifest.v1+json")],
    );
    check(index.to_docker(None), ConversionErrorKind::MissingPlatform, "manifests[0]");
    let assumed = Platform::new("linux", "riscv64");
    let list = index.to_docker(Some(&assumed)).unwrap().manifest;
    assert_eq!(list.manifests[0].platform, Some(assumed));
    let Ok(Manifest::Index(parsed)) = list.encode().parse() else { panic!("an index") };
    assert_eq!(parsed, list);
    assert_eq!(list.to_oci().manifest.to_docker(None).unwrap().manifest, list);
}

#[test]
fn an_entry_for_another_manifest_keeps_what_is_said_of_the_image() {
    let mut entry = descriptor("application/vnd.docker.distribution.manifest.v2+json");
    entry.platform = Some(Platform::new("linux", "amd64"));
    entry.data = Some(b"{}".to_vec());
    entry.mark_zstd();
    let raw = RawManifest::new("new", MediaType::OciManifest);
    let new = entry.for_manifest(&raw);
    assert_eq!((&new.digest, new.size, &new.media_type), (raw.digest(), 3, raw.media_type()));
    assert_eq!(
        (new.platform.is_some(), new.data.is_some(), new.is_marked_zstd()),
        (true, false, true)
    );
    let mut index = Index::new(ImageFormat::Oci, vec![new, descriptor("a/b"), descriptor("c/d")]);
    index.sort_zstd_last();
    let types: Vec<&str> = index.manifests.iter().map(|entry| entry.media_type.as_str()).collect();
    assert_eq!(types, ["a/b", "c/d", MediaType::OciManifest.as_str()]);
}

/// A schema 1 manifest whose entries have these IDs (a digit each, the newest first) and parents.
fn schema1(entries: &[(char, Option<char>)]) -> Result<Schema1, crate::ManifestError> {
    let id = |digit: char| digit.to_string().repeat(64);
    let layer = format!(r#"{{"blobSum":"sha256:{}"}}"#, id('f'));
    let history = entries.iter().map(|(own, parent)| {
        let parent =
            parent.map_or(String::new(), |digit| format!(r#",\"parent\":\"{}\""#, id(digit)));
        format!(r#"{{"v1Compatibility":"{{\"id\":\"{}\"{parent}}}"}}"#, id(*own))
    });
    let document = format!(
        r#"{{"schemaVersion":1,"fsLayers":[{}],"history":[{}]}}"#,
        vec![layer; entries.len()].join(","),
        history.collect::<Vec<_>>().join(",")
    );
    match RawManifest::guess(document)?.parse()? {
        Manifest::Schema1(schema1) => Ok(schema1),
        other => panic!("{other:?}"),
    }
}

#[test]
fn schema1_entries_form_a_chain_and_repeated_ones_go() {
    let chain = [('3', Some('2')), ('2', Some('1')), ('1', None)];
    assert_eq!(schema1(&chain).unwrap().layers.len(), 3);
    let repeated = [('2', Some('1')), ('2', Some('1')), ('1', None)];
    assert_eq!(schema1(&repeated).unwrap().layers.len(), 2);
    for (entries, words) in [
        (&[][..], "no FSLayers in manifest"),
        (&[('1', Some('2'))], "Invalid parent ID in the base layer"),
        (&[('3', Some('1')), ('2', Some('1')), ('1', None)], "Invalid parent ID. Expected 222"),
        (&[('1', Some('2')), ('2', Some('1')), ('1', None)], "appears multiple times"),
        (&[('x', None)], "is invalid"),
    ] {
        let error = schema1(entries).expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
    }
    let two = schema1(&chain[1..]).unwrap();
    check(two.to_docker(&[]), ConversionErrorKind::LayerCount, "fsLayers");
}
