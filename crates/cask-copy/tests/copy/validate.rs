//! Validating: everything that is wrong is told, and nothing else.

use std::sync::Arc;

use cask_copy::{Problem, Validation, validate};
use cask_image::{Digest, ImageFormat, ImageManifest, LayerCompression, MediaType};
use cask_testkit::generate::hostile::{self, Case, Fault};
use cask_testkit::generate::{
    ArtifactSpec, Blob, Compression, Content, Format, ImageSpec, IndexSpec, LayerSpec,
    platforms_index,
};
use cask_testkit::memory::{Call, Lie, MemoryStore};
use cask_transport::{ErrorKind, Event, Outcome};

use crate::support::{Events, FROM, check_read_once};

async fn found(content: &Content) -> (Validation, MemoryStore) {
    let store = MemoryStore::new();
    store.insert(FROM, content);
    let found = validate(&*store.location(FROM), Arc::new(())).await.expect("it can be looked at");
    (found, store)
}

#[tokio::test]
async fn honest_content_has_no_problems_and_is_read_once() {
    let nested = IndexSpec::new()
        .content(&platforms_index(2, Format::Docker))
        .content(&ArtifactSpec::new(3, "application/spdx+json").build())
        .content(&platforms_index(1, Format::Oci))
        .build();
    let sha512 = ImageSpec::new(1).algorithm(cask_image::Algorithm::Sha512).build().content();
    for content in [
        ImageSpec::new(1).build().content(),
        sha512,
        platforms_index(1, Format::Oci),
        platforms_index(1, Format::Docker),
        nested,
        hostile::doubling_index(1, 10),
        ImageSpec::new(1).without_layers().build().content(),
    ] {
        let (found, store) = found(&content).await;
        assert_eq!(found.problems, []);
        assert_eq!(found.manifests, content.manifests.len());
        assert_eq!(found.blobs, content.blobs.len());
        let size: usize = content.blobs.iter().map(|blob| blob.bytes.len()).sum();
        assert_eq!(found.bytes, size as u64);
        check_read_once(&store);
    }
}

#[tokio::test]
async fn an_artifact_may_borrow_the_type_of_an_images_config() {
    let config = |bytes: &'static str| Blob::new(MediaType::OciConfig, bytes);
    let check = async |config: Blob, layer: MediaType, expected: usize| {
        let layer = Blob::new(layer, "a file");
        let manifest = ImageManifest::new(
            ImageFormat::Oci,
            config.descriptor.clone(),
            vec![layer.descriptor.clone()],
        );
        let manifest = Blob::new(MediaType::OciManifest, manifest.encode().bytes().clone());
        let (found, _) = found(&Content::new(manifest, Vec::new(), vec![config, layer])).await;
        assert_eq!(found.problems.len(), expected, "{:?}", found.problems);
        assert_eq!((found.manifests, found.blobs), (1, 2));
    };
    check(config("{}"), MediaType::from("text/plain"), 0).await;
    check(config("[]"), MediaType::from("text/plain"), 0).await;
    // Of an image the config tells of each layer.
    check(config("{}"), MediaType::OciLayer(LayerCompression::None), 1).await;
}

/// What the problem must be about: the name of a case tells.
fn culprit(case: &Case<Content>) -> Option<Digest> {
    let Case { name, fault, value } = case;
    let config = || value.blobs.first().map(|blob| blob.digest().clone());
    let top = || Some(value.top.digest.clone());
    match name.as_str() {
        // What is missing is not among the blobs: the others tell which it was.
        "config missing" | "layer missing" => {
            let whole = ImageSpec::new(1).build().content();
            let digests = whole.blobs.iter().map(|blob| blob.digest().clone());
            digests.into_iter().find(|digest| value.blob(digest).is_none())
        }
        "instance missing" | "instance of other bytes" => {
            Some(ImageSpec::new(1).build().digest().clone())
        }
        "index of 100 levels" | "index that doubles 40 times" => None,
        "index that contains itself" | "two indexes that contain each other" => top(),
        "layer that unpacks to a thousand times its size" => None,
        _ if name.contains("diff ID") && name.starts_with("diff ID") => {
            let place = if name.starts_with("diff IDs in") { 1 } else { 2 };
            Some(value.blobs[place].digest().clone())
        }
        _ if name.starts_with("config") || name.contains("diff ID") => config(),
        _ if *fault == Fault::Top || name.starts_with("manifest") || name.starts_with("index") => {
            top()
        }
        "layer of other bytes"
        | "layer cut short by a byte"
        | "layer without bytes"
        | "layer with bytes after its end"
        | "layer smaller than told"
        | "layer larger than told" => Some(value.blobs[1].digest().clone()),
        "last layer of other bytes"
        | "layer cut in half"
        | "layer said to be empty"
        | "layer said to be immense" => Some(value.blobs[2].digest().clone()),
        // The streams are all in the second layer.
        _ => Some(value.blobs[2].digest().clone()),
    }
}

