//! Layers whose owners are others on the disk: podman and buildah make them, or see through them, for containers
//! with ID maps.

use serde_json::Value;
use tests::{Outcome, Scratch, cellar_built, command, has, run, scratch, tool};

use crate::TOOLS;

/// A store of a driver.
struct Store {
    scratch: Scratch,
    driver: &'static str,
}

impl Store {
    #[track_caller]
    fn run(&self, program: &str, arguments: &[&str]) -> Outcome {
        let mut command = match program {
            "cellar" => command(cellar_built()),
            other => command(other),
        };
        let (root, run_root) = (self.scratch.at("root"), self.scratch.at("run"));
        command.args(["--root", &root, "--runroot", &run_root, "--storage-driver", self.driver]);
        run(command.args(arguments))
    }

    /// The records of a kind.
    fn records(&self, kind: &str) -> Vec<Value> {
        let path = format!("root/{}-{kind}/{kind}.json", self.driver);
        let bytes = std::fs::read(self.scratch.join(path)).expect("there is a store");
        serde_json::from_slice(&bytes).expect("records are a list")
    }

    fn saved(&self, program: &str) -> Vec<u8> {
        let at = self.scratch.at("saved.tar");
        let _ = std::fs::remove_file(&at);
        self.run(program, &["save", "-q", "-o", &at, "base:1"]).ok();
        std::fs::read(&at).expect("it was saved")
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = command("umount").args(["-l", &self.scratch.at("root/overlay")]).output();
    }
}

#[test]
fn what_a_container_with_users_of_its_own_changes_is_committed_as_it_sees_it() {
    if !has(&TOOLS) || !has(&["runc"]) {
        return;
    }
    for driver in ["overlay", "vfs"] {
        let store = Store { scratch: scratch(), driver };
        std::fs::copy("/bin/busybox", store.scratch.join("busybox")).expect("it is installed");
        let text = "FROM scratch\nCOPY busybox /bin/busybox\nCOPY --chown=7:8 file /file\n";
        let (file, context) = (store.scratch.at("file"), store.scratch.at(""));
        std::fs::write(&file, text).expect("a scratch directory is writable");
        let line = ["bud", "-q", "--layers", "-t", "localhost/base:1", "-f", &file, &context];
        store.run("buildah", &line).ok();
        let maps = ["--uidmap", "0:100000:65536", "--gidmap", "0:200000:65536"];
        let sh = ["/bin/busybox", "sh", "-c", "rm /file; echo new >/new"];
        let options = ["run", "--name", "m", "--network", "none"];
        let line = [&options[..], &maps, &["base:1"], &sh].concat();
        store.run("cellar", &line).ok();
        store.run("cellar", &["commit", "-q", "m", "localhost/made:1"]).ok();
        let mounted = store.run("podman", &["image", "mount", "made:1"]).ok();
        let at = std::path::Path::new(mounted.text());
        assert!(!at.join("file").exists(), "{driver}");
        let owner = tool("stat", &format!("-c %u:%g {}/new", mounted.text())).ok();
        assert_eq!(owner.text(), "0:0", "{driver}");
        store.run("podman", &["image", "unmount", "made:1"]).ok();
        // What stayed the same is not in its layer.
        let layers = store.records("layers");
        let image = &store.records("images")[1];
        let top = layers.iter().find(|layer| layer["id"] == image["layer"]);
        let size = top.and_then(|layer| layer["diff-size"].as_u64()).expect("a layer has a size");
        assert!(size < 100_000, "{driver}: {size}");
        store.run("cellar", &["rm", "m"]).ok();
        store.run("cellar", &["rmi", "made:1", "base:1"]).ok();
        assert_eq!(store.records("layers"), Vec::<Value>::new(), "{driver}");
        let check = store.run("cellar", &["system", "check"]).ok();
        assert_eq!((check.text(), check.stderr.as_str()), ("", ""), "{driver}");
    }
}

#[test]
fn layers_that_podman_and_buildah_mapped_are_read_as_they_came_and_go_with_their_image() {
    if !has(&TOOLS) {
        return;
    }
    for driver in ["overlay", "vfs"] {
        let store = Store { scratch: scratch(), driver };
        std::fs::copy("/bin/busybox", store.scratch.join("busybox")).expect("it is installed");
        let text =
            "FROM scratch\nCOPY --chown=3:4 busybox /bin/busybox\nCOPY --chown=7:8 file /file\n";
        let (file, context) = (store.scratch.at("file"), store.scratch.at(""));
        std::fs::write(&file, text).expect("a scratch directory is writable");
        let line = ["bud", "-q", "--layers", "-t", "localhost/base:1", "-f", &file, &context];
        store.run("buildah", &line).ok();
        let before = store.saved("cellar");
        let maps = ["--uidmap", "0:100000:65536", "--gidmap", "0:200000:65536"];
        let create = ["create", maps[0], maps[1], maps[2], maps[3], "--name", "m", "base:1", "x"];
        store.run("podman", &create).ok();
        let maps = ["--userns-uid-map", "0:300000:65536", "--userns-gid-map", "0:310000:65536"];
        let from = ["from", "--name", "w", maps[0], maps[1], maps[2], maps[3], "localhost/base:1"];
        store.run("buildah", &from).ok();
        let (layers, containers) = (store.records("layers"), store.records("containers"));
        assert!(containers.iter().all(|record| record["uidmap"].is_array()), "{containers:?}");
        let is_mapped = |layer: &&Value| layer["uidmap"].is_array();
        // The kernel maps what the overlay puts together; copies have other owners.
        assert_eq!(layers.iter().any(|layer| is_mapped(&layer)), driver == "vfs", "{layers:?}");
        let check = store.run("cellar", &["system", "check"]).ok();
        assert_eq!((check.text(), check.stderr.as_str()), ("", ""), "{driver}");
        assert!(store.saved("cellar") == before, "{driver}");
        assert!(store.saved("podman") == before, "{driver}");
        let mounted = store.run("cellar", &["image", "mount", "base:1"]).ok();
        let owners = |name: &str| {
            let at = format!("-c %u:%g {}/{name}", mounted.text());
            tool("stat", &at).ok().text().to_owned()
        };
        assert_eq!((owners("file"), owners("bin/busybox")), ("7:8".into(), "3:4".into()));
        store.run("cellar", &["image", "unmount", "base:1"]).ok();
        // Records that others wrote stay as they are when ours come to them.
        let tar = store.scratch.at("it.tar");
        tool("tar", &format!("-C {} -cf {tar} file", store.scratch.display())).ok();
        store.run("cellar", &["import", "-q", &tar, "other:1"]).ok();
        store.run("cellar", &["tag", "base:1", "again:1"]).ok();
        let after = store.records("layers");
        assert!(layers.iter().all(|layer| after.contains(layer)), "{driver}: {after:?}");
        assert_eq!(after.len(), layers.len() + 1);
        assert_eq!(store.records("containers"), containers);
        store.run("cellar", &["rmi", "again:1", "other:1"]).ok();
        store.run("cellar", &["rmi", "base:1"]).ends(2).says("image is in use by a container");
        store.run("cellar", &["rmi", "-f", "base:1"]).ok();
        for kind in ["layers", "images", "containers"] {
            assert_eq!(store.records(kind), Vec::<Value>::new(), "{driver}");
        }
        let check = store.run("cellar", &["system", "check"]).ok();
        assert_eq!((check.text(), check.stderr.as_str()), ("", ""), "{driver}");
    }
}
