//! They write, we read.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use cask_image::{Algorithm, Hasher};
use cask_layer::{
    Compression, DecompressLimits, Mismatch, TarSplitEntry, TarSplitReader, assemble, decompress,
    verified,
};

use crate::store::{Store, extract, opener, peers_are_there};

fn gunzip(blob: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let limits = DecompressLimits::default();
    decompress(blob, Compression::Gzip, limits).read_to_end(&mut plain).unwrap();
    plain
}

/// The lines up to the last file's, and the bytes that follow it: what is at the end comes in pieces
/// of any size.
fn lines(file: &[u8]) -> (String, Vec<u8>) {
    let mut text = String::from_utf8(gunzip(file)).unwrap();
    let last = text.rfind("{\"type\":1").unwrap_or_default();
    let start = last + text[last..].find('\n').unwrap() + 1;
    let mut reader = TarSplitReader::new(&text.as_bytes()[start..]).unwrap();
    let mut end = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let TarSplitEntry::Segment(bytes) = entry else { panic!("{entry:?}") };
        end.extend_from_slice(&bytes);
    }
    text.truncate(start);
    (text, end)
}

/// Lets podman import a stream, and takes its layer for a test of both kinds.
fn check(name: &str, stream: &[u8]) {
    let store = Store::new();
    let tar = store.directory().join("layer.tar");
    fs::write(&tar, stream).unwrap();
    store.podman(&["import", tar.to_str().unwrap(), "layer"]).unwrap();
    let layers = store.layers();
    let [layer] = &layers[..] else { panic!("{name}: {layers:?}") };
    let id = layer["id"].as_str().unwrap();
    let diff_digest = Hasher::digest(Algorithm::Sha256, stream);
    assert_eq!(layer["diff-digest"], diff_digest.as_str(), "{name}");

    let file = fs::read(store.tar_split(id)).unwrap();
    let open = opener(store.diff(id));
    let mut joined = verified(assemble(&file[..], open.clone()).unwrap(), diff_digest, None);
    assert!(std::io::copy(&mut joined, &mut std::io::sink()).unwrap() > 0, "{name}");

    // Our own lines are the same, byte for byte.
    let diff = store.directory().join("ours");
    fs::create_dir(&diff).unwrap();
    assert!(lines(&file) == lines(&extract(stream, &diff)), "{name}");

    let wrong = Hasher::digest(Algorithm::Sha256, b"");
    let mut joined = verified(assemble(&file[..], open).unwrap(), wrong, None);
    let error = std::io::copy(&mut joined, &mut std::io::sink()).unwrap_err();
    assert!(Mismatch::of(&error).is_some());
}

/// A tree with everything that GNU tar packs.
fn tree(directory: &Path) {
    let script = r#"
        mkdir -p etc usr/share/$(printf 'long-%.0s' $(seq 30))
        echo web > etc/hostname; : > etc/empty; ln -s ../etc/hostname usr/link
        ln etc/hostname etc/hard; head -c 300000 /dev/urandom > usr/data
        echo '<&>' > "etc/<quoted> & \"named\""; echo l1 > "$(printf 'latin-\344')"
        cp etc/hostname usr/share/*/$(printf 'file-%.0s' $(seq 30))
        mkfifo usr/fifo; mknod usr/null c 1 3; chmod 4755 usr/data; chown 70000:80000 etc/empty
        setfattr -n user.note -v text etc/hostname 2>/dev/null; touch -d '1960-01-01' etc/empty
        exit 0
    "#;
    let status = Command::new("sh").args(["-c", script]).current_dir(directory).status().unwrap();
    assert!(status.success());
}

#[test]
fn layers_that_podman_imports_come_back_and_have_the_same_lines() {
    if !peers_are_there() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    tree(directory.path());
    for arguments in [
        &["--format=gnu", "."][..],
        &["--format=pax", "--xattrs", "."],
        &["--format=ustar", "--exclude=share", "--exclude=empty", "etc", "usr"],
        &["--format=gnu", "--blocking-factor=400", "etc"],
    ] {
        let mut command = Command::new("tar");
        let packed = command.args(["-c", "--sort=name"]).args(arguments);
        let output = packed.current_dir(directory.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        check(&format!("{arguments:?}"), &output.stdout);
    }
}

#[test]
fn streams_from_the_field_have_the_lines_that_podman_writes() {
    let Some(cases) = cask_cases::folder("streams from the field") else { return };
    if !peers_are_there() {
        return;
    }
    let names = ["t.tar.gz", "longlink.tar.gz", "iso-8859.tar.gz", "fatlonglink.tar.gz"];
    for name in names {
        let file = fs::read(cases.join("fixtures/tar-split").join(name)).unwrap();
        check(name, &gunzip(&file));
    }
}
