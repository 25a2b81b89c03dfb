//! Archives that are written: names, targets, what is visible when.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use cask_archive::{
    ArchiveReader, ArchiveWriter, Durability, ErrorKind, Existing, ReadOptions, WriteOptions,
};

use crate::raw::{Head, Raw, names_in};

fn refusing() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.existing = Existing::Refused;
    options
}

fn write_small(path: &Path, options: WriteOptions) -> cask_archive::Result<u64> {
    let writer = ArchiveWriter::create(path, options)?;
    writer.append_bytes("a", b"one")?;
    writer.finish(Durability::Disk)
}

fn is_small(path: &Path) -> bool {
    let archive = ArchiveReader::open(path, &ReadOptions::default()).unwrap();
    archive.read_member("a", 3).unwrap() == b"one"
}

#[test]
fn bytes_are_those_of_gos_library() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.tar");
    let mut options = WriteOptions::default();
    options.file_mode = 0o444;
    options.symlink_mode = 0;
    options.modified_seconds = 0o1234;
    let writer = ArchiveWriter::create(&path, options).unwrap();
    writer.append_bytes("a", b"one").unwrap();
    writer.directory("d").unwrap();
    writer.directory("d").unwrap();
    writer.symlink("d/l", "../a").unwrap();
    assert_eq!(writer.finish(Durability::Kernel).unwrap(), 3072);

    let zeros = b"0000000\0";
    let head = |name: &[u8], flag, size, mode: &[u8]| {
        let head = Head::new(name, flag, size).field(100, mode).field(136, b"00000001234\0");
        head.field(329, zeros).field(337, zeros)
    };
    let expected = Raw::default()
        .head(head(b"a", b'0', 3, b"0000444\0"))
        .data(b"one")
        .head(head(b"d/", b'5', 0, b"0000755\0"))
        .head(head(b"d/l", b'2', 0, zeros).link(b"../a"))
        .end();
    assert_eq!(fs::read(&path).unwrap(), expected);
}

#[test]
fn nothing_is_visible_before_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.tar");
    fs::write(&path, b"old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();

    let writer = ArchiveWriter::create(&path, WriteOptions::default()).unwrap();
    writer.append_bytes("a", b"one").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old");
    drop(writer);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names_in(directory.path()), ["out.tar"]);

    write_small(&path, WriteOptions::default()).unwrap();
    assert!(is_small(&path));
    assert_eq!(names_in(directory.path()), ["out.tar"]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_file_is_refused_unless_it_is_empty() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.tar");
    fs::write(&path, b"").unwrap();
    write_small(&path, refusing()).unwrap();
    assert!(is_small(&path));
    let error = write_small(&path, refusing()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    fs::remove_file(&path).unwrap();
    write_small(&path, refusing()).unwrap();
    assert!(is_small(&path));
}

#[test]
fn of_two_writers_the_last_one_replaces_and_none_refuses() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.tar");
    let one = ArchiveWriter::create(&path, refusing()).unwrap();
    let two = ArchiveWriter::create(&path, refusing()).unwrap();
    one.append_bytes("a", b"one").unwrap();
    two.append_bytes("b", b"two").unwrap();
    one.finish(Durability::Kernel).unwrap();
    assert_eq!(two.finish(Durability::Kernel).unwrap_err().kind(), ErrorKind::Exists);
    assert!(is_small(&path));

    let two = ArchiveWriter::create(&path, WriteOptions::default()).unwrap();
    let one = ArchiveWriter::create(&path, WriteOptions::default()).unwrap();
    one.append_bytes("a", b"one").unwrap();
    two.append_bytes("b", b"two").unwrap();
    two.finish(Durability::Kernel).unwrap();
    one.finish(Durability::Kernel).unwrap();
    assert!(is_small(&path));
    assert_eq!(names_in(directory.path()), ["out.tar"]);
}

#[test]
fn symbolic_links_stay_and_what_they_lead_to_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let (real, link) = (directory.path().join("real"), directory.path().join("link"));
    symlink("real", &link).unwrap();
    write_small(&link, WriteOptions::default()).unwrap();
    assert!(is_small(&real));
    write_small(&link, WriteOptions::default()).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(names_in(directory.path()), ["link", "real"]);
}

#[test]
fn left_overs_of_the_dead_are_swept_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.tar");
    let dead = directory.path().join(".out.tar.0123456789abcdef.partial");
    fs::write(&dead, b"left").unwrap();
    let kept = [".other.tar.0123456789abcdef.partial", ".out.tar.0123.partial", "out.tar.partial"];
    for name in kept {
        fs::write(directory.path().join(name), b"").unwrap();
    }
    let living = directory.path().join(".out.tar.fedcba9876543210.partial");
    let living_file = fs::File::create(&living).unwrap();
    living_file.lock().unwrap();
    write_small(&path, WriteOptions::default()).unwrap();
    assert!(!dead.exists());
    assert!(living.exists());
    assert!(kept.iter().all(|name| directory.path().join(name).exists()));
}

