//! Extracting a layer, member by member.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::BufRead;
use std::os::unix::ffi::OsStrExt;

use cask_rootfs::{Directory, ErrorKind, Kind, Node, Order, Parents, Root};

use super::attributes::{self, Wanted};
use super::name::{self, Whiteout};
use super::{Applied, ApplyError, ApplyErrorKind, ApplyOptions, Whiteouts, payload, whiteout};
use crate::{Entry, Member, MemberKind, Members, Observe, Timestamp};

/// Extracts the plain tar stream of a layer into a root, and reads the stream to its end.
///
/// `observer` sees every byte that goes by; [`TarSplitRecorder`](crate::TarSplitRecorder) is one, `()`
/// is none. Gives what came of it, and the reader and the observer back.
///
/// The rules are those of the field's tools: names are cleaned, so that `..` stops at the root, and
/// resolved in the root, symbolic links in their way included; missing directories are made, 0777 less
/// the umask and root's; what has the name is replaced, but directories are merged; owner,
/// permissions, attributes and times are set in this order, those of directories at the end, the
/// access time like the other; the last of equal names wins.
///
/// ```
/// use cask_layer::{ApplyOptions, apply};
/// use cask_rootfs::Root;
///
/// let directory = tempfile::tempdir()?;
/// let root = Root::open(directory.path())?;
/// let mut options = ApplyOptions::default();
/// options.ignore_chown_errors = true;
///
/// let empty = [0; 1024]; // The end of a tar stream, and nothing before it.
/// let (applied, _reader, ()) = apply(&empty[..], &root, &options, ())?;
/// assert_eq!(applied.counts.files, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: containers/storage, `pkg/archive`, `Unpack` and `createTarFileEntry`, and its overlay
/// `ConvertRead`.
///
/// # Errors
///
/// [`ApplyErrorKind`] by kind. What was extracted before stays: the caller throws the tree away.
pub fn apply<R: BufRead, O: Observe>(
    tar: R,
    root: &Root,
    options: &ApplyOptions,
    observer: O,
) -> Result<(Applied, R, O), ApplyError> {
    let mut members = Members::observed(tar, options.limits.members, observer);
    let mut extractor = Extractor::new(root, options)?;
    while let Some(entry) = members.next_member()? {
        extractor.member(entry)?;
    }
    let applied = extractor.finish()?;
    let (reader, observer) = members.finish()?;
    Ok((applied, reader, observer))
}

struct Extractor<'r> {
    root: &'r Root,
    parents: Parents<'r>,
    /// The path of the member at hand; one buffer for all.
    path: Vec<u8>,
    state: State<'r>,
}

/// All but the directories that are remembered, so that one of those can be borrowed beside it.
struct State<'r> {
    options: &'r ApplyOptions,
    outcome: Applied,
    members: u64,
    bytes: u64,
    /// Times of directories, which extracting into them changes.
    times: Vec<(Box<[u8]>, Timestamp)>,
    /// Permissions of directories that would not let their owner extract into them.
    closed: BTreeMap<Box<[u8]>, u32>,
    name_bytes: usize,
    /// What this layer made, where what older layers made is removed.
    made: whiteout::Made,
    removes: bool,
}

impl<'r> Extractor<'r> {
    fn new(root: &'r Root, options: &'r ApplyOptions) -> Result<Self, ApplyError> {
        let top = root.directory("").and_then(|top| top.entries(Order::Any));
        let is_empty = top.map_err(|error| ApplyError::root(b"./", error))?.is_empty();
        let state = State {
            options,
            outcome: Applied::default(),
            members: 0,
            bytes: 0,
            times: Vec::new(),
            closed: BTreeMap::new(),
            name_bytes: 0,
            made: whiteout::Made::default(),
            // Of nothing older, nothing can be removed.
            removes: options.whiteouts == Whiteouts::Remove && !is_empty,
        };
        Ok(Self { root, parents: Parents::new(root), path: Vec::new(), state })
    }

