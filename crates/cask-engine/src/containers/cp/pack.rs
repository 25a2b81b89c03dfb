//! Files as a tar stream.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;

use cask_layer::{MemberKind, MemberWriter, NewMember};
use cask_rootfs::{Directory, ErrorKind as Rootfs, Kind, Metadata, Order, Parents};

use super::view::Taken;
use crate::{Error, ErrorKind};

/// What of all of a container is the kernel's. Source: podman, `container_copy_linux.go`, `Excludes`.
const KERNEL: [&[u8]; 3] = [b"dev", b"proc", b"sys"];
/// The most bytes of links' names that are remembered; beyond, a file with two names is copied twice.
const MOST_LINK_BYTES: usize = 64 << 20;

/// Why files could not be written down.
pub(super) enum Failed {
    /// Nobody takes the stream any more.
    Output(io::Error),
    Read(Error),
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Output(error) => {
                Self::new(ErrorKind::Io, "writing the tarball", "").with_source(error)
            }
            Failed::Read(error) => error,
        }
    }
}

impl From<cask_rootfs::Error> for Failed {
    fn from(error: cask_rootfs::Error) -> Self {
        Self::Read(error.into())
    }
}

struct Pack<W> {
    output: MemberWriter<W>,
    owner: Option<(u32, u32)>,
    /// What names files with several names had first.
    links: HashMap<(u64, u64), Vec<u8>>,
    link_bytes: usize,
}

/// Writes what is copied under a name, or without one what is in it.
pub(super) fn pack<W: Write>(
    taken: &Taken<'_>,
    name: Option<&[u8]>,
    owner: Option<(u32, u32)>,
    output: W,
) -> Result<W, Failed> {
    let output = MemberWriter::new(output);
    let mut pack = Pack { output, owner, links: HashMap::new(), link_bytes: 0 };
    let mut parents = Parents::new(taken.root);
    if let Some(name) = name
        && !taken.path.is_empty()
    {
        let (directory, entry) = parents.entry(OsStr::from_bytes(&taken.path))?;
        pack.entry(directory, entry, name.to_vec(), &taken.found)?;
    }
    if taken.found.is_directory() {
        pack.below(&mut parents, taken, name.unwrap_or_default())?;
    }
    pack.output.finish().map_err(Failed::Output)
}

impl<W: Write> Pack<W> {
    /// Writes what is in a directory.
    fn below(
        &mut self,
        parents: &mut Parents<'_>,
        taken: &Taken<'_>,
        name: &[u8],
    ) -> Result<(), Failed> {
        let mut left = vec![(taken.path.clone(), name.to_vec())];
        while let Some((path, name)) = left.pop() {
            let directory = parents.directory(OsStr::from_bytes(&path))?.try_clone()?;
            let mut inner = Vec::new();
            for entry in directory.entries(Order::Name)? {
                let entry = entry.name;
                if taken.whole && path == taken.path && KERNEL.contains(&entry.as_bytes()) {
                    continue;
                }
                let found = match directory.metadata(&entry) {
                    // It went while this looked.
                    Err(error) if error.kind() == Rootfs::NotFound => continue,
                    other => other?,
                };
                let below = match name.is_empty() {
                    true => entry.as_bytes().to_vec(),
                    false => [name.as_slice(), b"/", entry.as_bytes()].concat(),
                };
                self.entry(&directory, &entry, below.clone(), &found)?;
                if found.is_directory() {
                    inner.push(([path.as_slice(), b"/", entry.as_bytes()].concat(), below));
                }
            }
            left.extend(inner.into_iter().rev());
        }
        Ok(())
    }

    fn entry(
        &mut self,
        directory: &Directory,
        entry: &OsStr,
        name: Vec<u8>,
        found: &Metadata,
    ) -> Result<(), Failed> {
        let mut member = NewMember::default();
        member.name = name;
        member.mode = found.mode;
        (member.uid, member.gid) = self.owner.unwrap_or((found.uid, found.gid));
        member.seconds = found.modified.seconds;
        (member.device_major, member.device_minor) = (found.device_major, found.device_minor);
        // A tarball holds no sockets.
        let Some(kind) = MemberKind::of(found.kind) else { return Ok(()) };
        member.kind = kind;
        if found.kind == Kind::Symlink {
            member.link_name = directory.read_link(entry)?.as_bytes().to_vec();
        }
        if found.links > 1 && !found.is_directory() {
            if let Some(first) = self.links.get(&(found.device, found.inode)) {
                member.kind = MemberKind::HardLink;
                member.link_name.clone_from(first);
                return self.output.member(&member).map_err(Failed::Output);
            }
            if self.link_bytes + member.name.len() <= MOST_LINK_BYTES {
                self.link_bytes += member.name.len();
                self.links.insert((found.device, found.inode), member.name.clone());
            }
        }
        for attribute in attributes(directory, entry)? {
            if let Some(value) = directory.attribute(entry, &attribute)? {
                member.xattrs.push((attribute.as_bytes().to_vec(), value));
            }
        }
        if found.is_file() {
            self.file(directory, entry, member)
        } else {
            self.output.member(&member).map_err(Failed::Output)
        }
    }

    fn file(
        &mut self,
        directory: &Directory,
        entry: &OsStr,
        mut member: NewMember,
    ) -> Result<(), Failed> {
        let shown = directory.path().join(entry);
        let failed = |error: io::Error| {
            Failed::Read(Error::new(ErrorKind::Io, shown.display(), "reading").with_source(error))
        };
        let mut file = directory.open_file(entry)?;
        // It may be another file by now, or of another length.
        member.size_bytes = file.metadata().map_err(failed)?.len();
        self.output.member(&member).map_err(Failed::Output)?;
        let mut left = member.size_bytes;
        let mut buffer = vec![0; 128 << 10];
        while left > 0 {
            let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let count = match file.read(&mut buffer[..most]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(failed)?,
            };
            if count == 0 {
                let why = "it became shorter while it was copied";
                return Err(Failed::Read(Error::new(ErrorKind::Io, shown.display(), why)));
            }
            self.output.write_all(&buffer[..count]).map_err(Failed::Output)?;
            left -= count as u64;
        }
        Ok(())
    }
}

/// The attributes that go along: those that containers may set, and what programs may do.
fn attributes(directory: &Directory, entry: &OsStr) -> Result<Vec<OsString>, Failed> {
    let mut names = match directory.attributes(entry) {
        Err(error) if error.kind() == Rootfs::Unsupported => Vec::new(),
        other => other?,
    };
    names.retain(|name| {
        let name = name.as_bytes();
        let own = name.starts_with(b"user.") && !name.starts_with(b"user.overlay.");
        own || name == b"security.capability"
    });
    Ok(names)
}
