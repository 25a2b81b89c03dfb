//! From what a caller asks for to what the helper does.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags};

use crate::error::{Error, ErrorKind, Result};
use crate::helper::pack;
use crate::hooks::Hooked;
use crate::limit::deduplicate;
use crate::mount::{CopyUp, Memory, Mount, MountAccess, MountSource};
use crate::plan::{DevicePlan, Isolation, MountKind, MountPlan, Plan, Setting, Space};
use crate::report::Note;
use crate::seccomp::{self, Seccomp};
use crate::spec::{
    DEFAULT_PATH, Device, Input, Namespace, Namespaces, Network, Output, PassedDescriptor,
    Personality, Privileges, RunSpec, UserNamespace,
};

/// A plan with what it refers to.
pub(crate) struct Prepared {
    pub(crate) plan: Plan,
    /// Root, input, output, error, then the source of each mount that has one.
    pub(crate) descriptors: Vec<OwnedFd>,
    pub(crate) notes: Vec<Note>,
    /// What runs here at the turns of the process's life.
    pub(crate) hooked: Option<Hooked>,
}

/// The highest number of a descriptor that is passed on: the usual limit is 1024, and others need some above it.
const HIGHEST_PASSED: u32 = 1000;

/// The longest host name that the kernel takes.
const LONGEST_HOST_NAME: usize = 64;

/// Works out what the helper is told.
///
/// # Errors
///
/// `InvalidSpec` for what no process can have, `Unsupported` for what this machine cannot give.
pub(crate) fn prepare(spec: &RunSpec, isolation: Isolation) -> Result<Prepared> {
    check(spec)?;
    let process = &spec.process;
    let mut notes = match isolation {
        Isolation::Chroot => vec![Note::NotIsolated],
        Isolation::Namespaces | Isolation::External | Isolation::Join => Vec::new(),
    };
    let mut descriptors = vec![duplicate(&spec.root)?, input(&spec.io.input)?];
    descriptors.push(output(&spec.io.output, rustix::stdio::stdout())?);
    descriptors.push(output(&spec.io.error, rustix::stdio::stderr())?);
    let owners = owners(spec)?;
    for mount in &spec.files.mounts {
        descriptors.extend(source(mount, owners.as_ref())?);
    }
    let spaces = spaces(spec, &mut descriptors)?;
    let cgroup_files = match &spec.cgroup {
        Some(cgroup) if isolation != Isolation::External => cgroup.open_members()?,
        _ => Vec::new(),
    };
    for passed in &spec.io.passed {
        descriptors.push(duplicate(&passed.descriptor)?);
    }
    let cgroup_count = u32::try_from(cgroup_files.len()).unwrap_or(u32::MAX);
    descriptors.extend(cgroup_files);
    let environment = environment(spec);
    let (group_trees, group_links) = crate::cgroup::seen(
        spec.files.control_groups,
        spec.cgroup.as_deref(),
        spaces.last().copied().unwrap_or(Space::New),
    );
    let plan = Plan {
        isolation,
        arguments: process.arguments.iter().map(bytes).collect(),
        search: search(spec),
        environment,
        directory: bytes(&process.directory),
        make_directory: process.make_directory && isolation == Isolation::Namespaces,
        uid: process.identity.uid,
        gid: process.identity.gid,
        groups: groups(spec, &mut notes),
        hostname: spec.hostname.as_ref().map(bytes),
        domainname: spec.domainname.as_ref().map(bytes),
        users: match spec.users {
            UserNamespace::Inherit => Space::Keep,
            UserNamespace::Map(_) => Space::New,
            UserNamespace::Join(_) => Space::Join,
        },
        spaces,
        cgroup_files: cgroup_count,
        sysctls: spec.sysctls.iter().map(setting).collect::<Result<_>>()?,
        group_trees,
        group_links,
        devices: spec.files.devices.iter().map(device_plan).collect::<Result<_>>()?,
        root_devices: spec.files.danger_root_devices || !spec.files.device_rules.is_empty(),
        writable_system: spec.files.danger_writable_system,
        terminal: spec.io.terminal,
        wait: false,
        standard_mounts: spec.files.standard,
        shared_memory_bytes: (!spec.files.no_shared_memory)
            .then_some(spec.files.shared_memory_bytes),
        mounts: spec.files.mounts.iter().map(|mount| mount_plan(mount, owners.is_some())).collect(),
        masked: spec.files.masked.iter().map(bytes).collect(),
        read_only: spec.files.read_only.iter().map(bytes).collect(),
        read_only_root: spec.files.read_only_root,
        capabilities: spec.privileges.capabilities.bits(),
        ambient: spec.privileges.ambient.bits(),
        no_new_privileges: spec.privileges.no_new_privileges,
        seccomp: seccomp_program(&spec.privileges)?,
        limits: deduplicate(&process.limits),
        umask: process.umask,
        init: process.init,
        pause: process.pause,
        out_of_memory_score: process.out_of_memory_score.map(i32::from),
        personality: process.personality.map(Personality::number),
        passed: spec.io.passed.iter().map(|passed| passed.number).collect(),
        cleanup: None,
        start: Vec::new(),
        clear_way: false,
        hooks: None,
    };
    Ok(Prepared { plan, descriptors, notes, hooked: None })
}

