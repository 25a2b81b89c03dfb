//! Where the groups of a machine are, and what is written into their files.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{CgroupLimits, DiskUse, filter, special};
use crate::error::{Error, ErrorKind, Result};

/// Where control groups are mounted. Source: file-hierarchy(7), systemd.
pub(super) const TOP: &str = "/sys/fs/cgroup";
/// Source: `CGROUP2_SUPER_MAGIC`, linux/magic.h.
const MAGIC_2: u64 = 0x6367_7270;

/// The controllers of version 1 that every group has; where one is missing, so is what it does.
const LEGACY: [&str; 5] = ["memory", "cpu", "cpuacct", "pids", "freezer"];
/// Another such one: it wants to be set up.
const LEGACY_SET: &str = "cpuset";
/// The one that limits disks.
const LEGACY_DISKS: &str = "blkio";
/// Those that a group is in where it may: limits need some of them, and processes look for all.
const LEGACY_MORE: [&str; 3] = [LEGACY_DISKS, "devices", "systemd"];

/// The controllers of version 2 that every group has, where the machine has them.
const CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

/// Which groups the machine has.
#[derive(Clone, Debug)]
pub(super) enum Layout {
    /// Version 2, and the directory below which this process makes groups.
    Unified(PathBuf),
    /// Version 1.
    Legacy,
}

/// What a limit writes where: the controller, the files of version 2 and 1, and the text for each.
struct Setting {
    controller: &'static str,
    unified: Written,
    legacy: Vec<Written>,
}

