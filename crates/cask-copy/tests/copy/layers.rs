//! Layers: compressed, decompressed, mislabelled, foreign.

use cask_copy::{CopyOptions, LayersWanted};
use cask_image::{Descriptor, LayerCompression, MediaType};
use cask_layer::{Compression, Level};
use cask_testkit::generate::{
    Blob, Compression as Made, Content, Format, Image, ImageSpec, LayerSpec,
};
use cask_testkit::memory::{Call, Writing};
use cask_transport::{Capabilities, ErrorKind, LayerForm};

use crate::support::{Pair, check_valid, image, options, with, words};

const NONE: LayerCompression = LayerCompression::None;
const GZIP: LayerCompression = LayerCompression::Gzip;
const ZSTD: LayerCompression = LayerCompression::Zstd;

/// An image of three layers, each compressed in another way.
fn mixed(format: Format) -> Image {
    let layer =
        |seed, compression| LayerSpec::new(seed).size_bytes(700_000).compression(compression);
    let spec = ImageSpec::new(1).format(format).layer(layer(1, Made::None));
    let spec = spec.layer(layer(2, Made::Gzip));
    if format == Format::Docker { spec } else { spec.layer(layer(3, Made::Zstd)) }.build()
}

fn compressed(content: &Content) -> Vec<LayerCompression> {
    let layers = image(content).layers;
    layers.iter().filter_map(|layer| layer.media_type.layer_compression()).collect()
}

fn wanted(wanted: LayersWanted) -> CopyOptions {
    with(|options| options.layers.wanted = wanted)
}

#[tokio::test]
async fn layers_become_what_is_asked_for() {
    for (wish, expected) in [
        (LayersWanted::AsDestinationWants, [NONE, GZIP, ZSTD]),
        (LayersWanted::Keep, [NONE, GZIP, ZSTD]),
        (LayersWanted::Decompress, [NONE, NONE, NONE]),
        (LayersWanted::Compress(Compression::Gzip), [GZIP, GZIP, GZIP]),
        (LayersWanted::Compress(Compression::Zstd), [ZSTD, ZSTD, ZSTD]),
        (LayersWanted::CompressPlain(Compression::Gzip), [GZIP, GZIP, ZSTD]),
        (LayersWanted::CompressPlain(Compression::Zstd), [ZSTD, GZIP, ZSTD]),
    ] {
        let original = mixed(Format::Oci);
        let copied = Pair::new(&original.content()).copied(&wanted(wish)).await;
        assert_eq!(compressed(&copied), expected, "{wish:?}");
        assert_eq!(image(&copied).config.digest, *original.config.digest(), "{wish:?}");
        for (layer, was) in image(&copied).layers.iter().zip(&original.layers) {
            let kept = layer.media_type == was.blob.descriptor.media_type;
            assert_eq!(layer.digest == *was.blob.digest(), kept, "{wish:?}");
        }
    }
}

#[tokio::test]
async fn a_place_gets_layers_in_the_form_that_it_wants() {
    for (form, expected) in [
        (LayerForm::AsGiven, [NONE, GZIP, ZSTD]),
        (LayerForm::Compressed, [GZIP, GZIP, ZSTD]),
        (LayerForm::Uncompressed, [NONE, NONE, NONE]),
    ] {
        let pair = Pair::to_place(&mixed(Format::Oci).content(), |place| place.layer_form = form);
        assert_eq!(compressed(&pair.copied(&options()).await), expected, "{form:?}");
    }
}

#[tokio::test]
async fn from_one_compression_to_the_other_and_back_the_plain_layer_stays() {
    let original = mixed(Format::Oci);
    let gzip = wanted(LayersWanted::Compress(Compression::Gzip));
    let zstd = wanted(LayersWanted::Compress(Compression::Zstd));
    let first = Pair::new(&original.content()).copied(&gzip).await;
    let second = Pair::new(&first).copied(&zstd).await;
    let third = Pair::new(&second).copied(&gzip).await;
    // What we compress, we compress to the same; what others did, not.
    let other = Pair::new(&third).copied(&zstd).await;
    assert_eq!(other.top.digest, second.top.digest);
    assert_eq!(image(&third).layers[0], image(&first).layers[0]);
    let plain = Pair::new(&third).copied(&wanted(LayersWanted::Decompress)).await;
    let digests: Vec<_> = image(&plain).layers.into_iter().map(|layer| layer.digest).collect();
    let diff_ids: Vec<_> = original.layers.iter().map(|layer| layer.diff_id.clone()).collect();
    assert_eq!(digests, diff_ids);
}

