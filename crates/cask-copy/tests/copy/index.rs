//! Indexes: all of one, only one, sparse and stripped ones, nested ones.

use cask_copy::{Instances, MAX_INDEX_DEPTH, PartialIndex};
use cask_image::{Descriptor, Digest, MediaType, Platform, PlatformWanted};
use cask_testkit::generate::{
    ArtifactSpec, Blob, Compression, Content, Format, Image, ImageSpec, IndexSpec, LayerSpec,
    attestation, hostile, platforms_index,
};
use cask_testkit::memory::Call;
use cask_transport::{ErrorKind, LayerForm};

use crate::support::{Pair, TO, all_with, image_of, index, options, with};

fn platform(text: &str) -> Platform {
    let wanted = PlatformWanted::parse(text).expect("it is a platform");
    Platform { variant: wanted.variant, ..Platform::new(wanted.os, wanted.architecture) }
}

fn image(seed: u64, on: &str) -> Image {
    ImageSpec::new(seed).platform(platform(on)).build()
}

fn platforms(wanted: &[&str]) -> Instances {
    let parse = |text: &&str| PlatformWanted::parse(text).expect("it is a platform");
    Instances::Platforms(wanted.iter().map(parse).collect())
}

fn choosing(wanted: &[&str], partial_index: PartialIndex) -> cask_copy::CopyOptions {
    with(|options| {
        options.instances = platforms(wanted);
        options.partial_index = partial_index;
    })
}

#[tokio::test]
async fn all_of_an_index_is_copied_as_it_is() {
    let nested = IndexSpec::new()
        .content(&platforms_index(2, Format::Docker))
        .content(&ArtifactSpec::new(3, "application/spdx+json").build())
        .content(&platforms_index(1, Format::Oci))
        .build();
    for content in [platforms_index(1, Format::Oci), platforms_index(1, Format::Docker), nested] {
        let pair = Pair::new(&content);
        let copied = pair.copied(&all_with(|_| {})).await;
        assert_eq!(copied.top.digest, content.top.digest);
        let digests = |blobs: &[Blob]| {
            let mut digests: Vec<_> = blobs.iter().map(|blob| blob.digest().clone()).collect();
            digests.sort();
            digests
        };
        assert_eq!(digests(&copied.manifests), digests(&content.manifests));
        assert_eq!(digests(&copied.blobs), digests(&content.blobs));
    }
}

#[tokio::test]
async fn only_the_index_is_copied_and_nothing_in_it() {
    let content = platforms_index(1, Format::Docker);
    let only = with(|options| options.instances = Instances::IndexOnly);
    let copied = Pair::new(&content).copied(&only).await;
    assert_eq!(copied.top.digest, content.top.digest);
    assert_eq!((copied.manifests.len(), copied.blobs.len()), (1, 0));
    // In another format it still lists what is not there.
    let pair = Pair::to_place(&content, |place| place.index_types = &[MediaType::OciIndex]);
    let copied = pair.copied(&only).await;
    assert_eq!(copied.top.media_type, MediaType::OciIndex);
    assert_eq!(index(&copied).manifests.len(), 3);
}

#[tokio::test]
async fn a_place_of_single_images_takes_no_index() {
    let pair = Pair::to_place(&platforms_index(1, Format::Oci), |place| place.index_types = &[]);
    let error = pair.refused(&all_with(|_| {})).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.to_string(),
        "copying multiple images: destination transport \"memory\" does not support copying \
         multiple images as a group"
    );
    pair.copied(&options()).await;
}

#[tokio::test]
async fn a_place_without_nested_indexes_takes_none() {
    let nested = IndexSpec::new().content(&platforms_index(1, Format::Oci)).build();
    let pair = Pair::to_place(&nested, |place| place.nested_indexes = false);
    let error = pair.refused(&all_with(|_| {})).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("it lists an index"), "{error}");
    pair.copied(&options()).await;
}

