//! Locks: `flock` on directories, so that no lock file stays behind.
//!
//! A lock belongs to an opening of the directory. It ends when that is closed, also by the death
//! of the process; and it holds between threads as well as between processes.

use std::time::{Duration, Instant};

pub(crate) use cask_files::LockKind as Mode;
use cask_files::{Held, lock, lock_now};
use rustix::io::Errno;

use crate::directory::Directory;
use crate::{Error, ErrorKind, LayoutOptions, Result};

/// How long to sleep between two attempts, at most.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// A lock, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock(Held<Directory>);

impl Lock {
    /// Locks a directory.
    pub(crate) fn acquire(
        directory: &Directory,
        mode: Mode,
        options: &LayoutOptions,
    ) -> Result<Self> {
        let own = directory.reopen()?;
        let locked = match options.lock_timeout {
            None => wait(&own, mode),
            Some(timeout) => poll(&own, mode, timeout),
        };
        match locked {
            Err(error)
                if error.kind() == ErrorKind::Unsupported && options.danger_without_locks => {}
            result => result?,
        }
        Ok(Self(Held::new(own)))
    }

    /// The directory that is locked.
    pub(crate) fn directory(&self) -> &Directory {
        self.0.get()
    }

    /// Makes a shared lock exclusive, if nobody else has it. If not, the lock may be lost.
    pub(crate) fn try_upgrade(&self) -> bool {
        lock_now(&self.0, Mode::Exclusive).is_ok_and(|locked| locked)
    }
}

fn wait(directory: &Directory, mode: Mode) -> Result<()> {
    lock(directory, mode).map_err(|error| failed(directory, error))
}

fn poll(directory: &Directory, mode: Mode, timeout: Duration) -> Result<()> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if lock_now(directory, mode).map_err(|error| failed(directory, error))? {
            return Ok(());
        }
        let left = timeout.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Err(Error::new(ErrorKind::Locked, "locking", directory.path().display())
                .with_detail(format!("others have used it for {} ms", timeout.as_millis()))
                .with_hint("wait until whoever writes or deletes there is done"));
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn failed(directory: &Directory, error: Errno) -> Error {
    let unsupported = matches!(
        error,
        Errno::BADF | Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL
    );
    let failed = Error::io(error, "locking", directory.path().display());
    if unsupported {
        Error::new(ErrorKind::Unsupported, "locking", directory.path().display())
            .with_source(failed)
            .with_hint(
                "the file system has no locks on directories; write the layout to a local one",
            )
    } else {
        failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_exclude_within_one_process() {
        let temp = tempfile::tempdir().unwrap();
        let directory = Directory::open(temp.path()).unwrap().unwrap();
        let options =
            LayoutOptions { lock_timeout: Some(Duration::from_millis(5)), ..Default::default() };
        let lock = |mode| Lock::acquire(&directory, mode, &options);
        let first = lock(Mode::Shared).unwrap();
        let second = lock(Mode::Shared).unwrap();
        assert_eq!(lock(Mode::Exclusive).unwrap_err().kind(), ErrorKind::Locked);
        assert!(!second.try_upgrade(), "another holds it");
        drop(first);
        assert!(second.try_upgrade());
        assert_eq!(lock(Mode::Shared).unwrap_err().kind(), ErrorKind::Locked);
        drop(second);
        lock(Mode::Exclusive).unwrap();
    }

    #[test]
    fn file_systems_without_locks_are_told_from_failures() {
        let temp = tempfile::tempdir().unwrap();
        let directory = Directory::open(temp.path()).unwrap().unwrap();
        let check = |errno: Errno, expected: ErrorKind| {
            assert_eq!(failed(&directory, errno).kind(), expected, "{errno}");
        };
        // NFS, file systems mounted without locks, and FUSE.
        check(Errno::BADF, ErrorKind::Unsupported);
        check(Errno::NOLCK, ErrorKind::Unsupported);
        check(Errno::NOSYS, ErrorKind::Unsupported);
        check(Errno::IO, ErrorKind::Io);
    }
}
