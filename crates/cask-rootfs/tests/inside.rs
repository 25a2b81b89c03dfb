//! What is promised about paths, names and trees, on a real file system.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use cask_rootfs::{ErrorKind, Kind, Node, Order, Parents, Root, Timestamp};

/// A host directory with `root/` in it and `secret` beside that.
fn host() -> (tempfile::TempDir, Root) {
    let host = tempfile::tempdir().expect("prepared");
    fs::create_dir(host.path().join("root")).expect("prepared");
    fs::write(host.path().join("secret"), "outside").expect("prepared");
    let root = Root::open(host.path().join("root")).expect("prepared");
    (host, root)
}

fn kind<T>(result: cask_rootfs::Result<T>) -> ErrorKind {
    result.err().expect("it must fail").kind()
}

#[test]
fn paths_stay_inside_whatever_they_say() {
    let (host, root) = host();
    let inside = host.path().join("root");
    let outside = host.path().display().to_string();
    symlink("..", inside.join("up")).unwrap();
    symlink("../../../..", inside.join("far")).unwrap();
    symlink(&outside, inside.join("absolute")).unwrap();
    symlink("absolute", inside.join("chain")).unwrap();
    symlink("circle", inside.join("circle")).unwrap();
    fs::write(inside.join("secret"), "inside").unwrap();

    let check = |path: &str, expected: Result<&str, ErrorKind>| {
        for follow in [false, true] {
            let found = if follow { root.open_file_following(path) } else { root.open_file(path) };
            let found = found.map(|mut file| {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                text
            });
            let found = found.as_deref().map_err(cask_rootfs::Error::kind);
            assert_eq!(found, expected, "{path} (following: {follow})");
        }
    };
    check("secret", Ok("inside"));
    check("/secret", Ok("inside"));
    check("../secret", Ok("inside"));
    check("/../../../secret", Ok("inside"));
    check("up/secret", Ok("inside"));
    check("far/secret", Ok("inside"));
    check("up/up/far/../secret", Ok("inside"));
    check("absolute/secret", Err(ErrorKind::NotFound));
    check("chain/secret", Err(ErrorKind::NotFound));
    check("circle/secret", Err(ErrorKind::LinkLoop));
    check("secret/x", Err(ErrorKind::NotADirectory));
    check("missing/x", Err(ErrorKind::NotFound));
    check(&"a/".repeat(3000), Err(ErrorKind::NameTooLong));
    check(&"a".repeat(256), Err(ErrorKind::NameTooLong));

    root.create_dir_all("absolute/made", 0o755, None).expect_err("a link to nowhere is no place");
    root.create_dir_all("up/made/../made/deep", 0o755, None).unwrap();
    assert!(inside.join("made/deep").is_dir());
    assert_eq!(fs::read(host.path().join("secret")).unwrap(), b"outside");
}

#[test]
fn proc_links_lead_nowhere() {
    let root = Root::open("/proc/self").unwrap();
    assert_eq!(kind(root.directory("root")), ErrorKind::LinkLoop);
    assert_eq!(kind(root.directory("cwd/..")), ErrorKind::LinkLoop);
}

#[test]
fn names_are_single_components_of_any_bytes() {
    let (_host, root) = host();
    let top = root.directory("").unwrap();
    for bad in ["", ".", "..", "a/b", "/", "a\0b"] {
        assert_eq!(kind(top.metadata(bad)), ErrorKind::InvalidName, "{bad:?}");
        assert_eq!(kind(top.create_file(bad, 0o644)), ErrorKind::InvalidName, "{bad:?}");
        assert_eq!(kind(top.remove_all(bad)), ErrorKind::InvalidName, "{bad:?}");
        assert_eq!(kind(top.rename(bad, &top, "x")), ErrorKind::InvalidName, "{bad:?}");
        assert_eq!(kind(top.hard_link("x", &top, bad)), ErrorKind::InvalidName, "{bad:?}");
    }
    for (major, minor) in [(0x1000, 0), (0, 0x10_0000)] {
        let node = Node::CharDevice { major, minor };
        assert_eq!(kind(top.create_node("c", node, 0o600)), ErrorKind::Io);
    }
    let latin = OsStr::from_bytes(b"caf\xe9\n");
    top.create_file(latin, 0o600).unwrap().write_all(b"x").unwrap();
    assert_eq!(root.metadata(latin).unwrap().size_bytes, 1);
    assert_eq!(top.entries(Order::Name).unwrap()[0].name, latin);
    assert_eq!(kind(root.entry("a/..")), ErrorKind::InvalidName);
    assert_eq!(root.metadata("..").unwrap(), root.metadata("/").unwrap());
}

