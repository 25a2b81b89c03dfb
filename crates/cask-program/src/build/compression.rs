//! How layers are compressed that go somewhere.

use anyhow::{Result, bail};
use cask::copy::{CompressionFormat, CopyOptions, LayersWanted};
use cask::layer::{Compression, Level};

use super::arguments::OutputArguments;
use crate::access::boolean;
use crate::moving;

/// What was asked for: by flags, or by an output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Compress {
    pub(super) format: Option<String>,
    pub(super) level: Option<i32>,
    pub(super) force: Option<bool>,
    /// Plain layers stay plain where nothing is said of them: `--disable-compression`, which is usual for a place that
    /// `--tag` names.
    pub(super) plain: bool,
}

impl Compress {
    /// What the flags say.
    pub(super) fn of(arguments: &OutputArguments) -> Result<Self> {
        let compress = Self {
            format: arguments.compression_format.clone(),
            level: arguments.compression_level,
            force: boolean("force-compression", arguments.force_compression.as_deref())?,
            plain: false,
        };
        compress.check()?;
        Ok(compress)
    }

    /// Takes what an output says of itself; tells whether it is that.
    pub(super) fn field(&mut self, key: &str, value: &str) -> Result<bool> {
        match key {
            "compression" => self.format = Some(value.to_owned()),
            "compression-level" => match value.parse() {
                Ok(level) => self.level = Some(level),
                Err(_) => bail!("compression-level={value} is not a number"),
            },
            "force-compression" => self.force = boolean("output", Some(value))?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// This, or what is said elsewhere where nothing is said here.
    pub(super) fn or(&self, other: &Self) -> Self {
        let says = self.format.is_some() || self.level.is_some() || self.force.is_some();
        if says { self.clone() } else { Self { plain: self.plain, ..other.clone() } }
    }

    /// Refuses what cannot be, before anything is built.
    pub(super) fn check(&self) -> Result<()> {
        self.wanted()?;
        self.level()?;
        Ok(())
    }

    /// Sets what was asked for.
    pub(super) fn set(&self, options: &mut CopyOptions) -> Result<()> {
        options.layers.wanted = self.wanted()?;
        options.layers.zstd_chunked = self.format()?.is_some_and(|format| format.zstd_chunked);
        if let Some(level) = self.level()? {
            options.layers.level = level;
        }
        Ok(())
    }

    fn format(&self) -> Result<Option<CompressionFormat>> {
        match self.format.as_deref() {
            // BuildKit's word for what is left as it is.
            Some("uncompressed" | "none") => Ok(Some(Compression::None.into())),
            format => format.map(moving::compression).transpose(),
        }
    }

    fn wanted(&self) -> Result<LayersWanted> {
        let format = self.format()?.map(|format| format.compression);
        Ok(match (format, self.force) {
            (Some(Compression::None), _) => LayersWanted::Decompress,
            (Some(format), Some(true)) => LayersWanted::Compress(format),
            (Some(format), _) => LayersWanted::CompressPlain(format),
            (None, Some(true)) => LayersWanted::Compress(Compression::Gzip),
            (None, _) if self.level.is_some() => LayersWanted::CompressPlain(Compression::Gzip),
            (None, _) if self.plain => LayersWanted::Keep,
            (None, _) => LayersWanted::AsDestinationWants,
        })
    }

    fn level(&self) -> Result<Option<Level>> {
        let Some(level) = self.level.map(Level::Exact) else { return Ok(None) };
        let format = self.format()?.map(|format| format.compression);
        level.number(format.unwrap_or(Compression::Gzip))?;
        Ok(Some(level))
    }
}
