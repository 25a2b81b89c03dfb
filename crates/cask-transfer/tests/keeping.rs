//! Parts of blobs and uploads, between those who fetch and push. No test here starts a process: until it runs its
//! program, a child has the locks of all other tests.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use std::fs::{File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cask_image::Hasher;
use cask_reference::{Algorithm, Digest, Repository};
use cask_transfer::{PIECE_BYTES, Partial, TransferOptions, Transfers};
use proptest::prelude::*;

fn digest(last: usize) -> Digest {
    format!("sha256:{last:064x}").parse().unwrap()
}

fn transfers(path: &Path) -> Transfers {
    Transfers::new(path.join("kept"), TransferOptions::default())
}

fn of(blob: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, blob)
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n * 7 + n / 251) as u8).collect()
}

/// Keeps the whole pieces of the first bytes of a blob, and all if they are all.
fn keep(partial: &mut Partial, blob: &[u8], count: usize) {
    for piece in blob[..count].chunks(PIECE_BYTES) {
        if piece.len() == PIECE_BYTES || count == blob.len() {
            let (one, other) = piece.split_at(piece.len() / 3);
            let parts = [Bytes::copy_from_slice(one), Bytes::copy_from_slice(other)];
            partial.append(&parts).unwrap();
        }
    }
}

fn read(partial: &mut Partial) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(piece) = partial.next() {
        all.extend_from_slice(&piece);
        assert_eq!(partial.position(), all.len() as u64);
    }
    all
}

fn file(directory: &Path, number: usize) -> std::path::PathBuf {
    directory.join("kept/partial").join(digest(number).to_string().replace(':', "-"))
}

fn make_old(path: &Path, seconds: u64) {
    let then = SystemTime::now() - Duration::from_secs(seconds);
    File::open(path).unwrap().set_times(FileTimes::new().set_modified(then)).unwrap();
}

#[test]
fn whole_pieces_are_kept_and_a_whole_blob() {
    let directory = tempfile::tempdir().unwrap();
    let check = |size: usize, count: usize, expected: usize| {
        let blob = bytes(size);
        let digest = of(&blob);
        let transfers = transfers(directory.path());
        let mut partial = transfers.begin_partial(&digest, size as u64).unwrap();
        keep(&mut partial, &blob, count);
        drop(partial);
        let mut partial = transfers.partial(&digest, size as u64).unwrap();
        assert_eq!(read(&mut partial), blob[..expected]);
        assert_eq!(partial.is_complete(), expected == size);
        // What is missing can be added by the next process, too.
        for piece in blob[expected..].chunks(PIECE_BYTES) {
            partial.append(&[Bytes::copy_from_slice(piece)]).unwrap();
        }
        drop(partial);
        let mut partial = transfers.partial(&digest, size as u64).unwrap();
        assert_eq!(read(&mut partial), blob);
        partial.remove();
        assert!(transfers.partial(&digest, size as u64).is_none());
    };
    let piece = PIECE_BYTES;
    check(3 * piece + 17, 0, 0);
    check(3 * piece + 17, piece - 1, 0);
    check(3 * piece + 17, 2 * piece + 5, 2 * piece);
    check(3 * piece + 17, 3 * piece + 17, 3 * piece + 17);
    check(3 * piece, 3 * piece, 3 * piece);
    check(5, 5, 5);
}

#[test]
fn a_whole_blob_with_another_digest_is_thrown_away() {
    let directory = tempfile::tempdir().unwrap();
    for size in [PIECE_BYTES, 2 * PIECE_BYTES + 9] {
        let transfers = transfers(directory.path());
        let mut partial = transfers.begin_partial(&digest(1), size as u64).unwrap();
        keep(&mut partial, &bytes(size), size);
        drop(partial);
        assert!(transfers.partial(&digest(1), size as u64).is_none());
        assert!(!file(directory.path(), 1).exists());
    }
}

