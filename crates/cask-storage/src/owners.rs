//! Owners of files of containers that have users of their own.

use std::io;
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::Path;

use cask_layer::{IdMaps, IdRange};

use crate::IdMap;

impl IdMap {
    /// Maps as layers are read and written with them.
    pub fn of_layers(uids: &[Self], gids: &[Self]) -> IdMaps {
        let ranges = |maps: &[Self]| {
            let one = |map: &Self| IdRange {
                container: map.container_id,
                host: map.host_id,
                count: map.size,
            };
            maps.iter().map(one).collect()
        };
        IdMaps::new(ranges(uids), ranges(gids))
    }
}

/// Gives the mounted root of a container back to its own root, which is `owner` on this machine: podman and buildah
/// make it this machine's whenever they mount it. One that belongs to anybody else stays.
///
/// # Errors
/// Those of lstat(2) and chown(2).
pub fn keep_root(root: &Path, owner: (u32, u32)) -> io::Result<()> {
    if owner == (0, 0) {
        return Ok(());
    }
    let found = std::fs::symlink_metadata(root)?;
    match (found.uid(), found.gid()) {
        (0, 0) => lchown(root, Some(owner.0), Some(owner.1)),
        _ => Ok(()),
    }
}
