//! Reading and merging the files.

use std::path::Path;

use crate::document::Source;
use crate::drop_in::drop_ins;
use crate::registries::conf::file_name;
use crate::registries::parse::parse;
use crate::registries::{Main, Paths, RegistriesConf};
use crate::{Error, ErrorKind, file};

const LOADING: &str = "loading registries configuration";
const LOADING_DROP_IN: &str = "loading drop-in registries configuration";
const LISTING: &str = "reading registries.conf.d";

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
        for path in drop_ins(LISTING, &paths.drop_in_directories)? {
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
