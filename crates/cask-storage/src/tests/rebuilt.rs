//! Containers and images whose records are lost, and layers whose recipes are.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use cask_layer::DiffOptions;

use super::support::{check_clean, names, open, options, put, sha256};
use crate::record::Record;
use crate::{
    CheckOptions, ContainerRecord, DriverKind, ErrorKind, Id, ImageRecord, NewContainer,
    ProblemKind, PruneOptions, Store,
};

/// What a file of the store may be after an accident.
const DAMAGED: [&[u8]; 4] = [b"", b"garbage", b"[{\"id\":\"4", b"\xff\0"];

fn create(store: &Store, image: Option<&Id>, name: &str, layer_name: Option<&str>) -> Id {
    let mut new = NewContainer::new(image.cloned());
    new.names = vec![name.to_owned()];
    new.layer_names = layer_name.map(str::to_owned).into_iter().collect();
    new.metadata = format!("{{\"name\":\"{name}\"}}");
    store.create_container(&new).unwrap().id.clone()
}

fn printed(store: &Store) -> Vec<String> {
    let print = |record: &ContainerRecord| {
        let mut text = String::new();
        record.write(&mut text);
        text
    };
    let mut all: Vec<String> = store.containers().unwrap().iter().map(|one| print(one)).collect();
    all.sort();
    all
}

/// Spoils the file with all records, and forgets its last good generation.
fn spoil(directory: &Path, file: &str, bytes: &[u8]) {
    let path = directory.join("root/overlay-containers").join(file);
    let _ = fs::remove_file(path.with_file_name(format!("{file}.bak")));
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_list_of_containers_that_is_damaged_is_made_again_as_it_was() {
    for bytes in DAMAGED {
        let temp = tempfile::tempdir().unwrap();
        let store = open(temp.path());
        let image = put(&store, &["a"], "x").unwrap();
        create(&store, Some(&image), "one", Some("one-layer"));
        let renamed = create(&store, None, "two", None);
        store.set_container_names(&renamed, &["three".to_owned()]).unwrap();
        let before = printed(&store);
        spoil(temp.path(), "containers.json", bytes);
        let store = open(temp.path());
        assert_eq!(printed(&store), before, "{bytes:?}");
        assert_eq!(store.take_warnings().len(), 1);
        assert_eq!(store.repair().unwrap().len(), 1);
        let everything = PruneOptions { older_than: Duration::ZERO };
        assert_eq!(store.prune(&everything).unwrap().removed, []);
        check_clean(temp.path(), "mended");
        assert_eq!(printed(&open(temp.path())), before);
        // What was made since the file was last whole is found, too.
        spoil(temp.path(), "containers.json", b"[]");
        create(&store, None, "four", None);
        fs::write(temp.path().join("root/overlay-containers/containers.json"), bytes).unwrap();
        assert_eq!(open(temp.path()).containers().unwrap().len(), 3);
    }
}

fn images_of(store: &Store) -> Vec<String> {
    let print = |record: &ImageRecord| {
        let mut text = String::new();
        record.write(&mut text);
        text
    };
    let mut all: Vec<String> = store.images().unwrap().iter().map(|one| print(one)).collect();
    all.sort();
    all
}

/// Two images that were named, told something, and given files after they came.
fn with_images(directory: &Path) -> (Store, Id, Id) {
    let store = open(directory);
    let [one, two] = [(["a", "b"], "one"), (["a", "c"], "two")]
        .map(|(layers, name)| put(&store, &layers, name).unwrap());
    for id in [&one, &two] {
        store.add_names(id, &["latest".to_owned(), format!("{}-too", &id.as_str()[..4])]).unwrap();
    }
    store.set_image_metadata(&one, "{\"told\":1}").unwrap();
    store.set_image_data(&two, "note", b"mine").unwrap();
    store.remove_names(&two, &["two".to_owned()]).unwrap();
    (store, one, two)
}

#[test]
fn a_list_of_images_that_is_damaged_is_made_again_as_it_was() {
    let damages = DAMAGED.map(Some).into_iter().chain([None]);
    let pairs = damages.clone().flat_map(|now| damages.clone().map(move |before| (now, before)));
    // The generation before is whole, but older.
    for (now, before) in pairs.chain(damages.clone().map(|now| (now, Some(&b"whole"[..])))) {
        let temp = tempfile::tempdir().unwrap();
        let (store, ..) = with_images(temp.path());
        let known = images_of(&store);
        let path = temp.path().join("root/overlay-images/images.json");
        let spoil = |path: &Path, bytes: Option<&[u8]>| match bytes {
            Some(b"whole") => {}
            Some(bytes) => fs::write(path, bytes).unwrap(),
            None => fs::remove_file(path).unwrap(),
        };
        spoil(&path, now);
        spoil(&path.with_extension("json.bak"), before);
        let store = open(temp.path());
        assert_eq!(images_of(&store), known, "{now:?} {before:?}");
        let warnings = store.take_warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(store.repair().unwrap().len(), 1);
        check_clean(temp.path(), "mended");
        assert_eq!(images_of(&open(temp.path())), known);
    }
}

#[test]
fn layers_whose_records_are_lost_have_sizes_owners_and_times_again() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let write = |parent: Option<&Id>, name: &str| {
        let working = store.begin_working_layer(parent).unwrap();
        let root = working.upper().unwrap();
        let top = root.directory(std::ffi::OsStr::new("")).unwrap();
        let mut file = top.create_file(std::ffi::OsStr::new(name), 0o644).unwrap();
        std::io::Write::write_all(&mut file, name.as_bytes()).unwrap();
        if rustix::process::geteuid().is_root() {
            top.set_owner(name, 7, 8).unwrap();
        }
        working.commit(&DiffOptions::default()).unwrap()
    };
    let below = write(None, "below");
    let layer = write(Some(&below.id), "above");
    create(&store, None, "c", None);
    let of_container = store.container_named("c").unwrap().layer.clone().unwrap();
    let lose = || {
        let path = temp.path().join("root/overlay-layers/layers.json");
        let _ = fs::remove_file(path.with_extension("json.bak"));
        fs::write(path, "[{").unwrap();
    };
    lose();
    let found = |id: &Id| open(temp.path()).layer(id).unwrap().unwrap();
    for old in [&below, &layer] {
        let new = found(&old.id);
        assert_eq!((new.diff_size_bytes, &new.parent), (old.diff_size_bytes, &old.parent));
        assert_eq!((&new.uids, &new.gids), (&old.uids, &old.gids));
        let apart = new.created.unwrap().unix_seconds() - old.created.unwrap().unix_seconds();
        assert!((-60..=60).contains(&apart), "{apart}");
    }
    let new = found(&of_container);
    assert_eq!((new.diff_size_bytes, new.uids.len(), new.created.is_some()), (0, 0, true));
}