/// The annotations of a layer that say where its table of contents is.
fn table(layer: &Descriptor) -> Vec<(&str, &str)> {
    let prefix = "io.github.containers.zstd-chunked.";
    let annotations = layer.annotations.iter();
    annotations.filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, &**value))).collect()
}

#[tokio::test]
async fn layers_in_pieces_say_where_their_table_of_contents_is() {
    let chunked = |precompute| {
        with(move |options| {
            options.layers.wanted = LayersWanted::Compress(Compression::Zstd);
            options.layers.zstd_chunked = true;
            options.layers.precompute_digests = precompute;
        })
    };
    let original = mixed(Format::Oci);
    let first = Pair::new(&original.content()).copied(&chunked(false)).await;
    assert_eq!(compressed(&first), [ZSTD, ZSTD, ZSTD]);
    assert_eq!(image(&first).config.digest, *original.config.digest());
    for (layer, was) in image(&first).layers.iter().zip(&original.layers) {
        assert_ne!(layer.digest, *was.blob.digest(), "zstd without a table is another one");
        let blob = first.blobs.iter().find(|blob| blob.descriptor.digest == layer.digest);
        let bytes = &blob.expect("it is there").bytes;
        let (footer, _) = bytes[bytes.len() - 64..].as_chunks::<8>();
        let footer = footer.iter().map(|number| u64::from_le_bytes(*number).to_string());
        let footer: Vec<_> = footer.collect();
        let [(a, checksum), (b, manifest), (c, tar_split)] = table(layer)[..] else {
            panic!("{:?}", layer.annotations)
        };
        assert_eq!([a, b, c], ["manifest-checksum", "manifest-position", "tarsplit-position"]);
        assert!(checksum.starts_with("sha256:"));
        assert_eq!((manifest, tar_split), (&*footer[..4].join(":"), &*footer[4..7].join(":")));
    }
    let again = Pair::new(&original.content()).copy(&chunked(true)).await.unwrap();
    assert_eq!(*again.manifest.digest(), first.top.digest);
    // What has a table stays, whether one is asked for or not; other bytes lose it.
    let zstd = wanted(LayersWanted::Compress(Compression::Zstd));
    for options in [chunked(false), zstd, options()] {
        assert_eq!(Pair::new(&first).copied(&options).await.top.digest, first.top.digest);
    }
    for wish in [LayersWanted::Compress(Compression::Gzip), LayersWanted::Decompress] {
        let other = Pair::new(&first).copied(&wanted(wish)).await;
        assert!(image(&other).layers.iter().all(|layer| table(layer).is_empty()), "{wish:?}");
    }
}

#[tokio::test]
async fn only_zstd_can_be_in_pieces() {
    for wish in [LayersWanted::Compress(Compression::Gzip), LayersWanted::AsDestinationWants] {
        let options = with(|options| {
            options.layers.wanted = wish;
            options.layers.zstd_chunked = true;
        });
        let error = Pair::new(&mixed(Format::Oci).content()).refused(&options).await;
        assert!(words(&error).contains("only zstd can be chunked"), "{}", words(&error));
    }
}

#[tokio::test]
async fn levels_are_heard() {
    let size = |level| async move {
        let options = with(|options| {
            options.layers.wanted = LayersWanted::Compress(Compression::Zstd);
            options.layers.level = level;
        });
        let copied = Pair::new(&mixed(Format::Oci).content()).copied(&options).await;
        image(&copied).layers[1].size
    };
    let usual = size(Level::Default).await;
    assert_eq!(size(Level::Exact(3)).await, usual);
    assert_ne!(size(Level::Exact(19)).await, usual);
}

#[tokio::test]
async fn what_cannot_be_written_is_refused_before_anything_is_read() {
    for (compression, level, expected) in [
        (Compression::Gzip, Level::Exact(10), "gzip has no level 10"),
        (Compression::Zstd, Level::Exact(0), "zstd has no level 0"),
        (Compression::Xz, Level::Default, "xz can only be read"),
        (Compression::None, Level::Default, "none is no compression"),
    ] {
        for wish in [LayersWanted::Compress, LayersWanted::CompressPlain] {
            let pair = Pair::new(&mixed(Format::Oci).content());
            let options = with(|options| {
                options.layers.wanted = wish(compression);
                options.layers.level = level;
            });
            let error = pair.refused(&options).await;
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(words(&error).contains(expected), "{}", words(&error));
            assert_eq!((pair.from.calls(), pair.to.calls()), (vec![], vec![]));
        }
    }
}

