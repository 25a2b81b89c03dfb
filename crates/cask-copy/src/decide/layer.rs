//! What happens to a layer: a pure decision.

use cask_image::{Descriptor, Digest, ImageFormat, LayerCompression};
use cask_layer::Compression;
use cask_transport::{Capabilities, LayerForm};

use super::fixed::Refusal;
use crate::plan::BlobAction;
use crate::transform::{Form, Target};
use crate::{LayerOptions, LayersWanted};

/// What is asked about one layer.
pub(crate) struct LayerQuestion<'a> {
    pub(crate) layer: &'a Descriptor,
    /// The digest of the plain tar, as the config says.
    pub(crate) diff_id: &'a Digest,
    /// The format of the manifest that is written.
    pub(crate) format: ImageFormat,
    pub(crate) capabilities: &'a Capabilities,
    /// The destination's scheme.
    pub(crate) destination: &'a str,
    pub(crate) options: &'a LayerOptions,
    /// No manifest may change.
    pub(crate) is_fixed: bool,
}

/// What is done with a layer, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LayerDecision {
    pub(crate) action: BlobAction,
    /// What the bytes become; `None` leaves them and what is said about them.
    pub(crate) target: Option<Target>,
    pub(crate) reason: String,
}

/// Decides. Nothing of the layer was read: its media type says how it is compressed, unless it has
/// the digest of the plain tar. Where it lies, reading finds out, and then the content counts.
pub(crate) fn decide(question: &LayerQuestion<'_>) -> Result<LayerDecision, Refusal> {
    let LayerQuestion { layer, capabilities, destination, .. } = *question;
    let is_foreign = layer.media_type.is_nondistributable_layer() && !layer.urls.is_empty();
    if is_foreign && capabilities.foreign_layers {
        let reason = "it is not to be distributed".to_owned();
        return Ok(LayerDecision { action: BlobAction::Leave, target: None, reason });
    }
    let only_plain = capabilities.layer_form == LayerForm::Uncompressed;
    let Some(named) = layer.media_type.layer_compression() else {
        // Nobody but its owner can change a layer that is encrypted, or no layer at all.
        return match only_plain && !is_plain(question, None) {
            false => Ok(keep()),
            true => Err(Refusal::new(format!(
                "{destination} holds plain layers only, and what {} is cannot be decompressed",
                layer.media_type
            ))),
        };
    };
    if only_plain { for_plain_place(question, named) } else { for_other_place(question, named) }
}

fn for_plain_place(
    question: &LayerQuestion<'_>,
    named: LayerCompression,
) -> Result<LayerDecision, Refusal> {
    let only_plain = format!("{} holds plain layers only", question.destination);
    match question.options.wanted {
        LayersWanted::Compress(_) | LayersWanted::CompressPlain(_) => {
            Err(Refusal::new(only_plain).with_hint("leave out what asks for compression"))
        }
        LayersWanted::Keep if is_plain(question, Some(named)) => Ok(keep()),
        LayersWanted::Keep => Err(Refusal::new(format!(
            "{only_plain}, and the layer {} is compressed",
            question.layer.digest
        ))),
        LayersWanted::AsDestinationWants | LayersWanted::Decompress => {
            Ok(plain(question, named, only_plain))
        }
    }
}