#[test]
fn an_older_copy_of_an_image_s_record_tells_nothing_that_is_known_better() {
    let temp = tempfile::tempdir().unwrap();
    let (store, one, two) = with_images(temp.path());
    let images = temp.path().join("root/overlay-images");
    let file = images.join("images.json");
    let copy = |id: &Id| images.join(id.as_str()).join("cask-record.json");
    let age = |id: &Id, seconds: u64| {
        let then = SystemTime::now() - Duration::from_secs(seconds);
        fs::File::options().append(true).open(copy(id)).unwrap().set_modified(then).unwrap();
    };
    // Peers name images, and leave the copy as it is.
    age(&one, 60);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"one\"", "\"uno\"")).unwrap();
    assert!(names(&open(temp.path())).contains(&"uno".to_owned()), "a file that is whole");
    let store = {
        drop(store);
        open(temp.path())
    };
    store.add_names(&two, &["due".to_owned()]).unwrap();
    let known = names(&store);
    fs::write(&file, "[{").unwrap();
    assert_eq!(names(&open(temp.path())), known);
    // Of two copies that have a name the later one tells.
    fs::remove_file(images.join("images.json.bak")).unwrap();
    let named = |id: &Id| format!("\"names\":[\"same\",\"{}\"", &id.as_str()[..4]);
    for id in [&one, &two] {
        let text = fs::read_to_string(copy(id)).unwrap();
        let (head, tail) = text.split_once("\"names\":[\"").unwrap();
        fs::write(copy(id), format!("{head}{}{}", named(id), &tail[tail.find('"').unwrap() + 1..]))
            .unwrap();
    }
    age(&one, 30);
    age(&two, 60);
    let store = open(temp.path());
    assert_eq!(store.image_by_name("same").unwrap().unwrap().id, one);
    assert!(!store.image(&two).unwrap().unwrap().names.contains(&"same".to_owned()));
    // One that is cut, or of another image, is none.
    fs::copy(copy(&one), copy(&two)).unwrap();
    fs::write(copy(&one), "{\"id\":\"4").unwrap();
    let store = open(temp.path());
    assert_eq!(names(&store), [""; 0]);
    assert_eq!(store.images().unwrap().len(), 2);
    // What somebody else wrote beside a copy is noted.
    fs::remove_file(copy(&two)).unwrap();
    store.add_names(&two, &["two".to_owned()]).unwrap();
    fs::write(images.join(two.as_str()).join("note"), "theirs").unwrap();
    fs::write(images.join(two.as_str()).join("more"), "more").unwrap();
    fs::write(&file, "").unwrap();
    let store = open(temp.path());
    let image = store.image_by_name("two").unwrap().unwrap();
    assert_eq!(store.image_data(&image, "note").unwrap(), b"theirs");
    assert_eq!(image.big_data_sizes["more"], 4);
}

