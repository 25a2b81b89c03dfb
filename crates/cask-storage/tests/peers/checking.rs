//! What goes wrong with stores of the peers is found, and taken away.

use std::fs;
use std::time::Duration;

use cask_storage::{CheckOptions, DriverKind, Problem, ProblemKind, PruneOptions, Store};

use crate::reading::filled;
use crate::support::{TestImage, TestStore, peers_are_there, usual_layers};
use crate::writing::put;

fn kinds(store: &Store) -> Vec<ProblemKind> {
    let mut options = CheckOptions::default();
    options.verify_data = true;
    options.verify_layers = true;
    let kind = |problem: &Problem| problem.kind;
    store.check(&options).unwrap().iter().map(kind).collect()
}

/// Spoils a store of one image with two layers, and says what is found then.
fn check(spoil: impl FnOnce(&TestStore, &Store), expected: &[ProblemKind]) {
    let (peers, _) = filled(DriverKind::Overlay);
    let store = peers.open();
    assert_eq!(kinds(&store), []);
    spoil(&peers, &store);
    assert_eq!(kinds(&peers.open()), expected);
}

fn image_directory(peers: &TestStore, store: &Store) -> std::path::PathBuf {
    peers.root().join("overlay-images").join(store.images().unwrap()[0].id.as_str())
}

fn top(store: &Store) -> String {
    store.images().unwrap()[0].top_layer.as_ref().unwrap().to_string()
}

#[test]
fn what_is_broken_is_named() {
    use ProblemKind::{
        ImageDataChanged, ImageWithoutData, ImageWithoutLayer, LayerWithoutFiles, LayerWithoutLink,
        LayerWithoutTarSplit,
    };
    if !peers_are_there() {
        return;
    }
    let overlay = |peers: &TestStore| peers.root().join("overlay");
    check(
        |peers, store| fs::write(image_directory(peers, store).join("manifest"), "x").unwrap(),
        &[ImageDataChanged],
    );
    check(
        |peers, store| fs::remove_file(image_directory(peers, store).join("manifest")).unwrap(),
        &[ImageWithoutData],
    );
    check(
        |peers, store| fs::remove_file(overlay(peers).join(top(store)).join("link")).unwrap(),
        &[LayerWithoutLink],
    );
    check(
        |peers, store| {
            fs::write(overlay(peers).join(top(store)).join("diff/etc/new"), "changed").unwrap();
        },
        &[ProblemKind::LayerChanged],
    );
    check(
        |peers, store| fs::remove_dir_all(overlay(peers).join(top(store))).unwrap(),
        &[LayerWithoutFiles, ProblemKind::LayerChanged],
    );
    check(
        |peers, store| {
            let name = format!("{}.tar-split.gz", top(store));
            fs::remove_file(peers.root().join("overlay-layers").join(name)).unwrap();
        },
        &[LayerWithoutTarSplit, ProblemKind::LayerChanged],
    );
    check(
        |peers, store| {
            let path = peers.root().join("overlay-layers/layers.json");
            let text = fs::read_to_string(&path).unwrap();
            let end = text.find("},{").unwrap();
            assert!(text[end..].contains(&top(store)));
            fs::write(path, format!("{}}}]", &text[..end])).unwrap();
        },
        &[
            ImageWithoutLayer,
            // The base, which nothing leads to any more, and what the record named.
            ProblemKind::UnusedLayer,
            ProblemKind::Orphan,
            ProblemKind::Orphan,
        ],
    );
}

#[test]
fn podman_gives_layers_their_links_back_after_us() {
    if !peers_are_there() {
        return;
    }
    let peers = TestStore::new(DriverKind::Overlay);
    let store = peers.open();
    let id = put(&store, &TestImage::new(&usual_layers()), "localhost/ours:1");
    // Whatever lies in there it takes for layers.
    let names = fs::read_dir(peers.root().join("overlay")).unwrap().map(|entry| entry.unwrap());
    let others = names.filter(|entry| entry.file_name().len() != 64 && entry.file_name() != "l");
    assert_eq!(others.count(), 0);
    for link in fs::read_dir(peers.root().join("overlay/l")).unwrap() {
        fs::remove_file(link.unwrap().path()).unwrap();
    }
    peers.podman(&["image", "mount", id.as_str()]);
    peers.podman(&["image", "unmount", id.as_str()]);
    assert_eq!(kinds(&store), []);
}

