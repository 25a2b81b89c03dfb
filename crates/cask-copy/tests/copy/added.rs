//! Images of an index that come in other compressions too, and what plain layers usually become.

use cask_copy::{CompressionFormat, CopyOptions, Instances, LayersWanted};
use cask_image::{Descriptor, ImageFormat, LayerCompression, MediaType, Platform, PlatformWanted};
use cask_layer::{Compression, Level};
use cask_testkit::generate::{
    ArtifactSpec, Compression as Made, Content, Format, Image, ImageSpec, IndexSpec, LayerSpec,
};
use cask_transport::LayerForm;

use crate::support::{Pair, TO, all_with, check_valid, image_of, index, options, with, words};

const GZIP: CompressionFormat =
    CompressionFormat { compression: Compression::Gzip, zstd_chunked: false };
const ZSTD: CompressionFormat =
    CompressionFormat { compression: Compression::Zstd, zstd_chunked: false };
const CHUNKED: CompressionFormat =
    CompressionFormat { compression: Compression::Zstd, zstd_chunked: true };

fn platform(on: &str) -> Platform {
    let wanted = PlatformWanted::parse(on).expect("it is a platform");
    Platform { variant: wanted.variant, ..Platform::new(wanted.os, wanted.architecture) }
}

fn image(seed: u64, on: &str, made: Made) -> Image {
    let layer = LayerSpec::new(seed).size_bytes(20_000).compression(made);
    ImageSpec::new(seed).platform(platform(on)).layer(layer).build()
}

fn entry(image: &Image, on: &str, is_marked: bool) -> Descriptor {
    let mut entry = image.manifest.descriptor.clone();
    entry.platform = Some(platform(on));
    entry.annotations.insert("of".to_owned(), "it".to_owned());
    if is_marked {
        entry.mark_zstd();
    }
    entry
}

/// An image for amd64 by gzip, two for others by zstd, and an artifact.
fn content() -> Content {
    let images = [
        ("linux/amd64", Made::Gzip, false),
        ("linux/arm64", Made::Zstd, true),
        ("linux/riscv64", Made::Zstd, true),
    ];
    let mut spec = IndexSpec::new();
    for (seed, (on, made, is_marked)) in (1..).zip(images) {
        let image = image(seed, on, made);
        spec = spec.entry(entry(&image, on, is_marked), &image.content());
    }
    spec.content(&ArtifactSpec::new(9, "application/spdx+json").build()).build()
}

fn adding(formats: &[CompressionFormat]) -> CopyOptions {
    all_with(|options| options.added_compressions = formats.to_vec())
}

/// The entries of an index: the architecture, and what its layers are compressed by.
fn listed(content: &Content) -> Vec<(String, LayerCompression)> {
    let one = |entry: &Descriptor| {
        let manifest = content.manifests.iter().find(|one| *one.digest() == entry.digest);
        let image = image_of(manifest.expect("it was copied"));
        let compression = image.layers[0].media_type.layer_compression();
        let compression = compression.unwrap_or(LayerCompression::None);
        if entry.platform.is_some() {
            assert_eq!(entry.is_marked_zstd(), compression == LayerCompression::Zstd);
            assert_eq!(entry.annotations["of"], "it");
        }
        let platform = entry.platform.as_ref().map(|platform| platform.architecture.clone());
        (platform.unwrap_or_default(), compression)
    };
    index(content).manifests.iter().map(one).collect()
}