#[tokio::test]
async fn chosen_platforms_are_copied_with_what_attests_them() {
    let content = platforms_index(1, Format::Oci);
    let was = index(&content).manifests;
    for (wanted, expected) in [
        (&["linux/amd64"][..], &[0, 3][..]),
        (&["linux/arm64"], &[1, 4]),
        (&["linux/arm/v7"], &[2, 5]),
        (&["linux/arm/v8"], &[2, 5]),
        (&["linux/arm64/v8", "linux/amd64"], &[0, 1, 3, 4]),
        (&["linux/amd64", "linux/arm64", "linux/arm"], &[0, 1, 2, 3, 4, 5]),
    ] {
        let kept: Vec<_> = expected.iter().map(|place| was[*place].clone()).collect();
        let pair = Pair::new(&content);
        let copied = pair.copied(&choosing(wanted, PartialIndex::Strip)).await;
        assert_eq!(index(&copied).manifests, kept, "{wanted:?}");
        assert_eq!(copied.top.digest == content.top.digest, kept.len() == was.len());

        let pair = Pair::new(&content);
        pair.copy(&choosing(wanted, PartialIndex::Keep)).await.expect("it can be sparse");
        let copied = pair.to.content(TO);
        assert_eq!(copied.top.digest, content.top.digest, "{wanted:?}");
        assert_eq!(copied.manifests.len(), kept.len() + 1, "{wanted:?}");
    }
}

#[tokio::test]
async fn a_platform_that_is_not_there_is_told() {
    let content = platforms_index(1, Format::Oci);
    for wanted in [&["linux/s390x"][..], &["linux/amd64", "windows/amd64"], &[]] {
        for partial in [PartialIndex::Strip, PartialIndex::Keep] {
            let error = Pair::new(&content).refused(&choosing(wanted, partial)).await;
            assert_eq!(error.kind(), ErrorKind::NotFound, "{wanted:?}");
        }
    }
    let wanted = &["linux/amd64", "windows/amd64"];
    let error = Pair::new(&content).refused(&choosing(wanted, PartialIndex::Keep)).await;
    let words = crate::support::words(&error);
    assert!(words.contains("architecture amd64, variant \"\", OS windows"), "{words}");
}

#[tokio::test]
async fn one_platform_brings_all_its_compressions() {
    let zstd = ImageSpec::new(1).layer(LayerSpec::new(1).compression(Compression::Zstd)).build();
    let gzip = ImageSpec::new(1).layer(LayerSpec::new(1)).build();
    assert_eq!(zstd.config, gzip.config, "they share their config, which is read once");
    let mut marked = zstd.manifest.descriptor.clone();
    marked.platform = Some(zstd.platform.clone());
    marked.mark_zstd();
    let content = IndexSpec::new()
        .image(&gzip)
        .image(&image(2, "linux/arm64"))
        .entry(marked, &zstd.content())
        .build();
    let copied = Pair::new(&content).copied(&choosing(&["linux/amd64"], PartialIndex::Strip)).await;
    let digests: Vec<_> = index(&copied).manifests.into_iter().map(|entry| entry.digest).collect();
    assert_eq!(digests, [gzip.digest().clone(), zstd.digest().clone()]);
}

#[tokio::test]
async fn nested_indexes_are_filtered_and_left_out_where_nothing_remains() {
    let (amd64, arm64) = (image(1, "linux/amd64"), image(2, "linux/arm64"));
    let both = IndexSpec::new().image(&amd64).image(&arm64).attestation(&arm64).build();
    let other = IndexSpec::new().image(&image(3, "linux/s390x")).build();
    let deeper = IndexSpec::new().content(&other).build();
    let content = IndexSpec::new().content(&both).content(&deeper).content(&other).build();
    let pair = Pair::new(&content);
    let copied = pair.copied(&choosing(&["linux/amd64"], PartialIndex::Strip)).await;
    let top = index(&copied).manifests;
    assert_eq!(top.len(), 1);
    let inner = copied.manifest(&top[0].digest).expect("it was copied");
    let inner = Content { top: inner.descriptor.clone(), ..copied.clone() };
    let digests: Vec<_> = index(&inner).manifests.into_iter().map(|entry| entry.digest).collect();
    assert_eq!(digests, [amd64.digest().clone()]);
    assert_eq!(copied.manifests.len(), 3);
}

#[tokio::test]
async fn nested_indexes_for_other_platforms_are_not_even_read() {
    let labelled = |content: &Content, on: &str| {
        let mut entry = content.top.clone();
        entry.platform = Some(platform(on));
        entry
    };
    let one = IndexSpec::new().image(&image(1, "linux/amd64")).build();
    let other = IndexSpec::new().image(&image(2, "linux/arm64")).build();
    let content = IndexSpec::new()
        .entry(labelled(&one, "linux/amd64"), &one)
        .entry(labelled(&other, "linux/arm64"), &other)
        .build();
    for options in [options(), choosing(&["linux/amd64"], PartialIndex::Strip)] {
        let pair = Pair::new(&content);
        pair.copied(&options).await;
        assert_eq!(pair.from.count(|call| *call == Call::Manifest(other.top.digest.clone())), 0);
    }
}

