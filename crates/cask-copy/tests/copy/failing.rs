//! Copies that fail, are given up, or are only planned: nothing is left of them.

use std::time::Duration;

use cask_copy::LayersWanted;
use cask_image::Digest;
use cask_layer::Compression;
use cask_testkit::generate::{Content, Image, ImageSpec, LayerSpec};
use cask_testkit::memory::{Call, Failure, Lie};
use cask_transport::{Capabilities, ErrorKind, LayerForm};

use crate::support::{FROM, Pair, TO, options, with};

fn original() -> Image {
    let layer = |seed| LayerSpec::new(seed).size_bytes(400_000);
    ImageSpec::new(1).layer(layer(1)).layer(layer(2)).layer(layer(3)).build()
}

/// A destination that holds another image under the same name.
fn pair(content: &Content) -> Pair {
    let pair = Pair::new(content);
    pair.to.insert(TO, &ImageSpec::new(77).build().content());
    pair
}

#[tokio::test]
async fn whatever_fails_at_the_destination_leaves_what_was_there() {
    for failure in [
        Failure::Begin,
        Failure::Have,
        Failure::Blob(0),
        Failure::Blob(1),
        Failure::Blob(3),
        Failure::Manifest(0),
        Failure::Signatures,
        Failure::Commit,
    ] {
        for parallel in [1, 6] {
            let content = original().content();
            let pair = pair(&content);
            pair.from.sign(FROM, &content.top.digest, "signed");
            pair.to.behave(|behaviour| behaviour.failure = Some(failure));
            let options = with(|options| {
                options.parallel_blobs = parallel.try_into().expect("it is not zero");
            });
            let error = pair.refused(&options).await;
            assert_eq!(error.kind(), ErrorKind::Io, "{failure:?}: {error:?}");
            assert!(error.to_string().contains("the test wants it to fail"), "{error}");
            pair.copied(&options).await;
        }
    }
}

#[tokio::test]
async fn what_was_relied_on_and_taken_away_meanwhile_is_copied_then() {
    let content = original().content();
    let pair = pair(&content);
    pair.to.behave(|behaviour| behaviour.failure = Some(Failure::Changed));
    pair.copy(&options()).await.expect("it is planned anew");
    assert_eq!(pair.to.count(|call| *call == Call::Commit), 2);
    assert_eq!(pair.to.content(TO).top.digest, content.top.digest);
}

#[tokio::test]
async fn whatever_is_wrong_at_the_source_leaves_what_was_there() {
    let wishes = [
        LayersWanted::Keep,
        LayersWanted::Decompress,
        LayersWanted::Compress(Compression::Zstd),
        LayersWanted::Compress(Compression::Gzip),
    ];
    for (lie, expected) in [
        (Lie::OtherBytes, ErrorKind::DigestMismatch),
        (Lie::Truncated(1000), ErrorKind::SizeMismatch),
        (Lie::Truncated(0), ErrorKind::SizeMismatch),
        (Lie::Longer, ErrorKind::SizeMismatch),
        (Lie::Endless, ErrorKind::SizeMismatch),
        (Lie::Missing, ErrorKind::Missing),
        (Lie::Breaks, ErrorKind::Network),
    ] {
        for wish in wishes {
            for is_async in [false, true] {
                let original = original();
                let pair = pair(&original.content());
                pair.from.behave(|behaviour| {
                    behaviour.is_async = is_async;
                    behaviour.lies.insert(original.layers[1].blob.digest().clone(), lie);
                });
                let error = pair.refused(&with(|options| options.layers.wanted = wish)).await;
                let row = format!("{lie:?}, {wish:?}, {is_async}: {error:?}");
                // A flipped bit may be found by the decoder before the digest is known.
                let found_early = lie == Lie::OtherBytes && error.kind() == ErrorKind::Corrupt;
                assert!(error.kind() == expected || found_early, "{row}");
            }
        }
    }
    for place in [0, 1] {
        let original = original();
        let pair = pair(&original.content());
        let digests = [original.config.digest(), original.digest()];
        pair.from.behave(|behaviour| {
            behaviour.lies.insert(digests[place].clone(), Lie::OtherBytes);
        });
        assert_eq!(pair.refused(&options()).await.kind(), ErrorKind::DigestMismatch);
    }
}

#[tokio::test]
async fn a_plan_leaves_nothing() {
    for change in [
        (|_| {}) as fn(&mut Capabilities),
        |place| place.layer_form = LayerForm::Uncompressed,
        |place| place.manifest_types = &[cask_image::MediaType::DockerManifest],
    ] {
        let pair = pair(&original().content());
        pair.to.set_capabilities(change);
        let before = pair.to.visible();
        let planned = pair.plan(&options()).await.expect("it can be planned");
        assert_eq!(planned.plan().blobs.len(), 4);
        drop(planned);
        assert_eq!(pair.to.visible(), before);
        let asked = |call: &Call| !matches!(call, Call::Holds(_) | Call::Have(4));
        let others: Vec<_> = pair.to.calls().into_iter().filter(asked).collect();
        assert_eq!(others, [Call::Begin, Call::Drop]);
        let blobs = pair.from.count(|call| matches!(call, Call::Blob { .. }));
        assert_eq!(blobs, 1, "the config was read, no layer");
    }
}

