//! Reading: an index of the members, and any number of them open at once.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::member::{Member, MemberKind};
use crate::name::{BadName, link_target, normalised};
use crate::scan::{Found, Index, scan};
use crate::spool;

/// How an archive is opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReadOptions {
    /// The directory for what must be unpacked first: a compressed archive, or one that comes
    /// from a pipe. Default: `/var/tmp`.
    pub spool_directory: PathBuf,
    /// How many bytes may be unpacked there. Default: 64 GiB.
    pub max_spooled_bytes: u64,
    /// How much memory the index of the members may take. Default: 64 MiB, which are the names of
    /// 250 000 blobs.
    pub max_index_bytes: u64,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            spool_directory: "/var/tmp".into(),
            max_spooled_bytes: 64 << 30,
            max_index_bytes: 64 << 20,
        }
    }
}

/// An archive whose members can be read in any order and in parallel. A clone shares the archive.
#[derive(Clone, Debug)]
pub struct ArchiveReader(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: File,
    path: PathBuf,
    index: Index,
    in_place: bool,
}

impl ArchiveReader {
    /// Opens an archive and reads its headers.
    ///
    /// A plain archive in a regular file is read in place, and must not be changed meanwhile. A
    /// compressed one (gzip, zstd, xz or bzip2, by its content) and what is no regular file are
    /// unpacked into a file without a name first.
    ///
    /// # Errors
    /// `NoArchive` if there is no such file; `Truncated`, `Malformed`, `UnsafeName` and
    /// `Unsupported` for what an archive of files must not be; `TooLarge` beyond the limits of
    /// the options; `Io`.
    pub fn open(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|error| Error::open(path, error))?;
        Self::from_file(file, path, options)
    }

    /// Opens an archive in a file that is open already, such as the standard input; `path` is for
    /// error messages. From anywhere but its beginning, the file is read as a stream.
    ///
    /// # Errors
    /// As [`ArchiveReader::open`].
    pub fn from_file(
        mut file: File,
        path: impl AsRef<Path>,
        options: &ReadOptions,
    ) -> Result<Self> {
        let path = path.as_ref();
        let metadata = file.metadata().map_err(|error| Error::open(path, error))?;
        if metadata.is_dir() {
            let error = io::Error::from(io::ErrorKind::IsADirectory);
            return Err(Error::open(path, error));
        }
        let is_whole = metadata.is_file() && matches!(file.stream_position(), Ok(0));
        if is_whole && !spool::is_compressed(&file, path)? {
            return Self::new(file, path, true, options);
        }
        Self::new(spool::unpack(file, path, options)?, path, false, options)
    }

    /// Reads an archive from a stream, to the stream's end; `path` is for error messages.
    ///
    /// # Errors
    /// As [`ArchiveReader::open`].
    pub fn from_reader(
        reader: impl Read,
        path: impl AsRef<Path>,
        options: &ReadOptions,
    ) -> Result<Self> {
        let path = path.as_ref();
        Self::new(spool::unpack(reader, path, options)?, path, false, options)
    }

    fn new(file: File, path: &Path, in_place: bool, options: &ReadOptions) -> Result<Self> {
        let index = scan(&file, path, options.max_index_bytes)?;
        Ok(Self(Arc::new(Inner { file, path: path.to_owned(), index, in_place })))
    }

    /// The path that the archive was opened by, or is called by.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The file that holds the plain archive; offsets of members are offsets in it.
    pub fn file(&self) -> &File {
        &self.0.file
    }

    /// Whether the archive is read where it was found, and not from an unpacked copy.
    pub fn is_in_place(&self) -> bool {
        self.0.in_place
    }

    /// All members in the order of the archive, those of equal names included.
    pub fn members(&self) -> &[Member] {
        &self.0.index.members
    }

    /// Where the end-of-archive marker is: the size of everything before it.
    pub fn end_offset(&self) -> u64 {
        self.0.index.end
    }

    /// Finds a member by its name, `./` and doubled slashes aside. Links are not followed.
    ///
    /// # Errors
    /// `NoMember` if there is none, `Duplicate` if there are several: programs disagree about
    /// which one counts. Several directories of one name are one. `UnsafeName` as for members.
    pub fn find(&self, name: impl AsRef<[u8]>) -> Result<&Member> {
        let name = name.as_ref();
        let clean = normalised(name)
            .map_err(|BadName(detail)| self.error(ErrorKind::UnsafeName, detail).member(name))?;
        self.look_up(&clean)
    }

    fn look_up(&self, name: &[u8]) -> Result<&Member> {
        match self.0.index.find(name) {
            Found::One(member) => Ok(member),
            Found::Nothing => {
                Err(self.error(ErrorKind::NoMember, "there is no such member").member(name))
            }
            Found::Several { first, second } => {
                let detail = format!(
                    "the archive has two members of this name, at bytes {} and {}: programs \
                     disagree about which one counts",
                    first.header_offset, second.header_offset
                );
                Err(self.error(ErrorKind::Duplicate, detail).member(name))
            }
        }
    }

    /// Finds the file that a name stands for: a file itself, or one link away from it.
    ///
    /// A symbolic link is followed within the archive, from the directory that it is in.
    ///
    /// # Errors
    /// As [`ArchiveReader::find`], for the link's target too; `NotAFile` for a directory, a device
    /// or a link to a link; `UnsafeName` for a link that leads out of the archive.
    pub fn find_file(&self, name: impl AsRef<[u8]>) -> Result<&Member> {
        let member = self.find(name)?;
        let target = match &member.kind {
            MemberKind::File => return Ok(member),
            MemberKind::Symlink(target) => link_target(&member.name, target),
            MemberKind::Hardlink(target) => normalised(target),
            MemberKind::Directory | MemberKind::Other(_) => {
                return Err(self.not_a_file(member, "the member is no regular file"));
            }
        };
        let target = target.map_err(|BadName(detail)| {
            let error = self.error(ErrorKind::UnsafeName, detail);
            error.member(&member.name).at(member.header_offset)
        })?;
        let target = self.look_up(&target)?;
        if target.kind != MemberKind::File {
            return Err(self.not_a_file(member, "the link leads to something that is no file"));
        }
        Ok(target)
    }

    fn not_a_file(&self, member: &Member, detail: &'static str) -> Error {
        let error = self.error(ErrorKind::NotAFile, detail);
        error.member(&member.name).at(member.header_offset)
    }

    /// Opens the file that a name stands for, at its beginning. [`Seek`] goes elsewhere.
    ///
    /// # Errors
    /// As [`ArchiveReader::find_file`].
    pub fn open_member(&self, name: impl AsRef<[u8]>) -> Result<MemberReader> {
        let member = self.find_file(name)?;
        Ok(MemberReader { archive: self.clone(), member: member.clone(), position: 0 })
    }

    /// Reads the file that a name stands for into memory.
    ///
    /// # Errors
    /// As [`ArchiveReader::find_file`]; `TooLarge` if it has more than `max_bytes`; `Io`.
    pub fn read_member(&self, name: impl AsRef<[u8]>, max_bytes: u64) -> Result<Vec<u8>> {
        let member = self.find_file(name)?;
        if member.size > max_bytes {
            let detail =
                format!("the member has {} bytes, more than the {max_bytes} allowed", member.size);
            let error = self.error(ErrorKind::TooLarge, detail);
            return Err(error.member(&member.name).at(member.header_offset));
        }
        let mut bytes = vec![0; member.size as usize];
        self.0.file.read_exact_at(&mut bytes, member.data_offset).map_err(|error| {
            Error::io("reading", &self.0.path, error).member(&member.name).at(member.data_offset)
        })?;
        Ok(bytes)
    }

    fn error(&self, kind: ErrorKind, detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        Error::new(kind, "reading", &self.0.path, detail)
    }
}

/// The data of one file in an archive. Readers are independent of each other.
///
/// An [`io::Error`] that it gives has an [`Error`] inside.
#[derive(Debug)]
pub struct MemberReader {
    archive: ArchiveReader,
    member: Member,
    position: u64,
}

impl MemberReader {
    /// The member whose data it is: where a link was followed, the file that it leads to.
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// How many bytes the member has.
    pub fn size_bytes(&self) -> u64 {
        self.member.size
    }
}

impl Read for MemberReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.member.size.saturating_sub(self.position);
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let offset = self.member.data_offset + self.position;
        let path = &self.archive.0.path;
        match self.archive.0.file.read_at(&mut buffer[..wanted], offset) {
            Ok(0) => {
                let detail = "the file became shorter while it was read";
                let error = Error::new(ErrorKind::Truncated, "reading", path, detail);
                Err(error.member(&self.member.name).at(offset).into_io())
            }
            Ok(bytes) => {
                self.position += bytes as u64;
                Ok(bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let error = Error::io("reading", path, error);
                Err(error.member(&self.member.name).at(offset).into_io())
            }
        }
    }
}

impl Seek for MemberReader {
    /// Positions behind the end are allowed; there is nothing to read there.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.member.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
