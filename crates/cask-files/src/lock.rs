//! Locks: `flock` on what is open, so that no lock file stays behind.
//!
//! A lock belongs to an opening. It ends when that is unlocked or closed, also by the death of the
//! process; and it holds between threads as well as between processes.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// Whom a lock keeps out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// Those who want it exclusively.
    Shared,
    /// Everybody.
    Exclusive,
}

/// What became of the attempt to lock something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    /// It is locked.
    Yes,
    /// Somebody else has it.
    No,
    /// The file system has no such locks.
    Unsupported,
}

/// Locks something that was opened, without waiting. Whatever else goes wrong counts as a file
/// system that cannot.
pub fn try_lock(opened: impl AsFd, kind: LockKind) -> Locked {
    match lock_now(opened, kind) {
        Ok(true) => Locked::Yes,
        Ok(false) => Locked::No,
        Err(_) => Locked::Unsupported,
    }
}

/// Locks something that was opened, without waiting; `false` if somebody else has it. A lock that
/// the opening has already becomes one of this kind, or is lost.
///
/// # Errors
/// As for [`lock`].
pub fn lock_now(opened: impl AsFd, kind: LockKind) -> rustix::io::Result<bool> {
    let operation = match kind {
        LockKind::Shared => FlockOperation::NonBlockingLockShared,
        LockKind::Exclusive => FlockOperation::NonBlockingLockExclusive,
    };
    match flock(opened, operation) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Locks something that was opened, however long others hold it.
///
/// # Errors
/// Those of the system: `BADF`, `NOLCK`, `OPNOTSUPP`, `NOSYS` and `INVAL` are of file systems that
/// have no such locks.
pub fn lock(opened: impl AsFd, kind: LockKind) -> rustix::io::Result<()> {
    flock(
        opened,
        match kind {
            LockKind::Shared => FlockOperation::LockShared,
            LockKind::Exclusive => FlockOperation::LockExclusive,
        },
    )
}

/// Ends the lock of an opening, also where a child process has inherited the opening and not closed
/// it yet.
pub fn unlock(opened: impl AsFd) {
    // A lock that cannot be ended now ends with the opening.
    let _ = flock(opened, FlockOperation::Unlock);
}

fn flock(opened: impl AsFd, operation: FlockOperation) -> rustix::io::Result<()> {
    loop {
        match rustix::fs::flock(&opened, operation) {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Something that is locked until this is dropped.
#[derive(Debug)]
pub struct Held<T: AsFd>(T);

impl<T: AsFd> Held<T> {
    /// Takes over something that was locked. What was not stays as it is.
    pub fn new(locked: T) -> Self {
        Self(locked)
    }

    /// What is locked.
    pub fn get(&self) -> &T {
        &self.0
    }
}

impl<T: AsFd> AsFd for Held<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<T: AsFd> Drop for Held<T> {
    fn drop(&mut self) {
        unlock(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_lock_ends_with_its_holder_though_a_child_process_still_has_the_handle() {
        let temp = tempfile::tempdir().unwrap();
        let open = || File::open(temp.path()).unwrap();
        let held = Held::new(open());
        assert_eq!(try_lock(&held, LockKind::Exclusive), Locked::Yes);
        // What `fork` does: another number for the same opening.
        let inherited = held.get().try_clone().unwrap();
        let other = open();
        assert_eq!(try_lock(&other, LockKind::Shared), Locked::No);
        drop(held);
        assert_eq!(try_lock(&other, LockKind::Exclusive), Locked::Yes);
        drop(inherited);
        assert_eq!(try_lock(open(), LockKind::Shared), Locked::No);
    }

    #[test]
    fn shared_locks_keep_out_exclusive_ones() {
        let temp = tempfile::tempdir().unwrap();
        let [one, two, three] = [(); 3].map(|()| File::open(temp.path()).unwrap());
        lock(&one, LockKind::Shared).unwrap();
        lock(&two, LockKind::Shared).unwrap();
        assert_eq!(try_lock(&three, LockKind::Exclusive), Locked::No);
        unlock(&one);
        unlock(&two);
        assert_eq!(try_lock(&three, LockKind::Exclusive), Locked::Yes);
    }
}
