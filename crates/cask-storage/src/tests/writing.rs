//! Images go in and come out.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::symlink;

use super::support::*;
use crate::layers::MAX_CHAIN;
use crate::{
    DriverKind, ErrorKind, Id, NewContainer, NewImage, NewLayer, Result, StageOptions, Store,
};

#[test]
fn layers_lie_as_old_and_new_releases_expect() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let id = put(&store, &["a", "b", "c"], "x").unwrap();
    let image = store.image(&id).unwrap().unwrap();
    let chain = store.layer_chain(image.top_layer.as_ref().unwrap()).unwrap();
    let overlay = temp.path().join("root/overlay");
    let read = |id: &Id, name: &str| fs::read_to_string(overlay.join(id.as_str()).join(name));
    let links: Vec<String> = chain.iter().map(|l| read(&l.id, "link").unwrap()).collect();
    assert_eq!(read(&chain[0].id, "lower").unwrap(), format!("l/{}:l/{}", links[1], links[2]));
    let lowers = format!("{}:{}", chain[1].id, chain[2].id);
    assert_eq!(read(&chain[0].id, "lower-layers").unwrap(), lowers);
    assert!(read(&chain[2].id, "lower").is_err());
    assert!(overlay.join(chain[2].id.as_str()).join("empty").is_dir());
    for (layer, link) in chain.iter().zip(&links) {
        assert_eq!(link.len(), 26);
        let target = fs::read_link(overlay.join("l").join(link)).unwrap();
        assert_eq!(target.to_str().unwrap(), format!("../{}/diff", layer.id));
    }
    assert_eq!(read(&chain[0].id, "diff/c").unwrap(), "c");
    check_clean(temp.path(), "put");
    assert_eq!(store.delete_image(&id).unwrap().layers.len(), 3);
    let left = |name: &str| fs::read_dir(overlay.join(name)).unwrap().count();
    assert_eq!((left("l"), left("")), (0, 1));
    check_clean(temp.path(), "delete");
}

#[test]
fn shared_layers_stay_as_long_as_somebody_has_them() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let one = put(&store, &["a", "b"], "one").unwrap();
    let two = put(&store, &["a", "c"], "two").unwrap();
    let three = put(&store, &["a"], "three").unwrap();
    assert_eq!(store.delete_image(&one).unwrap().layers.len(), 1);
    assert_eq!(store.delete_image(&three).unwrap().layers.len(), 0);
    assert_eq!(store.delete_image(&two).unwrap().layers.len(), 2);
    check_clean(temp.path(), "all deleted");
}

#[test]
fn an_image_that_comes_again_keeps_its_record() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let id = put(&store, &["a"], "one").unwrap();
    store.set_image_data(&id, "note", b"mine").unwrap();
    assert_eq!(put(&store, &["a"], "two").unwrap(), id);
    let image = store.image(&id).unwrap().unwrap();
    assert_eq!(image.names, ["two", "one"]);
    assert_eq!(image.names_history[0], "one");
    assert_eq!(store.image_data(&image, "note").unwrap(), b"mine");
    check_clean(temp.path(), "twice");
}

#[test]
fn a_file_that_somebody_changes_meanwhile_is_as_it_is_then() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let id = put(&store, &["a"], "one").unwrap();
    store.set_image_data(&id, "note", b"mine").unwrap();
    let before = store.image(&id).unwrap().unwrap();
    open(temp.path()).set_image_data(&id, "note", b"theirs").unwrap();
    assert_eq!(store.image_data(&before, "note").unwrap(), b"theirs");
    let path = temp.path().join("root/overlay-images").join(id.as_str());
    let file = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| std::fs::read(path).unwrap() == b"theirs").unwrap();
    std::fs::write(file, "damaged").unwrap();
    let error = store.image_data(&before, "note").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
}

