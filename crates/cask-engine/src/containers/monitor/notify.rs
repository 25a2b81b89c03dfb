//! What a container says to the manager of services, passed on.

use std::ffi::OsStr;
use std::os::fd::AsRawFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cask_runtime::{Mount, RunSpec};

use super::super::record::{Place, io};
use crate::Result;

/// Where a container finds the directory of its socket. Source: podman, `libpod/container_internal_common.go`.
const INSIDE: &str = "/run/notify";
/// The socket in it.
const SOCKET: &str = "notify.sock";
/// The longest message. Source: systemd, `NOTIFY_BUFFER_MAX`.
const LONGEST: usize = 4096;
/// What is passed on; everything else is about processes that the manager does not know.
///
/// Source: conmon, `src/conn_sock.c`.
const READY: &[u8] = b"READY=1";

/// A socket for a container, as long as its monitor lives.
#[derive(Debug)]
pub(super) struct Notify {
    directory: PathBuf,
}

impl Notify {
    /// Listens, and passes on to the manager at `manager`, the value of `$NOTIFY_SOCKET`.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where no socket can be made, or the address is none.
    pub(super) fn listen(place: &Place, manager: &OsStr) -> Result<Self> {
        let directory = place.run.join("notify");
        let failed = |error| io(error, "listening in", &directory);
        let manager = address(manager).map_err(|error| {
            io(error, "looking for the manager of services at", Path::new(manager))
        })?;
        let _ = std::fs::remove_dir_all(&directory);
        // Only who reaches the container's own directory gets here: that is the container, by its mount.
        std::fs::DirBuilder::new().mode(0o755).create(&directory).map_err(failed)?;
        let held = std::fs::File::open(&directory).map_err(failed)?;
        // Addresses are short.
        let short = format!("/proc/self/fd/{}/{SOCKET}", held.as_raw_fd());
        let socket = UnixDatagram::bind(short).map_err(failed)?;
        std::fs::set_permissions(directory.join(SOCKET), std::fs::Permissions::from_mode(0o777))
            .map_err(failed)?;
        drop(std::thread::spawn(move || pass_on(&socket, &manager)));
        Ok(Self { directory })
    }

    /// Gives a container the socket.
    pub(super) fn give(&self, spec: &mut RunSpec) -> Result<()> {
        let opened = super::super::spec::open_place(&self.directory);
        let opened: Arc<_> = opened.map_err(|error| io(error, "opening", &self.directory))?;
        spec.files.mounts.push(Mount::bind(opened, INSIDE));
        let path = Path::new(INSIDE).join(SOCKET);
        spec.process.environment.push(("NOTIFY_SOCKET".into(), path.into()));
        Ok(())
    }
}

/// A path, or with `@` a name without a file. Source: sd_notify(3).
fn address(name: &OsStr) -> std::io::Result<SocketAddr> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}

fn pass_on(socket: &UnixDatagram, manager: &SocketAddr) {
    let mut bytes = [0; LONGEST];
    while let Ok(length) = socket.recv(&mut bytes) {
        if bytes[..length].split(|byte| *byte == b'\n').any(|line| line == READY) {
            // A manager that is gone hears nothing.
            let _ = UnixDatagram::unbound().and_then(|to| to.send_to_addr(READY, manager));
        }
    }
}
