//! Waiting for those who hold a container, but not for ever.

use std::fs::{File, TryLockError};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cask_runtime::{ProcessHandle, Signal};

use super::monitor::MONITOR_ARGUMENT;
use super::record::{Held, Place, io, open_lock};
use super::{Container, Containers};
use crate::{Error, ErrorKind, Result};

/// How long a monitor, or another command, may take for what it does.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at whether the holder of a lock is one that does nothing.
pub(super) const LOOK: Duration = Duration::from_millis(200);
/// The same, when that was seen often.
const SLOW_LOOK: Duration = Duration::from_secs(2);
/// How often a lock is tried.
const TRY: Duration = Duration::from_millis(5);
/// How long a lock may still be held by others when the monitor was killed.
const GRACE: Duration = Duration::from_secs(2);

/// A monitor that was seen to live.
#[derive(Debug)]
pub(crate) struct Monitor {
    path: PathBuf,
    file: File,
    process: Option<ProcessHandle>,
}

/// What keeps a lock from being taken.
struct Holder {
    pid: Option<u32>,
    /// Somebody stopped it, as with SIGSTOP.
    stands: bool,
}

impl Place {
    /// Waits for the lock of the container.
    pub(crate) fn lock(&self) -> Result<Held> {
        let path = self.kept.join("lock");
        let file = open_lock(&path)?;
        if let Err(holder) = wait(&path, &file, true, None)? {
            return Err(holder.hangs(&self.id(), "another command that works on it"));
        }
        // Whoever removed the container meanwhile removed the file that is locked now.
        if !self.is_whole() {
            return Err(Error::no_container(&self.id()));
        }
        Ok(Held::new(file))
    }

    /// The monitor that lives now, if one does.
    ///
    /// Seen by whoever holds the lock of the container, it is one that tidies up, or waits until the container begins
    /// again, or that of a container that runs: while one begins, the lock is its own.
    pub(crate) fn monitor(&self) -> Option<Monitor> {
        let path = self.kept.join("monitor");
        // One that cannot be opened has nobody to be waited for.
        let file = File::open(&path).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {}
            _ => return None,
        }
        let process = holder(&file).and_then(|pid| ProcessHandle::open(pid, None).ok().flatten());
        Some(Monitor { path, file, process })
    }

    /// Waits until a monitor has tidied up, but not for those that come after it.
    ///
    /// `Unresponsive` where it does nothing.
    pub(crate) fn wait_for(&self, monitor: Monitor) -> Result<()> {
        let Monitor { path, file, process } = monitor;
        match wait(&path, &file, false, process)? {
            Ok(()) => Ok(()),
            Err(holder) => Err(holder.hangs(&self.id(), "its monitor")),
        }
    }

    /// Waits until no monitor lives, however long its container does.
    pub(crate) fn wait_for_end(&self) {
        if let Ok(file) = File::open(self.kept.join("monitor")) {
            let _ = file.lock_shared();
        }
    }

    fn id(&self) -> String {
        self.kept.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Everybody who has one of its locks, except this process.
    fn holders(&self, lock: &str) -> Vec<ProcessHandle> {
        let Ok(file) = File::open(self.kept.join(lock)) else { return Vec::new() };
        let own = std::process::id();
        let found = everybody(&file).into_iter().filter(|pid| *pid != own);
        found.filter_map(|pid| ProcessHandle::open(pid, None).ok().flatten()).collect()
    }

    /// Ends a monitor, whatever it does, and with it the container, and whoever else has one of its locks.
    pub(super) fn end_holders(&self) -> Result<()> {
        let mut monitors = self.holders("monitor");
        monitors.extend(self.holders("lock").into_iter().filter(|one| is_monitor(one.pid())));
        monitors.iter().try_for_each(end_with_children)?;
        // Who waited for the monitor lets go by itself.
        let until = Instant::now() + GRACE;
        let file = File::open(self.kept.join("lock"));
        while file.as_ref().is_ok_and(|file| file.try_lock().is_err()) {
            if Instant::now() > until {
                self.holders("lock").iter().try_for_each(|one| {
                    one.signal(Signal::KILL)?;
                    one.wait(Some(PATIENCE));
                    Ok::<_, Error>(())
                })?;
                break;
            }
            std::thread::sleep(TRY);
        }
        Ok(())
    }
}

