//! Writing a tar-split file beside reading a tar stream.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use super::tree::Tree;
use super::{
    Crc64, Files, TarSplitEntry, TarSplitError, TarSplitErrorKind, TarSplitReader, TarSplitWriter,
};
use crate::{Member, Observe};

/// A file that can be read back and emptied.
pub trait Scratch: Read + Write + Seek {
    /// Makes the file empty; the position becomes its start.
    ///
    /// # Errors
    /// Those of the file.
    fn clear(&mut self) -> io::Result<()>;
}

impl Scratch for File {
    fn clear(&mut self) -> io::Result<()> {
        self.set_len(0)?;
        self.rewind()
    }
}

impl Scratch for Cursor<Vec<u8>> {
    fn clear(&mut self) -> io::Result<()> {
        self.get_mut().clear();
        self.set_position(0);
        Ok(())
    }
}

/// Writes the tar-split file of a layer while it is applied: give it to
/// [`Members::observed`](crate::Members::observed) as the observer.
///
/// Everything that is not a payload becomes a segment; each payload becomes an entry with a
/// checksum, to be read from its file later. Some payloads will not be in a file of their name:
/// sparse files, names given twice or through a symbolic link, absolute names and those with `..`.
/// Those become segments too, which is more than the field's tools can: they refuse such layers,
/// or cannot give them back. Readers of the field do read the result.
///
/// That a file is replaced later in the same layer is found out too late for that. So its contents
/// are read, through `files`, just before they go, and put into the tar-split file at the end.
/// For this the layer must be applied as it is read: whoever calls
/// [`next_member`](crate::Members::next_member) has applied all members before.
///
/// Memory: about 100 bytes for each name in the layer, at most 16,777,216 names.
pub struct TarSplitRecorder<W: Scratch, F> {
    writer: TarSplitWriter<W>,
    files: F,
    scratch: Box<dyn FnMut() -> io::Result<W> + Send>,
    tree: Tree,
    current: Current,
    /// What was saved of files that are replaced: by entry, where it is in `saved` and how long.
    lost: BTreeMap<u64, (u64, u64)>,
    saved: Option<W>,
    saved_bytes: u64,
    failure: Option<io::Error>,
}

/// What is being read.
enum Current {
    Header,
    Listed { name: Vec<u8>, size_bytes: u64, crc: Crc64 },
    Inline,
}

impl<W: Scratch, F: Files> TarSplitRecorder<W, F> {
    /// Starts a tar-split file in `output`, which is empty.
    ///
    /// `files` opens what was applied so far. `scratch` gives empty files for what has to be kept
    /// for a while; it is called for layers that replace their own files only.
    ///
    /// # Errors
    /// Those of [`TarSplitWriter::new`].
    pub fn new(
        output: W,
        files: F,
        scratch: impl FnMut() -> io::Result<W> + Send + 'static,
    ) -> io::Result<Self> {
        Ok(Self {
            writer: TarSplitWriter::new(output)?,
            files,
            scratch: Box::new(scratch),
            tree: Tree::new(),
            current: Current::Header,
            lost: BTreeMap::new(),
            saved: None,
            saved_bytes: 0,
            failure: None,
        })
    }

    /// Ends the tar-split file, after [`Members::finish`](crate::Members::finish), and gives it
    /// back. Its position is its end.
    ///
    /// # Errors
    /// Those of the files; [`Changed`](TarSplitErrorKind::Changed) if a file that was replaced had
    /// not the contents that the stream had.
    pub fn finish(mut self) -> io::Result<W> {
        self.end_payload()?;
        let mut output = self.writer.finish()?;
        let Some(mut saved) = self.saved else { return Ok(output) };
        let mut first = (self.scratch)()?;
        output.rewind()?;
        io::copy(&mut output, &mut first)?;
        first.rewind()?;
        output.clear()?;
        let mut reader = TarSplitReader::new(first)?;
        let mut writer = TarSplitWriter::new(output)?;
        loop {
            let number = reader.entries();
            match (reader.next_entry()?, self.lost.get(&number)) {
                (None, _) => return writer.finish(),
                (Some(TarSplitEntry::Segment(bytes)), _) => writer.segment(&bytes)?,
                (Some(TarSplitEntry::File { name, size_bytes, crc }), None) => {
                    writer.file(&name, size_bytes, crc)?;
                }
                (Some(TarSplitEntry::File { name, size_bytes, crc }), Some(&(start, length))) => {
                    saved.seek(SeekFrom::Start(start))?;
                    let found = copy_segment((&mut saved).take(length), &mut writer)?;
                    if length != size_bytes || Some(found) != crc {
                        let kind = TarSplitErrorKind::Changed;
                        return Err(TarSplitError::new(kind, number, "").about(&name).into());
                    }
                }
            }
        }
    }

    /// Keeps the contents of a file that is about to be replaced.
    fn save(&mut self, path: &[u8], entry: u64) -> io::Result<()> {
        let fail = |error| {
            let kind = TarSplitErrorKind::File;
            io::Error::from(TarSplitError::new(kind, entry, "").about(path).because(error))
        };
        let mut file = self.files.open(path).map_err(fail)?;
        let saved = match &mut self.saved {
            Some(saved) => saved,
            None => self.saved.insert((self.scratch)()?),
        };
        let length = io::copy(&mut file, saved).map_err(fail)?;
        self.lost.insert(entry, (self.saved_bytes, length));
        self.saved_bytes += length;
        Ok(())
    }

    fn end_payload(&mut self) -> io::Result<()> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        match std::mem::replace(&mut self.current, Current::Header) {
            Current::Listed { name, size_bytes, crc } => {
                self.writer.file(&name, size_bytes, (size_bytes > 0).then_some(crc.value()))
            }
            Current::Header | Current::Inline => Ok(()),
        }
    }
}

impl<W: Scratch, F: Files> Observe for TarSplitRecorder<W, F> {
    fn header(&mut self, member: &Member) -> io::Result<()> {
        self.end_payload()?;
        self.writer.segment(&member.raw_header)?;
        let verdict = self.tree.take(member, self.writer.entries())?;
        for (path, entry) in verdict.lost {
            self.save(&path, entry)?;
        }
        if verdict.listed {
            let name = member.name.clone();
            self.current = Current::Listed { name, size_bytes: 0, crc: Crc64::default() };
        } else if verdict.inline {
            self.current = Current::Inline;
        }
        Ok(())
    }

    fn payload(&mut self, bytes: &[u8]) {
        match &mut self.current {
            Current::Listed { size_bytes, crc, .. } => {
                *size_bytes += bytes.len() as u64;
                crc.update(bytes);
            }
            Current::Header | Current::Inline if self.failure.is_none() => {
                self.failure = self.writer.segment(bytes).err();
            }
            Current::Header | Current::Inline => {}
        }
    }

    fn trailer(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.end_payload()?;
        self.writer.segment(bytes)
    }
}

/// Copies a payload into segments; gives its checksum.
fn copy_segment<W: Write>(mut file: impl Read, writer: &mut TarSplitWriter<W>) -> io::Result<u64> {
    let mut crc = Crc64::default();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(crc.value()),
            Ok(count) => {
                crc.update(&buffer[..count]);
                writer.segment(&buffer[..count])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl<W: Scratch, F> fmt::Debug for TarSplitRecorder<W, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TarSplitRecorder")
            .field("writer", &self.writer)
            .field("lost", &self.lost.len())
            .finish_non_exhaustive()
    }
}
