//! Docker's first format: kept, or converted.

use cask_image::{ImageFormat, MediaType};
use cask_testkit::generate::{Blob, Compression, Content, Format, Layer, LayerSpec};
use cask_testkit::memory::Call;
use cask_transport::{ErrorKind, LayerForm};

use crate::support::{Pair, TO, image, options, with, words};

fn layer(seed: u64, compression: Compression) -> Layer {
    LayerSpec::new(seed)
        .compression(compression)
        .build(Format::Docker, cask_image::Algorithm::Sha256)
}

/// An image of two layers and one that changes nothing. The newest is first.
fn schema1(layers: &[Layer; 2]) -> Content {
    let empty = layer(99, Compression::Gzip);
    let id = |number: usize| format!("{number:064x}");
    let history = |number: usize, more: &str| {
        let parent = if number == 0 {
            String::new()
        } else {
            format!(",\\\"parent\\\":\\\"{}\\\"", id(number - 1))
        };
        format!("{{\"v1Compatibility\":\"{{\\\"id\\\":\\\"{}\\\"{parent}{more}}}\"}}", id(number))
    };
    let last = ",\\\"architecture\\\":\\\"amd64\\\",\\\"os\\\":\\\"linux\\\"";
    let text = format!(
        "{{\"schemaVersion\":1,\"name\":\"app\",\"tag\":\"1\",\"architecture\":\"amd64\",\
         \"fsLayers\":[{{\"blobSum\":\"{}\"}},{{\"blobSum\":\"{}\"}},{{\"blobSum\":\"{}\"}}],\
         \"history\":[{},{},{}]}}",
        layers[1].blob.digest(),
        empty.blob.digest(),
        layers[0].blob.digest(),
        history(2, last),
        history(1, ",\\\"throwaway\\\":true"),
        history(0, "")
    );
    let blobs = [&layers[0], &empty, &layers[1]].map(|layer| layer.blob.clone());
    Content::new(Blob::new(MediaType::DockerSchema1, text), vec![], blobs.to_vec())
}

fn two(compression: Compression) -> [Layer; 2] {
    [layer(1, compression), layer(2, Compression::Gzip)]
}

#[tokio::test]
async fn a_schema_1_image_is_kept_where_it_can_be() {
    let content = schema1(&two(Compression::Gzip));
    let pair = Pair::new(&content);
    let copied = pair.copied(&options()).await;
    assert_eq!(copied.top.digest, content.top.digest);
    assert_eq!(copied.top_bytes(), content.top_bytes());
    assert_eq!(copied.blobs.len(), 3);
}

#[tokio::test]
async fn a_schema_1_image_is_converted_where_it_must_be() {
    for (held, asked, expected) in [
        (&[MediaType::OciManifest, MediaType::DockerManifest][..], None, MediaType::DockerManifest),
        (&[MediaType::DockerManifest], None, MediaType::DockerManifest),
        (&[MediaType::OciManifest], None, MediaType::OciManifest),
        (
            &[MediaType::DockerSchema1, MediaType::OciManifest],
            Some(ImageFormat::Oci),
            MediaType::OciManifest,
        ),
    ] {
        let layers = two(Compression::Gzip);
        let pair = Pair::to_place(&schema1(&layers), |place| place.manifest_types = held);
        pair.copy(&with(|options| options.format = asked)).await.expect("it can be converted");
        crate::support::check_valid(&pair.to).await;
        let copied = pair.to.content(TO);
        assert_eq!(copied.top.media_type, expected);
        let now: Vec<_> = image(&copied).layers.into_iter().map(|layer| layer.digest).collect();
        assert_eq!(now, layers.each_ref().map(|layer| layer.blob.digest().clone()));
    }
}

#[tokio::test]
async fn layers_of_a_schema_1_image_are_called_what_they_are() {
    // A place of plain layers, and one that has nothing against them.
    for form in [LayerForm::Uncompressed, LayerForm::AsGiven, LayerForm::Compressed] {
        let pair = Pair::to_place(&schema1(&two(Compression::None)), |place| {
            place.manifest_types = &[MediaType::DockerManifest];
            place.layer_form = form;
        });
        pair.copy(&options()).await.expect("it can be converted");
        crate::support::check_valid(&pair.to).await;
    }
}

#[tokio::test]
async fn a_schema_1_image_that_may_not_change_is_refused_before_its_layers_are_read() {
    let pair = Pair::to_place(&schema1(&two(Compression::Gzip)), |place| {
        place.manifest_types = &[MediaType::DockerManifest];
    });
    let error = pair.refused(&with(|options| options.preserve_digests = true)).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let why = "memory cannot hold application/vnd.docker.distribution.manifest.v1+json";
    assert!(error.to_string().contains(why), "{error}");
    assert_eq!(pair.from.count(|call| matches!(call, Call::Blob { .. })), 0);
}

#[tokio::test]
async fn hostile_schema_1_images_are_refused() {
    let convert = |content: &Content| {
        Pair::to_place(content, |place| place.manifest_types = &[MediaType::DockerManifest])
    };
    let layers = two(Compression::Gzip);
    let mut cut = schema1(&layers);
    let short = cut.blobs[0].bytes.slice(..20);
    cut.blobs[0].bytes = short;
    let error = convert(&cut).refused(&options()).await;
    // The size is what the place says, so that only the digest, or the stream, can be wrong.
    assert!(matches!(error.kind(), ErrorKind::DigestMismatch | ErrorKind::Corrupt), "{error:?}");

    let mut missing = schema1(&layers);
    missing.blobs.remove(0);
    assert_eq!(convert(&missing).refused(&options()).await.kind(), ErrorKind::Missing);

    let bomb = cask_testkit::generate::hostile::bomb(1, 1 << 20).layers[0].clone();
    let content = schema1(&[bomb, layers[1].clone()]);
    let limited = with(|options| options.layers.limits.max_output_bytes = 10_000);
    let error = convert(&content).refused(&limited).await;
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{}", words(&error));
}

#[tokio::test]
async fn a_refused_schema_1_manifest_comes_with_advice() {
    let content = schema1(&two(Compression::Gzip));
    let pair = Pair::new(&content);
    pair.to.behave(|behaviour| behaviour.refused_types = vec![MediaType::DockerSchema1]);
    let error = pair.refused(&options()).await;
    assert_eq!(error.kind(), ErrorKind::ManifestRefused);
    assert!(error.hint().is_some_and(|hint| hint.contains("--format v2s2")));
    pair.copy(&with(|options| options.format = Some(ImageFormat::Docker))).await.expect("so it is");
}