/// A file and its text.
pub(super) type Written = (&'static str, String);

impl Layout {
    pub(super) fn find() -> Result<Self> {
        let found = rustix::fs::statfs(TOP).map_err(|error| missing(&error.into()))?;
        if u64::try_from(found.f_type).unwrap_or(0) == MAGIC_2 {
            return Ok(Self::Unified(delegated()));
        }
        if LEGACY.iter().any(|controller| Path::new(TOP).join(controller).is_dir()) {
            return Ok(Self::Legacy);
        }
        Err(missing(&std::io::Error::from_raw_os_error(libc::ENOENT)))
    }

    /// The same groups, named from where they are mounted.
    pub(super) fn at_top(self) -> Self {
        match self {
            Self::Unified(_) => Self::Unified(PathBuf::from(TOP)),
            Self::Legacy => Self::Legacy,
        }
    }

    pub(super) fn directories(&self, name: &str) -> Vec<PathBuf> {
        match self {
            Self::Unified(top) => vec![top.join(name)],
            Self::Legacy => LEGACY
                .iter()
                .chain([&LEGACY_SET])
                .chain(&LEGACY_MORE)
                .map(|controller| Path::new(TOP).join(controller).join(name))
                .collect(),
        }
    }

    /// All directories that there are of a group, those too of hierarchies that nothing is limited in here: runtimes
    /// make their groups in every one.
    pub(super) fn everywhere(&self, name: &str) -> Vec<PathBuf> {
        let mut found = self.directories(name);
        if let Self::Legacy = self {
            let all = std::fs::read_dir(TOP).into_iter().flatten().flatten();
            // Links are other names of what is there.
            let all = all.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            found.extend(all.map(|entry| entry.path().join(name)));
        }
        found.retain(|path| path.is_dir());
        found.sort();
        found.dedup();
        found
    }

    /// Where a group is from where all of them, or those of one controller, are mounted.
    pub(super) fn below_mount(&self, name: &str) -> PathBuf {
        let top = match self {
            Self::Unified(top) => top.strip_prefix(TOP).unwrap_or(top),
            Self::Legacy => Path::new(""),
        };
        Path::new("/").join(top).join(name)
    }

    /// Those of [`directories`](Self::directories) that a process of the group is in.
    pub(super) fn members(&self, name: &str) -> Vec<PathBuf> {
        match self {
            Self::Unified(_) => self.directories(name),
            Self::Legacy => {
                let there = LEGACY.iter().filter(|top| Path::new(TOP).join(top).is_dir());
                let always = there.map(|controller| self.of(controller, name));
                let more = LEGACY_MORE.iter().chain([&LEGACY_SET]);
                let more = more.map(|controller| self.of(controller, name));
                always.chain(more.filter(|path| path.is_dir())).collect()
            }
        }
    }

    /// The directory of one controller.
    pub(super) fn of(&self, controller: &str, name: &str) -> PathBuf {
        match self {
            Self::Unified(top) => top.join(name),
            Self::Legacy => Path::new(TOP).join(controller).join(name),
        }
    }

    pub(super) fn may_be_made(&self) -> bool {
        match self {
            Self::Unified(top) => may_write(top),
            Self::Legacy => rustix::process::geteuid().is_root(),
        }
    }

    pub(super) fn is_unified(&self) -> bool {
        matches!(self, Self::Unified(_))
    }

    pub(super) fn make(&self, name: &str, limits: &CgroupLimits) -> Result<()> {
        match self {
            Self::Unified(top) => {
                let mut here = top.clone();
                for part in name.split('/') {
                    give_controllers(&here, limits);
                    here.push(part);
                    make_directory(&here)?;
                }
                Ok(())
            }
            Self::Legacy => {
                for controller in LEGACY {
                    let top = Path::new(TOP).join(controller);
                    if top.is_dir() {
                        make_directory(&top.join(name))?;
                    }
                }
                for controller in LEGACY_MORE {
                    let top = Path::new(TOP).join(controller);
                    // Where one cannot be made, what it limits says so.
                    let _ = top.is_dir().then(|| make_directory(&top.join(name)));
                }
                let wanted = limits.processors.is_some() || limits.memory_nodes.is_some();
                let made =
                    if Path::new(TOP).join(LEGACY_SET).is_dir() { make_set(name) } else { Ok(()) };
                if wanted { made } else { Ok(()) }
            }
        }
    }

    pub(super) fn limit(&self, name: &str, limits: &CgroupLimits) -> Result<()> {
        for setting in settings(limits) {
            let Setting { controller, unified, legacy } = setting;
            let directory = self.of(controller, name);
            if self.is_unified() {
                let (file, text) = unified;
                if file.is_empty() {
                    let what = legacy.first().map_or("it", |(file, _)| file);
                    return Err(Error::new(ErrorKind::Unsupported, "set the limit", what)
                        .with_detail("control groups of version 2 do not have it"));
                }
                write_limit(&directory, file, &text, controller)?;
            } else {
                for (file, text) in legacy {
                    write_limit(&directory, file, &text, controller)?;
                }
            }
        }
        special::write(self, name, limits)
    }

    /// Whether groups can say which devices are used.
    pub(super) fn has_devices(&self) -> bool {
        match self {
            Self::Unified(_) => filter::is_supported(),
            Self::Legacy => Path::new(TOP).join("devices/devices.allow").exists(),
        }
    }

    pub(super) fn freeze(&self, name: &str, frozen: bool) -> Result<()> {
        let (controller, file, text) = match (self, frozen) {
            (Self::Unified(_), true) => ("freezer", "cgroup.freeze", "1"),
            (Self::Unified(_), false) => ("freezer", "cgroup.freeze", "0"),
            (Self::Legacy, true) => ("freezer", "freezer.state", "FROZEN"),
            (Self::Legacy, false) => ("freezer", "freezer.state", "THAWED"),
        };
        let directory = self.of(controller, name);
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            write_limit(&directory, file, text, controller)?;
            if self.is_frozen(name) == frozen {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::new(ErrorKind::Io, "freeze", name)
                    .with_detail("some of its processes do not stop"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(super) fn is_frozen(&self, name: &str) -> bool {
        let directory = self.of("freezer", name);
        let holds = |file: &str, line: &str| {
            let text = fs::read_to_string(directory.join(file)).unwrap_or_default();
            text.lines().any(|found| found == line)
        };
        if self.is_unified() {
            holds("cgroup.events", "frozen 1")
        } else {
            holds("freezer.state", "FROZEN")
        }
    }

    /// Tells all of them to end: at once where the kernel can, otherwise frozen, so that none is missed.
    pub(super) fn kill(&self, name: &str, processes: &[u32]) {
        if self.is_unified() {
            // Since Linux 5.14.
            if fs::write(self.of("", name).join("cgroup.kill"), "1").is_ok() {
                return;
            }
        }
        for process in processes {
            let pid = i32::try_from(*process).ok().and_then(Pid::from_raw);
            if let Some(pid) = pid {
                // One that has ended meanwhile is what was wanted.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        // What is frozen does not hear of its end in version 1.
        if !self.is_unified() {
            let _ = fs::write(self.of("freezer", name).join("freezer.state"), "THAWED");
        }
    }
}

/// The tree that this process may change: all of it for root, otherwise what was delegated to a user.
///
/// A group with processes cannot give controllers to groups below it, so groups are made beside our own.
fn delegated() -> PathBuf {
    if rustix::process::geteuid().is_root() && may_write(Path::new(TOP)) {
        return PathBuf::from(TOP);
    }
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let own = Path::new(TOP).join(own);
    let mut writable = own.ancestors().skip(1).take_while(|path| path.starts_with(TOP));
    let beside = writable.find(|path| may_write(path));
    beside.map_or(own.clone(), Path::to_path_buf)
}

fn may_write(directory: &Path) -> bool {
    rustix::fs::access(directory.join("cgroup.subtree_control"), rustix::fs::Access::WRITE_OK)
        .is_ok()
}

/// Has the groups below a directory get the controllers that it has: the usual ones, and those of settings by name.
///
/// Who may not give any still has groups that can be killed and frozen; limits that need one miss it.
pub(super) fn give_controllers(directory: &Path, limits: &CgroupLimits) {
    let path = directory.join("cgroup.subtree_control");
    let text = fs::read_to_string(directory.join("cgroup.controllers")).unwrap_or_default();
    let has = |name: &str| text.split_whitespace().any(|known| known == name);
    let usual = CONTROLLERS.into_iter().filter(|name| has(name));
    let usual: Vec<_> = usual.map(|name| format!("+{name}")).collect();
    let _ = fs::write(&path, usual.join(" "));
    // One by one: where one is refused, the others are given all the same.
    for (file, _) in &limits.by_name {
        let name = file.split('.').next().unwrap_or_default();
        if has(name) && !CONTROLLERS.contains(&name) {
            let _ = fs::write(&path, format!("+{name}"));
        }
    }
}

pub(super) fn make_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| {
        Error::io(error, "make the control group", path.display()).with_hint(
            "limits need root, or a delegated tree of control groups: try systemd-run --user --scope -p Delegate=yes",
        )
    })
}

/// A group of version 1 takes no process before it is told its processors and memory.
fn make_set(name: &str) -> Result<()> {
    let mut here = Path::new(TOP).join(LEGACY_SET);
    for part in name.split('/') {
        let above = here.clone();
        here.push(part);
        make_directory(&here)?;
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let failed = |error| Error::io(error, "set up", here.join(file).display());
            let own = fs::read_to_string(here.join(file)).map_err(failed)?;
            if own.trim().is_empty() {
                let inherited = fs::read_to_string(above.join(file)).map_err(failed)?;
                fs::write(here.join(file), inherited.trim()).map_err(failed)?;
            }
        }
    }
    Ok(())
}

pub(super) fn write_limit(
    directory: &Path,
    file: &str,
    text: &str,
    controller: &str,
) -> Result<()> {
    let path = directory.join(file);
    let written = fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(ErrorKind::Unsupported, "limit by the controller", controller)
                .with_detail(format!("{} does not exist", path.display()))
                .with_hint("the controller is not there, or was not delegated to this user")
        }
        std::io::ErrorKind::InvalidInput => {
            Error::new(ErrorKind::InvalidSpec, "set the limit", format_args!("{file} to {text}"))
                .with_source(error)
        }
        _ => Error::io(error, "set the limit", format_args!("{} to {text}", path.display())),
    })
}