#[test]
fn names_go_to_the_last_who_asks() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let one = put(&store, &["a"], "x").unwrap();
    let two = put(&store, &["b"], "x").unwrap();
    let one = store.image(&one).unwrap().unwrap();
    assert!(one.names.is_empty());
    assert_eq!(one.names_history, ["x"]);
    assert_eq!(store.image_by_name("x").unwrap().unwrap().id, two);
}

#[test]
fn layers_that_are_not_those_of_the_config_are_refused() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let refused = |change: &dyn Fn(&mut Vec<NewLayer>), kind: ErrorKind| {
        let mut image = new_image(&store, &["a", "b"], "x").unwrap();
        change(&mut image.layers);
        assert_eq!(store.commit_image(image).unwrap_err().kind(), kind);
        assert!(store.images().unwrap().is_empty());
    };
    refused(&|layers| layers.reverse(), ErrorKind::DigestMismatch);
    refused(&|layers| drop(layers.pop()), ErrorKind::DigestMismatch);
    let present = Id::of_layers(&[sha256(b"a")]).remove(0);
    refused(&|layers| layers[0] = NewLayer::Present(present.clone()), ErrorKind::NotFound);
    refused(&|layers| layers[1] = NewLayer::Present(present.clone()), ErrorKind::DigestMismatch);
    check_clean(temp.path(), "refused");
}

#[test]
fn files_that_are_not_what_their_key_says_are_refused() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    for bytes in [&b"another"[..], b""] {
        let mut image = new_image(&store, &["a"], "x").unwrap();
        image.data.push((sha256(b"one").to_string(), bytes.to_vec()));
        assert_eq!(store.commit_image(image).unwrap_err().kind(), ErrorKind::DigestMismatch);
        assert!(store.images().unwrap().is_empty());
    }
    check_clean(temp.path(), "refused");
}

#[test]
fn two_who_store_the_same_store_it_once() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let first = new_image(&store, &["a", "b"], "x").unwrap();
    let second = new_image(&store, &["a", "b"], "y").unwrap();
    let child = new_image(&store, &["a", "b", "c"], "z").unwrap();
    store.commit_image(first).unwrap();
    store.commit_image(second).unwrap();
    // Its directory was prepared upon layers that others stored.
    store.commit_image(child).unwrap();
    assert_eq!(store.images().unwrap().len(), 2);
    assert_eq!(store.layers().unwrap().len(), 3);
    check_clean(temp.path(), "twice");
}

#[test]
fn a_layer_that_goes_after_it_was_found_is_stored_from_what_was_staged() {
    for driver in [DriverKind::Overlay, DriverKind::Vfs] {
        let temp = tempfile::tempdir().unwrap();
        let opened = || {
            let mut options = options(temp.path());
            options.driver = Some(driver);
            Store::open(options).unwrap()
        };
        let own = || {
            let store = opened();
            for _ in 0..50 {
                let mut image = new_image(&store, &["a", "b", "c"], "own")?;
                let layers = ["a", "b", "c"].into_iter().map(|layer| stage(&store, layer));
                image.layers =
                    layers.map(|staged| staged.map(NewLayer::Staged)).collect::<Result<_>>()?;
                let id = store.commit_image(image)?.id.clone();
                store.delete_image(&id)?;
            }
            Ok::<(), crate::Error>(())
        };
        std::thread::scope(|scope| {
            let own = scope.spawn(own);
            let store = opened();
            while !own.is_finished() {
                if let Ok(id) = put(&store, &["a", "b"], "other") {
                    store.delete_image(&id).unwrap();
                }
            }
            own.join().unwrap().unwrap();
        });
        let problems = opened().check(&crate::CheckOptions::default()).unwrap();
        assert!(problems.is_empty(), "{problems:?}");
    }
}