    fn member<R: BufRead, O: Observe>(
        &mut self,
        mut entry: Entry<'_, R, O>,
    ) -> Result<(), ApplyError> {
        let member = entry.member;
        self.state.count(member)?;
        let mut path = std::mem::take(&mut self.path);
        name::clean(&member.name, &mut path)?;
        let split = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let parent = OsStr::from_bytes(&path[..split]);
        let last = path[split..].strip_prefix(b"/").unwrap_or(&path[split..]);

        let marks = self.state.options.whiteouts != Whiteouts::Keep;
        let meaning = if marks { name::whiteout(last) } else { Whiteout::None };
        // A whiteout owns nothing.
        if !last.starts_with(name::WHITEOUT_PREFIX) {
            self.state.outcome.uids.insert(low_bits(member.uid));
            self.state.outcome.gids.insert(low_bits(member.gid));
        }
        if member.kind == MemberKind::GlobalHeader {
            self.state.outcome.counts.skipped += 1;
        } else if path.is_empty() {
            self.root_member(member)?;
        } else if meaning == Whiteout::None {
            let name = OsStr::from_bytes(last);
            if member.kind == MemberKind::HardLink {
                self.hard_link(member, parent, name, &path)?;
            } else {
                self.create(&mut entry, parent, name, &path)?;
            }
        } else {
            self.whiteout(member, parent, meaning)?;
        }
        self.path = path;
        Ok(())
    }

    fn create<R: BufRead, O: Observe>(
        &mut self,
        entry: &mut Entry<'_, R, O>,
        parent: &OsStr,
        name: &OsStr,
        path: &[u8],
    ) -> Result<(), ApplyError> {
        let member = entry.member;
        let directory = parent_directory(&mut self.parents, self.state.options, member, parent)?;
        let forget = self.state.create(directory, name, entry, path)?;
        if self.state.removes {
            let made = self.state.made.insert(directory, name);
            made.map_err(|error| ApplyError::root(&member.name, error))?;
        }
        if forget {
            self.parents.forget();
        }
        Ok(())
    }

    fn hard_link(
        &mut self,
        member: &Member,
        parent: &OsStr,
        name: &OsStr,
        path: &[u8],
    ) -> Result<(), ApplyError> {
        let fail = |error| ApplyError::root(&member.name, error);
        let mut target = Vec::new();
        name::clean(&member.link_name, &mut target)?;
        let shown = member.link_name.escape_ascii();
        let nowhere = || {
            let detail = format!("it is a hard link to {shown}, which is not in the layer");
            ApplyError::new(ApplyErrorKind::InvalidLayer, &member.name, detail)
        };
        let (source, source_name) = match self.root.entry(OsStr::from_bytes(&target)) {
            Ok(found) => found,
            Err(error) if is_absence(error.kind()) => return Err(nowhere()),
            Err(error) => return Err(fail(error)),
        };
        let original = source.metadata(source_name).map_err(|error| match error.kind() {
            ErrorKind::NotFound => nowhere(),
            _ => fail(error),
        })?;
        if original.is_directory() {
            let detail = format!("it is a hard link to {shown}, which is a directory");
            return Err(ApplyError::new(ApplyErrorKind::InvalidLayer, &member.name, detail));
        }
        let directory = parent_directory(&mut self.parents, self.state.options, member, parent)?;
        let forget = if target == path {
            false
        } else {
            match directory.hard_link(name, &source, source_name) {
                Ok(()) => false,
                Err(error) if error.kind() == ErrorKind::Exists => {
                    let forget = self.state.make_way(directory, name, member)?;
                    directory.hard_link(name, &source, source_name).map_err(|error| {
                        // What was in the way was the directory that the original is in.
                        if is_absence(error.kind()) { nowhere() } else { fail(error) }
                    })?;
                    forget
                }
                Err(error) => return Err(fail(error)),
            }
        };
        self.state.settle_hard_link(directory, name, member)?;
        if self.state.removes {
            self.state.made.insert(directory, name).map_err(fail)?;
        }
        if forget {
            self.parents.forget();
        }
        Ok(())
    }