fn missing(error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Unsupported, "use control groups at", TOP)
        .with_detail(error.to_string())
        .with_hint("mount the file system cgroup2 there, or run without limits")
}

/// Every limit that is given, in an order that the kernel takes.
///
/// Source: cgroup-v2 and cgroup-v1 of the kernel's documentation; the weight of shares as runc computes it.
fn settings(limits: &CgroupLimits) -> Vec<Setting> {
    let mut all = Vec::new();
    let mut add = |controller, unified: Written, legacy: Vec<Written>| {
        all.push(Setting { controller, unified, legacy });
    };
    let most = |value: u64, none: &str| {
        if value == u64::MAX { none.to_owned() } else { value.to_string() }
    };
    if let Some(bytes) = limits.memory_bytes {
        let text = most(bytes, "-1");
        // A limit with swap that is lower than the new one would be refused.
        add("memory", ("memory.max", most(bytes, "max")), vec![("memory.limit_in_bytes", text)]);
    }
    if let Some(bytes) = limits.memory_and_swap_bytes {
        let swap = match (bytes, limits.memory_bytes) {
            (u64::MAX, _) => "max".to_owned(),
            (bytes, memory) => bytes.saturating_sub(memory.unwrap_or(0)).to_string(),
        };
        add(
            "memory",
            ("memory.swap.max", swap),
            vec![("memory.memsw.limit_in_bytes", most(bytes, "-1"))],
        );
    }
    if let Some(bytes) = limits.memory_reservation_bytes {
        let text = bytes.to_string();
        add("memory", ("memory.low", text.clone()), vec![("memory.soft_limit_in_bytes", text)]);
    }
    processor_settings(limits, &mut add);
    if let Some(processors) = &limits.processors {
        add(
            "cpuset",
            ("cpuset.cpus", processors.clone()),
            vec![("cpuset.cpus", processors.clone())],
        );
    }
    if let Some(nodes) = &limits.memory_nodes {
        add("cpuset", ("cpuset.mems", nodes.clone()), vec![("cpuset.mems", nodes.clone())]);
    }
    if let Some(processes) = limits.processes {
        let text = most(processes, "max");
        add("pids", ("pids.max", text.clone()), vec![("pids.max", text)]);
    }
    if let Some(swappiness) = limits.swappiness {
        add("memory", NONE, vec![("memory.swappiness", swappiness.to_string())]);
    }
    if limits.waits_for_memory {
        add("memory", NONE, vec![("memory.oom_control", "1".to_owned())]);
    }
    disk_settings(limits, &mut add);
    all
}