/// What becomes of each namespace; those that are joined are handed over.
fn spaces(spec: &RunSpec, descriptors: &mut Vec<OwnedFd>) -> Result<Vec<Space>> {
    let Namespaces { processes, communication, names, control_groups } = &spec.namespaces;
    let network = match &spec.network {
        Network::None => Namespace::New,
        Network::Host => Namespace::Host,
        Network::Join(space) => Namespace::Join(space.clone()),
    };
    if let UserNamespace::Join(space) = &spec.users {
        descriptors.push(duplicate(space)?);
    }
    let mut spaces = Vec::new();
    for space in [processes, communication, names, &network, control_groups] {
        spaces.push(match space {
            Namespace::New => Space::New,
            Namespace::Host => Space::Keep,
            Namespace::Join(space) => {
                descriptors.push(duplicate(space)?);
                Space::Join
            }
        });
    }
    if spec.hostname.is_some() && matches!(names, Namespace::Host) {
        return Err(refused("the host name", "the process shares this machine's"));
    }
    Ok(spaces)
}

/// A setting by its path. Names have dots, or slashes where a part of them has a dot.
///
/// Source: sysctl(8).
fn setting((name, value): &(String, String)) -> Result<Setting> {
    let path = if name.contains('/') { name.clone() } else { name.replace('.', "/") };
    let part = |part: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        !part.is_empty() && part != "." && part != ".." && part.bytes().all(known)
    };
    if !path.split('/').all(part) {
        return Err(refused(format_args!("the setting {name:?}"), "it is no name of a sysctl"));
    }
    Ok(Setting { path, value: value.clone() })
}

fn device_plan(device: &Device) -> Result<DevicePlan> {
    let below = device.path.strip_prefix("/dev").ok();
    let plain = below.filter(|path| {
        let mut parts = path.components();
        parts.clone().next().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
    });
    let path = plain.ok_or_else(|| {
        refused(format_args!("the device {}", device.path.display()), "it is not below /dev")
    })?;
    Ok(DevicePlan {
        path: bytes(path),
        source: bytes(&device.source),
        block: device.block,
        major: device.major,
        minor: device.minor,
        mode: device.mode & 0o777,
        uid: device.uid,
        gid: device.gid,
    })
}

fn bytes(text: impl AsRef<OsStr>) -> Vec<u8> {
    text.as_ref().as_bytes().to_vec()
}

pub(crate) fn refused(subject: impl std::fmt::Display, why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidSpec, "prepare", subject).with_detail(why)
}

pub(crate) fn check(spec: &RunSpec) -> Result<()> {
    let process = &spec.process;
    let Some(command) = process.arguments.first() else {
        return Err(refused("the command", "there is none"));
    };
    if command.is_empty() {
        return Err(Error::new(ErrorKind::CommandNotFound, "exec", "\"\"").with_detail("no name"));
    }
    for text in &process.arguments {
        check_text(text, "the arguments")?;
    }
    for (name, value) in &process.environment {
        check_text(name, "the environment")?;
        check_text(value, "the environment")?;
        if name.as_bytes().contains(&b'=') {
            let subject = format_args!("the environment variable {name:?}");
            return Err(refused(subject, "a name has no equals sign"));
        }
    }
    check_path(&process.directory, "the working directory")?;
    for mount in &spec.files.mounts {
        check_path(&mount.target, "the mount on")?;
        let is_memory = matches!(mount.source, MountSource::Memory { .. });
        if !is_memory && mount.options.copy_up != CopyUp::default() {
            let subject = format_args!("the mount on {}", mount.target.display());
            return Err(refused(subject, "only a directory in memory takes anything over"));
        }
        if mount.options.shift_owners && matches!(mount.source, MountSource::Overlay(_)) {
            let subject = format_args!("the mount on {}", mount.target.display());
            return Err(refused(subject, "the owners of an overlay cannot be shifted"));
        }
    }
    check_passed(&spec.io.passed)?;
    for path in spec.files.masked.iter().chain(&spec.files.read_only) {
        check_path(path, "the protected path")?;
    }
    check_numbers(spec)
}

