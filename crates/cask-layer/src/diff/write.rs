//! Writing one entry of a tree as a member.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use cask_rootfs::{Directory, ErrorKind, Kind, Metadata};

use super::header::{Header, padding};
use super::{DiffError, DiffErrorKind, DiffOptions, Diffed};
use crate::Timestamp;

/// How many bytes of a file are read at a time.
const BUFFER_BYTES: usize = 256 << 10;

/// Names and values of extended attributes.
type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// A tar stream being written.
pub(super) struct Archive<'o, W> {
    output: W,
    options: &'o DiffOptions,
    pub(super) outcome: Diffed,
    /// By device and inode: the first name of what has several.
    first_names: HashMap<(u64, u64), Box<[u8]>>,
    header: Vec<u8>,
    buffer: Vec<u8>,
}

impl<'o, W: Write> Archive<'o, W> {
    pub(super) fn new(output: W, options: &'o DiffOptions) -> Self {
        Self {
            output,
            options,
            outcome: Diffed::default(),
            first_names: HashMap::new(),
            header: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// Writes an entry, with the contents of a file. Says nothing about what is in a directory. Of what is gone
    /// ([`DiffError::is_of_missing`]) nothing is written.
    pub(super) fn entry(
        &mut self,
        directory: &Directory,
        name: &OsStr,
        path: &[u8],
        found: &Metadata,
    ) -> Result<(), DiffError> {
        let Some(mut header) = self.header(path, found)? else { return Ok(()) };
        header.xattrs = self.xattrs(directory, name, path)?;
        if found.links > 1 && !found.is_directory() {
            let file = (found.device, found.inode);
            if let Some(first) = self.first_names.get(&file) {
                header.type_flag = b'1';
                header.link_name = first.to_vec();
                header.size_bytes = 0;
                return self.put(&header, path);
            }
        }
        match found.kind {
            Kind::Symlink => {
                let target = directory.read_link(name);
                header.link_name = target.map_err(|error| DiffError::read(path, error))?.into_vec();
                self.put(&header, path)?;
            }
            Kind::File => self.file(header, directory, name, path)?,
            _ => self.put(&header, path)?,
        }
        if found.links > 1 && !found.is_directory() {
            self.first_names.insert((found.device, found.inode), path.into());
        }
        Ok(())
    }

    /// Writes that older layers have nothing of a name any more. `as_of` lends owner and time.
    pub(super) fn whiteout(
        &mut self,
        path: &[u8],
        as_of: Option<&Metadata>,
    ) -> Result<(), DiffError> {
        let end = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        let name = [&path[..end], b".wh.", &path[end..]].concat();
        // The kernel makes it for whoever has mounted the layers, who need not be anybody in the container.
        let owner = |found: &Metadata| self.options.id_maps.to_container(found.uid, found.gid);
        let owner = as_of.and_then(owner).unwrap_or_default();
        self.mark(name, path, 0, owner, as_of.map(|found| found.modified))
    }

    /// Writes that older layers have nothing in a directory any more.
    ///
    /// Source: containers/storage, `overlayWhiteoutConverter.ConvertWrite`, time zero included.
    pub(super) fn opaque(&mut self, path: &[u8], found: &Metadata) -> Result<(), DiffError> {
        let name = [path, b"/.wh..wh..opq"].concat();
        let owner = self.owner(path, found)?;
        self.mark(name, path, found.mode & 0o777, owner, None)
    }

    fn mark(
        &mut self,
        name: Vec<u8>,
        path: &[u8],
        mode: u32,
        (uid, gid): (u32, u32),
        time: Option<cask_rootfs::Timestamp>,
    ) -> Result<(), DiffError> {
        let time = time.map_or(Timestamp::default(), timestamp);
        let seconds = self.options.times.seconds(time);
        let header = Header { name, type_flag: b'0', mode, uid, gid, seconds, ..Header::default() };
        self.put(&header, path)
    }

    /// Ends the stream, and gives what it went to back.
    pub(super) fn finish(mut self) -> Result<(Diffed, W), DiffError> {
        let written = self.output.write_all(&[0; 1024]).and_then(|()| self.output.flush());
        written.map_err(|error| DiffError::io(DiffErrorKind::Write, b"", error))?;
        Ok((self.outcome, self.output))
    }

    /// The header of an entry; `None` for what a layer cannot have.
    fn header(&mut self, path: &[u8], found: &Metadata) -> Result<Option<Header>, DiffError> {
        let (type_flag, type_bits) = match found.kind {
            Kind::File => (b'0', 0o100_000),
            Kind::Directory => (b'5', 0o040_000),
            Kind::Symlink => (b'2', 0o120_000),
            Kind::CharDevice => (b'3', 0o020_000),
            Kind::BlockDevice => (b'4', 0o060_000),
            Kind::Fifo => (b'6', 0o010_000),
            _ => {
                self.outcome.sockets += 1;
                return Ok(None);
            }
        };
        if path.len() > 4095 {
            let detail = "its path is longer than 4095 bytes, so that nobody could extract it";
            return Err(DiffError::new(DiffErrorKind::TooLarge, path, detail));
        }
        let mut name = path.to_vec();
        if found.is_directory() {
            name.push(b'/');
        }
        let (uid, gid) = self.owner(path, found)?;
        Ok(Some(Header {
            name,
            type_flag,
            mode: type_bits | found.mode,
            uid,
            gid,
            seconds: self.options.times.seconds(timestamp(found.modified)),
            device_major: found.device_major,
            device_minor: found.device_minor,
            ..Header::default()
        }))
    }

    fn owner(&self, path: &[u8], found: &Metadata) -> Result<(u32, u32), DiffError> {
        let (uid, gid) = (found.uid, found.gid);
        self.options.id_maps.to_container(uid, gid).ok_or_else(|| {
            let detail = format!("its owner {uid}:{gid} has no number in the container");
            DiffError::new(DiffErrorKind::UnmappedId, path, detail)
        })
    }

    /// The attributes that belong to the contents of a layer.
    fn xattrs(
        &mut self,
        directory: &Directory,
        name: &OsStr,
        path: &[u8],
    ) -> Result<Xattrs, DiffError> {
        let fail = |error| DiffError::read(path, error);
        let mut found = Vec::new();
        for attribute in exported(directory, name).map_err(fail)? {
            let bytes = attribute.as_bytes();
            if bytes.contains(&b'=') {
                self.outcome.leave_out(path);
            } else if let Some(value) = directory.attribute(name, &attribute).map_err(fail)? {
                found.push((bytes.to_vec(), value));
            }
        }
        Ok(found)
    }

    fn file(
        &mut self,
        mut header: Header,
        directory: &Directory,
        name: &OsStr,
        path: &[u8],
    ) -> Result<(), DiffError> {
        let fail = |error| DiffError::io(DiffErrorKind::Read, path, error);
        let mut file = directory.open_file(name).map_err(|error| DiffError::read(path, error))?;
        let size_bytes = file.metadata().map_err(fail)?.len();
        header.size_bytes = size_bytes;
        self.put(&header, path)?;
        self.outcome.size_bytes += size_bytes;
        self.buffer.resize(BUFFER_BYTES, 0);
        let mut left = size_bytes;
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(BUFFER_BYTES);
            let count = match file.read(&mut self.buffer[..room]) {
                Ok(0) => {
                    let detail = format!("it is {left} bytes shorter than it was a moment ago");
                    return Err(DiffError::new(DiffErrorKind::Changed, path, detail));
                }
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(fail(error)),
            };
            self.output
                .write_all(&self.buffer[..count])
                .map_err(|error| DiffError::io(DiffErrorKind::Write, path, error))?;
            left -= count as u64;
        }
        self.output
            .write_all(&[0; 512][..padding(size_bytes)])
            .map_err(|error| DiffError::io(DiffErrorKind::Write, path, error))
    }

    fn put(&mut self, header: &Header, path: &[u8]) -> Result<(), DiffError> {
        self.header.clear();
        header.write(&mut self.header).map_err(|_| {
            let detail = "its attributes are longer than a mebibyte";
            DiffError::new(DiffErrorKind::TooLarge, path, detail)
        })?;
        self.outcome.members += 1;
        self.output
            .write_all(&self.header)
            .map_err(|error| DiffError::io(DiffErrorKind::Write, path, error))
    }
}

/// The names of the attributes of an entry that belong to the contents of a layer, sorted.
///
/// Source: containers/storage, `pkg/archive`, `readSecurityXattrToTarHeader` and
/// `readUserXattrToTarHeader`.
pub(super) fn exported(
    directory: &Directory,
    name: &OsStr,
) -> cask_rootfs::Result<Vec<std::ffi::OsString>> {
    let mut names = match directory.attributes(name) {
        Err(error) if error.kind() == ErrorKind::Unsupported => Vec::new(),
        other => other?,
    };
    names.retain(|name| {
        let name = name.as_bytes();
        let own = name.starts_with(b"user.")
            && !name.starts_with(b"user.overlay.")
            && name != b"user.containers.override_stat";
        own || name == b"security.capability" || name == b"security.ima"
    });
    Ok(names)
}

fn timestamp(time: cask_rootfs::Timestamp) -> Timestamp {
    Timestamp { seconds: time.seconds, nanoseconds: time.nanoseconds }
}
