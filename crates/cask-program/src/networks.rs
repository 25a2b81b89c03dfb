//! Where networks are kept, and the programs that make them.

use anyhow::Result;
use cask_network::Places;

use crate::settings::Settings;

/// The places of the store with what the command line and the environment say instead.
///
/// # Errors
/// For a relative directory where the working directory is gone.
pub fn places(of_store: Places, settings: &Settings) -> Result<Places> {
    let mut places = of_store;
    if let Some(directory) = &settings.network_config_dir {
        places.config = std::path::absolute(directory)?;
    }
    // Podman's own name for it. Source: containers/common, `pkg/config/config.go`.
    if let Some(directory) = std::env::var_os("CONTAINERS_HELPER_BINARY_DIR") {
        places.helpers.insert(0, directory.into());
    }
    Ok(places)
}