    /// A member that is the root itself.
    fn root_member(&mut self, member: &Member) -> Result<(), ApplyError> {
        let options = self.state.options;
        let fail = |error| ApplyError::root(&member.name, error);
        self.state.outcome.counts.skipped += 1;
        if member.kind != MemberKind::Directory {
            self.state.outcome.warn(&member.name, "it is the root, and left out".into());
            return Ok(());
        }
        if let Some(value) = options.force_mask.and_then(|_| attributes::original(member, options))
        {
            let top = self.root.directory("").map_err(fail)?;
            top.set_own_attribute(attributes::OVERRIDE, value.as_bytes()).map_err(fail)?;
        } else if options.apply_root {
            let wanted = Wanted::of(member, options, &mut self.state.outcome)?;
            let top = self.root.directory("").map_err(fail)?;
            let now = top.own_metadata().map_err(fail)?;
            let (uid, gid) = wanted.owner.unwrap_or((now.uid, now.gid));
            self.root.set_own_owner_and_mode(uid, gid, wanted.mode).map_err(fail)?;
            self.state.times.push((Box::default(), member.modified));
        }
        Ok(())
    }

    fn whiteout(
        &mut self,
        member: &Member,
        parent: &OsStr,
        meaning: Whiteout<'_>,
    ) -> Result<(), ApplyError> {
        self.state.outcome.counts.whiteouts += 1;
        match (meaning, self.state.options.whiteouts) {
            (Whiteout::Invalid, _) => {
                let detail = "it is a whiteout that names nothing that could be deleted";
                Err(ApplyError::new(ApplyErrorKind::InvalidLayer, &member.name, detail))
            }
            (Whiteout::Aufs | Whiteout::None, _) => {
                let message = "it is AUFS's own book-keeping, and left out";
                self.state.outcome.warn(&member.name, message.into());
                Ok(())
            }
            (_, Whiteouts::Remove) if !self.state.removes => Ok(()),
            (_, Whiteouts::Remove) => {
                let removed = ignore_absence(self.remove(parent, meaning));
                self.parents.forget();
                removed.map_err(|error| ApplyError::root(&member.name, error))
            }
            (_, Whiteouts::OverlayUser) => {
                self.mark(member, parent, meaning, "user.overlay.opaque")
            }
            (_, Whiteouts::Overlay | Whiteouts::Keep) => {
                self.mark(member, parent, meaning, "trusted.overlay.opaque")
            }
        }
    }

    /// Does what a whiteout says, in a tree of all layers.
    fn remove(&mut self, parent: &OsStr, meaning: Whiteout<'_>) -> cask_rootfs::Result<()> {
        match meaning {
            Whiteout::Deleted(name) => {
                let path = whiteout::join(parent, OsStr::from_bytes(name));
                whiteout::remove(self.root, path, &self.state.made)
            }
            Whiteout::Opaque => whiteout::empty(self.root, parent, &self.state.made),
            _ => Ok(()),
        }
    }

    /// Notes what a whiteout says, in a tree of one layer.
    fn mark(
        &mut self,
        member: &Member,
        parent: &OsStr,
        meaning: Whiteout<'_>,
        opaque: &str,
    ) -> Result<(), ApplyError> {
        let options = self.state.options;
        let fail = |error| ApplyError::root(&member.name, error);
        let directory = match parent_directory(&mut self.parents, options, member, parent) {
            Ok(directory) => directory,
            // `.wh.foo` and then `foo/.wh.bar`: all of foo is gone already.
            Err(_) if is_below_a_mark(self.root, parent) => return Ok(()),
            Err(error) => return Err(error),
        };
        let Whiteout::Deleted(name) = meaning else {
            return directory.set_own_attribute(opaque, b"y").map_err(fail);
        };
        let name = OsStr::from_bytes(name);
        if whiteout::mark(directory, name, opaque).map_err(fail)? {
            let wanted =
                Wanted { mode: 0, ..Wanted::of(member, options, &mut self.state.outcome)? };
            let plain = Member { name: member.name.clone(), ..Member::default() };
            let unforced = ApplyOptions { force_mask: None, ..options.clone() };
            let outcome = &mut self.state.outcome;
            attributes::settle_entry(directory, name, &plain, &wanted, &unforced, outcome)?;
        }
        Ok(())
    }

