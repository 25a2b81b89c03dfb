//! From tar-split and files back to the tar stream.

use std::fmt;
use std::io::{self, Read};

use super::tree::member_path;
use super::{Crc64, TarSplitEntry, TarSplitError, TarSplitErrorKind, TarSplitReader};

/// Opens the files of a layer by their paths in it.
///
/// A path is a member's name, cleaned: relative to the layer's root, without `.` and `..`. Its
/// bytes are a stranger's all the same: symbolic links in its way are the implementer's to resolve
/// within the root. Closures that return a reader are implementers.
pub trait Files {
    /// The contents of a file.
    type File: Read;

    /// Opens a file.
    ///
    /// # Errors
    /// Any; it becomes the source of an error of kind [`File`](TarSplitErrorKind::File).
    fn open(&mut self, path: &[u8]) -> io::Result<Self::File>;
}

impl<F: FnMut(&[u8]) -> io::Result<R>, R: Read> Files for F {
    type File = R;

    fn open(&mut self, path: &[u8]) -> io::Result<R> {
        self(path)
    }
}

/// Puts the tar stream of a layer together again from its tar-split file and its files.
///
/// The stream has the bytes that it had; every payload is compared with its checksum. See
/// [`Assemble`].
///
/// ```
/// use std::io::Read;
/// use cask_layer::{Crc64, TarSplitWriter, assemble};
///
/// let mut crc = Crc64::default();
/// crc.update(b"web\n");
/// let mut writer = TarSplitWriter::new(Vec::new())?;
/// writer.segment(b"<header>")?;
/// writer.file(b"etc/hostname", 4, Some(crc.value()))?;
/// writer.segment(b"<trailer>")?;
/// let split = writer.finish()?;
///
/// let mut tar = String::new();
/// assemble(&split[..], |path: &[u8]| {
///     assert_eq!(path, b"etc/hostname");
///     Ok(&b"web\n"[..])
/// })?
/// .read_to_string(&mut tar)?;
/// assert_eq!(tar, "<header>web\n<trailer>");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// Those of the first read from `split`.
pub fn assemble<R: Read, F: Files>(split: R, files: F) -> io::Result<Assemble<R, F>> {
    Ok(Assemble {
        split: TarSplitReader::new(split)?,
        files,
        state: State::Segment { bytes: Vec::new(), position: 0 },
        last_block: Vec::new(),
        failure: None,
    })
}

/// The tar stream of a layer; made by [`assemble`].
///
/// Reads fail with a [`TarSplitError`] inside [`io::Error`]: kind
/// [`Changed`](TarSplitErrorKind::Changed), in the words of the field's tools, where a file's size
/// or checksum is not what it was; by then its bytes have been given, so whoever reads must not
/// trust them before the end. `Ok(0)` means that all of it was right. After an error every read
/// returns it again.
///
/// Memory: one segment, at most 24 MiB, usually a few KiB.
pub struct Assemble<R, F: Files> {
    split: TarSplitReader<R>,
    files: F,
    state: State<F::File>,
    /// The last header block, or what is known of it.
    last_block: Vec<u8>,
    failure: Option<TarSplitError>,
}

enum State<F> {
    Segment { bytes: Vec<u8>, position: usize },
    File { file: F, name: Vec<u8>, remaining: u64, crc: Crc64, expected: Option<u64> },
    Ended,
}

impl<R: Read, F: Files> Assemble<R, F> {
    /// Goes on to the next entry that has bytes, or to the end.
    fn next(&mut self) -> Result<(), TarSplitError> {
        let number = self.split.entries();
        self.state = match self.split.next_entry()? {
            None => State::Ended,
            Some(TarSplitEntry::Segment(bytes)) => {
                let start = bytes.len().saturating_sub(512);
                self.last_block.extend_from_slice(&bytes[start..]);
                let surplus = self.last_block.len().saturating_sub(512);
                self.last_block.drain(..surplus);
                State::Segment { bytes, position: 0 }
            }
            Some(TarSplitEntry::File { name, size_bytes, crc }) => {
                if size_bytes == 0 || (crc == Some(0) && self.without_payload()) {
                    self.state = State::Segment { bytes: Vec::new(), position: 0 };
                    return Ok(());
                }
                let file = self.files.open(&member_path(&name)).map_err(|error| {
                    TarSplitError::new(TarSplitErrorKind::File, number, "")
                        .about(&name)
                        .because(error)
                })?;
                let crc_so_far = Crc64::default();
                State::File { file, name, remaining: size_bytes, crc: crc_so_far, expected: crc }
            }
        };
        Ok(())
    }

    /// Whether the last header is of a kind that never has a payload, whatever its size says:
    /// the field's tools write that size down, and the checksum of nothing.
    fn without_payload(&self) -> bool {
        self.last_block.len() == 512 && matches!(self.last_block[156], b'1'..=b'6')
    }

    fn step(&mut self, output: &mut [u8]) -> Result<Option<usize>, TarSplitError> {
        match &mut self.state {
            State::Ended => Ok(Some(0)),
            State::Segment { bytes, position } => {
                let count = output.len().min(bytes.len() - *position);
                if count == 0 {
                    self.next()?;
                    return Ok(None);
                }
                output[..count].copy_from_slice(&bytes[*position..*position + count]);
                *position += count;
                Ok(Some(count))
            }
            State::File { file, name, remaining, crc, expected } => {
                let entry = self.split.entries() - 1;
                let changed =
                    || TarSplitError::new(TarSplitErrorKind::Changed, entry, "").about(name);
                let mut probe = [0];
                let room = usize::try_from(*remaining).unwrap_or(usize::MAX).min(output.len());
                let buffer = if *remaining == 0 { &mut probe[..] } else { &mut output[..room] };
                let count = match file.read(buffer) {
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(None),
                    Err(error) => {
                        return Err(TarSplitError::new(TarSplitErrorKind::File, entry, "")
                            .about(name)
                            .because(error));
                    }
                };
                match (*remaining, count) {
                    (0, 0) if expected.unwrap_or(0) == crc.value() => {
                        self.next()?;
                        Ok(None)
                    }
                    (0, _) | (_, 0) => Err(changed()),
                    _ => {
                        crc.update(&buffer[..count]);
                        *remaining -= count as u64;
                        Ok(Some(count))
                    }
                }
            }
        }
    }
}

impl<R: Read, F: Files> Read for Assemble<R, F> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if let Some(error) = &self.failure {
            return Err(error.clone().into());
        }
        if output.is_empty() {
            return Ok(0);
        }
        loop {
            match self.step(output) {
                Ok(Some(count)) => return Ok(count),
                Ok(None) => {}
                Err(error) => {
                    self.failure = Some(error.clone());
                    return Err(error.into());
                }
            }
        }
    }
}

impl<R, F: Files> fmt::Debug for Assemble<R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assemble")
            .field("split", &self.split)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}
