//! Which files are read, and reading them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::drop_in::drop_ins;
use crate::storage::StorageConf;
use crate::{Environment, Error, ErrorKind, file};

const LOADING: &str = "loading storage configuration";
const LISTING: &str = "reading storage.conf.d";

/// How several files belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scheme {
    /// One file counts, and no other is read: podman before 6.
    OneFile,
    /// All files are merged, with their drop-ins: podman 6.
    Merged,
}

/// What a program knows of its user, with the variables of the environment.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StorageEnvironment {
    /// Who the user is, and where files are.
    pub environment: Environment,
    /// The variables of the environment: `CONTAINERS_STORAGE_CONF`,
    /// `CONTAINERS_STORAGE_CONF_OVERRIDE`, `STORAGE_DRIVER`, `STORAGE_OPTS`, `XDG_DATA_HOME`,
    /// `XDG_RUNTIME_DIR`, and whatever paths in the files name.
    pub variables: BTreeMap<String, String>,
}

impl StorageEnvironment {
    /// What is known of the user, and the variables.
    pub fn new(environment: Environment, variables: BTreeMap<String, String>) -> Self {
        Self { environment, variables }
    }

    /// A variable that is not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A variable that is an absolute path.
    pub(super) fn directory(&self, name: &str) -> Option<PathBuf> {
        self.variable(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }
}

/// Which files are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoragePaths {
    /// A file that was asked for by name, instead of all others.
    pub required: Option<PathBuf>,
    /// The user's own main file.
    pub own: Option<PathBuf>,
    /// The system's main files, the later ones more important.
    pub system: Vec<PathBuf>,
    /// Whether only one main file is read: the user's, or else the last of the system's.
    pub only_one: bool,
    /// Whether the reader is not root: then the system's main files say nothing of directories.
    pub is_rootless: bool,
    /// Directories of drop-ins; of files with one name the last counts.
    pub drop_in_directories: Vec<PathBuf>,
    /// A file that is read after all others and must exist.
    pub last: Option<PathBuf>,
}

impl StoragePaths {
    /// The files of a user.
    pub fn new(user: &StorageEnvironment, scheme: Scheme) -> Self {
        let environment = &user.environment;
        let system = ["/usr/share/containers/storage.conf", "/etc/containers/storage.conf"];
        let system: Vec<PathBuf> = system.iter().map(|path| environment.system(path)).collect();
        let own = environment.user_directory().map(|user| user.join("storage.conf"));
        let required = user.variable("CONTAINERS_STORAGE_CONF").map(PathBuf::from);
        let is_rootless = user.environment.user_id != 0;
        match scheme {
            Scheme::OneFile => Self {
                required,
                own: own.filter(|_| is_rootless),
                system,
                only_one: true,
                is_rootless,
                ..Self::default()
            },
            Scheme::Merged => Self {
                required,
                own,
                system,
                only_one: false,
                is_rootless,
                drop_in_directories: environment.drop_in_directories("storage", ".conf"),
                last: user.variable("CONTAINERS_STORAGE_CONF_OVERRIDE").map(PathBuf::from),
            },
        }
    }

    /// The scheme that fits the files that are there: merging needs podman 6, and only where
    /// somebody wrote drop-ins or overrides does it matter.
    pub fn scheme(user: &StorageEnvironment) -> Scheme {
        let merged = Self::new(user, Scheme::Merged);
        let has_drop_ins = merged.drop_in_directories.iter().any(|path| path.is_dir());
        match has_drop_ins || merged.last.is_some() {
            true => Scheme::Merged,
            false => Scheme::OneFile,
        }
    }
}

impl StorageConf {
    /// Reads and merges the files. One that is not there is passed over unless it was asked for by
    /// name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for [`StoragePaths::required`] and [`StoragePaths::last`];
    /// [`ErrorKind::Io`] for what cannot be read; those of [`Self::parse`].
    pub fn load(paths: &StoragePaths) -> Result<Self, Error> {
        let mut merged = match &paths.required {
            Some(path) => read(path)?,
            None => load_all(paths)?,
        };
        if let Some(path) = &paths.last {
            merged.merge(read(path)?);
        }
        Ok(merged)
    }
}

fn load_all(paths: &StoragePaths) -> Result<StorageConf, Error> {
    let own = match &paths.own {
        Some(path) => read_existing(path)?,
        None => None,
    };
    let mut merged = match &own {
        Some(_) if paths.only_one => StorageConf::default(),
        _ => load_system(paths)?,
    };
    merged.merge(own.unwrap_or_default());
    for path in drop_ins(LISTING, &paths.drop_in_directories)? {
        if let Some(conf) = read_existing(&path)? {
            merged.merge(conf);
        }
    }
    Ok(merged)
}

fn load_system(paths: &StoragePaths) -> Result<StorageConf, Error> {
    let mut merged = StorageConf::default();
    for path in &paths.system {
        let Some(conf) = read_existing(path)? else { continue };
        match paths.only_one {
            true => merged = conf,
            false => merged.merge(conf),
        }
    }
    if paths.is_rootless {
        // These directories are root's.
        (merged.graph_root, merged.run_root) = (None, None);
    }
    Ok(merged)
}

fn read(path: &Path) -> Result<StorageConf, Error> {
    let text = file::read_text(LOADING, path)?;
    StorageConf::parse(&text, &path.display().to_string())
}

fn read_existing(path: &Path) -> Result<Option<StorageConf>, Error> {
    match read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}
