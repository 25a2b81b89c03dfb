//! Killed writers.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use cask_archive::{ArchiveReader, ArchiveWriter, Durability, ReadOptions, WriteOptions};

use crate::raw::names_in;

/// Set in the process that is to be killed: the archive that it writes.
const VICTIM: &str = "CASK_ARCHIVE_VICTIM";

/// Set too if the process is to stop in the middle of the archive.
const STOPS: &str = "CASK_ARCHIVE_VICTIM_STOPS";

/// Not a test of its own: the process that [`a_killed_writer_leaves_the_old_archive`] kills.
#[test]
fn victim() {
    let Some(path) = std::env::var_os(VICTIM) else { return };
    let write = |stops: bool| {
        let writer = ArchiveWriter::create(&path, WriteOptions::default()).unwrap();
        for number in 0..50 {
            writer.append_bytes(&format!("member-{number}"), &[7; 10_000]).unwrap();
            if stops && number == 25 {
                println!("halfway");
                std::io::stdout().flush().unwrap();
                std::thread::sleep(std::time::Duration::from_secs(60));
            }
        }
        writer.finish(Durability::Kernel).unwrap();
    };
    loop {
        write(std::env::var_os(STOPS).is_some());
    }
}

fn victim_process(path: &std::path::Path, stops: bool) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "crash::victim", "--nocapture"]).env(VICTIM, path);
    if stops {
        command.env(STOPS, "1");
    }
    command.stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_killed_writer_leaves_the_old_archive() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.tar");
    fs::write(&path, b"old").unwrap();
    let mut child = victim_process(&path, true);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("halfway")));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names_in(directory.path()), ["out.tar"]);
}

#[test]
fn killed_at_any_time_the_archive_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.tar");
    for round in 0..12 {
        let mut child = victim_process(&path, false);
        std::thread::sleep(std::time::Duration::from_millis(20 + 7 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        if path.exists() {
            let archive = ArchiveReader::open(&path, &ReadOptions::default()).unwrap();
            assert_eq!(archive.members().len(), 50);
        }
    }
    // Whatever the killed ones left, the next writer sweeps up.
    ArchiveWriter::create(&path, WriteOptions::default())
        .unwrap()
        .finish(Durability::Kernel)
        .unwrap();
    assert_eq!(names_in(directory.path()), ["out.tar"]);
}