fn for_other_place(
    question: &LayerQuestion<'_>,
    named: LayerCompression,
) -> Result<LayerDecision, Refusal> {
    let is_plain = is_plain(question, Some(named));
    let is_said_plain = named == LayerCompression::None;
    let form_of = |chunked| if chunked { Form::Chunked } else { Form::Stream };
    let form = form_of(question.options.zstd_chunked);
    let compress = |compression, form, keeps, reason: String| LayerDecision {
        action: BlobAction::Compress(compression),
        target: Some(Target::Compressed {
            compression,
            form,
            level: question.options.level,
            keeps,
        }),
        reason,
    };
    let asked = |compression: Compression| match form {
        Form::Stream => format!("{compression} is asked for"),
        Form::Chunked => format!("{compression}:chunked is asked for"),
    };
    let is_other = |wanted| match form {
        Form::Stream => !names(named, wanted),
        Form::Chunked => !names(named, wanted) || !has_table(question.layer),
    };
    Ok(match question.options.wanted {
        LayersWanted::Keep => keep(),
        LayersWanted::Decompress => plain(question, named, "plain layers are asked for".into()),
        LayersWanted::Compress(wanted) if is_plain || is_other(wanted) => {
            let keeps = if form == Form::Chunked { &[] } else { itself(wanted) };
            compress(wanted, form, keeps, asked(wanted))
        }
        LayersWanted::CompressPlain(wanted) if is_plain || is_said_plain => {
            compress(wanted, form, what_has_a_type(question.format), asked(wanted))
        }
        LayersWanted::AsDestinationWants
            if question.capabilities.layer_form == LayerForm::Compressed
                && (is_plain || is_said_plain)
                && !question.is_fixed =>
        {
            let reason = format!("{} wants compressed layers", question.destination);
            let usual = question.options.usual;
            let (compression, form) = match question.format {
                // It has no type for zstd.
                ImageFormat::Docker => (Compression::Gzip, Form::Stream),
                ImageFormat::Oci => (usual.compression, form_of(usual.zstd_chunked)),
            };
            compress(compression, form, what_has_a_type(question.format), reason)
        }
        LayersWanted::Compress(_)
        | LayersWanted::CompressPlain(_)
        | LayersWanted::AsDestinationWants => keep(),
    })
}

/// The layer without compression: its bytes, or only what is said about them.
fn plain(question: &LayerQuestion<'_>, named: LayerCompression, reason: String) -> LayerDecision {
    let target = Some(Target::Plain);
    if !is_plain(question, Some(named)) {
        return LayerDecision { action: BlobAction::Decompress, target, reason };
    }
    if named == LayerCompression::None || question.is_fixed {
        return keep();
    }
    let reason = "its media type says that it is compressed, and it is not".to_owned();
    LayerDecision { action: BlobAction::Copy, target, reason }
}

/// Whether a layer is zstd:chunked by what is said of it.
///
/// Source: containers/storage, `pkg/chunked/toc`.
fn has_table(layer: &Descriptor) -> bool {
    layer.annotations.contains_key("io.github.containers.zstd-chunked.manifest-checksum")
}

/// What stays as it is where all else is compressed anew.
fn itself(wanted: Compression) -> &'static [Compression] {
    match wanted {
        Compression::Zstd => &[Compression::Zstd],
        _ => &[Compression::Gzip],
    }
}

/// What stays as it is where only plain layers are compressed: what the format has a type for.
fn what_has_a_type(format: ImageFormat) -> &'static [Compression] {
    match format {
        ImageFormat::Oci => &[Compression::Gzip, Compression::Zstd],
        ImageFormat::Docker => &[Compression::Gzip],
    }
}

fn keep() -> LayerDecision {
    LayerDecision { action: BlobAction::Copy, target: None, reason: String::new() }
}

/// Whether the bytes are those of the plain tar. Digests of two algorithms cannot be compared: then
/// the media type is believed.
fn is_plain(question: &LayerQuestion<'_>, named: Option<LayerCompression>) -> bool {
    let LayerQuestion { layer, diff_id, .. } = question;
    if layer.digest.algorithm() == diff_id.algorithm() {
        return layer.digest == **diff_id;
    }
    named == Some(LayerCompression::None)
}

fn names(named: LayerCompression, wanted: Compression) -> bool {
    matches!(
        (named, wanted),
        (LayerCompression::None, Compression::None)
            | (LayerCompression::Gzip, Compression::Gzip)
            | (LayerCompression::Zstd, Compression::Zstd)
    )
}
