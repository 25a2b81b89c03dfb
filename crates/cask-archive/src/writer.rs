//! Writing: members in the order in which they are begun, whoever finishes first.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::file::{COPY_BYTES, copy_range};
use crate::member::Member;
use crate::queue::{Kind, Shared, Sink};
use crate::reader::{ArchiveReader, ReadOptions};
use crate::slot::Slot;
use crate::spool;
use crate::target::{Existing, HiddenFile, PathKind, open_locked};

/// How an archive is written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WriteOptions {
    /// The mode in the headers of files. Default: 0644.
    pub file_mode: u32,
    /// The mode in the headers of directories. Default: 0755.
    pub directory_mode: u32,
    /// The mode in the headers of symbolic links. Default: 0777.
    pub symlink_mode: u32,
    /// The time in all headers, in seconds since 1970. Default: 0. Programs that honour
    /// `SOURCE_DATE_EPOCH` pass it here.
    pub modified_seconds: u64,
    /// What happens to a file that exists. Default: it is replaced at the end.
    pub existing: Existing,
    /// The directory for data that has to wait for its place. Default: that of the archive, and
    /// `/var/tmp` for streams.
    pub spool_directory: Option<PathBuf>,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            file_mode: 0o644,
            directory_mode: 0o755,
            symlink_mode: 0o777,
            modified_seconds: 0,
            existing: Existing::default(),
            spool_directory: None,
        }
    }
}

/// What has to be certain before [`ArchiveWriter::finish`] returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The kernel has everything: the archive survives the death of the process.
    #[default]
    Kernel,
    /// The disk has everything: the archive survives a loss of power.
    Disk,
}

/// An archive that exists and is to be added to. As long as this value lives, nobody else adds to
/// it by way of this crate.
#[derive(Debug)]
pub struct LockedArchive {
    reader: ArchiveReader,
}

impl LockedArchive {
    /// Waits until nobody else adds to the archive, and opens it.
    ///
    /// # Errors
    /// As [`ArchiveReader::open`]; `Unsupported` if the archive is compressed or no regular file.
    pub fn open(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Self> {
        let path = path.as_ref();
        let file = open_locked(path).map_err(|error| Error::open(path, error))?;
        let is_file = file.metadata().map_err(|error| Error::open(path, error))?.is_file();
        if !is_file || spool::is_compressed(&file, path)? {
            let detail = "only a plain archive in a regular file can be added to: unpack it first";
            return Err(Error::new(ErrorKind::Unsupported, "adding to", path, detail));
        }
        Ok(Self { reader: ArchiveReader::from_file(file, path, options)? })
    }

    /// The archive as it is.
    pub fn reader(&self) -> &ArchiveReader {
        &self.reader
    }
}

/// Writes an archive. Shared references suffice, so that several threads can write to it.
///
/// Headers are deterministic: mode and time come from the options, owner and group are 0 without
/// names, and the format is that of Go's `archive/tar`, PAX records for long names included.
///
/// An archive in a regular file cannot be seen before it is finished; dropped without, nothing of
/// it remains, and a file that was there before is as it was.
#[derive(Debug)]
pub struct ArchiveWriter {
    shared: Arc<Shared>,
    target: Option<HiddenFile>,
    /// Held until the new archive has replaced it.
    locked: Option<LockedArchive>,
}

impl ArchiveWriter {
    /// Begins an archive at a path. A pipe or a device is written from front to back.
    ///
    /// # Errors
    /// `Exists` if a file is there that is not to be replaced; `Io`.
    pub fn create(path: impl AsRef<Path>, options: WriteOptions) -> Result<Self> {
        let path = path.as_ref();
        if let PathKind::Stream = PathKind::of(path)? {
            let stream = OpenOptions::new().write(true).open(path);
            let stream = stream.map_err(|error| Error::io("writing", path, error))?;
            return Ok(Self::to_stream(stream, path, options));
        }
        let target = HiddenFile::begin(path, options.existing)?;
        let directory = target.directory().to_owned();
        let sink = Sink::File(Arc::clone(&target.file));
        let shared = Arc::new(Shared::new(path, options, sink, directory));
        Ok(Self { shared, target: Some(target), locked: None })
    }

    /// Begins an archive in a stream, which is written from front to back; `path` is for error
    /// messages. What was written of an archive that is not finished stays in the stream.
    pub fn to_stream(
        stream: impl Write + Send + 'static,
        path: impl AsRef<Path>,
        options: WriteOptions,
    ) -> Self {
        let sink = Sink::stream_to(Box::new(stream));
        let shared = Shared::new(path.as_ref(), options, sink, "/var/tmp".into());
        Self { shared: Arc::new(shared), target: None, locked: None }
    }

    /// Begins with the members of an archive that `keep` says yes to. The kernel copies them, and
    /// shares their blocks where the file system can. The new archive takes the old one's place
    /// when it is finished, and not before.
    ///
    /// # Errors
    /// `Duplicate` if two members of one name would be kept, directories aside; `Unsupported` if
    /// a kept member has a name that is no UTF-8; `Io`.
    pub fn append_to(
        archive: LockedArchive,
        options: WriteOptions,
        mut keep: impl FnMut(&Member) -> bool,
    ) -> Result<Self> {
        let mut options = options;
        options.existing = Existing::Replaced;
        let mut writer = Self::create(archive.reader.path(), options)?;
        let kept: Vec<&Member> =
            archive.reader.members().iter().filter(|member| keep(member)).collect();
        for member in &kept {
            writer.shared.take_over(member)?;
        }
        let from = archive.reader.file();
        let to = writer.shared.sink.file();
        let mut end = 0;
        for range in ranges(&kept) {
            let bytes = range.end - range.start;
            copy_range(from, range.start, to, end, bytes)
                .map_err(|error| writer.shared.io(error))?;
            end += bytes;
        }
        writer.shared.begin_at(end);
        writer.locked = Some(archive);
        Ok(writer)
    }

