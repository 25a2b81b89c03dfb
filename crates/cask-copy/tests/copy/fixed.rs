//! Manifests that may not change: asked for, signed, or named by their digest.

use cask_copy::{Instances, LayersWanted};
use cask_image::{Algorithm, Hasher, ImageFormat, MediaType, PlatformWanted};
use cask_layer::Compression;
use cask_testkit::generate::{Compression as Made, Content, ImageSpec, LayerSpec, platforms_index};
use cask_testkit::memory::Call;
use cask_transport::{Capabilities, ErrorKind, LayerForm};

use crate::support::{FROM, Pair, TO, all_with, options, with};

fn content() -> Content {
    ImageSpec::new(1)
        .layer(LayerSpec::new(1))
        .layer(LayerSpec::new(2).compression(Made::None))
        .build()
        .content()
}

/// What would have to change the manifest of [`content`]: the place, and the wish.
type Change = (fn(&mut Capabilities), fn(&mut cask_copy::CopyOptions), &'static str);

const CHANGES: [Change; 6] = [
    (
        |place| place.manifest_types = &[MediaType::DockerManifest],
        |_| {},
        "memory cannot hold application/vnd.oci.image.manifest.v1+json",
    ),
    (|_| {}, |wish| wish.format = Some(ImageFormat::Docker), "--format asks for it"),
    (|place| place.layer_form = LayerForm::Uncompressed, |_| {}, "memory holds plain layers only"),
    (|_| {}, |wish| wish.layers.wanted = LayersWanted::Decompress, "plain layers are asked for"),
    (
        |_| {},
        |wish| wish.layers.wanted = LayersWanted::Compress(Compression::Zstd),
        "zstd is asked for",
    ),
    (|place| place.keeps_manifests = false, |_| {}, "memory makes its manifests anew"),
];

#[tokio::test]
async fn what_would_change_is_refused_with_both_reasons() {
    for (place, wish, why) in CHANGES {
        let pair = Pair::to_place(&content(), place);
        let preserved = with(|options| {
            wish(options);
            options.preserve_digests = true;
        });
        let error = pair.refused(&preserved).await;
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let text = error.to_string();
        assert!(text.contains(why), "{text}");
        assert!(text.ends_with("is not possible: Instructed to preserve digests"), "{text}");
        assert!(error.hint().is_some_and(|hint| hint.contains("--preserve-digests")));
        assert_eq!(pair.to.calls(), [], "the destination was not even asked");

        pair.from.sign(FROM, &content().top.digest, "signed");
        let signed = pair.refused(&with(wish)).await;
        assert!(signed.to_string().ends_with("Would invalidate signatures"), "{signed}");
        assert!(signed.hint().is_some_and(|hint| hint.contains("--remove-signatures")));
        pair.copy(&with(|options| {
            wish(options);
            options.attached.remove_signatures = true;
        }))
        .await
        .expect("without its signatures it may change");
    }
}

#[tokio::test]
async fn what_need_not_change_is_copied() {
    let pair = Pair::to_place(&content(), |place| place.layer_form = LayerForm::Compressed);
    let copied = pair.copied(&with(|options| options.preserve_digests = true)).await;
    assert_eq!(copied.top.digest, content().top.digest);
}

#[tokio::test]
async fn an_index_that_would_be_stripped_is_refused_and_a_sparse_one_is_not() {
    let content = platforms_index(1, cask_testkit::generate::Format::Oci);
    let pair = Pair::new(&content);
    let amd64 = Instances::Platforms(vec![PlatformWanted::new("linux", "amd64")]);
    let mut wish = with(|options| {
        options.preserve_digests = true;
        options.instances = amd64;
    });
    let error = pair.refused(&wish).await;
    assert!(error.to_string().contains("4 of 6 entries are left out"), "{error}");
    wish.partial_index = cask_copy::PartialIndex::Keep;
    pair.copy(&wish).await.expect("a sparse index stays as it is");
    assert_eq!(pair.to.content(TO).top.digest, content.top.digest);
}

#[tokio::test]
async fn a_destination_with_a_digest_takes_that_and_nothing_else() {
    let content = content();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let right = Hasher::digest(algorithm, content.top_bytes());
        let pair = Pair::new(&content);
        let to = pair.to.location(&format!("memory:b:example.com/app@{right}"));
        cask_copy::copy(&*pair.from.location(FROM), &*to, &options()).await.expect("it fits");

        let wrong = Hasher::digest(algorithm, b"something else");
        let pair = Pair::new(&content);
        let to = pair.to.location(&format!("memory:b:example.com/app@{wrong}"));
        let from = pair.from.location(FROM);
        let error = cask_copy::copy(&*from, &*to, &options()).await.expect_err("it does not fit");
        assert_eq!(error.kind(), ErrorKind::DigestMismatch);
        assert_eq!(
            error.to_string(),
            "Digest of source image's manifest would not match destination reference"
        );
        let is_blob = |call: &Call| matches!(call, Call::Blob { .. });
        assert_eq!(pair.from.count(is_blob), 1, "the config was read, no layer");
        assert_eq!(pair.to.calls(), []);
    }
}

#[tokio::test]
async fn a_destination_with_a_digest_refuses_changes() {
    let content = content();
    let pair = Pair::to_place(&content, |place| place.layer_form = LayerForm::Uncompressed);
    let to = pair.to.location(&format!("memory:b:example.com/app@{}", content.top.digest));
    let error = cask_copy::copy(&*pair.from.location(FROM), &*to, &options())
        .await
        .expect_err("layers would have to change");
    assert!(error.to_string().ends_with("Destination specifies a digest"), "{error}");
}

#[tokio::test]
async fn signatures_are_copied_or_refused_or_left_out() {
    let content = content();
    let pair = Pair::new(&content);
    pair.from.sign(FROM, &content.top.digest, "first");
    pair.from.sign(FROM, &content.top.digest, "second");
    pair.copied(&options()).await;
    assert_eq!(pair.to.signatures(TO, &content.top.digest), ["first", "second"]);

    let pair = Pair::to_place(&content, |place| place.signatures = false);
    pair.from.sign(FROM, &content.top.digest, "first");
    let error = pair.refused(&options()).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let words = "Storing signatures for memory destinations is not supported";
    assert!(error.to_string().contains(words), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("--remove-signatures")));
    pair.from.forget_calls();
    pair.copied(&with(|options| options.attached.remove_signatures = true)).await;
    assert_eq!(pair.from.count(|call| matches!(call, Call::Signatures(_))), 0, "nobody asked");
    assert!(pair.to.signatures(TO, &content.top.digest).is_empty());
}

#[tokio::test]
async fn signatures_of_every_instance_are_copied() {
    let content = platforms_index(1, cask_testkit::generate::Format::Docker);
    let pair = Pair::new(&content);
    for manifest in &content.manifests {
        pair.from.sign(FROM, manifest.digest(), manifest.digest().to_string());
    }
    pair.copied(&all_with(|_| {})).await;
    for manifest in &content.manifests {
        let signatures = pair.to.signatures(TO, manifest.digest());
        assert_eq!(signatures, [manifest.digest().to_string()]);
    }
    // Of one image, only its own.
    let pair = Pair::new(&content);
    pair.from.sign(FROM, &content.top.digest, "of the index");
    let copied = pair.copied(&options()).await;
    assert!(pair.to.signatures(TO, &copied.top.digest).is_empty());
}
