//! The monitor of a container: it starts it, keeps its output, relays, and tidies up when it has ended.

mod life;
mod log;
mod notify;
mod prepared;
mod relay;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use cask_storage::{Id, Store};
use rustix::fs::{CWD, Mode, OFlags};

use super::record::Held;
use super::start::{Failure, Order};
use super::{ContainerConfig, Containers, wire};
use crate::{Error, ErrorKind, Images, Result, no_registries};
use relay::Client;

/// The first argument that makes the embedding program call [`run_monitor`].
pub const MONITOR_ARGUMENT: &str = "__monitor";

/// What [`run_monitor`] returns where nobody started it as one.
const NOT_A_MONITOR: u8 = 125;

/// Is the monitor of one container, until that has ended. The embedding program calls this first of all in `main`
/// where its first argument is [`MONITOR_ARGUMENT`].
///
/// Returns the status to leave with: that of the container, by which a manager of services that was told of the monitor
/// knows how its service ended.
pub fn run_monitor() -> u8 {
    let Some(socket) = take_socket() else { return NOT_A_MONITOR };
    let Some(held) = take_lock() else { return NOT_A_MONITOR };
    // Of a session of its own: the terminal of whoever started it is none of its business.
    let _ = rustix::process::setsid();
    // As others see it: it was started by the number of a file.
    let _ = rustix::thread::set_name(c"cask-monitor");
    match watch(&socket, held) {
        Ok(code) => u8::try_from(code & 0xff).unwrap_or(u8::MAX),
        Err(error) => {
            let told = serde_json::to_vec(&Failure::of(&error)).unwrap_or_default();
            let _ = wire::send(&socket, wire::FAILED, &told, true);
            1
        }
    }
}

fn take_socket() -> Option<OwnedFd> {
    let kind = rustix::net::sockopt::socket_type(rustix::stdio::stdin()).ok()?;
    if kind != rustix::net::SocketType::SEQPACKET {
        return None;
    }
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).ok()?;
    rustix::stdio::dup2_stdin(&null()?).ok()?;
    Some(socket)
}

/// The lock of the container, which whoever started this left as standard output: nobody else works on the container
/// until it has begun, or has not, also where that one was killed. What watches a command in a container has none.
fn take_lock() -> Option<Held> {
    let lock = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3).ok()?;
    rustix::stdio::dup2_stdout(&null()?).ok()?;
    Some(Held::new(lock.into()))
}

fn null() -> Option<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, "/dev/null", flags, Mode::empty()).ok()
}

fn watch(socket: &OwnedFd, held: Held) -> Result<i32> {
    let refused = |why: &str| Error::new(ErrorKind::NotStarted, "the order of the monitor", why);
    let packet = wire::receive(socket).ok().flatten().ok_or_else(|| refused("there is none"))?;
    let order: Order = serde_json::from_slice(&packet.body)
        .map_err(|error| refused("it is not understood").with_source(error))?;
    let store = Store::open(order.store.options())?;
    let images = Images::new(store, no_registries()).with_events_in(order.events.clone());
    let containers = Containers::new(images);
    let containers =
        containers.with_networks_in(order.networks.clone()).with_journal(order.journal.clone());
    let containers = containers.with_volumes_in(order.volumes.clone());
    let containers = containers.with_hooks_in(order.hooks.clone());
    let containers = containers.with_cdi_devices_in(order.cdi_devices.clone());
    let given = order.default_mounts.iter().cloned();
    let given = given.map(|(source, target)| cask_runtime::GivenFile { source, target });
    let containers = containers.with_default_mounts(given.collect());
    let services = order.services.clone().map(|(socket, of_service)| {
        cask_runtime::ServiceManager::at(socket).with_service(of_service)
    });
    let containers = containers.with_services(services);
    if order.keeps_bridges {
        drop(held);
        cask_runtime::close_inherited_descriptors();
        containers.keep_bridges(|| {
            let _ = wire::send(socket, wire::STARTED, &[], true);
        })?;
        return Ok(0);
    }
    let container = containers.at(&Id::parse(&order.id)?)?;
    if let Some(options) = &order.exec {
        drop(held);
        containers.watch_exec(&container, options, || {
            // Whoever asked may be gone already.
            let _ = wire::send(socket, wire::STARTED, &[], true);
        })?;
        return Ok(0);
    }
    let Some(alive) = container.place.become_monitor()? else {
        return Err(Error::new(
            ErrorKind::StateImproper,
            container.id(),
            "another monitor watches it",
        ));
    };
    let starter = socket
        .try_clone()
        .map_err(|error| Error::new(ErrorKind::Io, "the socket", "").with_source(error))?;
    let passed = super::start::take_descriptors(&order.descriptors)?;
    // Pipes of whoever started it would never come to an end.
    cask_runtime::close_inherited_descriptors();
    let mut life = life::Life::new(&containers, &container, order.size, passed);
    life.notify_socket.clone_from(&order.notify_socket);
    life.listens = order.listens;
    if container.passes_through() {
        let ends: Vec<_> = packet.descriptors.into_iter().map(Arc::new).collect();
        let ends = ends.try_into().map_err(|_| refused("it is without input and output"))?;
        life.handed_over = Some(ends);
    }
    // Until this it can be told that nothing began.
    let begun = if order.prepares { life.prepare() } else { life.begin() };
    if let Err(error) = begun {
        life.discard(&error);
        return Err(error);
    }
    life.tell(match (order.prepares, order.attach) {
        (true, _) => &["init"],
        (false, true) => &["init", "start", "attach"],
        (false, false) => &["init", "start"],
    });
    drop(held);
    let told = wire::send(socket, wire::STARTED, &[], true).is_ok();
    if order.prepares {
        drop(starter);
        life.wait_for_word()?;
    } else if order.attach && told {
        life.clients.push(Client::new(starter));
    }
    life.go_on(alive)
}

impl ContainerConfig {
    /// Whether its monitor begins it again after it ended so.
    fn begins_again(&self, code: i32, restarts: u32, stopped: bool) -> bool {
        use super::RestartPolicy::{Always, No, OnFailure, UnlessStopped, Unsaid};
        if stopped || self.lifecycle.auto_remove {
            return false;
        }
        match self.lifecycle.restart {
            Unsaid | No => false,
            Always | UnlessStopped => true,
            OnFailure(most) => code != 0 && (most == 0 || restarts < most),
        }
    }
}
