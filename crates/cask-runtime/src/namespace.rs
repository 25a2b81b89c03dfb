//! Namespaces that nothing is in.

use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::thread::UnshareFlags;

use crate::error::{Error, ErrorKind, Result};
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

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::fstat;

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
