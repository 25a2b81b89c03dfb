//! Control groups: limits of memory, processors and processes; freezing; what was used.

mod devices;
mod files;
mod filter;
mod special;
mod split;
mod stats;
mod trees;

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use files::Layout;

pub use devices::{DeviceAccess, DeviceKind, DeviceRule};
pub use stats::CgroupStats;
pub(crate) use stats::out_of_memory_kills;
pub(crate) use trees::seen;

/// A group of processes that the kernel limits, freezes, counts and kills together.
///
/// Both versions are supported: of version 2, one directory in the tree that this process may change; of
/// version 1, one for each controller. Where a machine has both, the controllers of version 1 are used.
#[derive(Clone, Debug)]
pub struct Cgroup {
    layout: Layout,
    /// Below where the layout makes groups.
    place: String,
    name: String,
}

/// What the processes of a [`Cgroup`] may use together. `None` is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CgroupLimits {
    /// Memory.
    pub memory_bytes: Option<u64>,
    /// Memory and swap together; `u64::MAX` is no limit.
    pub memory_and_swap_bytes: Option<u64>,
    /// Memory above which it is taken back first.
    pub memory_reservation_bytes: Option<u64>,
    /// Processor time in each period.
    pub processor_quota_micros: Option<u64>,
    /// The period; 100 000 where there is a quota only.
    pub processor_period_micros: Option<u64>,
    /// The share of processor time where it is short: 2 to 262 144, of which 1024 is usual.
    pub processor_shares: Option<u64>,
    /// The processors that may be used: `0-3,6`.
    pub processors: Option<String>,
    /// The memory nodes that may be used.
    pub memory_nodes: Option<String>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// How readily memory is swapped, from 0 to 100. Version 1 only.
    pub swappiness: Option<u64>,
    /// Where memory is short, processes wait for more instead of being killed. Version 1 only.
    pub waits_for_memory: bool,
    /// How fast single disks are read and written.
    pub disks: Vec<DiskRate>,
    /// Which part of their disks' time they get.
    pub disk_weights: Vec<DiskWeight>,
    /// The period of their quota of real time, in microseconds. Version 1 only.
    pub real_time_period_micros: Option<u64>,
    /// The time that they may run in real time in each such period, in microseconds. Version 1 only.
    pub real_time_runtime_micros: Option<u64>,
    /// The devices that they may use, and no others; `None` is any. With version 2 for root of the machine only: see
    /// [`Cgroup::limits_devices`].
    pub devices: Option<Vec<DeviceRule>>,
    /// Other settings: the name of a file, such as `memory.high`, and what is written to it. Version 2 only.
    pub by_name: Vec<(String, String)>,
}

/// Which part of a disk's time the processes of a group get, beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskWeight {
    /// Major and minor number of the disk; `None` is all that no other weight is about.
    pub disk: Option<(u32, u32)>,
    /// From 10 to 1000.
    pub weight: u16,
}

/// How fast a disk is read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskRate {
    /// Its major number.
    pub major: u32,
    /// Its minor number.
    pub minor: u32,
    /// What is limited.
    pub what: DiskUse,
    /// How much of it in a second; 0 is no limit.
    pub most: u64,
}

/// What is limited of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskUse {
    /// Bytes that are read.
    ReadBytes,
    /// Reads.
    Reads,
    /// Bytes that are written.
    WrittenBytes,
    /// Writes.
    Writes,
}

/// How long a group may take to become empty after everything in it was killed.
const PATIENCE: Duration = Duration::from_secs(10);

impl Cgroup {
    /// Makes the group `name`, a path of plain names such as `cask/3f1c…`, with `limits`. One that begins with a slash
    /// is from where groups are mounted; others are where this process may make some.
    ///
    /// One that exists already is used again, with the new limits.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the machine has no control groups, or not the controller that a limit needs;
    /// `Denied` where this process may not make groups; `InvalidSpec` for a name with other parts, and for limits
    /// that the kernel does not take; `Io`.
    pub fn create(name: &str, limits: &CgroupLimits) -> Result<Self> {
        let group = Self::at(Layout::find()?, name)?;
        group.layout.make(&group.place, limits)?;
        group.limited(limits)
    }