#[tokio::test]
async fn images_come_in_what_no_image_of_their_platform_has() {
    use LayerCompression::{Gzip, None, Zstd};
    async fn check(formats: &[CompressionFormat], expected: &[(&str, LayerCompression)]) {
        let pair = Pair::new(&content());
        pair.copy(&adding(formats)).await.expect("it is copied");
        check_valid(&pair.to).await;
        let found = listed(&pair.to.content(TO));
        let found: Vec<_> = found.iter().map(|(on, made)| (on.as_str(), *made)).collect();
        assert_eq!(found, expected, "{formats:?}");
    }
    let amd = ("amd64", Gzip);
    let (arm, riscv) = (("arm64", Zstd), ("riscv64", Zstd));
    let artifact = ("", None);
    // What is there already comes no second time, and neither does an artifact.
    check(&[], &[amd, arm, riscv, artifact]).await;
    check(&[ZSTD], &[amd, artifact, arm, riscv, ("amd64", Zstd)]).await;
    check(&[ZSTD, ZSTD], &[amd, artifact, arm, riscv, ("amd64", Zstd)]).await;
    let gzip = [amd, artifact, ("arm64", Gzip), ("riscv64", Gzip), arm, riscv];
    check(&[GZIP], &gzip).await;
    check(&[GZIP, ZSTD], &[&gzip[..], &[("amd64", Zstd)]].concat()).await;
    let chunked = [("amd64", Zstd), ("arm64", Zstd), ("riscv64", Zstd)];
    check(&[CHUNKED], &[&[amd, artifact, arm, riscv][..], &chunked].concat()).await;
}

#[tokio::test]
async fn an_index_that_has_them_stays_as_it_is() {
    let first = Pair::new(&content());
    first.copy(&adding(&[ZSTD, GZIP])).await.expect("it is copied");
    let made = first.to.content(TO);
    let again = Pair::new(&made);
    again.copy(&adding(&[GZIP, ZSTD])).await.expect("it is copied");
    assert_eq!(again.to.content(TO).top.digest, made.top.digest);
}

#[tokio::test]
async fn images_that_are_so_already_come_once_though_nobody_says_so() {
    let zstd = image(1, "linux/amd64", Made::Zstd);
    let unmarked =
        IndexSpec::new().entry(entry(&zstd, "linux/amd64", false), &zstd.content()).build();
    let pair = Pair::new(&unmarked);
    pair.copy(&adding(&[ZSTD])).await.expect("it is copied");
    assert_eq!(pair.to.content(TO).top.digest, unmarked.top.digest);
}

#[tokio::test]
async fn a_list_of_dockers_becomes_an_index_where_it_has_to_mark_images() {
    let pair = Pair::new(&cask_testkit::generate::platforms_index(1, Format::Docker));
    pair.copy(&adding(&[ZSTD])).await.expect("it is copied");
    let copied = pair.to.content(TO);
    assert_eq!(copied.top.media_type, MediaType::OciIndex);
    assert!(index(&copied).manifests.iter().any(Descriptor::is_marked_zstd));
    let docker = all_with(|options| {
        options.added_compressions = vec![ZSTD];
        options.format = Some(ImageFormat::Docker);
    });
    let pair = Pair::new(&cask_testkit::generate::platforms_index(1, Format::Docker));
    let error = pair.refused(&docker).await;
    assert!(words(&error).contains("Docker manifests cannot hold zstd layers"), "{error}");
}

#[tokio::test]
async fn compressions_are_added_to_whole_indexes_alone() {
    let error = Pair::new(&image(1, "linux/amd64", Made::Gzip).content());
    let error = error.refused(&adding(&[ZSTD])).await;
    assert!(words(&error).contains("only an index can have images in several"), "{error}");
    for instances in [Instances::IndexOnly, options().instances] {
        let some = with(|options| {
            options.added_compressions = vec![ZSTD];
            options.instances = instances;
        });
        let error = Pair::new(&content()).refused(&some).await;
        assert!(words(&error).contains("only where all of it is copied"), "{error}");
    }
    let signed = all_with(|options| {
        options.added_compressions = vec![ZSTD];
        options.preserve_digests = true;
    });
    let error = Pair::new(&content()).refused(&signed).await;
    assert!(words(&error).contains("its manifest would have to change"), "{error}");
    let none = Compression::None.into();
    let error = Pair::new(&content()).refused(&adding(&[none])).await;
    assert!(words(&error).contains("none is no compression"), "{error}");
}

