//! Synchronous and asynchronous places on every kind of runtime: nobody waits for ever.

use std::time::Duration;

use cask_copy::LayersWanted;
use cask_layer::Compression;
use cask_testkit::generate::{Compression as Made, Content, ImageSpec, LayerSpec};
use cask_testkit::memory::{Lie, Writing};

use crate::support::{Pair, check_valid, with};

fn content() -> Content {
    let layer =
        |seed, compression| LayerSpec::new(seed).size_bytes(600_000).compression(compression);
    let spec = ImageSpec::new(1).layer(layer(1, Made::Gzip)).layer(layer(2, Made::None));
    spec.layer(layer(3, Made::Zstd)).layer(layer(4, Made::Gzip)).build().content()
}

/// Runs a test on each kind of runtime, and gives up on one that hangs.
fn on_every_runtime<F: Future<Output = ()>>(test: impl Fn() -> F) {
    let mut builders = [
        ("current_thread", tokio::runtime::Builder::new_current_thread()),
        ("multi_thread", tokio::runtime::Builder::new_multi_thread()),
        ("one worker", tokio::runtime::Builder::new_multi_thread()),
        ("two blocking threads", tokio::runtime::Builder::new_current_thread()),
    ];
    builders[2].1.worker_threads(1);
    builders[3].1.max_blocking_threads(2);
    for (name, builder) in &mut builders {
        let runtime = builder.enable_time().build().expect("a runtime can be built");
        let watched = async { tokio::time::timeout(Duration::from_secs(120), test()).await };
        assert!(runtime.block_on(watched).is_ok(), "{name}: it hangs");
        // A thread that never ends would keep the runtime here.
        runtime.shutdown_timeout(Duration::from_secs(20));
    }
}

#[test]
fn every_kind_of_source_fills_every_kind_of_destination() {
    let content = content();
    on_every_runtime(|| async {
        for (from_async, to_async) in [(false, false), (true, false), (false, true), (true, true)] {
            for wish in [
                LayersWanted::Keep,
                LayersWanted::Decompress,
                LayersWanted::Compress(Compression::Gzip),
                LayersWanted::Compress(Compression::Zstd),
            ] {
                let pair = Pair::new(&content);
                pair.from.behave(|behaviour| {
                    behaviour.is_async = from_async;
                    behaviour.chunk_bytes = 50_000;
                });
                pair.to.behave(|behaviour| behaviour.is_async = to_async);
                pair.copy(&with(|options| options.layers.wanted = wish)).await.expect("it ends");
                check_valid(&pair.to).await;
            }
        }
    });
}

#[test]
fn bodies_that_are_opened_again_end_too() {
    let content = content();
    on_every_runtime(|| async {
        for writing in [Writing::Measured, Writing::Resumed] {
            for is_async in [false, true] {
                let pair = Pair::new(&content);
                for store in [&pair.from, &pair.to] {
                    store.behave(|behaviour| {
                        behaviour.is_async = is_async;
                        behaviour.writing = writing;
                    });
                }
                let wish = with(|options| {
                    options.layers.wanted = LayersWanted::Compress(Compression::Zstd);
                });
                pair.copy(&wish).await.expect("it ends");
            }
        }
    });
}

#[test]
fn whoever_fails_or_is_dropped_leaves_no_thread_behind() {
    let content = content();
    let stalls = content.blobs[1].digest().clone();
    let breaks = content.blobs[2].digest().clone();
    on_every_runtime(|| async {
        for to_async in [false, true] {
            for wish in [LayersWanted::Keep, LayersWanted::Compress(Compression::Zstd)] {
                let pair = Pair::new(&content);
                pair.to.behave(|behaviour| behaviour.is_async = to_async);
                pair.from.behave(|behaviour| {
                    behaviour.lies.insert(stalls.clone(), Lie::Stalls);
                    behaviour.lies.insert(breaks.clone(), Lie::Breaks);
                });
                let mut wish = with(|options| options.layers.wanted = wish);
                wish.parallel_blobs = 4.try_into().expect("it is not zero");
                pair.refused(&wish).await;
                pair.from.behave(|behaviour| {
                    behaviour.lies.remove(&breaks);
                });
                let soon = tokio::time::timeout(Duration::from_millis(50), pair.copy(&wish)).await;
                soon.expect_err("it cannot end");
            }
        }
    });
}

#[test]
fn many_blobs_at_once_do_not_use_up_the_threads_that_they_wait_for() {
    let layers = (0..64).fold(ImageSpec::new(1), |spec, seed| spec.layer(LayerSpec::new(seed)));
    let content = layers.build().content();
    on_every_runtime(|| async {
        for is_async in [false, true] {
            let pair = Pair::new(&content);
            pair.from.behave(|behaviour| behaviour.is_async = is_async);
            let wish = with(|options| {
                options.parallel_blobs = 64.try_into().expect("it is not zero");
                options.layers.wanted = LayersWanted::Decompress;
            });
            pair.copy(&wish).await.expect("it ends");
            let pair = Pair::new(&content);
            pair.to.behave(|behaviour| behaviour.is_async = is_async);
            let wish = with(|options| {
                options.parallel_blobs = 64.try_into().expect("it is not zero");
            });
            pair.copy(&wish).await.expect("it ends");
        }
    });
}
