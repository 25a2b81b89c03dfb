//! A tree with everything in it, and the peers' programs.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use cask_rootfs::{Node, Root, Timestamp};

/// Whether a peer can be asked; fails where it must be.
pub(crate) fn is_there(program: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let there = is_root && Command::new(program).arg("--version").output().is_ok();
    assert!(there || std::env::var_os("CI").is_none(), "{program} and root are needed");
    if !there {
        eprintln!("{program} or root is missing: nothing is compared");
    }
    there
}

/// Runs a program; gives what it prints.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// `cap_net_raw+ep`, as the kernel keeps it.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Fills a directory with one of everything.
pub(crate) fn fill(path: &Path) {
    let root = Root::open(path).unwrap();
    let top = root.directory("").unwrap();
    let deep = format!("{}/{}", "n".repeat(90), "m".repeat(90));
    let inner = root.create_dir_all(&deep, 0o755, None).unwrap();
    let d = root.create_dir_all("d/e", 0o755, None).unwrap();
    let d_top = root.directory("d").unwrap();
    for (directory, name) in [(&top, "file"), (&d_top, "f"), (&inner, "deep"), (&d, "-")] {
        directory.create_file(name, 0o644).unwrap().write_all(name.as_bytes()).unwrap();
    }
    top.create_file("big", 0o600).unwrap().write_all(&vec![7; 700_001]).unwrap();
    let sparse = top.create_file("sparse", 0o644).unwrap();
    sparse.write_all_at(b"middle", 5_000_000).unwrap();
    sparse.set_len(9_000_000).unwrap();
    for name in [&b"caf\xe9"[..], b"\xc3\xa9", b"new\nline", &[b'l'; 150]] {
        top.create_file(OsStr::from_bytes(name), 0o644).unwrap();
    }
    top.symlink("link", "../x").unwrap();
    top.symlink("long-link", "z".repeat(120)).unwrap();
    top.symlink("\u{fc}", "\u{e9}").unwrap();
    top.create_node("fifo", Node::Fifo, 0o622).unwrap();
    top.create_node("null", Node::CharDevice { major: 1, minor: 3 }, 0o666).unwrap();
    top.create_node("loop", Node::BlockDevice { major: 7, minor: 300 }, 0o640).unwrap();
    top.hard_link("hard", &d_top, "f").unwrap();
    d.hard_link("link-too", &top, "link").unwrap();
    d_top.set_owner("e", 3_000_000, 4_000_000).unwrap();
    top.set_owner("link", 7, 8).unwrap();
    top.set_owner("big", 1000, 1000).unwrap();
    d_top.set_mode("f", 0o6755).unwrap();
    d_top.set_mode("e", 0o1777).unwrap();
    top.set_mode("null", 0o666).unwrap();
    top.set_attribute("file", "security.capability", &CAPABILITY).unwrap();
    top.set_attribute("file", "user.one", b"1\n2").unwrap();
    top.set_attribute("d", "user.two", b"\x00\xff").unwrap();
    let times = [("file", 1_000_000_000, 7), ("link", 999, 0), ("d", 1_500_000_000, 600_000_000)];
    for (name, seconds, nanoseconds) in times {
        let time = Timestamp { seconds, nanoseconds };
        top.set_times(name, time, time).unwrap();
    }
    let before = Timestamp { seconds: -315_619_200, nanoseconds: 0 };
    top.set_times("fifo", before, before).unwrap();
}

/// GNU tar, writing all that it can.
pub(crate) fn gnu_tar(format: &str, from: &Path, to: &Path) {
    let mut command = Command::new("tar");
    if format == "pax" {
        command.args(["--xattrs", "--xattrs-include=*"]);
    }
    command.args(["--numeric-owner", "--sparse", "--sort=name"]);
    command.arg(format!("--format={format}")).arg("-C").arg(from).arg("-cf").arg(to).arg(".");
    run(&mut command);
}

pub(crate) fn make_directory(path: &Path) -> Root {
    fs::create_dir_all(path).unwrap();
    Root::open(path).unwrap()
}
