//! Mounting layers: an image's for reading, a container's for writing.

use std::fs::{self, DirBuilder};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cache::not_found;
use crate::driver::overlay_mount::{OverlayMount, detach, keep_private};
use crate::driver::shifted::Shifted;
use crate::driver::{check_plain, overlay};
use crate::mount_points::{MountPoint, MountPoints, Mounted, is_mounted};
use crate::order::Reading;
use crate::store::Inner;
use crate::{DriverKind, Error, ErrorKind, Id, Layer, Result, Store};

/// How a layer is mounted.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct MountOptions {
    /// Whether it is written to. Layers of images are not.
    pub writable: bool,
    /// Whether what is written need not survive a loss of power: nothing waits for the disk then, neither who asks for
    /// it inside nor who unmounts, which otherwise puts everything on the disk that anybody wrote to its file system.
    pub volatile: bool,
    /// Options instead of those that the store was opened with, separated by commas.
    pub options: Option<String>,
    /// An SELinux label instead of the layer's own.
    pub label: Option<String>,
    /// A user namespace: whoever owns a file of the layers below is who it maps them to. What is
    /// written belongs to whoever writes it. Not for vfs, which mounts nothing.
    pub owners: Option<Arc<OwnedFd>>,
}

impl Store {
    /// Mounts the files of an image for reading; says where they are.
    ///
    /// Mounts are counted, together with those of peers: an image that is mounted already is
    /// mounted once more in name only.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for the image or one of its layers; [`ErrorKind::Unsupported`] for
    /// an image without layers; as [`mount_layer`](Self::mount_layer).
    pub fn mount_image(&self, image: &Id) -> Result<PathBuf> {
        let top = self.top_layer(image)?;
        self.mount_layer(&top, &MountOptions::default())
    }

    /// Takes back one mount of an image, or with `force` all of them; says whether it is still
    /// mounted.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for the image; as [`unmount_layer`](Self::unmount_layer).
    pub fn unmount_image(&self, image: &Id, force: bool) -> Result<bool> {
        self.unmount_layer(&self.top_layer(image)?, force)
    }