fn check_numbers(spec: &RunSpec) -> Result<()> {
    let process = &spec.process;
    let identity = &process.identity;
    let mut ids = [identity.uid, identity.gid].into_iter().chain(identity.groups.iter().copied());
    if ids.any(|id| id == u32::MAX) {
        return Err(refused("the user", "IDs end at 4294967294"));
    }
    if process.umask > 0o777 {
        return Err(refused(format_args!("the umask {:o}", process.umask), "it ends at 777"));
    }
    if process.out_of_memory_score.is_some_and(|score| !(-1000..=1000).contains(&score)) {
        return Err(refused("the out-of-memory score", "it is between -1000 and 1000"));
    }
    let too_long =
        |name: &&OsString| name.len() > LONGEST_HOST_NAME || name.as_bytes().contains(&0);
    if let Some(name) = [&spec.hostname, &spec.domainname].into_iter().flatten().find(too_long) {
        return Err(refused(format_args!("the host name {name:?}"), "it ends at 64 bytes"));
    }
    match &spec.users {
        UserNamespace::Map(maps) => maps.check(),
        UserNamespace::Inherit | UserNamespace::Join(_) => Ok(()),
    }
}

/// Numbers of their own, which every process may have open.
fn check_passed(passed: &[PassedDescriptor]) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for PassedDescriptor { number, .. } in passed {
        let subject = format_args!("the descriptor {number}");
        if !(3..=HIGHEST_PASSED).contains(number) {
            return Err(refused(subject, "numbers are from 3 to 1000"));
        }
        if !seen.insert(*number) {
            return Err(refused(subject, "another one has this number"));
        }
    }
    Ok(())
}

fn check_text(text: &OsStr, what: &str) -> Result<()> {
    if text.as_bytes().contains(&0) {
        return Err(refused(format_args!("{what}: {text:?}"), "no text can have a NUL"));
    }
    Ok(())
}

fn check_path(path: &Path, what: &str) -> Result<()> {
    check_text(path.as_os_str(), what)?;
    if path.is_absolute() {
        return Ok(());
    }
    Err(refused(format_args!("{what} {}", path.display()), "it must begin with /"))
}

fn duplicate(descriptor: &OwnedFd) -> Result<OwnedFd> {
    descriptor.try_clone().map_err(|error| Error::io(error, "duplicate", "a descriptor"))
}

fn null() -> Result<OwnedFd> {
    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| Error::io(error, "open", "/dev/null"))
}

fn inherited(own: impl AsFd, what: &'static str) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(own, 3).map_err(|error| Error::io(error, "pass on", what))
}

fn input(input: &Input) -> Result<OwnedFd> {
    match input {
        Input::Null => null(),
        Input::Inherit => inherited(rustix::stdio::stdin(), "the standard input"),
        Input::Descriptor(descriptor) => duplicate(descriptor),
    }
}

fn output(output: &Output, own: impl AsFd) -> Result<OwnedFd> {
    match output {
        Output::Null => null(),
        Output::Inherit => inherited(own, "the standard output"),
        Output::Descriptor(descriptor) => duplicate(descriptor),
    }
}

/// A user namespace like the process's, where mounts show their owners as it maps them.
fn owners(spec: &RunSpec) -> Result<Option<OwnedFd>> {
    if !spec.files.mounts.iter().any(|mount| mount.options.shift_owners) {
        return Ok(None);
    }
    match &spec.users {
        // Everybody is who they are.
        UserNamespace::Inherit => Ok(None),
        UserNamespace::Map(maps) => crate::namespace::new_user_namespace(maps).map(Some),
        UserNamespace::Join(space) => duplicate(space).map(Some),
    }
}

/// The mount of a source, attached nowhere, with owners as a namespace maps them.
fn shifted(source: &OwnedFd, mount: &Mount, owners: &OwnedFd) -> Result<OwnedFd> {
    let recursive = mount.options.recursive;
    let failed = |error: std::io::Error| {
        let error = Error::io(error, "shift the owners of the mount on", mount.target.display());
        error.with_hint("only root of the machine may, and not every file system can")
    };
    let tree = crate::helper::clone_tree(source.as_fd(), recursive);
    let tree = tree.map_err(|error| failed(error.into()))?;
    crate::sys::shift_owners(tree.as_fd(), recursive, owners.as_fd()).map_err(failed)?;
    Ok(tree)
}