    /// Sets what can only be set once everything is there.
    fn finish(mut self) -> Result<Applied, ApplyError> {
        for (path, time) in std::mem::take(&mut self.state.times) {
            let fail = |error| ApplyError::root(&path, error);
            let time = timestamp(time);
            if path.is_empty() {
                let handle = self.root.directory("").map_err(fail)?;
                set_own_times(&handle, time)
                    .map_err(|error| ApplyError::system(b"./", "its times cannot be set", error))?;
                continue;
            }
            // It may have been replaced since.
            let (directory, name) = match self.parents.entry(OsStr::from_bytes(&path)) {
                Err(error) if is_absence(error.kind()) => continue,
                other => other.map_err(fail)?,
            };
            if directory.metadata(name).is_ok_and(|found| found.is_directory()) {
                directory.set_times(name, time, time).map_err(fail)?;
            }
        }
        // From the end, so that what is below is closed first.
        for (path, mode) in std::mem::take(&mut self.state.closed).into_iter().rev() {
            let fail = |error| ApplyError::root(&path, error);
            let Ok((directory, name)) = self.parents.entry(OsStr::from_bytes(&path)) else {
                continue;
            };
            if directory.metadata(name).is_ok_and(|found| found.is_directory()) {
                directory.set_mode(name, mode).map_err(fail)?;
            }
        }
        Ok(self.state.outcome)
    }
}

