//! What the destination has already: exactly, elsewhere, or in another compression.

use cask_copy::LayersWanted;
use cask_image::{Descriptor, LayerCompression, MediaType};
use cask_layer::{Compression, Level};
use cask_testkit::generate::{
    ArtifactSpec, Blob, Compression as Made, Image, ImageSpec, IndexSpec, LayerSpec,
};
use cask_testkit::memory::Call;
use cask_transport::{Have, LayerForm};

use crate::support::{FROM, Pair, all_with, image, options, with};

fn in_form(compression: Made) -> Image {
    let layer = LayerSpec::new(1).size_bytes(50_000).compression(compression);
    ImageSpec::new(1).layer(layer).layer(LayerSpec::new(2)).build()
}

fn reads(pair: &Pair, digest: &cask_image::Digest) -> usize {
    pair.from.count(|call| matches!(call, Call::Blob { digest: read, .. } if read == digest))
}

/// A destination that has the image's first layer in another compression.
async fn pair(original: &Image, there: Made) -> (Pair, Descriptor) {
    let other = in_form(there);
    let pair = Pair::new(&original.content());
    // Under another name, written as a copy does, so that the store knows the DiffIDs.
    let source = Pair::new(&other.content());
    let to = pair.to.location("memory:b:other");
    cask_copy::copy(&*source.from.location(FROM), &*to, &options()).await.expect("it is copied");
    pair.to.behave(|behaviour| {
        behaviour.reuse.equivalent = true;
        behaviour.reuse.exact = false;
    });
    pair.to.forget_calls();
    (pair, other.layers[0].blob.descriptor.clone())
}

#[tokio::test]
async fn what_is_there_is_not_read() {
    let original = in_form(Made::Gzip);
    let pair = Pair::new(&original.content());
    pair.copied(&options()).await;
    pair.from.forget_calls();
    let report = pair.copy(&options()).await.expect("it is there");
    assert_eq!(report.moved_bytes, 0);
    let size = original.content().blobs.iter().map(|blob| blob.bytes.len() as u64).sum::<u64>();
    assert_eq!(report.reused_bytes, size);
    assert_eq!(pair.from.count(|call| matches!(call, Call::Blob { .. })), 1, "only the config");
}

#[tokio::test]
async fn a_layer_in_another_compression_is_named_instead() {
    for (from, there, wish, is_taken) in [
        (Made::Gzip, Made::Zstd, LayersWanted::AsDestinationWants, true),
        (Made::Gzip, Made::None, LayersWanted::AsDestinationWants, true),
        (Made::Zstd, Made::Gzip, LayersWanted::AsDestinationWants, true),
        (Made::Gzip, Made::Zstd, LayersWanted::Keep, false),
        (Made::Gzip, Made::Zstd, LayersWanted::Compress(Compression::Gzip), false),
        (Made::Gzip, Made::Zstd, LayersWanted::Compress(Compression::Zstd), true),
        (Made::None, Made::Zstd, LayersWanted::Compress(Compression::Gzip), false),
        (Made::None, Made::Gzip, LayersWanted::CompressPlain(Compression::Zstd), true),
        (Made::Gzip, Made::None, LayersWanted::CompressPlain(Compression::Gzip), false),
        (Made::Gzip, Made::None, LayersWanted::Decompress, true),
        (Made::Zstd, Made::Gzip, LayersWanted::Decompress, false),
    ] {
        let original = in_form(from);
        let (pair, other) = pair(&original, there).await;
        let copied = pair.copied(&with(|options| options.layers.wanted = wish)).await;
        let row = format!("{from:?} there as {there:?}, {wish:?}");
        let now = &image(&copied).layers[0];
        assert_eq!(now.digest == other.digest, is_taken, "{row}");
        assert_eq!(reads(&pair, original.layers[0].blob.digest()) == 0, is_taken, "{row}");
        if is_taken {
            assert_eq!((&now.media_type, now.size), (&other.media_type, other.size), "{row}");
        }
    }
}

#[tokio::test]
async fn a_level_that_is_asked_for_is_not_answered_by_a_layer_of_another() {
    for (level, is_taken) in [(Level::Default, true), (Level::Exact(9), false)] {
        let original = in_form(Made::None);
        let (pair, other) = pair(&original, Made::Gzip).await;
        let options = with(|options| {
            options.layers.wanted = LayersWanted::Compress(Compression::Gzip);
            options.layers.level = level;
        });
        let copied = pair.copied(&options).await;
        assert_eq!(image(&copied).layers[0].digest == other.digest, is_taken, "{level:?}");
    }
}

#[tokio::test]
async fn the_plan_says_that_the_digest_changes() {
    let (pair, other) = pair(&in_form(Made::Gzip), Made::Zstd).await;
    let planned = pair.plan(&options()).await.expect("it can be planned");
    let text = planned.plan().to_string();
    assert!(!planned.plan().keeps_digests());
    let expected = format!("reuse: the destination has it as {} (", other.digest);
    assert!(text.contains(&expected), "{text}");
    assert!(text.contains("its digest changes, because the destination has sha256:"), "{text}");
}

