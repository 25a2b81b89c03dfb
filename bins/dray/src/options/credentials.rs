//! Where credentials are: what the libraries do not read by themselves.

use std::path::PathBuf;

use anyhow::{Result, bail};
use cask_auth::{
    AUTH_FILES_HELPER, AuthFile, AuthFiles, AuthFilesOptions, Choice, Environment, Format,
};
use cask_config::registries::CredentialHelper;
use clap::Args;

use crate::options::registries;

/// The files that `login` and `logout` change.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct FileArguments {
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
    pub(crate) fn open(&self) -> Result<AuthFiles> {
        let choice = match (given(&self.authfile), given(&self.compat_auth_file)) {
            (Some(_), Some(_)) => bail!(
                "options for paths to the credential file and to the Docker-compatible \
                 credential file can not be set simultaneously"
            ),
            (Some(path), None) => Choice::File(AuthFile::new(path, Format::Containers)),
            (None, Some(path)) => Choice::File(AuthFile::new(path, Format::Docker)),
            (None, None) => Choice::Default,
        };
        with_helpers(environment().to_log_in(&choice))
    }

    /// Fails if a file was chosen that is not there.
    pub(crate) fn check_existence(&self) -> Result<()> {
        for path in [given(&self.authfile), given(&self.compat_auth_file)].into_iter().flatten() {
            if !path.try_exists().is_ok_and(|exists| exists) {
                bail!("checking authfile: stat {}: no such file or directory", path.display());
            }
        }
        Ok(())
    }
}

/// The credentials for whoever uses images: in the file that `--authfile` names, else in the usual
/// ones.
pub(crate) fn to_read(authfile: &Option<PathBuf>) -> Result<AuthFiles> {
    let choice = match given(authfile) {
        Some(path) => Choice::File(AuthFile::new(path, Format::Containers)),
        None => Choice::Default,
    };
    with_helpers(environment().to_read(&choice))
}

/// Asks the helpers that `registries.conf` names.
fn with_helpers(mut options: AuthFilesOptions) -> Result<AuthFiles> {
    let helper = |helper: &CredentialHelper| match helper {
        CredentialHelper::Program(name) => name.clone(),
        _ => AUTH_FILES_HELPER.to_owned(),
    };
    options.helpers = registries::read()?.credential_helpers().iter().map(helper).collect();
    Ok(AuthFiles::new(options))
}

/// A path that was given. An empty one is none, as in skopeo.
fn given(path: &Option<PathBuf>) -> Option<&PathBuf> {
    path.as_ref().filter(|path| !path.as_os_str().is_empty())
}

/// A path in the environment. A variable that is empty counts as unset.
pub(crate) fn variable_path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn environment() -> Environment {
    let mut environment = Environment::default();
    environment.uid = rustix::process::getuid().as_raw();
    environment.home = variable_path("HOME");
    environment.xdg_runtime_dir = variable_path("XDG_RUNTIME_DIR");
    environment.xdg_config_home = variable_path("XDG_CONFIG_HOME");
    environment.registry_auth_file = variable_path("REGISTRY_AUTH_FILE");
    environment.docker_config = variable_path("DOCKER_CONFIG");
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    environment.search_path = std::env::split_paths(&search_path).collect();
    environment
}
