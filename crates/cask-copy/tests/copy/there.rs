//! A destination that has the very image already.

use cask_copy::{Instances, PartialIndex};
use cask_image::{ImageFormat, PlatformWanted};
use cask_testkit::generate::{Content, Format, ImageSpec, LayerSpec, platforms_index};
use cask_testkit::memory::Call;

use crate::support::{Pair, all_with, options, with};

fn image() -> Content {
    ImageSpec::new(1).layer(LayerSpec::new(1)).layer(LayerSpec::new(2)).build().content()
}

/// A destination that tells whether it has a manifest.
fn pair(content: &Content) -> Pair {
    let pair = Pair::new(content);
    pair.to.behave(|behaviour| behaviour.reuse.manifests = true);
    pair
}

fn writes(pair: &Pair) -> usize {
    pair.to.count(|call| {
        matches!(
            call,
            Call::Have(_) | Call::WriteBlob(_) | Call::WriteManifest { .. } | Call::Commit
        )
    })
}

#[tokio::test]
async fn an_image_that_is_there_is_asked_for_once_and_left() {
    let pair = pair(&image());
    pair.copied(&options()).await;
    pair.to.forget_calls();
    let plan = pair.plan(&options()).await.expect("it is planned");
    assert!(plan.plan().is_there);
    assert!(plan.plan().to_string().contains("nothing to do"), "{}", plan.plan());
    assert_eq!(plan.plan().moved_bytes(), 0);
    drop(plan);
    let report = pair.copy(&options()).await.expect("it is there");
    assert_eq!((report.moved_bytes, writes(&pair)), (0, 0));
    assert_eq!(pair.to.count(|call| matches!(call, Call::Holds(_))), 2, "once each time");
}

#[tokio::test]
async fn a_manifest_that_has_to_change_is_not_there() {
    let pair = pair(&image());
    pair.copied(&options()).await;
    pair.to.forget_calls();
    let docker = with(|options| options.format = Some(ImageFormat::Docker));
    pair.copy(&docker).await.expect("it is converted");
    assert_eq!(pair.to.count(|call| matches!(call, Call::Holds(_))), 0);
    assert!(writes(&pair) > 0);
}

#[tokio::test]
async fn an_index_is_there_only_with_what_it_lists() {
    let pair = pair(&platforms_index(1, Format::Oci));
    let sparse = with(|options| {
        options.instances = Instances::Platforms(vec![PlatformWanted::new("linux", "amd64")]);
        options.partial_index = PartialIndex::Keep;
    });
    let all = all_with(|_| {});
    pair.copy(&sparse).await.expect("a part is copied");
    assert!(!pair.plan(&all).await.expect("it is planned").plan().is_there);
    pair.copy(&all).await.expect("the rest is copied");
    assert!(pair.plan(&all).await.expect("it is planned").plan().is_there);
}
