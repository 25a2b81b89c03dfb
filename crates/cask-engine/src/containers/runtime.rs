//! Containers of an external OCI runtime: crun, runc, youki.
//!
//! ```text
//! RUN ROOT/cask/containers/<id>/runtime/   the bundle, while it runs, and the runtime's own state
//! ```
//!
//! Its root, its mounts, its control group and its network are made here, as for every other container; the runtime
//! makes the first process. Everything after that (stopping, more processes, pauses, statistics) needs no runtime.

use cask_runtime::{OciExecutor, OciOptions};

use super::Container;
use super::config::ContainerConfig;
use crate::{Error, ErrorKind, Result};

impl Container {
    /// The runtime that it has, if that is none of our own.
    ///
    /// # Errors
    /// [`ErrorKind::NotStarted`] with what is wrong with it.
    pub(super) fn external_runtime(&self) -> Result<Option<OciExecutor>> {
        let Some(runtime) = &self.config.runtime else { return Ok(None) };
        let mut options = OciOptions::new(&runtime.program, self.place.run.join("runtime"));
        options.flags.clone_from(&runtime.flags);
        Ok(Some(OciExecutor::new(options)?))
    }

    /// Has the runtime end what outlived its monitor, and waits for the helper of that.
    pub(super) fn sweep_runtime(&self) -> Result<()> {
        if self.config.runtime.is_none() || !self.place.run.join("runtime").exists() {
            return Ok(());
        }
        match self.external_runtime()? {
            Some(runtime) => Ok(runtime.sweep()?),
            None => Ok(()),
        }
    }
}

/// Refuses what only the native executor gives.
pub(super) fn check(config: &ContainerConfig) -> Result<()> {
    let Some(runtime) = &config.runtime else { return Ok(()) };
    let shared = |mount: &super::MountConfig| mount.propagation.ends_with("shared");
    let asked = match () {
        () if super::spec::keeps_groups(&config.process.groups) => "--group-add keep-groups",
        () if !config.process.personality.is_empty() => "--personality",
        () if config.files.mounts.iter().any(shared) => "a shared mount",
        () if config.resources.cgroups == "disabled" => "--cgroups disabled",
        () => return Ok(()),
    };
    let why = format!("the runtime {} is not asked for it", runtime.name);
    Err(Error::new(ErrorKind::Invalid, asked, why).with_hint("leave --runtime out"))
}
