//! Where copies go in a stage that has files.

use super::support::{Tree, check, check_error, copy};
use crate::ErrorKind;

fn stage() -> Tree {
    Tree::of(&[
        "etc/passwd=root:x:0:0::/root:/bin/sh\n",
        "usr/bin/tool",
        "bin -> usr/bin",
        "app/ 01777",
        "app/conf/ 0700",
        "app/file",
        "app/lib -> ../usr",
        "l -> app/file",
        "abs -> /app",
        "dangling -> /w/t",
        "up -> ../../../../app",
        "loop -> loop",
    ])
}

#[test]
fn directories_on_the_way_stay_as_the_stage_has_them() {
    let (tree, stage) = (Tree::of(&["a", "d/conf/ 0755", "d/conf/c"]), stage());
    let stage = stage.view();
    check(&tree, &stage, "a /app", &["app/ 1777", "app/a 0644"]);
    check(&tree, &stage, "a /app/", &["app/ 1777", "app/a 0644"]);
    check(
        &tree,
        &stage,
        "a /app/conf/new/x",
        &["app/ 1777", "app/conf/ 0700", "app/conf/new/ 0755 +", "app/conf/new/x 0644"],
    );
    // The destination stays; a directory in it gets the owner and the permissions of the one that comes, as with peers.
    check(&tree, &stage, "d /app", &["app/ 1777", "app/conf/ 0755", "app/conf/c 0644"]);
    check(
        &tree,
        &stage,
        "--chown=1:2 d /app",
        &["app/ 1777", "app/conf/ 0755 1:2", "app/conf/c 0644 1:2"],
    );
}

#[test]
fn a_destination_is_followed_through_links_inside_the_image() {
    let (tree, stage) = (Tree::of(&["a", "root/bin/x", "root/abs/y"]), stage());
    let stage = stage.view();
    check(&tree, &stage, "a /bin/", &["usr/ 0755", "usr/bin/ 0755", "usr/bin/a 0644"]);
    check(&tree, &stage, "a /abs", &["app/ 1777", "app/a 0644"]);
    check(&tree, &stage, "a /up/x", &["app/ 1777", "app/x 0644"]);
    check(&tree, &stage, "a /l", &["app/ 1777", "app/file 0644"]);
    let layer = check(&tree, &stage, "a /app/lib/new", &["usr/ 0755", "usr/new 0644"]);
    assert_eq!(layer.written.destination, "/usr/new");
    // In what is copied, a directory replaces a link; BuildKit refuses that.
    check(&tree, &stage, "root /", &["abs/ 0755", "abs/y 0644", "bin/ 0755", "bin/x 0644"]);
    check_error(&tree, &stage, "a /loop/x", "too many levels of symbolic links");
}

#[test]
fn a_dangling_destination_is_the_file_that_it_leads_to() {
    // Buildah makes a directory /w/t with the file inside.
    let (tree, stage) = (Tree::of(&["a"]), stage());
    check(&tree, &stage.view(), "a /dangling", &["w/ 0755 +", "w/t 0644"]);
    check(&tree, &stage.view(), "a /dangling/", &["w/ 0755 +", "w/t/ 0755 +", "w/t/a 0644"]);
}

#[test]
fn files_and_directories_do_not_replace_each_other() {
    let (tree, stage) =
        (Tree::of(&["a", "d/file/x", "e/conf", "f/file=new", "g/lib=new"]), stage());
    let stage = stage.view();
    let refused = "already exists but is not a directory";
    check_error(&tree, &stage, "a /app/file/", refused);
    check_error(&tree, &stage, "d /app/file", refused);
    check_error(&tree, &stage, "a e /app/file", refused);
    let error = check_error(&tree, &stage, "d /app", "cannot copy to non-directory");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    // Buildah replaces the directory without a word.
    check_error(&tree, &stage, "e /app", "cannot replace to directory with file");
    check_error(&tree, &stage, "a /app/file/x", "cannot copy to non-directory");
    // A file replaces a file, and a link inside of a directory.
    check(&tree, &stage, "f /app", &["app/ 1777", "app/file 0644"]);
    check(&tree, &stage, "g /app", &["app/ 1777", "app/lib 0644"]);
}

#[test]
fn a_link_replaces_a_directory_and_is_replaced_by_one() {
    let tree = Tree::of(&["one/maybe -> directory", "one/directory/f", "two/maybe/g"]);
    let (one, two) = (Tree::of(&["maybe -> directory", "directory/f"]), Tree::of(&["maybe/g"]));
    check(&tree, &one.view(), "two /", &["maybe/ 0755", "maybe/g 0644"]);
    check(
        &tree,
        &two.view(),
        "one /",
        &["directory/ 0755", "directory/f 0644", "maybe -> directory"],
    );
    // And what came with the same COPY.
    check(
        &tree,
        &crate::View::scratch(),
        "one two /",
        &["directory/ 0755", "directory/f 0644", "maybe/ 0755", "maybe/g 0644"],
    );
    check(
        &tree,
        &crate::View::scratch(),
        "two one /",
        &["directory/ 0755", "directory/f 0644", "maybe -> directory"],
    );
}

#[test]
fn link_looks_at_nothing() {
    let (tree, stage) = (Tree::of(&["a", "d/x"]), stage());
    let stage = stage.view();
    check(&tree, &stage, "--link a /app", &["app 0644"]);
    check(&tree, &stage, "--link a /bin/", &["bin/ 0755 +", "bin/a 0644"]);
    check(
        &tree,
        &stage,
        "--link d /app/file",
        &["app/ 0755 +", "app/file/ 0755 +", "app/file/x 0644"],
    );
    check(&tree, &stage, "--link --chown=root a /x", &["x 0644"]);
}

#[test]
fn sources_that_meet_are_one_tree() {
    let tree = Tree::of(&["p/d/x=1", "p/y=1", "q/d/z=2", "q/y=2", "r/d"]);
    let stage = crate::View::scratch();
    let merged = ["x/ 0755 +", "x/d/ 0755", "x/d/x 0644", "x/d/z 0644", "x/y 0644"];
    let layer = check(&tree, &stage, "p q /x", &merged);
    assert_eq!(layer.content("x/y"), "2");
    let layer = check(&tree, &stage, "q p /x", &merged);
    assert_eq!(layer.content("x/y"), "1");
    check_error(&tree, &stage, "p r /x", "cannot replace to directory");
    check_error(&tree, &stage, "r p /x", "cannot copy to non-directory");
}

#[test]
fn an_empty_directory_makes_its_destination() {
    let tree = Tree::of(&["d/"]);
    check(&tree, &crate::View::scratch(), "d /x", &["x/ 0755 +"]);
    assert!(copy(&tree, &crate::View::scratch(), "d /").unwrap().lines().is_empty());
}

#[test]
fn layers_are_looked_at_from_the_top() {
    let (top, bottom) = (Tree::of(&["app/new"]), stage());
    // The top layer deletes app/file by a device, if this user can make one.
    let device = rustix::fs::makedev(0, 0);
    let kind = rustix::fs::FileType::CharacterDevice;
    let path = top.path().join("app/file");
    rustix::fs::mknodat(rustix::fs::CWD, &path, kind, 0.into(), device).unwrap();
    top.settle();
    let roots = [&top, &bottom].map(|tree| cask_rootfs::Root::open(tree.path()).unwrap());
    let stage = crate::View::of_layers("stage", roots.into());
    let tree = Tree::of(&["d/file/x"]);
    check(&tree, &stage, "d /app", &["app/ 0755", "app/file/ 0755", "app/file/x 0644"]);
}
