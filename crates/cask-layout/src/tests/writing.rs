//! Transactions.

use std::io::Write as _;
use std::sync::Barrier;
use std::time::Duration;

use cask_image::{Algorithm, Hasher, MediaType};

use super::support::*;
use crate::nameless;
use crate::{Durability, ErrorKind, Layout, LayoutTransaction};

#[test]
fn a_commit_makes_a_layout() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("layout");
    let layout = Layout::create_or_open(&path, Default::default()).unwrap();
    assert!(layout.list().unwrap().is_empty(), "a layout that does not exist has no images");
    assert!(!path.exists(), "reading makes nothing");
    let image = image("a", 2);
    write(&layout, &image, Some("v1")).unwrap();
    assert_eq!(names(&layout), ["v1"]);
    assert_eq!(
        std::fs::read(path.join("oci-layout")).unwrap(),
        br#"{"imageLayoutVersion":"1.0.0"}"#
    );
    check_clean(&path);
    assert_eq!(layout.manifest(&image.manifest.descriptor()).unwrap(), image.manifest);
}

#[test]
fn a_dropped_transaction_leaves_nothing() {
    for nameless in [true, false] {
        nameless::allow(nameless);
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("layout");
        let layout = Layout::create_or_open(&path, quick()).unwrap();
        let transaction = layout.begin().unwrap();
        put(&transaction, &image("a", 3)).unwrap();
        let mut unfinished = transaction.blob_writer().unwrap();
        unfinished.write_all(b"half").unwrap();
        drop(unfinished);
        drop(transaction);
        assert!(!path.exists(), "not even the directory");

        write(&layout, &image("b", 1), Some("v1")).unwrap();
        let before = files(&path);
        let transaction = layout.begin().unwrap();
        put(&transaction, &image("a", 3)).unwrap();
        drop(transaction);
        assert_eq!(files(&path), before);
        check_clean(&path);
    }
    nameless::allow(true);
}

#[test]
fn nothing_is_visible_before_the_commit() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let image = image("a", 2);
    let transaction = layout.begin().unwrap();
    put(&transaction, &image).unwrap();
    assert_eq!(layout.blob_size(image.manifest.digest()).unwrap(), None);
    let size = image.manifest.bytes().len() as u64;
    assert_eq!(transaction.blob_size(image.manifest.digest()).unwrap(), Some(size));
    assert!(layout.list().unwrap().is_empty());
    transaction.commit(&[entry(&image.manifest, None)]).unwrap();
    assert_eq!(layout.list().unwrap().len(), 1);
}

#[test]
fn more_blobs_than_files_may_wait_are_taken_back_as_well() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    write(&layout, &image("other", 1), Some("v1")).unwrap();
    let before = files(layout.path());
    let many = image("many", 150);
    let transaction = layout.begin().unwrap();
    put(&transaction, &many).unwrap();
    assert!(files(layout.path()).len() > before.len(), "some got their names early");
    drop(transaction);
    assert_eq!(files(layout.path()), before);
    write(&layout, &many, Some("v2")).unwrap();
    check_clean(layout.path());
}

#[test]
fn finished_blobs_stay_if_asked_for() {
    let temp = tempfile::tempdir().unwrap();
    let keep = options(|options| options.keep_finished_blobs = true);
    let layout = Layout::create_or_open(temp.path().join("layout"), keep).unwrap();
    let image = image("a", 2);
    let transaction = layout.begin().unwrap();
    put(&transaction, &image).unwrap();
    drop(transaction);
    let transaction = layout.begin().unwrap();
    let size = image.manifest.bytes().len() as u64;
    assert_eq!(transaction.blob_size(image.manifest.digest()).unwrap(), Some(size));
    transaction.commit(&[entry(&image.manifest, Some("v1"))]).unwrap();
    check_clean(layout.path());
}

#[test]
fn a_blob_of_the_right_size_is_kept_and_another_replaced() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let first = image("a", 1);
    write(&layout, &first, Some("v1")).unwrap();
    let path = layout.path().join("blobs/sha256").join(digest(&first.blobs[1]).hex());
    let modified = || std::fs::metadata(&path).unwrap().modified().unwrap();
    let before = modified();
    write(&layout, &first, Some("v2")).unwrap();
    assert_eq!(modified(), before, "it was not written again");

    std::fs::write(&path, "cut off").unwrap();
    write(&layout, &first, Some("v2")).unwrap();
    check_clean(layout.path());

    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    write(&layout, &first, Some("v2")).unwrap();
    assert!(!path.is_symlink(), "a link is replaced, not followed");
    check_clean(layout.path());
}

