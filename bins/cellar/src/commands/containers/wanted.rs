//! The image that a container is made from, which is pulled where it is missing.

use std::sync::Arc;

use anyhow::{Result, bail};
use cask_engine::{ErrorKind, Found, Images, PullPolicy};
use cask_program::moving::{self, PlatformArguments, RegistryArguments};
use cask_program::progress::ProgressChoice;

use crate::context::Context;

/// An image that somebody wants.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) policy: PullPolicy,
    pub(super) quiet: bool,
    pub(super) platform: &'a PlatformArguments,
    pub(super) registry: &'a RegistryArguments,
}

/// Finds an image of this name, or pulls it.
pub(super) fn find_missing(name: &str, images: &Images, context: &Context) -> Result<Found> {
    let wanted = Wanted {
        name,
        policy: PullPolicy::Missing,
        quiet: false,
        platform: &PlatformArguments::default(),
        registry: &RegistryArguments::default(),
    };
    wanted.find(images, context)
}

impl Wanted<'_> {
    /// Finds it, or pulls it, and tells where it is for another platform.
    pub(super) fn find(&self, images: &Images, context: &Context) -> Result<Found> {
        let found = self.find_any(images, context)?;
        let wanted = self.platform.wanted(&context.settings)?;
        moving::check_platform(images, &found.image, &wanted)?;
        Ok(found)
    }

    fn find_any(&self, images: &Images, context: &Context) -> Result<Found> {
        let here = images.find(self.name);
        let asks_nobody = matches!(self.policy, PullPolicy::Never | PullPolicy::Missing);
        match here {
            Ok(found) if asks_nobody && self.fits(&found, images, context)? => {
                // Podman asks its images to be pulled where they are missing, and tells that it did.
                images.note("pull", "", self.name);
                return Ok(found);
            }
            Err(error)
                if error.kind() != ErrorKind::ImageNotKnown || self.policy == PullPolicy::Never =>
            {
                return Err(error.into());
            }
            _ => {}
        }
        crate::run::wait(self.pull(images, context))
    }

    /// Whether an image is of the platform that was asked for, if any was.
    fn fits(&self, found: &Found, images: &Images, context: &Context) -> Result<bool> {
        if !self.platform.is_asked() {
            return Ok(true);
        }
        let wanted = self.platform.wanted(&context.settings)?;
        let Some(config) = images.config(&found.image)? else { return Ok(true) };
        let variant = wanted.variant.is_none() || wanted.variant == config.variant;
        let same = wanted.architecture == config.architecture;
        Ok(variant && same && wanted.os == config.os)
    }

    async fn pull(&self, images: &Images, context: &Context) -> Result<Found> {
        let platform = self.platform.wanted(&context.settings)?;
        let transports = self.registry.transports(images, &context.settings).await?;
        let progress = Arc::new(ProgressChoice::Auto.start(self.quiet));
        let copy = moving::copy_options(&context.settings, platform, &progress, self.quiet)?;
        let mut options = moving::pull_options(copy, self.policy, &progress);
        options.platform_asked = self.platform.is_asked();
        let pulled = images.pull(self.name, &transports, &options).await?;
        images.note("pull", "", self.name);
        let Some(arrived) = pulled.first() else { bail!("{}: nothing was pulled", self.name) };
        let mut found = images.find(arrived.id.as_ref())?;
        if let Ok(named) = images.find(self.name) {
            found.name = named.name;
        }
        Ok(found)
    }
}
