//! A tar stream as files.

use std::ffi::OsStr;
use std::io::{self, BufRead, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;

use cask_layer::{
    Entry, Member, MemberKind, MemberLimits, Members, Payload, TarErrorKind, member_path,
};
use cask_rootfs::{Directory, ErrorKind as Rootfs, Metadata, Node, Root, Timestamp};

use super::view::Placed;
use crate::{Error, ErrorKind, Result};

/// The most bytes of directories' names that are remembered until their times are set at the end.
const MOST_NAME_BYTES: usize = 64 << 20;

/// How a stream becomes files.
pub(super) struct Unpack<'a, 'v> {
    pub(super) place: &'a Placed<'v>,
    /// Whom all of it belongs to, if not whom the stream says.
    pub(super) owner: Option<(u32, u32)>,
    pub(super) overwrite: bool,
    pub(super) without_devices: bool,
}

/// A directory whose time is set when everything is in it.
struct Closed {
    path: Vec<u8>,
    modified: Timestamp,
}

impl Unpack<'_, '_> {
    /// Reads the stream to its end.
    pub(super) fn read<R: BufRead>(&self, reader: R) -> Result<()> {
        let mut members = Members::new(reader, MemberLimits::default());
        let mut closed: Vec<Closed> = Vec::new();
        let mut name_bytes = 0;
        let mut count = 0_u64;
        while let Some(entry) = members.next_member().map_err(|error| unreadable(error, count))? {
            count += 1;
            if let Some(directory) = self.member(entry)? {
                name_bytes += directory.path.len();
                if name_bytes <= MOST_NAME_BYTES {
                    closed.push(directory);
                }
            }
        }
        members.finish().map_err(|error| unreadable(error, count))?;
        for Closed { path, modified } in closed.into_iter().rev() {
            let path = OsStr::from_bytes(&path);
            let Ok((directory, name)) = self.root().entry(path) else { continue };
            match directory.set_times(name, modified, modified) {
                // Somebody removed it meanwhile.
                Err(error) if error.kind() == Rootfs::NotFound => {}
                other => other?,
            }
        }
        Ok(())
    }

    fn root(&self) -> &Root {
        self.place.root
    }

    /// Makes one entry; of a directory, what is left to do.
    fn member<R: BufRead>(&self, mut entry: Entry<'_, R>) -> Result<Option<Closed>> {
        let member = entry.member;
        let name = member_path(&member.name);
        if name.is_empty() || member.kind == MemberKind::GlobalHeader {
            return Ok(None);
        }
        let path = [self.place.path.as_slice(), b"/", &name].concat();
        let (parent, last) = split(&path);
        let directory = self.root().create_dir_all(OsStr::from_bytes(parent), 0o755, self.owner)?;
        let last = OsStr::from_bytes(last);
        let wants_directory = member.kind == MemberKind::Directory;
        let is_device =
            matches!(member.kind, MemberKind::CharacterDevice | MemberKind::BlockDevice);
        if is_device && self.without_devices {
            return Ok(None);
        }
        let exists = self.make_room(&directory, last, &name, wants_directory)?;
        if wants_directory {
            if !exists {
                directory.create_dir(last, 0o700)?;
            }
        } else {
            self.create(&directory, last, member, &mut entry.payload)?;
        }
        if member.kind == MemberKind::HardLink {
            return Ok(None);
        }
        let modified = time(member);
        self.dress(&directory, last, member)?;
        directory.set_times(last, modified, modified)?;
        Ok(wants_directory.then_some(Closed { path, modified }))
    }

    /// Has nothing be in the way; says whether a directory is there already.
    fn make_room(
        &self,
        directory: &Directory,
        last: &OsStr,
        name: &[u8],
        wants_directory: bool,
    ) -> Result<bool> {
        let there: Metadata = match directory.metadata(last) {
            Ok(there) => there,
            Err(error) if error.kind() == Rootfs::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        match (there.is_directory(), wants_directory) {
            (true, true) => return Ok(true),
            (false, false) => {}
            _ if !self.overwrite => {
                let shown = [self.place.shown.as_slice(), b"/", name].concat();
                let shown = String::from_utf8_lossy(&shown).replace("//", "/");
                let doing = if wants_directory { "mkdir" } else { "open" };
                let why = format!("{doing} {shown}: file exists");
                return Err(Error::new(
                    ErrorKind::Io,
                    format_args!("error creating {shown:?}"),
                    why,
                )
                .with_hint("with --overwrite directories and files take each other's place"));
            }
            _ => {}
        }
        directory.remove_all(last)?;
        Ok(false)
    }

    fn create<R: BufRead>(
        &self,
        directory: &Directory,
        last: &OsStr,
        member: &Member,
        payload: &mut Payload<'_, R>,
    ) -> Result<()> {
        let number = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        let (major, minor) = (number(member.device_major), number(member.device_minor));
        match member.kind {
            MemberKind::File => return write(directory, last, member, payload),
            MemberKind::Symlink => {
                directory.symlink(last, OsStr::from_bytes(&member.link_name))?;
            }
            MemberKind::HardLink => {
                let target = member_path(&member.link_name);
                let target = [self.place.path.as_slice(), b"/", &target].concat();
                let (source, name) = self.root().entry(OsStr::from_bytes(&target))?;
                directory.hard_link(last, &source, name)?;
            }
            MemberKind::Fifo => directory.create_node(last, Node::Fifo, 0o600)?,
            MemberKind::CharacterDevice => {
                directory.create_node(last, Node::CharDevice { major, minor }, 0o600)?;
            }
            MemberKind::BlockDevice => {
                directory.create_node(last, Node::BlockDevice { major, minor }, 0o600)?;
            }
            other => {
                let why = format!("its kind {other:?} is not known");
                return Err(Error::new(ErrorKind::Io, shown(&member.name), why));
            }
        }
        Ok(())
    }

    /// Owner, permissions and attributes, in the order in which one does not undo another.
    fn dress(&self, directory: &Directory, last: &OsStr, member: &Member) -> Result<()> {
        let number = |number: i64| u32::try_from(number).unwrap_or(0);
        let (uid, gid) = self.owner.unwrap_or((number(member.uid), number(member.gid)));
        directory.set_owner(last, uid, gid)?;
        if member.kind != MemberKind::Symlink {
            directory.set_mode(last, member.mode & 0o7777)?;
        }
        for (name, value) in &member.xattrs {
            match directory.set_attribute(last, OsStr::from_bytes(name), value) {
                // Some file systems have none, and some users may not.
                Err(error) if matches!(error.kind(), Rootfs::Unsupported | Rootfs::Denied) => {}
                other => other?,
            }
        }
        Ok(())
    }
}

fn write<R: BufRead>(
    directory: &Directory,
    last: &OsStr,
    member: &Member,
    payload: &mut Payload<'_, R>,
) -> Result<()> {
    let failed = |error: io::Error| {
        Error::new(ErrorKind::Io, directory.path().join(last).display(), "writing")
            .with_source(error)
    };
    let mut file = directory.create_file(last, 0o600)?;
    match &member.sparse {
        None => drop(io::copy(payload, &mut file).map_err(failed)?),
        Some(fragments) => {
            for fragment in fragments {
                io::Seek::seek(&mut file, io::SeekFrom::Start(fragment.offset)).map_err(failed)?;
                io::copy(&mut payload.by_ref().take(fragment.length), &mut file).map_err(failed)?;
            }
            file.set_len(member.real_size_bytes).map_err(failed)?;
        }
    }
    file.flush().map_err(failed)
}

fn unreadable(error: cask_layer::TarError, members: u64) -> Error {
    let is_corrupt = matches!(error.kind(), TarErrorKind::Corrupt | TarErrorKind::Truncated);
    if members == 0 && is_corrupt {
        let why = "source must be a (compressed) tar archive when copying from stdin";
        return Error::new(ErrorKind::Invalid, "", why);
    }
    Error::new(ErrorKind::Io, "reading the tarball", "").with_source(error)
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let slash = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    (&path[..slash], &path[slash + 1..])
}

fn time(member: &Member) -> Timestamp {
    Timestamp { seconds: member.modified.seconds, nanoseconds: member.modified.nanoseconds }
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below() {
        for (name, expected) in [
            ("a/b", "a/b"),
            ("./a//b/", "a/b"),
            ("/etc/passwd", "etc/passwd"),
            ("../../etc", "etc"),
            ("a/../../b", "b"),
            ("..", ""),
            ("", ""),
        ] {
            assert_eq!(member_path(name.as_bytes()), expected.as_bytes(), "{name}");
        }
    }
}