#[test]
fn damaged_files_are_answered_from_the_disk() {
    if !peers_are_there() {
        return;
    }
    let cases: [(&str, &[u8]); 5] = [
        ("overlay-images/images.json", b""),
        ("overlay-images/images.json", b"[{\"id\":\"4"),
        ("overlay-layers/layers.json", b""),
        ("overlay-layers/layers.json", b"garbage"),
        ("overlay-layers/layers.json", b"\xff\0"),
    ];
    for (file, bytes) in cases {
        let (peers, made) = filled(DriverKind::Overlay);
        let before = peers.open().images().unwrap()[0].clone();
        fs::write(peers.root().join(file), bytes).unwrap();
        let store = peers.open();
        let image = store.images().unwrap()[0].clone();
        assert_eq!(image.top_layer, before.top_layer);
        assert_eq!(image.big_data_digests, before.big_data_digests);
        let chain = store.layer_chain(image.top_layer.as_ref().unwrap()).unwrap();
        let digests: Vec<_> = chain.iter().rev().filter_map(|l| l.diff_digest.clone()).collect();
        assert_eq!(digests, made.diff_ids);
        assert_eq!(store.take_warnings().len(), 1, "{file}");
        // The first change mends it, for the peers too.
        store.set_names(&image.id, &["localhost/again:1".to_owned()]).unwrap();
        if file.contains("layers") {
            continue;
        }
        assert_eq!(peers.podman(&["images", "-q"]).len(), 12);
        peers.podman(&["rmi", "localhost/again:1"]);
        assert!(peers.driver_entries().is_empty());
    }
}

/// All that podman wrote of its layers follows from what lies beside the list of them.
#[test]
fn layers_of_the_peers_outlive_the_list_of_them() {
    if !peers_are_there() {
        return;
    }
    let (peers, _) = filled(DriverKind::Overlay);
    peers.podman(&["create", "--name", "c", "--network", "none", "demo:1", "/bin/sh"]);
    let path = peers.root().join("overlay-layers/layers.json");
    let records =
        || -> Vec<serde_json::Value> { serde_json::from_slice(&fs::read(&path).unwrap()).unwrap() };
    let size = || peers.podman(&["image", "inspect", "--format", "{{.Size}}", "demo:1"]);
    let history = || peers.podman(&["history", "--human=false", "--format", "{{.Size}}", "demo:1"]);
    let (before, size_before, history_before) = (records(), size(), history());
    assert_eq!(before.len(), 3);
    fs::write(&path, "[{").unwrap();
    assert_eq!(peers.open().repair().unwrap().len(), 1);
    let after = records();
    let created = |record: &serde_json::Value| {
        let text = record["created"].as_str().unwrap();
        text.parse::<cask_image::Timestamp>().unwrap().unix_seconds()
    };
    for old in before {
        let new = after.iter().find(|new| new["id"] == old["id"]).unwrap();
        assert!((created(&old) - created(new)).abs() <= 5, "{new} {old}");
        let told = |record: &serde_json::Value| {
            let mut record = record.clone();
            let fields = record.as_object_mut().unwrap();
            // What only the list of layers has: the names and maps of containers' layers.
            for field in ["created", "names", "flags", "uidmap", "gidmap"] {
                fields.remove(field);
            }
            record
        };
        assert_eq!(told(new), told(&old));
    }
    assert_eq!((size(), history()), (size_before, history_before));
    assert_eq!(kinds(&peers.open()), []);
    peers.podman(&["rm", "c"]);
    peers.podman(&["rmi", "demo:1"]);
    assert!(peers.driver_entries().is_empty());
}