#[test]
fn containers_of_others_are_known_by_what_they_keep_of_them() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let image = put(&store, &["a"], "localhost/x:1").unwrap();
    let started = create(&store, Some(&image), "started", Some("started-layer"));
    let built = create(&store, Some(&image), "built", None);
    let mounted = create(&store, Some(&image), "mounted", None);
    let before: Vec<_> = store.containers().unwrap();
    let record = |id: &Id| before.iter().find(|record| record.id == *id).unwrap();
    let files = |id: &Id| {
        let layer = record(id).layer.clone().unwrap();
        temp.path().join("root/overlay").join(layer.as_str()).join("merged").display().to_string()
    };
    let directory = |id: &Id| temp.path().join("root/overlay-containers").join(id.as_str());
    let write = |id: &Id, name: &str, value: serde_json::Value| {
        fs::remove_file(directory(id).join("cask-record.json")).unwrap();
        fs::write(directory(id).join("userdata").join(name), value.to_string()).unwrap();
    };
    let maps = serde_json::json!([{"containerID": 0, "hostID": 7, "size": 9}]);
    let bundle = serde_json::json!({
        "root": {"path": files(&started)}, "linux": {"uidMappings": maps, "gidMappings": null},
    });
    write(&started, "config.json", bundle);
    // Never mounted: the time and the image tell.
    let state = serde_json::json!({"container-name": "renamed", "image-id": image.as_str()});
    write(&built, "buildah.json", state);
    let state = serde_json::json!({"container-name": "mounted", "mountpoint": files(&mounted)});
    write(&mounted, "buildah.json", state);
    // Never started.
    let created = create(&store, Some(&image), "created", Some("created-layer"));
    fs::remove_file(directory(&created).join("cask-record.json")).unwrap();
    spoil(temp.path(), "containers.json", b"{");

    let store = open(temp.path());
    let after = store.containers().unwrap();
    assert_eq!(after.len(), 4, "{after:?}");
    assert_eq!(store.container_named("created").unwrap().id, created);
    for (id, name) in [(&started, "started"), (&built, "renamed"), (&mounted, "mounted")] {
        let (old, new) = (record(id), store.container_named(name).unwrap());
        assert_eq!((&new.id, &new.layer, &new.image), (id, &old.layer, &old.image), "{name}");
        assert_eq!(new.created, store.layer(new.layer.as_ref().unwrap()).unwrap().unwrap().created);
        assert_eq!(new.flags.text("MountLabel").as_deref(), Some(""));
    }
    let found = store.container_named("started").unwrap();
    assert_eq!((found.uid_map[0].host_id, found.gid_map.len()), (7, 0));
    let metadata: serde_json::Value = serde_json::from_str(&found.metadata).unwrap();
    assert_eq!(metadata["image-name"], "localhost/x:1");
    assert_eq!(metadata["name"], "started");
    assert_eq!(store.container_named("mounted").unwrap().metadata, "");
    let problems = store.check(&Default::default()).unwrap();
    let kinds: Vec<_> = problems.iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, [ProblemKind::DamagedFile]);
}

