//! What commands work with: the transports, the policy, the platform.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use cask::transport::{Location, Transports};
use cask::trust::Policy;
use cask_program::access::OneArguments;
use cask_program::settings::Settings;
use cask_program::{policy, transports};

use crate::cli::GlobalArguments;
use crate::options::place::PlaceArguments;

/// The arguments that every command has, and what follows from them.
pub(crate) struct Context {
    pub(crate) global: GlobalArguments,
    pub(crate) settings: Settings,
}

impl Context {
    pub(crate) fn new(global: GlobalArguments) -> Self {
        let settings = global.settings();
        Self { global, settings }
    }

    /// Parses the image that a command is about.
    pub(crate) fn image(&self, text: &str, transports: &Transports) -> Result<Box<dyn Location>> {
        tracing::debug!("The transports are {transports:?}");
        transports.parse(text).with_context(|| format!("Error parsing image name {text:?}"))
    }

    /// The transports, with this access to registries.
    pub(crate) async fn transports(&self, access: &OneArguments) -> Result<Transports> {
        let access = access.resolve(&self.settings).await?;
        Ok(transports::with_access(&access, &self.settings))
    }

    /// The transports, by what the arguments say of the one place.
    pub(crate) async fn transports_of(&self, place: &PlaceArguments) -> Result<Transports> {
        let mut options = transports::options(&self.settings, place.shared_blob_dir.as_deref());
        transports::set_daemon(&mut options, "--daemon-host", place.daemon_host.as_deref())?;
        let access = place.access.resolve(&self.settings).await?;
        transports::set_access(&mut options, &access, &self.settings);
        Ok(cask::transports(&options))
    }

    /// The signature policy.
    pub(crate) fn policy(&self) -> Result<Arc<Policy>> {
        policy::read(&self.settings)
    }
}
