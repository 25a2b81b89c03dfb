//! A look at what is there.

use cask_copy::{Description, inspect};
use cask_image::PlatformWanted;
use cask_testkit::generate::{
    ArtifactSpec, Content, Format, ImageSpec, IndexSpec, platforms_index,
};
use cask_testkit::memory::{Call, Lie, MemoryStore};
use cask_transport::ErrorKind;
use cask_trust::Policy;

use crate::support::{FROM, check_read_once};

fn store(content: &Content) -> MemoryStore {
    let store = MemoryStore::new();
    store.insert(FROM, content);
    store
}

fn anything() -> Policy {
    Policy::danger_accept_anything()
}

#[tokio::test]
async fn an_image_is_described_with_its_config_and_without_its_layers() {
    let image = ImageSpec::new(1).label("a", "b").build();
    let store = store(&image.content());
    let inspected = inspect(&*store.location(FROM), &anything(), false).await.expect("it is there");
    assert_eq!(inspected.top().bytes(), &image.manifest.bytes);
    let wanted = PlatformWanted::new("linux", "s390x");
    // What is no index is what there is, whatever platform is wanted.
    let Ok(Description::Image { manifest, config_bytes, config }) =
        inspected.describe_for(&wanted).await
    else {
        panic!("it is an image")
    };
    assert_eq!(manifest.layers.len(), 2);
    assert_eq!(config_bytes, image.config.bytes);
    assert_eq!(
        config.diff_ids,
        [&image.layers[0].diff_id, &image.layers[1].diff_id].map(Clone::clone)
    );
    check_read_once(&store);
    assert_eq!(store.count(|call| matches!(call, Call::Blob { .. })), 1);
}

#[tokio::test]
async fn an_index_is_described_as_it_stands_or_by_one_of_its_images() {
    let content = IndexSpec::new().content(&platforms_index(1, Format::Oci)).build();
    let store = store(&content);
    let inspected = inspect(&*store.location(FROM), &anything(), false).await.expect("it is there");
    let Ok(Description::Index(index)) = inspected.describe().await else { panic!("an index") };
    assert_eq!(index.manifests.len(), 1);
    let arm = PlatformWanted::parse("linux/arm64").expect("it is one");
    let Ok(Description::Image { config, .. }) = inspected.describe_for(&arm).await else {
        panic!("it has one for this")
    };
    assert_eq!(config.platform().architecture, "arm64");
    check_read_once(&store);
    let none = PlatformWanted::new("plan9", "mips");
    let error = inspected.describe_for(&none).await.expect_err("it has none for this");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_is_inspected_is_what_was_there_at_first() {
    let store = store(&platforms_index(1, Format::Oci));
    let inspected = inspect(&*store.location(FROM), &anything(), false).await.expect("it is there");
    store.insert(FROM, &platforms_index(2, Format::Oci));
    let amd64 = PlatformWanted::new("linux", "amd64");
    let Ok(Description::Image { manifest, .. }) = inspected.describe_for(&amd64).await else {
        panic!("it is an image")
    };
    let first = platforms_index(1, Format::Oci);
    assert!(first.blob(&manifest.config.digest).is_some(), "of the index that was read");
}

#[tokio::test]
async fn an_artifact_is_described() {
    let store = store(&ArtifactSpec::new(1, "application/spdx+json").build());
    let inspected = inspect(&*store.location(FROM), &anything(), false).await.expect("it is there");
    let described = inspected.describe().await;
    let Ok(Description::Artifact(artifact)) = described else { panic!("{described:?}") };
    assert_eq!(artifact.artifact_type, Some("application/spdx+json".into()));
    assert_eq!(store.count(|call| matches!(call, Call::Blob { .. })), 0);
}

#[tokio::test]
async fn what_is_wrong_or_forbidden_is_refused() {
    let image = ImageSpec::new(1).build();
    let store = store(&image.content());
    let rejected = inspect(&*store.location(FROM), &Policy::reject_everything(), false).await;
    assert_eq!(rejected.expect_err("it is rejected").kind(), ErrorKind::PolicyRejected);
    let unsigned = inspect(&*store.location(FROM), &anything(), true).await;
    assert_eq!(unsigned.expect_err("it is not signed").kind(), ErrorKind::PolicyRejected);
    assert_eq!(store.calls(), [], "nothing was read");
    store.behave(|behaviour| {
        behaviour.lies.insert(image.config.digest().clone(), Lie::OtherBytes);
    });
    let inspected = inspect(&*store.location(FROM), &anything(), false).await.expect("it is there");
    let error = inspected.describe().await.expect_err("its config lies");
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    store.behave(|behaviour| {
        behaviour.lies.insert(image.digest().clone(), Lie::OtherBytes);
    });
    let error = inspect(&*store.location(FROM), &anything(), false).await.expect_err("so does it");
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    let error = inspect(&*store.location("memory:x"), &anything(), false).await;
    assert_eq!(error.expect_err("nothing is there").kind(), ErrorKind::NotFound);
}
