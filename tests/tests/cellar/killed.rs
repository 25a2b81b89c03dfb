//! Pulls and loads that are killed: the library's tests stop each step by itself, and these the whole program anywhere.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::process::{Pid, Signal, kill_process};
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

/// Waits until somebody waits for the lock of a file.
#[track_caller]
fn wait_for_waiter(lock: &File) {
    let inode = format!(":{} ", lock.metadata().expect("it is open").ino());
    let began = Instant::now();
    let waits = |line: &str| line.contains("->") && line.contains(&inode);
    loop {
        let locks = std::fs::read_to_string("/proc/locks").expect("the kernel tells");
        if locks.lines().any(waits) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "nobody waits: {locks}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).expect("it is ours");
}

#[test]
fn who_waits_for_a_lock_that_podman_holds_ends_when_it_is_told_to() {
    if !has(&TOOLS) || !has(&["skopeo"]) {
        return;
    }
    let (store, scratch) = (PeerStore::new(), scratch());
    let archive = scratch.at("it.tar");
    let to = format!("docker-archive:{archive}:localhost/it:1");
    skopeo_with(&["copy", "-q", &fixtures().buildah_oci, &to]).ok();
    store.cellar(&["import", "-q", &archive, "localhost/other:1"]).ok();
    // As podman locks: files of a process, whoever has opened them.
    let locks = ["overlay-layers/layers.lock", "overlay-images/images.lock"].map(|name| {
        let lock = File::options().read(true).write(true).open(store.root().join(name));
        let lock = lock.expect("there is a store");
        fcntl_lock(&lock, FlockOperation::LockExclusive).expect("nobody has it");
        lock
    });
    let begin = |line: &[&str]| {
        let mut command = store.cellar_command(line);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("cellar runs")
    };

    let mut tag = begin(&["tag", "other:1", "again:1"]);
    wait_for_waiter(&locks[1]);
    // What runs in the background of a script may ignore an interrupt.
    kill_process(Pid::from_child(&tag), Signal::TERM).expect("it is ours");
    assert!(!tag.wait().expect("it is ours").success());

    let mut load = begin(&["load", "-q", "-i", &archive]);
    let stderr = BufReader::new(load.stderr.take().expect("it is piped"));
    let mut lines = stderr.lines().map(|line| line.expect("it is text"));
    wait_for_waiter(&locks[0]);
    interrupt(&load);
    // It would say whether the image is there, did it come to that.
    assert!(lines.by_ref().any(|line| line.contains("stop it once more")));
    interrupt(&load);
    assert_eq!(load.wait().expect("it is ours").code(), Some(125));
    assert!(lines.any(|line| line.contains("interrupted")));

    drop(locks);
    let listed = store.podman(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok();
    assert_eq!(listed.text(), "localhost/other:1");
    store.cellar(&["load", "-q", "-i", &archive]).ok();
    assert_clean(&store, "loaded again");
}

#[track_caller]
fn assert_clean(store: &PeerStore, at: &str) {
    let check = store.cellar(&["system", "check"]).ok();
    assert_eq!((check.text(), check.stderr.as_str()), ("", ""), "{at}");
}
