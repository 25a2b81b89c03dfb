//! Owners, permissions, times and extended attributes.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use cask_rootfs::{Directory, Kind, Metadata};
use rustix::fs::{Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;

use super::{Applied, ApplyError, ApplyErrorKind, ApplyOptions};
use crate::{Member, MemberKind, Timestamp};

/// What keeps the original owner and permissions where they cannot be real.
pub(super) const OVERRIDE: &str = "user.containers.override_stat";

/// What a member is to have, once maps and masks have had their say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// User and group; `None` to leave them as they come.
    pub(super) owner: Option<(u32, u32)>,
    /// Twelve bits.
    pub(super) mode: u32,
    pub(super) modified: Timestamp,
}

impl Wanted {
    pub(super) fn of(
        member: &Member,
        options: &ApplyOptions,
        outcome: &mut Applied,
    ) -> Result<Self, ApplyError> {
        let owner =
            if options.force_mask.is_some() { None } else { mapped(member, options, outcome)? };
        let mode = options.force_mask.unwrap_or(member.mode) & 0o7777;
        Ok(Self { owner, mode, modified: member.modified })
    }

    /// Whether an owner has to be set, given who owns it now.
    fn foreign(&self, uid: u32, gid: u32) -> Option<(u32, u32)> {
        self.owner.filter(|wanted| *wanted != (uid, gid))
    }
}

/// The owner of a member on the host.
fn mapped(
    member: &Member,
    options: &ApplyOptions,
    outcome: &mut Applied,
) -> Result<Option<(u32, u32)>, ApplyError> {
    let nobody = |id: i64| id == -1 || id == i64::from(u32::MAX);
    if nobody(member.uid) || nobody(member.gid) {
        let detail = "its owner is -1, which is nobody's number, and left as it came";
        outcome.warn(&member.name, detail.into());
        return Ok(None);
    }
    let number = |id: i64| u32::try_from(id).ok();
    let ids = number(member.uid).zip(number(member.gid));
    if let Some(owner) = ids.and_then(|(uid, gid)| options.id_maps.to_host(uid, gid)) {
        return Ok(Some(owner));
    }
    let (uid, gid) = (member.uid, member.gid);
    let detail = format!("its owner {uid}:{gid} is not among the users and groups to be had");
    if options.ignore_chown_errors {
        outcome.warn(&member.name, detail);
        return Ok(None);
    }
    Err(ApplyError::new(ApplyErrorKind::UnmappedId, &member.name, detail))
}

