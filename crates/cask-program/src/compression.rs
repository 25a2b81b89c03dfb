//! How layers are compressed that are pushed.

use anyhow::Result;
use cask::copy::{CopyOptions, LayersWanted};
use cask::layer::{Compression, Level};
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
        let compression = self.compression_format.as_deref().map(moving::compression);
        let compression = compression.transpose()?;
        options.layers.zstd_chunked = compression.is_some_and(|format| format.zstd_chunked);
        let compression = compression.map(|format| format.compression);
        let forced = access::boolean("force-compression", self.force_compression.as_deref())?;
        options.layers.wanted = match (compression, forced) {
            (Some(compression), Some(false)) => LayersWanted::CompressPlain(compression),
            (Some(compression), _) => LayersWanted::Compress(compression),
            (None, Some(true)) => LayersWanted::Compress(Compression::Gzip),
            (None, _) if self.compression_level.is_some() => {
                LayersWanted::CompressPlain(Compression::Gzip)
            }
            (None, _) => LayersWanted::AsDestinationWants,
        };
        if let Some(level) = self.compression_level {
            let level = Level::Exact(level);
            level.number(compression.unwrap_or(Compression::Gzip))?;
            options.layers.level = level;
        }
        Ok(options.layers.wanted != LayersWanted::AsDestinationWants)
    }
}
