//! Devices of this machine that a container is given: nodes by their paths, and what vendors describe.

use std::path::Path;

use cask_runtime::{CdiEdits, Device, DeviceAccess, is_cdi_device};

use super::config::ContainerConfig;
use super::{Container, Containers};
use crate::{Error, ErrorKind, Result};

impl Containers {
    /// What a container gets with devices of the Container Device Interface, as their files are now.
    ///
    /// The words, and that it is the command that cannot be run so, are podman's.
    pub(super) fn interface_devices(&self, config: &ContainerConfig) -> Result<CdiEdits> {
        let named = config.files.devices.iter().filter(|device| is_cdi_device(device));
        let names: Vec<String> = named.cloned().collect();
        CdiEdits::find(&names, &self.cdi_directories).map_err(|error| {
            Error::new(ErrorKind::CommandNotExecutable, "setting up CDI devices", "")
                .with_source(error)
                .with_hint("files in /etc/cdi, /var/run/cdi or --cdi-spec-dir describe devices")
        })
    }

    /// What is wrong with files that might describe devices of a container.
    pub fn device_warnings(&self, container: &Container) -> Vec<String> {
        let found = self.interface_devices(&container.config);
        found.map(|found| found.warnings().to_vec()).unwrap_or_default()
    }

    /// The devices that a container has or would have: where they are here, and in it. What vendors describe is not
    /// there where it cannot be found.
    pub fn devices_of(&self, container: &Container) -> Vec<(String, String)> {
        let config = &container.config;
        let plain = nodes(config).filter_map(|device| device_parts(device).ok());
        let mut all: Vec<_> =
            plain.map(|(host, inside, _)| (host.to_owned(), inside.to_owned())).collect();
        let described = self.interface_devices(config).unwrap_or_default();
        all.extend(described.devices().map(|device| {
            (device.source.display().to_string(), device.path.display().to_string())
        }));
        all
    }
}

/// Refuses what is no device.
pub(super) fn check(config: &ContainerConfig) -> Result<()> {
    nodes(config).map(|device| device_parts(device)).try_for_each(|parts| parts.map(drop))
}

/// What is asked for by its path.
pub(super) fn nodes(config: &ContainerConfig) -> impl Iterator<Item = &String> {
    config.files.devices.iter().filter(|device| !is_cdi_device(device))
}

/// The devices that a container is given by their paths, as this machine has them.
pub(super) fn devices(config: &ContainerConfig) -> Result<Vec<Device>> {
    let one = |text: &String| {
        let (host, inside, access) = device_parts(text)?;
        let mut device = Device::of(Path::new(host), inside)?;
        device.access = access;
        Ok(device)
    };
    nodes(config).map(one).collect()
}

fn device_parts(text: &str) -> Result<(&str, &str, DeviceAccess)> {
    let parts: Vec<&str> = text.split(':').collect();
    let mode = DeviceAccess::of_letters;
    let parsed = match parts.as_slice() {
        [host] => Some((*host, *host, DeviceAccess::ALL)),
        [host, last] => Some(match mode(last) {
            Some(access) => (*host, *host, access),
            None => (*host, *last, DeviceAccess::ALL),
        }),
        [host, inside, last] => mode(last).map(|access| (*host, *inside, access)),
        _ => None,
    };
    parsed.ok_or_else(|| {
        let why = "invalid device: it is HOST[:CONTAINER[:rwm]]";
        Error::new(ErrorKind::Invalid, format_args!("{text:?}"), why)
    })
}
