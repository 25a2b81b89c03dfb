//! What needs root: a file system that is full.

#![cfg(test)]

use std::fs;
use std::path::Path;
use std::process::Command;

use cask_archive::{
    ArchiveReader, ArchiveWriter, Durability, ErrorKind, LockedArchive, ReadOptions, Result,
    WriteOptions,
};

/// A tiny file system, unmounted at the end.
struct Mount(tempfile::TempDir);

impl Mount {
    /// `None` for users who may not mount.
    fn new(kilobytes: u64) -> Option<Self> {
        let temp = tempfile::tempdir().unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"])
            .arg(temp.path())
            .status();
        if status.is_ok_and(|status| status.success()) {
            return Some(Self(temp));
        }
        assert!(std::env::var_os("CI").is_none(), "this test needs root, to mount a file system");
        eprintln!("no right to mount a file system: nothing was tested");
        None
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

fn write(path: &Path, kilobytes: usize) -> Result<u64> {
    let writer = ArchiveWriter::create(path, WriteOptions::default())?;
    for number in 0..kilobytes {
        writer.append_bytes(&format!("member-{number}"), &[7; 512])?;
    }
    writer.finish(Durability::Disk)
}

fn add(path: &Path, name: &str, kilobytes: usize) -> Result<u64> {
    let old = LockedArchive::open(path, &ReadOptions::default())?;
    let writer = ArchiveWriter::append_to(old, WriteOptions::default(), |_| true)?;
    // What waits for its place needs room too.
    let head = writer.reserve_unsized(Some("head"))?;
    writer.append_bytes(name, &vec![7; kilobytes << 10])?;
    drop(head);
    writer.finish(Durability::Disk)
}

#[test]
fn a_full_file_system_loses_nothing() {
    let Some(mount) = Mount::new(1024) else { return };
    let path = mount.0.path().join("archive.tar");
    let check = |result: Result<u64>| {
        let error = result.unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        let source = source.downcast_ref::<std::io::Error>().unwrap();
        assert_eq!(source.kind(), std::io::ErrorKind::StorageFull, "{error}");
        assert_eq!(error.kind(), ErrorKind::Io);
    };
    check(write(&path, 2000));
    assert_eq!(fs::read_dir(mount.0.path()).unwrap().count(), 0);

    write(&path, 400).unwrap();
    let old = fs::read(&path).unwrap();
    // At every page of the room that is left, the next write fails.
    for kilobytes in (100..2000).step_by(50) {
        match kilobytes {
            0..650 => drop(write(&mount.0.path().join("other.tar"), kilobytes)),
            _ => check(write(&path, kilobytes)),
        }
        let _ = fs::remove_file(mount.0.path().join("other.tar"));
        assert!(fs::read(&path).unwrap() == old);
        assert_eq!(fs::read_dir(mount.0.path()).unwrap().count(), 1);
    }
    for kilobytes in [300, 640, 1100] {
        check(add(&path, "added", kilobytes));
        assert!(fs::read(&path).unwrap() == old);
        assert_eq!(fs::read_dir(mount.0.path()).unwrap().count(), 1);
    }
    add(&path, "added", 50).unwrap();
    let archive = ArchiveReader::open(&path, &ReadOptions::default()).unwrap();
    assert_eq!(archive.members().len(), 401);
}