#[tokio::test]
async fn a_copy_that_is_dropped_leaves_nothing_and_stops() {
    let original = original();
    let slow = original.layers[0].blob.digest().clone();
    for is_async in [false, true] {
        let pair = pair(&original.content());
        pair.to.behave(|behaviour| behaviour.is_async = is_async);
        pair.from.behave(|behaviour| {
            behaviour.lies.insert(slow.clone(), Lie::Stalls);
        });
        let before = pair.to.visible();
        let wish = options();
        tokio::select! {
            result = pair.copy(&wish) => panic!("it cannot end: {result:?}"),
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
        assert_eq!(pair.to.visible(), before);
        // Threads that still wait for the source would keep the runtime from ending: see below.
    }
}

/// Runs with one layer that never comes, and one that fails at once.
async fn fails_soon(pair: &Pair, expected: ErrorKind) {
    let error = pair.refused(&options()).await;
    assert_eq!(error.kind(), expected, "the first error, not that of who was stopped: {error:?}");
}

#[tokio::test]
async fn one_blob_that_fails_stops_those_that_would_never_end() {
    let original = original();
    let digest = |place: usize| original.layers[place].blob.digest().clone();
    for is_async in [false, true] {
        for (stalls, breaks) in [(0, 1), (1, 0), (0, 2), (2, 1)] {
            let pair = pair(&original.content());
            pair.to.behave(|behaviour| behaviour.is_async = is_async);
            pair.from.behave(|behaviour| {
                behaviour.lies.insert(digest(stalls), Lie::Stalls);
                behaviour.lies.insert(digest(breaks), Lie::Breaks);
            });
            fails_soon(&pair, ErrorKind::Network).await;
        }
    }
}

#[tokio::test]
async fn what_had_not_begun_when_another_failed_does_not_begin() {
    let layers = (0..40).fold(ImageSpec::new(1), |spec, seed| spec.layer(LayerSpec::new(seed)));
    let original = layers.build();
    let pair = pair(&original.content());
    let first: Digest = original.layers[0].blob.digest().clone();
    pair.from.behave(|behaviour| {
        behaviour.lies.insert(first, Lie::Missing);
    });
    let two = with(|options| options.parallel_blobs = 2.try_into().expect("it is not zero"));
    pair.refused(&two).await;
    let begun = pair.to.count(|call| matches!(call, Call::WriteBlob(_)));
    assert!(begun < 10, "{begun} of 41 blobs were begun");
}

#[tokio::test]
async fn no_more_blobs_move_at_once_than_the_place_takes() {
    // The store refuses to take more, and another order where it takes one.
    for limit in [1, 2, 3] {
        for asked in [1, 6] {
            for layer_form in [LayerForm::AsGiven, LayerForm::Uncompressed] {
                let pair = Pair::to_place(&original().content(), |place| {
                    place.concurrent_blobs = limit.try_into().expect("it is not zero");
                    place.layer_form = layer_form;
                });
                pair.to.behave(|behaviour| behaviour.is_async = true);
                let wish = with(|options| {
                    options.parallel_blobs = asked.try_into().expect("it is not zero");
                });
                pair.copied(&wish).await;
            }
        }
    }
}

#[tokio::test]
async fn where_layers_are_unpacked_the_largest_begins_first() {
    let sizes = [2_000, 90_000, 500, 30_000].into_iter().zip(0..);
    let layers = sizes.fold(ImageSpec::new(1), |spec, (size, seed)| {
        spec.layer(LayerSpec::new(seed).size_bytes(size))
    });
    let original = layers.build();
    for unpacks in [false, true] {
        let pair = Pair::to_place(&original.content(), |place| place.compares_layers = unpacks);
        pair.copied(&options()).await;
        let begun: Vec<Digest> = pair.to.calls().into_iter().filter_map(written).collect();
        let mut all: Vec<_> = original.layers.iter().map(|layer| &layer.blob.descriptor).collect();
        if unpacks {
            all.sort_by_key(|layer| std::cmp::Reverse(layer.size));
        }
        let layers = begun.iter().filter(|digest| **digest != original.config.descriptor.digest);
        let expected = all.into_iter().map(|layer| &layer.digest);
        assert!(layers.eq(expected), "{unpacks}: {begun:?}");
    }
}

fn written(call: Call) -> Option<Digest> {
    match call {
        Call::WriteBlob(digest) => digest,
        _ => None,
    }
}

#[tokio::test]
async fn places_that_can_only_be_read_are_refused_first() {
    let pair = Pair::to_place(&original().content(), |place| place.write = false);
    let error = pair.refused(&options()).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.to_string(), format!("writing to {TO}: this transport can only be read"));
    assert_eq!(pair.from.calls(), []);
}

#[tokio::test]
async fn more_names_are_given_or_refused_first() {
    let name = cask_reference::Reference::parse_normalized("example.com/app:2").expect("it is one");
    let wish = with(|options| options.write.additional_names.push(name));
    let pair = Pair::to_place(&original().content(), |place| place.additional_names = false);
    let error = pair.refused(&wish).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(pair.from.calls(), []);
    let pair = Pair::new(&original().content());
    pair.copied(&wish).await;
    assert_eq!(pair.to.content("memory:b:example.com/app:2").top.digest, *original().digest());
}

#[tokio::test]
async fn the_policy_is_asked_before_anything_is_read() {
    let pair = pair(&original().content());
    let mut wish = options();
    wish.policy = std::sync::Arc::new(cask_trust::Policy::reject_everything());
    let error = pair.refused(&wish).await;
    assert_eq!(error.kind(), ErrorKind::PolicyRejected);
    assert_eq!(pair.from.calls(), []);
    let error = pair.refused(&with(|options| options.require_signed = true)).await;
    assert_eq!(error.kind(), ErrorKind::PolicyRejected);
}

#[tokio::test]
async fn warnings_of_the_destination_are_passed_on() {
    let events = crate::support::Events::default();
    let pair = Pair::new(&original().content());
    pair.to.behave(|behaviour| behaviour.warnings = vec!["the disk is nearly full".into()]);
    pair.copied(&with(|options| options.events = events.sink())).await;
    assert_eq!(events.warnings(), ["the disk is nearly full"]);
}
