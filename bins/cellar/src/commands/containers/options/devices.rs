//! Flags that say which devices a container has.

use clap::Args;

/// Its devices.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct DeviceArguments {
    /// Add a device of this machine: a path, or the name VENDOR/CLASS=NAME of one that a vendor describes in /etc/cdi
    #[arg(long, value_name = "HOST[:CONTAINER[:rwm]]", value_delimiter = ',')]
    device: Vec<String>,
    /// Add graphics processors of NVIDIA: all, or the name or the number of one, as NVIDIA describes them in /etc/cdi
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    gpus: Vec<String>,
}

impl DeviceArguments {
    /// Paths and names.
    ///
    /// Source: podman, `pkg/specgenutil/specgen.go`.
    pub(super) fn devices(&self) -> Vec<String> {
        let gpus = self.gpus.iter().map(|name| format!("nvidia.com/gpu={name}"));
        self.device.iter().cloned().chain(gpus).collect()
    }
}