#[test]
fn a_blob_of_another_size_than_announced_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let transaction = layout.begin().unwrap();
    let descriptor = describe(MediaType::OciConfig, b"12345");
    for bytes in [&b"1234"[..], b"123456"] {
        let mut writer = transaction.blob_writer().unwrap();
        writer.write_all(bytes).unwrap();
        let error = writer.finish(&descriptor).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SizeMismatch);
        let words = format!(
            "Size mismatch when copying {}, expected 5, got {}",
            descriptor.digest,
            bytes.len()
        );
        assert!(error.to_string().contains(&words), "{error}");
    }
    assert_eq!(transaction.blob_size(&descriptor.digest).unwrap(), None);
}

#[test]
fn an_entry_without_its_manifest_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let image = image("a", 1);
    let error = layout.begin().unwrap().commit(&[entry(&image.manifest, None)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!layout.path().exists());

    let transaction = layout.begin().unwrap();
    put(&transaction, &image).unwrap();
    let mut wrong = entry(&image.manifest, None);
    wrong.descriptor.size += 1;
    assert_eq!(transaction.commit(&[wrong]).unwrap_err().kind(), ErrorKind::SizeMismatch);
    assert!(!layout.path().exists());
}

#[test]
fn a_descriptor_that_cannot_be_written_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let image = image("a", 1);
    let transaction = layout.begin().unwrap();
    put(&transaction, &image).unwrap();
    let mut wrong = entry(&image.manifest, None);
    wrong.descriptor.data = Some(b"something else".to_vec());
    assert_eq!(transaction.commit(&[wrong]).unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(!layout.path().exists(), "nothing became visible, and nothing remains");
}

#[test]
fn writers_that_outlive_their_transaction_add_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let late = |transaction: LayoutTransaction, end: &dyn Fn(LayoutTransaction)| {
        let mut writer = transaction.blob_writer().unwrap();
        writer.write_all(b"12345").unwrap();
        end(transaction);
        let descriptor = describe(MediaType::OciConfig, b"12345");
        assert_eq!(writer.finish(&descriptor).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(layout.blob_size(&descriptor.digest).unwrap(), None);
    };
    late(layout.begin().unwrap(), &drop);
    assert!(!layout.path().exists());
    late(layout.begin().unwrap(), &|transaction| transaction.commit(&[]).unwrap());
    check_clean(layout.path());
}

#[test]
fn a_directory_with_other_files_becomes_a_layout() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::create_dir(temp.path().join("layout")).unwrap();
    std::fs::write(temp.path().join("layout/README"), "mine").unwrap();
    let layout = new_layout(&temp);
    drop(layout.begin().unwrap());
    assert_eq!(files(layout.path()), ["README".to_owned()].into());
    assert!(!layout.path().join("blobs").exists());
    write(&layout, &image("a", 1), None).unwrap();
    assert_eq!(check_whole(layout.path()), ["README"]);
}

#[test]
fn the_parent_must_exist() {
    let temp = tempfile::tempdir().unwrap();
    let layout = Layout::create_or_open(temp.path().join("no/layout"), quick()).unwrap();
    let error = layout.begin().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.hint(), Some("the parent directory must exist"));
}

#[test]
fn blobs_go_to_the_shared_directory() {
    let temp = tempfile::tempdir().unwrap();
    let shared = temp.path().join("shared");
    let options = options(|options| {
        options.shared_blob_dir = Some(shared.clone());
        options.durability = Durability::Power;
    });
    let layout = Layout::create_or_open(temp.path().join("layout"), options).unwrap();
    let image = image("a", 2);
    write(&layout, &image, Some("v1")).unwrap();
    let expected = ["index.json".to_owned(), "oci-layout".to_owned()].into();
    assert_eq!(files(layout.path()), expected);
    assert!(layout.path().join("blobs").is_dir(), "the specification wants it");
    assert_eq!(files(&shared).len(), 4);
    assert_eq!(layout.manifest(&image.manifest.descriptor()).unwrap(), image.manifest);
    // Without the option, the layout is sparse.
    let plain = Layout::open(layout.path(), quick()).unwrap();
    assert_eq!(plain.blob_size(image.manifest.digest()).unwrap(), None);
}

