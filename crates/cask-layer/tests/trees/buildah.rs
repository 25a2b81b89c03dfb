//! Layers that buildah writes, and ours, byte for byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cask_layer::{DiffOptions, diff_upper};
use cask_rootfs::{Node, Root};
use serde_json::Value;

use crate::support::{fill, is_there, run};

/// A store with one working container.
struct Working {
    directory: tempfile::TempDir,
    container: String,
}

impl Working {
    fn from(directory: tempfile::TempDir, image: &str) -> Self {
        let mut working = Self { directory, container: String::new() };
        working.container = run(&mut working.buildah(&["from", image]));
        working
    }

    fn buildah(&self, arguments: &[&str]) -> Command {
        let path = self.directory.path();
        let mut command = Command::new("buildah");
        command.arg("--root").arg(path.join("root")).arg("--runroot").arg(path.join("run"));
        command.args(["--storage-driver", "overlay"]).args(arguments);
        command
    }

    /// The mounted tree and the directory that holds what is changed in it.
    fn mount(&self) -> (PathBuf, PathBuf) {
        let merged = PathBuf::from(run(&mut self.buildah(&["mount", &self.container])));
        let upper = merged.parent().unwrap().join("diff");
        (merged, upper)
    }

    /// Commits, and gives the last layer.
    fn commit(&self) -> Vec<u8> {
        run(&mut self.buildah(&["umount", &self.container]));
        let layout = self.directory.path().join("layout");
        let target = format!("oci:{}:new", layout.display());
        run(&mut self.buildah(&[
            "commit",
            "-q",
            "--disable-compression",
            &self.container,
            &target,
        ]));
        let blob = |digest: &Value| {
            let hex = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
            fs::read(layout.join("blobs/sha256").join(hex)).unwrap()
        };
        let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        let index = json(&fs::read(layout.join("index.json")).unwrap());
        let manifest = json(&blob(&index["manifests"][0]["digest"]));
        blob(&manifest["layers"].as_array().unwrap().last().unwrap()["digest"])
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let _ = self.buildah(&["rm", "-a"]).output();
        let overlay = self.directory.path().join("root/overlay");
        let _ = rustix::mount::unmount(&overlay, rustix::mount::UnmountFlags::DETACH);
    }
}

fn assert_same_bytes(ours: &[u8], theirs: &[u8]) {
    let at = ours.iter().zip(theirs).position(|(a, b)| a != b);
    let around = |bytes: &[u8]| {
        let at = at.unwrap_or(bytes.len().min(512)) / 512 * 512;
        bytes[at..bytes.len().min(at + 512)].escape_ascii().to_string()
    };
    assert!(
        ours == theirs,
        "{} and {} bytes, different from {at:?}\nours   {}\ntheirs {}",
        ours.len(),
        theirs.len(),
        around(ours),
        around(theirs)
    );
}

fn diff(upper: &Path, lowers: &[&Path]) -> Vec<u8> {
    let lowers: Vec<_> = lowers.iter().map(|lower| Root::open(lower).unwrap()).collect();
    let upper = Root::open(upper).unwrap();
    diff_upper(&upper, &lowers, Vec::new(), &DiffOptions::default()).unwrap().1
}

#[test]
fn our_layer_of_a_tree_has_buildah_s_bytes() {
    if !is_there("buildah") {
        return;
    }
    let working = Working::from(tempfile::tempdir().unwrap(), "scratch");
    let (merged, upper) = working.mount();
    fill(&merged);
    let ours = diff(&upper, &[]);
    let theirs = working.commit();
    assert_same_bytes(&ours, &theirs);
}

#[test]
fn our_whiteouts_have_buildah_s_bytes() {
    if !is_there("buildah") {
        return;
    }
    let base = Working::from(tempfile::tempdir().unwrap(), "scratch");
    let (merged, lower) = base.mount();
    fill(&merged);
    run(&mut base.buildah(&["umount", &base.container]));
    run(&mut base.buildah(&["commit", "-q", &base.container, "base"]));
    let working = {
        let mut next = base;
        next.container = run(&mut next.buildah(&["from", "localhost/base"]));
        next
    };
    let (merged, upper) = working.mount();
    fs::remove_file(merged.join("file")).unwrap();
    fs::remove_dir_all(merged.join("d")).unwrap();
    fs::create_dir(merged.join("d")).unwrap();
    fs::write(merged.join("d/new"), "new").unwrap();
    fs::write(merged.join("big"), "small now").unwrap();
    let root = Root::open(&merged).unwrap();
    root.directory("d").unwrap().create_node("fifo", Node::Fifo, 0o600).unwrap();
    let ours = diff(&upper, &[&lower]);
    let theirs = working.commit();
    assert_same_bytes(&ours, &theirs);
}
