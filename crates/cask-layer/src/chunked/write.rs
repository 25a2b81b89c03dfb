//! The writer of zstd:chunked.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::num::NonZeroUsize;

use super::batch::Mark;
use super::pieces::Filling;
use super::row::Row;
use super::split::Split;
use super::table::Hidden;
use crate::tar_split::{Lines, SEGMENT_BYTES, Tree};
use crate::{Compression, Crc64, Level, Member, MemberLimits, Members, Observe};

const BUFFER_BYTES: usize = 256 * 1024;

/// What [`zstd_chunked`] has written.
#[derive(Debug)]
#[non_exhaustive]
pub struct Chunked<W> {
    /// The writer below, not flushed.
    pub writer: W,
    /// What the layer's descriptor must say so that readers find the table of contents. Empty if
    /// there is none.
    pub annotations: BTreeMap<String, String>,
    /// Why there is no table of contents: a member, and what it is that cannot be said of it.
    pub unlisted: Option<String>,
}

/// Compresses a layer's tarball to zstd:chunked: zstd that every reader of zstd understands, with
/// a table of contents for readers that want single files, or pieces of files, that they lack.
///
/// Every file is a frame of its own; larger ones become several at places that their contents
/// decide, 64 KiB apart on average, the same that other writers find; runs of 1024 zeros and more
/// are marked as holes. The table of contents, with the digests of all of them, and the tar-split
/// that gives the same tarball back follow in frames that decoders skip.
///
/// - **The bytes depend on the tarball and the level alone**, as for [`compress`](crate::compress).
/// - A layer of which the table cannot tell all becomes zstd in several frames without a table:
///   names given twice or that are not UTF-8, sparse files, global PAX headers, names that lead
///   through symbolic links of the layer, data behind the end of the archive, a table of more than
///   150 MiB. [`Chunked::unlisted`] tells which it was.
/// - Memory, at the usual level: 3 MiB for each thread, 4 MiB, and about 300 bytes for each name.
/// - Nothing is written below before something was read.
///
/// # Errors
/// Those of `tar` and `writer`, untouched; [`TarError`](crate::TarError) for what is no tarball;
/// [`InvalidLevel`](crate::ErrorKind::InvalidLevel) as [`Level::number`].
///
/// ```
/// use std::num::NonZeroUsize;
/// use cask_layer::{Compression, Level, zstd_chunked};
///
/// let tar = [0; 1024]; // No members, and the end.
/// let layer = zstd_chunked(&tar[..], Vec::new(), Level::Default, NonZeroUsize::MIN)?;
/// assert_eq!(Compression::detect(&layer.writer), Compression::Zstd);
/// assert_eq!(layer.annotations.len(), 3);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Source: containers/storage, `pkg/chunked` and `docs/containers-storage-zstd-chunked.md`.
pub fn zstd_chunked<R: Read, W: Write>(
    tar: R,
    writer: W,
    level: Level,
    threads: NonZeroUsize,
) -> io::Result<Chunked<W>> {
    let level = level.number(Compression::Zstd)?;
    let failure = RefCell::new(None);
    let tar = BufReader::with_capacity(BUFFER_BYTES, Keeping { reader: tar, failure: &failure });
    let layer = RefCell::new(Layer::new(writer, level, threads)?);
    let done = read(tar, &layer);
    let mut layer = layer.into_inner();
    // What the reader and the writer below say is given as it is, not as an error of the tarball.
    if let Some(error) = failure.take().or(layer.failure.take()) {
        return Err(error);
    }
    done?;
    layer.finish()
}

fn read<W: Write>(tar: impl BufRead, layer: &RefCell<Layer<W>>) -> io::Result<()> {
    let mut members = Members::observed(tar, MemberLimits::default(), Trailing(layer));
    while let Some(mut entry) = members.next_member()? {
        layer.borrow_mut().header(entry.member)?;
        loop {
            let bytes = entry.payload.fill_buf()?;
            let count = bytes.len();
            if count == 0 {
                break;
            }
            layer.borrow_mut().payload(bytes)?;
            entry.payload.consume(count);
        }
        layer.borrow_mut().end_payload()?;
    }
    members.finish()?;
    Ok(())
}

/// A layer on its way.
struct Layer<W> {
    filling: Filling<W>,
    /// What finds names that mean something else than they say.
    tree: Tree,
    tar_split: Option<Lines<Hidden>>,
    unlisted: Option<String>,
    file: Option<OpenFile>,
    /// The padding that must follow the last payload.
    padding: usize,
    /// What followed the last member, as far as it is no segment yet.
    trailer: Option<Vec<u8>>,
    failure: Option<io::Error>,
}

/// A member with contents.
struct OpenFile {
    name: Vec<u8>,
    size_bytes: u64,
    crc: Crc64,
    /// Nothing where it is not in the table.
    split: Option<Split>,
}

impl<W: Write> Layer<W> {
    fn new(writer: W, level: i32, threads: NonZeroUsize) -> io::Result<Self> {
        Ok(Self {
            filling: Filling::new(writer, level, threads)?,
            tree: Tree::new(),
            tar_split: Some(Lines::new(Hidden::new()?)),
            unlisted: None,
            file: None,
            padding: 0,
            trailer: None,
            failure: None,
        })
    }

