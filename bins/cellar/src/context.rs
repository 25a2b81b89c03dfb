//! What commands work with: the store and its images.

use std::path::PathBuf;

use anyhow::Result;
use cask_engine::{Containers, Images};
use cask_program::settings::Settings;
use cask_program::{
    containers_conf, default_mounts, events, networks, registries, report, services,
};
use cask_runtime::ServiceManager;
use cask_storage::Store;

use crate::cli::GlobalArguments;
use crate::commands::containers::described;

/// The arguments that every command has, and what follows from them.
pub(crate) struct Context {
    pub(crate) global: GlobalArguments,
    pub(crate) settings: Settings,
}

impl Context {
    pub(crate) fn new(global: GlobalArguments) -> Self {
        let mut settings = Settings::new("cellar");
        settings.policy.clone_from(&global.signature_policy);
        settings.registries_conf.clone_from(&global.registries_conf);
        settings.docker_config.clone_from(&global.config);
        settings.temporary_directory.clone_from(&global.tmpdir);
        settings.store.clone_from(&global.store);
        settings.network_config_dir.clone_from(&global.network_config_dir);
        settings.events_backend.clone_from(&global.events_backend);
        Self { global, settings }
    }

    /// The images of the store.
    pub(crate) fn images(&self) -> Result<Images> {
        let store = self.global.store.open()?;
        let images = Images::new(store, registries::lazily(&self.settings));
        Ok(images.with_events_in(events::log(&self.settings)?))
    }

    /// The containers of the store.
    pub(crate) fn containers(&self) -> Result<Containers> {
        let containers = Containers::new(self.images()?);
        let places = networks::places(containers.networks().places().clone(), &self.settings)?;
        let containers = containers.with_volumes_in(self.volume_directory()?);
        let containers = containers.with_networks_in(places).with_services(self.services()?);
        let containers = containers.with_hooks_in(self.hook_directories()?);
        let containers = containers.with_cdi_devices_in(self.cdi_directories()?);
        let named = self.global.default_mounts_file.as_deref();
        let given = default_mounts::load(named);
        let containers = containers.with_default_mounts(given);
        let is_described = containers_conf::load()?.engine.events_inspect == Some(true);
        Ok(containers.with_descriptions(is_described.then_some(described)))
    }

    /// Where volumes are, if not in the store.
    pub(crate) fn volume_directory(&self) -> Result<Option<PathBuf>> {
        let given = self.global.volumepath.clone();
        let directory = match given {
            Some(directory) => Some(directory),
            None => containers_conf::load()?.engine.volume_path.clone(),
        };
        Ok(directory.map(std::path::absolute).transpose()?)
    }

    /// Where files say which hooks containers have.
    fn hook_directories(&self) -> Result<Vec<PathBuf>> {
        let conf = containers_conf::load()?;
        cask_program::hooks::directories(&self.global.hooks_dir, conf.engine.hooks.as_deref())
    }

    /// Where files describe devices of vendors.
    pub(crate) fn cdi_directories(&self) -> Result<Vec<PathBuf>> {
        let conf = containers_conf::load()?;
        cask_program::devices::directories(
            &self.global.cdi_spec_dir,
            conf.engine.cdi_directories.as_deref(),
        )
    }

    /// Who makes control groups, where that is not this program.
    pub(crate) fn services(&self) -> Result<Option<ServiceManager>> {
        let conf = containers_conf::load()?;
        services::chosen(self.global.cgroup_manager.as_deref(), &conf.engine)
    }

    /// Says what was found wrong with the store on the way.
    pub(crate) fn warn(store: &Store) {
        store.take_warnings().iter().for_each(|warning| report::note(&warning.to_string()));
    }
}
