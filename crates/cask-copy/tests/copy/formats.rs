//! Formats: kept where they can be, converted where they must be.

use cask_image::{ImageFormat, MediaType};
use cask_testkit::generate::{Compression, Content, Format, ImageSpec, LayerSpec, platforms_index};
use cask_transport::{Capabilities, ErrorKind, LayerForm};

use crate::support::{Events, Pair, all_with, image, image_of, index, options, with, words};

fn image_in(format: Format) -> Content {
    ImageSpec::new(1).format(format).build().content()
}

fn only_docker(capabilities: &mut Capabilities) {
    capabilities.manifest_types = &[MediaType::DockerManifest];
    capabilities.index_types = &[MediaType::DockerManifestList];
}

fn only_oci(capabilities: &mut Capabilities) {
    capabilities.manifest_types = &[MediaType::OciManifest];
    capabilities.index_types = &[MediaType::OciIndex];
}

#[tokio::test]
async fn an_image_stays_as_it_is() {
    for format in [Format::Oci, Format::Docker] {
        for algorithm in [cask_image::Algorithm::Sha256, cask_image::Algorithm::Sha512] {
            let content = ImageSpec::new(1).format(format).algorithm(algorithm).build().content();
            let copied = Pair::new(&content).copied(&options()).await;
            assert_eq!(copied.top.digest, content.top.digest);
            assert_eq!(copied.manifests[0].bytes, content.manifests[0].bytes);
        }
    }
}

#[tokio::test]
async fn an_image_is_converted_for_a_place_that_holds_the_other_format() {
    let pair = Pair::to_place(&image_in(Format::Oci), only_docker);
    let copied = pair.copied(&options()).await;
    assert_eq!(copied.top.media_type, MediaType::DockerManifest);
    // Towards Docker the config's bytes stay.
    assert_eq!(image(&copied).config.digest, image(&image_in(Format::Oci)).config.digest);

    let pair = Pair::to_place(&image_in(Format::Docker), only_oci);
    let copied = pair.copied(&options()).await;
    assert_eq!(copied.top.media_type, MediaType::OciManifest);
    assert_eq!(image(&copied).config.media_type, MediaType::OciConfig);
}

#[tokio::test]
async fn an_image_is_converted_where_that_is_asked_for() {
    for (from, asked, expected) in [
        (Format::Oci, ImageFormat::Docker, MediaType::DockerManifest),
        (Format::Docker, ImageFormat::Oci, MediaType::OciManifest),
        (Format::Oci, ImageFormat::Oci, MediaType::OciManifest),
    ] {
        let pair = Pair::new(&image_in(from));
        let copied = pair.copied(&with(|options| options.format = Some(asked))).await;
        assert_eq!(copied.top.media_type, expected);
    }
}

/// To a place that holds the other format only, and back.
async fn there_and_back(content: &Content, format: Format) -> Content {
    let (there, asked) = match format {
        Format::Docker => (only_oci as fn(&mut Capabilities), ImageFormat::Docker),
        Format::Oci => (only_docker as fn(&mut Capabilities), ImageFormat::Oci),
    };
    let between = Pair::to_place(content, there).copied(&options()).await;
    assert_ne!(between.top.digest, content.top.digest);
    Pair::new(&between).copied(&with(|options| options.format = Some(asked))).await
}

#[tokio::test]
async fn whatever_the_first_way_there_and_back_loses_the_second_loses_nothing() {
    for format in [Format::Docker, Format::Oci] {
        let content = image_in(format);
        let once = there_and_back(&content, format).await;
        let twice = there_and_back(&once, format).await;
        assert_eq!(twice.top.digest, once.top.digest);
        assert_eq!(once.top.media_type, content.top.media_type);
        let layers = |content: &Content| -> Vec<_> {
            image(content).layers.into_iter().map(|layer| layer.digest).collect()
        };
        assert_eq!(layers(&once), layers(&content));
    }
}

#[tokio::test]
async fn zstd_layers_bring_the_format_that_can_name_them() {
    let pair = Pair::new(&image_in(Format::Docker));
    let zstd = with(|options| {
        options.layers.wanted = cask_copy::LayersWanted::Compress(cask_layer::Compression::Zstd);
    });
    let copied = pair.copied(&zstd).await;
    assert_eq!(copied.top.media_type, MediaType::OciManifest);

    let zstd_image = ImageSpec::new(1).layer(LayerSpec::new(1).compression(Compression::Zstd));
    let pair = Pair::to_place(&zstd_image.build().content(), only_docker);
    let error = pair.refused(&options()).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(words(&error).contains("zstd compression is not supported"), "{}", words(&error));
    assert!(error.hint().is_some_and(|hint| hint.contains("--dest-compress-format gzip")));
    let gzip = with(|options| {
        options.layers.wanted = cask_copy::LayersWanted::Compress(cask_layer::Compression::Gzip);
    });
    let copied = pair.copied(&gzip).await;
    assert_eq!(copied.top.media_type, MediaType::DockerManifest);
}

