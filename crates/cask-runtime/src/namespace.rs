//! Namespaces that nothing is in.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::mount::{MountPropagationFlags, UnmountFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::error::{Error, ErrorKind, Result};
use crate::native::{NativeOptions, write_maps};
use crate::spec::IdMaps;
use crate::sys;

/// Makes a network namespace that nothing is in, not even an interface that is up. It is gone with the descriptor.
///
/// # Errors
/// [`ErrorKind::Io`] where the kernel refuses: only root may.
pub fn new_network_namespace() -> Result<OwnedFd> {
    let failed = |error| Error::io(error, "make", "a network namespace");
    // The namespace of a thread ends with it, and nothing else of the process is in it.
    let make = || {
        sys::unshare(UnshareFlags::NEWNET)?;
        File::open("/proc/thread-self/ns/net")
    };
    let made = std::thread::spawn(make).join();
    let made = made.map_err(|_| Error::new(ErrorKind::Io, "make", "a network namespace"))?;
    Ok(made.map_err(failed)?.into())
}

/// Moves the calling thread into a network namespace, with what it starts from then on. The rest of the process stays.
///
/// # Errors
/// [`ErrorKind::Io`] where the kernel refuses: only root of the namespace's users may.
pub fn enter_network_namespace(namespace: BorrowedFd<'_>) -> Result<()> {
    rustix::thread::move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))
        .map_err(|error| Error::io(error, "enter", "a network namespace"))
}

/// Gives the calling thread mounts of its own, with what it starts from then on: there `file` is seen at `place`, if
/// there is a file, and nothing is mounted below `hidden`. To be called by a thread that ends afterwards.
///
/// Whatever goes on for long in them keeps nothing busy of what is mounted there.
///
/// # Errors
/// [`ErrorKind::Io`] where the kernel refuses: only root may.
pub fn enter_mounts_with_file(file: &Path, place: &Path, hidden: &Path) -> Result<()> {
    let failed = |error: std::io::Error| Error::io(error, "make", "a mount namespace");
    sys::unshare(UnshareFlags::NEWNS).map_err(failed)?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).map_err(|error| failed(error.into()))?;
    let mounts = std::fs::read_to_string("/proc/thread-self/mounts").map_err(failed)?;
    let points = mounts.lines().rev().filter_map(|line| line.split(' ').nth(1));
    for point in points.map(Path::new).filter(|point| point.starts_with(hidden)) {
        // One that is named with spaces stays.
        let _ = rustix::mount::unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
    }
    match place.exists() {
        true => rustix::mount::mount_bind(file, place).map_err(|error| failed(error.into())),
        false => Ok(()),
    }
}

/// Makes a user namespace with these maps that nothing is in. It is gone with the descriptor, and with what is
/// mounted by it.
///
/// Layers and volumes can be mounted with owners as it maps them before there is a process.
///
/// # Errors
/// `InvalidSpec` for maps that cannot be; `Denied` where this process may not write them; `Unsupported` where
/// `newuidmap` is needed and missing; `Io`.
pub fn new_user_namespace(maps: &IdMaps) -> Result<OwnedFd> {
    maps.check()?;
    let failed = |error: std::io::Error| Error::io(error, "make", "a user namespace");
    let (mut ready, told) = std::io::pipe().map_err(failed)?;
    let (waits, leave) = std::io::pipe().map_err(failed)?;
    let child = sys::fork_into_user_namespace(told.as_fd(), [waits.as_fd(), leave.as_fd()]);
    let child = child.map_err(failed)?;
    drop((told, waits));
    let made = made(&mut ready, child, maps);
    drop(leave);
    sys::wait4(child).map_err(failed)?;
    made
}

/// Writes the maps of the child's namespace, and takes hold of it.
fn made(
    ready: &mut std::io::PipeReader,
    child: rustix::process::Pid,
    maps: &IdMaps,
) -> Result<OwnedFd> {
    let failed = |error: std::io::Error| Error::io(error, "make", "a user namespace");
    let mut errno = [0];
    ready.read_exact(&mut errno).map_err(failed)?;
    if errno[0] != 0 {
        return Err(failed(std::io::Error::from_raw_os_error(errno[0].into())));
    }
    let number = child.as_raw_nonzero().get();
    write_maps(&NativeOptions::default().map_programs, maps, number.unsigned_abs())?;
    File::open(format!("/proc/{number}/ns/user")).map(OwnedFd::from).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::fstat;

    #[test]
    fn users_are_mapped_in_a_namespace_without_processes() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let range = |outside| vec![crate::IdRange { inside: 0, outside, count: 10 }];
        let maps = IdMaps { uids: range(100_000), gids: range(200_000) };
        let (one, other) = (new_user_namespace(&maps).unwrap(), new_user_namespace(&maps).unwrap());
        assert_ne!(fstat(&one).unwrap().st_ino, fstat(&other).unwrap().st_ino);
        let wrong = IdMaps { uids: Vec::new(), gids: range(1) };
        assert_eq!(new_user_namespace(&wrong).unwrap_err().kind(), ErrorKind::InvalidSpec);
    }

    #[test]
    fn a_thread_enters_one_and_sees_another_file_and_nobody_else_does() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let (file, place) = (directory.path().join("file"), directory.path().join("place"));
        std::fs::write(&file, "other").unwrap();
        std::fs::write(&place, "own").unwrap();
        let network = || std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let made = new_network_namespace().unwrap();
        let inside = std::thread::scope(|scope| {
            let work = || {
                enter_network_namespace(made.as_fd()).unwrap();
                enter_mounts_with_file(&file, &place, Path::new("/nowhere")).unwrap();
                enter_mounts_with_file(&file, Path::new("/nowhere"), directory.path()).unwrap();
                (network(), read(&place))
            };
            scope.spawn(work).join().unwrap()
        });
        assert_ne!(inside.0, network());
        assert_eq!((inside.1.as_str(), read(&place).as_str()), ("own", "own"));
        let seen = std::thread::scope(|scope| {
            let work = || {
                enter_mounts_with_file(&file, &place, Path::new("/nowhere")).unwrap();
                read(&place)
            };
            scope.spawn(work).join().unwrap()
        });
        assert_eq!(seen, "other");
    }

    #[test]
    fn it_is_another_one_and_this_process_stays_where_it_is() {
        let own = || std::fs::read_link("/proc/self/ns/net").unwrap();
        let before = own();
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (one, other) = (new_network_namespace().unwrap(), new_network_namespace().unwrap());
        assert_ne!(fstat(&one).unwrap().st_ino, fstat(&other).unwrap().st_ino);
        assert_eq!(own(), before);
    }
}