    fn at(layout: Layout, name: &str) -> Result<Self> {
        let place = checked(name.strip_prefix('/').unwrap_or(name))?;
        let layout = if name.starts_with('/') { layout.at_top() } else { layout };
        Ok(Self { layout, place, name: name.to_owned() })
    }

    /// The group, which was just made, with limits.
    fn limited(self, limits: &CgroupLimits) -> Result<Self> {
        let set = self.layout.limit(&self.place, limits);
        if set.is_err() {
            // What is half made would be taken for a group with limits.
            let _ = self.remove();
        }
        set.map(|()| self)
    }

    /// The group `name`, if there is one.
    ///
    /// # Errors
    ///
    /// `InvalidSpec` for a name that is none.
    pub fn open(name: &str) -> Result<Option<Self>> {
        checked(name.strip_prefix('/').unwrap_or(name))?;
        let Ok(layout) = Layout::find() else { return Ok(None) };
        let group = Self::at(layout, name)?;
        let exists = !group.layout.everywhere(&group.place).is_empty();
        Ok(exists.then_some(group))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this machine's groups can limit which devices are used.
    pub fn limits_devices() -> bool {
        Layout::find().is_ok_and(|layout| layout.has_devices())
    }

    /// Whether this process may make groups.
    pub fn may_be_made() -> bool {
        Layout::find().is_ok_and(|layout| layout.may_be_made())
    }

    /// Whether this machine's groups are of version 2.
    pub fn is_unified() -> bool {
        Layout::find().is_ok_and(|layout| layout.is_unified())
    }

    /// Its path from where groups are mounted, or from there in the hierarchy of each controller.
    pub(crate) fn path(&self) -> String {
        self.layout.below_mount(&self.place).display().to_string()
    }

    /// Changes the limits that are given, and leaves the others.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn limit(&self, limits: &CgroupLimits) -> Result<()> {
        self.layout.limit(&self.place, limits)
    }

