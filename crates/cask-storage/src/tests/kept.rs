//! Blobs that are kept beside the layers that came as them.

use std::fs::{self, FileTimes};
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use cask_image::Digest;

use super::full::SmallDisk;
use super::support::*;
use crate::{CheckOptions, Id, ProblemKind, PruneOptions, Result, StageOptions, Store};

/// A layer of one file, compressed.
fn blob(name: &str) -> Vec<u8> {
    blob_of(name, name.as_bytes())
}

fn blob_of(name: &str, content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    builder.append_data(&mut header, name, content).unwrap();
    let tar = builder.into_inner().unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&tar).unwrap();
    encoder.finish().unwrap()
}

/// Reads a compressed layer and stores it.
pub(super) fn add(store: &Store, name: &str) -> Result<(Id, Digest)> {
    let blob = blob(name);
    let options = StageOptions { blob_digest: Some(sha256(&blob)), ..Default::default() };
    let staged = store.stage_layer(&blob[..], &options)?;
    Ok((store.commit_layer(None, staged)?.id.clone(), sha256(&blob)))
}

fn open_with(directory: &Path, budget_bytes: u64) -> Store {
    let mut options = options(directory);
    options.kept_blobs.budget_bytes = budget_bytes;
    Store::open(options).unwrap()
}

fn kept(store: &Store) -> Vec<Digest> {
    store.kept_blobs().into_iter().map(|blob| blob.digest).collect()
}

/// Says of a blob that it was used so long ago.
fn age(directory: &Path, digest: &Digest, seconds: u64) {
    let path = directory.join("root/cask/blobs/sha256").join(digest.hex());
    let time = SystemTime::now() - Duration::from_secs(seconds);
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

#[test]
fn a_blob_is_kept_as_long_as_its_layer() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let (id, digest) = add(&store, "a").unwrap();
    let mut bytes = Vec::new();
    store.open_kept_blob(&digest).unwrap().unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, blob("a"));
    let found = &store.kept_blobs()[0];
    assert_eq!((found.size_bytes, found.is_of_layer), (bytes.len() as u64, true));
    store.delete_layer(&id).unwrap();
    assert!(store.open_kept_blob(&digest).unwrap().is_none());
    check_clean(temp.path(), "deleted");
}

#[test]
fn plain_streams_and_those_that_fail_are_not_kept() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(&blob("a")[..]).read_to_end(&mut tar).unwrap();
    drop(store.stage_layer(&tar[..], &StageOptions::default()).unwrap());
    let options = StageOptions { diff_digest: Some(sha256(b"other")), ..Default::default() };
    store.stage_layer(&blob("b")[..], &options).unwrap_err();
    let cut = &blob("c")[..20];
    store.stage_layer(cut, &StageOptions::default()).unwrap_err();
    assert_eq!(kept(&store), []);
    check_clean(temp.path(), "failed");
}

#[test]
fn beyond_the_budget_what_was_not_used_for_longest_goes() {
    let temp = tempfile::tempdir().unwrap();
    let size = blob("a").len() as u64;
    let store = open_with(temp.path(), size * 2 + size / 2);
    let (_, a) = add(&store, "a").unwrap();
    let (_, b) = add(&store, "b").unwrap();
    age(temp.path(), &a, 20);
    age(temp.path(), &b, 10);
    drop(store.open_kept_blob(&a).unwrap());
    let (_, c) = add(&store, "c").unwrap();
    let mut found = kept(&store);
    found.sort_by_key(Digest::to_string);
    let mut expected = vec![a, c];
    expected.sort_by_key(Digest::to_string);
    assert_eq!(found, expected);
    let none = open_with(temp.path(), 0);
    add(&none, "d").unwrap();
    assert_eq!(kept(&none), []);
}

#[test]
fn what_no_layer_came_as_goes_after_a_day() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    // Of a pull that did not come to its end.
    drop(store.stage_layer(&blob("a")[..], &StageOptions::default()).unwrap());
    assert_eq!(kept(&store).len(), 1);
    assert!(!store.kept_blobs()[0].is_of_layer);
    store.prune(&PruneOptions::default()).unwrap();
    assert_eq!(kept(&store).len(), 1, "somebody may try again");
    age(temp.path(), &sha256(&blob("a")), 25 * 60 * 60);
    store.prune(&PruneOptions::default()).unwrap();
    assert_eq!(kept(&store), []);
}

#[test]
fn a_blob_that_changed_is_found_and_mended() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let (_, digest) = add(&store, "a").unwrap();
    fs::write(temp.path().join("root/cask/blobs/sha256").join(digest.hex()), "changed").unwrap();
    let options = CheckOptions { verify_layers: true, ..CheckOptions::default() };
    let problems = store.check(&options).unwrap();
    let broken: Vec<_> = problems.iter().filter(|problem| !problem.kind.is_waste()).collect();
    assert_eq!(broken.len(), 1, "{problems:?}");
    assert_eq!(broken[0].kind, ProblemKind::KeptBlobChanged);
    store.delete_kept_blob(&digest).unwrap();
    assert_eq!(kept(&store), []);
}

#[test]
fn of_a_small_disk_blobs_take_a_share_of_what_is_free() {
    let Some(disk) = SmallDisk::new() else { return };
    let store = open(disk.path());
    add(&store, "small").unwrap();
    assert_eq!(kept(&store).len(), 1, "a disk may be small");
    // More than a fourth of the four MiB of the disk, of which little can be compressed.
    let mut content = vec![0; 1_200_000];
    crate::random::fill(&mut content);
    let large = blob_of("large", &content);
    for blob_size_bytes in [None, Some(large.len() as u64)] {
        let options = StageOptions { blob_size_bytes, ..Default::default() };
        drop(store.stage_layer(&large[..], &options).unwrap());
        assert_eq!(kept(&store).len(), 1, "{blob_size_bytes:?}");
    }
}

/// Programs from before 1.63 find the layers below by the names of short links alone.
#[test]
fn short_links_are_those_of_whoever_stored_a_layer_first() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let waiting = store.with_pending();
    let lower = waiting.commit_layer(None, stage(&waiting, "lower").unwrap()).unwrap();
    let upper = waiting.commit_layer(Some(&lower.id), stage(&waiting, "upper").unwrap()).unwrap();
    // Another process stores the same layer meanwhile, with a link of its own.
    store.commit_layer(None, stage(&store, "lower").unwrap()).unwrap();
    waiting.settle().unwrap();
    let driver = temp.path().join("root/overlay");
    let read =
        |id: &Id, name: &str| fs::read_to_string(driver.join(id.as_str()).join(name)).unwrap();
    assert_eq!(read(&upper.id, "lower"), format!("l/{}", read(&lower.id, "link")));
    assert!(driver.join(read(&upper.id, "lower")).join("lower").exists());
}