#[tokio::test]
async fn a_place_of_plain_layers_refuses_the_wish_for_others() {
    for wish in [
        LayersWanted::Keep,
        LayersWanted::Compress(Compression::Gzip),
        LayersWanted::CompressPlain(Compression::Gzip),
    ] {
        let pair = Pair::to_place(&mixed(Format::Oci).content(), |place| {
            place.layer_form = LayerForm::Uncompressed;
        });
        let error = pair.refused(&wanted(wish)).await;
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{wish:?}");
        assert!(error.to_string().contains("memory holds plain layers only"), "{error}");
    }
}

/// An image whose one layer has a media type that lies.
fn mislabelled(content: Made, label: LayerCompression) -> Image {
    let layer = LayerSpec::new(1).size_bytes(300_000).compression(content);
    ImageSpec::new(1).layer(layer.media_type(MediaType::OciLayer(label))).build()
}

#[tokio::test]
async fn the_content_of_a_layer_counts_where_its_media_type_lies() {
    let compress = |wanted| LayersWanted::Compress(wanted);
    let any = LayersWanted::AsDestinationWants;
    use LayerForm::{AsGiven, Compressed, Uncompressed};
    for (content, label, form, wish, expected) in [
        (Made::None, GZIP, Uncompressed, any, NONE),
        (Made::None, GZIP, Compressed, any, GZIP),
        (Made::None, GZIP, AsGiven, LayersWanted::Decompress, NONE),
        (Made::None, GZIP, AsGiven, compress(Compression::Gzip), GZIP),
        (Made::None, ZSTD, Compressed, any, GZIP),
        (Made::Gzip, NONE, Uncompressed, any, NONE),
        (Made::Gzip, NONE, Compressed, any, GZIP),
        (Made::Gzip, NONE, AsGiven, LayersWanted::Decompress, NONE),
        (Made::Gzip, NONE, AsGiven, compress(Compression::Zstd), ZSTD),
        (Made::Zstd, NONE, Compressed, any, ZSTD),
        (Made::Zstd, NONE, AsGiven, LayersWanted::CompressPlain(Compression::Gzip), ZSTD),
        (Made::Zstd, GZIP, Uncompressed, any, NONE),
        (Made::Gzip, ZSTD, AsGiven, compress(Compression::Gzip), GZIP),
        (Made::Gzip, ZSTD, AsGiven, LayersWanted::Decompress, NONE),
    ] {
        let original = mislabelled(content, label);
        let pair = Pair::to_place(&original.content(), |place| place.layer_form = form);
        let copied = pair.copied(&wanted(wish)).await;
        let row = format!("{content:?} said to be {label:?}, {form:?}, {wish:?}");
        assert_eq!(compressed(&copied), [expected], "{row}");
        let made = &copied.blob(&image(&copied).layers[0].digest).expect("it is there").bytes;
        let is = |magic: &[u8]| made.starts_with(magic);
        let found = match (is(&[0x1f, 0x8b]), is(&[0x28, 0xb5])) {
            (true, _) => GZIP,
            (_, true) => ZSTD,
            _ => NONE,
        };
        assert_eq!(found, expected, "{row}");
    }
}

#[tokio::test]
async fn a_layer_that_turns_out_to_be_compressed_otherwise_fits_the_format() {
    // Docker has no name for zstd: what is said to be plain, and is zstd, is compressed anew.
    let layer = LayerSpec::new(1).compression(Made::Zstd);
    let layer = layer.media_type(MediaType::DockerLayer(NONE));
    let original = ImageSpec::new(1).format(Format::Docker).layer(layer).build();
    let pair = Pair::to_place(&original.content(), |place| {
        place.layer_form = LayerForm::Compressed;
        place.manifest_types = &[MediaType::DockerManifest];
    });
    assert_eq!(compressed(&pair.copied(&options()).await), [GZIP]);
}

/// An image whose config promises another plain layer.
fn with_other_diff_id(content: Made, label: LayerCompression) -> Content {
    let mut image = mislabelled(content, label);
    let other = LayerSpec::new(99).build(Format::Oci, cask_image::Algorithm::Sha256).diff_id;
    let replace = |blob: &Blob, from: &str, to: &str| {
        let text = String::from_utf8(blob.bytes.to_vec()).expect("it is text");
        Blob::new(blob.descriptor.media_type.clone(), text.replace(from, to))
    };
    let was = image.config.digest().to_string();
    image.config = replace(&image.config, image.layers[0].diff_id.as_str(), other.as_str());
    image.manifest = replace(&image.manifest, &was, image.config.digest().as_str());
    image.content()
}

