//! Every form of a layer, for every form of place, with every wish.

use cask_image::{Algorithm, Descriptor, Hasher, ImageFormat, LayerCompression, MediaType};
use cask_layer::{Compression, Level};
use cask_transport::LayerForm;

use super::layer::{LayerQuestion, decide};
use crate::plan::BlobAction;
use crate::transform::Target;
use crate::{LayerOptions, LayersWanted};

/// A layer by its label, and whether its digest says that it is plain.
#[derive(Clone, Copy)]
enum Kind {
    Plain,
    Gzip,
    Zstd,
    /// Said to be plain, and its digest says that it is not.
    SaidPlain,
    /// Said to be gzip, and its digest says that it is plain.
    SaidGzip,
    Encrypted,
    /// No layer by its type.
    Other,
    /// Gzip, with URLs, not to be distributed.
    Foreign,
}

const KINDS: [Kind; 8] = [
    Kind::Plain,
    Kind::Gzip,
    Kind::Zstd,
    Kind::SaidPlain,
    Kind::SaidGzip,
    Kind::Encrypted,
    Kind::Other,
    Kind::Foreign,
];

const NO_LAYER: &str = "application/vnd.in-toto+json";

fn layer(kind: Kind) -> (Descriptor, cask_image::Digest) {
    let [plain, compressed] =
        [b"plain".as_slice(), b"compressed"].map(|bytes| Hasher::digest(Algorithm::Sha256, bytes));
    let labelled = |compression| MediaType::OciLayer(compression);
    let (media_type, digest) = match kind {
        Kind::Plain => (labelled(LayerCompression::None), &plain),
        Kind::Gzip => (labelled(LayerCompression::Gzip), &compressed),
        Kind::Zstd => (labelled(LayerCompression::Zstd), &compressed),
        Kind::SaidPlain => (labelled(LayerCompression::None), &compressed),
        Kind::SaidGzip => (labelled(LayerCompression::Gzip), &plain),
        Kind::Encrypted => {
            let gzip = labelled(LayerCompression::Gzip);
            (gzip.encrypted().expect("it can be"), &compressed)
        }
        Kind::Other => (MediaType::from(NO_LAYER), &compressed),
        Kind::Foreign => (MediaType::OciNondistributableLayer(LayerCompression::Gzip), &compressed),
    };
    let mut layer = Descriptor::new(media_type, digest.clone(), 1);
    if matches!(kind, Kind::Foreign) {
        layer.urls = vec!["https://example.com/layer".into()];
    }
    (layer, plain)
}

/// A decision in a word.
fn word(decided: Result<super::layer::LayerDecision, super::fixed::Refusal>) -> String {
    let Ok(decision) = decided else { return "refuse".into() };
    assert_eq!(
        decision.target.is_some(),
        matches!(decision.action, BlobAction::Compress(_) | BlobAction::Decompress)
            || decision.action == BlobAction::Copy && !decision.reason.is_empty()
    );
    match (decision.action, decision.target) {
        (BlobAction::Copy, None) => "keep".into(),
        (BlobAction::Copy, Some(Target::Plain)) => "relabel".into(),
        (BlobAction::Decompress, Some(Target::Plain)) => "plain".into(),
        (BlobAction::Leave, None) => "leave".into(),
        (BlobAction::Compress(to), Some(Target::Compressed { compression, keeps, .. })) => {
            assert_eq!(to, compression);
            let kept: Vec<_> = keeps.iter().map(|kept| kept.as_str()).collect();
            format!("{to}/{}", kept.join("+"))
        }
        other => panic!("{other:?} is no decision"),
    }
}

/// One row: for each kind, in the order of `KINDS`, what is done.
#[track_caller]
fn check(form: LayerForm, wanted: LayersWanted, is_fixed: bool, expected: [&str; 8]) {
    check_format(ImageFormat::Oci, form, wanted, is_fixed, expected);
}

#[track_caller]
fn check_format(
    format: ImageFormat,
    form: LayerForm,
    wanted: LayersWanted,
    is_fixed: bool,
    expected: [&str; 8],
) {
    let mut capabilities = cask_transport::Capabilities::none();
    capabilities.layer_form = form;
    let options = LayerOptions { wanted, level: Level::Exact(3), ..LayerOptions::default() };
    let decided = KINDS.map(|kind| {
        let (layer, diff_id) = layer(kind);
        word(decide(&LayerQuestion {
            layer: &layer,
            diff_id: &diff_id,
            format,
            capabilities: &capabilities,
            destination: "place",
            options: &options,
            is_fixed,
        }))
    });
    assert_eq!(decided, expected, "{form:?}, {wanted:?}, fixed: {is_fixed}");
}

use LayerForm::{AsGiven, Compressed, Uncompressed};
use LayersWanted::{AsDestinationWants, Compress, CompressPlain, Decompress, Keep};

const KEEP: [&str; 8] = ["keep"; 8];

#[test]
fn a_place_that_takes_layers_as_they_are_gets_them_so() {
    check(AsGiven, AsDestinationWants, false, KEEP);
    check(AsGiven, AsDestinationWants, true, KEEP);
    check(AsGiven, Keep, false, KEEP);
    check(Compressed, Keep, false, KEEP);
    check(Compressed, AsDestinationWants, true, KEEP);
}