/// What version 2 has no file for.
const NONE: Written = ("", String::new());

fn disk_settings(limits: &CgroupLimits, add: &mut dyn FnMut(&'static str, Written, Vec<Written>)) {
    for rate in &limits.disks {
        let (key, file) = match rate.what {
            DiskUse::ReadBytes => ("rbps", "blkio.throttle.read_bps_device"),
            DiskUse::Reads => ("riops", "blkio.throttle.read_iops_device"),
            DiskUse::WrittenBytes => ("wbps", "blkio.throttle.write_bps_device"),
            DiskUse::Writes => ("wiops", "blkio.throttle.write_iops_device"),
        };
        let disk = format!("{}:{}", rate.major, rate.minor);
        let unified = match rate.most {
            0 => format!("{disk} {key}=max"),
            most => format!("{disk} {key}={most}"),
        };
        add(LEGACY_DISKS, ("io.max", unified), vec![(file, format!("{disk} {}", rate.most))]);
    }
}

fn processor_settings(
    limits: &CgroupLimits,
    add: &mut dyn FnMut(&'static str, Written, Vec<Written>),
) {
    let (quota, period) = (limits.processor_quota_micros, limits.processor_period_micros);
    if quota.is_some() || period.is_some() {
        let period = period.unwrap_or(100_000);
        let text = |none: &str| quota.map_or(none.to_owned(), |quota| quota.to_string());
        let legacy =
            vec![("cpu.cfs_period_us", period.to_string()), ("cpu.cfs_quota_us", text("-1"))];
        add("cpu", ("cpu.max", format!("{} {period}", text("max"))), legacy);
    }
    if let Some(shares) = limits.processor_shares {
        let shares = shares.clamp(2, 262_144);
        let weight = 1 + ((shares - 2) * 9999) / 262_142;
        let legacy = vec![("cpu.shares", shares.to_string())];
        add("cpu", ("cpu.weight", weight.to_string()), legacy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl Fn(&mut CgroupLimits), unified: &[&str], legacy: &[&str]) {
        let mut limits = CgroupLimits::default();
        change(&mut limits);
        let all = settings(&limits);
        let two: Vec<_> =
            all.iter().map(|one| format!("{}={}", one.unified.0, one.unified.1)).collect();
        let one: Vec<_> = all
            .iter()
            .flat_map(|one| one.legacy.iter().map(|(file, text)| format!("{file}={text}")))
            .collect();
        assert_eq!(two, unified);
        assert_eq!(one, legacy);
    }

    #[test]
    fn limits_are_written_as_both_versions_have_them() {
        check(|_| {}, &[], &[]);
        check(
            |limits| {
                limits.memory_bytes = Some(1 << 20);
                limits.memory_and_swap_bytes = Some(3 << 20);
            },
            &["memory.max=1048576", "memory.swap.max=2097152"],
            &["memory.limit_in_bytes=1048576", "memory.memsw.limit_in_bytes=3145728"],
        );
        check(
            |limits| limits.memory_and_swap_bytes = Some(u64::MAX),
            &["memory.swap.max=max"],
            &["memory.memsw.limit_in_bytes=-1"],
        );
        check(
            |limits| limits.processor_quota_micros = Some(50_000),
            &["cpu.max=50000 100000"],
            &["cpu.cfs_period_us=100000", "cpu.cfs_quota_us=50000"],
        );
        check(
            |limits| limits.processor_shares = Some(1024),
            &["cpu.weight=39"],
            &["cpu.shares=1024"],
        );
        check(|limits| limits.processes = Some(u64::MAX), &["pids.max=max"], &["pids.max=max"]);
        check(|limits| limits.swappiness = Some(10), &["="], &["memory.swappiness=10"]);
        let disk = |what, most| super::super::DiskRate { major: 8, minor: 16, what, most };
        check(
            |limits| limits.disks = vec![disk(DiskUse::ReadBytes, 1024), disk(DiskUse::Writes, 0)],
            &["io.max=8:16 rbps=1024", "io.max=8:16 wiops=max"],
            &[
                "blkio.throttle.read_bps_device=8:16 1024",
                "blkio.throttle.write_iops_device=8:16 0",
            ],
        );
    }
}