impl Holder {
    fn hangs(&self, id: &str, who: &str) -> Error {
        let pid = self.pid.map_or_else(|| "a process".to_owned(), |pid| format!("process {pid}"));
        let why = match self.stands {
            true => format!("{who}, {pid}, is stopped and does nothing"),
            false => format!("{who}, {pid}, has not come to an end for {} s", PATIENCE.as_secs()),
        };
        let hint = match self.pid {
            Some(pid) if self.stands => {
                format!(
                    "let it go on with kill -CONT {pid}, or remove the container with rm --force"
                )
            }
            _ => "remove the container with rm --force, which ends it".to_owned(),
        };
        Error::new(ErrorKind::Unresponsive, format_args!("container {id}"), why).with_own_hint(hint)
    }
}

/// A monitor that somebody stopped before it had begun.
pub(super) fn stands_at_its_beginning(id: &str, pid: u32) -> Error {
    Holder { pid: Some(pid), stands: true }.hangs(id, "its monitor")
}

/// Waits for a lock, or for the end of the process that is known to have it; the inner error is who does not let go
/// of it.
fn wait(
    path: &Path,
    file: &File,
    exclusive: bool,
    known: Option<ProcessHandle>,
) -> Result<Result<(), Holder>> {
    let began = Instant::now();
    let (mut pause, mut look) = (LOOK, began + LOOK);
    let mut stood = None;
    // The lock that was asked about may be another's by now.
    let only_it = known.is_some();
    let mut process = known;
    loop {
        let tried = if exclusive { file.try_lock() } else { file.try_lock_shared() };
        match tried {
            Ok(()) => return Ok(Ok(())),
            Err(TryLockError::Error(error)) => return Err(io(error, "locking", path)),
            Err(TryLockError::WouldBlock) => {}
        }
        let now = Instant::now();
        let open = || holder(file).and_then(|pid| ProcessHandle::open(pid, None).ok().flatten());
        process = process.or_else(open);
        if now >= look {
            let stands = everybody(file).into_iter().find_map(stopped_one);
            let late = now.duration_since(began) > PATIENCE;
            // Twice: a debugger may only have looked at it.
            if late || (stands.is_some() && stands == stood) {
                let pid = stands.or_else(|| process.as_ref().map(ProcessHandle::pid));
                return Ok(Err(Holder { pid, stands: stands.is_some() }));
            }
            if !only_it {
                process = open();
            }
            stood = stands;
            look = now + pause;
            pause = if stood.is_some() { LOOK } else { (pause * 2).min(SLOW_LOOK) };
        }
        match &process {
            // Usually its end is what lets go.
            Some(process) if !process.has_ended() => drop(process.wait(Some(TRY))),
            Some(_) if only_it => return Ok(Ok(())),
            _ => std::thread::sleep(TRY),
        }
    }
}

/// The process that took a lock of a file. It may have handed it over since. Source: proc_locks(5).
fn holder(file: &File) -> Option<u32> {
    let inode = file.metadata().ok()?.ino().to_string();
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // Whoever waits has an arrow before the rest.
        let [_, "FLOCK", _, _, pid, place, ..] = words.as_slice() else { return None };
        (place.rsplit(':').next() == Some(&*inode)).then(|| pid.parse().ok())?
    })
}

/// Every process that has the lock of a file: a lock is of the open file, which a process can share with another, and
/// of which the list of all locks has only the one who took it.
///
/// Source: proc_pid_fdinfo(5).
fn everybody(file: &File) -> Vec<u32> {
    let Ok(path) = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())) else {
        return Vec::new();
    };
    let has_it = |pid: &u32| {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut same = open.filter(|one| std::fs::read_link(one.path()).is_ok_and(|to| to == path));
        same.any(|one| {
            let number = one.file_name();
            let info = format!("/proc/{pid}/fdinfo/{}", number.to_string_lossy());
            let info = std::fs::read_to_string(info).unwrap_or_default();
            info.lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK"))
        })
    };
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(has_it).collect()
}

/// A process that stands: this one, or one of its children, such as the helper of a monitor.
pub(super) fn stopped_one(pid: u32) -> Option<u32> {
    let children = children(pid).into_iter().map(|child| child.pid());
    std::iter::once(pid).chain(children).find(|pid| is_stopped(*pid))
}

/// Whether a process stands until somebody lets it go on.
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    matches!(state, Some('T' | 't'))
}

/// Whether a process is a monitor, and not a command that waits for one.
fn is_monitor(pid: u32) -> bool {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    words.split(|byte| *byte == 0).nth(1) == Some(MONITOR_ARGUMENT.as_bytes())
}

