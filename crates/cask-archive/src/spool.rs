//! Unpacking what cannot be read in place into a file without a name.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use cask_layer::{
    Compression, DecompressLimits, Error as LayerError, ErrorKind as LayerErrorKind, Limit,
    decompress, detect_reader,
};

use crate::error::{Error, ErrorKind, Result};
use crate::file::{COPY_BYTES, unnamed};
use crate::reader::ReadOptions;

/// Whether a file is compressed, by its first bytes.
pub(crate) fn is_compressed(file: &File, path: &Path) -> Result<bool> {
    let mut prefix = [0; Compression::PREFIX_LEN];
    let mut held = 0;
    while held < prefix.len() {
        match file.read_at(&mut prefix[held..], held as u64) {
            Ok(0) => break,
            Ok(bytes) => held += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::open(path, error)),
        }
    }
    Ok(Compression::detect(&prefix[..held]) != Compression::None)
}

/// Reads a stream to its end, decompressing it on the way, into a file without a name.
pub(crate) fn unpack(reader: impl Read, path: &Path, options: &ReadOptions) -> Result<File> {
    let spool_failed = |error| {
        let directory = options.spool_directory.display();
        let detail = format!("unpacking it into {directory} failed");
        Error::new(ErrorKind::Io, "reading", path, detail).caused_by(error)
    };
    let file = unnamed(&options.spool_directory).map_err(spool_failed)?;
    let (compression, reader) =
        detect_reader(reader).map_err(|error| Error::io("reading", path, error))?;
    let mut limits = DecompressLimits::default();
    // What exceeds our own limit gets our own error.
    limits.max_output_bytes = options.max_spooled_bytes.saturating_add(1);
    let mut reader = decompress(reader, compression, limits);
    let mut buffer = vec![0; COPY_BYTES];
    let mut written = 0;
    loop {
        let bytes = match reader.read(&mut buffer) {
            Ok(0) => return Ok(file),
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unpack_error(path, written, options, error)),
        };
        if written + bytes as u64 > options.max_spooled_bytes {
            return Err(too_large(path, options));
        }
        file.write_all_at(&buffer[..bytes], written).map_err(spool_failed)?;
        written += bytes as u64;
    }
}

fn unpack_error(path: &Path, offset: u64, options: &ReadOptions, error: io::Error) -> Error {
    let layer = LayerError::of(&error).map(LayerError::kind);
    if let Some(LayerErrorKind::LimitExceeded { what: Limit::OutputBytes, .. }) = layer {
        return too_large(path, options);
    }
    let detail = "the archive cannot be unpacked";
    Error::new(kind_of(&error), "reading", path, detail).at(offset).caused_by(error)
}

/// What an error of the decompressor means for the archive.
pub(crate) fn kind_of(error: &io::Error) -> ErrorKind {
    match LayerError::of(error).map(LayerError::kind) {
        Some(LayerErrorKind::LimitExceeded { .. }) => ErrorKind::TooLarge,
        Some(LayerErrorKind::Truncated) => ErrorKind::Truncated,
        Some(LayerErrorKind::Corrupt) => ErrorKind::Malformed,
        Some(LayerErrorKind::Unsupported) => ErrorKind::Unsupported,
        _ => ErrorKind::Io,
    }
}

fn too_large(path: &Path, options: &ReadOptions) -> Error {
    let allowed = options.max_spooled_bytes;
    let detail = format!("unpacked, the archive has more than the {allowed} bytes allowed");
    Error::new(ErrorKind::TooLarge, "reading", path, detail)
}