impl State<'_> {
    fn count(&mut self, member: &Member) -> Result<(), ApplyError> {
        let limits = &self.options.limits;
        let exceeded =
            |detail| Err(ApplyError::new(ApplyErrorKind::LimitExceeded, &member.name, detail));
        self.members += 1;
        self.bytes = self.bytes.saturating_add(member.stream_size_bytes);
        if self.members > limits.max_members {
            return exceeded(format!("the layer has more than {} members", limits.max_members));
        }
        if self.bytes > limits.max_bytes {
            return exceeded(format!("the layer has more than {} bytes", limits.max_bytes));
        }
        if member.kind == MemberKind::File {
            self.outcome.size_bytes =
                self.outcome.size_bytes.saturating_add(member.real_size_bytes);
        }
        Ok(())
    }

    /// Creates what a member is; true where directories that are remembered may be wrong now.
    fn create<R: BufRead, O: Observe>(
        &mut self,
        directory: &Directory,
        name: &OsStr,
        entry: &mut Entry<'_, R, O>,
        path: &[u8],
    ) -> Result<bool, ApplyError> {
        let member = entry.member;
        let wanted = Wanted::of(member, self.options, &mut self.outcome)?;
        let forced = self.options.force_mask.is_some();
        match member.kind {
            MemberKind::File => self.file(directory, name, entry, &wanted),
            MemberKind::Directory => self.directory(directory, name, member, &wanted, path),
            MemberKind::Symlink => {
                self.outcome.counts.symlinks += 1;
                if member.link_name.is_empty() || member.link_name.contains(&0) {
                    let detail = "it is a symbolic link to nothing that could be";
                    let kind = ApplyErrorKind::InvalidLayer;
                    return Err(ApplyError::new(kind, &member.name, detail));
                }
                let target = OsStr::from_bytes(&member.link_name);
                self.entry(directory, name, member, &wanted, || directory.symlink(name, target))
            }
            MemberKind::Fifo | MemberKind::CharacterDevice | MemberKind::BlockDevice if forced => {
                self.file(directory, name, entry, &wanted)
            }
            MemberKind::CharacterDevice | MemberKind::BlockDevice
                if self.options.user_namespace =>
            {
                self.outcome.counts.skipped += 1;
                Ok(false)
            }
            MemberKind::Fifo | MemberKind::CharacterDevice | MemberKind::BlockDevice => {
                self.outcome.counts.nodes += 1;
                let node = node(member)?;
                let mode = member.mode & 0o777;
                self.entry(directory, name, member, &wanted, || {
                    directory.create_node(name, node, mode)
                })
            }
            MemberKind::HardLink | MemberKind::GlobalHeader | MemberKind::Other(_) => {
                let flag = member.type_flag.escape_ascii();
                let detail = format!("its type '{flag}' is none that a layer can have");
                Err(ApplyError::new(ApplyErrorKind::InvalidLayer, &member.name, detail))
            }
        }
    }

    fn file<R: BufRead, O: Observe>(
        &mut self,
        directory: &Directory,
        name: &OsStr,
        entry: &mut Entry<'_, R, O>,
        wanted: &Wanted,
    ) -> Result<bool, ApplyError> {
        let member = entry.member;
        self.outcome.counts.files += 1;
        // Set-user-id comes with the owner, at the end.
        let mode = wanted.mode & 0o777;
        let mut forget = false;
        let mut file = match directory.create_file(name, mode) {
            Err(error) if error.kind() == ErrorKind::Exists => {
                forget = self.make_way(directory, name, member)?;
                directory.create_file(name, mode)
            }
            other => other,
        }
        .map_err(|error| ApplyError::root(&member.name, error))?;
        payload::write(&mut file, member, &mut entry.payload)?;
        attributes::settle_file(&file, member, wanted, self.options, &mut self.outcome)?;
        Ok(forget)
    }

    fn directory(
        &mut self,
        directory: &Directory,
        name: &OsStr,
        member: &Member,
        wanted: &Wanted,
        path: &[u8],
    ) -> Result<bool, ApplyError> {
        let fail = |error| ApplyError::root(&member.name, error);
        self.outcome.counts.directories += 1;
        let mut forget = false;
        let mut opaque = false;
        // Its owner must be able to extract into it until the end.
        let now = Wanted { mode: wanted.mode | 0o700, ..*wanted };
        match directory.create_dir(name, now.mode & 0o1777) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Exists => {
                let there = directory.metadata(name).map_err(fail)?;
                if !there.is_directory() {
                    // Deleted and made anew: what older layers have in it stays deleted.
                    opaque = whiteout::is_mark(&there);
                    forget = self.make_way(directory, name, member)?;
                    directory.create_dir(name, now.mode & 0o1777).map_err(fail)?;
                }
            }
            Err(error) => return Err(fail(error)),
        }
        let outcome = &mut self.outcome;
        attributes::settle_entry(directory, name, member, &now, self.options, outcome)?;
        match self.options.whiteouts {
            Whiteouts::Overlay if opaque => {
                directory.set_attribute(name, "trusted.overlay.opaque", b"y").map_err(fail)?;
            }
            Whiteouts::OverlayUser if opaque => {
                directory.set_attribute(name, "user.overlay.opaque", b"y").map_err(fail)?;
            }
            _ => {}
        }
        self.remember(member, wanted, path)?;
        Ok(forget)
    }

    /// Notes what a directory gets at the end.
    fn remember(
        &mut self,
        member: &Member,
        wanted: &Wanted,
        path: &[u8],
    ) -> Result<(), ApplyError> {
        let limit = self.options.limits.max_directory_name_bytes;
        self.name_bytes += path.len() + size_of::<(Box<[u8]>, Timestamp)>();
        if self.name_bytes > limit {
            let detail = format!("the names of directories have more than {limit} bytes");
            return Err(ApplyError::new(ApplyErrorKind::LimitExceeded, &member.name, detail));
        }
        self.times.push((path.into(), wanted.modified));
        if wanted.mode & 0o700 == 0o700 {
            self.closed.remove(path);
        } else {
            self.closed.insert(path.into(), wanted.mode);
        }
        Ok(())
    }

    /// Creates a symbolic link, a device or a FIFO.
    fn entry(
        &mut self,
        directory: &Directory,
        name: &OsStr,
        member: &Member,
        wanted: &Wanted,
        create: impl Fn() -> cask_rootfs::Result<()>,
    ) -> Result<bool, ApplyError> {
        let fail = |error| ApplyError::root(&member.name, error);
        let mut forget = false;
        match create() {
            Err(error) if error.kind() == ErrorKind::Exists => {
                forget = self.make_way(directory, name, member)?;
                create().map_err(fail)?;
            }
            other => other.map_err(fail)?,
        }
        let outcome = &mut self.outcome;
        attributes::settle_entry(directory, name, member, wanted, self.options, outcome)?;
        let time = timestamp(wanted.modified);
        directory.set_times(name, time, time).map_err(fail)?;
        Ok(forget)
    }

    fn settle_hard_link(
        &mut self,
        directory: &Directory,
        name: &OsStr,
        member: &Member,
    ) -> Result<(), ApplyError> {
        self.outcome.counts.hard_links += 1;
        let wanted = Wanted::of(member, self.options, &mut self.outcome)?;
        let outcome = &mut self.outcome;
        let found =
            attributes::settle_entry(directory, name, member, &wanted, self.options, outcome)?;
        let time = timestamp(wanted.modified);
        if found.kind == Kind::Symlink || found.modified == time {
            return Ok(());
        }
        let set = directory.set_times(name, time, time);
        set.map_err(|error| ApplyError::root(&member.name, error))
    }

    /// Removes what has the name; true where it may have been the way to other members.
    fn make_way(
        &mut self,
        directory: &Directory,
        name: &OsStr,
        member: &Member,
    ) -> Result<bool, ApplyError> {
        let fail = |error| ApplyError::root(&member.name, error);
        self.outcome.counts.replaced += 1;
        let there = directory.metadata(name).map_err(fail)?;
        directory.remove_all(name).map_err(fail)?;
        Ok(matches!(there.kind, Kind::Directory | Kind::Symlink))
    }
}

