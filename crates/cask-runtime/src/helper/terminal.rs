//! The terminal of a process: made in its own `/dev`, its other end handed to whoever started the process.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::MoveMountFlags;
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use super::mounts::clone_tree;
use crate::channel::Channel;
use crate::plan::{Failure, message};
use crate::spec::TerminalSize;

/// Source: `DEVPTS_SUPER_MAGIC`, linux/magic.h.
const DEVPTS_MAGIC: u64 = 0x1cd1;

/// Both ends of a terminal.
pub(super) struct Terminal {
    outer: OwnedFd,
    pub(super) inner: OwnedFd,
}

/// Says how much a terminal shows.
pub(super) fn resize(outer: &OwnedFd, size: TerminalSize) -> Result<(), Failure> {
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(outer, size)
        .map_err(|error| Failure::io(error, "resize", "a terminal"))
}

impl Terminal {
    /// Makes one in a mounted devpts, which is found by descriptor: nothing of the image leads there.
    pub(super) fn make(
        terminals: BorrowedFd<'_>,
        size: TerminalSize,
        owner: u32,
    ) -> Result<Self, Failure> {
        let failed = |error| Failure::io(error, "make", "a terminal");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let outer = rustix::fs::openat(terminals, "ptmx", flags, Mode::empty()).map_err(failed)?;
        rustix::pty::unlockpt(&outer).map_err(failed)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let inner = rustix::pty::ioctl_tiocgptpeer(&outer, flags).map_err(failed)?;
        resize(&outer, size)?;
        let owner = rustix::fs::Uid::from_raw(owner);
        match rustix::fs::fchown(&inner, Some(owner), None) {
            // A user namespace may have no such user: then the process cannot be it either.
            Ok(()) | Err(Errno::INVAL | Errno::PERM) => {}
            Err(error) => return Err(failed(error)),
        }
        Ok(Self { outer, inner })
    }

    /// Makes one in the devpts of the mount namespace that was joined.
    pub(super) fn make_inside(size: TerminalSize, owner: u32) -> Result<Self, Failure> {
        let failed = |error| {
            Failure::io(error, "make a terminal in", "/dev/pts")
                .with_hint("the container needs the file system devpts there")
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let terminals =
            rustix::fs::openat2(CWD, "/dev/pts", flags, Mode::empty(), resolve).map_err(failed)?;
        let kind = rustix::fs::fstatfs(&terminals).map_err(failed)?.f_type;
        if u64::try_from(kind).unwrap_or(0) != DEVPTS_MAGIC {
            return Err(failed(Errno::NODEV));
        }
        Self::make(terminals.as_fd(), size, owner)
    }

    /// Shows it as `/dev/console` of a `/dev` of ours.
    pub(super) fn show_as_console(&self, devices: BorrowedFd<'_>) -> Result<(), Failure> {
        let failed = |error| Failure::io(error, "make", "/dev/console");
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::WRONLY;
        let console = rustix::fs::openat(devices, "console", flags, Mode::from_raw_mode(0o600))
            .map_err(failed)?;
        let tree = clone_tree(self.inner.as_fd(), false).map_err(failed)?;
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(&tree, "", &console, "", flags).map_err(failed)
    }

    /// Makes it the one that has control of this session, and gives the other end away.
    pub(super) fn take(self, helper: &Channel) -> Result<OwnedFd, Failure> {
        let Self { outer, inner } = self;
        rustix::process::ioctl_tiocsctty(&inner)
            .map_err(|error| Failure::io(error, "take control of", "the terminal"))?;
        helper
            .send(message::TERMINAL, &[], &[outer.as_fd()])
            .map_err(|error| Failure::io(error, "hand over", "the terminal"))?;
        Ok(inner)
    }
}
