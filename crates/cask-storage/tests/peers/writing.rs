//! What this crate writes, the peers read, run, build on, copy out and delete.

use std::io::Read;
use std::process::Output;

use cask_image::{Algorithm, Hasher};
use cask_storage::{
    CheckOptions, DriverKind, ErrorKind, Id, NewImage, NewLayer, StageOptions, Store,
};

use crate::support::{Entry, TestImage, TestStore, peers_are_there, skopeo, tar, usual_layers};

/// Puts an image into a store, its layers at the same time.
pub(crate) fn put(store: &Store, image: &TestImage, name: &str) -> Id {
    let mut new = NewImage::of_manifest(&image.manifest, &image.config).unwrap();
    new.names = vec![name.to_owned()];
    let stage = |index: usize| {
        let mut options = StageOptions::default();
        options.blob_digest = Some(Hasher::digest(Algorithm::Sha256, &image.layers[index]));
        options.diff_digest = Some(image.diff_ids[index].clone());
        store.stage_layer(&image.layers[index][..], &options).unwrap()
    };
    new.layers = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..image.layers.len()).map(|index| scope.spawn(move || stage(index))).collect();
        threads.into_iter().map(|thread| NewLayer::Staged(thread.join().unwrap())).collect()
    });
    store.commit_image(new).unwrap().id.clone()
}

fn run(peers: &TestStore, image: &str, command: &[&str]) -> Output {
    // The usual limits are more than a container within a container may have.
    let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];
    let runtime = ["--cgroup-manager", "cgroupfs", "run", "--rm", "--runtime", "runc"];
    let arguments = [&runtime[..], &["--network", "none"], &limits, &[image], command].concat();
    peers.peer("podman", &arguments)
}

fn check_clean(store: &Store) {
    let mut options = CheckOptions::default();
    options.verify_data = true;
    options.verify_layers = true;
    assert_eq!(store.check(&options).unwrap(), []);
}

fn check_writing(driver: DriverKind) {
    let peers = TestStore::new(driver);
    let image = TestImage::new(&usual_layers());
    let store = peers.open();
    let id = put(&store, &image, "localhost/ours:1");
    check_clean(&store);

    let listed = peers.podman(&["images", "--noheading", "--no-trunc", "--format", "{{.ID}}"]);
    assert_eq!(listed, format!("sha256:{id}"));
    let inspected = peers.podman(&["image", "inspect", "localhost/ours:1", "-f", "{{.Digest}}"]);
    assert_eq!(inspected, image.manifest.digest().to_string());
    let sizes = peers.podman(&["image", "inspect", "localhost/ours:1", "-f", "{{.Size}}"]);
    assert_eq!(sizes, store.image_sizes().unwrap()[&id].to_string());

    let out = peers.directory().join("out");
    skopeo(&["copy", "-q", &peers.name("localhost/ours:1"), &format!("dir:{}", out.display())]);
    for diff_id in &image.diff_ids {
        let bytes = std::fs::read(out.join(diff_id.hex())).unwrap();
        assert_eq!(&Hasher::digest(Algorithm::Sha256, &bytes), diff_id);
    }

    let shown =
        run(&peers, "localhost/ours:1", &["/bin/sh", "-c", "cat /etc/new; ls /opaque /etc"]);
    let error = String::from_utf8_lossy(&shown.stderr).into_owned();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.starts_with("new\n") && shown.contains("above"), "{shown}{error}");
    assert!(!shown.contains("below") && !shown.contains("old"), "{shown}");

    let file = peers.directory().join("Containerfile");
    std::fs::write(&file, "FROM localhost/ours:1\nCOPY Containerfile /copied\n").unwrap();
    let context = peers.directory().join("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::copy(&file, context.join("Containerfile")).unwrap();
    let (file, context) = (file.display().to_string(), context.display().to_string());
    peers.buildah(&["build", "-q", "--isolation", "chroot", "-f", &file, "-t", "built", &context]);
    let built = store.image_named("localhost/built:latest").unwrap();
    for layer in store.layer_chain(built.top_layer.as_ref().unwrap()).unwrap() {
        let mut bytes = Vec::new();
        store.read_layer(&layer.id).unwrap().read_to_end(&mut bytes).unwrap();
        let digest = Hasher::digest(Algorithm::Sha256, &bytes);
        assert_eq!(Some(&digest), layer.diff_digest.as_ref());
    }
    check_clean(&store);

    peers.podman(&["rmi", "-a", "-f"]);
    assert!(peers.driver_entries().is_empty(), "{:?}", peers.driver_entries());
    for file in ["layers", "images"] {
        let path = peers.root().join(format!("{driver}-{file}/{file}.json"));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "[]");
    }
    check_clean(&store);
}

#[test]
fn podman_uses_what_we_wrote_with_overlay() {
    if peers_are_there() {
        check_writing(DriverKind::Overlay);
    }
}

#[test]
fn podman_uses_what_we_wrote_with_vfs() {
    if peers_are_there() {
        check_writing(DriverKind::Vfs);
    }
}

