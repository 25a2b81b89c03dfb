//! A process that somebody else started.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cask_rootfs::Root;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::mount::OpenTreeFlags;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::error::{Error, ErrorKind, Result};
use crate::running;
use crate::signal::Signal;
use crate::sys;

/// A process of this machine by number, held so that the number cannot come to mean another.
#[derive(Debug)]
pub struct ProcessHandle {
    pid: u32,
    descriptor: OwnedFd,
}

impl ProcessHandle {
    /// The process `pid`, if it runs and began at `started`, as [`started`](Self::started) gives it.
    ///
    /// A number alone may mean another process by now: both together do not, until the machine is started again.
    ///
    /// # Errors
    ///
    /// `Io` where the process has no descriptor left.
    pub fn open(pid: u32, started: Option<u64>) -> Result<Option<Self>> {
        let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let descriptor = match pidfd_open(number, PidfdFlags::empty()) {
            Ok(descriptor) => descriptor,
            Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => return Ok(None),
            Err(error) => return Err(Error::io(error, "open", format_args!("process {pid}"))),
        };
        let handle = Self { pid, descriptor };
        let same = started.is_none() || Self::started(pid) == started;
        Ok((same && !handle.has_ended()).then_some(handle))
    }

    /// When a process began, in ticks since the machine did. `None` where there is no such process.
    pub fn started(pid: u32) -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before may have anything in it. Source: proc_pid_stat(5), field 22.
        let (_, fields) = text.rsplit_once(')')?;
        fields.split_whitespace().nth(19)?.parse().ok()
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.wait(Some(Duration::ZERO))
    }

    /// Waits until it has ended; says whether it has.
    pub fn wait(&self, longest: Option<Duration>) -> bool {
        let deadline = longest.map(|longest| std::time::Instant::now() + longest);
        loop {
            let left = deadline
                .map(|deadline| deadline.saturating_duration_since(std::time::Instant::now()))
                .map(|left| {
                    Timespec::try_from(left).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 })
                });
            let mut places = [PollFd::new(&self.descriptor, PollFlags::IN)];
            match poll(&mut places, left.as_ref()) {
                Ok(found) => return found > 0,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// Sends it a signal. One that has ended is no error.
    ///
    /// # Errors
    ///
    /// `Denied`, and `Io`.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        running::send(self.descriptor.as_fd(), signal)
    }

    /// The root that it sees, with its mounts.
    ///
    /// # Errors
    ///
    /// `NotFound` where it has ended, `Denied` where it is another user's.
    pub fn root(&self) -> Result<Root> {
        let path = PathBuf::from(format!("/proc/{}/root", self.pid));
        let failed =
            |error| Error::io(error, "open the root of", format_args!("process {}", self.pid));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(&path, flags, Mode::empty()).map_err(failed)?;
        self.still_there()?;
        Root::from_fd(root, path).map_err(|error| {
            Error::new(ErrorKind::Io, "open the root of", format_args!("process {}", self.pid))
                .with_source(error)
        })
    }

    /// One of its namespaces, by its name in `/proc/PID/ns`: `net`, `ipc`, `uts`, `pid`, `cgroup`, `user` or `mnt`.
    ///
    /// # Errors
    ///
    /// As [`root`](Self::root).
    pub fn namespace(&self, name: &str) -> Result<OwnedFd> {
        let path = format!("/proc/{}/ns/{name}", self.pid);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&path, flags, Mode::empty())
            .map_err(|error| Error::io(error, "open", path))?;
        self.still_there()?;
        Ok(opened)
    }

    /// What it sees at a place, attached nowhere: a mount of its own mount namespace, which no other can take hold of.
    ///
    /// # Errors
    ///
    /// As [`root`](Self::root); `NotFound` where it sees nothing there.
    pub fn mount_at(&self, path: &Path) -> Result<OwnedFd> {
        let namespace = self.namespace("mnt")?;
        // A thread goes there, and ends.
        let take = || {
            sys::unshare(UnshareFlags::FS)?;
            let kind = Some(LinkNameSpaceType::Mount);
            rustix::thread::move_into_link_name_space(namespace.as_fd(), kind)?;
            let flags = OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC
                | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
            Ok(rustix::mount::open_tree(rustix::fs::CWD, path, flags)?)
        };
        let taken = std::thread::scope(|scope| scope.spawn(take).join());
        let shown = || format!("{} of process {}", path.display(), self.pid);
        let taken = taken.map_err(|_| Error::new(ErrorKind::Io, "take hold of", shown()))?;
        taken.map_err(|error: std::io::Error| Error::io(error, "take hold of", shown()))
    }

    pub(crate) fn descriptor(&self) -> Result<OwnedFd> {
        self.descriptor.try_clone().map_err(|error| Error::io(error, "duplicate", "a descriptor"))
    }

    /// What was found by its number is its own only if it has not ended.
    fn still_there(&self) -> Result<()> {
        if self.has_ended() {
            return Err(Error::new(
                ErrorKind::NotFound,
                "open",
                format_args!("process {}", self.pid),
            )
            .with_detail("it has ended"));
        }
        Ok(())
    }
}

impl AsFd for ProcessHandle {
    /// Readable once it has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
