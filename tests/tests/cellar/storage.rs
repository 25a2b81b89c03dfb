//! Images that go into podman's store and come out of it.

use tests::{PeerStore, dray_with, fixtures, has, identity, scratch, skopeo_with, tool};

use crate::TOOLS;

#[test]
fn what_we_store_podman_runs_and_skopeo_reads() {
    if !has(&TOOLS) || !has(&["skopeo", "runc"]) {
        return;
    }
    let fixtures = fixtures();
    let (store, scratch) = (PeerStore::new(), scratch());
    let image = store.location("localhost/it:1");
    let copy =
        |from: &str, to: &str| dray_with(&["--insecure-policy", "copy", "-q", from, to]).ok();
    copy(&fixtures.buildah_oci, &image);
    // Once more: everything is there.
    copy(&fixtures.buildah_oci, &image);
    dray_with(&["--insecure-policy", "validate", &image]).ok();
    let listed = store.cellar(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok();
    assert_eq!(listed.text(), "localhost/it:1");
    assert_eq!(store.podman(&["images", "-q"]).ok().text().lines().count(), 1);
    let check = store.cellar(&["system", "check"]).ok();
    assert_eq!((check.text(), check.stderr.as_str()), ("", ""));
    // It comes out as it went in: the blobs that its layers came as are kept.
    let again = format!("oci:{}", scratch.at("again:x"));
    copy(&image, &again);
    assert_eq!(tests::digest(&again), tests::digest(&fixtures.buildah_oci));
    let df = store.cellar(&["system", "df", "--format", "{{.Type}} {{.Total}}"]).ok();
    assert_eq!(df.text().lines().last(), Some("Kept Blobs 3"), "{df}");
    store.cellar(&["system", "prune", "-f"]).ok();
    // Without them both give the same layers.
    std::fs::remove_dir_all(store.root().join("cask/blobs")).expect("they were kept");
    let (ours, theirs) = (scratch.at("ours"), scratch.at("theirs"));
    copy(&image, &format!("dir:{ours}"));
    let line = ["--insecure-policy", "copy", "-q", &image, &format!("dir:{theirs}")];
    skopeo_with(&line).ok();
    let names = |at: &str| {
        let files = std::fs::read_dir(at).expect("it is a directory");
        let mut names: Vec<_> = files.map(|file| file.expect("it is there").file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&ours), names(&theirs));
    // Compressed again on the way out, it is still the same image.
    let layout = format!("oci:{}", scratch.at("layout:x"));
    copy(&image, &layout);
    dray_with(&["--insecure-policy", "validate", &layout]).ok();
    store.cellar(&["rmi", "it:1"]).ok();
    assert_eq!(store.podman(&["images", "-aq"]).ok().text(), "");
}

#[test]
fn what_podman_stores_we_read() {
    if !has(&TOOLS) {
        return;
    }
    let (store, scratch) = (PeerStore::with_images(), scratch());
    let image = store.location("localhost/child:1");
    dray_with(&["--insecure-policy", "validate", &image]).ok();
    let layout = format!("oci:{}", scratch.at("layout:x"));
    dray_with(&["--insecure-policy", "copy", "-q", &image, &layout]).ok();
    let id = |at: &str| {
        let config = dray_with(&["--insecure-policy", "inspect", "--config", at]).ok();
        config.json()["rootfs"]["diff_ids"].clone()
    };
    assert_eq!(id(&image), id(&layout));
    dray_with(&["--insecure-policy", "delete", &image]).ok();
    store.podman(&["image", "exists", "localhost/child:1"]).ends(1);
    store.podman(&["image", "exists", "quay.io/x/child:v2"]).ok();
}

#[test]
fn of_a_list_the_image_for_this_platform_is_saved_and_pushed() {
    if !has(&TOOLS) || !has(&["skopeo"]) {
        return;
    }
    let (store, scratch) = (PeerStore::new(), scratch());
    let tar = scratch.at("it.tar");
    tool("tar", &format!("-C /bin -cf {tar} busybox")).ok();
    store.cellar(&["import", "-q", &tar, "localhost/it:1"]).ok();
    store.cellar(&["import", "-q", "--arch", "s390x", &tar, "localhost/other:1"]).ok();
    let members = ["other", "it"].map(|name| format!("containers-storage:localhost/{name}:1"));
    store.podman(&["manifest", "create", "list:1", &members[0], &members[1]]).ok();
    let own = store.podman(&["images", "-q", "--no-trunc", "it:1"]).ok();
    for program in ["podman", "cellar"] {
        let run = |line: &[&str]| match program {
            "podman" => store.podman(line).ok(),
            _ => store.cellar(line).ok(),
        };
        let check =
            |place: &str| assert_eq!(identity(place).config, own.text(), "{program} {place}");
        for format in ["docker-archive", "oci-archive"] {
            let at = scratch.at(&format!("{program}.{format}"));
            run(&["save", "-q", "--format", format, "-o", &at, "list:1"]);
            check(&format!("{format}:{at}"));
        }
        let place = format!("dir:{}", scratch.at(program));
        run(&["push", "-q", "list:1", &place]);
        check(&place);
    }
}

#[test]
fn containers_outlive_a_damaged_list_of_them() {
    if !has(&TOOLS) {
        return;
    }
    let store = PeerStore::with_images();
    let made = store.cellar(&["create", "--name", "mine", "localhost/base:1"]).ok();
    let working = store.run("buildah", &["from", "localhost/base:1"]).ok();
    let working = working.text();
    for cut in [0, 20] {
        let path = store.root().join("overlay-containers/containers.json");
        let text = std::fs::read(&path).expect("it is there");
        std::fs::write(&path, &text[..cut]).expect("it is ours");
        let _ = std::fs::remove_file(path.with_file_name("containers.json.bak"));
        let check = store.cellar(&["system", "check"]).ends(125);
        assert!(check.text().contains("2 records were put together"), "{check}");
        // Nothing goes, whatever its age.
        let mended = store.cellar(&["system", "check", "--repair", "--max", "0s"]).ok();
        assert!(
            mended.text().contains("Mended: ") && !mended.text().contains("Removed: "),
            "{mended}"
        );
        let listed = store.run("buildah", &["containers", "-a", "-q", "--notruncate"]).ok();
        assert!(listed.text().contains(made.text()), "{listed}");
    }
    store.run("buildah", &["config", "--label", "a=b", working]).ok();
    store.run("buildah", &["commit", "-q", working, "again"]).ok();
    store.run("buildah", &["rm", working]).ok();
    store.cellar(&["rmi", "base:1"]).ends(2);
    store.cellar(&["rm", "mine"]).ok();
    store.cellar(&["rmi", "-af"]).ok();
    let check = store.cellar(&["system", "check"]).ok();
    assert_eq!((check.text(), check.stderr.as_str()), ("", ""));
}

#[test]
fn a_layer_without_its_recipe_is_saved_if_its_files_give_the_same() {
    if !has(&TOOLS) {
        return;
    }
    let (store, scratch) = (PeerStore::with_images(), scratch());
    let remove_recipes = || {
        for file in std::fs::read_dir(store.root().join("overlay-layers")).expect("it is there") {
            let path = file.expect("it is readable").path();
            if path.to_string_lossy().ends_with(".tar-split.gz") {
                std::fs::remove_file(path).expect("it is ours");
            }
        }
    };
    let before = scratch.at("before.tar");
    store.cellar(&["save", "-q", "-o", &before, "child:1"]).ok();
    remove_recipes();
    let check = store.cellar(&["system", "check"]).ends(125);
    assert!(check.text().contains("only if its files still give the same stream"), "{check}");
    let after = scratch.at("after.tar");
    store.cellar(&["save", "-q", "-o", &after, "child:1"]).ok();
    assert_eq!(
        identity(&format!("docker-archive:{before}")),
        identity(&format!("docker-archive:{after}"))
    );
    let mended = store.cellar(&["system", "check", "--repair"]).ok();
    assert!(mended.text().contains("was made again"), "{mended}");
    // What came from elsewhere has headers that the files do not tell.
    let layer = scratch.at("layer.tar");
    tool("tar", &format!("--format=v7 -C /bin -cf {layer} busybox")).ok();
    store.cellar(&["import", "-q", &layer, "localhost/other:1"]).ok();
    remove_recipes();
    let refused = store.cellar(&["save", "-q", "-o", &scratch.at("no.tar"), "other:1"]).ends(125);
    assert!(refused.stderr.contains("the recipe for its tar stream is missing"), "{refused}");
    store.cellar(&["rmi", "other:1"]).ok();
    store.cellar(&["system", "check", "--repair"]).ok();
}

#[test]
fn a_layer_that_was_changed_is_found_and_goes_with_its_images_and_containers_if_forced() {
    if !has(&TOOLS) {
        return;
    }
    let store = PeerStore::with_images();
    store.run("buildah", &["from", "localhost/child:1"]).ok();
    let layers = std::fs::read_dir(store.root().join("overlay")).expect("it is there").flatten();
    let files = layers.map(|layer| layer.path().join("diff/base"));
    let files: Vec<_> = files.filter(|file| file.is_file()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    std::fs::write(&files[0], "changed").expect("it is ours");
    let quick = store.cellar(&["system", "check", "--quick"]).ok();
    assert_eq!((quick.text(), quick.stderr.as_str()), ("", ""));
    store.cellar(&["system", "check"]).ends(125);
    store.cellar(&["system", "check", "-r"]).ends(125).says("--force removes both");
    store.cellar(&["image", "exists", "child:1"]).ok();
    let mended = store.cellar(&["system", "check", "-r", "-f"]).ok();
    assert!(mended.text().contains("Deleted container: "), "{mended}");
    store.cellar(&["image", "exists", "child:1"]).ends(1);
    store.podman(&["image", "exists", "base:1"]).ok();
    assert_eq!(store.run("buildah", &["containers", "-q"]).ok().text(), "");
    store.cellar(&["system", "check"]).ok();
}