#[tokio::test]
async fn a_layer_that_is_not_what_its_config_says_is_refused_on_every_way() {
    let decompress = LayersWanted::Decompress;
    for (content, label, wish) in [
        (Made::Gzip, GZIP, decompress),
        (Made::Zstd, ZSTD, decompress),
        (Made::None, NONE, decompress),
        (Made::None, GZIP, decompress),
        (Made::Gzip, GZIP, LayersWanted::Compress(Compression::Zstd)),
        (Made::None, NONE, LayersWanted::Compress(Compression::Zstd)),
        (Made::None, NONE, LayersWanted::Compress(Compression::Gzip)),
        (Made::None, NONE, LayersWanted::CompressPlain(Compression::Gzip)),
        (Made::Zstd, ZSTD, LayersWanted::Compress(Compression::Gzip)),
    ] {
        let pair = Pair::new(&with_other_diff_id(content, label));
        let error = pair.refused(&wanted(wish)).await;
        let row = format!("{content:?} said to be {label:?}, {wish:?}: {error}");
        assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{row}");
        assert!(error.to_string().contains("does not match config's DiffID"), "{row}");
    }
}

#[tokio::test]
async fn a_byte_that_changes_nothing_but_the_digest_is_found_on_every_way() {
    let original = mixed(Format::Oci);
    for wish in [
        LayersWanted::Keep,
        LayersWanted::Decompress,
        LayersWanted::Compress(Compression::Zstd),
        LayersWanted::CompressPlain(Compression::Gzip),
    ] {
        let mut content = original.content();
        let gzip = content.blobs.iter_mut().find(|blob| blob.bytes.starts_with(&[0x1f, 0x8b]));
        let gzip = gzip.expect("one is gzip");
        let mut bytes = gzip.bytes.to_vec();
        // The operating system in the header: no decoder looks at it.
        bytes[9] ^= 1;
        gzip.bytes = bytes.into();
        let error = Pair::new(&content).refused(&wanted(wish)).await;
        assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{wish:?}: {error}");
    }
}

#[tokio::test]
async fn foreign_layers_stay_away_or_come_along() {
    for format in [Format::Oci, Format::Docker] {
        let foreign = LayerSpec::new(1).foreign("https://example.com/layer");
        let original =
            ImageSpec::new(1).format(format).layer(foreign).layer(LayerSpec::new(2)).build();
        let [layer, other] = [0, 1].map(|place| original.layers[place].blob.digest().clone());
        for foreign_layers in [true, false] {
            let pair = Pair::to_place(&original.content(), |place| {
                place.foreign_layers = foreign_layers;
            });
            pair.copy(&options()).await.expect("it can be copied either way");
            let copied = pair.to.content(crate::support::TO);
            assert_eq!(copied.top.digest, *original.digest());
            assert_eq!(copied.blob(&layer).is_some(), !foreign_layers);
            assert!(copied.blob(&other).is_some());
            let stored = if foreign_layers { 2 } else { 3 };
            assert_eq!(pair.to.count(|call| *call == Call::Have(stored)), 1, "no room is reserved");
            let is_read =
                |call: &Call| matches!(call, Call::Blob { digest, .. } if *digest == layer);
            assert_eq!(pair.from.count(is_read), usize::from(!foreign_layers));
        }
    }
}

#[tokio::test]
async fn an_encrypted_layer_is_copied_or_refused_and_never_changed() {
    let encrypted = MediaType::OciLayer(GZIP).encrypted().expect("it has such a type");
    let layer = LayerSpec::new(1).media_type(encrypted.clone());
    let original = ImageSpec::new(1).layer(layer).layer(LayerSpec::new(2)).build();
    let zstd = wanted(LayersWanted::Compress(Compression::Zstd));
    let copied = Pair::new(&original.content()).copied(&zstd).await;
    assert_eq!(image(&copied).layers[0].media_type, encrypted);
    assert_eq!(image(&copied).layers[0].digest, *original.layers[0].blob.digest());
    for change in
        [(|place| place.layer_form = LayerForm::Uncompressed) as fn(&mut Capabilities), |place| {
            place.manifest_types = &[MediaType::DockerManifest]
        }]
    {
        let error = Pair::to_place(&original.content(), change).refused(&options()).await;
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(words(&error).contains("encrypted"), "{}", words(&error));
    }
}

