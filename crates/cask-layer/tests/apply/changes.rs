//! What a tree has that another has not.

use std::fs;

use cask_layer::{DiffOptions, Whiteouts, diff_changes, diff_tree};
use cask_rootfs::{Root, Timestamp};

use crate::export::names;
use crate::tree::{Host, assert_same, describe, extract_with, options};

/// Two equal trees.
fn pair() -> (Host, Host) {
    let (base, tree) = (Host::new(), Host::new());
    for path in ["a", "d/f", "d/g", "d/sub/h", "same/x"] {
        let file = base.at("root").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, path).unwrap();
    }
    let time = Timestamp { seconds: 1000, nanoseconds: 0 };
    for path in ["a", "d/f", "d/g", "d/sub/h", "d/sub", "d", "same/x", "same"] {
        let root = base.root();
        let (directory, name) = root.entry(path).unwrap();
        directory.set_times(name, time, time).unwrap();
    }
    copy(&base.root(), &tree);
    (base, tree)
}

fn copy(from: &Root, to: &Host) {
    let (_, tar) = diff_tree(from, Vec::new(), &DiffOptions::default()).unwrap();
    extract_with(&tar, to, &options(Whiteouts::Remove)).unwrap();
}

fn changed(base: &Host, tree: &Host, options: &DiffOptions) -> (Vec<String>, Vec<u8>) {
    let (_, tar) = diff_changes(&base.root(), &tree.root(), Vec::new(), options).unwrap();
    (names(&tar), tar)
}

#[test]
fn equal_trees_have_no_changes() {
    let (base, tree) = pair();
    assert_eq!(changed(&base, &tree, &DiffOptions::default()).0, Vec::<String>::new());
}

#[test]
fn changes_come_with_their_directories_and_make_the_same_tree() {
    let (base, tree) = pair();
    let at = |path: &str| tree.at("root").join(path);
    fs::remove_dir_all(at("d/sub")).unwrap();
    fs::write(at("d/g"), "longer").unwrap();
    fs::remove_file(at("a")).unwrap();
    fs::create_dir(at("a")).unwrap();
    fs::write(at("a/new"), "n").unwrap();
    fs::write(at("zz"), "n").unwrap();
    fs::write(at("d/.wh.odd"), "").unwrap();
    let (names, tar) = changed(&base, &tree, &DiffOptions::default());
    assert_eq!(names, ["a/", "a/new", "d/", "d/g", "d/.wh.sub", "zz"]);

    fs::remove_file(at("d/.wh.odd")).unwrap();
    extract_with(&tar, &base, &options(Whiteouts::Remove)).unwrap();
    assert_same(&describe(&base.root(), false), &describe(&tree.root(), false), "applied");
}

#[test]
fn metadata_alone_is_a_change() {
    let check = |change: fn(&Host), expected: &[&str]| {
        let (base, tree) = pair();
        change(&tree);
        assert_eq!(changed(&base, &tree, &DiffOptions::default()).0, expected);
    };
    let time = Timestamp { seconds: 2000, nanoseconds: 0 };
    check(|tree| tree.root().entry("d/f").unwrap().0.set_mode("f", 0o600).unwrap(), &["d/", "d/f"]);
    check(|tree| tree.root().entry("d").unwrap().0.set_mode("d", 0o700).unwrap(), &["d/"]);
    check(
        |tree| {
            let root = tree.root();
            root.entry("a").unwrap().0.set_attribute("a", "user.x", b"1").unwrap();
        },
        &["a"],
    );
    let (base, tree) = pair();
    tree.root().entry("a").unwrap().0.set_times("a", time, time).unwrap();
    tree.root().entry("d").unwrap().0.set_times("d", time, time).unwrap();
    assert_eq!(changed(&base, &tree, &DiffOptions::default()).0, ["a"]);
}

#[test]
fn contents_are_compared_on_request() {
    let (base, tree) = pair();
    fs::write(tree.at("root/d/f"), "D/F").unwrap();
    let time = Timestamp { seconds: 1000, nanoseconds: 0 };
    tree.root().entry("d/f").unwrap().0.set_times("f", time, time).unwrap();
    let mut options = DiffOptions::default();
    assert_eq!(changed(&base, &tree, &options).0, Vec::<String>::new());
    options.compare_contents = true;
    assert_eq!(changed(&base, &tree, &options).0, ["d/", "d/f"]);
}
