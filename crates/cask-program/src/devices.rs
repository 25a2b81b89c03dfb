//! Devices that vendors describe.

use std::path::PathBuf;

use anyhow::Result;
use cask_runtime::CDI_DIRECTORIES;

use crate::containers_conf;

/// The directories of their files: those that are named, or else of containers.conf, or else the usual ones.
///
/// # Errors
/// Where the current directory is not known.
pub fn directories(named: &[PathBuf], conf: Option<&[PathBuf]>) -> Result<Vec<PathBuf>> {
    let found = match (named, conf) {
        ([], None) => CDI_DIRECTORIES.map(PathBuf::from).to_vec(),
        ([], Some(listed)) => listed.to_vec(),
        (named, _) => named.to_vec(),
    };
    let found = found.into_iter().filter(|path| !path.as_os_str().is_empty());
    Ok(found.map(std::path::absolute).collect::<std::io::Result<_>>()?)
}

/// The usual directories, or those of containers.conf, and more of them, which come before those.
///
/// # Errors
/// Where the current directory is not known, or containers.conf cannot be read.
pub fn directories_with(more: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let conf = containers_conf::load()?.engine.cdi_directories.as_deref();
    let mut all = directories(&[], conf)?;
    if !more.is_empty() {
        all.extend(directories(more, None)?);
    }
    Ok(all)
}
