//! Layouts that somebody made to do harm.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::support::*;
use crate::{ErrorKind, Layout, Selector};

fn fifo(path: &Path) {
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
}

fn directory(path: &Path) {
    std::fs::create_dir(path).unwrap();
}

fn link_outside(path: &Path) {
    symlink("/etc/passwd", path).unwrap();
}

fn link_inside(path: &Path) {
    symlink("oci-layout", path).unwrap();
}

fn link_to_itself(path: &Path) {
    symlink(path, path).unwrap();
}

fn socket(path: &Path) {
    std::os::unix::net::UnixListener::bind(path).unwrap();
}

/// Makes something at a path, and what messages call it.
type Kind = (fn(&Path), &'static str);

const KINDS: [Kind; 6] = [
    (fifo, "a fifo"),
    (directory, "a directory"),
    (link_outside, "a symbolic link"),
    (link_inside, "a symbolic link"),
    (link_to_itself, "a symbolic link"),
    (socket, "a socket"),
];

#[test]
fn files_that_are_no_files_are_refused_by_name() {
    for (make, kind) in KINDS {
        for file in ["oci-layout", "index.json", "blob"] {
            let temp = tempfile::tempdir().unwrap();
            let layout = new_layout(&temp);
            let image = image("a", 1);
            write(&layout, &image, Some("v1")).unwrap();
            let descriptor = image.manifest.descriptor();
            let blob = format!("blobs/sha256/{}", descriptor.digest.hex());
            let path = layout.path().join(if file == "blob" { &blob } else { file });
            std::fs::remove_file(&path).unwrap();
            make(&path);
            let error = match file {
                "oci-layout" => Layout::open(layout.path(), quick()).unwrap_err(),
                "index.json" => layout.list().unwrap_err(),
                _ => layout.manifest(&descriptor).unwrap_err(),
            };
            assert_eq!(error.kind(), ErrorKind::Unsafe, "{file}: {kind}: {error}");
            let words = format!("it is {kind}, and a regular file is expected");
            assert!(error.to_string().contains(&words), "{error}");
            assert!(
                error.to_string().contains(path.file_name().unwrap().to_str().unwrap()),
                "{error}"
            );
            if file == "index.json" {
                write(&layout, &image, Some("v2")).unwrap_err();
                layout.delete(Selector::Only).unwrap_err();
            }
        }
    }
}

#[test]
fn directories_of_blobs_that_are_links_are_not_entered() {
    for linked in ["blobs", "blobs/sha256"] {
        let temp = tempfile::tempdir().unwrap();
        let layout = new_layout(&temp);
        let image = image("a", 1);
        write(&layout, &image, Some("v1")).unwrap();
        let (path, outside) = (layout.path().join(linked), temp.path().join("outside"));
        std::fs::rename(&path, &outside).unwrap();
        symlink(&outside, &path).unwrap();
        let before = files(&outside);
        let descriptor = image.manifest.descriptor();
        assert_eq!(layout.manifest(&descriptor).unwrap_err().kind(), ErrorKind::Unsafe);
        let other = super::support::image("b", 1);
        assert_eq!(write(&layout, &other, None).unwrap_err().kind(), ErrorKind::Unsafe, "{linked}");
        assert_eq!(layout.collect_garbage().unwrap_err().kind(), ErrorKind::Unsafe, "{linked}");
        // Deleting finds no manifest, and removes nothing there.
        let _ = layout.delete(Selector::Name("v1"));
        assert_eq!(files(&outside), before, "{linked}");
    }
}

#[test]
fn unfinished_files_of_others_are_not_swept() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    write(&layout, &image("a", 1), Some("v1")).unwrap();
    let path = |name: &str| layout.path().join(name);
    std::fs::write(path("oci-put-blob123"), "of containers/image").unwrap();
    symlink("/etc/passwd", path(".cask-unfinished-link")).unwrap();
    fifo(&path(".cask-unfinished-fifo"));
    std::fs::write(path(".cask-unfinished-0123456789abcdef"), "of the dead").unwrap();
    write(&layout, &image("b", 1), Some("v2")).unwrap();
    let strange = check_whole(layout.path());
    assert_eq!(strange, [".cask-unfinished-fifo", ".cask-unfinished-link", "oci-put-blob123"]);
}

#[test]
fn an_index_that_would_become_too_large_is_not_written() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let image = image("a", 1);
    write(&layout, &image, None).unwrap();
    let entry = String::from_utf8(layout.index().unwrap().bytes().to_vec()).unwrap();
    let note = "x".repeat((4 << 20) - entry.len() - 40);
    let full = entry.replace("}]}", &format!("}}],\"annotations\":{{\"x\":\"{note}\"}}}}"));
    std::fs::write(layout.path().join("index.json"), &full).unwrap();
    assert_eq!(layout.list().unwrap().len(), 1);
    let error = write(&layout, &super::support::image("b", 1), Some("v1")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert_eq!(std::fs::read_to_string(layout.path().join("index.json")).unwrap(), full);
    check_clean(layout.path());
}