#[test]
fn chains_of_layers_have_a_limit() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    // An image of so many layers that the store should have.
    let commit = |count: usize| {
        let mut config = cask_image::ImageConfig::new("linux", "amd64");
        config.diff_ids = (0..count).map(|number| sha256(&number.to_le_bytes())).collect();
        let layers = Id::of_layers(&config.diff_ids).into_iter().map(NewLayer::Present);
        let mut image = NewImage::new(Id::of_config(&sha256(&config.encode())));
        image.layers = layers.collect();
        image.diff_ids = Some(config.diff_ids);
        store.commit_image(image).unwrap_err().kind()
    };
    assert_eq!(commit(MAX_CHAIN), ErrorKind::Gone);
    assert_eq!(commit(MAX_CHAIN + 1), ErrorKind::LimitExceeded);
    assert!(store.layers().unwrap().is_empty());

    // Layers upon one another, from the top: the first has so many below, the next one fewer.
    let write = |count: usize, lowest: Option<&Id>| {
        let ids: Vec<Id> =
            (0..count).map(|n| Id::of_layers(&[sha256(&n.to_le_bytes())]).remove(0)).collect();
        let parents = ids[1..].iter().chain(lowest).map(Id::as_str).chain([""]);
        let records = ids.iter().zip(parents).map(|(id, parent)| match parent {
            "" => format!("{{\"id\":\"{id}\"}}"),
            _ => format!("{{\"id\":\"{id}\",\"parent\":\"{parent}\"}}"),
        });
        let records: Vec<String> = records.collect();
        let path = temp.path().join("root/overlay-layers/layers.json");
        fs::write(path, format!("[{}]", records.join(","))).unwrap();
        ids
    };
    let ids = write(MAX_CHAIN + 1, None);
    let upon =
        |id: &Id| store.commit_layer(Some(id), stage(&store, "x").unwrap()).unwrap_err().kind();
    assert_eq!(store.layer_chain(&ids[0]).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(upon(&ids[0]), ErrorKind::Corrupt);
    assert_eq!(store.layer_chain(&ids[1]).unwrap().len(), MAX_CHAIN);
    assert_eq!(upon(&ids[1]), ErrorKind::LimitExceeded);
    // One more can be upon this one; its files are none.
    assert_eq!(upon(&ids[2]), ErrorKind::NotFound);
    let own = ids[2].clone();
    write(3, Some(&ids[0]));
    assert_eq!(store.layer_chain(&own).unwrap_err().kind(), ErrorKind::Corrupt, "a circle");
}

/// As long as it was, and of another image for all that.
#[test]
fn a_config_that_was_changed_is_found_and_not_given() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let id = put(&store, &["a"], "x").unwrap();
    let image = store.image(&id).unwrap().unwrap();
    let key = format!("sha256:{id}");
    let config = store.image_data(&image, &key).unwrap();
    let name = crate::big_data::file_name(&key);
    let path = temp.path().join("root/overlay-images").join(id.as_str()).join(name);
    fs::write(&path, String::from_utf8(config).unwrap().replace("amd64", "arm64")).unwrap();
    assert_eq!(store.image_data(&image, &key).unwrap_err().kind(), ErrorKind::DigestMismatch);
    let mut options = crate::CheckOptions::default();
    assert!(store.check(&options).unwrap().is_empty());
    options.verify_data = true;
    let problems = store.check(&options).unwrap();
    let kinds: Vec<_> = problems.iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, [crate::ProblemKind::ImageDataChanged]);
}

