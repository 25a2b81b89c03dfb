//! Opening what stands at a path of a root, as a place only.

use std::ffi::OsStr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// How often a path is resolved again where something was moved or mounted meanwhile.
const MOST_ATTEMPTS: usize = 1 << 10;

/// Opens anything below `root` with `O_PATH` and `flags`. Links, absolute ones and `..` included, stay within it;
/// those of `/proc` that lead elsewhere are `ELOOP`.
///
/// The kernel cannot tell whether a `..` stayed within the root while anything on the machine was moved or
/// mounted, and asks to try again.
pub(crate) fn open_place(
    root: BorrowedFd<'_>,
    path: &OsStr,
    flags: OFlags,
) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
    for _ in 0..MOST_ATTEMPTS {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}