/// A base by a peer, a layer that is written to by us, an image of both for the peers.
fn check_working_layers(driver: DriverKind) {
    let peers = TestStore::new(driver);
    let layers = usual_layers();
    let layout = TestImage::new(&layers).write_layout(&peers.directory().join("layout"));
    skopeo(&["copy", "-q", &layout, &peers.name("localhost/theirs:1")]);
    let store = peers.open();
    let parent = store.image_named("localhost/theirs:1").unwrap().top_layer.clone().unwrap();
    let mut working = store.begin_working_layer(Some(&parent)).unwrap();
    let root = working.mount().unwrap().to_owned();
    std::fs::remove_file(root.join("etc/new")).unwrap();
    std::fs::remove_dir_all(root.join("opaque")).unwrap();
    std::fs::create_dir(root.join("opaque")).unwrap();
    std::fs::write(root.join("opaque/last"), "last\n").unwrap();
    let layer = working.commit(&cask_layer::DiffOptions::default()).unwrap();
    let mut written = Vec::new();
    store.read_layer(&layer.id).unwrap().read_to_end(&mut written).unwrap();

    let image = TestImage::new(&[layers, vec![written]].concat());
    let mut new = NewImage::of_manifest(&image.manifest, &image.config).unwrap();
    new.names = vec!["localhost/ours:1".to_owned()];
    let chain = store.layer_chain(&layer.id).unwrap();
    new.layers = chain.iter().rev().map(|layer| NewLayer::Present(layer.id.clone())).collect();
    store.commit_image(new).unwrap();
    check_clean(&store);

    let shown = run(&peers, "localhost/ours:1", &["/bin/sh", "-c", "cat /opaque/*; ls /etc"]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.starts_with("last\n"), "{shown:?}");
    assert!(!text.contains("new"), "{shown:?}");
    let out = peers.directory().join("out");
    skopeo(&["copy", "-q", &peers.name("localhost/ours:1"), &format!("dir:{}", out.display())]);
    for diff_id in &image.diff_ids {
        let bytes = std::fs::read(out.join(diff_id.hex())).unwrap();
        assert_eq!(&Hasher::digest(Algorithm::Sha256, &bytes), diff_id);
    }
    peers.podman(&["rmi", "-a", "-f"]);
    assert!(peers.driver_entries().is_empty(), "{:?}", peers.driver_entries());
    check_clean(&store);
}

#[test]
fn podman_runs_what_was_written_to_a_working_layer() {
    if peers_are_there() {
        check_working_layers(DriverKind::Overlay);
        check_working_layers(DriverKind::Vfs);
    }
}

#[test]
fn layers_that_peers_refuse_are_kept_and_given_back() {
    if !peers_are_there() {
        return;
    }
    let odd = tar(&[
        Entry::File("twice", b"first"),
        Entry::File("twice", b"second"),
        Entry::Directory("real/"),
        Entry::Link("lnk", "real"),
        Entry::File("lnk/through", b"x"),
        Entry::Link("out", "/etc"),
        Entry::Directory("etc/"),
        Entry::File("out/hostname", b"not the host's"),
    ]);
    let peers = TestStore::new(DriverKind::Overlay);
    let image = TestImage::new(&[odd]);
    let store = peers.open();
    put(&store, &image, "localhost/odd:1");
    check_clean(&store);
    let out = peers.directory().join("out");
    skopeo(&["copy", "-q", &peers.name("localhost/odd:1"), &format!("dir:{}", out.display())]);
    let bytes = std::fs::read(out.join(image.diff_ids[0].hex())).unwrap();
    assert_eq!(Hasher::digest(Algorithm::Sha256, &bytes), image.diff_ids[0]);
}

#[test]
fn streams_that_are_not_what_was_promised_leave_nothing() {
    let peers = TestStore::new(DriverKind::Overlay);
    let image = TestImage::new(&usual_layers());
    let store = peers.open();
    let wrong = Hasher::digest(Algorithm::Sha256, b"wrong");
    let mut options = StageOptions::default();
    options.diff_digest = Some(wrong.clone());
    let refused = |stream: &[u8], options: &StageOptions, kind| {
        assert_eq!(store.stage_layer(stream, options).unwrap_err().kind(), kind);
    };
    refused(&image.layers[0], &options, ErrorKind::DigestMismatch);
    let mut options = StageOptions::default();
    options.blob_digest = Some(wrong);
    refused(&image.layers[0], &options, ErrorKind::DigestMismatch);
    let options = StageOptions::default();
    refused(&image.layers[0][..100], &options, ErrorKind::Input);
    refused(b"no layer at all, but some text", &options, ErrorKind::Input);
    drop(store.stage_layer(&image.layers[0][..], &options).unwrap());
    for path in ["overlay/tempdirs", "overlay-layers/tmp"] {
        let left = std::fs::read_dir(peers.root().join(path)).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{path}");
    }
}