/// The descriptor of a mount that has one; bytes go into a file in memory.
fn source(mount: &Mount, owners: Option<&OwnedFd>) -> Result<Option<OwnedFd>> {
    match &mount.source {
        MountSource::Bind(source) if mount.options.shift_owners && owners.is_some() => {
            owners.map(|owners| shifted(source, mount, owners)).transpose()
        }
        MountSource::Bind(source) => duplicate(source).map(Some),
        MountSource::Overlay(overlay) => {
            crate::overlay::mounted(overlay, mount.target.display()).map(Some)
        }
        MountSource::Content { bytes, .. } => memory_file(bytes).map(Some),
        MountSource::Memory { .. } | MountSource::Terminals => Ok(None),
    }
}

/// A file in memory with these bytes.
pub(crate) fn memory_file(bytes: &[u8]) -> Result<OwnedFd> {
    let failed = |error: std::io::Error| Error::io(error, "write", "a file in memory");
    let file = rustix::fs::memfd_create("cask-run", rustix::fs::MemfdFlags::CLOEXEC)
        .map_err(|error| failed(error.into()))?;
    let mut file = File::from(file);
    file.write_all(bytes).map_err(failed)?;
    Ok(file.into())
}

fn mount_plan(mount: &Mount, shifts: bool) -> MountPlan {
    let mut size_bytes = None;
    let kind = match mount.source {
        MountSource::Bind(_) if shifts && mount.options.shift_owners => MountKind::Tree,
        MountSource::Bind(_) => MountKind::Bind,
        MountSource::Overlay(_) => MountKind::Tree,
        MountSource::Content { .. } => MountKind::Content,
        MountSource::Memory { kind: Memory::Tmpfs { size_bytes: limit }, .. } => {
            size_bytes = limit;
            MountKind::Memory
        }
        MountSource::Memory { kind: Memory::Ramfs, .. } => MountKind::Ram,
        MountSource::Terminals => MountKind::Terminals,
    };
    let (mode, uid, gid) = match mount.source {
        MountSource::Content { mode, uid, gid, .. } => (mode, uid, gid),
        MountSource::Memory { mode, .. } => (mode, 0, 0),
        MountSource::Bind(_) | MountSource::Overlay(_) | MountSource::Terminals => (0, 0, 0),
    };
    MountPlan {
        kind,
        target: bytes(&mount.target),
        attributes: attributes(mount.options.access),
        recursive: mount.options.recursive,
        propagation: mount.options.propagation,
        mode: mode & 0o7777,
        uid,
        gid,
        size_bytes,
        copies_files: mount.options.copy_up.files,
        copies_permissions: mount.options.copy_up.permissions,
    }
}

fn attributes(access: MountAccess) -> u32 {
    use rustix::mount::MountAttrFlags as Kernel;
    let mut flags = Kernel::empty();
    flags.set(Kernel::MOUNT_ATTR_RDONLY, access.read_only);
    flags.set(Kernel::MOUNT_ATTR_NOSUID, access.no_setuid);
    flags.set(Kernel::MOUNT_ATTR_NODEV, access.no_devices);
    flags.set(Kernel::MOUNT_ATTR_NOEXEC, access.no_execute);
    flags.bits()
}

/// `NAME=value` for each name, where of equal names the last holds, in the place of the first. What has no name, as
/// variables of images may, a process does not have.
pub(crate) fn environment(spec: &RunSpec) -> Vec<Vec<u8>> {
    let given = &spec.process.environment;
    let mut last = std::collections::HashMap::new();
    let mut order = Vec::new();
    for (name, value) in given.iter().filter(|(name, _)| !name.is_empty()) {
        if last.insert(name, value).is_none() {
            order.push(name);
        }
    }
    let join = |name: &OsString| [name.as_bytes(), b"=", last[name].as_bytes()].concat();
    order.into_iter().map(join).collect()
}

/// The directories that a command is looked for in.
fn search(spec: &RunSpec) -> Vec<Vec<u8>> {
    let given = spec.process.environment.iter().rev().find(|(name, _)| name == "PATH");
    let path = given.map_or(DEFAULT_PATH.as_bytes(), |(_, value)| value.as_bytes());
    path.split(|byte| *byte == b':').map(<[u8]>::to_vec).collect()
}