/// Others read a file again when the token in its lock is another one.
#[test]
fn each_change_leaves_another_token_in_the_lock_of_what_is_changed() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let tokens = || {
        ["layers", "images", "containers"].map(|kind| {
            let path = format!("root/overlay-{kind}/{kind}.lock");
            let token = fs::read(temp.path().join(path)).unwrap();
            assert_eq!(token.len(), 64, "{kind}");
            token
        })
    };
    let changed = |change: &dyn Fn()| {
        let before = tokens();
        change();
        let after = tokens();
        [0, 1, 2].map(|kind| before[kind] != after[kind])
    };
    assert_eq!(changed(&|| drop(put(&store, &["a"], "x").unwrap())), [true, true, false]);
    let id = store.image_by_name("x").unwrap().unwrap().id.clone();
    let name = || store.add_names(&id, &["y".to_owned()]).unwrap();
    assert_eq!(changed(&name), [false, true, false]);
    let create = || drop(store.create_container(&NewContainer::new(Some(id.clone()))).unwrap());
    assert_eq!(changed(&create), [true, false, true]);
    let container = store.containers().unwrap()[0].id.clone();
    let delete = || drop(store.delete_container(&container).unwrap());
    assert_eq!(changed(&delete), [true, false, true]);
    assert_eq!(changed(&|| drop(store.delete_image(&id).unwrap())), [true, true, false]);
}

#[test]
fn whoever_changes_the_store_sweeps_up_after_the_dead() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let id = put(&store, &["a"], "x").unwrap();
    for round in ["put", "delete"] {
        for root in ["overlay/tempdirs", "overlay-layers/tmp"] {
            let dead = temp.path().join("root").join(root).join("temp-dir-dead");
            fs::create_dir_all(dead.join("0-addition/diff")).unwrap();
        }
        let staged = stage(&store, "living").unwrap();
        match round {
            "put" => drop(put(&store, &["b"], "y").unwrap()),
            _ => drop(store.delete_image(&id).unwrap()),
        }
        assert!(staged.files().is_dir(), "what somebody works with stays");
        drop(staged);
        check_clean(temp.path(), round);
    }
}

#[test]
fn vfs_has_whole_trees() {
    let temp = tempfile::tempdir().unwrap();
    let mut options = options(temp.path());
    options.driver = Some(DriverKind::Vfs);
    let store = Store::open(options).unwrap();
    let id = put(&store, &["a", "b", "c"], "x").unwrap();
    let path = store.mount_image(&id).unwrap();
    for name in ["a", "b", "c"] {
        assert_eq!(fs::read_to_string(path.join(name)).unwrap(), name);
    }
    store.unmount_image(&id, false).unwrap();
    check_clean(temp.path(), "vfs");
    store.delete_image(&id).unwrap();
    assert_eq!(fs::read_dir(temp.path().join("root/vfs/dir")).unwrap().count(), 0);
}

#[test]
fn additional_stores_are_read_and_copied_from_when_named() {
    let temp = tempfile::tempdir().unwrap();
    let lower = open(&temp.path().join("lower"));
    let id = put(&lower, &["a", "b"], "x").unwrap();
    let mut options = options(&temp.path().join("upper"));
    options.additional_image_stores = vec![temp.path().join("lower/root")];
    let store = Store::open(options).unwrap();
    assert!(store.image(&id).unwrap().unwrap().is_read_only());
    assert_eq!(store.delete_image(&id).unwrap_err().kind(), ErrorKind::ReadOnly);
    put(&store, &["a", "b", "c"], "y").unwrap();
    assert_eq!(store.layers().unwrap().len(), 3, "two are shared");
    store.add_names(&id, &["z".to_owned()]).unwrap();
    let image = store.image(&id).unwrap().unwrap();
    assert!(!image.is_read_only());
    assert_eq!(image.names, ["z", "x"]);
    assert!(store.image_data(&image, "manifest").is_ok());
    assert_eq!(names(&lower), ["x"], "it was not changed");
}

#[test]
fn an_image_store_keeps_images_apart() {
    let temp = tempfile::tempdir().unwrap();
    let mut options = options(temp.path());
    options.image_store = Some(temp.path().join("images"));
    let store = Store::open(options).unwrap();
    let id = put(&store, &["a"], "x").unwrap();
    assert!(temp.path().join("images/overlay-images").join(id.as_str()).is_dir());
    assert!(!temp.path().join("root/overlay-images").join(id.as_str()).exists());
    assert_eq!(store.delete_image(&id).unwrap().layers.len(), 1);
}

