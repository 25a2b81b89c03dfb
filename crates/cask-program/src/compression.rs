//! How layers are compressed that are pushed.

use anyhow::{Context as _, Result, anyhow};
use cask::copy::{CopyOptions, LayersWanted};
use cask::image::ImageFormat;
use cask::layer::Level;
use cask_config::containers::CompressionConf;
use clap::Args;

use crate::{access, moving};

/// The flags that say so.
#[derive(Args, Debug)]
pub struct CompressionArguments {
    /// Compress layers by gzip, zstd or zstd:chunked
    #[arg(long, value_name = "FORMAT")]
    compression_format: Option<String>,
    /// The level of compression: gzip 1 to 9, zstd 1 to 20
    #[arg(long, value_name = "LEVEL")]
    compression_level: Option<i32>,
    /// Take no layer in another compression for the one that was asked for
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    force_compression: Option<String>,
}

impl CompressionArguments {
    /// Whether a compression is named.
    pub fn are_given(&self) -> bool {
        self.compression_format.is_some()
    }

    /// Sets what was asked for; says whether anything was.
    ///
    /// # Errors
    /// For a format, a level or a truth that is none.
    pub fn apply(&self, options: &mut CopyOptions) -> Result<bool> {
        self.apply_or(options, &CompressionConf::default())
    }

    /// Sets what was asked for, and what containers.conf says for where nothing was; says whether anything was. What
    /// containers.conf says holds for places that want compressed layers alone, and not for Docker's format.
    ///
    /// Source: podman, `pkg/domain/infra/abi/images.go`, `Push`; containers.conf(5).
    ///
    /// # Errors
    /// For a format, a level or a truth that is none.
    pub fn apply_or(&self, options: &mut CopyOptions, conf: &CompressionConf) -> Result<bool> {
        let named = self.compression_format.as_deref().map(moving::compression).transpose()?;
        let usual = conf.format.as_deref().map(moving::compression).transpose();
        let mut usual = usual.context("containers.conf: [engine] compression_format")?;
        if options.format == Some(ImageFormat::Docker) {
            usual = None;
        }
        let usual = usual.unwrap_or_default();
        let format = named.unwrap_or(usual);
        let forced = access::boolean("force-compression", self.force_compression.as_deref())?;
        let layers = &mut options.layers;
        layers.wanted = match (named, forced) {
            (Some(_), Some(false)) => LayersWanted::CompressPlain(format.compression),
            (Some(_), _) | (None, Some(true)) => LayersWanted::Compress(format.compression),
            (None, _) if self.compression_level.is_some() => {
                LayersWanted::CompressPlain(format.compression)
            }
            (None, _) => LayersWanted::AsDestinationWants,
        };
        let is_asked = layers.wanted != LayersWanted::AsDestinationWants;
        layers.zstd_chunked = is_asked && format.zstd_chunked;
        layers.usual = usual;
        let usual_level = || conf.level.filter(|level| *level != 0);
        let level = match self.compression_level {
            Some(level) => Some(level),
            None => usual_level().map(i32::try_from).transpose().map_err(|_| {
                anyhow!("containers.conf: [engine] compression_level is not the level of any compression")
            })?,
        };
        if let Some(level) = level.map(Level::Exact) {
            level.number(format.compression)?;
            layers.level = level;
        }
        Ok(is_asked)
    }
}