    /// The path that the archive will have, or is called by.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Whether the archive is a file, so that data need not come in order. If not, it is a
    /// stream, and what it got stays there.
    pub fn is_file(&self) -> bool {
        matches!(self.shared.sink, Sink::File(_))
    }

    /// Whether a member of this name was begun.
    pub fn contains(&self, name: &str) -> bool {
        self.shared.contains(name)
    }

    /// Begins a file of a known size. Its place in the archive's order is fixed by this call.
    ///
    /// # Errors
    /// `Duplicate` if the name is taken; `UnsafeName` if it is absolute, contains `..` or is not
    /// in its simplest form; `Io`.
    pub fn reserve(&self, name: &str, size_bytes: u64) -> Result<Slot> {
        Shared::begin(&self.shared, Some(name), Kind::File, Some(size_bytes))
    }

    /// Begins a file whose size is not known yet, and perhaps its name neither. Its place in the
    /// archive's order is fixed by this call. Members that are begun after it have to wait in
    /// temporary files until it is finished.
    ///
    /// # Errors
    /// As [`ArchiveWriter::reserve`].
    pub fn reserve_unsized(&self, name: Option<&str>) -> Result<Slot> {
        Shared::begin(&self.shared, name, Kind::File, None)
    }

    /// Writes a file of a known size.
    ///
    /// # Errors
    /// As [`ArchiveWriter::reserve`] and [`Slot::finish`], and what the reader gives.
    pub fn append(&self, name: &str, size_bytes: u64, data: &mut dyn Read) -> Result<()> {
        let mut slot = self.reserve(name, size_bytes)?;
        self.copy(data, &mut slot, name)?;
        slot.finish()
    }

    /// Writes a file whose size its end shows, and gives the size.
    ///
    /// # Errors
    /// As [`ArchiveWriter::append`].
    pub fn append_unsized(&self, name: &str, data: &mut dyn Read) -> Result<u64> {
        let mut slot = self.reserve_unsized(Some(name))?;
        let size = self.copy(data, &mut slot, name)?;
        slot.finish()?;
        Ok(size)
    }

    /// Writes a file that is in memory.
    ///
    /// # Errors
    /// As [`ArchiveWriter::reserve`].
    pub fn append_bytes(&self, name: &str, data: &[u8]) -> Result<()> {
        self.append(name, data.len() as u64, &mut &*data)
    }

    /// Writes a directory. One that was written before is not written again.
    ///
    /// # Errors
    /// As [`ArchiveWriter::reserve`].
    pub fn directory(&self, name: &str) -> Result<()> {
        match Shared::begin(&self.shared, Some(name), Kind::Directory, Some(0)) {
            Err(error)
                if error.kind() == ErrorKind::Duplicate && self.shared.has_directory(name) =>
            {
                Ok(())
            }
            slot => slot?.finish(),
        }
    }

    /// Writes a symbolic link.
    ///
    /// # Errors
    /// As [`ArchiveWriter::reserve`]; `UnsafeName` if the target is empty, longer than
    /// [`MAX_NAME_BYTES`](crate::MAX_NAME_BYTES) or contains a NUL byte.
    pub fn symlink(&self, name: &str, target: &str) -> Result<()> {
        let kind = Kind::Symlink(target.to_owned());
        Shared::begin(&self.shared, Some(name), kind, Some(0))?.finish()
    }

    /// Completes the archive and makes it visible. Gives its size in bytes.
    ///
    /// # Errors
    /// `Unfinished` if a member is still being written, or was given up when it could not be
    /// left out any more; `Exists` if another program wrote the file meanwhile and it is not to
    /// be replaced; `Io`. Then no archive becomes visible.
    pub fn finish(self, durability: Durability) -> Result<u64> {
        let size = self.shared.end()?;
        if let Some(target) = self.target {
            target.publish(durability == Durability::Disk)?;
        }
        Ok(size)
    }

    fn copy(&self, data: &mut dyn Read, slot: &mut Slot, name: &str) -> Result<u64> {
        let mut buffer = vec![0; COPY_BYTES];
        let mut total = 0;
        loop {
            let bytes = match data.read(&mut buffer) {
                Ok(0) => return Ok(total),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.read_error(name, error)),
            };
            slot.write_all(&buffer[..bytes]).map_err(|error| match error.downcast::<Error>() {
                Ok(own) => own,
                Err(error) => self.shared.io(error).member(name.as_bytes()),
            })?;
            total += bytes as u64;
        }
    }

    fn read_error(&self, name: &str, error: io::Error) -> Error {
        let detail = "the data cannot be read";
        let own = Error::new(ErrorKind::Io, "writing", self.path(), detail);
        own.member(name.as_bytes()).caused_by(error)
    }
}

/// The parts of an archive that hold these members, neighbours joined.
fn ranges(members: &[&Member]) -> Vec<std::ops::Range<u64>> {
    let mut ranges: Vec<std::ops::Range<u64>> = Vec::new();
    for member in members {
        match ranges.last_mut() {
            Some(last) if last.end == member.header_offset => last.end = member.end_offset(),
            _ => ranges.push(member.header_offset..member.end_offset()),
        }
    }
    ranges
}
