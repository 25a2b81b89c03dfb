//! Entries that are kept, and files that are damaged.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cask_rootfs::Root;

use super::{Known, StatCache};
use crate::View;
use crate::view::Status;

/// A description of a file that was touched long ago.
fn status(inode: u64) -> Status {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("f"), "").unwrap();
    let view = View::of_root(Root::open(directory.path()).unwrap());
    let mut status = view.status("f").unwrap().unwrap();
    status.inode = inode;
    status.modified = cask_rootfs::Timestamp { seconds: 1_000_000_000, nanoseconds: 1 };
    status.changed = status.modified;
    status
}

fn known(byte: u8) -> Known {
    Known { sha256: [byte; 32], has_xattrs: byte.is_multiple_of(2) }
}

fn now() -> SystemTime {
    SystemTime::now()
}

#[test]
fn what_was_learned_is_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b/cache");
    let cache = StatCache::open(&path);
    for number in 0..100 {
        cache.learn(&status(number), known(number as u8), now());
    }
    assert_eq!(cache.lookup(&status(5)), Some(known(5)));
    cache.save().unwrap();
    let cache = StatCache::open(&path);
    assert_eq!((cache.len(), cache.warning()), (100, None));
    for number in 0..100 {
        assert_eq!(cache.lookup(&status(number)), Some(known(number as u8)));
    }
    assert_eq!(cache.lookup(&status(100)), None);
}

#[test]
fn every_part_of_the_state_counts() {
    let cache = StatCache::in_memory();
    let before = status(1);
    cache.learn(&before, known(1), now());
    let changes: [fn(&mut Status); 5] = [
        |status| status.device += 1,
        |status| status.inode += 1,
        |status| status.size_bytes += 1,
        |status| status.modified.nanoseconds += 1,
        |status| status.changed.nanoseconds += 1,
    ];
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache");
    let written = StatCache::open(&path);
    written.learn(&before, known(1), now());
    written.save().unwrap();
    for cache in [cache, StatCache::open(&path)] {
        for change in changes {
            let mut after = before;
            change(&mut after);
            assert_eq!(cache.lookup(&after), None);
        }
        assert_eq!(cache.lookup(&before), Some(known(1)));
    }
}

#[test]
fn racy_entries_are_not_kept() {
    let check = |seconds: i64, nanoseconds: u32, began: Duration, expected: bool| {
        let cache = StatCache::in_memory();
        let mut status = status(1);
        status.changed = cask_rootfs::Timestamp { seconds, nanoseconds };
        cache.learn(&status, known(1), UNIX_EPOCH + began);
        assert_eq!(cache.lookup(&status).is_some(), expected, "{seconds}.{nanoseconds}");
    };
    let began = Duration::from_millis(2_000_000_000_500);
    check(2_000_000_000, 500_000_000, began, false);
    check(2_000_000_000, 450_000_000, began, false);
    check(2_000_000_000, 300_000_000, began, true);
    check(2_000_000_001, 1, began, false);
    // A file system that keeps whole seconds.
    let cache = StatCache::in_memory();
    let mut status = status(1);
    status.modified.nanoseconds = 0;
    status.changed = cask_rootfs::Timestamp { seconds: 1_999_999_999, nanoseconds: 0 };
    cache.learn(&status, known(1), UNIX_EPOCH + began);
    assert_eq!(cache.lookup(&status), None);
}

#[test]
fn entries_that_are_not_older_than_the_file_are_not_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache");
    let cache = StatCache::open(&path);
    let mut future = status(1);
    future.modified.seconds = 3_000_000_000;
    // Somebody's clock was wrong when it was learned.
    cache.learn(&future, known(1), UNIX_EPOCH + Duration::from_secs(4_000_000_000));
    cache.save().unwrap();
    let cache = StatCache::open(&path);
    assert_eq!((cache.len(), cache.lookup(&future)), (1, None));
}

#[test]
fn two_processes_do_not_lose_what_the_other_learned() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache");
    let caches: Vec<_> = (0..8).map(|_| StatCache::open(&path)).collect();
    std::thread::scope(|scope| {
        for (number, cache) in caches.iter().enumerate() {
            scope.spawn(move || {
                cache.learn(&status(number as u64), known(1), now());
                cache.save().unwrap();
            });
        }
    });
    assert_eq!(StatCache::open(&path).len(), 8);
    let left: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "the file and its lock");
}

#[test]
fn a_damaged_file_is_an_empty_cache_and_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache");
    let cache = StatCache::open(&path);
    cache.learn(&status(1), known(1), now());
    cache.save().unwrap();
    let good = fs::read(&path).unwrap();
    let check = |bytes: &[u8], expected: &str| {
        fs::write(&path, bytes).unwrap();
        let cache = StatCache::open(&path);
        let warning = cache.warning().unwrap_or_else(|| panic!("{expected}"));
        assert!(warning.contains(expected), "{warning}");
        assert!(cache.is_empty());
    };
    check(b"", "no file of a stat cache");
    check(b"something else that is long enough for a header", "no file of a stat cache");
    check(&good[..good.len() - 1], "wrong length");
    for at in 16..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        check(&bad, "checksum");
    }
    let mut newer = good.clone();
    newer[8] = 9;
    check(&newer, "version 9");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(StatCache::open(&path).warning().is_some());
    fs::remove_dir(&path).unwrap();
    // What is no good is replaced.
    fs::write(&path, "x").unwrap();
    let cache = StatCache::open(&path);
    cache.learn(&status(1), known(1), now());
    cache.save().unwrap();
    assert_eq!(StatCache::open(&path).len(), 1);
}
