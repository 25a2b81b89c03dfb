//! Pulls and loads that are killed: the library's tests stop each step by itself, and these the whole program anywhere.

use std::process::Stdio;
use std::time::Instant;

use tests::{Access, PeerStore, Registry, fixtures, has, scratch, skopeo_with};

use crate::TOOLS;

/// At so many moments, spread over the time that a run takes.
const KILLS: u32 = 3;

#[test]
fn kill_9_of_a_pull_or_a_load_leaves_a_store_that_works() {
    if !has(&TOOLS) || !has(&["skopeo", "docker-registry"]) {
        return;
    }
    let scratch = scratch();
    let registry = Registry::start(&scratch, Access::Plain);
    let (name, archive) = (format!("{}/it:1", registry.address()), scratch.at("it.tar"));
    let to = [format!("docker://{name}"), format!("docker-archive:{archive}:{name}")];
    for to in &to {
        let from = &fixtures().buildah_oci;
        skopeo_with(&["copy", "-q", "--dest-tls-verify=false", from, to]).ok();
    }
    let lines: [&[&str]; 2] =
        [&["pull", "-q", "--tls-verify=false", &name], &["load", "-q", "-i", &archive]];
    for line in lines {
        let undisturbed = PeerStore::new();
        let began = Instant::now();
        undisturbed.cellar(line).ok();
        let time = began.elapsed();
        assert_eq!(undisturbed.podman(&["images", "-q"]).ok().text().lines().count(), 1);
        for kill in 1..=KILLS {
            let store = PeerStore::new();
            let mut run = store.cellar_command(line);
            let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
            std::thread::sleep(time * kill / (KILLS + 1));
            run.kill().expect("it is ours");
            run.wait().expect("it is ours");
            // Nothing that is listed is broken; what waits to be swept up may lie about.
            let check = store.cellar(&["system", "check"]).ok();
            assert_eq!(check.text(), "", "{line:?}, {kill}");
            store.cellar(line).ok();
            assert_clean(&store, &format!("again: {line:?}, {kill}"));
            store.cellar(&["rmi", "-f", &name]).ok();
            assert_clean(&store, &format!("removed: {line:?}, {kill}"));
        }
    }
}

#[track_caller]
fn assert_clean(store: &PeerStore, at: &str) {
    let check = store.cellar(&["system", "check"]).ok();
    assert_eq!((check.text(), check.stderr.as_str()), ("", ""), "{at}");
}