#[tokio::test]
async fn plain_layers_become_what_is_usual_where_a_place_wants_them_compressed() {
    async fn check(
        (format, made): (Format, Made),
        (form, usual): (LayerForm, CompressionFormat),
        change: impl Fn(&mut CopyOptions),
        expected: LayerCompression,
    ) {
        let spec = ImageSpec::new(1).format(format);
        let image = spec.layer(LayerSpec::new(1).compression(made)).build();
        let pair = Pair::to_place(&image.content(), |capabilities| capabilities.layer_form = form);
        let options = with(|options| {
            options.layers.usual = usual;
            change(options);
        });
        let copied = pair.copied(&options).await;
        let copied = image_of(&copied.manifests[0]);
        let found = copied.layers[0].media_type.layer_compression();
        assert_eq!(found, Some(expected), "{format:?} {made:?} {form:?} {usual:?}");
        let has_table = copied.layers[0].annotations.keys().any(|key| key.contains("chunked"));
        assert_eq!(has_table, usual.zstd_chunked && expected == LayerCompression::Zstd);
    }
    use LayerCompression::{Gzip, None, Zstd};
    use LayerForm::{AsGiven, Compressed};
    let plain = (Format::Oci, Made::None);
    check(plain, (Compressed, GZIP), |_| {}, Gzip).await;
    check(plain, (Compressed, ZSTD), |_| {}, Zstd).await;
    check(plain, (Compressed, CHUNKED), |_| {}, Zstd).await;
    check((Format::Docker, Made::None), (Compressed, ZSTD), |_| {}, Zstd).await;
    // What is compressed stays, with its manifest; so does what a place takes as it is.
    check((Format::Docker, Made::Gzip), (Compressed, ZSTD), |_| {}, Gzip).await;
    check(plain, (AsGiven, ZSTD), |_| {}, None).await;
    // Docker's format has no zstd, and what is asked for counts.
    let docker = |options: &mut CopyOptions| options.format = Some(ImageFormat::Docker);
    check(plain, (Compressed, ZSTD), docker, Gzip).await;
    let gzip = |options: &mut CopyOptions| {
        options.layers.wanted = LayersWanted::CompressPlain(Compression::Gzip);
    };
    check(plain, (Compressed, ZSTD), gzip, Gzip).await;
}

#[tokio::test]
async fn what_is_usual_has_to_be_possible() {
    let refused = async |change: fn(&mut CopyOptions), expected: &str| {
        let pair = Pair::new(&image(1, "linux/amd64", Made::None).content());
        let error = pair.refused(&with(change)).await;
        assert!(words(&error).contains(expected), "{error}: {expected}");
    };
    let chunked = |options: &mut CopyOptions| options.layers.usual.zstd_chunked = true;
    refused(chunked, "only zstd can be chunked").await;
    let none = |options: &mut CopyOptions| options.layers.usual = Compression::None.into();
    refused(none, "none is no compression").await;
    refused(|options| options.layers.level = Level::Exact(15), "15").await;
}

#[tokio::test]
async fn each_image_stays_what_it_is_whatever_the_destination_has() {
    let plain = image(1, "linux/amd64", Made::None);
    let content = IndexSpec::new().entry(entry(&plain, "linux/amd64", false), &plain.content());
    let pair = Pair::to_place(&content.build(), |capabilities| {
        capabilities.layer_form = LayerForm::Compressed;
    });
    // The layer is there by zstd, under another name.
    let zstd = with(|options| options.layers.wanted = LayersWanted::Compress(Compression::Zstd));
    let there = pair.to.location("memory:b:other");
    let other = Pair::new(&plain.content());
    let from = other.from.location(crate::support::FROM);
    cask_copy::copy(&*from, &*there, &zstd).await.expect("it is copied");
    pair.to.behave(|behaviour| behaviour.reuse.equivalent = true);
    pair.copy(&adding(&[ZSTD])).await.expect("it is copied");
    let found: Vec<_> = listed(&pair.to.content(TO)).into_iter().map(|(_, made)| made).collect();
    assert_eq!(found, [LayerCompression::Gzip, LayerCompression::Zstd]);
}
