//! Telling the manager of services that a container was started.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use anyhow::{Context as _, Result, bail};
use cask_engine::{Container, Containers, StartOptions, Terminal};

/// The variable that says where the manager listens. Source: sd_notify(3).
const SOCKET: &str = "NOTIFY_SOCKET";

/// Source: sd_listen_fds(3).
const FIRST_LISTENING: u32 = 3;
/// More sockets nobody listens at.
const MOST_LISTENING: u32 = 900;

/// The value of `--sdnotify`.
pub(super) fn mode(given: Option<&str>) -> Result<String> {
    match given {
        None | Some("container" | "conmon" | "ignore") => Ok(given.unwrap_or_default().to_owned()),
        Some(other) => bail!(
            "invalid config provided: invalid argument: invalid sdnotify value {other:?}: must be container, conmon or ignore"
        ),
    }
}

/// How a container is started by who may have such a manager.
pub(super) fn options(attach: bool, size: Option<Terminal>) -> StartOptions {
    let mut options = StartOptions::default();
    (options.attach, options.size) = (attach, size);
    options.notify_socket = std::env::var_os(SOCKET).filter(|name| !name.is_empty());
    options.descriptors = listening();
    options.listens = !options.descriptors.is_empty();
    options
}

/// The numbers of the sockets that the manager listens at for what it starts.
///
/// Source: sd_listen_fds(3); podman, `libpod/oci_conmon_common.go`.
fn listening() -> Vec<u32> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    // They may be for whoever started this.
    let are_ours = number("LISTEN_PID").is_none_or(|pid| pid == std::process::id());
    let count = number("LISTEN_FDS").filter(|_| are_ours).unwrap_or_default();
    let numbers = FIRST_LISTENING..FIRST_LISTENING.saturating_add(count.min(MOST_LISTENING));
    numbers.filter(|number| cask_runtime::has_inherited_descriptor(*number)).collect()
}

/// Tells which process stands for a container that was started, and that it is ready where the container does not say so
/// itself.
pub(super) fn started(containers: &Containers, container: &Container) -> Result<()> {
    let mode = container.config.lifecycle.notify.as_str();
    let Some(name) = std::env::var_os(SOCKET).filter(|name| !name.is_empty() && mode != "ignore")
    else {
        return Ok(());
    };
    let monitor = containers.find(container.id())?.state.monitor_pid;
    let ready = if mode == "conmon" { "\nREADY=1" } else { "" };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    let told = address.and_then(|address| {
        UnixDatagram::unbound()?
            .send_to_addr(format!("MAINPID={monitor}{ready}").as_bytes(), &address)
    });
    told.with_context(|| format!("telling {}", name.display())).map(drop)
}
