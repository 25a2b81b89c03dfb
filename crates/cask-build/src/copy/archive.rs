//! Taking archives apart, as `tar -x` into the image.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::Path;

use cask_containerfile::Behavior;
use cask_layer::{
    Compression, DecompressLimits, Member, MemberKind, MemberLimits, Members, decompress,
    detect_reader,
};
use cask_rootfs::Kind;

use super::plan::{Content, Plan, Planned, Rule};
use super::prepared::Prepared;
use crate::context::begins_tar;
use crate::view::{is_content, join, parent_and_name};
use crate::{Error, ErrorKind, Result};

/// The most members of an archive.
const MAX_MEMBERS: u64 = 5_000_000;

/// Whether a file is a tar archive, compressed or not. What cannot be decompressed is none.
pub(super) fn is_archive(file: &mut impl Read) -> bool {
    let Ok((compression, stream)) = detect_reader(file) else { return false };
    let mut stream = decompress(stream, compression, DecompressLimits::default());
    let mut block = Vec::with_capacity(512);
    (&mut stream).take(512).read_to_end(&mut block).is_ok() && begins_tar(&block)
}

/// A tar stream that can be read at any place: the file itself, or a decompressed one.
pub(super) fn plain(name: &str, mut file: File, scratch: &Path) -> Result<File> {
    let fail = |error: io::Error| archive_error(name, error);
    file.rewind().map_err(fail)?;
    let reader = file.try_clone().map_err(fail)?;
    let (compression, stream) = detect_reader(reader).map_err(fail)?;
    if compression == Compression::None {
        file.rewind().map_err(fail)?;
        return Ok(file);
    }
    let mut stream = decompress(stream, compression, DecompressLimits::default());
    let mut output = tempfile::tempfile_in(scratch).map_err(|error| {
        let detail = "no temporary file can be made in it";
        Error::new(ErrorKind::Io, scratch.display(), detail).with_source(error)
    })?;
    let mut buffer = vec![0; super::content::BUFFER_BYTES];
    loop {
        let count = stream.read(&mut buffer).map_err(fail)?;
        if count == 0 {
            break;
        }
        output.write_all(&buffer[..count]).map_err(|error| {
            let detail = "an archive cannot be decompressed into it";
            Error::new(ErrorKind::Io, scratch.display(), detail).with_source(error)
        })?;
    }
    output.rewind().map_err(fail)?;
    Ok(output)
}

fn archive_error(name: &str, error: io::Error) -> Error {
    let kind = match cask_layer::Error::of(&error).map(cask_layer::Error::kind) {
        Some(cask_layer::ErrorKind::LimitExceeded { .. }) => ErrorKind::Limit,
        Some(_) => ErrorKind::Invalid,
        None => ErrorKind::Io,
    };
    Error::new(kind, name, "the archive cannot be read").with_source(error)
}

/// Puts what is in an archive below a directory of the plan, with the permissions that it has there: `--chmod` is not
/// about them, as with peers. `number` is the number of the file.
pub(super) fn extract(
    prepared: &Prepared,
    plan: &mut Plan,
    name: &str,
    file: &File,
    number: usize,
    directory: &[u8],
) -> Result<()> {
    let request = &prepared.request;
    let is_owned =
        request.owner.is_some() && request.dialect.does(Behavior::ChownAppliesToArchives);
    let extraction = Extraction {
        name,
        number,
        directory,
        owner: is_owned.then(|| plan.made()).map(|made| (made.uid, made.gid)),
    };
    let mut members =
        Members::new(BufReader::with_capacity(256 << 10, file), MemberLimits::default());
    let mut count = 0;
    while let Some(entry) = members.next_member().map_err(|error| {
        Error::new(ErrorKind::Invalid, name, "the archive cannot be read").with_source(error)
    })? {
        count += 1;
        if count > MAX_MEMBERS {
            let detail = format!("the archive has more than {MAX_MEMBERS} members");
            return Err(Error::new(ErrorKind::Limit, name, detail));
        }
        extraction.member(plan, entry.member)?;
    }
    Ok(())
}

struct Extraction<'e> {
    name: &'e str,
    number: usize,
    directory: &'e [u8],
    /// Of `--chown`.
    owner: Option<(u32, u32)>,
}

