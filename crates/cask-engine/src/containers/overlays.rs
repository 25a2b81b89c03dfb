//! Mounts of which a container changes a copy.
//!
//! ```text
//! GRAPH ROOT/cask/containers/<id>/overlays/<n>/   while it runs
//!   upper    what it changed
//!   work     the kernel's
//! GRAPH ROOT/cask/containers/<id>/root/           as long as a container whose root is a directory of somebody's
//!   upper, work
//! RUN ROOT/cask/containers/<id>/root              where that is mounted
//! ```

use std::ffi::CString;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use cask_runtime::{Mount, MountSource, Overlay};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::mounts::MountConfig;
use super::record::{Place, io};
use super::spec::open_place;
use super::volumes::is_mounted;
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

    /// Mounts a directory whose changes are kept with the container, unless it is mounted; where it is seen.
    pub(super) fn mount_root(&self, lower: &Path, rootless: bool) -> Result<PathBuf> {
        let point = self.run.join("root");
        if is_mounted(&point) {
            return Ok(point);
        }
        let kept = self.kept.join("root");
        let (upper, work) = (kept.join("upper"), kept.join("work"));
        for directory in [&upper, &work, &point] {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(directory);
            made.map_err(|error| io(error, "making", directory))?;
        }
        let lower = std::path::absolute(lower).map_err(|error| io(error, "finding", lower))?;
        // Through descriptors: no name has letters that mean something in the options.
        let open = |path: &Path| open_place(path).map_err(|error| io(error, "opening", path));
        let all = [open(&lower)?, open(&upper)?, open(&work)?];
        let [low, up, next] =
            all.each_ref().map(|one| format!("/proc/self/fd/{}", one.as_raw_fd()));
        let own = if rootless { ",userxattr" } else { "" };
        let options = format!("lowerdir={low},upperdir={up},workdir={next}{own}");
        let options = CString::new(options).expect("numbers have no null");
        mount("overlay", &point, "overlay", MountFlags::empty(), &*options)
            .map_err(|error| io(error.into(), "mounting", &point))?;
        Ok(point)
    }

    /// Takes that back.
    pub(super) fn unmount_root(&self) -> Result<()> {
        let point = self.run.join("root");
        match unmount(&point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            // It is not mounted, or was not even made.
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => Ok(()),
            Err(error) => Err(io(error.into(), "unmounting", &point)),
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
