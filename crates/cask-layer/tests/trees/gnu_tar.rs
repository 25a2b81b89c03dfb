//! GNU tar and this crate, on the same streams and trees.

use std::fs;
use std::process::Command;

use cask_layer::{DiffOptions, Whiteouts, diff_tree};

use crate::support::{fill, gnu_tar, is_there, make_directory, run};
use crate::tree::{Host, assert_same, describe, extract_with, options};

#[test]
fn both_make_the_same_tree_of_a_stream() {
    if !is_there("tar") {
        return;
    }
    for format in ["pax", "gnu"] {
        let host = Host::new();
        fill(&host.at("root"));
        let tar = host.at("layer.tar");
        gnu_tar(format, &host.at("root"), &tar);
        let theirs = make_directory(&host.at("theirs"));
        let mut command = Command::new("tar");
        command.args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf"]).arg(&tar);
        run(command.arg("-C").arg(host.at("theirs")));
        let ours = Host::new();
        let stream = fs::read(&tar).unwrap();
        let applied = extract_with(&stream, &ours, &options(Whiteouts::Remove)).unwrap();
        assert_eq!(applied.warnings, []);
        let with_nanoseconds = format == "pax";
        let found = describe(&ours.root(), with_nanoseconds);
        assert_same(&found, &describe(&theirs, with_nanoseconds), format);
        let sparse = |root: &cask_rootfs::Root| root.metadata("sparse").unwrap().allocated_bytes;
        assert_eq!(sparse(&ours.root()), sparse(&theirs), "{format}: holes stay holes");
    }
}

#[test]
fn it_reads_what_we_write() {
    if !is_there("tar") {
        return;
    }
    let host = Host::new();
    fill(&host.at("root"));
    let (diffed, tar) = diff_tree(&host.root(), Vec::new(), &DiffOptions::default()).unwrap();
    assert_eq!(diffed.left_out.len(), 0);
    fs::write(host.at("layer.tar"), tar).unwrap();
    let theirs = make_directory(&host.at("theirs"));
    let mut command = Command::new("tar");
    command.args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf"]);
    run(command.arg(host.at("layer.tar")).arg("-C").arg(host.at("theirs")));
    let expected = describe(&host.root(), false);
    assert_same(&describe(&theirs, false), &expected, "extracted by GNU tar");
}

#[test]
fn full_disk_is_told_as_such() {
    if !is_there("mount") {
        return;
    }
    let host = Host::new();
    fill(&host.at("root"));
    let (_, tar) = diff_tree(&host.root(), Vec::new(), &DiffOptions::default()).unwrap();
    let small = Host::new();
    let mut command = Command::new("mount");
    run(command.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(small.at("root")));
    let error = extract_with(&tar, &small, &options(Whiteouts::Remove)).unwrap_err();
    rustix::mount::unmount(small.at("root"), rustix::mount::UnmountFlags::DETACH).unwrap();
    assert_eq!(error.kind(), cask_layer::ApplyErrorKind::NoSpace, "{error}");
    assert!(error.member().is_some());
}
