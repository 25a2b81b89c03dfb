//! What the destination has already under the same name, and layers that it has.

use cask_copy::{BlobAction, ExistingImage, LayersWanted};
use cask_layer::Compression;
use cask_testkit::generate::{Compression as Made, Content, ImageSpec, LayerSpec};
use cask_testkit::memory::Call;
use cask_transport::{ErrorKind, LayerForm};

use crate::support::{FROM, Pair, TO, options, with};

fn image(seed: u64) -> Content {
    ImageSpec::new(seed).layer(LayerSpec::new(seed).compression(Made::None)).build().content()
}

#[tokio::test]
async fn another_image_stays_where_it_must_and_the_same_is_no_other() {
    let (one, two) = (image(1), image(2));
    let pair = Pair::new(&one);
    let refusing = with(|options| options.existing = ExistingImage::Refused);
    pair.copied(&refusing).await;
    pair.copied(&refusing).await;
    pair.from.insert(FROM, &two);
    let error = pair.refused(&refusing).await;
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let expected = format!("refusing to clobber existing tag {TO}@{}", one.top.digest);
    assert_eq!(error.to_string(), expected);
    assert_eq!(pair.to.content(TO).top.digest, one.top.digest);
    pair.copied(&options()).await;
    assert_eq!(pair.to.content(TO).top.digest, two.top.digest);
}

#[tokio::test]
async fn a_changed_layer_is_not_sent_where_its_digest_is_known_before() {
    let compressing = |precompute: bool| {
        with(|options| {
            options.layers.wanted = LayersWanted::Compress(Compression::Gzip);
            options.layers.precompute_digests = precompute;
        })
    };
    let pair = Pair::to_place(&image(1), |place| place.layer_form = LayerForm::Compressed);
    pair.to.behave(|behaviour| behaviour.reuse.exact = true);
    pair.copied(&compressing(false)).await;
    let first = pair.to.content(TO);
    let layers = |pair: &Pair| pair.to.count(|call| matches!(call, Call::WriteBlob(_)));
    pair.to.forget_calls();
    pair.copy(&compressing(false)).await.expect("it is copied");
    let sent = layers(&pair);
    pair.to.forget_calls();
    let plan = pair.plan(&compressing(true)).await.expect("it is planned");
    assert!(plan.plan().blobs.iter().any(|blob| matches!(blob.action, BlobAction::Compress(_))));
    assert_eq!(plan.plan().moved_bytes(), 0, "{}", plan.plan());
    let report = plan.execute().await.expect("it is copied");
    assert_eq!(layers(&pair), sent - 1);
    assert_eq!(report.moved_bytes, 0);
    assert_eq!(*report.manifest.digest(), first.top.digest);
}