#[test]
fn names_that_no_reader_should_see_are_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.tar");
    let writer = ArchiveWriter::create(&path, WriteOptions::default()).unwrap();
    let check = |name: &str| {
        assert_eq!(writer.append_bytes(name, b"").unwrap_err().kind(), ErrorKind::UnsafeName);
        let slot = writer.reserve_unsized(None).unwrap();
        assert_eq!(slot.finish_as(name).unwrap_err().kind(), ErrorKind::UnsafeName);
    };
    for name in ["", ".", "..", "/a", "a/../b", "./a", "a//b", "a/", "a\0"] {
        check(name);
    }
    check(&"n".repeat(4097));
    writer.append_bytes("a", b"").unwrap();
    assert_eq!(writer.append_bytes("a", b"").unwrap_err().kind(), ErrorKind::Duplicate);
    assert_eq!(writer.directory("a").unwrap_err().kind(), ErrorKind::Duplicate);
    let slot = writer.reserve_unsized(Some("b")).unwrap();
    assert_eq!(slot.finish_as("a").unwrap_err().kind(), ErrorKind::Duplicate);
    for target in ["", "t\0", &"t".repeat(4097)] {
        assert_eq!(writer.symlink("l", target).unwrap_err().kind(), ErrorKind::UnsafeName);
    }
    assert!(writer.contains("a") && !writer.contains("b"));
    writer.finish(Durability::Kernel).unwrap();
    let archive = ArchiveReader::open(&path, &ReadOptions::default()).unwrap();
    assert_eq!(archive.members().len(), 1);
}

#[test]
fn sizes_must_be_what_was_announced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.tar");
    let writer = ArchiveWriter::create(&path, WriteOptions::default()).unwrap();
    let error = writer.append("a", 4, &mut &b"one"[..]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongSize);
    let error = writer.append("a", 2, &mut &b"one"[..]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongSize);
    // Both were the last member when they were given up, so nothing is lost.
    writer.append("a", 3, &mut &b"one"[..]).unwrap();
    writer.finish(Durability::Kernel).unwrap();
    assert!(is_small(&path));
}

#[test]
fn an_archive_with_a_hole_is_never_finished() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.tar");
    let writer = ArchiveWriter::create(&path, WriteOptions::default()).unwrap();
    let slot = writer.reserve("a", 3).unwrap();
    writer.append_bytes("b", b"two").unwrap();
    drop(slot);
    let error = writer.append_bytes("c", b"").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unfinished);
    assert!(error.to_string().contains("\\\"a\\\"") || error.to_string().contains("\"a\""));
    assert_eq!(writer.finish(Durability::Kernel).unwrap_err().kind(), ErrorKind::Unfinished);
    assert!(!path.exists());

    let writer = ArchiveWriter::create(&path, WriteOptions::default()).unwrap();
    let _slot = writer.reserve("a", 3).unwrap();
    let error = writer.finish(Durability::Kernel).unwrap_err();
    assert_eq!((error.kind(), error.member_name()), (ErrorKind::Unfinished, Some("a")));
    assert!(names_in(directory.path()).is_empty());
}

#[test]
fn unusable_targets_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing/out.tar");
    for path in [&missing, directory.path()] {
        let error = ArchiveWriter::create(path, WriteOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}

#[test]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    let error = ArchiveWriter::create("/dev/full", WriteOptions::default())
        .and_then(|writer| {
            writer.append_bytes("a", b"one")?;
            writer.finish(Durability::Kernel)
        })
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}

#[test]
fn pipes_get_the_same_bytes_as_files() {
    let directory = tempfile::tempdir().unwrap();
    let (pipe, file) = (directory.path().join("pipe"), directory.path().join("file"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let write = |path: &Path| {
        let mut options = WriteOptions::default();
        options.spool_directory = Some(directory.path().to_owned());
        let writer = ArchiveWriter::create(path, options).unwrap();
        assert_eq!(writer.is_file(), path == file);
        writer.append_unsized("a", &mut &[1; 300_000][..]).unwrap();
        let mut second = writer.reserve("b", 100_000).unwrap();
        let mut third = writer.reserve_unsized(None).unwrap();
        third.write_all(&[3; 70_000]).unwrap();
        second.write_all(&[2; 100_000]).unwrap();
        third.finish_as("c").unwrap();
        second.finish().unwrap();
        writer.finish(Durability::Disk).unwrap()
    };
    let through_pipe = std::thread::scope(|scope| {
        scope.spawn(|| write(&pipe));
        let mut bytes = Vec::new();
        fs::File::open(&pipe).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    });
    assert_eq!(write(&file), through_pipe.len() as u64);
    assert!(fs::read(&file).unwrap() == through_pipe);
    assert_eq!(names_in(directory.path()), ["file", "pipe"]);
}

#[test]
fn a_closed_pipe_is_an_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let writer = ArchiveWriter::to_stream(writer, "(stdout)", WriteOptions::default());
    let error = writer.append_bytes("a", b"one").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let source = std::error::Error::source(&error).unwrap().downcast_ref::<std::io::Error>();
    assert_eq!(source.unwrap().kind(), std::io::ErrorKind::BrokenPipe);
}
