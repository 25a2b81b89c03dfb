//! `alias buildah=cooper`: scripts that build images step by step, on the same store as buildah's.

mod artifacts;
mod beside;
mod commit;
mod continued;
mod lists;
mod newer;
mod nothing;
mod scripts;
mod settings;
mod steps;
mod users;
mod walk;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tests::{Outcome, PeerStore, cooper_built};

/// What the tests need.
const TOOLS: [&str; 2] = ["buildah", "busybox"];

/// Runs cooper on a store.
#[track_caller]
fn cooper(store: &PeerStore, arguments: &[&str]) -> Outcome {
    store.run(program(), arguments)
}

/// Runs buildah on a store.
#[track_caller]
fn buildah(store: &PeerStore, arguments: &[&str]) -> Outcome {
    store.run("buildah", arguments)
}

fn program() -> &'static str {
    cooper_built().to_str().expect("temporary directories have ordinary names")
}

/// A store with an image `localhost/base:latest`: busybox with a few of its names, and settings.
fn store_with_base() -> PeerStore {
    static MADE: OnceLock<Vec<u8>> = OnceLock::new();
    let archive = MADE.get_or_init(|| {
        let store = made_with_base();
        let packed =
            Command::new("tar").arg("-C").arg(store.root()).args(["-cf", "-", "."]).output();
        packed.expect("tar is installed").stdout
    });
    let store = PeerStore::new();
    std::fs::create_dir_all(store.root()).expect("a scratch directory is writable");
    let mut unpack = Command::new("tar");
    unpack.arg("-C").arg(store.root()).args(["-xf", "-"]).stdin(Stdio::piped());
    let mut unpacking = unpack.spawn().expect("tar is installed");
    let written = unpacking.stdin.take().expect("it is a pipe").write_all(archive);
    written.expect("tar reads all of it");
    assert!(unpacking.wait().expect("a child can be waited for").success());
    store
}

fn made_with_base() -> PeerStore {
    let store = PeerStore::new();
    let container = buildah(&store, &["from", "scratch"]).ok().text().to_owned();
    buildah(&store, &["copy", "-q", &container, "/bin/busybox", "/bin/busybox"]).ok();
    let mounted = buildah(&store, &["mount", &container]).ok().text().to_owned();
    for name in [
        "sh", "cat", "echo", "env", "id", "ls", "pwd", "true", "false", "kill", "sleep", "tty",
        "hostname", "touch", "rm", "mkdir",
    ] {
        let link = Path::new(&mounted).join("bin").join(name);
        std::os::unix::fs::symlink("busybox", link).expect("a new directory is writable");
    }
    buildah(&store, &["umount", &container]).ok();
    let settings = ["--env", "A=1", "--cmd", "sh", "--label", "l=1", "--user", "0", &container];
    buildah(&store, &[&["config"], settings.as_slice()].concat()).ok();
    buildah(&store, &["commit", "-q", "--rm", "--timestamp", "1000", &container, "base"]).ok();
    store
}

/// The files of the store's overlay, the names of its records left out: what a test may leave.
fn layers(store: &PeerStore) -> Vec<String> {
    let entries = std::fs::read_dir(store.root().join("overlay")).expect("it is a directory");
    let names = entries.map(|entry| entry.expect("it is there").file_name());
    let mut names: Vec<String> =
        names.map(|name| name.into_string().expect("names are text")).collect();
    // Feature tests of the peers leave others.
    names.retain(|name| name.len() == 64);
    names.sort();
    names
}
