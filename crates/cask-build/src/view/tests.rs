//! Views of trees and of layers put together.

use std::fs;

use cask_layer::{MemberKind, MemberWriter, NewMember};
use cask_rootfs::{Kind, Root};
use cask_storage::{DriverKind, Id, StageOptions, Store, StoreOptions};
use tempfile::TempDir;

use super::View;
use crate::ErrorKind;

fn tree(paths: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for path in paths {
        let (path, target) = path.split_once(" -> ").map_or((*path, None), |(p, t)| (p, Some(t)));
        let full = directory.path().join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        match target {
            Some(target) => std::os::unix::fs::symlink(target, full).unwrap(),
            None if path.ends_with('/') => fs::create_dir_all(full).unwrap(),
            None => fs::write(full, path).unwrap(),
        }
    }
    directory
}

fn delete(tree: &TempDir, path: &str) {
    let kind = rustix::fs::FileType::CharacterDevice;
    let path = tree.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let device = rustix::fs::makedev(0, 0);
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, 0.into(), device).unwrap();
}

fn mark(tree: &TempDir, path: &str, attribute: &str, value: &[u8]) -> bool {
    let path = tree.path().join(path);
    rustix::fs::setxattr(path, attribute, value, rustix::fs::XattrFlags::empty()).is_ok()
}

fn view(layers: &[&TempDir]) -> View {
    let roots = layers.iter().map(|tree| Root::open(tree.path()).unwrap());
    View::of_layers("layers", roots.collect())
}

fn names(view: &View, path: &str) -> Vec<String> {
    let names = view.list(path).unwrap();
    names.into_iter().map(|name| name.into_string().unwrap()).collect()
}