    fn header(&mut self, member: &Member) -> io::Result<()> {
        self.filling.between(&member.raw_header)?;
        let size_bytes = member.stream_size_bytes;
        self.padding = (size_bytes.wrapping_neg() % 512) as usize;
        let row = self.row(member)?;
        if let Some(lines) = &mut self.tar_split {
            lines.segment(&member.raw_header)?;
            if size_bytes == 0 {
                lines.file(&member.name, 0, None)?;
            }
        }
        let is_listed = row.is_some();
        if let Some(row) = row {
            self.filling.mark(Mark::Begin(Box::new(row)));
        }
        if size_bytes > 0 {
            if is_listed {
                self.filling.begin_file(size_bytes);
            }
            let split = is_listed.then(Split::default);
            let name = member.name.clone();
            self.file = Some(OpenFile { name, size_bytes, crc: Crc64::default(), split });
        }
        Ok(())
    }

    /// What the table says of the member. If it cannot, there is no table.
    fn row(&mut self, member: &Member) -> io::Result<Option<Row>> {
        let Some(lines) = &self.tar_split else { return Ok(None) };
        if !lines.output().fits_tar_split() {
            self.give_up(&member.name, "it would make the table of contents too large");
            return Ok(None);
        }
        let verdict = self.tree.take(member, lines.entries())?;
        let reason = match Row::of(member) {
            Err(reason) => reason,
            Ok(_) if member.raw_header.len() > SEGMENT_BYTES => "headers of more than 1 MiB",
            Ok(_) if !verdict.lost.is_empty() => "it replaces a file of the same layer",
            Ok(_) if !verdict.listed => "its name is given twice, or leads elsewhere",
            Ok(row) => return Ok(Some(row)),
        };
        self.give_up(&member.name, reason);
        Ok(None)
    }

    fn give_up(&mut self, name: &[u8], reason: &str) {
        self.tar_split = None;
        self.filling.place.forget();
        self.unlisted.get_or_insert_with(|| format!("{}: {reason}", name.escape_ascii()));
    }

    fn payload(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.file {
            Some(OpenFile { split: Some(split), crc, .. }) => {
                crc.update(bytes);
                split.feed(bytes, &mut self.filling)
            }
            _ => self.filling.between(bytes),
        }
    }

    fn end_payload(&mut self) -> io::Result<()> {
        let Some(OpenFile { name, size_bytes, crc, split }) = self.file.take() else {
            return Ok(());
        };
        let Some(split) = split else { return Ok(()) };
        split.finish(&mut self.filling)?;
        self.filling.end_file()?;
        match &mut self.tar_split {
            Some(lines) => lines.file(&name, size_bytes, Some(crc.value())),
            None => Ok(()),
        }
    }

    /// What follows the last member: first its padding and the end of the archive, then more.
    fn trailer(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.filling.between(bytes)?;
        if self.tar_split.is_none() {
            return Ok(());
        }
        let Some(trailer) = &mut self.trailer else {
            self.trailer = Some(Vec::new());
            let is_whole = bytes.len().checked_sub(self.padding).is_some_and(|end| end % 512 == 0);
            if !is_whole {
                self.give_up(b"the end", "the padding of the last file is not complete");
            }
            return self.segment(bytes);
        };
        if bytes.iter().any(|&byte| byte != 0) {
            self.give_up(b"the end", "data behind the end of the archive");
            return Ok(());
        }
        trailer.extend_from_slice(bytes);
        while let Some(trailer) = &mut self.trailer
            && trailer.len() >= SEGMENT_BYTES
        {
            let rest = trailer.split_off(SEGMENT_BYTES);
            let segment = std::mem::replace(trailer, rest);
            self.segment(&segment)?;
        }
        Ok(())
    }

    fn segment(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tar_split {
            Some(lines) => lines.segment(bytes),
            None => Ok(()),
        }
    }

    fn finish(mut self) -> io::Result<Chunked<W>> {
        let rest = self.trailer.take();
        if rest.is_none() && self.padding > 0 {
            self.give_up(b"the end", "the padding of the last file is not complete");
        }
        let rest = rest.unwrap_or_default();
        if !rest.len().is_multiple_of(512) {
            self.give_up(b"the end", "it is no whole number of blocks");
        }
        self.segment(&rest)?;
        let mut place = self.filling.finish()?;
        let tar_split = self.tar_split.map(Lines::into_output);
        let fits = place.has_table() && tar_split.as_ref().is_none_or(Hidden::fits_tar_split);
        if !fits {
            place.forget();
            self.unlisted.get_or_insert_with(|| "its table of contents is too large".to_owned());
        }
        let (writer, annotations) = place.finish(tar_split)?;
        Ok(Chunked { writer, annotations, unlisted: self.unlisted })
    }
}

/// Passes on what follows the last member.
struct Trailing<'a, W>(&'a RefCell<Layer<W>>);

impl<W: Write> Observe for Trailing<'_, W> {
    fn trailer(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut layer = self.0.borrow_mut();
        layer.trailer(bytes).map_err(|error| {
            let kind = error.kind();
            layer.failure = Some(error);
            kind.into()
        })
    }
}

/// A reader that keeps its error.
struct Keeping<'a, R> {
    reader: R,
    failure: &'a RefCell<Option<io::Error>>,
}

impl<R: Read> Read for Keeping<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer).map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                *self.failure.borrow_mut() = Some(error);
            }
            kind.into()
        })
    }
}
