//! What the places of files depend on.

use std::path::{Path, PathBuf};

/// What a program knows of its user, on which the places of configuration files depend.
///
/// Libraries read no environment: the program fills this in. Empty variables count as unset, and
/// so do relative directories, which would make the working directory part of the configuration.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Environment {
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`.
    pub xdg_config_home: Option<PathBuf>,
    /// `$XDG_CACHE_HOME`.
    pub xdg_cache_home: Option<PathBuf>,
    /// `$CONTAINERS_REGISTRIES_CONF`: this file, instead of all others. It may be relative.
    pub containers_registries_conf: Option<PathBuf>,
    /// `$CONTAINERS_REGISTRIES_CONF_OVERRIDE`: this file, after all others. It may be relative.
    pub containers_registries_conf_override: Option<PathBuf>,
    /// The ID of the user who called; 0 is rootful, all else is rootless. Inside a user namespace
    /// this is the ID outside it.
    pub user_id: u32,
    /// Where the system's directories begin, if not at `/`: the root of another system. It does
    /// not concern the user's own directories.
    pub system_root: Option<PathBuf>,
}

impl Environment {
    /// The user's own directory of configuration: `$XDG_CONFIG_HOME/containers`, or
    /// `~/.config/containers`; nothing without either.
    pub(crate) fn user_directory(&self) -> Option<PathBuf> {
        Self::below(&self.xdg_config_home, &self.home, ".config")
    }

    /// The user's own directory of caches: `$XDG_CACHE_HOME/containers`, or `~/.cache/containers`.
    pub(crate) fn cache_directory(&self) -> Option<PathBuf> {
        Self::below(&self.xdg_cache_home, &self.home, ".cache")
    }

    /// A directory of the system.
    pub(crate) fn system(&self, path: &str) -> PathBuf {
        match &self.system_root {
            Some(root) => root.join(path.trim_start_matches('/')),
            None => PathBuf::from(path),
        }
    }

    /// The directories of one kind, from the least specific to the most: in the vendor's, the
    /// administrator's and the user's place.
    ///
    /// Source: containers/storage, `configfile`: `name.d`, then `name.rootful.d` or
    /// `name.rootless.d`, then `name.rootless.d/UID`; the user has only the first.
    pub(crate) fn drop_in_directories(&self, stem: &str, extension: &str) -> Vec<PathBuf> {
        let plain = format!("{stem}{extension}.d");
        let mut directories = Vec::new();
        for place in ["/usr/share/containers", "/etc/containers"] {
            let place = self.system(place);
            directories.push(place.join(&plain));
            if self.user_id == 0 {
                directories.push(place.join(format!("{stem}.rootful{extension}.d")));
            } else {
                let rootless = place.join(format!("{stem}.rootless{extension}.d"));
                let own = rootless.join(self.user_id.to_string());
                directories.extend([rootless, own]);
            }
        }
        directories.extend(self.user_directory().map(|user| user.join(plain)));
        directories
    }

    fn below(xdg: &Option<PathBuf>, home: &Option<PathBuf>, fallback: &str) -> Option<PathBuf> {
        let absolute = |path: &&PathBuf| path.is_absolute();
        let xdg = xdg.as_ref().filter(absolute).cloned();
        let found = xdg.or_else(|| home.as_ref().filter(absolute).map(|home| home.join(fallback)));
        found.map(|directory| directory.join("containers"))
    }
}

/// A path that a variable gives, unless it is empty.
pub(crate) fn given(path: &Option<PathBuf>) -> Option<&Path> {
    path.as_deref().filter(|path| !path.as_os_str().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Environment {
        Environment { home: Some("/home/u".into()), user_id: 1000, ..Environment::default() }
    }

    #[track_caller]
    fn check(environment: &Environment, expected: &[&str]) {
        let found = environment.drop_in_directories("registries", ".conf");
        assert_eq!(found, expected.iter().map(PathBuf::from).collect::<Vec<_>>());
    }

    #[test]
    fn directories_go_from_the_vendor_to_the_user() {
        check(
            &user(),
            &[
                "/usr/share/containers/registries.conf.d",
                "/usr/share/containers/registries.rootless.conf.d",
                "/usr/share/containers/registries.rootless.conf.d/1000",
                "/etc/containers/registries.conf.d",
                "/etc/containers/registries.rootless.conf.d",
                "/etc/containers/registries.rootless.conf.d/1000",
                "/home/u/.config/containers/registries.conf.d",
            ],
        );
        check(
            &Environment { system_root: Some("/r".into()), ..Environment::default() },
            &[
                "/r/usr/share/containers/registries.conf.d",
                "/r/usr/share/containers/registries.rootful.conf.d",
                "/r/etc/containers/registries.conf.d",
                "/r/etc/containers/registries.rootful.conf.d",
            ],
        );
    }

    #[test]
    fn relative_and_empty_directories_count_as_unset() {
        #[track_caller]
        fn check(xdg: &str, home: &str, expected: Option<&str>) {
            let environment = Environment {
                xdg_config_home: Some(xdg.into()),
                home: Some(home.into()),
                ..Environment::default()
            };
            assert_eq!(environment.user_directory(), expected.map(PathBuf::from));
        }
        check("/x", "/h", Some("/x/containers"));
        check("", "/h", Some("/h/.config/containers"));
        check("x", "/h", Some("/h/.config/containers"));
        check("x", "h", None);
    }
}
