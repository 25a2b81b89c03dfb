//! A source that keeps layers unpacked, and a destination that has them as the manifest names them.

use cask_copy::{CopyOptions, LayersWanted};
use cask_image::{Descriptor, LayerCompression, MediaType};
use cask_layer::Compression;
use cask_testkit::generate::{Blob, Compression as Made, Image, ImageSpec, LayerSpec};
use cask_testkit::memory::Call;
use cask_transport::{ErrorKind, LayerForm, Measured};

use crate::support::{Pair, check_valid, image, options, with};

const OTHER: &str = "memory:other:app";

fn two_layers() -> Image {
    let layer = |seed| LayerSpec::new(seed).size_bytes(50_000).compression(Made::Gzip);
    ImageSpec::new(1).layer(layer(1)).layer(layer(2)).build()
}

/// A source that has the plain tars, and a registry; the image is at `there`, but for some layers.
async fn pair(image: &Image, there: &str, without: &[usize]) -> Pair {
    let whole = image.content();
    let mut unpacked = whole.clone();
    unpacked
        .blobs
        .retain(|blob| image.layers.iter().all(|layer| layer.blob.digest() != blob.digest()));
    let mut held = Vec::new();
    for layer in &image.layers {
        let media_type = MediaType::OciLayer(LayerCompression::None);
        let plain = Blob::new(media_type, layer.tar.clone());
        held.push(Measured::from(&plain.descriptor));
        unpacked.blobs.push(plain);
    }
    let pair = Pair::new(&unpacked);
    pair.from.behave(|from| drop(from.held.insert(image.digest().clone(), held)));
    let missing: Vec<_> = without.iter().map(|place| image.layers[*place].blob.digest()).collect();
    let mut partly = whole;
    partly.blobs.retain(|blob| !missing.contains(&blob.digest()));
    pair.to.insert(there, &partly);
    pair.to.set_capabilities(|to| {
        to.layer_form = LayerForm::Compressed;
        to.tells_freely = true;
    });
    pair.to.behave(|to| to.reuse.mounted = true);
    pair
}

/// How many layers were read, and written.
fn moved(pair: &Pair, image: &Image) -> (usize, usize) {
    let is_layer = |call: &Call| match call {
        Call::Blob { digest, .. } => digest != image.config.digest(),
        _ => false,
    };
    let is_written = |call: &Call| match call {
        Call::WriteBlob(digest) => digest.as_ref() != Some(image.config.digest()),
        _ => false,
    };
    (pair.from.count(is_layer), pair.to.count(is_written))
}

#[tokio::test]
async fn layers_that_are_there_or_can_be_mounted_are_not_made_again() {
    for there in ["memory:b:older", OTHER] {
        let original = two_layers();
        let pair = pair(&original, there, &[]).await;
        let copied = pair.copied(&with(|options| options.preserve_digests = true)).await;
        assert_eq!(copied.top.digest, *original.digest(), "{there}");
        assert_eq!(moved(&pair, &original), (0, 0), "{there}");
    }
}

#[tokio::test]
async fn what_is_missing_is_made_and_the_rest_is_not() {
    let original = two_layers();
    let pair = pair(&original, OTHER, &[1]).await;
    let planned = pair.plan(&options()).await.expect("it can be planned");
    assert!(!planned.plan().keeps_digests());
    drop(planned);
    pair.to.forget_calls();
    let copied = pair.copied(&options()).await;
    assert_eq!(moved(&pair, &original), (1, 1));
    let layers: Vec<Descriptor> = image(&copied).layers;
    assert_eq!(layers[0].digest, *original.layers[0].blob.digest());
    assert_ne!(layers[1].digest, *original.layers[1].blob.digest());
}

#[tokio::test]
async fn a_mount_that_fails_has_the_layers_made_anew() {
    let original = two_layers();
    let pair = pair(&original, OTHER, &[]).await;
    pair.to.behave(|to| to.mounts_fail = true);
    // It is planned twice, so that the config is read twice.
    let report = pair.copy(&options()).await.expect("layers can be made");
    assert_ne!(report.manifest.digest(), original.digest());
    assert_eq!(moved(&pair, &original), (2, 2));
    check_valid(&pair.to).await;
    let error = pair.refused(&with(|options| options.preserve_digests = true)).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn nobody_is_asked_where_layers_must_become_others() {
    let check = async |change: fn(&mut CopyOptions), asked: usize| {
        let original = two_layers();
        let pair = pair(&original, OTHER, &[]).await;
        pair.copied(&with(change)).await;
        assert_eq!(pair.to.count(|call| matches!(call, Call::Have(2))), asked);
    };
    check(|_| {}, 1).await;
    check(|options| options.layers.wanted = LayersWanted::CompressPlain(Compression::Gzip), 1)
        .await;
    check(|options| options.layers.wanted = LayersWanted::Compress(Compression::Gzip), 0).await;
    check(|options| options.layers.wanted = LayersWanted::Decompress, 0).await;
    check(|options| options.format = Some(cask_image::ImageFormat::Docker), 0).await;
    let original = two_layers();
    let pair = pair(&original, "memory:b:older", &[]).await;
    pair.to.set_capabilities(|to| to.tells_freely = false);
    pair.copied(&options()).await;
    assert_eq!(moved(&pair, &original), (2, 2));
}