#[test]
fn a_place_that_wants_compressed_layers_gets_them_so() {
    let both = "gzip/gzip+zstd";
    let expected = [both, "keep", "keep", both, both, "keep", "keep", "keep"];
    check(Compressed, AsDestinationWants, false, expected);
    // Docker's format has no name for zstd: what turns out to be zstd is compressed anew.
    let gzip = "gzip/gzip";
    let expected = [gzip, "keep", "keep", gzip, gzip, "keep", "keep", "keep"];
    check_format(ImageFormat::Docker, Compressed, AsDestinationWants, false, expected);
}

#[test]
fn what_is_asked_for_is_done_whether_the_manifest_may_change_or_not() {
    for form in [AsGiven, Compressed] {
        for is_fixed in [false, true] {
            let gzip = "gzip/gzip";
            let expected = [gzip, "keep", gzip, gzip, gzip, "keep", "keep", "keep"];
            check(form, Compress(Compression::Gzip), is_fixed, expected);
            let zstd = "zstd/zstd";
            let expected = [zstd, zstd, "keep", zstd, zstd, "keep", "keep", zstd];
            check(form, Compress(Compression::Zstd), is_fixed, expected);
            let plain = "zstd/gzip+zstd";
            let expected = [plain, "keep", "keep", plain, plain, "keep", "keep", "keep"];
            check(form, CompressPlain(Compression::Zstd), is_fixed, expected);
        }
        let expected = ["keep", "plain", "plain", "plain", "relabel", "keep", "keep", "plain"];
        check(form, Decompress, false, expected);
        let expected = ["keep", "plain", "plain", "plain", "keep", "keep", "keep", "plain"];
        check(form, Decompress, true, expected);
    }
}

#[test]
fn a_place_of_plain_layers_gets_plain_layers_or_nothing() {
    for wanted in [AsDestinationWants, Decompress] {
        let expected = ["keep", "plain", "plain", "plain", "relabel", "refuse", "refuse", "plain"];
        check(Uncompressed, wanted, false, expected);
        let expected = ["keep", "plain", "plain", "plain", "keep", "refuse", "refuse", "plain"];
        check(Uncompressed, wanted, true, expected);
    }
    let expected = ["keep", "refuse", "refuse", "refuse", "keep", "refuse", "refuse", "refuse"];
    check(Uncompressed, Keep, false, expected);
    check(Uncompressed, Keep, true, expected);
    for wanted in [Compress(Compression::Gzip), CompressPlain(Compression::Zstd)] {
        check(Uncompressed, wanted, false, ["refuse"; 8]);
    }
}

#[test]
fn foreign_layers_are_left_where_they_need_not_be_stored() {
    let (layer, diff_id) = layer(Kind::Foreign);
    let mut capabilities = cask_transport::Capabilities::none();
    for form in [AsGiven, Compressed, Uncompressed] {
        for wanted in [AsDestinationWants, Keep, Decompress, Compress(Compression::Gzip)] {
            capabilities.layer_form = form;
            let options = LayerOptions { wanted, ..LayerOptions::default() };
            let mut question = LayerQuestion {
                layer: &layer,
                diff_id: &diff_id,
                format: ImageFormat::Oci,
                capabilities: &capabilities,
                destination: "place",
                options: &options,
                is_fixed: false,
            };
            assert_ne!(word(decide(&question)), "leave");
            let mut able = capabilities.clone();
            able.foreign_layers = true;
            question.capabilities = &able;
            assert_eq!(word(decide(&question)), "leave");
            let mut nowhere = layer.clone();
            nowhere.urls.clear();
            question.layer = &nowhere;
            assert_ne!(word(decide(&question)), "leave", "nobody could fetch it");
        }
    }
}

#[test]
fn digests_of_two_algorithms_say_nothing_so_the_label_counts() {
    let capabilities = cask_transport::Capabilities::none();
    let options = LayerOptions { wanted: Decompress, ..LayerOptions::default() };
    let sha512 = Hasher::digest(Algorithm::Sha512, b"plain");
    for (kind, expected) in
        [(Kind::Plain, "keep"), (Kind::Gzip, "plain"), (Kind::SaidGzip, "plain")]
    {
        let (layer, _) = layer(kind);
        let question = LayerQuestion {
            layer: &layer,
            diff_id: &sha512,
            format: ImageFormat::Oci,
            capabilities: &capabilities,
            destination: "place",
            options: &options,
            is_fixed: false,
        };
        assert_eq!(word(decide(&question)), expected);
    }
}

#[test]
fn refusals_say_why() {
    let mut capabilities = cask_transport::Capabilities::none();
    capabilities.layer_form = Uncompressed;
    for (kind, wanted, expected) in [
        (Kind::Encrypted, AsDestinationWants, "cannot be decompressed"),
        (Kind::Other, AsDestinationWants, NO_LAYER),
        (Kind::Gzip, Keep, "is compressed"),
        (Kind::Plain, Compress(Compression::Gzip), "place holds plain layers only"),
    ] {
        let (layer, diff_id) = layer(kind);
        let options = LayerOptions { wanted, ..LayerOptions::default() };
        let refusal = decide(&LayerQuestion {
            layer: &layer,
            diff_id: &diff_id,
            format: ImageFormat::Oci,
            capabilities: &capabilities,
            destination: "place",
            options: &options,
            is_fixed: false,
        })
        .expect_err("it is refused");
        assert!(refusal.detail.contains(expected), "{}", refusal.detail);
    }
}
