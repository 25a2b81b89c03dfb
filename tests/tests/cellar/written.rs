//! How much is written: what is stored, and little more.

use tests::{Access, PeerStore, Registry, command, dray_with, has, run, scratch, tool};

use crate::TOOLS;

/// How many bytes a run of cellar hands to the kernel to be written, wherever to.
fn written(store: &PeerStore, line: &[&str]) -> u64 {
    let cellar = store.cellar_command(line);
    let mut shell = command("sh");
    // A shell counts what its children wrote once they have ended.
    shell.args(["-c", "\"$@\" >&2 && cat /proc/$$/io", "sh"]);
    let io = run(shell.arg(cellar.get_program()).args(cellar.get_args())).ok();
    let count = io.text().lines().find_map(|line| line.strip_prefix("wchar: "));
    count.and_then(|count| count.parse().ok()).expect("the kernel counts")
}

/// A layer of 6 MiB, half of which can be compressed.
fn content() -> Vec<u8> {
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56).to_le_bytes()[0]
    };
    let mut bytes: Vec<u8> = (0..3 << 20).map(|_| noise()).collect();
    bytes.extend(std::iter::repeat_n(b"some text\n", 314_572).flatten());
    bytes
}

#[test]
fn what_is_loaded_or_pulled_is_written_once() {
    if !has(&TOOLS) || !has(&["docker-registry"]) {
        return;
    }
    let (store, scratch) = (PeerStore::new(), scratch());
    let registry = Registry::start(&scratch, Access::Plain);
    let name = format!("{}/it:1", registry.address());
    std::fs::write(scratch.join("file"), content()).expect("a scratch directory is writable");
    let tar = scratch.at("it.tar");
    tool("tar", &format!("-C {} -cf {tar} file", scratch.display())).ok();
    store.cellar(&["import", "-q", &tar, &name]).ok();
    let (docker, oci) = (scratch.at("docker.tar"), scratch.at("oci.tar"));
    store.cellar(&["save", "-q", "-o", &docker, &name]).ok();
    store.cellar(&["save", "-q", "--format", "oci-archive", "-o", &oci, &name]).ok();
    store.cellar(&["push", "-q", "--tls-verify=false", &name]).ok();
    let plain = std::fs::metadata(&tar).expect("it was made").len();
    let manifest =
        dray_with(&["inspect", "--raw", "--tls-verify=false", &format!("docker://{name}")]);
    let blob = manifest.ok().json()["layers"][0]["size"].as_u64().expect("a layer has a size");
    assert!(blob < plain * 2 / 3, "{blob} of {plain}");
    let lines: [(&[&str], u64); 3] = [
        (&["load", "-q", "-i", &docker], 0),
        (&["load", "-q", "-i", &oci], blob),
        (&["pull", "-q", "--tls-verify=false", &name], blob),
    ];
    for (line, kept) in lines {
        // The layer, and where that is wanted the blob that it came as.
        let none = ["--storage-opt", "kept_blobs=0"];
        for (options, stored) in [(&none[..], plain), (&[], plain + kept)] {
            let other = PeerStore::new();
            let written = written(&other, &[options, line].concat());
            let most = stored + stored / 10;
            assert!((plain..=most).contains(&(written + 8192)), "{line:?}: {written} for {stored}");
        }
    }
}