    /// The processes in it, and in groups that they made below.
    ///
    /// # Errors
    ///
    /// `Io`.
    pub fn processes(&self) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        // Of version 1 any directory has all of them.
        if let Some(directory) = self.directories().next() {
            collect(&directory, &mut found)?;
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Stops every process in it, until [`thaw`](Self::thaw). Comes back when all of them stand.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the kernel cannot; `Denied`, `Io`.
    pub fn freeze(&self) -> Result<()> {
        self.layout.freeze(&self.place, true)
    }

    /// Lets every process in it go on.
    ///
    /// # Errors
    ///
    /// As [`freeze`](Self::freeze).
    pub fn thaw(&self) -> Result<()> {
        self.layout.freeze(&self.place, false)
    }

    /// Whether it is frozen.
    pub fn is_frozen(&self) -> bool {
        self.layout.is_frozen(&self.place)
    }

    /// Kills every process in it, those included that are started meanwhile, and waits until none is left.
    ///
    /// # Errors
    ///
    /// `Io` where processes do not end within ten seconds: they wait for a device.
    pub fn kill(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_micros(500);
        loop {
            let processes = self.processes()?;
            if processes.is_empty() {
                return Ok(());
            }
            self.layout.kill(&self.place, &processes);
            if Instant::now() > deadline {
                return Err(Error::new(ErrorKind::Io, "end the processes of", &self.name)
                    .with_detail(format!("{processes:?} do not end")));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// What its processes use and used. Numbers that the kernel does not count are `None`.
    pub fn stats(&self) -> CgroupStats {
        stats::read(&self.layout, &self.place)
    }

    /// How often the kernel killed one of its processes for lack of memory.
    pub fn out_of_memory_kills(&self) -> u64 {
        out_of_memory_kills(&self.memory_events())
    }

    /// The file that says so.
    pub(crate) fn memory_events(&self) -> PathBuf {
        stats::memory_events(&self.layout, &self.place)
    }

    /// Removes it, with the groups that its processes made below, and those of its name that an OCI runtime made in
    /// hierarchies which have no controller that is limited here. One that is gone already is no error.
    ///
    /// # Errors
    ///
    /// `Io` where it has processes.
    pub fn remove(&self) -> Result<()> {
        let mut failed = None;
        for directory in self.layout.everywhere(&self.place) {
            if let Err(error) = remove_tree(&directory) {
                failed = Some(Error::io(error, "remove the control group", directory.display()));
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// The files that take in a process of one thread, which writes `0` to them. One that is missing is an error: without
    /// it a process would run without its limits.
    pub(crate) fn open_members(&self) -> Result<Vec<OwnedFd>> {
        // A process of one thread that moves itself is let through the door of threads at once. At that of processes the
        // kernel keeps all processes of the machine from starting and ending meanwhile, for which it takes up to 20 ms.
        let door = if self.layout.is_unified() { "cgroup.procs" } else { "tasks" };
        let open = |directory: PathBuf| {
            let path = directory.join(door);
            let file = fs::OpenOptions::new().write(true).open(&path);
            file.map(OwnedFd::from).map_err(|error| Error::io(error, "open", path.display()))
        };
        self.layout.members(&self.place).into_iter().map(open).collect()
    }

    /// Whether this process may move to it. Of version 1, and for root, it may.
    pub fn takes_this_process(&self) -> bool {
        let Layout::Unified(top) = &self.layout else { return true };
        let own = trees::own_directory();
        let there = top.join(&self.place);
        let above = there.ancestors().find(|above| own.starts_with(above));
        above.is_none_or(|above| {
            rustix::fs::access(above.join("cgroup.procs"), rustix::fs::Access::WRITE_OK).is_ok()
        })
    }

    fn directories(&self) -> impl Iterator<Item = PathBuf> {
        self.layout.directories(&self.place).into_iter().filter(|path| path.is_dir())
    }
}

/// A name of plain parts: nothing in it leads elsewhere.
fn checked(name: &str) -> Result<String> {
    let plain = |part: &str| {
        // Names of systemd's units have backslashes for what is none of these.
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.@:\\".contains(&byte);
        !part.is_empty() && part.bytes().all(known) && !part.starts_with('.')
    };
    if name.split('/').all(plain) {
        return Ok(name.to_owned());
    }
    Err(Error::new(ErrorKind::InvalidSpec, "name a control group", format_args!("{name:?}"))
        .with_detail("its parts have letters, digits, _, -, . and @, and do not begin with a dot"))
}

fn below(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn collect(directory: &Path, into: &mut Vec<u32>) -> Result<()> {
    let path = directory.join("cgroup.procs");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        // Removed meanwhile, or threaded: then the processes are in a group above.
        Err(_) => return Ok(()),
    };
    into.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
    match below(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io(error, "list", directory.display())),
        Ok(below) => below.iter().try_for_each(|path| collect(path, into)),
    }
}

fn remove_tree(directory: &Path) -> std::io::Result<()> {
    if let Ok(below) = below(directory) {
        below.iter().try_for_each(|path| remove_tree(path))?;
    }
    // The kernel takes a moment to forget processes that have ended.
    let mut pause = Duration::from_micros(200);
    for attempt in 0.. {
        match fs::remove_dir(directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy && attempt < 12 => {
                std::thread::sleep(pause);
                pause *= 2;
            }
            other => return other,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        for name in ["cask/a1", "a", r"a.slice/b@1\x2d.service"] {
            assert_eq!(checked(name).unwrap(), name);
            let layout = Layout::Unified(PathBuf::from("/sys/fs/cgroup/delegated"));
            let path = |name: &str| Cgroup::at(layout.clone(), name).unwrap().path();
            assert_eq!(path(name), format!("/delegated/{name}"));
            assert_eq!(path(&format!("/{name}")), format!("/{name}"));
        }
        for name in ["", "/", "/a", "a/", "a//b", "..", "a/../b", ".", "a/.b", "a b", "a\0"] {
            assert_eq!(checked(name).unwrap_err().kind(), ErrorKind::InvalidSpec, "{name:?}");
        }
    }
}
