//! Where the files are.

use std::path::PathBuf;

use crate::Environment;
use crate::environment::given;

/// The files of a configuration, in the order in which they are merged.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Paths {
    /// The main file.
    pub main: Main,
    /// Directories whose `*.conf` are read after the main file, ordered by their names, no matter
    /// in which directory they are. Of files with one name only that of the last directory is
    /// read.
    pub drop_in_directories: Vec<PathBuf>,
    /// A file that is read after all others, and has to exist.
    pub last: Option<PathBuf>,
}

/// The main file of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Main {
    /// This one, which has to exist.
    Required(PathBuf),
    /// The first that exists, if any does.
    FirstOf(Vec<PathBuf>),
}

impl Default for Main {
    fn default() -> Self {
        Self::FirstOf(Vec::new())
    }
}

impl Paths {
    /// The files of registries.conf that a user has.
    ///
    /// The main file is the first of `containers/registries.conf` in the user's directory, in
    /// `/etc` and in `/usr/share`. Drop-ins come from `registries.conf.d`,
    /// `registries.rootful.conf.d` or `registries.rootless.conf.d`, and
    /// `registries.rootless.conf.d/UID` in the last two, and from the user's
    /// `registries.conf.d`. `$CONTAINERS_REGISTRIES_CONF` replaces all of them,
    /// `$CONTAINERS_REGISTRIES_CONF_OVERRIDE` is read last.
    ///
    /// Source: containers/storage, `configfile`, of 2026. Before, the variable left the drop-ins
    /// on, the override did not exist, and a user's main file hid the system's drop-ins.
    pub fn from_environment(environment: &Environment) -> Self {
        let last = given(&environment.containers_registries_conf_override).map(PathBuf::from);
        if let Some(file) = given(&environment.containers_registries_conf) {
            return Self { last, ..Self::only(file) };
        }
        let system = ["/etc/containers", "/usr/share/containers"];
        let system = system.map(|directory| environment.system(directory));
        let places = environment.user_directory().into_iter().chain(system);
        Self {
            main: Main::FirstOf(places.map(|place| place.join("registries.conf")).collect()),
            drop_in_directories: environment.drop_in_directories("registries", ".conf"),
            last,
        }
    }

    /// This file alone, which has to exist: what `--registries-conf` asks for.
    pub fn only(file: impl Into<PathBuf>) -> Self {
        Self { main: Main::Required(file.into()), ..Self::default() }
    }
}

/// The file in which a user's choices between registries are kept:
/// `/var/cache/containers/short-name-aliases.conf` for root, else the same in the user's cache;
/// `None` for a user without a home.
///
/// Source: containers/image, `shortNameAliasesConfPath`.
pub fn recorded_aliases_path(environment: &Environment) -> Option<PathBuf> {
    let directory = match environment.user_id {
        0 => Some(environment.system("/var/cache/containers")),
        _ => environment.cache_directory(),
    };
    directory.map(|directory| directory.join("short-name-aliases.conf"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_replace_and_add() {
        let mut environment = Environment { home: Some("/h".into()), ..Environment::default() };
        let paths = Paths::from_environment(&environment);
        let expected = ["/h/.config", "/etc", "/usr/share"];
        let expected =
            expected.map(|place| PathBuf::from(format!("{place}/containers/registries.conf")));
        assert_eq!(paths.main, Main::FirstOf(expected.to_vec()));
        assert_eq!((paths.drop_in_directories.len(), paths.last), (5, None));

        environment.containers_registries_conf_override = Some("o".into());
        let paths = Paths::from_environment(&environment);
        assert_eq!((paths.drop_in_directories.len(), paths.last), (5, Some("o".into())));

        environment.containers_registries_conf = Some("a".into());
        let paths = Paths::from_environment(&environment);
        assert_eq!(paths.main, Main::Required("a".into()));
        assert_eq!((paths.drop_in_directories.len(), paths.last), (0, Some("o".into())));

        // Empty variables count as unset.
        environment.containers_registries_conf = Some("".into());
        environment.containers_registries_conf_override = Some("".into());
        let paths = Paths::from_environment(&environment);
        assert_eq!((paths.drop_in_directories.len(), paths.last), (5, None));
    }

    #[test]
    fn choices_are_kept_in_a_cache() {
        #[track_caller]
        fn check(user_id: u32, xdg: Option<&str>, home: Option<&str>, expected: Option<&str>) {
            let environment = Environment {
                user_id,
                xdg_cache_home: xdg.map(Into::into),
                home: home.map(Into::into),
                ..Environment::default()
            };
            assert_eq!(recorded_aliases_path(&environment), expected.map(Into::into));
        }
        let file = "/var/cache/containers/short-name-aliases.conf";
        check(0, Some("/x"), Some("/h"), Some(file));
        check(7, Some("/x"), Some("/h"), Some("/x/containers/short-name-aliases.conf"));
        check(7, None, Some("/h"), Some("/h/.cache/containers/short-name-aliases.conf"));
        check(7, None, None, None);
    }
}
