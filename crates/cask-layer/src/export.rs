//! A stored layer, back as a blob.

use std::error;
use std::fmt;
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;

use cask_image::{Algorithm, Digest};

use crate::hash::{Hashed, compare};
use crate::{Compression, Error, Level, Mismatch, compress};

/// What [`export`] writes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportOptions {
    /// The digest that the uncompressed stream must have: the DiffID. Not checked by default.
    pub diff_digest: Option<Digest>,
    /// The compression of the blob. None by default.
    pub compression: Compression,
    /// How hard to compress.
    pub level: Level,
    /// How many threads compress. One by default.
    pub threads: NonZeroUsize,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self {
            diff_digest: None,
            compression: Compression::None,
            level: Level::Default,
            threads: NonZeroUsize::MIN,
        }
    }
}

/// What [`export`] has written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// The digest of the blob.
    pub blob_digest: Digest,
    /// The size of the blob in bytes.
    pub blob_size_bytes: u64,
    /// The digest of the uncompressed stream.
    pub diff_digest: Digest,
    /// The size of the uncompressed stream in bytes.
    pub diff_size_bytes: u64,
}

/// Why [`export`] failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExportError {
    /// The layer could not be read; [`crate::TarSplitError::of`] tells what is damaged.
    Read(io::Error),
    /// The blob could not be written.
    Write(io::Error),
    /// Such a blob cannot be written.
    Compress(Error),
    /// The layer is not what it was.
    Diff(Mismatch),
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read(_) => "cannot read the stored layer",
            Self::Write(_) => "cannot write the layer's blob",
            Self::Compress(_) => "cannot compress the layer",
            Self::Diff(_) => "the stored layer is not what it was",
        })
    }
}

impl error::Error for ExportError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(match self {
            Self::Read(error) | Self::Write(error) => error,
            Self::Compress(error) => error,
            Self::Diff(mismatch) => mismatch,
        })
    }
}

/// Writes the tar stream of a layer, which [`assemble`](crate::assemble) gives, as a blob.
///
/// The stream is hashed, compressed, and hashed again. Reading it ahead on a thread of its own is
/// what [`pipelined`](crate::pipelined) is for. What was written must not be used if this fails:
/// that a file has changed is known at its end.
///
/// ```
/// use cask_layer::{Compression, ExportOptions, export};
///
/// let mut options = ExportOptions::default();
/// options.compression = Compression::Zstd;
/// let mut blob = Vec::new();
/// let exported = export(&b"a tar stream"[..], &mut blob, &options)?;
/// assert_eq!(exported.diff_size_bytes, 12);
/// assert_eq!(exported.blob_size_bytes, blob.len() as u64);
/// # Ok::<(), cask_layer::ExportError>(())
/// ```
///
/// # Errors
/// [`ExportError`].
pub fn export(
    mut stream: impl Read,
    output: impl Write,
    options: &ExportOptions,
) -> Result<Exported, ExportError> {
    let algorithm = options.diff_digest.as_ref().map_or(Algorithm::Sha256, Digest::algorithm);
    let plain = options.compression == Compression::None && algorithm == Algorithm::Sha256;
    let output = Hashed::new(output, Algorithm::Sha256, None);
    let mut writer = compress(output, options.compression, options.level, options.threads)
        .map_err(ExportError::Compress)?;
    let mut hasher = cask_image::Hasher::new(algorithm);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let count = match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ExportError::Read(error)),
        };
        if !plain {
            hasher.update(&buffer[..count]);
        }
        writer.write_all(&buffer[..count]).map_err(ExportError::Write)?;
    }
    let mut output = writer.finish().map_err(ExportError::Write)?;
    output.flush().map_err(ExportError::Write)?;
    let (blob_digest, blob_size_bytes) = output.finish();
    let (diff_digest, diff_size_bytes) = if plain {
        (blob_digest.clone(), blob_size_bytes)
    } else {
        let count = hasher.len();
        (hasher.finish(), count)
    };
    compare((&diff_digest, diff_size_bytes), options.diff_digest.as_ref(), None)
        .map_err(ExportError::Diff)?;
    Ok(Exported { blob_digest, blob_size_bytes, diff_digest, diff_size_bytes })
}
