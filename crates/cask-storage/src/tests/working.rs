//! Layers that are written to.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use cask_layer::{DiffOptions, FileTimes};

use super::support::*;
use crate::driver::overlay_mount;
use crate::{CheckOptions, DriverKind, ErrorKind, Id, StageOptions, Store, StoreOptions};

/// Says to a child process where it is to die.
const PLACE: &str = "CASK_STORAGE_TEST_WORKING";

const DRIVERS: [DriverKind; 2] = [DriverKind::Overlay, DriverKind::Vfs];

/// Whether this process may mount; fails where it must.
fn may_mount() -> bool {
    let root = rustix::process::geteuid().is_root();
    assert!(root || std::env::var_os("CI").is_none(), "root is needed");
    root
}

fn options_of(directory: &Path, driver: DriverKind) -> StoreOptions {
    let mut options = options(directory);
    options.driver = Some(driver);
    options
}

/// A base layer with some files.
fn base(store: &Store) -> Id {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in [
        ("a/one", "one"),
        ("a/two", "two"),
        ("gone/x", "x"),
        ("opaque/below", "below"),
        ("file", "file"),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_mtime(1_600_000_000);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    let tar = builder.into_inner().unwrap();
    let staged = store.stage_layer(&tar[..], &StageOptions::default()).unwrap();
    store.commit_layer(None, staged).unwrap().id.clone()
}

/// The names in a layer's stream, and what a file holds.
fn members(store: &Store, id: &Id) -> Vec<(String, String, u64)> {
    let mut archive = tar::Archive::new(store.read_layer(id).unwrap());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        let name = entry.path().unwrap().display().to_string();
        (name, text, entry.header().mtime().unwrap())
    });
    entries.collect()
}

fn verify(store: &Store) {
    let options = CheckOptions { verify_layers: true, ..CheckOptions::default() };
    let waste = |problem: &crate::Problem| problem.kind.is_waste();
    let problems = store.check(&options).unwrap();
    assert!(problems.iter().all(waste), "{problems:?}");
}

/// Asserts that nothing is left where layers come and go.
fn check_nothing_left(directory: &Path) {
    for driver in DRIVERS {
        for path in [format!("root/{driver}/tempdirs"), format!("root/{driver}-layers/tmp")] {
            let left: Vec<_> = fs::read_dir(directory.join(&path)).into_iter().flatten().collect();
            assert!(left.is_empty(), "{path}: {left:?}");
        }
    }
    let mounts: Vec<_> =
        fs::read_dir(directory.join("run/cask/mounts")).into_iter().flatten().collect();
    assert!(mounts.is_empty(), "{mounts:?}");
    let mounted = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounted.contains(directory.to_str().unwrap()));
}

