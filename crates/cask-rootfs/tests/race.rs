//! Another thread swaps a directory for a symbolic link, as fast as it can.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cask_rootfs::{Parents, Root};
use rustix::fs::{CWD, RenameFlags};

/// Calls `attempt` while `root/a` is a directory and a link to `outside` in quick turns.
fn while_swapping(host: &Path, mut attempt: impl FnMut(usize)) {
    /// Ends the swapping, also where an attempt fails.
    struct Stop<'s>(&'s AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = AtomicBool::new(false);
    let (a, b) = (host.join("root/a"), host.join("root/b"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // One of the two is missing for a moment where the attempt removes it.
                let _ = rustix::fs::renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE);
            }
        });
        let _stop = Stop(&stop);
        let end = Instant::now() + Duration::from_millis(400);
        let mut n = 0;
        while Instant::now() < end || n < 50 {
            attempt(n);
            n += 1;
        }
    });
}

fn host() -> (tempfile::TempDir, Root) {
    let host = tempfile::tempdir().expect("a directory");
    let at = |path: &str| host.path().join(path);
    for directory in ["root", "root/a", "root/inner", "outside"] {
        fs::create_dir(at(directory)).expect("prepared");
    }
    fs::write(at("root/a/secret"), "inside").expect("prepared");
    fs::write(at("outside/secret"), "outside").expect("prepared");
    symlink(at("outside"), at("root/b")).expect("prepared");
    let root = Root::open(at("root")).expect("prepared");
    (host, root)
}

fn assert_untouched(host: &Path) {
    let names: Vec<_> = fs::read_dir(host.join("outside"))
        .expect("prepared")
        .map(|e| e.expect("prepared").file_name())
        .collect();
    assert_eq!(names, ["secret"], "nothing was created or removed outside");
    assert_eq!(fs::read(host.join("outside/secret")).expect("prepared"), b"outside");
}

#[test]
fn reading_never_leaves_the_root() {
    let (host, root) = host();
    let mut seen = 0;
    while_swapping(host.path(), |n| {
        let path = if n % 2 == 0 { "a/secret" } else { "inner/../a/secret" };
        if let Ok(mut file) = root.open_file_following(path) {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text, "inside");
            seen += 1;
        }
    });
    assert!(seen > 0, "some attempts met the directory");
}

#[test]
fn a_file_that_becomes_a_link_is_not_followed() {
    let (host, root) = host();
    fs::remove_dir_all(host.path().join("root/a")).expect("prepared");
    fs::write(host.path().join("root/a"), "inside").expect("prepared");
    fs::remove_file(host.path().join("root/b")).expect("prepared");
    symlink("../outside/secret", host.path().join("root/b")).expect("prepared");
    let top = root.directory("").unwrap();
    let mut seen = 0;
    while_swapping(host.path(), |_| {
        if let Ok(mut file) = top.open_file("a") {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text, "inside");
            seen += 1;
        }
    });
    assert!(seen > 0, "some attempts met the file");
}

#[test]
fn creating_and_removing_never_leave_the_root() {
    let (host, root) = host();
    let mut parents = Parents::new(&root);
    while_swapping(host.path(), |n| {
        if n % 3 == 0 {
            parents.forget();
        }
        let path = format!("a/new{}", n % 7);
        if let Ok((directory, name)) = parents.entry(&path) {
            if let Ok(mut file) = directory.replace_file(name, 0o644) {
                file.write_all(b"x").unwrap();
            }
            let _ = directory.symlink("link", "/");
            let _ = directory.set_owner("secret", 0, 0);
        }
        let _ = root.create_dir_all("a/x/y/z", 0o755, None);
        let _ = root.remove_all("a/x");
        let _ = root.remove_all("a/secret");
    });
    assert_untouched(host.path());
}

#[test]
fn removing_the_swapped_tree_never_leaves_the_root() {
    let (host, root) = host();
    while_swapping(host.path(), |_| {
        let _ = root.remove_all("a");
        if let Ok(inner) = root.create_dir_all("a/inner", 0o755, None) {
            let _ = inner.create_file("secret", 0o644);
        }
        let _ = symlink(host.path().join("outside"), host.path().join("root/b"));
    });
    assert_untouched(host.path());
}
