//! Listing the directories of drop-ins.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::{Error, ErrorKind};

/// The most entries that the directories of drop-ins may have together.
const MAX_ENTRIES: usize = 4096;

/// The files that end with `.conf` in all directories, ordered by name; of one name the last.
///
/// A directory that is not there is passed over, as are directories among the entries.
///
/// Source: containers/storage, `configfile`.
pub(crate) fn drop_ins(
    doing: &'static str,
    directories: &[PathBuf],
) -> Result<impl Iterator<Item = PathBuf> + use<>, Error> {
    let mut by_name: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    let mut entries = 0;
    for directory in directories {
        let fail = |source| Error::io(doing, directory, source);
        let listing = match std::fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            listing => listing.map_err(fail)?,
        };
        for entry in listing {
            let entry = entry.map_err(fail)?;
            entries += 1;
            if entries > MAX_ENTRIES {
                let message = format!("more than {MAX_ENTRIES} entries; remove some");
                return Err(Error::new(ErrorKind::TooLarge, message).doing(doing, directory));
            }
            let (name, path) = (entry.file_name(), entry.path());
            if name.as_bytes().ends_with(b".conf") && !path.is_dir() {
                by_name.insert(name, path);
            }
        }
    }
    Ok(by_name.into_values())
}
