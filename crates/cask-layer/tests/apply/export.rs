//! Trees written as layers.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use cask_layer::{
    DiffErrorKind, DiffOptions, FileTimes, IdMaps, IdRange, Member, MemberKind, MemberLimits,
    Members, diff_tree, diff_upper,
};
use cask_rootfs::{Node, Root};

use crate::tree::Host;

/// The members of a stream, with what is in them.
pub(crate) fn members(tar: &[u8]) -> Vec<(Member, Vec<u8>)> {
    let mut found = Vec::new();
    let mut members = Members::new(tar, MemberLimits::default());
    while let Some(mut entry) = members.next_member().unwrap() {
        let mut body = Vec::new();
        std::io::Read::read_to_end(&mut entry.payload, &mut body).unwrap();
        found.push((entry.member.clone(), body));
    }
    members.finish().unwrap();
    found
}

pub(crate) fn names(tar: &[u8]) -> Vec<String> {
    members(tar).iter().map(|(member, _)| member.name.escape_ascii().to_string()).collect()
}

#[test]
fn nothing_is_followed_opened_or_forgotten() {
    let host = Host::new();
    let root = host.root();
    let top = root.directory("").unwrap();
    symlink(host.at("outside"), host.at("root/lnk")).unwrap();
    symlink(host.at("outside/secret"), host.at("root/hostname")).unwrap();
    top.create_node("fifo", Node::Fifo, 0o600).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(host.at("root/socket")).unwrap();
    fs::write(host.at("root").join(OsStr::from_bytes(b"caf\xe9\n")), "x").unwrap();
    fs::write(host.at("root/.wh.passwd"), "not a whiteout").unwrap();
    fs::create_dir(host.at("root/d")).unwrap();
    fs::write(host.at("root/d/f"), "y").unwrap();
    fs::write(host.at("root/d-"), "z").unwrap();
    top.hard_link("g", &top.open_dir("d").unwrap(), "f").unwrap();
    let (diffed, tar) = diff_tree(&root, Vec::new(), &DiffOptions::default()).unwrap();
    let expected = ["caf\\xe9\\n", "d/", "d/f", "d-", "fifo", "g", "hostname", "lnk"];
    assert_eq!(names(&tar), expected);
    let found = members(&tar);
    assert_eq!((found[5].0.kind, &found[5].0.link_name[..]), (MemberKind::HardLink, &b"d/f"[..]));
    assert_eq!(found[6].0.kind, MemberKind::Symlink);
    assert!(found.iter().all(|(_, body)| body != b"outside"));
    assert_eq!((diffed.sockets, diffed.members, diffed.size_bytes), (1, 8, 3));
    assert_eq!(diffed.left_out, [b".wh.passwd"]);
    let (_, again) = diff_tree(&root, Vec::new(), &DiffOptions::default()).unwrap();
    assert!(tar == again, "the same tree gives the same bytes");
}

#[test]
fn attributes_of_the_contents_go_along() {
    let host = Host::new();
    let root = host.root();
    let top = root.directory("").unwrap();
    top.create_file("f", 0o644).unwrap();
    for name in ["user.a", "user.overlay.opaque", "user.b", "user.containers.override_stat"] {
        top.set_attribute("f", name, b"\n1").unwrap();
    }
    let (_, tar) = diff_tree(&root, Vec::new(), &DiffOptions::default()).unwrap();
    let expected = [b"user.a", b"user.b"].map(|name| (name.to_vec(), b"\n1".to_vec()));
    assert_eq!(members(&tar)[0].0.xattrs, expected);
}