    fn top_layer(&self, image: &Id) -> Result<Id> {
        let record = self.image(image)?.ok_or_else(|| not_found("finding the image", image))?;
        record.top_layer.clone().ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "mounting the image", image)
                .with_detail("it has no layers")
        })
    }

    /// Mounts a layer with all below it; says where. With vfs nothing is mounted: the files lie
    /// ready.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for it or one below it; [`ErrorKind::ReadOnly`] for writing to a
    /// layer of an additional store; [`ErrorKind::LimitExceeded`] for more than 500 layers;
    /// [`ErrorKind::Unsupported`] for layers of composefs or additional layer stores, for stores that
    /// a program mounts, and where the kernel or the file system cannot shift owners;
    /// [`ErrorKind::Denied`], [`ErrorKind::Locked`] and [`ErrorKind::Io`].
    pub fn mount_layer(&self, id: &Id, options: &MountOptions) -> Result<PathBuf> {
        let inner = &self.inner;
        let held = inner.hold().layers::<Reading>()?;
        let chain = self.layer_chain(id)?;
        let top = chain.first().ok_or_else(|| not_found("finding layer", id))?;
        if options.writable && top.is_read_only() {
            return Err(Error::new(ErrorKind::ReadOnly, "mounting layer", id)
                .with_detail("it is in an additional store, which can only be read"));
        }
        let lock = held.mount_points()?;
        let mut points = MountPoints::load(inner)?;
        let target = self.mount_target(top);
        let count = match points.of(id) {
            // After a reboot the counts of a run root on disk say more than is true.
            Some(MountPoint { path, count, .. }) if is_there(self, Path::new(path)) => *count,
            _ => 0,
        };
        if count == 0 {
            self.mount_chain(&chain, &target, options)?;
        }
        points.set(id, &target, count + 1);
        points.save(inner, &lock)?;
        Ok(target)
    }

    /// Where a layer is mounted: not in stores that can only be read.
    fn mount_target(&self, layer: &Layer) -> PathBuf {
        match self.driver() {
            DriverKind::Vfs => self.inner.places[layer.place].layer_files(&layer.id),
            DriverKind::Overlay if layer.is_read_only() => {
                self.run_root().join("overlay").join(layer.id.as_str()).join("merged")
            }
            DriverKind::Overlay => {
                self.inner.places[layer.place].layer_directory(&layer.id).join("merged")
            }
        }
    }

    fn mount_chain(&self, chain: &[Layer], target: &Path, options: &MountOptions) -> Result<()> {
        let [top, below @ ..] = chain else { return Ok(()) };
        if self.driver() == DriverKind::Vfs {
            return match options.owners {
                None => Ok(()),
                Some(_) => Err(Error::new(ErrorKind::Unsupported, "mounting layer", &top.id)
                    .with_detail("with vfs nothing is mounted, and owners cannot be shifted")),
            };
        }
        self.check_mountable(chain)?;
        let place = &self.inner.places[top.place];
        keep_private(&self.inner.places[top.place].driver_directory())?;
        let lowers: Vec<Id> = below.iter().map(|layer| layer.id.clone()).collect();
        let mut lowers = overlay::lower_directories(&self.inner, &top.id, &lowers)?;
        let (files, work) =
            (place.layer_files(&top.id), place.layer_directory(&top.id).join("work"));
        // The kernel takes no second mount of an upper directory that was volatile.
        crate::temp::remove_tree(&work.join("work/incompat/volatile"))?;
        let upper = match options.writable {
            true => Some((files, work)),
            false => {
                lowers.insert(0, files);
                None
            }
        };
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(target);
        made.map_err(|error| Error::io(error, "making the directory", target))?;
        // Until the overlay is there.
        let shifted = match &options.owners {
            None => None,
            Some(namespace) => {
                let directory = target.with_file_name("mapped");
                Some(Shifted::mount(directory, &lowers, namespace.as_fd())?)
            }
        };
        if let Some(shifted) = &shifted {
            lowers = shifted.paths().to_vec();
        }
        let usual = options.options.as_deref().unwrap_or(&self.options().mount_options);
        let volatile = format!("volatile,{usual}");
        let mut mount = OverlayMount {
            lowers,
            upper,
            options: usual,
            label: options.label.as_deref().unwrap_or(&top.mount_label),
            rootless: self.options().rootless,
        };
        if options.volatile && options.writable {
            mount.options = &volatile;
            match mount.mount(target) {
                // Kernels before 5.10 do not know the word.
                Err(error) if error.kind() == ErrorKind::Io => mount.options = usual,
                mounted => return mounted,
            }
        }
        mount.mount(target)
    }

    /// Refuses layers that the kernel cannot put together.
    pub(crate) fn check_mountable(&self, chain: &[Layer]) -> Result<()> {
        let [top, ..] = chain else { return Ok(()) };
        if self.has_mount_program() {
            return Err(Error::new(ErrorKind::Unsupported, "mounting layer", &top.id).with_detail(
                "the store was written for a program that mounts it, as fuse-overlayfs",
            ));
        }
        let mut layers = chain.iter();
        layers.try_for_each(|layer| {
            check_plain(&self.inner.places[layer.place], &layer.id, "mounting layer")
        })
    }

    /// Takes back one mount of a layer, or with `force` all of them; says whether it is still
    /// mounted. A layer that is not mounted is no error.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`], [`ErrorKind::Locked`] and [`ErrorKind::Io`].
    pub fn unmount_layer(&self, id: &Id, force: bool) -> Result<bool> {
        let inner = &self.inner;
        let held = inner.hold().layers::<Reading>()?;
        let lock = held.mount_points()?;
        let mut points = MountPoints::load(inner)?;
        let Some(MountPoint { path, count, .. }) = points.of(id).cloned() else { return Ok(false) };
        let path = PathBuf::from(path);
        if count > 1 && !force {
            points.set(id, &path, count - 1);
            points.save(inner, &lock)?;
            return Ok(true);
        }
        unmount_fully(inner, &mut points, id)?;
        points.save(inner, &lock)?;
        Ok(false)
    }

    /// The layers that are mounted, whoever mounted them.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] and [`ErrorKind::Io`].
    pub fn mounts(&self) -> Result<Vec<Mounted>> {
        let points = MountPoints::load(&self.inner)?;
        let mounted = points.all().filter(|point| is_there(self, Path::new(&point.path)));
        let mounted = mounted.filter_map(|point| {
            Some(Mounted { layer: Id::recorded(&point.id).ok()?, path: point.path.clone().into() })
        });
        Ok(mounted.collect())
    }
}

/// Takes back every mount of a layer, and forgets it.
fn unmount_fully(store: &Inner, points: &mut MountPoints, id: &Id) -> Result<()> {
    if let Some(path) = mount_point(store, points, id) {
        detach(&path)?;
        replace_mount_point(&path)?;
    }
    points.forget(id);
    Ok(())
}

/// Takes back every mount of a layer that is about to go, and forgets it.
pub(crate) fn unmount_for_good(store: &Inner, points: &mut MountPoints, id: &Id) -> Result<()> {
    if let Some(path) = mount_point(store, points, id) {
        detach(&path)?;
    }
    points.forget(id);
    Ok(())
}

/// Where a layer is mounted: a path from the file is believed only where a store would mount.
fn mount_point(store: &Inner, points: &MountPoints, id: &Id) -> Option<PathBuf> {
    let path = PathBuf::from(&points.of(id)?.path);
    let is_ours = store.driver == DriverKind::Overlay && path.ends_with(format!("{id}/merged"));
    is_ours.then_some(path)
}

/// Whether what was noted is still so.
fn is_there(store: &Store, path: &Path) -> bool {
    store.driver() == DriverKind::Vfs || is_mounted(path)
}

/// Puts a fresh directory where something was mounted, so that whatever was written below the
/// mount is gone.
fn replace_mount_point(path: &Path) -> Result<()> {
    let fresh = path.with_extension("1");
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    let made = DirBuilder::new().mode(0o700).create(&fresh);
    if let Err(error) = made
        && error.kind() != std::io::ErrorKind::AlreadyExists
    {
        return Err(Error::io(error, "making the directory", &fresh));
    }
    // Who may not change owners has none but their own.
    let _ = lchown(&fresh, Some(metadata.uid()), Some(metadata.gid()));
    fs::rename(&fresh, path).map_err(|error| Error::io(error, "replacing", path))
}