impl Extraction<'_> {
    fn member(&self, plan: &mut Plan, member: &Member) -> Result<()> {
        let Some(kind) = kind(member.kind) else { return Ok(()) };
        let path = self.clean(member, &member.name)?;
        if path.is_empty() {
            // The directory itself: it is there, and its description is not ours to change.
            return Ok(());
        }
        let (parent, last) = parent_and_name(&path);
        if path.split(|byte| *byte == b'/').any(|part| part.starts_with(b".wh.")) {
            let detail = "its name begins with .wh., which means a deletion in a layer";
            return Err(self.invalid(member, detail));
        }
        // As with peers, links of the archive lead nowhere but into the directory that it is taken apart in.
        let parent = plan.directory_below(self.directory, parent)?;
        let target = join(&parent, last);
        let planned = match member.kind {
            MemberKind::HardLink => self.hard_link(plan, member, &target)?,
            _ => Some(self.planned(plan, member, kind)?),
        };
        if let Some(planned) = planned {
            plan.put(&target, planned, Rule::Replaces)?;
        }
        Ok(())
    }

    fn planned(&self, plan: &Plan, member: &Member, kind: Kind) -> Result<Planned> {
        let mut planned = Planned::new(kind, member.mode & 0o7777, plan.made());
        let id = |id: i64| {
            let id = u32::try_from(id).ok().filter(|id| *id != u32::MAX);
            id.ok_or_else(|| self.invalid(member, "its owner is no number of a user"))
        };
        (planned.uid, planned.gid) = match self.owner {
            Some(owner) => owner,
            None => (id(member.uid)?, id(member.gid)?),
        };
        planned.seconds = member.modified.seconds;
        let number = |number: i64| {
            u32::try_from(number).map_err(|_| self.invalid(member, "a device has no such number"))
        };
        if matches!(kind, Kind::CharDevice | Kind::BlockDevice) {
            planned.device_major = number(member.device_major)?;
            planned.device_minor = number(member.device_minor)?;
            if kind == Kind::CharDevice && planned.device_major == 0 && planned.device_minor == 0 {
                let detail = "a character device 0:0 means a deletion in a layer";
                return Err(self.invalid(member, detail));
            }
        }
        match kind {
            Kind::Symlink => planned.target.clone_from(&member.link_name),
            Kind::File => {
                planned.content = Content::Part {
                    file: self.number,
                    offset: member.offset + member.raw_header.len() as u64,
                    length: member.stream_size_bytes,
                    sparse: member.sparse.clone().map(Into::into),
                    size: member.real_size_bytes,
                }
            }
            _ => {}
        }
        planned.xattrs =
            member.xattrs.iter().filter(|(name, _)| is_content(name)).cloned().collect();
        Ok(planned)
    }

    /// Another name of a file of the archive, or of the stage. `None` for one of itself.
    fn hard_link(
        &self,
        plan: &mut Plan,
        member: &Member,
        target: &[u8],
    ) -> Result<Option<Planned>> {
        let link = self.clean(member, &member.link_name)?;
        let missing = || {
            let shown = member.link_name.escape_ascii();
            self.invalid(member, &format!("it is a hard link to \"{shown}\", which is not there"))
        };
        let (parent, last) = parent_and_name(&link);
        let found = match plan.resolve_below(self.directory, parent)? {
            crate::view::Resolution::Found(parent) => join(&parent, last),
            _ => return Err(missing()),
        };
        if found == target {
            return Ok(None);
        }
        if plan.nodes.get(&found).is_some_and(|planned| planned.kind != Kind::Directory) {
            let fresh = plan.new_group();
            let linked = plan.nodes.get_mut(&found).expect("it was there on the line before");
            let group = *linked.group.get_or_insert(fresh);
            let linked = linked.clone();
            if linked.kind == Kind::File {
                let last = self.planned(plan, member, Kind::File)?;
                plan.last_names.insert(group, (last.mode, last.uid, last.gid, last.seconds));
            }
            return Ok(Some(linked));
        }
        if plan.nodes.contains_key(&found) {
            return Err(self.invalid(member, "it is a hard link to a directory"));
        }
        // No layer can have a link to a file of another: it becomes a copy.
        plan.stage_file(&found)?.map(Some).ok_or_else(missing)
    }

    /// A name as a path below the destination: `..` stops there.
    fn clean(&self, member: &Member, name: &[u8]) -> Result<Vec<u8>> {
        if name.contains(&0) {
            return Err(self.invalid(member, "its name holds a NUL byte"));
        }
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in name.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => drop(parts.pop()),
                part if part.len() > 255 => {
                    return Err(self.invalid(member, "a part of its name is longer than 255 bytes"));
                }
                part => parts.push(part),
            }
        }
        let path = parts.join(&b'/');
        if path.len() > 4095 {
            return Err(self.invalid(member, "its name is longer than 4095 bytes"));
        }
        Ok(path)
    }

    fn invalid(&self, member: &Member, detail: &str) -> Error {
        let subject = format!("\"{}\" in {}", member.name.escape_ascii(), self.name);
        Error::new(ErrorKind::Invalid, subject, detail)
    }
}

/// What a member becomes; `None` for what is nothing of its own.
fn kind(kind: MemberKind) -> Option<Kind> {
    Some(match kind {
        MemberKind::File | MemberKind::HardLink => Kind::File,
        MemberKind::Directory => Kind::Directory,
        MemberKind::Symlink => Kind::Symlink,
        MemberKind::CharacterDevice => Kind::CharDevice,
        MemberKind::BlockDevice => Kind::BlockDevice,
        MemberKind::Fifo => Kind::Fifo,
        _ => return None,
    })
}