/// Gives an open new file all that it is to have. Owner, permissions, attributes, times: in this
/// order, since each may undo the one after it.
pub(super) fn settle_file(
    file: &File,
    member: &Member,
    wanted: &Wanted,
    options: &ApplyOptions,
    outcome: &mut Applied,
) -> Result<(), ApplyError> {
    let fail = |detail| move |errno: Errno| ApplyError::system(&member.name, detail, errno);
    let stat = rustix::fs::fstat(file).map_err(fail("it cannot be looked at"))?;
    let mut mode = stat.st_mode & 0o7777;
    if let Some((uid, gid)) = wanted.foreign(stat.st_uid, stat.st_gid) {
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        match rustix::fs::fchown(file, Some(uid), Some(gid)) {
            Ok(()) => mode &= 0o1777,
            Err(errno) => refused_owner(member, options, outcome, errno.into())?,
        }
    }
    if mode != wanted.mode {
        rustix::fs::fchmod(file, rustix::fs::Mode::from_raw_mode(wanted.mode))
            .map_err(fail("its permissions cannot be set"))?;
    }
    let set = |name: &[u8], value: &[u8]| {
        rustix::fs::fsetxattr(file.as_fd(), OsStr::from_bytes(name), value, XattrFlags::empty())
            .map_err(std::io::Error::from)
    };
    attributes(member, options, outcome, set)?;
    let time =
        Timespec { tv_sec: wanted.modified.seconds, tv_nsec: wanted.modified.nanoseconds.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::futimens(file, &times).map_err(fail("its times cannot be set"))
}

/// Gives an entry that is not open what it is to have, but for the times. Describes it as it was.
pub(super) fn settle_entry(
    directory: &Directory,
    name: &OsStr,
    member: &Member,
    wanted: &Wanted,
    options: &ApplyOptions,
    outcome: &mut Applied,
) -> Result<Metadata, ApplyError> {
    let fail = |error| ApplyError::root(&member.name, error);
    let found = directory.metadata(name).map_err(fail)?;
    let mut mode = found.mode;
    if let Some((uid, gid)) = wanted.foreign(found.uid, found.gid) {
        match directory.set_owner(name, uid, gid) {
            Ok(()) if !found.is_directory() => mode &= 0o1777,
            Ok(()) => {}
            Err(error) => refused_owner(member, options, outcome, error.into())?,
        }
    }
    if found.kind != Kind::Symlink && mode != wanted.mode {
        directory.set_mode(name, wanted.mode).map_err(fail)?;
    }
    attributes(member, options, outcome, |attribute, value| {
        let attribute = OsStr::from_bytes(attribute);
        directory.set_attribute(name, attribute, value).map_err(std::io::Error::from)
    })?;
    Ok(found)
}

fn refused_owner(
    member: &Member,
    options: &ApplyOptions,
    outcome: &mut Applied,
    error: std::io::Error,
) -> Result<(), ApplyError> {
    let detail = "its owner cannot be set";
    if options.ignore_chown_errors {
        outcome.warn(&member.name, format!("{detail}: {error}"));
        return Ok(());
    }
    Err(ApplyError::system(&member.name, detail, error))
}

/// Sets the extended attributes of a member, and the one that keeps its original owner.
fn attributes(
    member: &Member,
    options: &ApplyOptions,
    outcome: &mut Applied,
    set: impl Fn(&[u8], &[u8]) -> std::io::Result<()>,
) -> Result<(), ApplyError> {
    for (name, value) in &member.xattrs {
        let shown = name.escape_ascii();
        // They would tell the kernel what to take from which layer: no matter of a layer's contents.
        if name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") {
            outcome.warn(&member.name, format!("its attribute {shown} is overlay's, and left out"));
            continue;
        }
        match set(name, value) {
            Ok(()) => {}
            Err(error) if is_bearable(&error, options) => {
                outcome.warn(&member.name, format!("its attribute {shown} is lost: {error}"));
            }
            Err(error) => {
                return Err(ApplyError::system(&member.name, "an attribute cannot be set", error));
            }
        }
    }
    let Some(value) = options.force_mask.and_then(|_| original(member, options)) else {
        return Ok(());
    };
    set(OVERRIDE.as_bytes(), value.as_bytes()).map_err(|error| {
        ApplyError::system(&member.name, "its original owner cannot be kept", error)
    })
}

fn is_bearable(error: &std::io::Error, options: &ApplyOptions) -> bool {
    // An error from the root has the number inside.
    let number = error
        .raw_os_error()
        .or_else(|| error.get_ref()?.downcast_ref::<cask_rootfs::Error>()?.raw_os_error());
    number == Some(Errno::OPNOTSUPP.raw_os_error())
        || (options.user_namespace && number == Some(Errno::PERM.raw_os_error()))
}

/// What fuse-overlayfs reads: `UID:GID:MODE:TYPE`. `None` for links, which cannot have it.
///
/// Source: containers/storage, `pkg/idtools`, `FormatContainersOverrideXattrDevice`.
pub(super) fn original(member: &Member, options: &ApplyOptions) -> Option<String> {
    let (major, minor) = (member.device_major, member.device_minor);
    let kind = match member.kind {
        MemberKind::File => "file".to_owned(),
        MemberKind::Directory => "dir".to_owned(),
        MemberKind::Fifo => "pipe".to_owned(),
        MemberKind::CharacterDevice => format!("char-{major}-{minor}"),
        MemberKind::BlockDevice => format!("block-{major}-{minor}"),
        _ => return None,
    };
    let ids = u32::try_from(member.uid).ok().zip(u32::try_from(member.gid).ok());
    let mapped = ids.and_then(|(uid, gid)| options.id_maps.to_host(uid, gid));
    let (uid, gid) = mapped.map_or((member.uid, member.gid), |(u, g)| (u.into(), g.into()));
    Some(format!("{uid}:{gid}:{:04o}:{kind}", member.mode & 0o7777))
}
