//! What the user's and the system's files say of containers.

use anyhow::Result;
use cask_config::containers::ContainersPaths;

pub use cask_config::containers::{ContainerModes, ContainersConf, EngineConf};

use crate::registries;

/// Reads containers.conf and its drop-ins, as `$CONTAINERS_CONF` and `$CONTAINERS_CONF_OVERRIDE` have it.
///
/// # Errors
/// Those of the files.
pub fn load() -> Result<ContainersConf> {
    let variable = |name| std::env::var_os(name).map(Into::into);
    let paths = ContainersPaths::new(
        &registries::environment(),
        variable("CONTAINERS_CONF"),
        variable("CONTAINERS_CONF_OVERRIDE"),
    );
    Ok(ContainersConf::load(&paths)?)
}