#[tokio::test]
async fn no_other_layer_is_named_where_the_manifest_may_not_change() {
    let original = in_form(Made::Gzip);
    let (pair, _) = pair(&original, Made::Zstd).await;
    let copied = pair.copied(&with(|options| options.preserve_digests = true)).await;
    assert_eq!(copied.top.digest, *original.digest());
    let (pair, _) = self::pair(&original, Made::Zstd).await;
    pair.from.sign(FROM, original.digest(), "signed");
    assert_eq!(pair.copied(&options()).await.top.digest, *original.digest());
    let (pair, _) = self::pair(&original, Made::Zstd).await;
    let about = ArtifactSpec::new(1, "a/b").subject(&original.manifest.descriptor).build();
    pair.from.insert("memory:a:about", &about);
    let referring = with(|options| options.attached.referrers = true);
    assert_eq!(pair.copied(&referring).await.top.digest, *original.digest());
}

#[tokio::test]
async fn no_other_layer_is_named_that_does_not_fit_the_place_or_the_format() {
    let original = in_form(Made::Gzip);
    let (pair, _) = pair(&original, Made::None).await;
    pair.to.set_capabilities(|place| place.layer_form = LayerForm::Compressed);
    assert_eq!(pair.copied(&options()).await.top.digest, *original.digest());

    let (pair, _) = self::pair(&original, Made::Zstd).await;
    pair.to.set_capabilities(|place| place.layer_form = LayerForm::Uncompressed);
    let copied = pair.copied(&options()).await;
    let plain = MediaType::OciLayer(LayerCompression::None);
    assert!(image(&copied).layers.iter().all(|layer| layer.media_type == plain));

    let (pair, _) = self::pair(&original, Made::Zstd).await;
    pair.to.set_capabilities(|place| place.manifest_types = &[MediaType::DockerManifest]);
    let copied = pair.copied(&options()).await;
    assert_eq!(image(&copied).layers[0].digest, *original.layers[0].blob.digest());
}

#[tokio::test]
async fn an_index_changes_with_the_image_whose_layer_is_another() {
    let (one, two) = (in_form(Made::Gzip), ImageSpec::new(7).build());
    let content = IndexSpec::new().image(&one).image(&two).build();
    let (pair, other) = pair(&one, Made::Zstd).await;
    pair.from.insert(FROM, &content);
    let copied = pair.copied(&all_with(|_| {})).await;
    assert_ne!(copied.top.digest, content.top.digest);
    let entries = crate::support::index(&copied).manifests;
    // Now there is zstd in it: it comes last, and is marked.
    assert_eq!(entries[0].digest, *two.digest());
    assert!(entries[1].is_marked_zstd());
    let manifest = copied.manifest(&entries[1].digest).expect("it was copied");
    assert_eq!(crate::support::image_of(manifest).layers[0].digest, other.digest);
}

#[tokio::test]
async fn a_layer_that_is_also_part_of_something_that_stays_is_not_replaced() {
    let original = in_form(Made::Gzip);
    let layer = &original.layers[0].blob;
    let artifact = ArtifactSpec::new(1, "a/b").blob("a/b", layer.bytes.clone()).build();
    let content = IndexSpec::new().image(&original).content(&artifact).build();
    let (pair, _) = pair(&original, Made::Zstd).await;
    pair.from.insert(FROM, &content);
    let copied = pair.copied(&all_with(|_| {})).await;
    assert_eq!(copied.top.digest, content.top.digest);
}

#[tokio::test]
async fn blobs_are_mounted_or_copied_after_all() {
    for (mounts_fail, moved) in [(false, 0), (true, 3)] {
        let original = in_form(Made::Gzip);
        let content = original.content();
        let pair = Pair::new(&content);
        pair.to.insert("memory:other", &content);
        pair.to.behave(|behaviour| {
            behaviour.reuse.mounted = true;
            behaviour.mounts_fail = mounts_fail;
        });
        let planned = pair.plan(&options()).await.expect("it can be planned");
        assert_eq!(planned.plan().moved_bytes(), 0);
        assert!(planned.plan().to_string().contains("mount from other"));
        drop(planned);
        let report = pair.copy(&options()).await.expect("it can be copied either way");
        let size = content.blobs.iter().map(|blob| blob.bytes.len() as u64).sum::<u64>();
        let expected = if mounts_fail { (size, 0) } else { (0, size) };
        assert_eq!((report.moved_bytes, report.reused_bytes), expected);
        assert_eq!(pair.to.count(|call| matches!(call, Call::Mount(_))), 3);
        assert_eq!(pair.to.count(|call| matches!(call, Call::WriteBlob(_))), moved);
        crate::support::check_valid(&pair.to).await;
    }
}

#[tokio::test]
async fn nobody_has_the_very_bytes_of_what_has_yet_to_be_made() {
    let original = in_form(Made::Gzip);
    let diff_id = original.layers[0].diff_id.clone();
    for answer in [Have::Exact, Have::Mountable { from: "other".into() }] {
        let pair = Pair::to_place(&original.content(), |place| {
            place.layer_form = LayerForm::Uncompressed;
        });
        pair.to.behave(|behaviour| {
            behaviour.have.insert(diff_id.clone(), answer.clone());
        });
        let copied = pair.copied(&options()).await;
        assert_eq!(image(&copied).layers[0].digest, diff_id, "{answer:?}");
    }
}

#[tokio::test]
async fn an_equivalent_in_no_known_form_is_no_equivalent() {
    let original = in_form(Made::Gzip);
    let pair = Pair::new(&original.content());
    let other = Blob::new("application/vnd.example".into(), "what is this?");
    pair.to.behave(|behaviour| {
        let answer = Have::Equivalent(Box::new(other.descriptor.clone()));
        behaviour.have.insert(original.layers[0].blob.digest().clone(), answer);
    });
    assert_eq!(pair.copied(&options()).await.top.digest, *original.digest());
}
