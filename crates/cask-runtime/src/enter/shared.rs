//! One user namespace for all programs of a user that run at the same time.
//!
//! ```text
//! DIRECTORY/
//!   turn      locked by who looks for the namespace or makes it
//!   members   locked, shared, by everybody who is in it and by what they start
//!   keeper    number and beginning of the process that keeps it
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::FdFlags;
use rustix::thread::ThreadNameSpaceType;

use super::{enter_user_namespace, one_thread};
use crate::error::{Error, ErrorKind, Result};
use crate::handle::ProcessHandle;
use crate::spec::IdMaps;
use crate::sys;

/// How long a keeper that has nothing left to keep may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Moves this process into the user and mount namespace that the user's other programs are in, and makes one, as
/// [`enter_user_namespace`] does, where there is none.
///
/// Whoever is in it sees the mounts of all others, and may join and signal what they started. It lasts as long as
/// anything runs that was started in it: a process that does nothing keeps it until then. Should that be killed,
/// another member is looked for, and a new one begins.
///
/// `directory` is made where it is missing, and must be the user's alone. What this process starts inherits a
/// descriptor of a lock in it.
///
/// To be called first of all in `main`. The working directory stays the same.
///
/// # Errors
///
/// As [`enter_user_namespace`], and `Denied` for a directory that others can write to.
pub fn enter_shared_user_namespace(directory: &Path, maps: &IdMaps) -> Result<()> {
    one_thread()?;
    prepare(directory)?;
    let turn = open(&directory.join("turn"))?;
    turn.lock().map_err(|error| Error::io(error, "lock", directory.join("turn").display()))?;
    let members = directory.join("members");
    let failed = |error| Error::io(error, "lock", members.display());
    let lock = open(&members)?;
    loop {
        if let Some(keeper) = keeper(directory) {
            match lock.try_lock_shared() {
                // With the lock held it stays; it may have gone just before.
                Ok(()) if !directory.join("keeper").exists() => continue,
                Ok(()) => {
                    join(&keeper)?;
                    break;
                }
                // Nobody was left: it is about to end.
                Err(TryLockError::WouldBlock) if keeper.wait(Some(PATIENCE)) => continue,
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::new(ErrorKind::Io, "wait for", "the user's namespace")
                        .with_detail(format!("process {} does not end", keeper.pid())));
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        let alone = lock.try_lock().is_ok();
        lock.lock_shared().map_err(failed)?;
        // Something killed the keeper, or it is of another PID namespace.
        match (alone, find_member(&members)) {
            (false, Some(other)) => join(&other)?,
            _ => enter_user_namespace(maps)?,
        }
        keep(directory)?;
        break;
    }
    // Whatever is started from here on is a member as well.
    rustix::io::fcntl_setfd(&lock, FdFlags::empty()).map_err(|error| failed(error.into()))?;
    std::mem::forget(lock);
    Ok(())
}

/// Whether this is the file that members of such a namespace have open.
pub(crate) fn is_list_of_members(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "members") && path.with_file_name("turn").exists()
}

/// Makes the directory, and refuses one that somebody else could put something into.
fn prepare(directory: &Path) -> Result<()> {
    let failed = |error| Error::io(error, "make the directory", directory.display());
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let found = fs::symlink_metadata(directory).map_err(failed)?;
    let own = found.uid() == rustix::process::geteuid().as_raw();
    if found.is_dir() && own && found.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Denied, "use the directory", directory.display())
        .with_detail("it is not the user's alone, and says which namespace is entered"))
}

fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(libc::O_NOFOLLOW);
    options.open(path).map_err(|error| Error::io(error, "open", path.display()))
}

/// The process that keeps the namespace, where it still does.
fn keeper(directory: &Path) -> Option<ProcessHandle> {
    let text = fs::read_to_string(directory.join("keeper")).ok()?;
    let mut words = text.split_whitespace();
    let (pid, started) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    ProcessHandle::open(pid, Some(started)).ok().flatten()
}

/// A process in the namespace: it has the file of the members open, and is in another user namespace than this one.
fn find_member(members: &Path) -> Option<ProcessHandle> {
    let members = fs::canonicalize(members).ok()?;
    let user = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user")).ok();
    let own = user("self")?;
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().filter(|name| name.parse::<u32>().is_ok()) else { continue };
        // Those of others cannot be looked at.
        let Ok(open) = fs::read_dir(entry.path().join("fd")) else { continue };
        let mut open = open.flatten().filter_map(|one| fs::read_link(one.path()).ok());
        if open.any(|path| path == members) && user(pid).is_some_and(|found| found != own) {
            let pid = pid.parse().ok()?;
            return ProcessHandle::open(pid, ProcessHandle::started(pid)).ok().flatten();
        }
    }
    None
}

/// Moves this process to where another one of the user's is.
fn join(process: &ProcessHandle) -> Result<()> {
    let failed = |error| Error::io(error, "join", format_args!("process {}", process.pid()));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(CWD, ".", flags, Mode::empty());
    let path = std::env::current_dir();
    let both = ThreadNameSpaceType::USER | ThreadNameSpaceType::MOUNT;
    rustix::thread::move_into_thread_name_spaces(process.as_fd(), both)
        .map_err(|error| failed(io::Error::from(error)))?;
    // Now it is the root of the mounts there.
    let (Ok(directory), Ok(path)) = (directory, path) else { return Ok(()) };
    let same = || -> io::Result<bool> {
        let (was, is) = (rustix::fs::fstat(&directory)?, rustix::fs::stat(&path)?);
        Ok((was.st_dev, was.st_ino) == (is.st_dev, is.st_ino))
    };
    if same().unwrap_or(false) && rustix::process::chdir(&path).is_ok() {
        return Ok(());
    }
    rustix::process::fchdir(&directory).map_err(|error| failed(error.into()))
}

/// Starts the process that keeps the namespace, and writes down which it is.
fn keep(directory: &Path) -> Result<()> {
    let failed = |error| Error::io(error, "keep", "the user's namespace");
    let members = directory.join("members");
    let Some(child) = sys::fork().map_err(failed)? else {
        // Whatever fails: without a keeper the namespace lasts as long as its members.
        let _ = wait_for_members(&members, &directory.join("keeper"));
        sys::exit_now(0);
    };
    let pid = child.as_raw_nonzero().get().unsigned_abs();
    let started = ProcessHandle::started(pid).unwrap_or_default();
    let path = directory.join("keeper");
    let written = fs::write(&path, format!("{pid} {started}\n"));
    written.map_err(|error| Error::io(error, "write", path.display()))
}

/// Waits until nobody is in the namespace any more, and says that it is none from then on.
fn wait_for_members(members: &Path, keeper: &Path) -> io::Result<()> {
    let _ = rustix::process::setsid();
    sys::reset_signals();
    rustix::thread::set_name(c"cask-keeper")?;
    rustix::process::chdir("/")?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    drop(null);
    // Among them the lock of who starts it, which is not its own.
    sys::close_from(3, false)?;
    let lock = OpenOptions::new().read(true).write(true).open(members)?;
    lock.lock()?;
    fs::remove_file(keeper)
}
