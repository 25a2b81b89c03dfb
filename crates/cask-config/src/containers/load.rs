//! Which files are read, and reading them.

use std::path::{Path, PathBuf};

use crate::containers::ContainersConf;
use crate::drop_in::drop_ins;
use crate::{Environment, Error, ErrorKind, file};

pub(super) const LOADING: &str = "loading containers configuration";
const LISTING: &str = "reading containers.conf.d";

/// Which files are read, the later ones more important.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContainersPaths {
    /// A file that was asked for by name, instead of all others: `$CONTAINERS_CONF`.
    pub required: Option<PathBuf>,
    /// Main files.
    pub files: Vec<PathBuf>,
    /// Directories of drop-ins; of files with one name the last counts.
    pub drop_in_directories: Vec<PathBuf>,
    /// Files that were asked for by name, and are read after all of these: modules.
    pub modules: Vec<PathBuf>,
    /// A file that is read after all others and must exist: `$CONTAINERS_CONF_OVERRIDE`.
    pub last: Option<PathBuf>,
}

impl ContainersPaths {
    /// The files of a user. `required` and `last` are the variables `CONTAINERS_CONF` and
    /// `CONTAINERS_CONF_OVERRIDE`; empty ones count as unset.
    pub fn new(
        environment: &Environment,
        required: Option<PathBuf>,
        last: Option<PathBuf>,
    ) -> Self {
        let system = ["/usr/share/containers/containers.conf", "/etc/containers/containers.conf"];
        let mut files: Vec<PathBuf> = system.map(|path| environment.system(path)).to_vec();
        if environment.user_id != 0 {
            files.extend(environment.user_directory().map(|user| user.join("containers.conf")));
        }
        let set = |path: Option<PathBuf>| path.filter(|path| !path.as_os_str().is_empty());
        Self {
            required: set(required),
            files,
            drop_in_directories: environment.drop_in_directories("containers", ".conf"),
            modules: Vec::new(),
            last: set(last),
        }
    }

    /// Adds a module: a file by its absolute path; or by its name, in `containers.conf.modules` of the user, of the
    /// machine or of the distribution, the first that there is.
    ///
    /// Source: containers/common, `pkg/config`, `ModuleDirectories`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] with the places that were looked at.
    pub fn add_module(&mut self, environment: &Environment, name: &Path) -> Result<(), Error> {
        const DIRECTORY: &str = "containers.conf.modules";
        let user = environment.user_directory().filter(|_| environment.user_id != 0);
        let system = ["/etc/containers", "/usr/share/containers"];
        let directories = user.into_iter().chain(system.map(|path| environment.system(path)));
        // An absolute name is what joining it gives.
        let places: Vec<PathBuf> =
            directories.map(|directory| directory.join(DIRECTORY).join(name)).collect();
        match places.iter().find(|place| place.exists()) {
            Some(found) => {
                self.modules.push(found.clone());
                Ok(())
            }
            None => {
                let mut looked: Vec<String> =
                    places.iter().map(|place| place.display().to_string()).collect();
                looked.dedup();
                let message = format!("no such module; looked for {}", looked.join(", "));
                Err(Error::new(ErrorKind::NotFound, message).doing(LOADING, name))
            }
        }
    }
}

impl ContainersConf {
    /// Reads and merges the files. One that is not there is passed over unless it was asked for by name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for [`ContainersPaths::required`], `modules` and `last`; [`ErrorKind::Io`] for
    /// what cannot be read; those of [`Self::parse`].
    pub fn load(paths: &ContainersPaths) -> Result<Self, Error> {
        let mut merged = Self::default();
        match &paths.required {
            Some(path) => merged = read(path)?,
            None => {
                let found = drop_ins(LISTING, &paths.drop_in_directories)?;
                for path in paths.files.iter().cloned().chain(found) {
                    match read(&path) {
                        Err(error) if error.kind() == ErrorKind::NotFound => {}
                        read => merged.merge(read?),
                    }
                }
            }
        }
        for path in paths.modules.iter().chain(&paths.last) {
            merged.merge(read(path)?);
        }
        Ok(merged)
    }
}

fn read(path: &Path) -> Result<ContainersConf, Error> {
    let text = file::read_text(LOADING, path)?;
    ContainersConf::parse(&text, &path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_merged_and_a_named_one_is_alone() {
        let directory = tempfile::tempdir().unwrap();
        let environment = Environment {
            system_root: Some(directory.path().to_owned()),
            ..Environment::default()
        };
        let write = |name: &str, pids: u32| {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, format!("[containers]\npids_limit = {pids}\n")).unwrap();
            path
        };
        let limit = |required: Option<&Path>, last: Option<&Path>| {
            let own = |path: Option<&Path>| path.map(Path::to_owned);
            let paths = ContainersPaths::new(&environment, own(required), own(last));
            ContainersConf::load(&paths).map(|conf| conf.pids_limit)
        };
        assert_eq!(limit(None, None).unwrap(), None);
        write("usr/share/containers/containers.conf", 1);
        assert_eq!(limit(Some(Path::new("")), None).unwrap(), Some(1));
        write("etc/containers/containers.conf", 2);
        assert_eq!(limit(None, None).unwrap(), Some(2));
        write("etc/containers/containers.conf.d/x.conf", 3);
        assert_eq!(limit(None, None).unwrap(), Some(3));
        let own = write("own.conf", 4);
        assert_eq!(limit(None, Some(&own)).unwrap(), Some(4));
        assert_eq!(limit(Some(&own), None).unwrap(), Some(4));
        write("usr/share/containers/containers.conf.modules/m.conf", 5);
        let with = |modules: &[&str], last: Option<&Path>| {
            let mut paths = ContainersPaths::new(&environment, None, last.map(Path::to_owned));
            let mut names = modules.iter();
            names.try_for_each(|name| paths.add_module(&environment, Path::new(name)))?;
            ContainersConf::load(&paths).map(|conf| conf.pids_limit)
        };
        assert_eq!(with(&["m.conf"], None).unwrap(), Some(5));
        let first = write("etc/containers/containers.conf.modules/m.conf", 6);
        assert_eq!(with(&["m.conf"], None).unwrap(), Some(6));
        let own_path = own.to_str().unwrap();
        assert_eq!(with(&[own_path, "m.conf"], None).unwrap(), Some(6));
        assert_eq!(with(&["m.conf", own_path], None).unwrap(), Some(4));
        assert_eq!(with(&[own_path], Some(&first)).unwrap(), Some(6));
        let unknown = with(&["nosuch.conf"], None).unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::NotFound);
        let said = unknown.to_string();
        assert!(said.contains("/etc/containers/containers.conf.modules/nosuch.conf, "), "{said}");
        let missing = limit(Some(Path::new("/nope/x")), None).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }
}
