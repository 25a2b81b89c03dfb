//! Several processes that pull the same image.

use std::fs::File;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, kill_process};
use tests::{Access, PeerStore, Registry, Relay, Scratch, dray_with, fixtures, has, scratch};

use crate::TOOLS;

const PLAIN: &str = "--tls-verify=false";

/// A registry with the image of the fixtures as `it:1`.
fn registry() -> Option<(Scratch, Registry)> {
    if !has(&TOOLS) || !has(&["docker-registry"]) {
        return None;
    }
    let scratch = scratch();
    let registry = Registry::start(&scratch, Access::Plain);
    let to = format!("docker://{}/it:1", registry.address());
    let from = &fixtures().buildah_oci;
    dray_with(&["--insecure-policy", "copy", "-q", "--dest-tls-verify=false", from, &to]).ok();
    Some((scratch, registry))
}

fn pull(store: &PeerStore, address: &str) -> Child {
    let mut pull = store.cellar_command(&["pull", "-q", PLAIN, &format!("{address}/it:1")]);
    pull.stdout(Stdio::null()).spawn().expect("cellar runs")
}

#[test]
fn of_many_processes_one_fetches_each_layer() {
    let Some((_scratch, registry)) = registry() else { return };
    let store = PeerStore::new();
    let pulls: Vec<Child> = (0..8).map(|_| pull(&store, registry.address())).collect();
    for mut pull in pulls {
        assert!(pull.wait().expect("it is ours").success());
    }
    let place = format!("docker://{}/it:1", registry.address());
    let manifest = dray_with(&["inspect", "--raw", PLAIN, &place]).ok().json();
    let requests = registry.requests();
    for layer in manifest["layers"].as_array().expect("an image has layers") {
        let blob = layer["digest"].as_str().expect("a layer has a digest");
        let asked = format!("GET /v2/it/blobs/{blob} ");
        let count = requests.iter().filter(|request| request.starts_with(&asked)).count();
        assert_eq!(count, 1, "{requests:#?}");
    }
    let check = store.cellar(&["system", "check"]).ok();
    assert_eq!((check.text(), check.stderr.as_str()), ("", ""));
}

#[test]
fn pieces_that_a_killed_pull_kept_go_with_the_pull_that_needs_them_no_more() {
    let Some((scratch, registry)) = registry() else { return };
    let store = PeerStore::new();
    let cache = scratch.at("cache");
    let pull = || {
        let address = registry.address();
        let mut pull = store.cellar_command(&["pull", "-q", PLAIN, &format!("{address}/it:1")]);
        tests::run(pull.env("XDG_CACHE_HOME", &cache)).ok();
    };
    pull();
    let place = format!("docker://{}/it:1", registry.address());
    let manifest = dray_with(&["inspect", "--raw", PLAIN, &place]).ok().json();
    let blob = manifest["layers"][0]["digest"].as_str().expect("a layer has a digest");
    let partial = scratch.join("cache/cask/partial");
    std::fs::create_dir_all(&partial).expect("a scratch directory is writable");
    let piece = partial.join(blob.replace(':', "-"));
    // The layer is in the store; then the image is gone, and its blobs are kept.
    let name = format!("{}/it:1", registry.address());
    store.cellar(&["tag", &name, "localhost/kept:1"]).ok();
    for gone in [false, true] {
        if gone {
            store.cellar(&["rmi", &name]).ok();
        }
        std::fs::write(&piece, "a piece").expect("a scratch directory is writable");
        pull();
        assert!(!piece.exists(), "{gone}");
    }
}

#[test]
fn whoever_has_stopped_or_died_while_it_fetches_holds_nobody_up() {
    let Some((_scratch, registry)) = registry() else { return };
    for signal in [Signal::STOP, Signal::KILL] {
        let store = PeerStore::new();
        let relay = Relay::start(registry.address(), 60_000);
        let mut first = pull(&store, relay.address());
        relay.wait(100_000);
        let pid = Pid::from_child(&first);
        kill_process(pid, signal).expect("it is ours");
        let locks = store.root().with_file_name("run").join("overlay-locks");
        let locks: Vec<_> =
            std::fs::read_dir(locks).expect("it fetches a layer").flatten().collect();
        assert!(!locks.is_empty(), "{signal:?}");
        // Half a minute later, for all that others can see.
        for lock in &locks {
            let file = File::options().write(true).open(lock.path()).expect("it is a lock");
            let then = SystemTime::now() - Duration::from_secs(60);
            file.set_modified(then).expect("it is ours");
        }
        // Held up, it would wait for ever: who has stopped gives nothing back.
        let mut second = pull(&store, registry.address());
        assert!(second.wait().expect("it is ours").success());
        // The first one may have ended by itself.
        let _ = kill_process(pid, Signal::KILL);
        first.wait().expect("it is ours");
        // Whoever comes to layers or takes them away next takes away what the dead left.
        store.cellar(&["rmi", &format!("{}/it:1", registry.address())]).ok();
        let check = store.cellar(&["system", "check"]).ok();
        assert_eq!((check.text(), check.stderr.as_str()), ("", ""), "{signal:?}");
    }
}
