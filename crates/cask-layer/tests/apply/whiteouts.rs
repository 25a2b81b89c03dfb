//! What is deleted, and what is not.

use std::fs;

use cask_layer::Whiteouts;
use cask_rootfs::Kind;

use crate::tar::Tar;
use crate::tree::{Host, extract_with, options};

/// A root with `old/a`, `old/sub/b` and `file` of an older layer.
fn older() -> Host {
    let host = Host::new();
    fs::create_dir_all(host.at("root/old/sub")).unwrap();
    for path in ["old/a", "old/sub/b", "file"] {
        fs::write(host.at("root").join(path), "old").unwrap();
    }
    host
}

fn remove(tar: Tar) -> Host {
    let host = older();
    extract_with(&tar.end(), &host, &options(Whiteouts::Remove)).unwrap();
    host.assert_untouched();
    host
}

#[test]
fn what_older_layers_have_is_removed_and_what_this_one_brings_is_not() {
    let host = remove(Tar::default().file(".wh.file", "").file("old/.wh.sub", ""));
    assert!(!host.has("file") && !host.has("old/sub") && host.has("old/a"));

    let host = remove(Tar::default().file("old/.wh..wh..opq", "").file("old/new", ""));
    assert!(host.has("old/new") && !host.has("old/a") && !host.has("old/sub"));

    let host = remove(Tar::default().file("old/new", "").file("old/.wh..wh..opq", ""));
    assert!(host.has("old/new") && !host.has("old/a") && !host.has("old/sub"));

    let host = remove(Tar::default().file("old/sub/new", "").file(".wh.old", ""));
    assert!(host.has("old/sub/new") && !host.has("old/sub/b") && !host.has("old/a"));

    let host = remove(Tar::default().file("file", "new").file(".wh.file", ""));
    assert_eq!(host.text("file"), "new");

    let host = remove(Tar::default().file(".wh.old", "").dir("old", 0o755).file("old/new", ""));
    assert!(host.has("old/new") && !host.has("old/a"));

    let host =
        remove(Tar::default().file(".wh.no", "").file("no/.wh.x", "").file("file/.wh.y", ""));
    assert!(host.has("file") && !host.has("no"), "what is not there stays not there");

    let host = remove(Tar::default().file(".wh..wh..opq", ""));
    assert!(!host.has("file") && !host.has("old"));

    let host = remove(Tar::default().hard_link("kept", "file").file(".wh.file", ""));
    assert!(host.has("kept") && !host.has("file"));
}

#[test]
fn overlay_gets_devices_and_attributes() {
    let tar = Tar::default()
        .file("a/.wh.gone", "")
        .file(".wh.foo", "")
        .file("foo/.wh.bar", "")
        .file("foo/deeper/.wh.bar", "")
        .file("op/.wh..wh..opq", "")
        .file("op/.wh.also", "")
        .file("kept", "x")
        .file(".wh.kept", "")
        .dir("dir", 0o755)
        .file(".wh.dir", "")
        .file(".wh.again", "")
        .dir("again", 0o755)
        .file(".wh..wh.plnk", "");
    let host = Host::new();
    let applied = extract_with(&tar.end(), &host, &options(Whiteouts::OverlayUser)).unwrap();
    assert_eq!(applied.counts.whiteouts, 10);
    let root = host.root();
    for path in ["a/gone", "foo", "op/also"] {
        let found = root.metadata(path).unwrap();
        let device = (found.kind, found.device_major, found.device_minor, found.mode);
        assert_eq!(device, (Kind::CharDevice, 0, 0, 0), "{path}");
    }
    let opaque = |path: &str| {
        let (directory, name) = root.entry(path).unwrap();
        directory.attribute(name, "user.overlay.opaque").unwrap().as_deref() == Some(b"y")
    };
    assert!(opaque("op") && opaque("dir") && opaque("again"));
    assert!(!opaque("a"));
    assert_eq!(host.text("kept"), "x", "a whiteout is about older layers");
    assert!(!host.has(".wh..wh.plnk") && !host.has(".wh.plnk"));
}

#[test]
fn kept_whiteouts_are_files() {
    let tar = Tar::default().file("d/.wh.x", "").file("d/.wh..wh..opq", "").end();
    let host = Host::new();
    let applied = extract_with(&tar, &host, &options(Whiteouts::Keep)).unwrap();
    assert!(host.has("d/.wh.x") && host.has("d/.wh..wh..opq"));
    assert_eq!((applied.counts.files, applied.uids.len()), (2, 0));
}