fn change(root: &Path) {
    fs::write(root.join("new"), "new").unwrap();
    fs::write(root.join("file"), "changed").unwrap();
    fs::remove_dir_all(root.join("gone")).unwrap();
    fs::remove_dir_all(root.join("opaque")).unwrap();
    fs::create_dir(root.join("opaque")).unwrap();
    fs::write(root.join("opaque/above"), "above").unwrap();
    fs::set_permissions(root.join("a/one"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::hard_link(root.join("new"), root.join("newer")).unwrap();
    symlink("/new", root.join("link")).unwrap();
    UnixListener::bind(root.join("socket")).unwrap();
    // The root is in no layer.
    fs::set_permissions(root, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn what_was_written_becomes_a_layer() {
    if !may_mount() {
        return;
    }
    for driver in DRIVERS {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(options_of(temp.path(), driver)).unwrap();
        let parent = base(&store);
        let mut working = store.begin_working_layer(Some(&parent)).unwrap();
        let root = working.mount().unwrap().to_owned();
        assert_eq!(working.mount().unwrap(), root, "once more is the same");
        assert_eq!(fs::read_to_string(root.join("a/two")).unwrap(), "two");
        change(&root);
        working.unmount().unwrap();
        assert_eq!(fs::read(working.mount().unwrap().join("new")).unwrap(), b"new");
        let layer = working.commit(&DiffOptions::default()).unwrap();

        let found = members(&store, &layer.id);
        let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
        let common = ["a/", "a/one", "file", "link", "new", "newer", "opaque/"];
        let mut expected: Vec<&str> = common.to_vec();
        expected.extend(match driver {
            DriverKind::Overlay => [".wh.gone", "opaque/.wh..wh..opq", "opaque/above"],
            DriverKind::Vfs => [".wh.gone", "opaque/.wh.below", "opaque/above"],
        });
        if driver == DriverKind::Vfs {
            // That something in it changed is no change of a directory.
            assert!(names.contains(&"a/"));
        }
        let mut sorted = names.clone();
        sorted.sort_unstable();
        expected.sort_unstable();
        assert_eq!(sorted, expected, "{driver}");
        assert!(found.iter().any(|(name, text, _)| name == "file" && text == "changed"));
        assert_eq!(layer.parent.as_ref(), Some(&parent));
        assert_eq!(layer.uids, [0]);
        verify(&store);

        let mut above = store.begin_working_layer(Some(&layer.id)).unwrap();
        let root = above.mount().unwrap();
        let list = |path: &Path| {
            let entries = fs::read_dir(path).unwrap();
            let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(list(root), ["a", "file", "link", "new", "newer", "opaque"]);
        assert_eq!(list(&root.join("opaque")), ["above"]);
        assert_eq!(root.join("a/one").metadata().unwrap().mode() & 0o7777, 0o4755);
        assert_eq!(root.metadata().unwrap().mode() & 0o7777, 0o555);
        assert_eq!(root.join("new").metadata().unwrap().ino(), {
            root.join("newer").metadata().unwrap().ino()
        });
        above.discard().unwrap();
        check_nothing_left(temp.path());
        store.delete_layer(&layer.id).unwrap();
        store.delete_layer(&parent).unwrap();
        check_clean(temp.path(), driver.as_str());
    }
}

#[test]
fn a_base_can_be_written() {
    if !may_mount() {
        return;
    }
    for driver in DRIVERS {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(options_of(temp.path(), driver)).unwrap();
        let mut working = store.begin_working_layer(None).unwrap();
        fs::write(working.mount().unwrap().join("x"), "x").unwrap();
        let layer = working.commit(&DiffOptions::default()).unwrap();
        assert_eq!(members(&store, &layer.id)[0].0, "x");
        assert_eq!(layer.parent, None);
        assert_eq!(layer.id.as_str(), layer.diff_digest.as_ref().unwrap().hex());
        verify(&store);
        check_nothing_left(temp.path());
    }
}

#[test]
fn equal_layers_are_stored_once_and_times_are_those_asked_for() {
    if !may_mount() {
        return;
    }
    for driver in DRIVERS {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(options_of(temp.path(), driver)).unwrap();
        let parent = base(&store);
        let mut diff = DiffOptions::default();
        diff.times = FileTimes::Set(1_000_000_000);
        let write = |text: &str| {
            let mut working = store.begin_working_layer(Some(&parent)).unwrap();
            let root = working.mount().unwrap().to_owned();
            fs::create_dir(root.join("d")).unwrap();
            fs::write(root.join("d/x"), text).unwrap();
            working.commit(&diff).unwrap().id.clone()
        };
        let (one, again, other) = (write("x"), write("x"), write("y"));
        assert_eq!(one, again);
        assert_ne!(one, other);
        assert!(members(&store, &one).iter().all(|(.., time)| *time == 1_000_000_000));
        let files = store.inner.places[0].layer_files(&one);
        for path in ["d", "d/x"] {
            let found = files.join(path).metadata().unwrap();
            assert_eq!((found.mtime(), found.mtime_nsec()), (1_000_000_000, 0), "{path}");
        }
        assert_eq!(store.layers().unwrap().len(), 3);
        verify(&store);
        check_nothing_left(temp.path());
    }
}

#[test]
fn whoever_deletes_the_parent_makes_the_commit_fail() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let parent = base(&store);
    let working = store.begin_working_layer(Some(&parent)).unwrap();
    store.delete_layer(&parent).unwrap();
    let error = working.commit(&DiffOptions::default()).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Gone | ErrorKind::NotFound | ErrorKind::Io),
        "{error:?}"
    );
    check_clean(temp.path(), "the parent is gone");
    let error = store.begin_working_layer(Some(&parent)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    check_nothing_left(temp.path());
}

#[test]
fn five_hundred_layers_are_stored_and_mounted_and_one_more_is_not() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let names: Vec<String> = (0..501).map(|number| format!("f{number}")).collect();
    let layers: Vec<&str> = names.iter().map(String::as_str).collect();
    let most = put(&store, &layers[..500], "most").unwrap();
    check_clean(temp.path(), "500 layers");
    let top = |id: &Id| store.image(id).unwrap().unwrap().top_layer.clone().unwrap();
    if may_mount() {
        let path = store.mount_image(&most).unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 500);
        assert!(!store.unmount_image(&most, false).unwrap());
        let mut working = store.begin_working_layer(Some(&top(&most))).unwrap();
        let root = working.mount().unwrap().to_owned();
        assert_eq!(fs::read_to_string(root.join("f0")).unwrap(), "f0");
        fs::write(root.join("new"), "new").unwrap();
        let layer = working.commit(&DiffOptions::default()).unwrap();
        let error = store.begin_working_layer(Some(&layer.id)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
        store.delete_layer(&layer.id).unwrap();
        let overlay = temp.path().join("root/overlay");
        rustix::mount::unmount(overlay, rustix::mount::UnmountFlags::DETACH).unwrap();
    }
    assert_eq!(store.delete_image(&most).unwrap().layers.len(), 500);
    check_clean(temp.path(), "deleted");
}

#[test]
fn a_run_root_that_is_gone_is_made_again() {
    if !may_mount() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let id = put(&store, &["a", "b"], "x").unwrap();
    let path = store.mount_image(&id).unwrap();
    // As a reboot: nothing is mounted, and what does not survive it is gone.
    let gone = |path: &Path| {
        rustix::mount::unmount(path, rustix::mount::UnmountFlags::DETACH).unwrap();
    };
    gone(&path);
    gone(&temp.path().join("root/overlay"));
    fs::remove_dir_all(temp.path().join("run")).unwrap();
    let store = open(temp.path());
    assert_eq!(store.mounts().unwrap(), []);
    let path = store.mount_image(&id).unwrap();
    assert_eq!(fs::read(path.join("b")).unwrap(), b"b");
    assert!(!store.unmount_image(&id, false).unwrap());
    gone(&temp.path().join("root/overlay"));
    check_clean(temp.path(), "after a reboot");
}

#[test]
fn whoever_is_stopped_with_a_lock_is_not_waited_for_for_ever() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let id = put(&store, &["a"], "x").unwrap();
    // A process that is stopped holds its locks, as does one that sleeps.
    let lock = temp.path().join("root/overlay-images/images.lock");
    let _held = crate::lock::Lock::try_acquire(&lock).unwrap().unwrap();
    let mut options = options(temp.path());
    options.lock_timeout = Some(std::time::Duration::from_millis(100));
    let other = Store::open(options).unwrap();
    let error = other.add_names(&id, &["y".to_owned()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error:?}");
    assert_eq!(names(&other), ["x"], "who only reads does not wait");
}

/// Not a test of its own: mounts and dies.
#[test]
fn child() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    let store = open(Path::new(&place));
    let parent = store.layers().unwrap()[0].id.clone();
    let mut working = store.begin_working_layer(Some(&parent)).unwrap();
    fs::write(working.mount().unwrap().join("x"), "x").unwrap();
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
        .unwrap();
}

#[test]
fn the_mount_of_the_dead_is_taken_back_by_the_next_one() {
    if !may_mount() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let parent = base(&store);
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::working::child"])
        .env(PLACE, temp.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(!status.success());
    assert_eq!(fs::read_dir(temp.path().join("run/cask/mounts")).unwrap().count(), 2);
    // One that is in use stays.
    let mut working = store.begin_working_layer(Some(&parent)).unwrap();
    fs::write(working.mount().unwrap().join("y"), "y").unwrap();
    put(&store, &["other"], "other").unwrap();
    assert_eq!(fs::read(working.mount().unwrap().join("y")).unwrap(), b"y");
    drop(working);
    check_nothing_left(temp.path());
}

#[test]
fn what_lies_beneath_is_seen_and_never_is_a_change() {
    if !may_mount() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(options_of(directory.path(), DriverKind::Overlay)).unwrap();
    let base = base(&store);
    let mut layer = store.begin_working_layer(Some(&base)).unwrap();
    let beneath = layer.beneath().unwrap().unwrap();
    beneath.create_dir_all("run/secrets", 0o755, None).unwrap();
    assert!(layer.beneath().unwrap().unwrap().metadata("run/secrets").is_ok());
    let path = layer.mount().unwrap().to_owned();
    assert!(path.join("run/secrets").is_dir() && path.join("a/one").is_file());
    fs::write(path.join("new"), "x").unwrap();
    let id = layer.commit(&DiffOptions::default()).unwrap().id.clone();
    let names: Vec<String> = members(&store, &id).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["new"]);
    check_nothing_left(directory.path());
}

#[test]
fn layers_that_wait_are_seen_by_their_store_alone_and_come_together() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let below = base(&store);
    // As it is once a container was mounted: nothing can be renamed into it or out of it.
    let driver = temp.path().join("root/overlay");
    if may_mount() {
        overlay_mount::keep_private(&driver).unwrap();
    }
    let waiting = store.with_pending();
    let one = waiting.commit_layer(Some(&below), stage(&store, "one").unwrap()).unwrap();
    let two = waiting.commit_layer(Some(&one.id), stage(&store, "two").unwrap()).unwrap();
    let again = waiting.commit_layer(Some(&one.id), stage(&store, "two").unwrap()).unwrap();
    assert_eq!(again.id, two.id);
    assert!(store.layer(&one.id).unwrap().is_none());
    assert_eq!(waiting.layer_chain(&two.id).unwrap().len(), 3);
    // What was begun while they wait goes on when they do no more.
    let mut working = waiting.begin_working_layer(Some(&two.id)).unwrap();
    let files = waiting.layer_files(&one.id).unwrap();
    waiting.settle().unwrap();
    waiting.settle().unwrap();
    assert_eq!(store.layer_chain(&two.id).unwrap().len(), 3);
    files.open_file("one").unwrap();
    waiting.layer_files(&two.id).unwrap().open_file("two").unwrap();
    if may_mount() {
        let mounted = working.mount().unwrap();
        let found = ["one", "two", "file"].map(|name| mounted.join(name).exists());
        assert_eq!(found, [true; 3]);
        fs::write(mounted.join("three"), "").unwrap();
    }
    let three = working.commit(&DiffOptions::default()).unwrap();
    assert!(store.layer(&three.id).unwrap().is_none());
    drop(waiting);
    assert!(store.layer(&three.id).unwrap().is_none());
    check_whole(temp.path(), "layers that waited");
    if may_mount() {
        overlay_mount::detach(&driver).unwrap();
    }
}