#[tokio::test]
async fn an_index_changes_with_its_images_and_attestations_follow() {
    let (amd64, arm64) = (image(1, "linux/amd64"), image(2, "linux/arm64"));
    let content = IndexSpec::new()
        .annotation("org.example", "kept")
        .attestation(&amd64)
        .image(&amd64)
        .image(&arm64)
        .attestation(&arm64)
        .build();
    let pair = Pair::new(&content);
    let options = all_with(|options| {
        options.layers.wanted = cask_copy::LayersWanted::Decompress;
    });
    let copied = pair.copied(&options).await;
    let (was, now) = (index(&content), index(&copied));
    assert_eq!(now.annotations, was.annotations);
    let attested = |entry: &Descriptor| entry.annotations["vnd.docker.reference.digest"].clone();
    assert_eq!(attested(&now.manifests[0]), now.manifests[1].digest.to_string());
    assert_eq!(attested(&now.manifests[3]), now.manifests[2].digest.to_string());
    for (now, was) in now.manifests.iter().zip(&was.manifests) {
        // The statements themselves stay, and so do platforms.
        assert_eq!(now.digest == was.digest, now.is_attestation());
        assert_eq!(now.platform, was.platform);
    }
}

#[tokio::test]
async fn zstd_images_are_marked_and_come_last() {
    let content = IndexSpec::new()
        .image(&image(1, "linux/amd64"))
        .content(&attestation(&image(1, "linux/amd64")))
        .build();
    let zstd = all_with(|options| {
        options.layers.wanted = cask_copy::LayersWanted::Compress(cask_layer::Compression::Zstd);
    });
    let copied = Pair::new(&content).copied(&zstd).await;
    let entries = index(&copied).manifests;
    assert_eq!(entries.iter().map(Descriptor::is_marked_zstd).collect::<Vec<_>>(), [false, true]);
    let gzip = all_with(|options| {
        options.layers.wanted = cask_copy::LayersWanted::Compress(cask_layer::Compression::Gzip);
    });
    let back = Pair::new(&copied).copied(&gzip).await;
    assert!(index(&back).manifests.iter().all(|entry| !entry.is_marked_zstd()));
}

#[tokio::test]
async fn entries_that_are_no_manifests_are_copied_as_they_are() {
    let blob = Blob::new("text/plain".into(), "hello");
    let other = Content { top: blob.descriptor.clone(), manifests: vec![], blobs: vec![blob] };
    let image = image(1, "linux/amd64");
    let content = IndexSpec::new().image(&image).content(&other).build();
    let copied = Pair::new(&content).copied(&all_with(|_| {})).await;
    assert_eq!(copied.top.digest, content.top.digest);
    assert_eq!(copied.blob(&other.top.digest).expect("it was copied").bytes, "hello");
    let stripped =
        Pair::new(&content).copied(&choosing(&["linux/amd64"], PartialIndex::Strip)).await;
    assert_eq!(index(&stripped).manifests.len(), 1);
}

#[tokio::test]
async fn an_entry_that_says_something_else_of_a_manifest_is_refused() {
    let image = image(1, "linux/amd64");
    for change in [(|entry| entry.size += 1) as fn(&mut Descriptor), |entry| {
        entry.media_type = MediaType::DockerManifest
    }] {
        let mut other = image.manifest.descriptor.clone();
        change(&mut other);
        let content = IndexSpec::new().image(&image).entry(other, &image.content()).build();
        let error = Pair::new(&content).refused(&all_with(|_| {})).await;
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("one entry says"), "{error}");
    }
}

#[tokio::test]
async fn the_same_image_twice_is_copied_once() {
    let image = image(1, "linux/amd64");
    let content = IndexSpec::new().image(&image).image(&image).build();
    let pair = Pair::new(&content);
    let copied = pair.copied(&all_with(|_| {})).await;
    assert_eq!(index(&copied).manifests.len(), 2);
    let writes = |call: &Call| matches!(call, Call::WriteManifest { .. });
    assert_eq!(pair.to.count(writes), 2);
}

