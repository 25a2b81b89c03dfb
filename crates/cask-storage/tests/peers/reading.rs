//! What the peers wrote is read, named and deleted.

use std::io::Read;

use cask_image::{Algorithm, Digest, Hasher};
use cask_storage::{DriverKind, ErrorKind, MountOptions, NewContainer, StorageReference};

use crate::support::{TestImage, TestStore, peers_are_there, skopeo, usual_layers};

pub(crate) fn filled(driver: DriverKind) -> (TestStore, TestImage) {
    let store = TestStore::new(driver);
    let image = TestImage::new(&usual_layers());
    let layout = image.write_layout(&store.directory().join("layout"));
    skopeo(&["copy", "-q", &layout, &store.name("localhost/demo:1")]);
    (store, image)
}

fn check_reading(driver: DriverKind) {
    let (peers, made) = filled(driver);
    let store = peers.open();
    let images = store.images().unwrap();
    assert_eq!(images.len(), 1);
    let image = &images[0];
    assert_eq!(image.names, ["localhost/demo:1"]);
    assert_eq!(image.manifest_digest(), Some(made.manifest.digest()));
    assert_eq!(store.image_data(image, "manifest").unwrap(), made.manifest.bytes()[..]);
    let config = Digest::from_hash(
        cask_image::Algorithm::Sha256,
        &image
            .id
            .as_str()
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect::<Vec<u8>>(),
    );
    assert_eq!(store.image_data(image, config.as_str()).unwrap(), made.config);
    let chain = store.layer_chain(image.top_layer.as_ref().unwrap()).unwrap();
    let diff_ids: Vec<_> = chain.iter().rev().filter_map(|l| l.diff_digest.clone()).collect();
    assert_eq!(diff_ids, made.diff_ids);
    let found = store.layers_by_compressed_digest(chain[0].compressed_digest.as_ref().unwrap());
    assert_eq!(found.unwrap().len(), 1);
    for layer in &chain {
        let mut tar = Vec::new();
        store.read_layer(&layer.id).unwrap().read_to_end(&mut tar).unwrap();
        let digest = Hasher::digest(Algorithm::Sha256, &tar);
        assert_eq!(Some(&digest), layer.diff_digest.as_ref());
    }
    let size: u64 = chain.iter().map(|layer| layer.diff_size_bytes as u64).sum();
    assert!(store.image_sizes().unwrap()[&image.id] > size);
    for text in ["demo:1", "localhost/demo:1", image.id.short(), &format!("@{}", image.id)] {
        let name = text.parse::<StorageReference>().unwrap();
        let resolved = store.resolve(name.image()).unwrap();
        let found = store.find(&resolved).map(|found| found.id.clone());
        match text {
            "demo:1" => assert_eq!(found.unwrap_err().kind(), ErrorKind::NotFound),
            _ => assert_eq!(found.unwrap(), image.id, "{text}"),
        }
    }
    assert!(store.take_warnings().is_empty());
}

#[test]
fn images_of_skopeo_are_read() {
    if peers_are_there() {
        check_reading(DriverKind::Overlay);
        check_reading(DriverKind::Vfs);
    }
}

#[test]
fn podman_sees_our_names_and_deletions() {
    if !peers_are_there() {
        return;
    }
    let (peers, _) = filled(DriverKind::Overlay);
    let store = peers.open();
    let id = store.images().unwrap()[0].id.clone();
    store.add_names(&id, &["localhost/other:2".to_owned()]).unwrap();
    let listed = peers.podman(&["images", "--noheading", "--format", "{{.Repository}}:{{.Tag}}"]);
    let mut listed: Vec<&str> = listed.lines().collect();
    listed.sort_unstable();
    assert_eq!(listed, ["localhost/demo:1", "localhost/other:2"]);
    peers.podman(&["tag", "localhost/demo:1", "localhost/third:3"]);
    let names = store.image(&id).unwrap().unwrap().names.clone();
    assert!(names.contains(&"localhost/third:3".to_owned()), "{names:?}");
    store.remove_names(&id, &names).unwrap();
    assert_eq!(peers.podman(&["images", "-q", "--filter", "dangling=true"]).len(), 12);

    let container = peers.buildah(&["from", "--pull-never", id.as_str()]);
    assert_eq!(store.delete_image(&id).unwrap_err().kind(), ErrorKind::InUse);
    let container = store.container_named(&container).unwrap().id.clone();
    store.delete_container(&container).unwrap();
    assert_eq!(peers.buildah(&["containers", "-q"]), "");
    let deleted = store.delete_image(&id).unwrap();
    assert_eq!(deleted.layers.len(), 2);
    assert_eq!(peers.podman(&["images", "-q", "-a"]), "");
    assert!(peers.driver_entries().is_empty());
    let layers = peers.root().join("overlay-layers");
    assert_eq!(std::fs::read_to_string(layers.join("layers.json")).unwrap(), "[]");
    assert_eq!(std::fs::metadata(layers.join("layers.lock")).unwrap().len(), 64);
}