#[test]
fn what_a_power_failure_left_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let size = 3 * PIECE_BYTES;
    let blob = bytes(size);
    let check = |spoil: &dyn Fn(&File), expected: usize| {
        let transfers = transfers(directory.path());
        let mut partial = transfers.begin_partial(&digest(1), size as u64).unwrap();
        keep(&mut partial, &blob, 2 * PIECE_BYTES);
        drop(partial);
        spoil(&File::options().write(true).open(file(directory.path(), 1)).unwrap());
        let mut partial = transfers.partial(&digest(1), size as u64).unwrap();
        assert_eq!(read(&mut partial), blob[..expected]);
    };
    let write = |file: &File, at: usize| {
        std::os::unix::fs::FileExt::write_all_at(file, b"??", at as u64).unwrap();
    };
    check(&|_| {}, 2 * PIECE_BYTES);
    check(&|file| file.set_len(size as u64).unwrap(), 2 * PIECE_BYTES);
    check(&|file| file.set_len(2 * PIECE_BYTES as u64).unwrap(), PIECE_BYTES);
    check(&|file| write(file, PIECE_BYTES + 100), PIECE_BYTES);
    check(&|file| write(file, PIECE_BYTES + 1), 0);
    check(&|file| write(file, 0), 0);
}

#[test]
fn two_at_once_do_not_share_a_part_or_an_upload() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (transfers(directory.path()), transfers(directory.path()));
    let partial = one.begin_partial(&digest(1), 9).unwrap();
    assert!(other.begin_partial(&digest(1), 9).is_none() && other.partial(&digest(1), 9).is_none());
    assert!(other.begin_partial(&digest(2), 9).is_some());
    drop(partial);
    assert!(other.partial(&digest(1), 9).is_some());

    let repository: Repository = "a.example/x".parse().unwrap();
    let upload = one.upload(&repository, &digest(1)).unwrap();
    upload.write(b"first");
    upload.write(b"next");
    assert!(other.upload(&repository, &digest(1)).is_none());
    assert_eq!(other.upload(&repository, &digest(2)).unwrap().read(), None);
    assert_eq!(other.upload(&"b.example/x".parse().unwrap(), &digest(1)).unwrap().read(), None);
    drop(upload);
    assert_eq!(other.upload(&repository, &digest(1)).unwrap().read().unwrap(), b"next");
    other.upload(&repository, &digest(1)).unwrap().remove();
    assert_eq!(other.upload(&repository, &digest(1)).unwrap().read(), None);
}

#[test]
fn an_upload_whose_blob_is_there_is_forgotten_unless_it_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let transfers = transfers(directory.path());
    let repository: Repository = "a.example/x".parse().unwrap();
    transfers.forget_upload(&repository, &digest(1));
    let upload = transfers.upload(&repository, &digest(1)).unwrap();
    upload.write(b"a session");
    let kept = || std::fs::read_dir(directory.path().join("kept/uploads")).unwrap().count();
    transfers.forget_upload(&repository, &digest(1));
    assert_eq!(kept(), 1);
    drop(upload);
    transfers.forget_upload(&repository, &digest(2));
    assert_eq!(kept(), 1);
    transfers.forget_upload(&repository, &digest(1));
    assert_eq!(kept(), 0);
}

#[test]
fn the_oldest_go_when_there_is_no_room_but_not_what_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let size = PIECE_BYTES as u64;
    let mut options = TransferOptions::default();
    options.partial_bytes = 3 * size + 100;
    let transfers = Transfers::new(directory.path().join("kept"), options);
    let make = |number: usize| {
        let mut partial = transfers.begin_partial(&digest(number), size)?;
        keep(&mut partial, &bytes(PIECE_BYTES), PIECE_BYTES);
        Some(partial)
    };
    let used = make(1).unwrap();
    make(2).unwrap();
    make(3).unwrap();
    [1, 2, 3].into_iter().for_each(|n| make_old(&file(directory.path(), n), 100 - n as u64));
    make(4).unwrap();
    let is_there = |number: usize| file(directory.path(), number).exists();
    assert_eq!([1, 2, 3, 4].map(is_there), [true, false, true, true]);
    assert!(transfers.begin_partial(&digest(5), 4 * size).is_none(), "more than all");
    drop(used);
}

