//! The cases of places that hold several images.

use cask_transport::{Collection, ErrorKind, Location, Selector};
use futures_util::TryStreamExt as _;

use super::held::held;
use super::place::Place;
use super::write::write;
use crate::generate::{Compression, Content, Format, ImageSpec, LayerSpec};

pub(super) async fn run(place: &Place) -> usize {
    let capabilities = place.location("probe", None).capabilities();
    if !capabilities.collection.list || !capabilities.write {
        let location = place.location("no-collection", None);
        let error = location.collection().await.map(drop).expect_err("it holds one image");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{location}");
        return 1;
    }
    what_was_written_is_listed(place).await;
    let mut ran = 1;
    if capabilities.collection.tag {
        names_come_and_go(place).await;
        ran += 1;
    }
    if capabilities.collection.delete {
        deleting_spares_what_others_need(place).await;
        ran += 1;
    }
    ran
}

/// An image with a layer of its own and one that all have, of a form that every place takes.
fn image(seed: u64) -> Content {
    ImageSpec::new(seed)
        .format(Format::Docker)
        .layer(LayerSpec::new(7).compression(Compression::None))
        .layer(LayerSpec::new(seed + 500).compression(Compression::None))
        .build()
        .content()
}

fn content(seed: u64, location: &dyn Location) -> Content {
    if location.capabilities().manifest_types.contains(&cask_image::MediaType::DockerManifest) {
        return image(seed);
    }
    ImageSpec::new(seed).layer(LayerSpec::new(7)).layer(LayerSpec::new(seed)).build().content()
}

async fn open(location: &dyn Location) -> Box<dyn Collection> {
    location
        .collection()
        .await
        .unwrap_or_else(|error| panic!("opening the collection of {location}: {error:?}"))
}

async fn names(location: &dyn Location) -> Vec<String> {
    let collection = open(location).await;
    let entries: Vec<_> = collection.entries().try_collect().await.expect("it can be listed");
    entries.into_iter().flat_map(|entry| entry.names).collect()
}

async fn what_was_written_is_listed(place: &Place) {
    let location = place.location("listed", Some("one"));
    write(&*location, &content(20, &*location)).await.expect("it can be written");
    let listed = names(&*location).await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert!(listed[0].contains("one"), "{listed:?}");
}

async fn names_come_and_go(place: &Place) {
    let location = place.location("named", Some("one"));
    let written = content(21, &*location);
    write(&*location, &written).await.expect("it can be written");
    let source = location.source().await.expect("it can be read");
    let descriptor = source.resolve(&Selector::Chosen).await.expect("it is there");
    let collection = open(&*location).await;
    collection.tag(&descriptor, "two").await.expect("it takes another name");
    let two = place.location("named", Some("two"));
    let source = two.source().await.expect("it can be read by its other name");
    assert_eq!(source.resolve(&Selector::Chosen).await.expect("found").digest, descriptor.digest);
    collection.untag("one").await.expect("the first name goes");
    assert_eq!(names(&*two).await.len(), 1);
    let error = collection.untag("one").await.expect_err("it is gone already");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    two.source().await.expect("the image stays under its other name");
}

async fn deleting_spares_what_others_need(place: &Place) {
    let one = place.location("deleted", Some("one"));
    let two = place.location("deleted", Some("two"));
    let kept = content(23, &*two);
    write(&*one, &content(22, &*one)).await.expect("the first can be written");
    write(&*two, &kept).await.expect("the second can be written");
    open(&*one).await.delete(&Selector::Chosen).await.expect("the first goes");
    let left = names(&*two).await;
    assert_eq!(left.len(), 1, "{left:?}");
    let source = two.source().await.expect("the second stays");
    for blob in &held(&source, &kept, "deleted").await {
        let reader = source.blob(&blob.descriptor).await.expect("its blobs stay");
        reader.drain().await.expect("its blobs are whole");
    }
    let error = open(&*one).await.delete(&Selector::Chosen).await.expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
