//! What applying a layer does, rule by rule.

use std::fs;
use std::os::unix::fs::MetadataExt;

use cask_layer::{ApplyErrorKind, IdMaps, IdRange, Whiteouts};
use cask_rootfs::Kind;

use crate::tar::{Header, Tar};
use crate::tree::{Host, extract, extract_with, options};

#[test]
fn last_of_equal_names_wins_whatever_they_are() {
    let host = Host::new();
    let tar = Tar::default()
        .file("a", "first")
        .file("./a", "second")
        .dir("d", 0o755)
        .file("d/inner", "x")
        .file("d", "a file now")
        .file("f", "a directory soon")
        .dir("f/", 0o750)
        .file("f/inner", "y")
        .symlink("l", "a")
        .file("l", "no link")
        .symlink("a", "d");
    let applied = extract(&tar.end(), &host).unwrap();
    assert_eq!(host.text("d"), "a file now");
    assert_eq!(host.text("f/inner"), "y");
    assert_eq!(host.text("l"), "no link");
    assert_eq!(fs::read_link(host.at("root/a")).unwrap().to_str(), Some("d"));
    assert_eq!(applied.counts.replaced, 5);
}

#[test]
fn directories_merge_and_keep_their_times_and_modes() {
    let host = Host::new();
    let closed = Header { name: b"d", flag: b'5', mode: 0o500, time: 5, ..Header::default() };
    let tar = Tar::default()
        .dir("d", 0o711)
        .file("d/a", "a")
        .header(&closed)
        .file("d/b", "b")
        .dir("d/closed", 0o000)
        .file("d/closed/c", "c")
        .file("x/y/z", "z");
    let applied = extract(&tar.end(), &host).unwrap();
    let d = host.root().metadata("d").unwrap();
    assert_eq!((d.mode, d.modified.seconds), (0o500, 5));
    assert!(host.has("d/a") && host.has("d/b") && host.has("x/y/z"));
    let closed = host.root().metadata("d/closed").unwrap();
    assert_eq!((closed.mode, closed.modified.seconds), (0, 1_000_000_000));
    assert_eq!(applied.counts.directories, 3);
    assert_eq!(applied.size_bytes, 4);
    host.root().remove_all("d").unwrap();
}

#[test]
fn times_and_special_bits_survive() {
    let host = Host::new();
    let tar = Tar::default()
        .pax(&[("mtime", b"-5.25")])
        .header(&Header { name: b"old", mode: 0o6755, ..Header::default() })
        .pax(&[("mtime", b"1600000000.123456789")])
        .symlink("link", "nowhere")
        .header(&Header { name: b"fifo", flag: b'6', mode: 0o622, ..Header::default() })
        .dir("sticky", 0o1777);
    extract(&tar.end(), &host).unwrap();
    let root = host.root();
    let old = root.metadata("old").unwrap();
    assert_eq!((old.modified.seconds, old.modified.nanoseconds), (-6, 750_000_000));
    assert_eq!(old.mode, 0o6755);
    assert_eq!(root.metadata("link").unwrap().modified.nanoseconds, 123_456_789);
    let fifo = root.metadata("fifo").unwrap();
    assert_eq!((fifo.kind, fifo.mode), (Kind::Fifo, 0o622));
    assert_eq!(root.metadata("sticky").unwrap().mode, 0o1777);
}

#[test]
fn ten_thousand_hard_links_are_one_file() {
    let host = Host::new();
    let mut tar = Tar::default().file("f", "x");
    for n in 0..10_000 {
        tar = tar.hard_link(&format!("links/{n}"), "./f");
    }
    let applied = extract(&tar.end(), &host).unwrap();
    assert_eq!(fs::metadata(host.at("root/f")).unwrap().nlink(), 10_001);
    assert_eq!((applied.counts.hard_links, applied.size_bytes), (10_000, 1));
}

#[test]
fn attributes_come_along_and_overlay_s_own_do_not() {
    let host = Host::new();
    let tar = Tar::default()
        .pax(&[("SCHILY.xattr.user.a", b"1\n2"), ("SCHILY.xattr.user.overlay.redirect", b"/")])
        .file("f", "x")
        .pax(&[("SCHILY.xattr.user.b", b""), ("SCHILY.xattr.trusted.overlay.opaque", b"y")])
        .dir("d", 0o755);
    let applied = extract(&tar.end(), &host).unwrap();
    let top = host.root().directory("").unwrap();
    assert_eq!(top.attributes("f").unwrap(), ["user.a"]);
    assert_eq!(top.attribute("f", "user.a").unwrap().unwrap(), b"1\n2");
    assert_eq!(top.attributes("d").unwrap(), ["user.b"]);
    assert_eq!(applied.warnings.len(), 2);
    assert_eq!(applied.warnings[0].member, b"f");
}