#[test]
fn what_is_lost_and_can_be_made_again_is() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let id = put(&store, &["a", "b", "c"], "x").unwrap();
    assert!(store.repair().unwrap().is_empty());
    // The generation before this one has the name, too.
    store.set_image_data(&id, "note", b"mine").unwrap();
    let top = store.image(&id).unwrap().unwrap().top_layer.clone().unwrap();
    let chain = store.layer_chain(&top).unwrap();
    let overlay = temp.path().join("root/overlay");
    let file = |place: usize, name: &str| overlay.join(chain[place].id.as_str()).join(name);
    let link = fs::read_to_string(file(1, "link")).unwrap();
    // A link, the name of a link, and both.
    fs::remove_file(overlay.join("l").join(&link)).unwrap();
    fs::remove_file(file(0, "link")).unwrap();
    let base = fs::read_to_string(file(2, "link")).unwrap();
    fs::remove_file(overlay.join("l").join(base)).unwrap();
    fs::write(file(2, "link"), "").unwrap();
    fs::remove_file(file(0, "lower")).unwrap();
    fs::write(temp.path().join("root/overlay-images/images.json"), "[{").unwrap();
    let store = open(temp.path());
    assert_eq!(store.check(&Default::default()).unwrap().len(), 4);
    assert_eq!(store.repair().unwrap().len(), 4);
    check_clean(temp.path(), "mended");
    assert_eq!(names(&store), ["x"]);
    assert_eq!(fs::read_to_string(file(1, "link")).unwrap(), link);
    let lower = fs::read_to_string(file(0, "lower")).unwrap();
    assert!(lower.starts_with(&format!("l/{link}:l/")), "{lower}");
    fs::remove_dir_all(overlay.join("l")).unwrap();
    assert_eq!(store.repair().unwrap().len(), 3);
    check_clean(temp.path(), "all links were gone");
}

#[test]
fn a_store_for_reading_is_not_touched() {
    let temp = tempfile::tempdir().unwrap();
    let mut options = options(temp.path());
    options.read_only = true;
    let store = Store::open(options).unwrap();
    assert!(store.images().unwrap().is_empty());
    assert!(!temp.path().join("root").exists());
    let error = store.add_names(&Id::random(), &["x".to_owned()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
}

/// Whoever can write to a store could have others send them what only these may read.
#[test]
fn what_lies_outside_of_a_layer_is_not_read_as_a_part_of_it() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let outside = temp.path().join("outside");
    fs::create_dir(&outside).unwrap();
    // With the same content, nothing but where it lies tells.
    fs::write(outside.join("f"), "content").unwrap();
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(7);
    builder.append_data(&mut header, "d/f", &b"content"[..]).unwrap();
    let tar = builder.into_inner().unwrap();
    let staged = store.stage_layer(&tar[..], &StageOptions::default()).unwrap();
    let layer = store.commit_layer(None, staged).unwrap();
    let read = || {
        let mut bytes = Vec::new();
        store.read_layer(&layer.id).unwrap().read_to_end(&mut bytes).map(|_| bytes)
    };
    assert_eq!(read().unwrap(), tar);
    let files = temp.path().join("root/overlay").join(layer.id.as_str()).join("diff");
    let up = "../".repeat(20) + outside.to_str().unwrap();
    for target in [outside.to_str().unwrap(), &up, "../../../../outside"] {
        let _ = fs::remove_dir_all(files.join("d")).or_else(|_| fs::remove_file(files.join("d")));
        symlink(target, files.join("d")).unwrap();
        assert!(read().is_err(), "through {target}");
        fs::remove_file(files.join("d")).unwrap();
        fs::create_dir(files.join("d")).unwrap();
        symlink(format!("{target}/f"), files.join("d/f")).unwrap();
        assert!(read().is_err(), "a link to {target}/f");
    }
}
