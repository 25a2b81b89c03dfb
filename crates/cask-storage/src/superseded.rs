//! Files of images that their records still mean while others have their place.
//!
//! A file of an image is replaced first and its record after it. Whoever dies in between would leave a record that
//! means bytes which are nowhere: so the file that it means keeps a name until the record means the other one.

use std::fs;
use std::path::{Path, PathBuf};

use cask_image::{Digest, Hasher, RawManifest};

use crate::big_data::{self, MAX_BYTES};
use crate::record::ImageRecord;
use crate::{Result, file};

/// What begins the name of such a file; its digest follows. No big data is called so: see [`big_data::file_name`].
const PREFIX: &str = "cask-superseded-";

/// Gives the file that a record means a second name, before another takes its place.
pub(crate) fn keep(directory: &Path, record: &ImageRecord, key: &str) -> Result<()> {
    let Some(meant) = record.big_data_digests.get(key) else { return Ok(()) };
    let path = directory.join(big_data::file_name(key));
    match file::read(&path, MAX_BYTES)? {
        Some((bytes, _)) if is_meant(key, &bytes, meant) => {
            file::link(&path, &path_of(directory, meant))
        }
        _ => Ok(()),
    }
}

/// The file that a record means, where another has its place. Peers, too, die in between: a manifest lies under its
/// digest as well.
pub(crate) fn read(directory: &Path, record: &ImageRecord, key: &str) -> Option<Vec<u8>> {
    let meant = record.big_data_digests.get(key)?;
    let by_digest = || directory.join(big_data::file_name(&format!("manifest-{meant}")));
    let paths = [Some(path_of(directory, meant)), (key == "manifest").then(by_digest)];
    paths.into_iter().flatten().find_map(|path| {
        let (bytes, _) = file::read(&path, MAX_BYTES).ok()??;
        is_meant(key, &bytes, meant).then_some(bytes)
    })
}

/// Gives the files that a record means their places back, where somebody died before it meant others.
pub(crate) fn take_back(directory: &Path, record: &ImageRecord) -> Result<()> {
    if list(directory).is_empty() {
        return Ok(());
    }
    for (key, meant) in &record.big_data_digests {
        let path = directory.join(big_data::file_name(key));
        let found = file::read(&path, MAX_BYTES).ok().flatten();
        let is_there = found.is_some_and(|(bytes, _)| is_meant(key, &bytes, meant));
        let kept = path_of(directory, meant);
        if !is_there && kept.exists() {
            file::rename(&kept, &path, "taking back")?;
        }
    }
    forget(directory);
    Ok(())
}

/// Deletes those files: the record means others now.
pub(crate) fn forget(directory: &Path) {
    for path in list(directory) {
        // Whoever writes to the image next tries again.
        let _ = file::remove_if_there(&path);
    }
}

/// Whether these are the bytes that a record means by a digest.
pub(crate) fn is_meant(key: &str, bytes: &[u8], meant: &Digest) -> bool {
    // That of a manifest in Docker's first format leaves its signatures out.
    let of_manifest = || RawManifest::guess(bytes.to_vec()).is_ok_and(|raw| raw.digest() == meant);
    Hasher::digest(meant.algorithm(), bytes) == *meant
        || (key.starts_with("manifest") && of_manifest())
}

fn path_of(directory: &Path, meant: &Digest) -> PathBuf {
    directory.join(format!("{PREFIX}{}", meant.hex()))
}

fn list(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let is_one = |entry: &fs::DirEntry| {
        entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX))
    };
    entries.filter(is_one).map(|entry| entry.path()).collect()
}
