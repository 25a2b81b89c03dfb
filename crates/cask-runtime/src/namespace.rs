//! Namespaces that nothing is in.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::thread::UnshareFlags;

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