/// Peers look at the files of an image that its record names, and take its directory away as a whole.
#[test]
fn podman_does_not_mind_the_copy_of_a_record_and_what_it_named_since_is_known() {
    if !peers_are_there() {
        return;
    }
    let (peers, _) = filled(DriverKind::Overlay);
    let store = peers.open();
    let id = store.images().unwrap()[0].id.clone();
    store.add_names(&id, &["localhost/other:2".to_owned()]).unwrap();
    let directory = peers.root().join("overlay-images").join(id.as_str());
    assert!(directory.join("cask-record.json").exists());
    assert_eq!(peers.podman(&["image", "inspect", "--format", "{{.Id}}", "other:2"]), id.as_str());
    peers.podman(&["system", "prune", "--force"]);
    peers.podman(&["tag", "other:2", "localhost/third:3"]);
    assert_eq!(store.image_by_name("localhost/third:3").unwrap().unwrap().id, id);
    assert!(store.check(&Default::default()).unwrap().is_empty());
    peers.podman(&["rmi", "--force", id.as_str()]);
    assert!(!directory.exists());
    assert!(store.images().unwrap().is_empty());
}

#[test]
fn mounts_are_counted_together_with_podman() {
    if !peers_are_there() {
        return;
    }
    let (peers, _) = filled(DriverKind::Overlay);
    let store = peers.open();
    let id = store.images().unwrap()[0].id.clone();
    let path = store.mount_image(&id).unwrap();
    assert_eq!(std::fs::read(path.join("etc/new")).unwrap(), b"new\n");
    assert!(!path.join("etc/old").exists());
    assert!(path.join("opaque/above").exists() && !path.join("opaque/below").exists());
    assert_eq!(peers.podman(&["image", "mount", "localhost/demo:1"]), path.display().to_string());
    assert!(store.unmount_image(&id, false).unwrap());
    assert!(path.join("etc/new").exists());
    peers.podman(&["image", "unmount", "localhost/demo:1"]);
    assert!(!path.join("etc/new").exists());
    assert!(store.mounts().unwrap().is_empty());

    store.mount_image(&id).unwrap();
    store.delete_image(&id).unwrap();
    assert!(store.mounts().unwrap().is_empty());
    assert!(peers.driver_entries().is_empty());
}

#[test]
fn podman_spares_what_our_containers_need() {
    if !peers_are_there() {
        return;
    }
    for driver in [DriverKind::Overlay, DriverKind::Vfs] {
        let (peers, _) = filled(driver);
        let store = peers.open();
        let image = store.images().unwrap()[0].id.clone();
        let mut new = NewContainer::new(Some(image.clone()));
        new.names = vec!["ours".to_owned()];
        new.volatile = true;
        let container = store.create_container(&new).unwrap();
        assert_eq!(store.create_container(&new).unwrap_err().kind(), ErrorKind::Exists);
        let mut writable = MountOptions::default();
        writable.writable = true;
        let layer = container.layer.clone().unwrap();
        let path = store.mount_layer(&layer, &writable).unwrap();
        assert_eq!(std::fs::read(path.join("etc/new")).unwrap(), b"new\n");
        std::fs::write(path.join("etc/written"), "here").unwrap();
        assert!(!store.unmount_layer(&layer, false).unwrap());
        let external = peers.podman(&["ps", "-a", "--external", "--format", "{{.Names}}"]);
        assert_eq!(external, "ours");
        assert!(!peers.peer("podman", &["rmi", image.as_str()]).status.success());
        store.delete_container(&container.id).unwrap();
        peers.podman(&["rmi", image.as_str()]);
        assert!(peers.driver_entries().is_empty());
    }
}
