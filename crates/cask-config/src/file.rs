//! Reading files that somebody else wrote.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{OFlags, major, minor};

use crate::{Error, ErrorKind};

/// The most bytes that one file of configuration, certificates or a key may have: 1 MiB.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// Reads a whole file of at most [`MAX_FILE_BYTES`].
///
/// Symbolic links are followed, and must lead to a regular file. `/dev/null` is an empty file:
/// that is how people switch a file off. Nothing else is opened in a way that could wait.
pub(crate) fn read(doing: &str, path: &Path) -> Result<Vec<u8>, Error> {
    let fail = |source| Error::io(doing, path, source);
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if is_null(&metadata) {
        return Ok(Vec::new());
    }
    if !metadata.is_file() {
        let message = "not a regular file; make it one, or a link to one";
        return Err(Error::new(ErrorKind::Io, message).doing(doing, path));
    }
    let bytes = read_limited(&file, metadata.len()).map_err(fail)?;
    if bytes.len() <= MAX_FILE_BYTES {
        return Ok(bytes);
    }
    let message = format!("more than {MAX_FILE_BYTES} bytes; split it into several files");
    Err(Error::new(ErrorKind::TooLarge, message).doing(doing, path))
}

/// Reads one byte more than the limit, and no further; there are `expected` bytes, most likely.
fn read_limited(file: &File, expected: u64) -> io::Result<Vec<u8>> {
    let limit = MAX_FILE_BYTES as u64 + 1;
    let expected = usize::try_from(expected.min(limit)).unwrap_or_default();
    let mut bytes = Vec::with_capacity(expected);
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_null(metadata: &Metadata) -> bool {
    let device = metadata.rdev();
    metadata.file_type().is_char_device() && (major(device), minor(device)) == (1, 3)
}

/// Reads a text; the error says at which byte it is not UTF-8.
pub(crate) fn read_text(doing: &str, path: &Path) -> Result<String, Error> {
    String::from_utf8(read(doing, path)?).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let position = cask_json::Position::of(error.as_bytes(), offset);
        Error::new(ErrorKind::Syntax, "not UTF-8").doing(doing, path).at("", position)
    })
}