/// The groups to set, where the user namespace allows setting any.
fn groups(spec: &RunSpec, notes: &mut Vec<Note>) -> Option<Vec<u32>> {
    if spec.process.keep_groups {
        return None;
    }
    let allowed = match &spec.users {
        UserNamespace::Map(maps) => !maps.is_single() || may_map_freely(),
        UserNamespace::Join(_) => may_map_freely(),
        UserNamespace::Inherit => {
            std::fs::read("/proc/self/setgroups").is_ok_and(|text| text.starts_with(b"allow"))
        }
    };
    let groups = spec.process.identity.all_groups();
    if allowed {
        return Some(groups);
    }
    if groups.len() > 1 {
        notes.push(Note::GroupsNotSet);
    }
    None
}

/// Whether this process may map any IDs of its own user namespace.
pub(crate) fn may_map_freely() -> bool {
    use rustix::thread::CapabilitySet as Kernel;
    rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(Kernel::SETUID | Kernel::SETGID))
}

fn seccomp_program(privileges: &Privileges) -> Result<Vec<u64>> {
    let capabilities = privileges.capabilities;
    if privileges.seccomp == Seccomp::DangerUnconfined {
        return Ok(Vec::new());
    }
    if !seccomp::is_supported() {
        return Err(Error::new(ErrorKind::Unsupported, "make", "the default seccomp profile")
            .with_detail("it is known for x86-64 and aarch64 only")
            .with_hint("run without a profile"));
    }
    let program = match &privileges.seccomp_profile {
        Some(profile) => profile.program(capabilities)?,
        None => seccomp::default_program(capabilities),
    };
    Ok(program.into_iter().map(pack).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(arguments: &[&str]) -> RunSpec {
        RunSpec::new(OwnedFd::from(File::open("/").unwrap()), arguments)
    }

    fn passed(numbers: &[u32]) -> Vec<PassedDescriptor> {
        let descriptor = std::sync::Arc::new(OwnedFd::from(File::open("/dev/null").unwrap()));
        let one = |number| PassedDescriptor { number, descriptor: descriptor.clone() };
        numbers.iter().copied().map(one).collect()
    }

    fn check(change: impl Fn(&mut RunSpec), expected: Option<ErrorKind>) {
        let mut spec = spec(&["true"]);
        change(&mut spec);
        let found = prepare(&spec, Isolation::Namespaces).err().map(|error| error.kind());
        assert_eq!(found, expected, "{spec:?}");
    }

    #[test]
    fn what_no_process_can_have_is_refused() {
        let invalid = Some(ErrorKind::InvalidSpec);
        check(|_| {}, None);
        check(|spec| spec.process.arguments.clear(), invalid);
        check(|spec| spec.process.arguments = vec!["".into()], Some(ErrorKind::CommandNotFound));
        check(|spec| spec.process.arguments.push("a\0b".into()), invalid);
        check(|spec| spec.process.environment.push(("".into(), "x".into())), None);
        check(|spec| spec.process.environment.push(("A=B".into(), "x".into())), invalid);
        check(|spec| spec.process.environment.push(("A".into(), "\0".into())), invalid);
        check(|spec| spec.process.directory = "relative".into(), invalid);
        check(|spec| spec.process.umask = 0o1000, invalid);
        check(|spec| spec.process.identity.uid = u32::MAX, invalid);
        check(|spec| spec.process.identity.groups = vec![u32::MAX], invalid);
        check(|spec| spec.process.out_of_memory_score = Some(1001), invalid);
        check(|spec| spec.hostname = Some("h".repeat(65).into()), invalid);
        check(|spec| spec.files.mounts = vec![Mount::memory(None, "tmp")], invalid);
        check(
            |spec| {
                spec.files.mounts = vec![Mount::content(*b"", "/a")];
                spec.files.mounts[0].options.copy_up.files = true;
            },
            invalid,
        );
        check(|spec| spec.files.masked = vec!["proc".into()], invalid);
        check(|spec| spec.io.passed = passed(&[3, 1000]), None);
        check(|spec| spec.io.passed = passed(&[2]), invalid);
        check(|spec| spec.io.passed = passed(&[1001]), invalid);
        check(|spec| spec.io.passed = passed(&[4, 4]), invalid);
    }

    #[test]
    fn of_equal_variables_the_last_holds() {
        let mut spec = spec(&["true"]);
        for (name, value) in [("A", "1"), ("PATH", "/a:/b"), ("", "x"), ("A", "2"), ("B", "=")] {
            spec.process.environment.push((name.into(), value.into()));
        }
        assert_eq!(environment(&spec), [&b"A=2"[..], b"PATH=/a:/b", b"B=="]);
        assert_eq!(search(&spec), [b"/a", b"/b"]);
    }
}