#[test]
fn only_regular_files_are_opened() {
    let (host, root) = host();
    let top = root.directory("").unwrap();
    top.create_node("fifo", Node::Fifo, 0o644).unwrap();
    top.create_dir("dir", 0o755).unwrap();
    top.symlink("link", "/etc/passwd").unwrap();
    let socket = std::os::unix::net::UnixListener::bind(host.path().join("root/socket")).unwrap();
    for name in ["fifo", "dir", "link", "socket"] {
        assert_eq!(kind(top.open_file(name)), ErrorKind::NotAFile, "{name}");
    }
    for name in ["fifo", "dir", "socket"] {
        assert_eq!(kind(root.open_file_following(name)), ErrorKind::NotAFile, "{name}");
    }
    drop(socket);
}

#[test]
fn files_are_never_written_through_what_was_there() {
    let (host, root) = host();
    let top = root.directory("").unwrap();
    let secret = host.path().join("secret");
    top.symlink("link", &secret).unwrap();
    fs::hard_link(&secret, host.path().join("root/hard")).unwrap();
    for name in ["link", "hard"] {
        assert_eq!(kind(top.create_file(name, 0o644)), ErrorKind::Exists);
        top.replace_file(name, 0o644).unwrap().write_all(b"new").unwrap();
        assert_eq!(top.metadata(name).unwrap().kind, Kind::File);
    }
    assert_eq!(fs::read(&secret).unwrap(), b"outside");
    top.create_dir("dir", 0o755).unwrap();
    assert_eq!(kind(top.replace_file("dir", 0o644)), ErrorKind::NotAFile);
}

#[test]
fn metadata_and_changes_are_of_the_link_itself() {
    let (host, root) = host();
    let top = root.directory("").unwrap();
    top.symlink("link", "../secret").unwrap();
    let time = Timestamp { seconds: -5, nanoseconds: 7 };
    top.set_times("link", time, time).unwrap();
    assert_eq!(top.metadata("link").unwrap().modified, time);
    assert_eq!(top.read_link("link").unwrap(), "../secret");
    top.symlink("way", ".").unwrap();
    assert_eq!(kind(top.open_dir("way")), ErrorKind::NotADirectory);
    assert_eq!(kind(top.set_mode("link", 0o777)), ErrorKind::Unsupported);
    let before = fs::metadata(host.path().join("secret")).unwrap();
    assert_ne!(before.mtime(), -5);
    if rustix::process::geteuid().is_root() {
        top.set_owner("link", 5, 6).unwrap();
        let link = top.metadata("link").unwrap();
        assert_eq!((link.uid, link.gid), (5, 6));
        let after = fs::metadata(host.path().join("secret")).unwrap();
        assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
    }

    top.create_file("file", 0o600).unwrap();
    top.set_mode("file", 0o4751).unwrap();
    assert_eq!(top.metadata("file").unwrap().mode, 0o4751);
    top.hard_link("link2", &top, "link").unwrap();
    assert_eq!(top.metadata("link2").unwrap().kind, Kind::Symlink);
    assert!(top.metadata("link2").unwrap().is_same_file(&top.metadata("link").unwrap()));
}