#[test]
fn layers_are_one_tree() {
    let bottom = tree(&["d/a", "d/b", "d/s/x", "f", "gone/x", "swap/x", "back", "l -> d"]);
    let top = tree(&["d/c", "d/s/y", "swap", "back/new"]);
    delete(&top, "d/b");
    delete(&top, "gone");
    let view = view(&[&top, &bottom]);
    assert_eq!(names(&view, "/"), ["back", "d", "f", "l", "swap"]);
    assert_eq!(names(&view, "d"), ["a", "c", "s"]);
    assert_eq!(names(&view, "l/s"), ["x", "y"]);
    assert_eq!(names(&view, "back"), ["new"]);
    assert!(view.status("d/b").unwrap().is_none());
    assert!(view.status("gone/x").unwrap().is_none());
    assert_eq!(view.status("swap").unwrap().unwrap().kind, Kind::File);
    assert!(view.status("swap/x").unwrap().is_none());
    assert_eq!(view.read_file("l/a", 10).unwrap().unwrap(), b"d/a");
    assert_eq!(view.read_link("l").unwrap().unwrap(), b"d");
    assert_eq!(view.resolve("l/s/../new/z").unwrap().path, b"d/new/z");
    assert_eq!(view.resolve("f/x").unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(view.list("f").unwrap_err().kind(), ErrorKind::Missing);
    assert_eq!(view.read_file("f", 0).unwrap_err().kind(), ErrorKind::Limit);
    assert_eq!(view.read_file("d", 10).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn opaque_directories_hide_what_is_below() {
    for (attribute, value, hides) in [
        ("user.overlay.opaque", b"y", true),
        ("trusted.overlay.opaque", b"y", true),
        ("user.overlay.opaque", b"x", false),
        ("user.overlay.other", b"y", false),
    ] {
        let (top, bottom) = (tree(&["d/new"]), tree(&["d/old"]));
        if !mark(&top, "d", attribute, value) {
            continue;
        }
        let view = view(&[&top, &bottom]);
        let expected: &[&str] = if hides { &["new"] } else { &["new", "old"] };
        assert_eq!(names(&view, "d"), expected, "{attribute}");
    }
    // As the kernel has them since 6.7: an empty file with an attribute.
    let (top, bottom) = (tree(&[]), tree(&["d/old"]));
    fs::create_dir(top.path().join("d")).unwrap();
    fs::write(top.path().join("d/old"), "").unwrap();
    if mark(&top, "d/old", "user.overlay.whiteout", b"y") {
        assert!(names(&view(&[&top, &bottom]), "d").is_empty());
    }
}

#[test]
fn a_renamed_directory_of_overlay_is_refused_and_not_taken_for_empty() {
    let (top, bottom) = (tree(&["new/"]), tree(&["old/x"]));
    if mark(&top, "new", "user.overlay.redirect", b"old") {
        let error = view(&[&top, &bottom]).list("new").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage);
    }
}

#[test]
fn scratch_has_nothing() {
    let view = View::scratch();
    assert!(view.list("/").unwrap().is_empty());
    assert!(view.status("/").unwrap().unwrap().is_directory());
    assert!(view.status("/x").unwrap().is_none());
    assert_eq!(view.owner("7:8").unwrap(), (7, 8));
    assert_eq!(view.owner("app").unwrap_err().kind(), ErrorKind::Missing);
}

#[test]
fn accounts_have_groups_and_homes() {
    let tree = tree(&[]);
    fs::create_dir(tree.path().join("etc")).unwrap();
    let passwd = "# no user\nroot:x:0:0:root:/root:/bin/sh\n\nbroken\napp:x:10:11::/home/app:\n\
                  12:x:13:13:::\nx:y:z:1:::\n";
    fs::write(tree.path().join("etc/passwd"), passwd).unwrap();
    let group = "root:x:0:\nstaff:x:50:app,other\nwheel:x:20:app\nown:x:11:app\n";
    fs::write(tree.path().join("etc/group"), group).unwrap();
    let view = View::of_root(Root::open(tree.path()).unwrap());
    let check = |text: &str, expected: (u32, u32, &[u32], &str)| {
        let found = view.account(text).unwrap();
        let found = (found.uid, found.gid, found.groups.as_slice(), found.home.as_str());
        assert_eq!(found, expected, "{text}");
    };
    check("", (0, 0, &[], "/root"));
    check("root", (0, 0, &[], "/root"));
    check("app", (10, 11, &[11, 20, 50], "/home/app"));
    check("10", (10, 11, &[11, 20, 50], "/home/app"));
    check("app:staff", (10, 50, &[], "/home/app"));
    check("99", (99, 0, &[], "/"));
    check("99:7", (99, 7, &[], "/"));
    // A name of digits is a number.
    check("12", (12, 0, &[], "/"));
    assert!(view.account("nobody").is_err());
    assert!(view.account("4294967295").is_err(), "it means no change to the kernel");
}

#[test]
fn a_thousand_directories_deep_is_no_matter() {
    let directory = tempfile::tempdir().unwrap();
    let path = vec!["d"; 1000].join("/");
    fs::create_dir_all(directory.path().join(&path)).unwrap();
    let view = View::of_root(Root::open(directory.path()).unwrap());
    assert!(view.status(&path).unwrap().unwrap().is_directory());
    assert!(view.status(format!("{path}/x")).unwrap().is_none());
}

/// A tar stream of `path` and, after a blank, what is said of it.
fn layer(store: &Store, parent: Option<&Id>, members: &[(&str, MemberKind, u32, u32)]) -> Id {
    let mut writer = MemberWriter::new(Vec::new());
    for (name, kind, mode, uid) in members {
        let mut member = NewMember::default();
        (member.name, member.kind, member.mode) = ((*name).into(), *kind, *mode);
        (member.uid, member.gid) = (*uid, *uid + 1);
        if *kind == MemberKind::File && !name.contains(".wh.") {
            member.size_bytes = 100_000;
        }
        if *kind == MemberKind::HardLink {
            member.link_name = b"d/f".to_vec();
        }
        writer.member(&member).unwrap();
        let content = vec![b'x'; usize::try_from(member.size_bytes).unwrap()];
        std::io::Write::write_all(&mut writer, &content).unwrap();
    }
    let tar = writer.finish().unwrap();
    let staged = store.stage_layer(&tar[..], &StageOptions::default()).unwrap();
    store.commit_layer(parent, staged).unwrap().id.clone()
}

#[test]
fn owners_are_those_of_the_layers_where_the_disk_has_others() {
    for driver in [DriverKind::Overlay, DriverKind::Vfs] {
        let place = tempfile::tempdir().unwrap();
        let mut options = StoreOptions::new(place.path().join("root"), place.path().join("run"));
        options.driver = Some(driver);
        options.rootless = true;
        options.extraction.ignore_chown_errors = true;
        options.extraction.force_mask = Some(0o700);
        let store = Store::open(options).unwrap();
        let bottom = layer(
            &store,
            None,
            &[
                ("d/", MemberKind::Directory, 0o1777, 5),
                ("d/f", MemberKind::File, 0o4755, 6),
                ("d/h", MemberKind::HardLink, 0, 0),
                ("d/gone", MemberKind::File, 0o644, 7),
                ("implied/x", MemberKind::File, 0o600, 8),
            ],
        );
        let top = layer(
            &store,
            Some(&bottom),
            &[("d/.wh.gone", MemberKind::File, 0, 0), ("d/new", MemberKind::File, 0o640, 9)],
        );
        let view = View::of_store(&store, Some(&top)).unwrap();
        let check = |path: &str, expected: Option<(u32, u32, u32)>| {
            let status = view.status(path).unwrap();
            let found = status.map(|status| (status.mode, status.uid, status.gid));
            assert_eq!(found, expected, "{path} with {driver}");
        };
        check("d/f", Some((0o4755, 6, 7)));
        check("d/h", Some((0o4755, 6, 7)));
        check("d/new", Some((0o640, 9, 10)));
        check("d/gone", None);
        check("implied/x", Some((0o600, 8, 9)));
        check("nothing", None);
        let implied = view.status("implied").unwrap().unwrap();
        assert_eq!((implied.uid, implied.gid), (0, 0));
        assert_eq!(names(&view, "d"), ["f", "h", "new"]);
        assert!(View::of_store(&store, None).unwrap().list("/").unwrap().is_empty());
    }
}

#[test]
fn a_copy_from_a_layer_to_a_layer_goes_through_a_store() {
    let place = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::new(place.path().join("root"), place.path().join("run"));
    options.driver = Some(DriverKind::Overlay);
    options.rootless = true;
    options.extraction.ignore_chown_errors = true;
    let store = Store::open(options).unwrap();
    let bottom = layer(
        &store,
        None,
        &[("d/", MemberKind::Directory, 0o750, 5), ("d/f", MemberKind::File, 0o4755, 6)],
    );
    let stage = View::of_store(&store, Some(&bottom)).unwrap();
    let context = std::sync::Arc::new(crate::Context::of_view("stage", stage.clone()));
    let mut request = crate::CopyRequest::new(context, "/d/copy/");
    request.sources.push(crate::CopyItem::Path("d/f".to_owned()));
    let tools = crate::CopyTools::new(place.path());
    let prepared = crate::prepare(&request, &tools).unwrap();
    let mut tar = Vec::new();
    prepared.write(&stage, &tools, &crate::WriteOptions::default(), &mut tar).unwrap();
    let staged = store.stage_layer(&tar[..], &StageOptions::default()).unwrap();
    let top = store.commit_layer(Some(&bottom), staged).unwrap();
    let view = View::of_store(&store, Some(&top.id)).unwrap();
    let of = |path: &str| {
        let status = view.status(path).unwrap().unwrap();
        (status.mode, status.uid, status.gid)
    };
    // The directory on the way is as it was; what an image has keeps its owner and its setuid.
    assert_eq!(of("d"), (0o750, 5, 6));
    assert_eq!(of("d/copy"), (0o755, 0, 0));
    assert_eq!(of("d/copy/f"), (0o4755, 6, 7));
    assert_eq!(view.read_file("d/copy/f", 1 << 20).unwrap().unwrap().len(), 100_000);
}