#[test]
fn containers_of_the_peers_outlive_the_list_of_them() {
    if !peers_are_there() {
        return;
    }
    let (peers, _) = filled(DriverKind::Overlay);
    let create = |name: &str| {
        let line = ["create", "--name", name, "--network", "none", "demo:1", "/bin/sh"];
        peers.podman(&line);
    };
    create("first");
    let built = peers.buildah(&["from", "--name", "built", "localhost/demo:1"]);
    let mounted = peers.buildah(&["from", "--name", "mounted", "localhost/demo:1"]);
    create("second");
    let path = |program: &str, name: &str| peers.peer(program, &["mount", name]);
    let at = |program: &str, name: &str| {
        let output = path(program, name);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::path::PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    };
    let all = [
        ("podman", "first"),
        ("buildah", built.as_str()),
        ("buildah", mounted.as_str()),
        ("podman", "second"),
    ];
    for (program, name) in all {
        fs::write(at(program, name).join("whose"), name).unwrap();
        // Of buildah's one stays mounted.
        if name != mounted {
            peers.peer(program, &["unmount", name]);
        }
    }
    let before = peers.open().containers().unwrap();
    assert_eq!(before.len(), all.len());
    for bytes in [&b""[..], b"[{", b"garbage"] {
        fs::write(peers.root().join("overlay-containers/containers.json"), bytes).unwrap();
        let _ = fs::remove_file(peers.root().join("overlay-containers/containers.json.bak"));
        let store = peers.open();
        assert_eq!(store.repair().unwrap().len(), 1);
        let after = store.containers().unwrap();
        for old in &before {
            let new = after.iter().find(|new| new.id == old.id).unwrap();
            assert_eq!((&new.names, &new.layer, &new.image), (&old.names, &old.layer, &old.image));
            // The layer was made a moment before.
            let layer = store.layer(new.layer.as_ref().unwrap()).unwrap().unwrap();
            assert_eq!(new.created, layer.created);
            let json = |text: &str| {
                let mut value = serde_json::from_str::<serde_json::Value>(text).ok()?;
                value.as_object_mut()?.remove("created-at");
                Some(value)
            };
            assert_eq!(json(&new.metadata), json(&old.metadata), "{}", old.metadata);
        }
        assert_eq!(kinds(&peers.open()), []);
        for (program, name) in all {
            let found = fs::read_to_string(at(program, name).join("whose")).unwrap();
            assert_eq!(found, name);
            peers.peer(program, &["unmount", name]);
        }
    }
    peers.buildah(&["commit", "-q", &built, "committed"]);
    peers.buildah(&["rm", "-a"]);
    peers.podman(&["rm", "-a"]);
    peers.podman(&["rmi", "-af"]);
    assert!(peers.driver_entries().is_empty());
}

#[test]
fn waste_is_found_and_taken_away() {
    if !peers_are_there() {
        return;
    }
    let (peers, _) = filled(DriverKind::Overlay);
    let store = peers.open();
    let root = peers.root();
    let id = "f".repeat(64);
    for kind in ["overlay", "overlay-images", "overlay-containers"] {
        fs::create_dir_all(root.join(kind).join(&id)).unwrap();
    }
    fs::write(root.join("overlay-layers").join(format!("{id}.tar-split.gz")), "x").unwrap();
    fs::write(root.join("overlay-layers/.tmp-layers.json123"), "x").unwrap();
    fs::create_dir_all(root.join("overlay/tempdirs/temp-dir-1/0-addition")).unwrap();
    fs::write(root.join("overlay/tempdirs/lock-1"), "").unwrap();
    // An image whose record is lost leaves its layers.
    fs::write(root.join("overlay-images/images.json"), "[]").unwrap();
    let mut expected = vec![ProblemKind::UnusedLayer; 2];
    expected.extend([ProblemKind::Orphan; 6]);
    expected.push(ProblemKind::Leftover);
    let mut found = kinds(&store);
    found.sort();
    assert_eq!(found, expected);

    let young = store.prune(&PruneOptions::default()).unwrap();
    assert_eq!(young.removed.len(), 1, "{young:?}");
    let mut options = PruneOptions::default();
    options.older_than = Duration::ZERO;
    let pruned = store.prune(&options).unwrap();
    assert_eq!(pruned.removed.len(), 8);
    assert!(pruned.bytes() > 100_000);
    assert_eq!(kinds(&store), []);
    assert!(peers.driver_entries().is_empty());
    assert_eq!(peers.podman(&["images", "-aq"]), "");
}