#[tokio::test]
async fn every_lie_is_told_of_the_right_digest() {
    let cases = hostile::contents(1);
    assert_eq!(cases.len(), 41);
    for case in &cases {
        let (found, store) = found(&case.value).await;
        let digests: Vec<_> = found.problems.iter().map(|problem| &problem.digest).collect();
        if case.name.starts_with("layer that unpacks") {
            assert_eq!(found.problems, [], "it is large, and whole");
            continue;
        }
        assert!(!found.problems.is_empty(), "{}: nothing was found", case.name);
        if let Some(culprit) = culprit(case) {
            assert!(digests.contains(&&culprit), "{}: {:?}", case.name, found.problems);
        }
        let most = if case.name.contains("diff IDs") { 2 } else { 1 };
        assert!(found.problems.len() <= most, "{}: {:?}", case.name, found.problems);
        assert!(store.calls().len() < 100, "{}", case.name);
    }
}

#[tokio::test]
async fn manifests_that_must_not_be_understood_are_problems() {
    let cases = hostile::malformed_manifests().into_iter().chain(hostile::ambiguous_manifests());
    for case in cases {
        let digest = case.value.digest().clone();
        let (found, _) = found(&Content::new(case.value, Vec::new(), Vec::new())).await;
        let digests: Vec<_> = found.problems.into_iter().map(|problem| problem.digest).collect();
        assert_eq!(digests, [digest], "{}", case.name);
    }
}

fn message(found: &Validation) -> Vec<&str> {
    found.problems.iter().map(|problem| problem.message.as_str()).collect()
}

#[tokio::test]
async fn a_media_type_that_lies_is_told() {
    for (content, label, expected) in [
        (Compression::Gzip, LayerCompression::None, "plain, but its content is gzip"),
        (Compression::None, LayerCompression::Gzip, "gzip, but its content is plain"),
        (Compression::Zstd, LayerCompression::Gzip, "gzip, but its content is zstd"),
    ] {
        let layer = LayerSpec::new(1).compression(content).media_type(MediaType::OciLayer(label));
        let (found, _) = found(&ImageSpec::new(1).layer(layer).build().content()).await;
        assert_eq!(message(&found), [format!("its media type says {expected}")]);
    }
}

#[tokio::test]
async fn what_every_manifest_says_of_a_blob_is_compared_although_it_is_read_once() {
    let honest = ImageSpec::new(1).layer(LayerSpec::new(1)).build();
    let link = |document: &str, from: &str, to: &str| document.replace(from, to);
    let text = String::from_utf8(honest.manifest.bytes.to_vec()).expect("it is text");
    let size = honest.layers[0].blob.bytes.len();
    let lies = [
        link(&text, &format!("\"size\":{size}"), &format!("\"size\":{}", size + 1)),
        link(&text, "layer.v1.tar+gzip", "layer.v1.tar+zstd"),
    ];
    let media_type = honest.manifest.descriptor.media_type.clone();
    let mut index = IndexSpec::new().image(&honest);
    for lie in lies {
        let manifest = Blob::new(media_type.clone(), lie);
        let content = Content::new(manifest, vec![], honest.content().blobs);
        index = index.content(&content);
    }
    let (found, store) = found(&index.build()).await;
    let layer = honest.layers[0].blob.digest().clone();
    assert!(found.problems.iter().all(|problem| problem.digest == layer));
    let expected = [
        format!("it is said to have {} bytes, and has {size}", size + 1),
        "its media type says zstd, but its content is gzip".to_owned(),
    ];
    assert_eq!(message(&found), expected);
    assert_eq!(
        store.count(|call| matches!(call, Call::Blob { digest, .. } if *digest == layer)),
        1
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_not_tried_for_ever() {
    let layer = LayerSpec::new(1);
    let images = (0..30).map(|seed| ImageSpec::new(seed).layer(layer.clone()).build());
    let index = images.fold(IndexSpec::new(), |index, image| index.image(&image)).build();
    let store = MemoryStore::new();
    store.insert(FROM, &index);
    let layer = index.blobs[1].digest().clone();
    store.behave(|behaviour| {
        behaviour.lies.insert(layer.clone(), Lie::Breaks);
    });
    let found = validate(&*store.location(FROM), Arc::new(())).await.expect("it can be looked at");
    let digests: Vec<_> = found.problems.iter().map(|problem: &Problem| &problem.digest).collect();
    assert_eq!(digests, [&layer]);
    let reads = store.count(|call| matches!(call, Call::Blob { digest, .. } if *digest == layer));
    assert!(reads <= 2, "it was read {reads} times");
}

#[tokio::test]
async fn what_is_not_there_at_all_is_an_error() {
    let store = MemoryStore::new();
    let error = validate(&*store.location(FROM), Arc::new(())).await.expect_err("nothing is there");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn validating_tells_what_it_reads() {
    let events = Events::default();
    let store = MemoryStore::new();
    let mut content = ImageSpec::new(1).build().content();
    content.blobs[2].bytes = "short".into();
    store.insert(FROM, &content);
    validate(&*store.location(FROM), events.sink()).await.expect("it can be looked at");
    let mut outcomes = Vec::new();
    for event in events.noted() {
        if let Event::Finished { outcome, .. } = event {
            outcomes.push(outcome);
        }
    }
    outcomes.sort_by_key(|outcome| *outcome == Outcome::Failed);
    assert_eq!(outcomes, [Outcome::Checked, Outcome::Checked, Outcome::Failed]);
}