#[test]
fn whiteouts_and_opaque_directories_are_written_as_such() {
    let host = Host::new();
    let upper = host.root();
    for path in ["gone", "seen/in", "hidden/in"] {
        let directory = upper.create_dir_all(path, 0o750, None).unwrap();
        let zero = Node::CharDevice { major: 0, minor: 0 };
        directory.create_node("dev", zero, 0).unwrap();
        let (parent, name) = upper.entry(path).unwrap();
        parent.set_attribute(name, "user.overlay.opaque", b"y").unwrap();
    }
    let lower = |name: &str, make: &dyn Fn(&Root)| {
        fs::create_dir(host.at("outside").join(name)).unwrap();
        let lower = Root::open(host.at("outside").join(name)).unwrap();
        make(&lower);
        lower
    };
    let lowers = [
        lower("top", &|lower| {
            let zero = Node::CharDevice { major: 0, minor: 0 };
            lower.directory("").unwrap().create_node("hidden", zero, 0).unwrap();
        }),
        lower("bottom", &|lower| {
            lower.create_dir_all("seen/in", 0o755, None).unwrap();
            lower.create_dir_all("hidden/in", 0o755, None).unwrap();
        }),
    ];
    let options = DiffOptions::default();
    let (_, tar) = diff_upper(&upper, &lowers, Vec::new(), &options).unwrap();
    let whiteouts = names(&tar).into_iter().filter(|name| name.contains(".wh."));
    let expected = ["gone/.wh.dev", "hidden/in/.wh.dev", "seen/in/.wh..wh..opq", "seen/in/.wh.dev"];
    assert_eq!(whiteouts.collect::<Vec<_>>(), expected);
    for (member, body) in members(&tar) {
        if member.name.windows(4).any(|window| window == b".wh.") {
            let mode = if member.name.ends_with(b"opq") { 0o750 } else { 0 };
            assert_eq!((member.kind, member.mode, body.len()), (MemberKind::File, mode, 0));
        }
    }
    let (_, tar) = diff_upper(&upper, &[], Vec::new(), &options).unwrap();
    assert!(!names(&tar).iter().any(|name| name.ends_with("opq")), "nothing is below");
}

#[test]
fn times_can_be_clamped_and_set() {
    let host = Host::new();
    let root = host.root();
    let top = root.directory("").unwrap();
    for (name, seconds, nanoseconds) in
        [("a", -7, 0), ("b", 1000, 499_999_999), ("c", 5000, 500_000_000)]
    {
        top.create_file(name, 0o644).unwrap();
        let time = cask_rootfs::Timestamp { seconds, nanoseconds };
        top.set_times(name, time, time).unwrap();
    }
    let check = |times, expected: [i64; 3]| {
        let mut options = DiffOptions::default();
        options.times = times;
        let (_, tar) = diff_tree(&root, Vec::new(), &options).unwrap();
        let found: Vec<_> = members(&tar).iter().map(|(m, _)| m.modified.seconds).collect();
        assert_eq!(found, expected, "{times:?}");
    };
    check(FileTimes::Keep, [-7, 1000, 5000]);
    check(FileTimes::Clamp(2000), [-7, 1000, 2000]);
    check(FileTimes::Set(3), [3, 3, 3]);
}

#[test]
fn owners_are_mapped_back() {
    let host = Host::new();
    host.root().directory("").unwrap().create_file("f", 0o644).unwrap();
    let found = host.root().metadata("f").unwrap();
    let mut options = DiffOptions::default();
    let range = |host| IdRange { container: 7, host, count: 1 };
    options.id_maps = IdMaps::new(vec![range(found.uid)], vec![range(found.gid)]);
    let (_, tar) = diff_tree(&host.root(), Vec::new(), &options).unwrap();
    assert_eq!((members(&tar)[0].0.uid, members(&tar)[0].0.gid), (7, 7));
    options.id_maps = IdMaps::new(vec![range(found.uid + 1)], vec![]);
    let error = diff_tree(&host.root(), Vec::new(), &options).unwrap_err();
    assert_eq!((error.kind(), error.path()), (DiffErrorKind::UnmappedId, &b"f"[..]));
}

#[test]
fn trees_deeper_than_a_path_are_refused_with_a_reason() {
    let host = Host::new();
    let name = "d".repeat(200);
    let mut here = host.root().directory("").unwrap();
    for _ in 0..21 {
        here.create_dir(&name, 0o755).unwrap();
        here = here.open_dir(&name).unwrap();
    }
    let error = diff_tree(&host.root(), Vec::new(), &DiffOptions::default()).unwrap_err();
    assert_eq!(error.kind(), DiffErrorKind::TooLarge, "{error}");
    host.root().remove_all(&name).unwrap();
}
