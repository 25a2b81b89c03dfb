//! The network of a container in the hands of its monitor.

use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use cask_network::{Connection, Pasta, PastaOptions};

use super::super::config::NetworkMode;
use super::super::record::{boot, io};
use super::super::{Container, Containers, etc};
use super::bridges::Bridges;
use super::forward::Forward;
use super::ports::{self, Reserved};
use super::{ContainerNetwork, lease, ports_of};
use crate::Result;

/// What a monitor holds for the network of its container.
pub(in crate::containers) struct Live {
    ports: Vec<Reserved>,
    bridges: Option<Bridges>,
    forward: Option<Forward>,
    /// Kept so that it can be taken back in order when all of its processes have ended.
    namespace: Option<OwnedFd>,
    pasta: Option<Pasta>,
}

/// The path at which another process opens what this one has open.
pub(super) fn path_of(namespace: &OwnedFd) -> PathBuf {
    let path = format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd());
    PathBuf::from(path)
}

impl Live {
    /// Reserves ports and addresses, and writes down what is about to be done. `None` for a container that has no
    /// network to be made.
    pub(in crate::containers) fn prepare(
        containers: &Containers,
        container: &Container,
    ) -> Result<Option<Self>> {
        let config = &container.config;
        let mut kept = ContainerNetwork { boot: boot(), ..ContainerNetwork::default() };
        let mut live =
            Self { ports: Vec::new(), bridges: None, forward: None, namespace: None, pasta: None };
        match &config.network.mode {
            // Pasta takes the ports itself.
            NetworkMode::Pasta(_) => {}
            NetworkMode::Bridge(_) => {
                live.ports = ports::reserve(&config.network.ports)?;
                let bridges = containers.bridges()?;
                kept.of_user = bridges.are_a_users();
                live.bridges = Some(bridges);
            }
            _ => return Ok(None),
        }
        kept.save(&container.place)?;
        if let NetworkMode::Bridge(_) = &config.network.mode {
            kept.connection = Connection {
                container_id: config.id.clone(),
                container_name: config.name.clone(),
                port_mappings: ports_of(config),
                ..Connection::default()
            };
            let networks = containers.networks();
            for wanted in &config.network.attachments {
                if let Err(error) = lease(&networks, config, wanted, &mut kept.connection) {
                    live.take_back(containers, container);
                    return Err(error);
                }
            }
            kept.save(&container.place)?;
        }
        Ok(Some(live))
    }

    /// Connects the container, whose first process waits.
    pub(in crate::containers) fn connect(
        &mut self,
        containers: &Containers,
        container: &Container,
        pid: u32,
    ) -> Result<()> {
        let path = PathBuf::from(format!("/proc/{pid}/ns/net"));
        let opened = File::open(&path).map_err(|error| io(error, "opening", &path))?;
        let namespace = self.namespace.insert(OwnedFd::from(opened));
        let place = &container.place;
        let Some(mut kept) = ContainerNetwork::load(place) else { return Ok(()) };
        let config = &container.config;
        if let NetworkMode::Pasta(own) = &config.network.mode {
            let mut options = PastaOptions::default();
            options.ports = ports_of(config);
            options.options.clone_from(&config.network.pasta_options);
            options.options.extend(own.iter().cloned());
            let namespace = namespace.try_clone().map_err(|error| io(error, "opening", &path))?;
            let pasta =
                Pasta::start(containers.networks().places(), namespace, &place.run, &options)?;
            let pid = pasta.pid();
            self.pasta = Some(pasta);
            kept.pasta = cask_runtime::ProcessHandle::started(pid).map(|started| (pid, started));
        } else if let Some(bridges) = &self.bridges {
            kept.status = bridges.connect(&path_of(namespace), &kept.connection)?;
            if bridges.are_a_users() && !self.ports.is_empty() {
                let addresses: Vec<_> = kept.addresses().map(|(address, _)| address).collect();
                let ports = std::mem::take(&mut self.ports);
                self.forward = Some(Forward::start(ports, namespace, &addresses)?);
            }
        }
        kept.save(place)?;
        etc::rewrite(config, place, Some(&kept))
    }

    /// Takes everything back, those networks too that the container was connected to meanwhile.
    pub(in crate::containers) fn take_back(
        &mut self,
        containers: &Containers,
        container: &Container,
    ) {
        self.forward.take();
        let networks = containers.networks();
        if let Some(kept) = ContainerNetwork::load(&container.place) {
            if let (Some(namespace), Some(bridges)) = (&self.namespace, &self.bridges)
                && !kept.connection.networks.is_empty()
            {
                // What cannot be taken back now can neither later.
                let _ = bridges.disconnect(&path_of(namespace), &kept.connection);
            }
            let _ = networks.leases().give_back(None, container.id());
        }
        if let Some(pasta) = &mut self.pasta {
            pasta.stop();
        }
        self.bridges.take();
        ContainerNetwork::remove(&container.place);
    }
}
