//! What other programs and libraries write is read, and what is written they read.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use cask_archive::{
    ArchiveReader, ArchiveWriter, Durability, MemberKind, ReadOptions, WriteOptions,
};

#[track_caller]
fn run(program: &str, arguments: &[&str], directory: &Path) -> String {
    let output =
        Command::new(program).args(arguments).current_dir(directory).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Names around every limit of the format.
fn awkward_names() -> Vec<String> {
    let mut names = Vec::new();
    for length in [1, 99, 100, 101, 155, 156, 157, 255, 256, 257, 300] {
        names.push("n".repeat(length.min(255)));
        names.push(format!("{}/{}", "d".repeat(length.min(200)), "n".repeat(length.min(250))));
        names.push(format!("{}f", "deep/".repeat(length / 5)));
    }
    names.push("ümlaut".into());
    names.push(format!("{}/ü", "é".repeat(80)));
    names.push("with space and \"quotes\"".into());
    names.sort();
    names.dedup();
    names
}

#[test]
fn gnu_tar_and_the_tar_crate_read_what_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.tar");
    let writer = ArchiveWriter::create(&path, WriteOptions::default()).unwrap();
    let names = awkward_names();
    for name in &names {
        writer.append_bytes(name, name.as_bytes()).unwrap();
    }
    writer.directory("a directory").unwrap();
    writer.symlink("link", &"t".repeat(150)).unwrap();
    writer.finish(Durability::Disk).unwrap();

    let listed = run("tar", &["--quoting-style=literal", "-tf", "out.tar"], directory.path());
    let listed: Vec<&str> = listed.lines().collect();
    assert_eq!(listed[..names.len()], names);
    assert_eq!(listed[names.len()..], ["a directory/", "link"]);
    for name in &names {
        let content = run("tar", &["-xOf", "out.tar", "--", name], directory.path());
        assert_eq!(content, *name);
    }

    let mut oracle = tar::Archive::new(fs::File::open(&path).unwrap());
    let mut seen = 0;
    for (entry, name) in oracle.entries().unwrap().zip(&names) {
        let mut entry = entry.unwrap();
        assert_eq!(entry.path_bytes(), name.as_bytes());
        assert_eq!(entry.header().mtime().unwrap(), 0);
        assert_eq!((entry.header().uid().unwrap(), entry.header().mode().unwrap()), (0, 0o644));
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        assert_eq!(content, *name);
        seen += 1;
    }
    assert_eq!(seen, names.len());
}

#[test]
fn every_format_of_gnu_tar_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    let deep = tree.join("deep/".repeat(40));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("n".repeat(200)), b"deep").unwrap();
    fs::write(tree.join("file"), vec![3; 70_000]).unwrap();
    fs::hard_link(tree.join("file"), tree.join("hard")).unwrap();
    std::os::unix::fs::symlink("file", tree.join("soft")).unwrap();
    for format in ["gnu", "oldgnu", "pax", "posix"] {
        let option = format!("--format={format}");
        run("tar", &[&option, "-cf", "in.tar", "-C", "tree", "."], directory.path());
        let path = directory.path().join("in.tar");
        let archive = ArchiveReader::open(path, &ReadOptions::default()).unwrap();
        for name in ["file", "hard", "soft"] {
            assert_eq!(archive.read_member(name, 70_000).unwrap(), [3; 70_000], "{format} {name}");
        }
        let name = format!("{}{}", "deep/".repeat(40), "n".repeat(200));
        assert_eq!(archive.read_member(&name, 10).unwrap(), b"deep", "{format}");
        let directories =
            archive.members().iter().filter(|member| *member.kind() == MemberKind::Directory);
        assert_eq!(directories.count(), 40, "{format}");
    }
    // Neither format can hold the long names.
    fs::remove_dir_all(tree.join("deep")).unwrap();
    for format in ["v7", "ustar"] {
        let option = format!("--format={format}");
        run("tar", &[&option, "-cf", "in.tar", "-C", "tree", "."], directory.path());
        let path = directory.path().join("in.tar");
        let archive = ArchiveReader::open(path, &ReadOptions::default()).unwrap();
        assert_eq!(archive.read_member("soft", 70_000).unwrap(), [3; 70_000], "{format}");
    }
}

#[test]
fn sparse_files_of_gnu_tar_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = fs::File::create(directory.path().join("sparse")).unwrap();
    file.set_len(10 << 20).unwrap();
    for format in ["gnu", "posix"] {
        let option = format!("--format={format}");
        run("tar", &[&option, "-S", "-cf", "in.tar", "sparse"], directory.path());
        let path = directory.path().join("in.tar");
        let error = ArchiveReader::open(path, &ReadOptions::default()).unwrap_err();
        assert!(error.to_string().contains("sparse"), "{format}: {error}");
    }
}

#[test]
fn every_compression_is_recognised() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), b"content").unwrap();
    for option in ["-z", "-j", "-J", "--zstd"] {
        run("tar", &["-c", option, "-f", "in.tar", "file"], directory.path());
        let path = directory.path().join("in.tar");
        let archive = ArchiveReader::open(path, &ReadOptions::default()).unwrap();
        assert_eq!(archive.read_member("file", 10).unwrap(), b"content", "{option}");
    }
}
