//! Which store is meant.

use std::path::PathBuf;

use crate::storage::{StorageConf, StorageEnvironment};

/// Where a store is, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreLocation {
    /// The driver, where one is named.
    pub driver: Option<String>,
    /// Where images and containers are kept.
    pub graph_root: PathBuf,
    /// What does not survive a reboot.
    pub run_root: PathBuf,
    /// Options of the driver as `STORAGE_OPTS` gives them, where it does: instead of those in the
    /// files.
    pub driver_options: Option<Vec<String>>,
}

impl StorageConf {
    /// Says which store is meant: what the files say with variables replaced, and else the
    /// defaults of the system or of the user.
    ///
    /// For a user, [`load`](Self::load) passes over what the system's main files say of
    /// directories, except for `rootless_storage_path`.
    ///
    /// Source: containers/storage, `types/options.go`, `loadDefaultStoreOptions` and
    /// `getRootlessStorageOpts`.
    pub fn resolve(&self, user: &StorageEnvironment) -> StoreLocation {
        let is_rootless = user.environment.user_id != 0;
        let said = |text: &Option<String>| Some(PathBuf::from(expand(text.as_deref()?, user)));
        let rootless_path = self.rootless_storage_path.as_deref().filter(|_| is_rootless);
        let graph_root = said(&self.graph_root)
            .or_else(|| rootless_path.map(|text| expand(text, user).into()))
            .unwrap_or_else(|| default_graph_root(user));
        let options = user.variable("STORAGE_OPTS");
        StoreLocation {
            driver: user.variable("STORAGE_DRIVER").map(str::to_owned).or(self.driver.clone()),
            graph_root,
            run_root: said(&self.run_root).unwrap_or_else(|| default_run_root(user)),
            driver_options: options.map(|text| text.split(',').map(str::to_owned).collect()),
        }
    }
}

fn default_graph_root(user: &StorageEnvironment) -> PathBuf {
    let home = || user.environment.home.as_ref().map(|home| home.join(".local/share"));
    let data = user.directory("XDG_DATA_HOME").or_else(home);
    match data.filter(|_| user.environment.user_id != 0) {
        Some(data) => data.join("containers/storage"),
        None => user.environment.system("/var/lib/containers/storage"),
    }
}

fn default_run_root(user: &StorageEnvironment) -> PathBuf {
    let id = user.environment.user_id;
    if id == 0 {
        return user.environment.system("/run/containers/storage");
    }
    match user.directory("XDG_RUNTIME_DIR") {
        Some(runtime) => runtime.join("containers"),
        None => PathBuf::from(format!("/tmp/storage-run-{id}/containers")),
    }
}

/// Replaces `$NAME` and `${NAME}`; a variable that is not set is empty.
///
/// Source: Go's `os.Expand`.
fn expand(text: &str, user: &StorageEnvironment) -> String {
    let value = |name: &str| match name {
        "UID" => user.environment.user_id.to_string(),
        "HOME" if !user.variables.contains_key("HOME") => {
            let home = user.environment.home.as_ref();
            home.map(|home| home.display().to_string()).unwrap_or_default()
        }
        _ => user.variables.get(name).cloned().unwrap_or_default(),
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, behind) = match after.strip_prefix('{').and_then(|braced| braced.split_once('}'))
        {
            Some(braced) => braced,
            None => after.split_at(after.find(|c| !is_word(c)).unwrap_or(after.len())),
        };
        if name.is_empty() {
            out.push('$');
        }
        out.push_str(&value(name));
        rest = behind;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::Environment;
    use crate::storage::{Scheme, StoragePaths};

    fn user(id: u32, variables: &[(&str, &str)]) -> StorageEnvironment {
        let environment =
            Environment { home: Some("/home/u".into()), user_id: id, ..Environment::default() };
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        StorageEnvironment::new(environment, variables.collect::<BTreeMap<_, _>>())
    }

    #[track_caller]
    fn check(text: &str, user: &StorageEnvironment, graph_root: &str, run_root: &str) {
        let found = StorageConf::parse(text, "storage.conf").unwrap().resolve(user);
        assert_eq!(found.graph_root, Path::new(graph_root));
        assert_eq!(found.run_root, Path::new(run_root));
    }

    #[test]
    fn the_system_and_users_have_their_defaults() {
        check("", &user(0, &[]), "/var/lib/containers/storage", "/run/containers/storage");
        let home = "/home/u/.local/share/containers/storage";
        check("", &user(7, &[]), home, "/tmp/storage-run-7/containers");
        let variables = [("XDG_DATA_HOME", "/d"), ("XDG_RUNTIME_DIR", "/r")];
        check("", &user(7, &variables), "/d/containers/storage", "/r/containers");
    }

    #[test]
    fn what_is_said_of_directories_counts() {
        let text = "[storage]\ngraphroot = \"/g\"\nrunroot = \"/r\"";
        check(text, &user(0, &[]), "/g", "/r");
        check(text, &user(7, &[]), "/g", "/r");
        let text = "[storage]\nrootless_storage_path = \"$HOME/x/${UID}/$NONE\"";
        check(text, &user(7, &[]), "/home/u/x/7/", "/tmp/storage-run-7/containers");
    }

    #[test]
    fn variables_of_the_environment_come_first() {
        let variables = [("STORAGE_DRIVER", "vfs"), ("STORAGE_OPTS", "a=b,c")];
        let conf = StorageConf::parse("[storage]\ndriver = \"overlay\"", "x").unwrap();
        let found = conf.resolve(&user(0, &variables));
        assert_eq!(found.driver.as_deref(), Some("vfs"));
        assert_eq!(found.driver_options.unwrap(), ["a=b", "c"]);
    }

    #[test]
    fn files_count_as_their_scheme_says() {
        let root = tempfile::tempdir().unwrap();
        let etc = root.path().join("etc/containers");
        let share = root.path().join("usr/share/containers");
        std::fs::create_dir_all(&etc).unwrap();
        std::fs::create_dir_all(&share).unwrap();
        std::fs::write(share.join("storage.conf"), "[storage]\nrunroot = \"/r\"").unwrap();
        std::fs::write(etc.join("storage.conf"), "[storage]\ngraphroot = \"/g\"").unwrap();
        let mut user = user(0, &[]);
        user.environment.system_root = Some(root.path().into());
        let load = |scheme| StorageConf::load(&StoragePaths::new(&user, scheme)).unwrap();
        assert_eq!(StoragePaths::scheme(&user), Scheme::OneFile);
        assert_eq!(load(Scheme::OneFile).run_root, None);
        assert_eq!(load(Scheme::Merged).run_root.as_deref(), Some("/r"));
        std::fs::create_dir(etc.join("storage.conf.d")).unwrap();
        let drop_in = "[storage]\ngraphroot = \"/x\"";
        std::fs::write(etc.join("storage.conf.d/10-x.conf"), drop_in).unwrap();
        assert_eq!(StoragePaths::scheme(&user), Scheme::Merged);
        assert_eq!(load(Scheme::Merged).graph_root.as_deref(), Some("/x"));
        user.environment.user_id = 7;
        let load = |scheme| StorageConf::load(&StoragePaths::new(&user, scheme)).unwrap();
        assert_eq!(load(Scheme::OneFile).graph_root, None, "that is for root");
        assert_eq!(load(Scheme::Merged).run_root, None, "that is for root");
    }
}