#[test]
fn blobs_of_other_algorithms_have_directories_of_their_own() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let transaction = layout.begin().unwrap();
    let mut digests = Vec::new();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
        let mut writer = transaction.blob_writer().unwrap();
        writer.write_all(b"content").unwrap();
        let digest = Hasher::digest(algorithm, b"content");
        let mut descriptor = describe(MediaType::OciConfig, b"content");
        descriptor.digest = digest.clone();
        writer.finish(&descriptor).unwrap();
        digests.push(digest);
    }
    transaction.commit(&[]).unwrap();
    for digest in digests {
        assert_eq!(layout.blob_size(&digest).unwrap(), Some(7), "{digest}");
    }
}

#[test]
fn two_writers_lose_nothing() {
    for durability in [Durability::Power, Durability::Process] {
        let temp = tempfile::tempdir().unwrap();
        let options = options(|options| options.durability = durability);
        let path = temp.path().join("layout");
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            for writer in ["a", "b"] {
                let (path, options, start) = (&path, options.clone(), &start);
                scope.spawn(move || {
                    start.wait();
                    for number in 0..50 {
                        // Every other image is the same for both.
                        let seed = if number % 2 == 0 { "same" } else { writer };
                        let image = image(&format!("{seed}{number}"), 1);
                        let layout = Layout::create_or_open(path, options.clone()).unwrap();
                        if number % 5 == 0 {
                            drop(layout.begin().unwrap());
                        }
                        write(&layout, &image, Some(&format!("{writer}{number}"))).unwrap();
                    }
                });
            }
        });
        let layout = Layout::open(&path, options).unwrap();
        let mut found = names(&layout);
        found.sort();
        let mut expected: Vec<String> =
            (0..50).flat_map(|n| [format!("a{n}"), format!("b{n}")]).collect();
        expected.sort();
        assert_eq!(found, expected);
        check_clean(&path);
    }
}

#[test]
fn writers_and_those_who_give_up_get_along() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("layout");
    // Whoever gives up takes the directory away again, under the feet of the others.
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..300 {
                    let layout = Layout::create_or_open(&path, quick()).unwrap();
                    drop(layout.begin().unwrap());
                }
            });
        }
        scope.spawn(|| {
            for number in 0..100 {
                let path = &path;
                let layout = Layout::create_or_open(path, quick()).unwrap();
                let image = image(&number.to_string(), 1);
                write(&layout, &image, Some(&format!("v{number}"))).unwrap();
                if number % 3 == 0 {
                    layout.delete(crate::Selector::Name(&format!("v{number}"))).unwrap();
                }
            }
        });
    });
    assert_eq!(names(&Layout::open(&path, quick()).unwrap()).len(), 66);
    check_clean(&path);
}

#[test]
fn a_transaction_holds_off_those_who_delete() {
    let temp = tempfile::tempdir().unwrap();
    let impatient = options(|options| options.lock_timeout = Some(Duration::from_millis(20)));
    let layout = Layout::create_or_open(temp.path().join("layout"), impatient).unwrap();
    write(&layout, &image("a", 1), Some("v1")).unwrap();
    let transaction = layout.begin().unwrap();
    let second = layout.begin().unwrap();
    assert_eq!(layout.delete(crate::Selector::Only).unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(layout.collect_garbage().unwrap_err().kind(), ErrorKind::Locked);
    drop((transaction, second));
    layout.delete(crate::Selector::Only).unwrap();
}

#[test]
fn the_index_keeps_its_owner_and_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    write(&layout, &image("a", 1), Some("v1")).unwrap();
    let index = layout.path().join("index.json");
    std::fs::set_permissions(&index, std::fs::Permissions::from_mode(0o640)).unwrap();
    write(&layout, &image("b", 1), Some("v2")).unwrap();
    assert_eq!(std::fs::metadata(&index).unwrap().permissions().mode() & 0o777, 0o640);
}