#[test]
fn attributes_that_may_not_be_are_a_warning_in_a_user_namespace_only() {
    let tar = Tar::default().pax(&[("SCHILY.xattr.user.a", b"1")]).symlink("l", "x").end();
    let error = extract(&tar, &Host::new()).unwrap_err();
    assert_eq!(error.kind(), ApplyErrorKind::Denied, "{error}");
    let mut lenient = options(Whiteouts::OverlayUser);
    lenient.user_namespace = true;
    let applied = extract_with(&tar, &Host::new(), &lenient).unwrap();
    assert_eq!(applied.warnings.len(), 1, "{:?}", applied.warnings);
}

#[test]
fn devices_are_left_out_in_a_user_namespace() {
    let mut lenient = options(Whiteouts::OverlayUser);
    lenient.user_namespace = true;
    let null = Header { name: b"null", flag: b'3', device: (1, 3), ..Header::default() };
    let host = Host::new();
    let applied = extract_with(&Tar::default().header(&null).end(), &host, &lenient).unwrap();
    assert_eq!((applied.counts.skipped, host.has("null")), (1, false));
}

#[test]
fn owners_outside_the_maps_fail_or_are_ignored() {
    let mut mapped = options(Whiteouts::OverlayUser);
    let range = IdRange { container: 4_000_000, host: 0, count: 1 };
    mapped.id_maps = IdMaps::new(vec![range], vec![range]);
    let tar = Tar::default().file("d/f", "x").end();
    let error = extract_with(&tar, &Host::new(), &mapped).unwrap_err();
    assert_eq!(error.kind(), ApplyErrorKind::UnmappedId, "{error}");
    mapped.ignore_chown_errors = true;
    let host = Host::new();
    let applied = extract_with(&tar, &host, &mapped).unwrap();
    assert_eq!((applied.warnings.len(), host.text("d/f").as_str()), (1, "x"));
    assert_eq!(applied.uids.len(), 1);
}

#[test]
fn owner_of_nobody_is_left_as_it_comes() {
    for uid in ["-1", "4294967295"] {
        let host = Host::new();
        let tar = Tar::default().pax(&[("uid", uid.as_bytes())]).file("f", "x").end();
        let applied = extract(&tar, &host).unwrap();
        assert_eq!((applied.warnings.len(), host.text("f").as_str()), (1, "x"), "{uid}");
    }
    let tar = Tar::default().pax(&[("uid", b"-2")]).file("f", "x").end();
    let error = extract(&tar, &Host::new()).unwrap_err();
    assert_eq!(error.kind(), ApplyErrorKind::UnmappedId);
}

#[test]
fn forced_permissions_keep_the_original_ones_aside() {
    let mut forced = options(Whiteouts::Keep);
    forced.force_mask = Some(0o700);
    let null = Header { name: b"null", flag: b'3', device: (1, 3), ..Header::default() };
    let tar = Tar::default()
        .dir("./", 0o755)
        .dir("d", 0o1777)
        .header(&Header { name: b"d/f", mode: 0o4755, ..Header::default() })
        .header(&null)
        .symlink("l", "d")
        .file(".wh.gone", "");
    let host = Host::new();
    extract_with(&tar.end(), &host, &forced).unwrap();
    let root = host.root();
    let ids = format!("{}:{}", rustix::process::getuid(), rustix::process::getgid());
    let check = |path: &str, expected: &str| {
        let (directory, name) = root.entry(path).unwrap();
        assert_eq!(directory.metadata(name).unwrap().mode, 0o700, "{path}");
        let value = directory.attribute(name, "user.containers.override_stat").unwrap().unwrap();
        assert_eq!(String::from_utf8(value).unwrap(), format!("{ids}:{expected}"), "{path}");
    };
    check("d", "1777:dir");
    check("d/f", "4755:file");
    check("null", "0644:char-1-3");
    check(".wh.gone", "0644:file");
    assert!(root.metadata("null").unwrap().is_file());
    let own = root.directory("").unwrap().own_attribute("user.containers.override_stat");
    assert_eq!(own.unwrap().unwrap(), format!("{ids}:0755:dir").as_bytes());
}

#[test]
fn root_is_left_alone_unless_asked() {
    let tar = Tar::default().dir("./", 0o711).file("f", "x").end();
    let host = Host::new();
    let before = host.root().metadata("").unwrap().mode;
    extract(&tar, &host).unwrap();
    assert_eq!(host.root().metadata("").unwrap().mode, before);
    let mut with_root = options(Whiteouts::Remove);
    with_root.apply_root = true;
    extract_with(&tar, &host, &with_root).unwrap();
    let after = host.root().metadata("").unwrap();
    assert_eq!((after.mode, after.modified.seconds), (0o711, 1_000_000_000));
}

#[test]
fn global_headers_are_nothing() {
    let host = Host::new();
    let record = b"19 comment=abcdef0\n";
    let size = record.len() as u64;
    let global = Header { name: b"pax_global_header", flag: b'g', size, ..Header::default() };
    let tar = Tar::default().header(&global).body(record).file("f", "x").end();
    let applied = extract(&tar, &host).unwrap();
    assert_eq!((applied.counts.skipped, applied.counts.files), (1, 1));
    assert!(!host.has("pax_global_header"));
}
