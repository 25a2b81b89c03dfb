//! Who fetches a blob and dies, or whose disk fails, at any step.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use std::path::Path;

use bytes::Bytes;
use cask_files::fault::{Fault, arm, steps};
use cask_reference::{Digest, Repository};
use cask_transfer::{Hint, PIECE_BYTES, TransferOptions, Transfers};

/// Says to a child process where it is to fetch a blob, and before which step it dies.
const PLACE: &str = "CASK_TRANSFER_TEST_PLACE";
const STEP: &str = "CASK_TRANSFER_TEST_STEP";

fn transfers_at(directory: &Path) -> Transfers {
    Transfers::new(directory.join("kept"), TransferOptions::default())
}

fn digest() -> Digest {
    format!("sha256:{:064x}", 1).parse().unwrap()
}

/// What a fetch does with what is kept of its blob; nobody fails because nothing can be kept. Tells how much was
/// kept.
fn fetch(directory: &Path) -> usize {
    let (transfers, blob) = (transfers_at(directory), vec![7; 2 * PIECE_BYTES + 9]);
    let (digest, size) = (digest(), blob.len() as u64);
    let repository: Repository = "a.example/x".parse().unwrap();
    let kept = transfers.partial(&digest, size).or_else(|| transfers.begin_partial(&digest, size));
    let mut found = 0;
    if let Some(mut partial) = kept {
        let mut read = Vec::new();
        while let Some(piece) = partial.next() {
            read.extend_from_slice(&piece);
        }
        assert!(blob.starts_with(&read), "whatever was kept is of the blob");
        found = read.len();
        let rest = blob[found..].chunks(PIECE_BYTES).map(Bytes::copy_from_slice);
        // The last of it is not kept: it has arrived.
        for piece in rest.filter(|piece| piece.len() == PIECE_BYTES) {
            if partial.append(&[piece]).is_err() {
                break;
            }
        }
        partial.remove();
    }
    if let Some(upload) = transfers.upload(&repository, &digest) {
        upload.write(b"a session");
        upload.remove();
    }
    transfers.remember(&[Hint::Place { digest, repository }]);
    found
}

/// Asserts that the next one goes on, and that nothing stays behind it.
fn check_after(directory: &Path, at: &str) -> usize {
    let found = fetch(directory);
    for kind in ["partial", "uploads"] {
        let left = std::fs::read_dir(directory.join("kept").join(kind)).unwrap().count();
        assert_eq!(left, 0, "{at}: {kind}");
    }
    let seen = transfers_at(directory).repositories_with(&digest(), "a.example");
    assert_eq!(seen.len(), 1, "{at}");
    found
}

/// Not a test of its own: what the child processes run.
#[test]
fn child() {
    let (Some(place), Ok(step)) = (std::env::var_os(PLACE), std::env::var(STEP)) else { return };
    arm(Some(Fault::Die(step.parse().unwrap())));
    fetch(Path::new(&place));
}

#[test]
fn whoever_dies_or_fails_at_any_step_leaves_what_the_next_one_goes_on_with() {
    let scratch = || tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let temp = scratch();
    arm(None);
    fetch(temp.path());
    let count = steps();
    assert!(count > 10, "{count} steps");
    let mut most = 0;
    for step in 0..count {
        for fault in [Fault::Fail(step), Fault::Full(step)] {
            let temp = scratch();
            arm(Some(fault));
            fetch(temp.path());
            arm(None);
            check_after(temp.path(), &format!("{fault:?}"));
        }
        let temp = scratch();
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "child"]).env(PLACE, temp.path()).env(STEP, step.to_string());
        let ended = child.output().unwrap();
        assert!(!ended.status.success(), "step {step}: {ended:?}");
        most = most.max(check_after(temp.path(), &format!("dead at step {step}")));
    }
    assert_eq!(most, 2 * PIECE_BYTES, "whole pieces outlive who kept them");
}
