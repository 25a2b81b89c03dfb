//! What commands work with: the store, its images and its working containers.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, bail};
use cask_build::WorkingContainers;
use cask_engine::Images;
use cask_image::{ImageFormat, Timestamp};
use cask_program::settings::Settings;
use cask_program::storage::StoreArguments;
use cask_program::{events, registries, report};
use cask_storage::Store;
use cask_terminal::logging::{self, Level};
use cask_terminal::progress::{Mode, Progress};
use clap::Args;

/// What every command takes, before or after its name.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct GlobalArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    /// Use this signature policy
    #[arg(long, global = true, value_name = "FILE", hide = true)]
    pub(crate) signature_policy: Option<PathBuf>,
    /// Read the configuration of registries from this file alone
    #[arg(long, global = true, value_name = "FILE", hide = true)]
    pub(crate) registries_conf: Option<PathBuf>,
    /// Read the places of signatures from this directory alone
    #[arg(long, global = true, value_name = "DIRECTORY", hide = true)]
    pub(crate) registries_conf_dir: Option<PathBuf>,
    /// Keep answers about short names in this file
    #[arg(long, global = true, value_name = "FILE", hide = true)]
    pub(crate) short_name_alias_conf: Option<PathBuf>,
    /// Log messages at this level and above: trace, debug, info, warn, error, fatal or panic [default: warn]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// How control groups are made: cgroupfs
    #[arg(long, global = true, value_name = "MANAGER", hide = true)]
    pub(crate) cgroup_manager: Option<String>,
    /// Give commands copies of what this file lists, instead of mounts.conf in /etc/containers or /usr/share/containers
    #[arg(long, global = true, value_name = "FILE", hide = true)]
    pub(crate) default_mounts_file: Option<PathBuf>,
    /// As --log-level debug
    #[arg(long, hide = true)]
    pub(crate) debug: bool,
}

impl GlobalArguments {
    /// Refuses what is known and cannot be done.
    pub(crate) fn check(&self) -> Result<()> {
        match self.cgroup_manager.as_deref() {
            None | Some("cgroupfs") => Ok(()),
            Some(other) => bail!(
                "--cgroup-manager={other} is not supported: control groups are made in their file system (cgroupfs)"
            ),
        }
    }

    /// Begins to log what is asked for.
    ///
    /// Source: buildah, `cmd/buildah/main.go`, `before`.
    pub(crate) fn log(&self) -> Result<()> {
        let level = match &self.log_level {
            Some(text) => text.parse::<Level>().map_err(|_| {
                anyhow!("unable to parse log level: not a valid logrus Level: {text:?}")
            })?,
            None => Level::Warning,
        };
        let level = if self.debug { level.max(Level::Debug) } else { level };
        if level > Level::Warning {
            // Lines on standard error; the display itself shows nothing.
            logging::init(level, Progress::stderr(Mode::None).handle());
        }
        if level == Level::Error {
            report::no_warnings();
        }
        Ok(())
    }
}

/// The arguments that every command has, and what follows from them.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    /// Another mounts.conf.
    pub(crate) default_mounts_file: Option<PathBuf>,
    store: StoreArguments,
}

impl Context {
    pub(crate) fn new(global: GlobalArguments) -> Self {
        let mut settings = Settings::new("cooper");
        settings.policy = global.signature_policy;
        settings.registries_conf = global.registries_conf;
        settings.registries_d = global.registries_conf_dir;
        settings.short_name_aliases = global.short_name_alias_conf;
        settings.registry_sources = std::env::var("BUILD_REGISTRY_SOURCES").ok();
        settings.store.clone_from(&global.store);
        let default_mounts_file = global.default_mounts_file;
        Self { settings, default_mounts_file, store: global.store }
    }

    /// The store.
    pub(crate) fn store(&self) -> Result<Store> {
        self.store.open()
    }

    /// The images of the store.
    pub(crate) fn images(&self) -> Result<Images> {
        let images = Images::new(self.store()?, registries::lazily(&self.settings));
        Ok(images.with_events_in(events::log(&self.settings)?))
    }

    /// The working containers of the store.
    pub(crate) fn containers(&self) -> Result<WorkingContainers> {
        Ok(WorkingContainers::new(self.store()?))
    }

    /// Says what was found wrong with the store on the way.
    pub(crate) fn warn(store: &Store) {
        store.take_warnings().iter().for_each(|warning| report::note(&warning.to_string()));
    }
}

/// The time.
pub(crate) fn now() -> Result<Timestamp> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    let seconds = i64::try_from(since.as_secs())?;
    Timestamp::from_unix(seconds, since.subsec_nanos()).context("the clock is after the year 9999")
}

/// A switch of the environment, as buildah reads it.
pub(crate) fn environment_switch(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| matches!(value.to_lowercase().as_str(), "true" | "1"))
}

/// The format of images that a flag names, or else the environment.
pub(crate) fn format(given: Option<&str>) -> Result<ImageFormat> {
    let named = given.map(str::to_owned).or_else(|| std::env::var("BUILDAH_FORMAT").ok());
    match named.as_deref().unwrap_or_default() {
        "" | "oci" => Ok(ImageFormat::Oci),
        "docker" => Ok(ImageFormat::Docker),
        other => bail!("unrecognized image type {other:?}"),
    }
}
