//! What commands work with: the transports, the policy, the platform.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use cask::transport::{Location, Transports};
use cask::trust::Policy;

use crate::cli::GlobalArguments;
use crate::options;
use crate::options::access::OneArguments;

/// The arguments that every command has, and what follows from them.
pub(crate) struct Context {
    pub(crate) global: GlobalArguments,
}

impl Context {
    /// Parses the image that a command is about.
    pub(crate) fn image(&self, text: &str, transports: &Transports) -> Result<Box<dyn Location>> {
        tracing::debug!("The transports are {transports:?}");
        transports.parse(text).with_context(|| format!("Error parsing image name {text:?}"))
    }

    /// The transports, with this access to registries.
    pub(crate) async fn transports(&self, access: &OneArguments) -> Result<Transports> {
        let mut place = options::transports::options(&self.global, None);
        let access = access.resolve(&self.global).await?;
        options::transports::set_access(&mut place, &access, &self.global);
        Ok(cask::transports(&place))
    }

    /// The signature policy.
    pub(crate) fn policy(&self) -> Result<Arc<Policy>> {
        options::policy::read(&self.global)
    }
}
