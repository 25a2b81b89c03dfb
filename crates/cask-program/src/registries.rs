//! Finding and reading `registries.conf` and the certificates of registries.

use std::sync::{Arc, OnceLock};

use cask::docker::{Lookasides, Registries};
use cask::reference::Reference;
use cask_config::lookaside::{self, LookasideConf};
use cask_config::registries::{Access, Endpoint, Paths, RegistriesConf, RegistrySources};
use cask_config::{Environment, Error};

use crate::credentials::variable_path;
use crate::settings::Settings;
use crate::{report, rootless};

/// What the file that a flag names says, or the user's and the system's files.
pub fn read(settings: &Settings) -> Result<RegistriesConf, Error> {
    let paths = match &settings.registries_conf {
        Some(file) => Paths::only(file),
        None => Paths::from_environment(&environment()),
    };
    let conf = RegistriesConf::load(&paths)?;
    conf.warnings().iter().for_each(|warning| report::note(&warning.to_string()));
    match settings.registry_sources.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => Ok(conf.with_sources(RegistrySources::parse(text)?)),
        None => Ok(conf),
    }
}

/// The same, read when it is first wanted.
pub fn lazily(settings: &Settings) -> Registries {
    let (settings, known) = (settings.clone(), OnceLock::new());
    Arc::new(move || match known.get() {
        Some(known) => Ok(Arc::clone(known)),
        None => {
            let conf = Arc::new(read(&settings)?);
            Ok(Arc::clone(known.get_or_init(|| conf)))
        }
    })
}

/// A place that an image is read from.
#[derive(Clone, Debug)]
pub struct ReadPlace {
    /// What the image is called there.
    pub reference: Reference,
    /// Whether it is a mirror.
    pub is_mirror: bool,
}

/// The places that an image is read from, in the order in which they are tried.
///
/// # Errors
/// Those of the configuration; what it forbids.
pub fn read_places(reference: &Reference, settings: &Settings) -> Result<Vec<ReadPlace>, Error> {
    let resolved = read(settings)?.resolve(reference, Access::Read)?;
    let place = |endpoint: &Endpoint| ReadPlace {
        reference: endpoint.reference().clone(),
        is_mirror: endpoint.is_mirror(),
    };
    Ok(resolved.endpoints().iter().map(place).collect())
}

/// What the directory that a flag names says of signatures, or the user's or the system's one.
pub fn read_lookasides(settings: &Settings) -> Result<LookasideConf, Error> {
    let environment = environment();
    let directory = match &settings.registries_d {
        Some(directory) => directory.clone(),
        None => lookaside::directory(&environment),
    };
    let conf = LookasideConf::load(&directory)?;
    conf.warnings().iter().for_each(|warning| report::note(warning));
    Ok(match lookaside::default_directory(&environment) {
        Some(directory) => conf.with_default_directory(directory),
        None => conf,
    })
}

/// The same, read when it is first wanted.
pub fn lookasides_lazily(settings: &Settings) -> Lookasides {
    let (settings, known) = (settings.clone(), OnceLock::new());
    Arc::new(move || match known.get() {
        Some(known) => Ok(Arc::clone(known)),
        None => {
            let conf = Arc::new(read_lookasides(&settings)?);
            Ok(Arc::clone(known.get_or_init(|| conf)))
        }
    })
}

/// What the places of these files depend on.
pub fn environment() -> Environment {
    let mut environment = Environment::default();
    environment.home = variable_path("HOME");
    environment.xdg_config_home = variable_path("XDG_CONFIG_HOME");
    environment.xdg_cache_home = variable_path("XDG_CACHE_HOME");
    environment.containers_registries_conf = variable_path("CONTAINERS_REGISTRIES_CONF");
    environment.containers_registries_conf_override =
        variable_path("CONTAINERS_REGISTRIES_CONF_OVERRIDE");
    environment.user_id = rootless::user_id();
    environment
}