#[test]
fn attributes_are_of_the_entry_itself() {
    let (_host, root) = host();
    let top = root.directory("").unwrap();
    top.create_file("file", 0o600).unwrap();
    top.create_dir("dir", 0o700).unwrap();
    let long = vec![b'x'; 1000];
    for name in ["file", "dir"] {
        top.set_attribute(name, "user.b", b"").unwrap();
        top.set_attribute(name, "user.a", &long).unwrap();
        assert_eq!(top.attributes(name).unwrap(), ["user.a", "user.b"]);
        assert_eq!(top.attribute(name, "user.a").unwrap().unwrap(), long);
        assert_eq!(top.attribute(name, "user.b").unwrap().unwrap(), b"");
        assert_eq!(top.attribute(name, "user.c").unwrap(), None);
        top.remove_attribute(name, "user.b").unwrap();
        top.remove_attribute(name, "user.b").unwrap();
        assert_eq!(top.attributes(name).unwrap(), ["user.a"]);
    }
    top.symlink("link", "file").unwrap();
    assert_eq!(top.attributes("link").unwrap(), Vec::<&str>::new());
    assert_eq!(kind(top.set_attribute("link", "user.a", b"")), ErrorKind::Denied);
    let dir = top.open_dir("dir").unwrap();
    dir.set_own_attribute("user.own", b"1").unwrap();
    assert_eq!(dir.own_attributes().unwrap(), ["user.a", "user.own"]);
    assert_eq!(dir.own_attribute("user.own").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn parents_are_remembered_until_forgotten() {
    let (host, root) = host();
    for n in 0..40 {
        root.create_dir_all(format!("d{n}/sub"), 0o755, None).unwrap();
    }
    let mut parents = Parents::new(&root);
    for round in 0..3 {
        for n in 0..40 {
            let path = format!("d{n}/sub/file{round}");
            let (directory, name) = parents.entry(&path).unwrap();
            directory.create_file(name, 0o644).unwrap();
            assert!(host.path().join("root").join(&path).is_file());
        }
    }
    assert_eq!(kind(parents.entry("nowhere/x").map(|_| ())), ErrorKind::NotFound);
    assert_eq!(kind(parents.entry("x/..").map(|_| ())), ErrorKind::InvalidName);
    root.remove_all("d39").unwrap();
    symlink("d0", host.path().join("root/d39")).unwrap();
    parents.forget();
    let (directory, name) = parents.entry("d39/sub/new").unwrap();
    directory.create_file(name, 0o644).unwrap();
    assert!(host.path().join("root/d0/sub/new").is_file());
}

#[test]
fn missing_directories_get_their_owner_and_others_keep_theirs() {
    let (host, root) = host();
    root.create_dir_all("a", 0o700, None).unwrap();
    let mine = fs::metadata(host.path()).unwrap();
    root.create_dir_all("/a//b/./c/", 0o777, Some((mine.uid(), mine.gid()))).unwrap();
    let inside = host.path().join("root");
    assert_eq!(fs::metadata(inside.join("a")).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(inside.join("a/b/c").is_dir());
    fs::write(inside.join("file"), "").unwrap();
    assert_eq!(kind(root.create_dir_all("file/x", 0o755, None)), ErrorKind::NotADirectory);
    assert_eq!(root.create_dir_all("", 0o755, None).unwrap().path(), Path::new(""));
}

#[test]
fn trees_are_removed_however_deep_and_nothing_else() {
    let (host, root) = host();
    let top = root.directory("").unwrap();
    // Deeper than any path may be long.
    let mut here = top.try_clone().unwrap();
    for n in 0..1000 {
        here.create_dir("deep", 0o755).unwrap();
        here.create_file(format!("file{n}"), 0o644).unwrap();
        here.symlink("link", host.path()).unwrap();
        here = here.open_dir("deep").unwrap();
    }
    top.symlink("to-deep", "deep").unwrap();
    root.remove_all("to-deep").unwrap();
    assert!(top.metadata("deep").is_ok());
    root.remove_all("deep").unwrap();
    root.remove_all("deep").unwrap();
    root.remove_all("no/such/place").unwrap();
    root.remove_all("link").unwrap();
    root.remove_all("file0").unwrap();
    assert_eq!(top.entries(Order::Any).unwrap(), []);
    assert!(host.path().join("secret").is_file());
}

#[test]
fn wide_and_forbidden_trees_are_removed() {
    let (host, root) = host();
    let base = root.create_dir_all("tree/wide", 0o755, None).unwrap();
    for n in 0..2000 {
        base.create_file(format!("{n}"), 0o644).unwrap();
    }
    root.create_dir_all("tree/closed/inner", 0o755, None).unwrap();
    for path in ["tree/closed/inner", "tree/closed", "tree"] {
        let path = host.path().join("root").join(path);
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    }
    root.remove_all("tree").unwrap();
    assert_eq!(kind(root.metadata("tree")), ErrorKind::NotFound);
}
