//! Adding to an archive that exists.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cask_archive::{
    ArchiveReader, ArchiveWriter, Durability, ErrorKind, LockedArchive, Member, ReadOptions,
    WriteOptions,
};

use crate::raw::{Raw, names_in, record, stored};

fn append(path: &Path, keep: impl FnMut(&Member) -> bool) -> cask_archive::Result<ArchiveWriter> {
    let locked = LockedArchive::open(path, &ReadOptions::default())?;
    ArchiveWriter::append_to(locked, WriteOptions::default(), keep)
}

fn names(path: &Path) -> Vec<String> {
    let archive = ArchiveReader::open(path, &ReadOptions::default()).unwrap();
    archive.members().iter().map(|member| member.display_name().into_owned()).collect()
}

#[test]
fn members_are_kept_replaced_and_added() {
    let long = "n".repeat(300);
    let large: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();
    let old = Raw::default()
        .directory("d")
        .file("d/large", &large)
        .file("index", b"old")
        .extension(b'x', &record("path", &long))
        .file("cut", b"long")
        .zeros(0);
    let (directory, path) = stored(&old.clone().end());
    let writer = append(&path, |member| member.name() != b"index").unwrap();
    assert!(writer.contains("d/large") && !writer.contains("index"));
    assert_eq!(writer.append_bytes("d/large", b"").unwrap_err().kind(), ErrorKind::Duplicate);
    writer.directory("d").unwrap();
    writer.append_bytes("added", b"added").unwrap();
    writer.append_bytes("index", b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), old.end(), "nothing changes before the end");
    writer.finish(Durability::Disk).unwrap();

    assert_eq!(names(&path), ["d", "d/large", &long, "added", "index"]);
    let archive = ArchiveReader::open(&path, &ReadOptions::default()).unwrap();
    assert_eq!(archive.read_member("d/large", 1 << 20).unwrap(), large);
    assert_eq!(archive.read_member(&long, 10).unwrap(), b"long");
    assert_eq!(archive.read_member("index", 10).unwrap(), b"new");
    assert_eq!(names_in(directory.path()), ["archive.tar"]);
}

#[test]
fn everything_is_kept_byte_for_byte() {
    let old = Raw::default().file("a", b"one").symlink("l", "a").file("b", &[2; 100_000]);
    let (_directory, path) = stored(&old.clone().zeros(18).0);
    append(&path, |_| true).unwrap().finish(Durability::Kernel).unwrap();
    assert_eq!(fs::read(&path).unwrap(), old.end());
}

#[test]
fn what_cannot_be_added_to_is_refused() {
    let check = |bytes: &[u8], kind| {
        let (_directory, path) = stored(bytes);
        assert_eq!(append(&path, |_| true).unwrap_err().kind(), kind);
        assert_eq!(fs::read(&path).unwrap(), bytes);
    };
    check(b"\x1f\x8b\x08 gzip", ErrorKind::Unsupported);
    check(b"", ErrorKind::Truncated);
    check(&Raw::default().file("a", b"").file("a", b"").end(), ErrorKind::Duplicate);
    let latin = Raw::default().head(crate::raw::Head::new(b"\xff", b'0', 0)).end();
    check(&latin, ErrorKind::Unsupported);
    let missing = append(Path::new("/nonexistent/x"), |_| true).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NoArchive);
}

#[test]
fn of_two_that_add_none_is_lost() {
    let (directory, path) = stored(&Raw::default().file("a", b"").end());
    std::thread::scope(|scope| {
        for number in 0..8 {
            let path = &path;
            scope.spawn(move || {
                let writer = append(path, |_| true).unwrap();
                std::thread::sleep(Duration::from_millis(5));
                writer.append_bytes(&format!("added-{number}"), b"x").unwrap();
                writer.finish(Durability::Kernel).unwrap();
            });
        }
    });
    let mut found = names(&path);
    found.sort();
    assert_eq!(found.len(), 9);
    assert_eq!(found[8], "added-7");
    assert_eq!(names_in(directory.path()), ["archive.tar"]);
}

#[test]
fn giving_up_leaves_the_archive_alone() {
    let old = Raw::default().file("a", b"one").end();
    let (directory, path) = stored(&old);
    let writer = append(&path, |_| true).unwrap();
    writer.append_bytes("b", b"two").unwrap();
    drop(writer);
    assert_eq!(fs::read(&path).unwrap(), old);
    assert_eq!(names_in(directory.path()), ["archive.tar"]);
    // The lock is gone too.
    append(&path, |_| true).unwrap();
}
