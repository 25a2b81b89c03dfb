//! The suite that every transport passes.

#![allow(missing_docs, reason = "tests")]
#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cask_storage::{Durability, Store, StoreOptions};
use cask_testkit::conformance::{self, Place};
use cask_transport::Transports;
use cask_transport_containers_storage::{
    ContainersStorageOptions, ContainersStorageTransport, StoreUse,
};

/// What images leave in stores below a directory: what every store has, with or without them, does not count.
fn litter(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        // Directories where layers come and go do so themselves.
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for entry in entries {
            let entry = entry.unwrap();
            let path = entry.path();
            // What was read whole is kept for who tries again: nobody sees it.
            let is_kept = directory.ends_with("cask") && entry.file_name() == "blobs";
            if entry.file_type().unwrap().is_dir() && !is_kept {
                pending.push(path.clone());
            }
            // Of layers everything is listed, of what is around them what has a name of its own.
            let below = entry.file_name().into_string().unwrap();
            let always = [
                "root", "run", "overlay", "vfs", "dir", "l", "tempdirs", "tmp", "cask", "blobs",
                "reserve",
            ];
            let of_store = always.contains(&below.as_str())
                || ["overlay-", "vfs-", "storage.", "mountpoints."]
                    .iter()
                    .any(|start| below.starts_with(start))
                || below.ends_with(".lock");
            if !of_store {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Waits for writes that were given up: they end on their threads, and take along what they wrote.
fn wait_for_the_given_up(directory: &Path) {
    let is_idle = |case: &Path| {
        let count = |path: &str| std::fs::read_dir(case.join(path)).map_or(0, Iterator::count);
        [
            "root/overlay/tempdirs",
            "root/vfs/tempdirs",
            "root/overlay-layers/tmp",
            "root/vfs-layers/tmp",
        ]
        .iter()
        .all(|path| count(path) == 0)
    };
    let start = Instant::now();
    let cases = || std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    while !cases().all(|case| is_idle(&case)) {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "something stays where layers come and go"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn place(directory: &Path, driver: &'static str, kept_bytes: u64) -> Place {
    let mut options = ContainersStorageOptions::default();
    options.store = Arc::new(move |specifier, used| {
        let specifier = specifier.expect("every location of the suite has a store");
        let run_root = specifier.run_root.clone().expect("and a run root");
        let mut options = StoreOptions::new(&specifier.graph_root, run_root);
        options.driver = specifier.driver.as_deref().map(str::parse).transpose()?;
        options.read_only = used == StoreUse::Read;
        options.durability = Durability::None;
        options.kept_blobs.budget_bytes = kept_bytes;
        Ok(Store::open(options)?)
    });
    let transports = Transports::new().with(ContainersStorageTransport::new(options));
    let top = directory.to_owned();
    let place = Place::new(transports, directory, move |path, name| {
        let (path, name) = (path.display(), name.unwrap_or("only"));
        format!("containers-storage:[{driver}@{path}/root+{path}/run]{name}")
    });
    // Cases are directories of the place: that one was begun is no litter.
    place.with_litter(move || {
        wait_for_the_given_up(&top);
        let cases = std::fs::read_dir(&top).unwrap().map(|entry| entry.unwrap().path());
        let mut all: Vec<PathBuf> = cases.flat_map(|case| litter(&case)).collect();
        all.sort();
        all
    })
}

#[tokio::test]
async fn overlay_stores_keep_the_promises_of_the_seam() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(conformance::run(&place(directory.path(), "overlay", 0)).await, 22);
}

#[tokio::test]
async fn overlay_stores_with_the_blobs_that_came_keep_the_promises_of_the_seam() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(conformance::run(&place(directory.path(), "overlay", 1 << 30)).await, 22);
}

#[tokio::test]
async fn vfs_stores_keep_the_promises_of_the_seam() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(conformance::run(&place(directory.path(), "vfs", 0)).await, 22);
}
