//! Telling the manager of services that a container was started.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use anyhow::{Context as _, Result, bail};
use cask_engine::{Container, Containers};

/// The variable that says where the manager listens. Source: sd_notify(3).
const SOCKET: &str = "NOTIFY_SOCKET";

/// The value of `--sdnotify`.
pub(super) fn mode(given: Option<&str>) -> Result<String> {
    match given {
        Some("container") if std::env::var_os(SOCKET).is_some() => bail!(
            "--sdnotify container is not supported where {SOCKET} is set: containers are not given that socket; use --sdnotify conmon"
        ),
        None | Some("container" | "conmon" | "ignore") => Ok(given.unwrap_or_default().to_owned()),
        Some(other) => bail!(
            "invalid config provided: invalid argument: invalid sdnotify value {other:?}: must be container, conmon or ignore"
        ),
    }
}

/// Tells that a container was started, and which process stands for it, where that was asked for.
pub(super) fn started(containers: &Containers, container: &Container) -> Result<()> {
    let Some(name) =
        std::env::var_os(SOCKET).filter(|_| container.config.lifecycle.notify == "conmon")
    else {
        return Ok(());
    };
    let monitor = containers.find(container.id())?.state.monitor_pid;
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    let told = address.and_then(|address| {
        UnixDatagram::unbound()?
            .send_to_addr(format!("MAINPID={monitor}\nREADY=1").as_bytes(), &address)
    });
    told.with_context(|| format!("telling {}", name.display())).map(drop)
}
