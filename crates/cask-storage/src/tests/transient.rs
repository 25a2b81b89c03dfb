//! Containers that are gone with the run root.

use std::fs;

use super::support::*;
use crate::{CheckOptions, Id, NewContainer, Store, StoreOptions};

/// A store of which containers are in the run root of this name.
fn transient(temp: &std::path::Path, run: &str) -> Store {
    let mut options = StoreOptions::new(temp.join("root"), temp.join(run));
    options.transient = true;
    Store::open(options).unwrap()
}

#[test]
fn containers_are_gone_with_the_run_root_and_images_stay() {
    let temp = tempfile::tempdir().unwrap();
    let usual = open(temp.path());
    let image = put(&usual, &["a"], "x").unwrap();
    let store = transient(temp.path(), "run");
    let make = |store: &Store, name: &str| {
        let mut new = NewContainer::new(Some(image.clone()));
        new.names = vec![name.to_owned()];
        store.create_container(&new).unwrap()
    };
    let made = make(&store, "one");
    let layer: Id = made.layer.clone().unwrap();
    let layers = temp.path().join("root/overlay");
    assert!(made.is_volatile() && layers.join(layer.as_str()).is_dir());
    let listed = |path: &str| fs::read_to_string(temp.path().join(path)).unwrap_or_default();
    let in_run = listed("run/overlay-containers/volatile-containers.json");
    assert!(in_run.contains(made.id.as_str()));
    assert!(listed("run/overlay-layers/volatile-layers.json").contains(layer.as_str()));
    assert!(!listed("root/overlay-containers/containers.json").contains(made.id.as_str()));
    assert!(!listed("root/overlay-layers/layers.json").contains(layer.as_str()));
    // Whoever has another run root does not see it, and leaves it alone.
    assert!(usual.containers().unwrap().is_empty() && store.containers().unwrap().len() == 1);
    let other = make(&usual, "other");
    let elsewhere = transient(temp.path(), "run2");
    make(&elsewhere, "elsewhere");
    assert_eq!(usual.check(&CheckOptions::default()).unwrap(), []);
    assert!(layers.join(layer.as_str()).is_dir());
    // The run root is gone, and what it listed goes with the next change.
    drop(store);
    fs::remove_dir_all(temp.path().join("run")).unwrap();
    let store = transient(temp.path(), "run");
    assert!(store.containers().unwrap().iter().all(|found| found.id == other.id));
    let next = make(&store, "one");
    assert!(!layers.join(layer.as_str()).exists());
    assert_eq!(elsewhere.container_named("elsewhere").unwrap().names, ["elsewhere"]);
    assert!(store.image(&image).unwrap().is_some());
    store.delete_container(&next.id).unwrap();
    assert_eq!(store.containers().unwrap().len(), 1);
    let notes = fs::read_dir(temp.path().join("root/cask/transient")).unwrap().count();
    assert_eq!(notes, 1, "that of the other run root");
    // In another start of the machine nobody lists it any more.
    let note = fs::read_dir(temp.path().join("root/cask/transient")).unwrap().next().unwrap();
    let path = note.unwrap().path();
    let text = fs::read_to_string(&path).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    fs::write(&path, format!("another-start\n{rest}")).unwrap();
    fs::remove_dir_all(temp.path().join("run2")).unwrap();
    usual.delete_container(&other.id).unwrap();
    make(&usual, "last");
    assert!(!path.exists());
    assert_eq!(usual.check(&CheckOptions::default()).unwrap(), []);
}