/// The children of a process.
fn children(pid: u32) -> Vec<ProcessHandle> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let text = text.unwrap_or_default();
    let numbers = text.split_whitespace().filter_map(|word| word.parse().ok());
    numbers.filter_map(|pid| ProcessHandle::open(pid, None).ok().flatten()).collect()
}

/// Kills a process with its children.
fn end_with_children(process: &ProcessHandle) -> Result<()> {
    // Its helper would otherwise stand as well.
    let helpers = children(process.pid());
    process.signal(Signal::KILL)?;
    for helper in &helpers {
        helper.signal(Signal::KILL)?;
    }
    process.wait(Some(PATIENCE));
    Ok(())
}

impl Containers {
    /// Ends a monitor that does nothing, whoever else holds the container, and the container with them.
    pub(super) fn put_down(&self, container: &Container) -> Result<()> {
        container.place.end_holders()?;
        self.end_leftovers(container)
    }

    /// Ends what is left of a container whose monitor is gone.
    pub(super) fn end_leftovers(&self, container: &Container) -> Result<()> {
        let Ok((_, state)) = container.place.load_as_written() else { return Ok(()) };
        if state.pid == 0 || state.boot != super::record::boot() {
            return Ok(());
        }
        let Some(process) = ProcessHandle::open(state.pid, Some(state.pid_started))? else {
            return Ok(());
        };
        process.signal(Signal::KILL)?;
        if let Some(group) = state.cgroup.as_deref()
            && let Ok(Some(group)) = cask_runtime::Cgroup::open(group)
        {
            // What is frozen does not hear of its end.
            let _ = group.thaw();
        }
        if process.wait(Some(PATIENCE)) {
            return Ok(());
        }
        let why = "its process does not end: it may wait for a device";
        Err(Error::new(ErrorKind::Io, container.id(), why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn place(directory: &tempfile::TempDir) -> Place {
        let id = cask_storage::Id::random().to_string();
        let join = |name: &str| directory.path().join(name).join(&id);
        let place = Place { kept: join("kept"), run: join("run") };
        place.make().unwrap();
        std::fs::write(place.file(), "").unwrap();
        place
    }

    /// A process that has a lock, which this one took and handed over.
    fn with_lock(place: &Place, lock: &str) -> std::process::Child {
        let file = File::create(place.kept.join(lock)).unwrap();
        file.lock().unwrap();
        Command::new("sleep").arg("1000").stdin(Stdio::from(file)).spawn().unwrap()
    }

    #[test]
    fn who_stands_with_a_lock_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let place = place(&directory);
        assert!(place.monitor().is_none() && place.lock().is_ok());
        let mut standing = with_lock(&place, "monitor");
        let handle = ProcessHandle::open(standing.id(), None).unwrap().unwrap();
        handle.signal(Signal::from_number(19).unwrap()).unwrap();
        let file = File::open(place.kept.join("monitor")).unwrap();
        // The list of all locks names who took it.
        assert_eq!(holder(&file), Some(std::process::id()));
        assert!(everybody(&file).contains(&standing.id()));
        let began = Instant::now();
        let error = place.wait_for(place.monitor().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unresponsive);
        assert!(error.hint().unwrap().contains(&format!("kill -CONT {}", standing.id())));
        assert!(began.elapsed() < PATIENCE / 2);
        handle.signal(Signal::KILL).unwrap();
        standing.wait().unwrap();
        assert!(place.monitor().is_none());
    }

    #[test]
    fn a_lock_is_held_as_long_as_anybody_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let place = place(&directory);
        let held = place.lock().unwrap();
        let given = Stdio::from(held.share().unwrap());
        let mut other = Command::new("sleep").arg("1000").stdin(given).spawn().unwrap();
        drop(held);
        let file = File::open(place.kept.join("lock")).unwrap();
        assert!(file.try_lock().is_err());
        assert!(place.holders("lock").iter().any(|one| one.pid() == other.id()));
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(place.lock().is_ok());
    }

    #[test]
    fn a_monitor_is_not_waited_for_in_the_shape_of_the_next_one() {
        let directory = tempfile::tempdir().unwrap();
        let place = place(&directory);
        let mut first = with_lock(&place, "monitor");
        let mut monitor = place.monitor().unwrap();
        monitor.process = ProcessHandle::open(first.id(), None).unwrap();
        first.kill().unwrap();
        first.wait().unwrap();
        let mut second = with_lock(&place, "monitor");
        let began = Instant::now();
        place.wait_for(monitor).unwrap();
        assert!(began.elapsed() < PATIENCE / 2);
        second.kill().unwrap();
        second.wait().unwrap();
    }
}