#[tokio::test]
async fn what_no_format_of_the_place_can_hold_is_refused() {
    let pair = Pair::to_place(&image_in(Format::Oci), |capabilities| {
        capabilities.manifest_types = &[MediaType::DockerSchema1];
    });
    let error = pair.refused(&options()).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("memory can hold neither"), "{error}");
}

#[tokio::test]
async fn an_index_and_all_that_it_lists_are_converted() {
    for (format, change, expected) in [
        (Format::Docker, only_oci as fn(&mut Capabilities), MediaType::OciIndex),
        (Format::Oci, only_docker, MediaType::DockerManifestList),
    ] {
        // Attestations have no counterpart in Docker's format.
        let content = without_attestations(platforms_index(1, format));
        let copied = Pair::to_place(&content, change).copied(&all_with(|_| {})).await;
        assert_eq!(copied.top.media_type, expected);
        let listed = index(&copied).manifests;
        assert_eq!(listed.len(), 3);
        for (entry, was) in listed.iter().zip(index(&content).manifests) {
            assert_eq!(entry.platform, was.platform);
            let manifest = copied.manifest(&entry.digest).expect("it was copied");
            assert_eq!(image_of(manifest).layers.len(), 2);
        }
    }
}

fn without_attestations(content: Content) -> Content {
    let images: Vec<_> =
        index(&content).manifests.into_iter().filter(|entry| !entry.is_attestation()).collect();
    let mut spec = cask_testkit::generate::IndexSpec::new();
    if content.top.media_type == MediaType::DockerManifestList {
        spec = spec.format(Format::Docker);
    }
    for entry in images {
        let manifest = content.manifest(&entry.digest).expect("it is there").clone();
        let named = image_of(&manifest);
        let parts = std::iter::once(&named.config).chain(&named.layers);
        let blobs = parts.filter_map(|part| content.blob(&part.digest).cloned()).collect();
        spec = spec.entry(entry, &Content::new(manifest, Vec::new(), blobs));
    }
    spec.build()
}

#[tokio::test]
async fn a_format_that_is_asked_for_holds_for_the_index_too() {
    let content = platforms_index(1, Format::Docker);
    let options = all_with(|options| options.format = Some(ImageFormat::Oci));
    let copied = Pair::new(&content).copied(&options).await;
    assert_eq!(copied.top.media_type, MediaType::OciIndex);
    assert!(index(&copied).manifests.iter().all(|e| e.media_type == MediaType::OciManifest));
    let pair = Pair::to_place(&content, |c| c.index_types = &[MediaType::DockerManifestList]);
    assert_eq!(pair.refused(&options).await.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn an_index_that_docker_cannot_hold_is_refused_before_anything_moves() {
    let image = ImageSpec::new(1).build();
    let unlabelled = cask_testkit::generate::IndexSpec::new().content(&image.content()).build();
    let pair = Pair::to_place(&unlabelled, only_docker);
    let error = pair.refused(&all_with(|_| {})).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(words(&error).contains("no platform"), "{}", words(&error));
    assert_eq!(pair.to.calls(), [], "the destination was not even asked");
}

#[tokio::test]
async fn losses_are_told_once() {
    let content = {
        let image = |seed, architecture: &str| {
            ImageSpec::new(seed)
                .platform(cask_image::Platform::new("linux", architecture))
                .annotation("org.example", "said")
                .build()
        };
        let spec = cask_testkit::generate::IndexSpec::new().annotation("org.example", "said");
        spec.image(&image(1, "amd64")).image(&image(2, "arm64")).build()
    };
    let events = Events::default();
    let pair = Pair::to_place(&content, only_docker);
    pair.copied(&all_with(|options| options.events = events.sink())).await;
    let list = "application/vnd.docker.distribution.manifest.list.v2+json";
    let manifest = "application/vnd.docker.distribution.manifest.v2+json";
    let expected = [manifest, list].map(|kind| format!("{kind} has no place for annotations"));
    assert_eq!(events.warnings(), expected);
}

#[tokio::test]
async fn fields_that_nobody_knows_are_missed_when_a_manifest_changes() {
    let mut image =
        ImageSpec::new(1).layer(LayerSpec::new(1).compression(Compression::None)).build();
    let text = String::from_utf8(image.manifest.bytes.to_vec()).expect("it is text");
    let text = text.replacen('{', "{\"org.example.more\":1,", 1);
    let media_type = image.manifest.descriptor.media_type.clone();
    image.manifest = cask_testkit::generate::Blob::new(media_type, text);
    let events = Events::default();
    let pair = Pair::to_place(&image.content(), |c| c.layer_form = LayerForm::Compressed);
    pair.copied(&with(|options| options.events = events.sink())).await;
    let expected = "the changed application/vnd.oci.image.manifest.v1+json has no place for ";
    assert_eq!(events.warnings(), [format!("{expected}[\"org.example.more\"]")]);
    let unchanged = Pair::new(&image.content()).copied(&options()).await;
    assert_eq!(unchanged.top.digest, *image.manifest.digest());
}
