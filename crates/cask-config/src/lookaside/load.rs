//! Reading and merging the files.

use std::collections::btree_map::Entry;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use cask_json::quoted_as_go;

use super::LookasideConf;
use crate::{Environment, Error, ErrorKind, file};

const LISTING: &str = "reading registries.d";
const LOADING: &str = "loading signature storage configuration";

/// The most entries that the directory may have.
const MAX_ENTRIES: usize = 4096;

/// The directory of the configuration: the user's `registries.d` if it exists, else the system's.
///
/// Looks whether there is the former.
///
/// Source: containers-registries.d(5).
pub fn directory(environment: &Environment) -> PathBuf {
    let own = environment.user_directory().map(|user| user.join("registries.d"));
    own.filter(|own| own.exists())
        .unwrap_or_else(|| environment.system("/etc/containers/registries.d"))
}

/// The directory in which signatures are of which nothing is said: `/var/lib/containers/sigstore`
/// for root, else `~/.local/share/containers/sigstore`; `None` for a user without a home.
///
/// Source: containers/image, `builtinDefaultLookasideStorageDir`.
pub fn default_directory(environment: &Environment) -> Option<PathBuf> {
    if environment.user_id == 0 {
        return Some(environment.system("/var/lib/containers/sigstore"));
    }
    let home = environment.home.as_ref().filter(|home| home.is_absolute())?;
    Some(home.join(".local/share/containers/sigstore"))
}

impl LookasideConf {
    /// Reads and merges the `*.yaml` of a directory, ordered by name. A directory that is not
    /// there says nothing.
    ///
    /// Files may be symbolic links to regular files or to `/dev/null`, and have at most
    /// [`MAX_FILE_BYTES`](crate::MAX_FILE_BYTES); the directory has at most 4096 entries.
    ///
    /// # Errors
    /// Those of [`parse`](Self::parse); [`ErrorKind::Invalid`] if two files have a section for the
    /// same scope; [`ErrorKind::Io`] for what cannot be read.
    pub fn load(directory: &Path) -> Result<Self, Error> {
        let mut merged = Self::default();
        for name in list(directory)? {
            let path = directory.join(name);
            let text = file::read_text(LOADING, &path)?;
            merged.merge(Self::parse(&text, &path.to_string_lossy())?)?;
        }
        Ok(merged)
    }

    fn merge(&mut self, other: Self) -> Result<(), Error> {
        let twice = |what: &str, one: &str, two: &str| {
            let [one, two] = [one, two].map(quoted_as_go);
            // The words of containers/image.
            Error::new(
                ErrorKind::Invalid,
                format!(
                    "Error parsing signature storage configuration: {what} defined both in {one} \
                     and {two}"
                ),
            )
        };
        match (&self.default, other.default) {
            (Some(one), Some(two)) => {
                return Err(twice("\"default-docker\"", &one.file, &two.file));
            }
            (None, Some(section)) => self.default = Some(section),
            (_, None) => {}
        }
        for (scope, section) in other.scopes {
            match self.scopes.entry(scope) {
                Entry::Occupied(one) => {
                    let what = format!("\"docker\" namespace {}", quoted_as_go(one.key()));
                    return Err(twice(&what, &one.get().file, &section.file));
                }
                Entry::Vacant(free) => drop(free.insert(section)),
            }
        }
        self.warnings.extend(other.warnings);
        Ok(())
    }
}

/// The names of the files, ordered.
fn list(directory: &Path) -> Result<Vec<OsString>, Error> {
    let fail = |source| Error::io(LISTING, directory, source);
    let listing = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.map_err(fail)?,
    };
    let mut names = Vec::new();
    for (count, entry) in listing.enumerate() {
        if count == MAX_ENTRIES {
            let message = format!("more than {MAX_ENTRIES} entries; remove some");
            return Err(Error::new(ErrorKind::TooLarge, message).doing(LISTING, directory));
        }
        let name = entry.map_err(fail)?.file_name();
        if name.as_bytes().ends_with(b".yaml") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_s_directory_hides_the_system_s() {
        let temp = tempfile::tempdir().unwrap();
        let environment = Environment {
            home: Some(temp.path().join("home")),
            system_root: Some(temp.path().join("root")),
            user_id: 7,
            ..Environment::default()
        };
        let system = temp.path().join("root/etc/containers/registries.d");
        assert_eq!(directory(&environment), system);
        let own = temp.path().join("home/.config/containers/registries.d");
        std::fs::create_dir_all(&own).unwrap();
        assert_eq!(directory(&environment), own);
        let default = temp.path().join("home/.local/share/containers/sigstore");
        assert_eq!(default_directory(&environment), Some(default));
    }

    #[test]
    fn files_are_merged_and_may_not_say_something_twice() {
        let temp = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(temp.path().join(name), text).unwrap();
        let load = || LookasideConf::load(temp.path());
        assert!(LookasideConf::load(&temp.path().join("none")).unwrap().default.is_none());
        write("a.yaml", "default-docker:\n  lookaside: file:///a\n");
        write("b.yaml", "docker:\n  r.example:\n    lookaside: file:///b\n");
        write("c.yml", "not: [read");
        let merged = load().unwrap();
        assert!(merged.default.is_some() && merged.scopes.contains_key("r.example"));
        write("d.yaml", "docker:\n  r.example:\n    use-sigstore-attachments: true\n");
        let error = load().unwrap_err().to_string();
        let (b, d) = (temp.path().join("b.yaml"), temp.path().join("d.yaml"));
        let what = format!("\"docker\" namespace \"r.example\" defined both in {b:?} and {d:?}");
        assert!(error.ends_with(&what), "{error}");
        write("d.yaml", "default-docker: {}\n");
        let error = load().unwrap_err().to_string();
        assert!(error.contains("\"default-docker\" defined both in"), "{error}");
    }
}
