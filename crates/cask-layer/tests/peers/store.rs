//! Stores in temporary directories, and the peers' programs on them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use cask_layer::{ApplyOptions, TarSplitRecorder, UnpackOptions, Whiteouts, apply, unpack};
use cask_rootfs::Root;
use serde_json::Value;

/// Whether the peers can be asked; fails where they must be.
pub(crate) fn peers_are_there() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    let all = is_root && ["podman", "skopeo", "tar"].into_iter().all(there);
    assert!(all || std::env::var_os("CI").is_none(), "podman, skopeo, tar and root are needed");
    if !all {
        eprintln!("podman, skopeo, tar or root are missing: nothing is compared");
    }
    all
}

/// A store of podman in a directory of its own, with the overlay driver.
pub(crate) struct Store(tempfile::TempDir);

impl Store {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn directory(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    /// Runs podman on the store; gives what it prints, or its errors.
    pub(crate) fn podman(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new("podman");
        command.arg("--root").arg(self.root()).arg("--runroot").arg(self.0.path().join("run"));
        command.args(["--storage-driver", "overlay"]);
        command.arg("--tmpdir").arg(self.0.path().join("libpod"));
        finish(command.args(arguments))
    }

    /// Copies an image of the store to a directory.
    pub(crate) fn skopeo_copy(&self, image: &str, to: &Path) -> Result<String, String> {
        let (root, run) = (self.root(), self.0.path().join("run"));
        let from =
            format!("containers-storage:[overlay@{}+{}]{image}", root.display(), run.display());
        let to = format!("dir:{}", to.display());
        finish(Command::new("skopeo").args(["--insecure-policy", "copy", &from, &to]))
    }

    pub(crate) fn layers(&self) -> Vec<Value> {
        let text = fs::read(self.root().join("overlay-layers/layers.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    pub(crate) fn tar_split(&self, id: &str) -> PathBuf {
        self.root().join("overlay-layers").join(format!("{id}.tar-split.gz"))
    }

    pub(crate) fn diff(&self, id: &str) -> Root {
        Root::open(self.root().join("overlay").join(id).join("diff")).unwrap()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Peers mount the driver's directory over itself and leave it so.
        let path = self.root().join("overlay");
        while rustix::mount::unmount(&path, rustix::mount::UnmountFlags::DETACH).is_ok() {}
    }
}

fn finish(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Opens files of a layer.
pub(crate) fn opener(root: Root) -> impl Fn(&[u8]) -> io::Result<File> + Clone {
    let root = Rc::new(root);
    move |path| root.open_file(OsStr::from_bytes(path)).map_err(io::Error::other)
}

/// Extracts a stream as a layer of an overlay; gives its tar-split file.
pub(crate) fn extract(stream: &[u8], diff: &Path) -> Vec<u8> {
    let root = Root::open(diff).unwrap();
    let mut options = ApplyOptions::default();
    options.whiteouts = Whiteouts::Overlay;
    let scratch = || Ok(io::Cursor::new(Vec::new()));
    let files = opener(Root::open(diff).unwrap());
    let recorder = TarSplitRecorder::new(io::Cursor::new(Vec::new()), files, scratch).unwrap();
    let layer = unpack(stream, &UnpackOptions::default(), |tar| {
        apply(tar, &root, &options, recorder).map(|(_, _, recorder)| recorder)
    });
    layer.unwrap().value.finish().unwrap().into_inner()
}