/// Opens the directory of a member, and makes what is missing of it.
fn parent_directory<'p>(
    parents: &'p mut Parents<'_>,
    options: &ApplyOptions,
    member: &Member,
    parent: &OsStr,
) -> Result<&'p Directory, ApplyError> {
    let owner = match options.force_mask {
        Some(_) => None,
        None => options.id_maps.to_host(0, 0),
    };
    if options.ignore_chown_errors {
        // Whoever may not give it away keeps it. A second call finds it there.
        if let Err(error) = parents.create_dir_all(parent, 0o777, owner)
            && error.kind() == ErrorKind::Denied
        {
            let made = parents.create_dir_all(parent, 0o777, None);
            return made.map_err(|error| ApplyError::root(&member.name, error));
        }
    }
    let made = parents.create_dir_all(parent, 0o777, owner);
    made.map_err(|error| ApplyError::root(&member.name, error))
}

/// Whether something on a path is no directory but a name marked as deleted.
fn is_below_a_mark(root: &Root, path: &OsStr) -> bool {
    let bytes = path.as_bytes();
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
    ends.chain([bytes.len()]).any(|end| {
        let found = root.metadata(OsStr::from_bytes(&bytes[..end]));
        found.is_ok_and(|found| whiteout::is_mark(&found))
    })
}

fn node(member: &Member) -> Result<Node, ApplyError> {
    // Larger numbers the kernel would cut, and 0x1000:0 would be a whiteout.
    let major = u32::try_from(member.device_major).ok().filter(|major| *major < 1 << 12);
    let minor = u32::try_from(member.device_minor).ok().filter(|minor| *minor < 1 << 20);
    match (member.kind, major.zip(minor)) {
        (MemberKind::CharacterDevice, Some((major, minor))) => {
            Ok(Node::CharDevice { major, minor })
        }
        (MemberKind::BlockDevice, Some((major, minor))) => Ok(Node::BlockDevice { major, minor }),
        (MemberKind::Fifo, _) => Ok(Node::Fifo),
        _ => {
            let (major, minor) = (member.device_major, member.device_minor);
            let detail = format!("there is no device {major}:{minor}");
            Err(ApplyError::new(ApplyErrorKind::InvalidLayer, &member.name, detail))
        }
    }
}

fn is_absence(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidName)
}

fn ignore_absence(result: cask_rootfs::Result<()>) -> cask_rootfs::Result<()> {
    match result {
        Err(error) if is_absence(error.kind()) => Ok(()),
        other => other,
    }
}

/// What is counted of an owner: 32 bits, as the field's tools do.
pub(crate) fn low_bits(id: i64) -> u32 {
    u32::try_from(id & i64::from(u32::MAX)).expect("it was cut to 32 bits")
}

fn timestamp(time: Timestamp) -> cask_rootfs::Timestamp {
    cask_rootfs::Timestamp { seconds: time.seconds, nanoseconds: time.nanoseconds }
}

fn set_own_times(handle: &Directory, time: cask_rootfs::Timestamp) -> std::io::Result<()> {
    let time = rustix::fs::Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    Ok(rustix::fs::utimensat(handle, ".", &times, rustix::fs::AtFlags::empty())?)
}