#[test]
fn what_is_old_goes() {
    let directory = tempfile::tempdir().unwrap();
    let transfers = transfers(directory.path());
    let week = 7 * 24 * 60 * 60;
    for number in 0..3 {
        drop(transfers.begin_partial(&digest(number), 9).unwrap());
    }
    make_old(&file(directory.path(), 0), week + 60);
    make_old(&file(directory.path(), 1), week + 60);
    make_old(&file(directory.path(), 2), week - 60);
    assert!(transfers.partial(&digest(0), 9).is_none(), "not even for who asks for it");
    drop(transfers.begin_partial(&digest(3), 9).unwrap());
    let is_there = |number: usize| file(directory.path(), number).exists();
    assert_eq!([0, 1, 2, 3].map(is_there), [false, false, true, true]);

    let repository: Repository = "a.example/x".parse().unwrap();
    transfers.upload(&repository, &digest(1)).unwrap().write(b"first");
    let uploads = directory.path().join("kept/uploads");
    let name = std::fs::read_dir(&uploads).unwrap().next().unwrap().unwrap().path();
    make_old(&name, week + 60);
    assert_eq!(transfers.upload(&repository, &digest(1)).unwrap().read(), None);
}

#[test]
fn only_the_owner_can_read_what_is_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let transfers = transfers(directory.path());
    let _partial = transfers.begin_partial(&digest(1), 9).unwrap();
    let _upload = transfers.upload(&"a.example/x".parse().unwrap(), &digest(1)).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let root = directory.path().join("kept");
    for (path, expected) in [
        (root.clone(), 0o700),
        (root.join("partial"), 0o700),
        (root.join("uploads"), 0o700),
        (file(directory.path(), 1), 0o600),
    ] {
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
}

#[test]
fn links_and_directories_in_the_way_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let transfers = transfers(directory.path());
    drop(transfers.begin_partial(&digest(9), 9).unwrap());
    let other = directory.path().join("other");
    std::fs::write(&other, "precious").unwrap();
    std::os::unix::fs::symlink(&other, file(directory.path(), 1)).unwrap();
    std::fs::create_dir(file(directory.path(), 2)).unwrap();
    assert!(transfers.begin_partial(&digest(1), 9).is_none());
    assert!(transfers.begin_partial(&digest(2), 9).is_none());
    assert_eq!(std::fs::read(other).unwrap(), b"precious");
}

#[test]
fn a_directory_that_cannot_be_made_keeps_nothing_and_stops_nobody() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("kept"), "a file").unwrap();
    let transfers = transfers(directory.path());
    assert!(transfers.partial(&digest(1), 9).is_none());
    assert!(transfers.begin_partial(&digest(1), 9).is_none());
    assert!(transfers.upload(&"a.example/x".parse().unwrap(), &digest(1)).is_none());
    assert!(transfers.repositories_with(&digest(1), "a.example").is_empty());
}

proptest! {
    #[test]
    fn whatever_is_in_the_file_no_piece_is_made_up(
        junk in proptest::collection::vec(any::<u8>(), 0..64), size in 0_u64..64,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let transfers = transfers(directory.path());
        drop(transfers.begin_partial(&digest(1), size).unwrap());
        std::fs::write(file(directory.path(), 1), &junk).unwrap();
        let found = transfers.partial(&digest(1), size).map(|mut partial| read(&mut partial));
        let found = found.unwrap_or_default();
        prop_assert!(junk.starts_with(&found) && found.len() as u64 <= size);
    }
}

#[test]
fn a_host_that_did_not_answer_is_remembered_for_a_while() {
    let directory = tempfile::tempdir().unwrap();
    let one = transfers(directory.path());
    assert_eq!(one.silent_for("mirror.example"), None);
    one.note_silence("mirror.example");
    let other = transfers(directory.path());
    assert!(other.silent_for("mirror.example").unwrap() < std::time::Duration::from_secs(60));
    assert_eq!(other.silent_for("mirror.example:5000"), None);
    let files: Vec<_> = std::fs::read_dir(directory.path().join("kept/silent")).unwrap().collect();
    let note = files[0].as_ref().unwrap().path();
    let at = |seconds: i64| {
        let now = std::time::SystemTime::now();
        let moved = std::time::Duration::from_secs(seconds.unsigned_abs());
        let time = if seconds < 0 { now - moved } else { now + moved };
        std::fs::File::open(&note).unwrap().set_modified(time).unwrap();
    };
    // Long ago, and at a time that has not come.
    for seconds in [-3600, 3600] {
        at(seconds);
        assert_eq!(other.silent_for("mirror.example"), None, "{seconds}");
    }
    at(-3600);
    (0..300).for_each(|host| other.note_silence(&format!("host{host}.example")));
    let left = std::fs::read_dir(directory.path().join("kept/silent")).unwrap().count();
    assert_eq!(left, 256, "neither what is old nor too much is kept");
    assert!(!note.exists());
}
