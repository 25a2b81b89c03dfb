//! Where networks are kept, the programs that make them, and what is so where nobody says otherwise.

use anyhow::{Context as _, Result, ensure};
use cask_config::containers::NetworkConf;
use cask_network::{Defaults, Places, SubnetPool, is_name};

use crate::containers_conf;
use crate::settings::Settings;

/// The places of the store with what the command line, the environment and containers.conf say instead.
///
/// # Errors
/// Those of containers.conf; for a relative directory where the working directory is gone.
pub fn places(of_store: Places, settings: &Settings) -> Result<Places> {
    let mut places = of_store;
    let conf = containers_conf::load()?;
    let directory = settings.network_config_dir.as_ref().or(conf.network.directory.as_ref());
    if let Some(directory) = directory {
        places.config = std::path::absolute(directory)?;
    }
    if let Some(directories) = &conf.engine.helpers {
        places.set_helpers(directories);
    }
    // Podman's own name for it. Source: containers/common, `pkg/config/config.go`.
    if let Some(directory) = std::env::var_os("CONTAINERS_HELPER_BINARY_DIR") {
        places.helpers.insert(0, directory.into());
    }
    change(&mut places.defaults, &conf.network)
        .context("reading the table network of containers.conf")?;
    Ok(places)
}

/// Takes over what the file says.
fn change(defaults: &mut Defaults, conf: &NetworkConf) -> Result<()> {
    if let Some(name) = &conf.usual {
        ensure!(is_name(name), "default_network {name:?} is no name of a network");
        defaults.network.clone_from(name);
    }
    if let Some(subnet) = &conf.usual_subnet {
        defaults.subnet = subnet.parse().context("default_subnet")?;
    }
    if let Some(pools) = &conf.subnet_pools {
        let pool = |(base, bits): &(String, i64)| {
            let bits = u8::try_from(*bits).unwrap_or(u8::MAX);
            Ok(SubnetPool::new(base.parse()?, bits)?)
        };
        defaults.pools =
            pools.iter().map(pool).collect::<Result<_>>().context("default_subnet_pools")?;
    }
    // 0 is that nobody says.
    if let Some(port) = conf.dns_port.filter(|port| *port != 0) {
        let port = u16::try_from(port).with_context(|| format!("dns_bind_port {port}"))?;
        defaults.dns_port = Some(port);
    }
    defaults.firewall.clone_from(&conf.firewall);
    Ok(())
}