#[tokio::test]
async fn the_same_bytes_come_out_every_time() {
    let original = mixed(Format::Oci).content();
    for wish in [
        LayersWanted::Decompress,
        LayersWanted::Compress(Compression::Gzip),
        LayersWanted::Compress(Compression::Zstd),
    ] {
        let mut contents = Vec::new();
        for parallel in [1, 6, 1] {
            let options = with(|options| {
                options.layers.wanted = wish;
                options.parallel_blobs = parallel.try_into().expect("it is not zero");
            });
            let pair = Pair::new(&original);
            pair.copied(&options).await;
            contents.push((pair.to.visible(), pair.to.content(crate::support::TO)));
        }
        assert!(contents.iter().all(|one| *one == contents[0]), "{wish:?}");
    }
}

#[tokio::test]
async fn a_place_may_read_a_body_twice_or_in_two_parts() {
    for writing in [Writing::Measured, Writing::Resumed] {
        for is_async in [false, true] {
            for wish in [
                LayersWanted::Keep,
                LayersWanted::Decompress,
                LayersWanted::Compress(Compression::Gzip),
                LayersWanted::Compress(Compression::Zstd),
            ] {
                let pair = Pair::new(&mixed(Format::Oci).content());
                for store in [&pair.from, &pair.to] {
                    store.behave(|behaviour| {
                        behaviour.writing = writing;
                        behaviour.is_async = is_async;
                        behaviour.chunk_bytes = 10_000;
                    });
                }
                let report = pair.copy(&wanted(wish)).await.expect("it can be read again");
                assert!(report.moved_bytes > 0);
                check_valid(&pair.to).await;
            }
        }
    }
}

#[tokio::test]
async fn a_blob_that_two_images_share_moves_once_and_two_truths_about_it_are_refused() {
    let layer = LayerSpec::new(1);
    let image = |seed, architecture: &str| {
        let platform = cask_image::Platform::new("linux", architecture);
        ImageSpec::new(seed).platform(platform).layer(layer.clone()).build()
    };
    let (one, two) = (image(1, "amd64"), image(2, "arm64"));
    let index = cask_testkit::generate::IndexSpec::new().image(&one).image(&two).build();
    let all = crate::support::all_with(|options| {
        options.layers.wanted = LayersWanted::Decompress;
    });
    let pair = Pair::new(&index);
    pair.copied(&all).await;
    assert_eq!(pair.to.count(|call| *call == Call::Have(3)), 1);

    let other = LayerSpec::new(9).build(Format::Oci, cask_image::Algorithm::Sha256).diff_id;
    let lying = relinked(&two, |text| text.replace(one.layers[0].diff_id.as_str(), other.as_str()));
    let index = cask_testkit::generate::IndexSpec::new().image(&one).image(&lying).build();
    let error = Pair::new(&index).refused(&crate::support::all_with(|_| {})).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("says that its DiffID is"), "{error}");

    let mut larger = two.clone();
    larger.layers[0].blob.descriptor.size += 1;
    let text = String::from_utf8(larger.manifest.bytes.to_vec()).expect("it is text");
    let size = two.layers[0].blob.descriptor.size;
    let text = text.replace(&format!(":{size}"), &format!(":{}", size + 1));
    larger.manifest = Blob::new(larger.manifest.descriptor.media_type.clone(), text);
    let index = cask_testkit::generate::IndexSpec::new().image(&one).image(&larger).build();
    let error = Pair::new(&index).refused(&crate::support::all_with(|_| {})).await;
    assert_eq!(error.kind(), ErrorKind::SizeMismatch);
}

/// The image with another config.
fn relinked(image: &Image, change: impl Fn(String) -> String) -> Image {
    let mut image = image.clone();
    let text = |blob: &Blob| String::from_utf8(blob.bytes.to_vec()).expect("it is text");
    let (was, size) = (image.config.digest().to_string(), image.config.bytes.len());
    let config = Blob::new(image.config.descriptor.media_type.clone(), change(text(&image.config)));
    assert_eq!(config.bytes.len(), size, "the size stays");
    let manifest = text(&image.manifest).replace(&was, config.digest().as_str());
    image.manifest = Blob::new(image.manifest.descriptor.media_type.clone(), manifest);
    image.config = config;
    image
}
