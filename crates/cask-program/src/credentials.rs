//! Where credentials are: what the libraries do not read by themselves.

use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Result, bail};
use cask_auth::{
    AUTH_FILES_HELPER, AuthFile, AuthFiles, Choice, Environment, Explanation, Format, Found, Key,
    Keychain,
};
use cask_config::registries::{CredentialHelper, RegistriesConf};
use clap::Args;

use crate::settings::Settings;
use crate::{registries, rootless};

/// The files that `login` and `logout` change.
#[derive(Args, Clone, Debug, Default)]
pub struct FileArguments {
    /// Use this file [default: $REGISTRY_AUTH_FILE, else the user's usual one]
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// Use this file, and keep it readable for Docker
    #[arg(long, value_name = "FILE")]
    compat_auth_file: Option<PathBuf>,
}

impl FileArguments {
    /// The credentials in the files that were chosen, else in the usual ones.
    ///
    /// Source: containers/common, `systemContextWithOptions`.
    pub fn open(&self, settings: &Settings) -> Result<AuthFiles> {
        let choice = match (given(&self.authfile), given(&self.compat_auth_file)) {
            (Some(_), Some(_)) => bail!(
                "options for paths to the credential file and to the Docker-compatible \
                 credential file can not be set simultaneously"
            ),
            (Some(path), None) => Choice::File(AuthFile::new(path, Format::Containers)),
            (None, Some(path)) => Choice::File(AuthFile::new(path, Format::Docker)),
            (None, None) => Choice::Default,
        };
        let mut options = environment(settings).to_log_in(&choice);
        options.helpers = helpers(&registries::read(settings)?);
        Ok(AuthFiles::new(options))
    }

    /// Fails if a file was chosen that is not there.
    pub fn check_existence(&self) -> Result<()> {
        check_authfiles([&self.authfile, &self.compat_auth_file])
    }
}

/// The credentials for whoever uses images: in the file that `--authfile` names, else in the usual
/// ones. Nothing is read before a credential is wanted.
#[derive(Debug)]
pub struct UserFiles {
    authfile: Option<PathBuf>,
    settings: Settings,
    files: OnceLock<AuthFiles>,
}

impl UserFiles {
    /// The credentials in that file, if one is named. Nothing is read yet.
    pub fn new(authfile: &Option<PathBuf>, settings: &Settings) -> Self {
        Self {
            authfile: given(authfile).cloned(),
            settings: settings.clone(),
            files: OnceLock::new(),
        }
    }

    /// Finds the credential for a registry, a namespace or a repository, and tells how.
    pub fn explain(&self, key: &Key) -> Explanation {
        self.open().explain(key)
    }

    fn open(&self) -> AuthFiles {
        let choice = match &self.authfile {
            Some(path) => Choice::File(AuthFile::new(path, Format::Containers)),
            None => Choice::Default,
        };
        let mut options = environment(&self.settings).to_read(&choice);
        // Who looks up names in that file first has told what is wrong with it.
        if let Ok(conf) = registries::read(&self.settings) {
            options.helpers = helpers(&conf);
        }
        AuthFiles::new(options)
    }
}

impl Keychain for UserFiles {
    fn credential(
        &self,
        registry: &str,
        repository: Option<&str>,
    ) -> Result<Option<Found>, cask_auth::Error> {
        self.files.get_or_init(|| self.open()).credential(registry, repository)
    }
}

/// The helpers that `registries.conf` names.
fn helpers(conf: &RegistriesConf) -> Vec<String> {
    let helper = |helper: &CredentialHelper| match helper {
        CredentialHelper::Program(name) => name.clone(),
        _ => AUTH_FILES_HELPER.to_owned(),
    };
    conf.credential_helpers().iter().map(helper).collect()
}

/// Fails if one of the files that were named is not there; the words are podman's.
pub(crate) fn check_authfiles<'p>(
    paths: impl IntoIterator<Item = &'p Option<PathBuf>>,
) -> Result<()> {
    for path in paths.into_iter().filter_map(given) {
        if !path.try_exists().is_ok_and(|exists| exists) {
            bail!("checking authfile: stat {}: no such file or directory", path.display());
        }
    }
    Ok(())
}

/// A path that was given. An empty one is none, as in skopeo.
fn given(path: &Option<PathBuf>) -> Option<&PathBuf> {
    path.as_ref().filter(|path| !path.as_os_str().is_empty())
}

/// A path in the environment. A variable that is empty counts as unset.
pub fn variable_path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn environment(settings: &Settings) -> Environment {
    let mut environment = Environment::default();
    environment.uid = rootless::user_id();
    environment.home = variable_path("HOME");
    environment.xdg_runtime_dir = variable_path("XDG_RUNTIME_DIR");
    environment.xdg_config_home = variable_path("XDG_CONFIG_HOME");
    environment.registry_auth_file = variable_path("REGISTRY_AUTH_FILE");
    let docker_config = settings.docker_config.clone();
    environment.docker_config = docker_config.or_else(|| variable_path("DOCKER_CONFIG"));
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    environment.search_path = std::env::split_paths(&search_path).collect();
    environment
}
