//! Mounts of which a container changes a copy.
//!
//! ```text
//! GRAPH ROOT/cask/containers/<id>/overlays/<n>/   while it runs
//!   upper    what it changed
//!   work     the kernel's
//! ```

use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    let open = |path: &Path| open_place(path).map_err(|error| io(error, "opening", path));
    let (upper, work) = if mount.upper.is_empty() {
        let (upper, work) = directories(place, number, &lower)?;
        (open(&upper)?, open(&work)?)
    } else {
        (open(Path::new(&mount.upper))?, open(Path::new(&mount.work))?)
    };
    Ok(Mount::overlay(Overlay { lower, upper, work }, bound.target))
}

/// New directories, of which the upper one is what is seen at the top: it looks as the lower one does.
fn directories(place: &Place, number: usize, lower: &Arc<OwnedFd>) -> Result<(PathBuf, PathBuf)> {
    let own = place.overlays().join(number.to_string());
    let (upper, work) = (own.join("upper"), own.join("work"));
    for path in [&upper, &work] {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| io(error, "making", path))?;
    }
    let failed = |error| io(error, "making", &upper);
    let lower =
        std::fs::metadata(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(lower)));
    let lower = lower.map_err(failed)?;
    std::os::unix::fs::chown(&upper, Some(lower.uid()), Some(lower.gid())).map_err(failed)?;
    let mode = std::fs::Permissions::from_mode(lower.mode() & 0o7777);
    std::fs::set_permissions(&upper, mode).map_err(failed)?;
    Ok((upper, work))
}
