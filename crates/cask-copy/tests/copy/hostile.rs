//! Images that lie: an error of the right kind, and an untouched destination.

use cask_copy::{CopyOptions, LayersWanted};
use cask_layer::Compression;
use cask_testkit::generate::hostile::{self, Case, Fault};
use cask_testkit::generate::{Content, ImageSpec};
use cask_transport::ErrorKind;

use crate::support::{Pair, TO, all_with, words};

/// What a copy must find, where layers are unpacked on the way, or not.
fn expected(case: &Case<Content>, unpacks: bool) -> Option<ErrorKind> {
    match (case.fault, case.name.as_str()) {
        _ if !unpacks && is_inside(case) => None,
        // The content counts: it is what its config says, only its media type is not.
        (_, "plain tar that is said to be gzip" | "zstd that is said to be gzip") => None,
        (_, "layer that is no tar") => Some(ErrorKind::DigestMismatch),
        // A decoder that finds the damage first has said enough.
        (Fault::Digest, "layer of other bytes" | "last layer of other bytes") if unpacks => {
            Some(ErrorKind::Corrupt)
        }
        // That much fits on every disk; see the test of bombs.
        (_, "layer that unpacks to a thousand times its size") => None,
        (Fault::Top, name) if name.starts_with("manifest smaller") => Some(ErrorKind::SizeMismatch),
        (Fault::Top, name) if name.starts_with("manifest larger") => Some(ErrorKind::SizeMismatch),
        (Fault::Top | Fault::Digest, _) => Some(ErrorKind::DigestMismatch),
        (Fault::Size, _) => Some(ErrorKind::SizeMismatch),
        (Fault::Missing, "instance missing") => Some(ErrorKind::NotFound),
        (Fault::Missing, _) => Some(ErrorKind::Missing),
        (Fault::Limit, _) => Some(ErrorKind::LimitExceeded),
        (Fault::Malformed, _) => Some(ErrorKind::Corrupt),
        (fault, name) => panic!("{name}: {fault:?} is unknown here"),
    }
}

/// What cannot be seen as long as layers are not unpacked.
fn is_inside(case: &Case<Content>) -> bool {
    let name = case.name.as_str();
    name.starts_with("diff ID")
        || name.contains("gzip")
        || name == "layer that is no tar"
        || name.starts_with("layer that unpacks")
}

async fn check(case: &Case<Content>, options: &CopyOptions, expected: Option<ErrorKind>) {
    for is_async in [false, true] {
        let pair = Pair::new(&case.value);
        pair.to.insert(TO, &ImageSpec::new(77).build().content());
        for store in [&pair.from, &pair.to] {
            store.behave(|behaviour| {
                behaviour.is_async = is_async;
                behaviour.chunk_bytes = 1 << 20;
            });
        }
        match expected {
            Some(kind) => {
                let error = pair.refused(options).await;
                assert_eq!(error.kind(), kind, "{}: {}", case.name, words(&error));
            }
            None => {
                let copied = pair.copy(options).await;
                copied.unwrap_or_else(|error| panic!("{}: {}", case.name, words(&error)));
            }
        }
    }
}

#[tokio::test]
async fn every_lie_is_found_where_layers_are_unpacked() {
    let cases = hostile::contents(1);
    assert_eq!(cases.len(), 41);
    for wish in [LayersWanted::Decompress, LayersWanted::Compress(Compression::Zstd)] {
        for case in &cases {
            let options = all_with(|options| {
                options.layers.wanted = wish;
                options.layers.level = cask_layer::Level::Exact(1);
                if wish == LayersWanted::Decompress {
                    options.layers.level = cask_layer::Level::Default;
                }
            });
            check(case, &options, expected(case, true)).await;
        }
    }
}

#[tokio::test]
async fn every_lie_outside_of_layers_is_found_on_the_way() {
    for case in &hostile::contents(1) {
        check(case, &all_with(|_| {}), expected(case, false)).await;
    }
}

#[tokio::test]
async fn manifests_that_must_not_be_understood_are_not() {
    let cases = hostile::malformed_manifests().into_iter().chain(hostile::ambiguous_manifests());
    for case in cases {
        let content = Content::new(case.value, Vec::new(), Vec::new());
        let error = Pair::new(&content).refused(&all_with(|_| {})).await;
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{}: {}", case.name, words(&error));
    }
}

#[tokio::test]
async fn a_bomb_is_stopped_where_it_passes_the_limit() {
    let bomb = hostile::bomb(1, 16 << 20).content();
    for wish in [LayersWanted::Decompress, LayersWanted::Compress(Compression::Zstd)] {
        for (limit, is_fine) in [(1 << 20, false), (64 << 20, true)] {
            let options = all_with(|options| {
                options.layers.wanted = wish;
                options.layers.limits.max_output_bytes = limit;
            });
            let pair = Pair::new(&bomb);
            if is_fine {
                pair.copied(&options).await;
                continue;
            }
            let error = pair.refused(&options).await;
            assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{}", words(&error));
            assert!(words(&error).contains("the output exceeds the limit"), "{}", words(&error));
        }
    }
}

#[tokio::test]
async fn sizes_that_are_immense_add_up_to_no_overflow() {
    let sized = |image: &cask_testkit::generate::Image| {
        let text = String::from_utf8(image.manifest.bytes.to_vec()).expect("it is text");
        let (mut text, mut from) = (text, 0);
        for layer in &image.layers {
            let size = format!("\"size\":{}", layer.blob.bytes.len());
            let at = from + text[from..].find(&size).expect("it is there");
            text.replace_range(at..at + size.len(), &format!("\"size\":{}", i64::MAX));
            from = at;
        }
        text
    };
    let layers = (0..4).fold(ImageSpec::new(1), |spec, seed| {
        spec.layer(cask_testkit::generate::LayerSpec::new(seed))
    });
    let image = layers.build();
    let mut content = image.content();
    let media_type = image.manifest.descriptor.media_type.clone();
    let manifest = cask_testkit::generate::Blob::new(media_type, sized(&image));
    content.top = manifest.descriptor.clone();
    content.manifests = vec![manifest];
    let pair = Pair::new(&content);
    let planned = pair.plan(&all_with(|_| {})).await.expect("sizes are only said");
    assert_eq!(planned.plan().moved_bytes(), u64::MAX);
    assert!(planned.plan().to_string().ends_with("bytes to move, 0 bytes reused\n"));
    drop(planned);
    assert_eq!(pair.refused(&all_with(|_| {})).await.kind(), ErrorKind::SizeMismatch);
}
