//! Mounts of which a container changes a copy.
//!
//! ```text
//! GRAPH ROOT/cask/containers/<id>/overlays/<n>/   while it runs
//!   upper    what it changed
//!   work     the kernel's
//! ```

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use cask_runtime::{Mount, MountSource, Overlay};

use super::mounts::MountConfig;
use super::record::{Place, io};
use super::spec::open_place;
use crate::Result;

impl Place {
    fn overlays(&self) -> PathBuf {
        self.kept.join("overlays")
    }

    /// Removes what the last life of the container changed.
    pub(super) fn clear_overlays(&self) -> Result<()> {
        let path = self.overlays();
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io(error, "removing", &path))
            }
            _ => Ok(()),
        }
    }
}

/// Has changes of what is bound be kept where the mount says, or with the container, as the overlay of this number.
pub(super) fn over(
    bound: Mount,
    mount: &MountConfig,
    place: &Place,
    number: usize,
) -> Result<Mount> {
    let MountSource::Bind(lower) = bound.source else { return Ok(bound) };
    if mount.upper.is_empty() {
        let own = place.overlays().join(number.to_string());
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&own);
        made.map_err(|error| io(error, "making", &own))?;
        return Ok(Mount::overlay(Overlay::in_directory(&own, lower)?, bound.target));
    }
    let open = |path: &Path| open_place(path).map_err(|error| io(error, "opening", path));
    let (upper, work) = (open(Path::new(&mount.upper))?, open(Path::new(&mount.work))?);
    Ok(Mount::overlay(Overlay { lower, upper, work }, bound.target))
}