/// A user namespace with this range for users and one for groups.
fn namespace(users: u32, groups: u32) -> std::sync::Arc<std::os::fd::OwnedFd> {
    let mut idle = Command::new("unshare");
    let idle = idle.args(["-U", "sh", "-c", "echo ready; read -r _"]);
    let mut idle = idle.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    idle.stdout.as_mut().unwrap().read_exact(&mut [0; 5]).unwrap();
    let own = format!("/proc/{}", idle.id());
    for (name, first) in [("uid_map", users), ("gid_map", groups)] {
        fs::write(format!("{own}/{name}"), format!("0 {first} 65536\n")).unwrap();
    }
    let file = fs::File::open(format!("{own}/ns/user")).unwrap();
    drop(idle.stdin.take());
    idle.wait().unwrap();
    std::sync::Arc::new(file.into())
}

#[test]
fn the_layers_below_a_container_have_the_owners_that_a_namespace_maps() {
    if !may_mount() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(options_of(temp.path(), DriverKind::Overlay)).unwrap();
    let image = put(&store, &["file", "other"], "localhost/it:1").unwrap();
    let map = |host_id| vec![crate::IdMap { container_id: 0, host_id, size: 65_536 }];
    let mut new = crate::NewContainer::new(Some(image));
    (new.uid_map, new.gid_map) = (map(100_000), map(200_000));
    let container = store.create_container(&new).unwrap();
    let maps = (&container.uid_map, &container.gid_map);
    assert_eq!(maps, (&new.uid_map, &new.gid_map));
    let layer = container.layer.clone().unwrap();
    let mut how = crate::MountOptions { writable: true, ..Default::default() };
    how.owners = Some(namespace(100_000, 200_000));
    let mounted = match store.mount_layer(&layer, &how) {
        // Not every file system can.
        Err(error) if error.kind() == ErrorKind::Unsupported => return eprintln!("note: {error}"),
        mounted => mounted.unwrap(),
    };
    let owner = |path: &Path| {
        let found = fs::symlink_metadata(path).unwrap();
        (found.uid(), found.gid())
    };
    assert_eq!(owner(&mounted), (100_000, 200_000));
    assert_eq!(owner(&mounted.join("other")), (100_000, 200_000));
    fs::write(mounted.join("new"), "new").unwrap();
    // What is copied up has its owner, as the processes of the container see it.
    fs::set_permissions(mounted.join("file"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(owner(&mounted.join("file")), (100_000, 200_000));
    let directory = temp.path().join("root/overlay").join(layer.as_str());
    assert!(!directory.join("mapped").exists());
    assert!(!store.unmount_layer(&layer, false).unwrap());
    assert_eq!(owner(&directory.join("diff/file")), (100_000, 200_000));
    let below = store.layers().unwrap().into_iter().filter(|other| other.id != layer);
    for below in below {
        let files = temp.path().join("root/overlay").join(below.id.as_str()).join("diff");
        assert!(fs::read_dir(files).unwrap().all(|entry| owner(&entry.unwrap().path()) == (0, 0)));
    }
    store.delete_container(&container.id).unwrap();
    check_clean(temp.path(), "deleted");
    let vfs = tempfile::tempdir().unwrap();
    let store = Store::open(options_of(vfs.path(), DriverKind::Vfs)).unwrap();
    let image = put(&store, &["file"], "localhost/it:1").unwrap();
    let new = crate::NewContainer { image: Some(image), ..new };
    let error = store.create_container(&new).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let empty = crate::NewContainer { image: None, ..new };
    let made = store.create_container(&empty).unwrap();
    let layer = made.layer.as_ref().unwrap();
    assert_eq!(owner(&vfs.path().join("root/vfs/dir").join(layer.as_str())), (100_000, 200_000));
}

#[test]
fn an_image_has_copies_of_other_owners_once_for_each_map_and_takes_them_along() {
    if !may_mount() {
        return;
    }
    for driver in DriverKind::ALL {
        check_copies_of_other_owners(driver);
    }
}

fn check_copies_of_other_owners(driver: DriverKind) {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(options_of(temp.path(), driver)).unwrap();
    let image = put(&store, &["file", "other"], "localhost/it:1").unwrap();
    let map = |host_id| vec![crate::IdMap { container_id: 0, host_id, size: 65_536 }];
    let mapped = |user, group| store.map_image(&image, &map(user), &map(group)).unwrap();
    let copy = mapped(100_000, 200_000);
    assert_eq!(mapped(100_000, 200_000), copy);
    let another = mapped(300_000, 300_000);
    assert_ne!(another, copy);
    let owner = |path: &Path| {
        let found = fs::symlink_metadata(path).unwrap();
        (found.uid(), found.gid())
    };
    let root = temp.path().join("root");
    let files = |id: &crate::Id| match driver {
        DriverKind::Vfs => root.join("vfs/dir").join(id.as_str()),
        DriverKind::Overlay => root.join("overlay").join(id.as_str()).join("diff"),
    };
    for name in ["", "file", "other"] {
        assert_eq!(owner(&files(&copy).join(name)), (100_000, 200_000), "{name}");
    }
    let top = store.image(&image).unwrap().unwrap().top_layer.clone().unwrap();
    assert_eq!(owner(&files(&top)), (0, 0));
    let mut new = crate::NewContainer::new(Some(image.clone()));
    (new.uid_map, new.gid_map) = (map(100_000), map(200_000));
    new.base = Some(copy.clone());
    let container = store.create_container(&new).unwrap();
    let layer = container.layer.clone().unwrap();
    let how = crate::MountOptions { writable: true, ..Default::default() };
    let mounted = store.mount_layer(&layer, &how).unwrap();
    assert_eq!(owner(&mounted), (100_000, 200_000));
    assert_eq!(owner(&mounted.join("file")), (100_000, 200_000));
    store.unmount_layer(&layer, false).unwrap();
    store.delete_container(&container.id).unwrap();
    let deleted = store.delete_image(&image).unwrap();
    assert!(deleted.layers.contains(&copy) && deleted.layers.contains(&another));
    assert!(store.layers().unwrap().is_empty());
    check_clean(temp.path(), "deleted");
}

#[test]
fn a_container_is_gone_before_what_it_wrote_is_deleted() {
    if !may_mount() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(options_of(temp.path(), DriverKind::Overlay)).unwrap();
    let image = put(&store, &["file"], "localhost/it:1").unwrap();
    let mut new = crate::NewContainer::new(Some(image));
    new.volatile = true;
    let container = store.create_container(&new).unwrap();
    let layer = container.layer.clone().unwrap();
    let how = crate::MountOptions { writable: true, volatile: true, ..Default::default() };
    // What was mounted so can be again, though the kernel marks it.
    for text in ["one", "two"] {
        let mounted = store.mount_layer(&layer, &how).unwrap();
        fs::write(mounted.join("new"), text).unwrap();
        assert!(!store.unmount_layer(&layer, false).unwrap());
    }
    let mounted = store.mount_layer(&layer, &how).unwrap();
    assert_eq!(fs::read_to_string(mounted.join("new")).unwrap(), "two");
    let beside = temp.path().join("root/beside");
    fs::create_dir_all(beside.join("below")).unwrap();

    let (deleted, mut leftovers) = store.unlist_container(&container.id).unwrap();
    leftovers.add(&beside).unwrap();
    leftovers.add(&beside).unwrap();
    assert_eq!(deleted.layers, std::slice::from_ref(&layer));
    assert!(store.containers().unwrap().is_empty() && store.mounts().unwrap().is_empty());
    assert!(!beside.exists() && !mounted.exists());
    // Nobody takes it for what the dead left.
    store.prune(&crate::PruneOptions::default()).unwrap();
    let waiting = || {
        let entries = fs::read_dir(temp.path().join("root/overlay/tempdirs"));
        entries.map_or(0, Iterator::count)
    };
    assert!(waiting() > 0);
    drop(leftovers);
    assert_eq!(waiting(), 0);
    check_clean(temp.path(), "deleted");
    overlay_mount::detach(&temp.path().join("root/overlay")).unwrap();
    check_nothing_left(temp.path());
}
