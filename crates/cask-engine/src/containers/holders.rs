//! Waiting for those who hold a container, but not for ever.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use cask_runtime::{ProcessHandle, Signal};

use super::record::{Held, Place, io, open_lock};
use super::{Container, Containers};
use crate::{Error, ErrorKind, Result};

/// How long a monitor, or another command, may take for what it does.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at whether the holder of a lock is one that does nothing.
const LOOK: Duration = Duration::from_millis(200);
/// How often a lock is tried.
const TRY: Duration = Duration::from_millis(5);

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
        if let Err(holder) = wait(&path, &file, true)? {
            return Err(holder.hangs(self, "another command that works on it"));
        }
        // Whoever removed the container meanwhile removed the file that is locked now.
        if !self.file().exists() {
            return Err(Error::no_container(&self.id()));
        }
        Ok(Held::new(file))
    }

    /// Waits until no monitor lives: until it has tidied up.
    ///
    /// `Unresponsive` where it does nothing.
    pub(crate) fn wait_for_monitor(&self) -> Result<()> {
        let path = self.kept.join("monitor");
        // One that cannot be opened has nobody to be waited for.
        let Ok(file) = File::open(&path) else { return Ok(()) };
        match wait(&path, &file, false)? {
            Ok(()) => Ok(()),
            Err(holder) => Err(holder.hangs(self, "its monitor")),
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

    /// Who has one of its locks.
    fn holder(&self, lock: &str) -> Option<ProcessHandle> {
        let file = File::open(self.kept.join(lock)).ok()?;
        let pid = holder(&file)?;
        ProcessHandle::open(pid, ProcessHandle::started(pid)).ok().flatten()
    }
}

impl Holder {
    fn hangs(&self, place: &Place, who: &str) -> Error {
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
        Error::new(ErrorKind::Unresponsive, format_args!("container {}", place.id()), why)
            .with_own_hint(hint)
    }
}

/// Waits for a lock; the inner error is who does not let go of it.
fn wait(path: &Path, file: &File, exclusive: bool) -> Result<Result<(), Holder>> {
    let began = Instant::now();
    let mut look = began + LOOK;
    let mut stands = false;
    let mut process = None;
    loop {
        let tried = if exclusive { file.try_lock() } else { file.try_lock_shared() };
        match tried {
            Ok(()) => return Ok(Ok(())),
            Err(TryLockError::Error(error)) => return Err(io(error, "locking", path)),
            Err(TryLockError::WouldBlock) => {}
        }
        let now = Instant::now();
        if process.is_none() || now >= look {
            let pid = holder(file);
            process = pid.and_then(|pid| ProcessHandle::open(pid, None).ok().flatten());
            if now >= look {
                let stood = std::mem::replace(&mut stands, pid.is_some_and(is_stopped));
                // Twice: a debugger may only have looked at it.
                if (stood && stands) || now.duration_since(began) > PATIENCE {
                    return Ok(Err(Holder { pid, stands }));
                }
                look = now + LOOK;
            }
        }
        match &process {
            // Usually its end is what lets go.
            Some(process) if !process.has_ended() => drop(process.wait(Some(TRY))),
            _ => std::thread::sleep(TRY),
        }
    }
}

/// The process that has a lock of a file. Source: proc_locks(5).
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

/// Whether a process stands until somebody lets it go on.
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    matches!(state, Some('T' | 't'))
}

/// The children of a process.
fn children(pid: u32) -> Vec<ProcessHandle> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let text = text.unwrap_or_default();
    let numbers = text.split_whitespace().filter_map(|word| word.parse().ok());
    numbers.filter_map(|pid| ProcessHandle::open(pid, None).ok().flatten()).collect()
}

impl Containers {
    /// Ends a monitor that does nothing, whoever else holds the container, and the container with them.
    pub(super) fn put_down(&self, container: &Container) -> Result<()> {
        let holders = ["monitor", "lock"].map(|lock| container.place.holder(lock));
        let own = std::process::id();
        for holder in holders.into_iter().flatten().filter(|holder| holder.pid() != own) {
            // Its helper would otherwise stand as well.
            let helpers = children(holder.pid());
            holder.signal(Signal::KILL)?;
            for helper in &helpers {
                helper.signal(Signal::KILL)?;
            }
            holder.wait(Some(PATIENCE));
        }
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

    #[test]
    fn who_stands_with_a_lock_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let id = cask_storage::Id::random().to_string();
        let join = |name: &str| directory.path().join(name).join(&id);
        let place = Place { kept: join("kept"), run: join("run") };
        place.make().unwrap();
        std::fs::write(place.file(), "").unwrap();
        assert!(place.wait_for_monitor().is_ok() && place.lock().is_ok());
        let monitor = File::create(place.kept.join("monitor")).unwrap();
        monitor.lock().unwrap();
        // The lock is of the open file, and so of whoever has it.
        let mut standing =
            Command::new("sleep").arg("1000").stdin(Stdio::from(monitor)).spawn().unwrap();
        let handle = ProcessHandle::open(standing.id(), None).unwrap().unwrap();
        handle.signal(Signal::from_number(19).unwrap()).unwrap();
        // The kernel names who took the lock, which was this process: it does not stand.
        assert_eq!(
            holder(&File::open(place.kept.join("monitor")).unwrap()),
            Some(std::process::id())
        );
        assert!(is_stopped(standing.id()) && !is_stopped(std::process::id()));
        handle.signal(Signal::KILL).unwrap();
        standing.wait().unwrap();
        assert!(place.wait_for_monitor().is_ok());
    }
}
