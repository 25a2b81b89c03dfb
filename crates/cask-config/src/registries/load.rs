//! Reading and merging the files.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::document::Source;
use crate::registries::conf::file_name;
use crate::registries::parse::parse;
use crate::registries::{Main, Paths, RegistriesConf};
use crate::{Error, ErrorKind, file};

const LOADING: &str = "loading registries configuration";
const LOADING_DROP_IN: &str = "loading drop-in registries configuration";
const LISTING: &str = "reading registries.conf.d";

/// The most entries that the directories of drop-ins may have together.
const MAX_ENTRIES: usize = 4096;

impl RegistriesConf {
    /// Reads and merges the files of a configuration. A file or directory that is not there is
    /// passed over unless it was asked for by name.
    ///
    /// Files may be symbolic links to regular files or to `/dev/null`, which counts as an empty
    /// one; anything else that is no regular file is an error, and a directory called `x.conf` is
    /// passed over. A file has at most [`MAX_FILE_BYTES`](crate::MAX_FILE_BYTES), and the
    /// directories of drop-ins have at most 4096 entries.
    ///
    /// Source: containers/storage, `configfile`; containers/image, `sysregistriesv2`. In 2026 they
    /// pass over drop-ins that are links: here a rule cannot vanish that way.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for [`Main::Required`] and [`Paths::last`]; [`ErrorKind::Io`] for
    /// what cannot be read; those of [`Self::parse`].
    pub fn load(paths: &Paths) -> Result<Self, Error> {
        let mut merged = Self::default();
        match &paths.main {
            Main::Required(path) => merged = read(LOADING, path)?,
            Main::FirstOf(candidates) => {
                for path in candidates {
                    if let Some(main) = read_existing(LOADING, path)? {
                        merged = main;
                        break;
                    }
                }
            }
        }
        for path in drop_ins(&paths.drop_in_directories)? {
            if let Some(drop_in) = read_existing(LOADING_DROP_IN, &path)? {
                merged.merge(drop_in);
            }
        }
        if let Some(path) = &paths.last {
            merged.merge(read(LOADING, path)?);
        }
        Ok(merged)
    }
}

fn read(doing: &'static str, path: &Path) -> Result<RegistriesConf, Error> {
    let text = file::read_text(doing, path)?;
    parse(&Source::new(&text, doing, &file_name(path)))
}

fn read_existing(doing: &'static str, path: &Path) -> Result<Option<RegistriesConf>, Error> {
    match read(doing, path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// The drop-ins of all directories, ordered by name; of one name the last.
fn drop_ins(directories: &[PathBuf]) -> Result<impl Iterator<Item = PathBuf> + use<>, Error> {
    let mut by_name: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    let mut entries = 0;
    for directory in directories {
        let fail = |source| Error::io(LISTING, directory, source);
        let listing = match std::fs::read_dir(directory) {
            Err(error) if is_missing(&error) => continue,
            listing => listing.map_err(fail)?,
        };
        for entry in listing {
            let entry = entry.map_err(fail)?;
            entries += 1;
            if entries > MAX_ENTRIES {
                let message = format!("more than {MAX_ENTRIES} entries; remove some");
                return Err(Error::new(ErrorKind::TooLarge, message).doing(LISTING, directory));
            }
            let name = entry.file_name();
            let path = entry.path();
            if name.as_bytes().ends_with(b".conf") && !path.is_dir() {
                by_name.insert(name, path);
            }
        }
    }
    Ok(by_name.into_values())
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}
