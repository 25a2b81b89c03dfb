//! Commands that change the store, which podman reads afterwards.

use tests::{PeerStore, has, tool};

use crate::TOOLS;

fn names(store: &PeerStore) -> Vec<String> {
    let listed = store.podman(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok();
    let mut names: Vec<String> = listed.text().lines().map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn names_are_given_and_taken() {
    if !has(&TOOLS) {
        return;
    }
    let store = PeerStore::with_images();
    let check = |line: &[&str], expected: &[&str]| {
        store.cellar(line).ok();
        assert_eq!(names(&store), expected, "{line:?}");
    };
    let (base, child, quay) = ("localhost/base:1", "localhost/child:1", "quay.io/x/child:v2");
    check(
        &["tag", "base:1", "new", "other.io/y:3"],
        &[base, child, "localhost/new:latest", "other.io/y:3", quay],
    );
    // A name that another image has is taken from it.
    check(&["tag", "child:1", "new"], &[base, child, "localhost/new:latest", "other.io/y:3", quay]);
    check(&["untag", "base:1", "other.io/y:3"], &[base, child, "localhost/new:latest", quay]);
    check(&["untag", "new", "new", "quay.io/x/child:v2"], &[base, child]);
    store.cellar(&["untag", "base:1", "quay.io/nope"]).ends(125).says("tag not known");
    check(&["untag", "base:1"], &[child]);
    let history = store.podman(&["images", "--format", "json"]).ok().json();
    assert!(history[0]["History"].to_string().contains("localhost/new:latest"), "{history}");
}

#[test]
fn images_go_with_their_last_name_and_with_what_only_they_needed() {
    if !has(&TOOLS) {
        return;
    }
    let store = PeerStore::with_images();
    let first = store.cellar(&["rmi", "quay.io/x/child:v2"]).ok();
    assert_eq!(first.text(), "Untagged: quay.io/x/child:v2");
    store.podman(&["tag", "child:1", "again"]).ok();
    let id =
        store.podman(&["images", "-q", "child:1"]).ok().text().lines().next().unwrap().to_owned();
    let refused = store.cellar(&["rmi", &id]).ends(125);
    assert!(refused.stderr.contains("by ID with more than one tag"), "{refused}");
    let gone = store.cellar(&["rmi", "-f", &id]).ok();
    assert_eq!(gone.text().matches("Untagged: ").count(), 2, "{gone}");
    assert_eq!(gone.text().matches("Deleted: ").count(), 4, "the image and three steps: {gone}");
    assert_eq!(names(&store), ["localhost/base:1"]);
    let all = store.cellar(&["rmi", "-a"]).ok();
    // Those on which others were built, when it was their turn, are not told of.
    assert!(all.text().contains("Deleted: "), "{all}");
    assert_eq!(store.podman(&["images", "-aq"]).ok().text(), "");
    let check = store.cellar(&["system", "check"]).ok();
    assert_eq!((check.text(), check.stderr.as_str()), ("", ""), "nothing is left");
}

#[test]
fn images_that_lost_their_manifest_or_their_config_are_removed_all_the_same() {
    if !has(&TOOLS) {
        return;
    }
    let store = PeerStore::with_images();
    let inspected = store.podman(&["image", "inspect", "-f", "{{.Id}}", "child:1"]).ok();
    // Podman mounts the directory of the driver onto itself, and copies are to be of what is beneath.
    tool("umount", &format!("-l {}", store.root().join("overlay").display()));
    for (file, line) in [
        ("manifest", vec!["rmi", "-f", inspected.text()]),
        ("=", vec!["rmi", "-f", inspected.text()]),
        ("=", vec!["rmi", "-f", "-a"]),
        ("=", vec!["image", "prune", "-a", "-f"]),
    ] {
        let spoilt = store.copied();
        let directory = spoilt.root().join("overlay-images").join(inspected.text());
        let files = std::fs::read_dir(&directory).expect("it is there").flatten();
        for found in files.filter(|found| found.file_name().to_string_lossy().starts_with(file)) {
            std::fs::remove_file(found.path()).expect("it is ours");
        }
        spoilt.cellar(&["images"]).ok();
        spoilt.cellar(&line).ok();
        spoilt.cellar(&["image", "exists", inspected.text()]).ends(1);
    }
}

#[test]
fn images_that_containers_use_stay() {
    if !has(&TOOLS) {
        return;
    }
    let store = PeerStore::with_images();
    let container = store.run("buildah", &["from", "localhost/base:1"]).ok();
    let refused = store.cellar(&["rmi", "base:1"]).ends(2);
    assert!(refused.stderr.contains("image is in use by a container"), "{refused}");
    assert_eq!(names(&store).len(), 3, "nothing changed");
    store.run("buildah", &["rm", container.text()]).ok();
    store.cellar(&["rmi", "base:1"]).ok();
}

#[test]
fn prune_takes_what_nobody_needs() {
    if !has(&TOOLS) {
        return;
    }
    let store = PeerStore::with_images();
    assert_eq!(store.cellar(&["image", "prune", "-f"]).ok().text(), "");
    store.podman(&["untag", "child:1"]).ok();
    let pruned = store.cellar(&["image", "prune", "-f"]).ok();
    assert_eq!(pruned.text().lines().count(), 4, "{pruned}");
    assert_eq!(names(&store), ["localhost/base:1"]);
    let pruned = store.cellar(&["system", "prune", "-af"]).ok();
    assert!(pruned.text().ends_with("MB"), "{pruned}");
    assert_eq!(names(&store), [""; 0]);
}

#[test]
fn working_containers_of_builds_go_where_that_is_asked() {
    if !has(&TOOLS) {
        return;
    }
    let store = PeerStore::with_images();
    store.run("buildah", &["from", "localhost/base:1"]).ok();
    let builds = || store.run("buildah", &["containers", "-q", "--notruncate"]).ok();
    let build = builds().text().to_owned();
    let line = ["system", "prune", "--external", "--build"];
    store.cellar(&line).ends(125).says("cannot be combined with other options");
    // It asks nothing, and takes what is nobody's.
    assert_eq!(store.cellar(&["system", "prune", "--external"]).ok().text(), "");
    store.cellar(&["system", "prune", "-f"]).ok();
    assert_eq!(builds().text(), build);
    let pruned = store.cellar(&["system", "prune", "--build", "-f"]).ok();
    assert!(pruned.text().starts_with(&format!("Deleted Containers\n{build}\n")), "{pruned}");
    assert_eq!(builds().text(), "");
}

#[test]
fn mounts_are_counted_with_podman_s() {
    if !has(&TOOLS) {
        return;
    }
    let store = PeerStore::with_images();
    let ours = store.cellar(&["image", "mount", "base:1"]).ok();
    let theirs = store.podman(&["image", "mount", "base:1"]).ok();
    assert_eq!(ours.text(), theirs.text());
    assert!(std::path::Path::new(ours.text()).join("bin/busybox").is_file());
    store.podman(&["image", "unmount", "base:1"]).ok();
    assert!(std::path::Path::new(ours.text()).join("bin/busybox").is_file(), "one is left");
    store.cellar(&["image", "unmount", "base:1"]).ok();
    assert!(!std::path::Path::new(ours.text()).join("bin/busybox").exists());
}