#[test]
fn volatile_containers_of_newer_releases_stay_in_their_file() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let stable = create(&store, None, "stable", None);
    let volatile = create(&store, None, "volatile", None);
    let at = temp.path().join("root/overlay-containers");
    let all = |id: &Id| {
        let one = store.containers().unwrap().into_iter().find(|one| one.id == *id).unwrap();
        let mut text = String::new();
        one.record().write(&mut text);
        format!("[{text}]")
    };
    let (of_stable, of_volatile) = (all(&stable), all(&volatile));
    for (damaged, whole, text) in [
        ("containers.json", "volatile-containers.json", &of_volatile),
        ("volatile-containers.json", "containers.json", &of_stable),
    ] {
        fs::write(at.join(whole), text).unwrap();
        spoil(temp.path(), damaged, b"[{");
        let store = open(temp.path());
        assert_eq!(store.containers().unwrap().len(), 2, "{damaged}");
        store.repair().unwrap();
        assert_eq!(fs::read_to_string(at.join(whole)).unwrap(), *text, "{damaged}");
        check_clean(temp.path(), damaged);
    }
    for name in ["containers.json", "volatile-containers.json"] {
        spoil(temp.path(), name, b"[{");
    }
    assert_eq!(open(temp.path()).containers().unwrap().len(), 2);
}

#[test]
fn a_layer_whose_recipe_is_lost_is_read_as_long_as_its_files_give_the_same_stream() {
    for driver in [DriverKind::Overlay, DriverKind::Vfs] {
        let temp = tempfile::tempdir().unwrap();
        let mut options = options(temp.path());
        options.driver = Some(driver);
        let store = Store::open(options).unwrap();
        let write = |parent: Option<&Id>, name: &str| {
            let working = store.begin_working_layer(parent).unwrap();
            let root = working.upper().unwrap();
            let top = root.directory(std::ffi::OsStr::new("")).unwrap();
            std::io::Write::write_all(
                &mut top.create_file(std::ffi::OsStr::new(name), 0o644).unwrap(),
                name.as_bytes(),
            )
            .unwrap();
            working.commit(&DiffOptions::default()).unwrap()
        };
        let below = write(None, "below");
        let layer = write(Some(&below.id), "above");
        let recipe = |id: &Id| {
            let name = format!("root/{driver}-layers/{id}.tar-split.gz");
            temp.path().join(name)
        };
        let read = |id: &Id| {
            let mut bytes = Vec::new();
            store.read_layer(id).unwrap().read_to_end(&mut bytes).unwrap();
            sha256(&bytes)
        };
        let kinds = || {
            let options = CheckOptions { verify_layers: true, ..CheckOptions::default() };
            let problems = store.check(&options).unwrap();
            problems.iter().filter(|it| !it.kind.is_waste()).map(|it| it.kind).collect::<Vec<_>>()
        };
        fs::remove_file(recipe(&layer.id)).unwrap();
        assert_eq!(Some(read(&layer.id)), layer.diff_digest, "{driver}");
        assert_eq!(kinds(), [ProblemKind::LayerWithoutTarSplit]);
        assert_eq!(store.repair().unwrap().len(), 1);
        assert_eq!(kinds(), []);
        assert_eq!(Some(read(&layer.id)), layer.diff_digest, "{driver}");

        fs::remove_file(recipe(&below.id)).unwrap();
        let files = store.inner.places[0].layer_files(&below.id);
        fs::write(files.join("below"), "changed").unwrap();
        let error = store.read_layer(&below.id).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("is missing, and its files now give"), "{error}");
        assert_eq!(kinds(), [ProblemKind::LayerWithoutTarSplit, ProblemKind::LayerChanged]);
        assert_eq!(store.repair().unwrap(), []);
    }
}
