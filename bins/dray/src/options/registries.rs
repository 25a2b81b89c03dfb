//! Finding and reading `registries.conf` and the certificates of registries.

use anyhow::Result;
use cask_config::Environment;
use cask_config::registries::{Paths, RegistriesConf};

use crate::options::credentials::variable_path;

/// What the user's and the system's files say.
pub(crate) fn read() -> Result<RegistriesConf> {
    Ok(RegistriesConf::load(&Paths::from_environment(&environment()))?)
}

/// What the places of these files depend on.
pub(crate) fn environment() -> Environment {
    let mut environment = Environment::default();
    environment.home = variable_path("HOME");
    environment.xdg_config_home = variable_path("XDG_CONFIG_HOME");
    environment.xdg_cache_home = variable_path("XDG_CACHE_HOME");
    environment.containers_registries_conf = variable_path("CONTAINERS_REGISTRIES_CONF");
    environment.containers_registries_conf_override =
        variable_path("CONTAINERS_REGISTRIES_CONF_OVERRIDE");
    environment.user_id = rustix::process::getuid().as_raw();
    environment
}
