use std::path::{Path, PathBuf};

use crate::{AuthFile, AuthFilesOptions, Format};

/// What a program knows of its surroundings, as plain values: nothing here reads them.
///
/// A variable that is set to the empty text counts as unset, and is `None` here.
///
/// ```
/// use cask_auth::{Choice, Environment};
///
/// let mut environment = Environment::default();
/// environment.home = Some("/home/ann".into());
/// environment.uid = 1000;
/// # environment.linux = true;
/// let options = environment.to_read(&Choice::Default);
/// let paths: Vec<_> = options.files.iter().map(|file| file.path.to_str().unwrap()).collect();
/// assert_eq!(paths, [
///     "/run/containers/1000/auth.json",
///     "/home/ann/.config/containers/auth.json",
///     "/home/ann/.docker/config.json",
///     "/home/ann/.dockercfg",
/// ]);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Environment {
    /// Whether this is Linux, which has runtime directories.
    pub linux: bool,
    /// The user's number.
    pub uid: u32,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`.
    pub xdg_config_home: Option<PathBuf>,
    /// `$REGISTRY_AUTH_FILE`.
    pub registry_auth_file: Option<PathBuf>,
    /// `$DOCKER_CONFIG`: a directory.
    pub docker_config: Option<PathBuf>,
    /// A prefix for the directory below `/run`, instead of the runtime directory.
    pub root: Option<PathBuf>,
    /// The directories of `$PATH`, where helpers are looked for.
    pub search_path: Vec<PathBuf>,
}

impl Default for Environment {
    /// No variable is set, and the user is the superuser.
    fn default() -> Self {
        Self {
            linux: cfg!(target_os = "linux"),
            uid: 0,
            home: None,
            xdg_runtime_dir: None,
            xdg_config_home: None,
            registry_auth_file: None,
            docker_config: None,
            root: None,
            search_path: Vec::new(),
        }
    }
}

/// The file that a user asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Choice {
    /// None.
    #[default]
    Default,
    /// This one, and no other: `--authfile`, `--compat-auth-file`.
    File(AuthFile),
}

impl Environment {
    /// Where credentials are looked for by whoever uses images.
    ///
    /// A file that was chosen, else `$REGISTRY_AUTH_FILE`, is the only one. Otherwise the files
    /// are, in this order, `containers/auth.json` in the runtime directory, the same in the
    /// configuration directory, Docker's `config.json`, `~/.dockercfg`.
    ///
    /// Source: containers/image, `getAuthFilePaths`, `getPathToAuth`.
    pub fn to_read(&self, choice: &Choice) -> AuthFilesOptions {
        let options = match (choice, &self.registry_auth_file) {
            (Choice::File(file), _) => AuthFilesOptions::only(file.clone()),
            (Choice::Default, Some(path)) => {
                AuthFilesOptions::only(AuthFile::new(path, Format::Containers))
            }
            (Choice::Default, None) => self.usual(),
        };
        AuthFilesOptions { helper_search_path: self.search_path.clone(), ..options }
    }

    /// Where credentials are read and written by `login` and `logout`: as in
    /// [`to_read`](Self::to_read), but that `$DOCKER_CONFIG`, if nothing else was chosen, is the
    /// only one, and is kept readable for Docker.
    ///
    /// Source: containers/common, `systemContextWithOptions`.
    pub fn to_log_in(&self, choice: &Choice) -> AuthFilesOptions {
        match (choice, &self.registry_auth_file, &self.docker_config) {
            (Choice::Default, None, Some(folder)) => {
                let file = AuthFile::new(folder.join("config.json"), Format::Docker);
                self.to_read(&Choice::File(file))
            }
            _ => self.to_read(choice),
        }
    }

    fn usual(&self) -> AuthFilesOptions {
        let containers = |folder: PathBuf| {
            AuthFile::new(folder.join("containers/auth.json"), Format::Containers)
        };
        let in_home = |path: &str| self.home.as_deref().map(|home| home.join(path));
        let primary = self.primary();
        let config = self.xdg_config_home.clone().or_else(|| in_home(".config"));
        let docker = self.docker_config.clone().or_else(|| in_home(".docker"));
        let mut files: Vec<_> = primary.iter().cloned().collect();
        files.extend(config.map(containers));
        files.extend(docker.map(|dir| AuthFile::new(dir.join("config.json"), Format::Docker)));
        files.extend(in_home(".dockercfg").map(|path| AuthFile::new(path, Format::Legacy)));
        files.dedup();
        let runtime_directory = self.runtime_directory().map(Path::to_owned);
        AuthFilesOptions { files, writable: primary, runtime_directory, ..Default::default() }
    }

    /// The file that is written.
    fn primary(&self) -> Option<AuthFile> {
        let path = if !self.linux {
            self.home.as_deref()?.join(".config/containers/auth.json")
        } else if let Some(runtime) = self.runtime_directory() {
            runtime.join("containers/auth.json")
        } else {
            let root = self.root.as_deref().unwrap_or(Path::new("/"));
            root.join(format!("run/containers/{}/auth.json", self.uid))
        };
        Some(AuthFile::new(path, Format::Containers))
    }

    fn runtime_directory(&self) -> Option<&Path> {
        let usable = self.linux && self.root.is_none();
        self.xdg_runtime_dir.as_deref().filter(|_| usable)
    }
}
