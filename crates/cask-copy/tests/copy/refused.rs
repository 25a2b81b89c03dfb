//! Manifests that a place refuses for their type, as old registries do.

use cask_image::{ImageFormat, MediaType};
use cask_testkit::generate::{
    ArtifactSpec, Compression, Format, ImageSpec, LayerSpec, platforms_index,
};
use cask_testkit::memory::Call;
use cask_transport::ErrorKind;

use crate::support::{FROM, Pair, TO, all_with, check_valid, image, index, options, with};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";

fn refusing(content: &cask_testkit::generate::Content, types: &[MediaType]) -> Pair {
    let pair = Pair::new(content);
    pair.to.behave(|behaviour| behaviour.refused_types = types.to_vec());
    pair
}

#[tokio::test]
async fn a_refused_manifest_is_written_in_the_other_format() {
    for (format, refused, expected) in [
        (Format::Oci, MediaType::OciManifest, MediaType::DockerManifest),
        (Format::Docker, MediaType::DockerManifest, MediaType::OciManifest),
    ] {
        let original = ImageSpec::new(1).format(format).build();
        for is_async in [false, true] {
            let pair = refusing(&original.content(), std::slice::from_ref(&refused));
            pair.to.behave(|behaviour| behaviour.is_async = is_async);
            let copied = pair.copied(&options()).await;
            assert_eq!(copied.top.media_type, expected);
            let layers: Vec<_> =
                image(&copied).layers.into_iter().map(|layer| layer.digest).collect();
            let was: Vec<_> =
                original.layers.iter().map(|layer| layer.blob.digest().clone()).collect();
            assert_eq!(layers, was);
        }
    }
}

#[tokio::test]
async fn the_report_tells_the_manifest_that_was_written_in_the_end() {
    let content = ImageSpec::new(1).build().content();
    let pair = refusing(&content, &[MediaType::OciManifest]);
    let report = pair.copy(&options()).await.expect("the other format is taken");
    assert_eq!(*report.manifest.media_type(), MediaType::DockerManifest);
    assert_eq!(*report.manifest.digest(), pair.to.content(TO).top.digest);
}

#[tokio::test]
async fn when_all_formats_are_refused_all_are_told() {
    let content = ImageSpec::new(1).build().content();
    let pair = refusing(&content, &[MediaType::OciManifest, MediaType::DockerManifest]);
    let error = pair.refused(&options()).await;
    assert_eq!(error.kind(), ErrorKind::ManifestRefused);
    let why =
        |kind: &str| format!("{kind}(writing manifest: manifest invalid: {kind} is unknown here)");
    let (oci, docker) = (why(OCI), why(DOCKER));
    assert_eq!(
        error.to_string(),
        format!("Uploading manifest failed, attempted the following formats: {oci}, {docker}")
    );
    let attempts = pair.to.count(|call| matches!(call, Call::WriteManifest { .. }));
    assert_eq!(attempts, 2);
}

#[tokio::test]
async fn what_has_no_other_form_stays_refused() {
    let zstd = ImageSpec::new(1).layer(LayerSpec::new(1).compression(Compression::Zstd)).build();
    let pair = refusing(&zstd.content(), &[MediaType::OciManifest]);
    let error = pair.refused(&options()).await;
    assert_eq!(error.kind(), ErrorKind::ManifestRefused);
    assert!(error.to_string().contains(&format!(", {DOCKER}(converting manifest")), "{error}");

    let artifact = ArtifactSpec::new(1, "application/spdx+json").build();
    let error = refusing(&artifact, &[MediaType::OciManifest]).refused(&options()).await;
    assert_eq!(
        error.to_string(),
        format!("writing manifest: manifest invalid: {OCI} is unknown here")
    );

    let image = ImageSpec::new(1).build().content();
    let pair = refusing(&image, &[MediaType::OciManifest]);
    let asked = with(|options| options.format = Some(ImageFormat::Oci));
    let error = pair.refused(&asked).await;
    assert!(error.to_string().starts_with("writing manifest: manifest invalid"), "{error}");
    let pair = refusing(&image, &[MediaType::OciManifest]);
    pair.to.set_capabilities(|place| place.manifest_types = &[MediaType::OciManifest]);
    let error = pair.refused(&options()).await;
    assert!(error.to_string().starts_with("writing manifest: manifest invalid"), "{error}");
}

#[tokio::test]
async fn what_may_not_change_stays_refused_and_says_why() {
    let content = ImageSpec::new(1).build().content();
    let pair = refusing(&content, &[MediaType::OciManifest]);
    let error = pair.refused(&with(|options| options.preserve_digests = true)).await;
    assert_eq!(error.kind(), ErrorKind::ManifestRefused);
    let words = "writing manifest failed and we cannot try conversions: \"Instructed to preserve \
                 digests\": writing manifest: manifest invalid";
    assert!(error.to_string().starts_with(words), "{error}");
    let pair = refusing(&content, &[MediaType::OciManifest]);
    pair.from.sign(FROM, &content.top.digest, "signed");
    let error = pair.refused(&options()).await;
    assert!(error.to_string().contains("\"Would invalidate signatures\""), "{error}");
}

#[tokio::test]
async fn an_index_names_what_was_written_instead() {
    let content = platforms_index(1, Format::Docker);
    let pair = refusing(&content, &[MediaType::DockerManifest]);
    let copied = pair.copied(&all_with(|_| {})).await;
    assert_eq!(copied.top.media_type, MediaType::DockerManifestList);
    for entry in index(&copied).manifests {
        assert_eq!(entry.media_type, MediaType::OciManifest);
        assert!(copied.manifest(&entry.digest).is_some());
    }
    let pair = refusing(&content, &[MediaType::DockerManifest, MediaType::DockerManifestList]);
    let copied = pair.copied(&all_with(|_| {})).await;
    assert_eq!(copied.top.media_type, MediaType::OciIndex);
    assert_eq!(index(&copied).manifests.len(), 3);

    let types = [MediaType::DockerManifestList, MediaType::OciIndex];
    let error = refusing(&content, &types).refused(&all_with(|_| {})).await;
    let words = "Uploading manifest list failed, attempted the following formats: \
                 application/vnd.docker.distribution.manifest.list.v2+json(";
    assert!(error.to_string().starts_with(words), "{error}");
}

#[tokio::test]
async fn what_refers_to_a_manifest_that_took_another_form_is_refused() {
    let image = ImageSpec::new(1).format(Format::Docker).build();
    let about = ArtifactSpec::new(2, "a/b").subject(&image.manifest.descriptor).build();
    let pair = refusing(&image.content(), &[MediaType::DockerManifest]);
    pair.from.insert("memory:a:about", &about);
    let error = pair.refused(&with(|options| options.attached.referrers = true)).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("digest changed on the way"), "{error}");
}

#[tokio::test]
async fn an_image_whose_layers_changed_can_be_refused_too() {
    let layer = LayerSpec::new(1).compression(Compression::None);
    let content = ImageSpec::new(1).format(Format::Docker).layer(layer).build().content();
    let pair = refusing(&content, &[MediaType::DockerManifest]);
    pair.to.set_capabilities(|place| place.layer_form = cask_transport::LayerForm::Compressed);
    let copied = pair.copied(&options()).await;
    assert_eq!(copied.top.media_type, MediaType::OciManifest);
    let gzip = MediaType::OciLayer(cask_image::LayerCompression::Gzip);
    assert_eq!(image(&copied).layers[0].media_type, gzip);
    check_valid(&pair.to).await;
}
