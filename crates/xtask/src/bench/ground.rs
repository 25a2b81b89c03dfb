//! The file system on which runs write.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process::{command, output, succeed};

/// The most that a run may write.
const BYTES: u64 = 24 << 30;

/// A file system of the bench's own, made anew for every run and mounted on a folder: a run that creates files where
/// others were just deleted pays for them. ext4 does not use an inode again for five minutes after it was deleted,
/// and searches past all such ones for each file that it creates.
#[derive(Debug)]
pub(crate) struct Ground {
    folder: PathBuf,
    image: PathBuf,
}

impl Ground {
    /// On `folder`, with a file beside it as its disk.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { image: folder.with_extension("ext4"), folder }
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Mounts an empty file system, in place of the one before.
    ///
    /// # Errors
    ///
    /// Where this process may not mount, something still uses the one before, or mkfs.ext4 is missing.
    pub(crate) fn renew(&self) -> Result<()> {
        self.clear()?;
        fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot create {}", self.folder.display()))?;
        File::create(&self.image)
            .and_then(|file| file.set_len(BYTES))
            .with_context(|| format!("cannot create {}", self.image.display()))?;
        output(command("mkfs.ext4", ["-q", "-m", "0"]).arg(&self.image))?;
        // Without a cache of its own: what a run syncs would be written from two caches, one after the other.
        let losetup = ["--find", "--show", "--direct-io=on"];
        let device = output(command("losetup", losetup).arg(&self.image))
            .context("runs are measured on a file system of their own, which root can mount")?;
        let device = device.trim_end();
        // The tables of inodes are not filled in the background while somebody is measured.
        let mounted = succeed(command("mount", ["-o", "noinit_itable", device]).arg(&self.folder));
        // From here on the device lasts as long as the file system is mounted.
        succeed(&mut command("losetup", ["--detach", device]))?;
        mounted
    }

    /// Takes the file system away, with what runs left mounted below it.
    fn clear(&self) -> Result<()> {
        while mounted(&self.folder)? {
            succeed(command("umount", ["--recursive"]).arg(&self.folder))?;
        }
        match fs::remove_file(&self.image) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
        .with_context(|| format!("cannot remove {}", self.image.display()))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            crate::console::error(&error);
        }
    }
}

/// Whether something is mounted on a folder, which need not be there.
fn mounted(folder: &Path) -> Result<bool> {
    let device = |path: &Path| match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata.dev())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let parent = folder.parent().unwrap_or(folder);
    let (own, above) = (device(folder)?, device(parent)?);
    Ok(own.is_some() && own != above)
}
