//! podman's store, and what this crate makes of the same layer.

use std::fs;
use std::path::Path;
use std::process::Command;

use cask_layer::{ApplyOptions, Whiteouts};
use cask_rootfs::Root;

use crate::support::{fill, gnu_tar, is_there, make_directory, run};
use crate::tree::{Host, assert_same, describe, extract_with};

/// Unmounts what podman leaves mounted.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

/// Lets podman import a stream, and gives the tree that it made of it.
fn import(tar: &Path, store: &Path) -> Root {
    let _mounted = Mounted(store.join("root/overlay"));
    let mut command = Command::new("podman");
    command.arg("--root").arg(store.join("root")).arg("--runroot").arg(store.join("run"));
    command.args(["--storage-driver", "overlay"]).arg("--tmpdir").arg(store.join("tmp"));
    run(command.args(["import", "-q"]).arg(tar));
    let mut found = fs::read_dir(store.join("root/overlay")).unwrap().filter_map(|entry| {
        let diff = entry.unwrap().path().join("diff");
        diff.is_dir().then_some(diff)
    });
    let diff = found.next().unwrap();
    assert!(found.next().is_none(), "one layer");
    Root::open(diff).unwrap()
}

#[test]
fn podman_makes_the_same_tree_of_a_layer() {
    if !is_there("podman") || !is_there("tar") {
        return;
    }
    let host = Host::new();
    fill(&host.at("root"));
    // podman refuses sparse files in GNU's form, and sets the times of its own choice before 1970.
    fs::remove_file(host.at("root/sparse")).unwrap();
    fs::remove_file(host.at("root/fifo")).unwrap();
    make_directory(&host.at("root/whiteouts/opaque"));
    for name in ["whiteouts/.wh.gone", "whiteouts/opaque/.wh..wh..opq", "whiteouts/opaque/.wh.too"]
    {
        fs::write(host.at("root").join(name), "").unwrap();
    }
    let tar = host.at("layer.tar");
    gnu_tar("pax", &host.at("root"), &tar);
    let store = tempfile::tempdir().unwrap();
    let theirs = import(&tar, store.path());
    let ours = Host::new();
    let mut options = ApplyOptions::default();
    options.whiteouts = Whiteouts::Overlay;
    extract_with(&fs::read(&tar).unwrap(), &ours, &options).unwrap();
    let without_whiteout_times = |root: &Root| {
        let mut found = describe(root, true);
        // podman leaves them the time of their making, and so does this crate.
        for text in found.values_mut().filter(|text| text.starts_with("CharDevice 0 ")) {
            *text = text.split(' ').take(4).collect::<Vec<_>>().join(" ");
        }
        found
    };
    let found = without_whiteout_times(&ours.root());
    assert_same(&found, &without_whiteout_times(&theirs), "in podman's store");
}
