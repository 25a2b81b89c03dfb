//! What the arguments of `copy` mean together.

use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use cask::copy::{CopyOptions, ExistingImage, Instances, LayersWanted, PartialIndex};
use cask::image::ImageFormat;
use cask::layer::{Compression, Level};
use cask::reference::Reference;
use cask::transport::EventSink;
use cask_program::platform;

use crate::commands::copy::{Arguments, IndexChoice};
use crate::context::Context;

/// The library's options for a copy to a scheme.
pub(crate) fn resolve(
    arguments: &Arguments,
    context: &Context,
    scheme: &str,
    events: Arc<dyn EventSink>,
) -> Result<CopyOptions> {
    let mut options = CopyOptions::new(context.policy()?, platform::wanted(&context.settings));
    options.require_signed = context.global.require_signed;
    options.instances = instances(arguments, context)?;
    options.partial_index = match arguments.index {
        IndexChoice::Keep => PartialIndex::Keep,
        // Stripping changes the index, which was excluded.
        IndexChoice::Strip if arguments.preserve_digests => PartialIndex::Keep,
        IndexChoice::Strip => PartialIndex::Strip,
    };
    options.preserve_digests = arguments.preserve_digests;
    if arguments.no_clobber {
        options.existing = ExistingImage::Refused;
    }
    options.format = arguments.format.as_deref().map(format).transpose()?;
    options.layers.wanted = layers(arguments, scheme)?;
    options.layers.zstd_chunked = compression(arguments)?.is_some_and(|(_, chunked)| chunked);
    options.layers.level = level(arguments)?;
    options.layers.precompute_digests = arguments.dest_precompute_digests;
    options.attached.remove_signatures = arguments.remove_signatures;
    options.attached.referrers = arguments.referrers;
    options.write.additional_names = arguments
        .additional_tag
        .iter()
        .map(|tag| {
            Reference::parse_normalized(tag)
                .map(Reference::with_default_tag)
                .with_context(|| format!("error parsing additional-tag {tag:?}"))
        })
        .collect::<Result<_>>()?;
    options.write.timestamp_seconds = source_date_epoch()?;
    options.parallel_blobs = parallel_blobs(arguments.image_parallel_copies)?;
    options.events = events;
    Ok(options)
}

/// How many blobs are copied at once.
pub(super) fn parallel_blobs(given: Option<usize>) -> Result<NonZeroUsize> {
    const SIX: NonZeroUsize = NonZeroUsize::new(6).expect("six is not zero");
    given.map_or(Ok(SIX), |parallel| {
        NonZeroUsize::new(parallel).context("--image-parallel-copies must be at least 1")
    })
}

fn instances(arguments: &Arguments, context: &Context) -> Result<Instances> {
    if arguments.all {
        if !arguments.multi_arch.is_empty() {
            bail!("Cannot use --all and --multi-arch flags together");
        }
        return Ok(Instances::All);
    }
    if !arguments.platform.is_empty() {
        return Ok(Instances::Platforms(platform::list(&arguments.platform)?));
    }
    Ok(match arguments.multi_arch.as_slice() {
        [] => Instances::One(platform::wanted(&context.settings)),
        [one] if one == "system" => Instances::One(platform::wanted(&context.settings)),
        [one] if one == "all" => Instances::All,
        [one] if one == "index-only" => Instances::IndexOnly,
        [one] if !one.contains('/') => bail!(
            "unknown multi-arch option {one:?}. Choose one of the supported options: 'system', \
             'all', or 'index-only'"
        ),
        platforms => Instances::Platforms(platform::list(platforms)?),
    })
}

pub(super) fn format(text: &str) -> Result<ImageFormat> {
    match text {
        "oci" => Ok(ImageFormat::Oci),
        "v2s2" => Ok(ImageFormat::Docker),
        "v2s1" => bail!("format v2s1 can only be read: choose 'oci' or 'v2s2'"),
        _ => {
            bail!("unknown format {text:?}. Choose one of the supported formats: 'oci', or 'v2s2'")
        }
    }
}

fn layers(arguments: &Arguments, scheme: &str) -> Result<LayersWanted> {
    let is_layout = matches!(scheme, "oci" | "oci-archive");
    if arguments.dest_oci_accept_uncompressed_layers {
        if !is_layout {
            bail!("--dest-oci-accept-uncompressed-layers is for oci: and oci-archive: only");
        }
        return Ok(LayersWanted::Keep);
    }
    let compression = compression(arguments)?;
    Ok(match (arguments.dest_compress, arguments.dest_decompress, compression) {
        (_, true, _) => LayersWanted::Decompress,
        (true, false, None) => LayersWanted::CompressPlain(Compression::Gzip),
        (_, false, Some((compression, _))) => LayersWanted::Compress(compression),
        (false, false, None) if arguments.dest_compress_level.is_some() => {
            LayersWanted::Compress(Compression::Gzip)
        }
        (false, false, None) => LayersWanted::AsDestinationWants,
    })
}

/// The compression that is asked for, and whether readers can fetch single files of it.
fn compression(arguments: &Arguments) -> Result<Option<(Compression, bool)>> {
    match arguments.dest_compress_format.as_deref() {
        None => Ok(None),
        Some("gzip") => Ok(Some((Compression::Gzip, false))),
        Some("zstd") => Ok(Some((Compression::Zstd, false))),
        Some("zstd:chunked") => Ok(Some((Compression::Zstd, true))),
        // Its table is a file of the layer, so that layers and configs would become other ones.
        Some("estargz") => bail!("estargz cannot be written: choose zstd:chunked, gzip or zstd"),
        Some(other) => {
            bail!("unknown compression format {other:?}: choose gzip, zstd or zstd:chunked")
        }
    }
}

fn level(arguments: &Arguments) -> Result<Level> {
    let Some(level) = arguments.dest_compress_level else { return Ok(Level::Default) };
    let level = Level::Exact(level);
    level.number(
        compression(arguments)?.map_or(Compression::Gzip, |(compression, _)| compression),
    )?;
    Ok(level)
}

/// Source: reproducible-builds.org, `SOURCE_DATE_EPOCH`.
pub(super) fn source_date_epoch() -> Result<Option<i64>> {
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    seconds.map(Some).with_context(|| {
        format!("SOURCE_DATE_EPOCH is {text:?}, not a number of seconds since 1970")
    })
}