#[tokio::test]
async fn indexes_lie_as_deep_as_is_said_and_no_deeper() {
    let levels = MAX_INDEX_DEPTH + 1;
    let fits = hostile::deep_index(1, levels);
    Pair::new(&fits).copied(&all_with(|_| {})).await;
    Pair::new(&fits).copied(&options()).await;
    let doubling = hostile::doubling_index(1, levels);
    Pair::new(&doubling).copied(&all_with(|_| {})).await;
    Pair::new(&doubling).copied(&options()).await;
    let too_deep = hostile::deep_index(1, levels + 1);
    for options in [options(), all_with(|_| {}), choosing(&["linux/amd64"], PartialIndex::Strip)] {
        let error = Pair::new(&too_deep).refused(&options).await;
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    }
}

#[tokio::test]
async fn what_is_looked_for_in_vain_is_looked_for_once() {
    // Two to the power of 16 paths lead to an image for another platform.
    let content = hostile::doubling_index(1, MAX_INDEX_DEPTH);
    let elsewhere = with(|options| {
        options.instances = Instances::One(PlatformWanted::new("linux", "s390x"));
    });
    let pair = Pair::new(&content);
    assert_eq!(pair.refused(&elsewhere).await.kind(), ErrorKind::NotFound);
    let reads = |call: &Call| matches!(call, Call::Manifest(_));
    assert_eq!(pair.from.count(reads), MAX_INDEX_DEPTH);
    let pair = Pair::new(&content);
    pair.refused(&choosing(&["linux/s390x"], PartialIndex::Strip)).await;
    assert_eq!(pair.from.count(reads), MAX_INDEX_DEPTH);
}

#[tokio::test]
async fn a_child_that_refers_to_a_changed_sibling_is_warned_of() {
    let image = image(1, "linux/amd64");
    let about = ArtifactSpec::new(2, "application/spdx+json").subject(image_link(&image)).build();
    let content = IndexSpec::new().image(&image).content(&about).build();
    let events = crate::support::Events::default();
    let pair = Pair::to_place(&content, |place| place.layer_form = LayerForm::Uncompressed);
    let copied = pair.copied(&all_with(|options| options.events = events.sink())).await;
    let expected =
        format!("{} refers to {}, whose digest changes", about.top.digest, image.digest());
    assert_eq!(events.warnings(), [expected]);
    assert!(copied.manifest(&about.top.digest).is_some());
    assert_eq!(image_of(copied.manifest(&about.top.digest).expect("it is")).layers.len(), 1);
}

fn image_link(image: &Image) -> &Descriptor {
    &image.manifest.descriptor
}

/// The digest of what is chosen for a platform.
async fn chosen(content: &Content, wanted: &str) -> Option<Digest> {
    let wanted = PlatformWanted::parse(wanted).expect("it is a platform");
    let options = with(|options| options.instances = Instances::One(wanted));
    let pair = Pair::new(content);
    match pair.copy(&options).await {
        Ok(report) => Some(report.manifest.digest().clone()),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("--override-arch")));
            None
        }
    }
}

#[tokio::test]
async fn one_image_is_chosen_through_nested_indexes() {
    let [amd64, arm64, arm, other] = [
        image(1, "linux/amd64"),
        image(2, "linux/arm64/v8"),
        image(3, "linux/arm/v7"),
        image(4, "linux/amd64"),
    ];
    let unlabelled = ImageSpec::new(5).build().content();
    let first = IndexSpec::new().image(&arm64).build();
    let second = IndexSpec::new().content(&first).image(&arm).content(&unlabelled).build();
    // The nested index that comes first has nothing for amd64 but an entry without a platform.
    let content = IndexSpec::new().content(&second).image(&amd64).image(&other).build();
    let expect = |image: &Image| Some(image.digest().clone());
    assert_eq!(chosen(&content, "linux/amd64").await, expect(&amd64));
    assert_eq!(chosen(&content, "linux/arm64").await, expect(&arm64));
    assert_eq!(chosen(&content, "linux/arm/v8").await, expect(&arm));
    assert_eq!(chosen(&content, "linux/s390x").await, Some(unlabelled.top.digest.clone()));
    let both = IndexSpec::new().content(&first).image(&arm).build();
    assert_eq!(chosen(&both, "linux/s390x").await, None);
    assert_eq!(chosen(&both, "linux/amd64").await, None);
}
