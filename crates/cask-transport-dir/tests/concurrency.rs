//! Many writers, readers among them, and sudden death.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cask_testkit::generate::dir_files;
use cask_transport::{ErrorKind, Selector, Signature, WriteOptions};
use common::{files, image, location, names, read, read_below, write};

/// Writes many images to one target at once, round after round.
async fn writers(count: u64, rounds: u64, exists: bool) {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("image");
    if exists {
        std::fs::create_dir(&path).unwrap();
    }
    for round in 0..rounds {
        let writes = (0..count).map(|number| {
            let path = path.clone();
            async move { write(&path, &image(round * count + number)).await }
        });
        for result in futures_util::future::join_all(writes).await {
            result.unwrap();
        }
        let last = (0..count)
            .map(|number| image(round * count + number))
            .find(|content| files(&path) == dir_files(content));
        let last = last.unwrap_or_else(|| panic!("no image alone: {:?}", names(&path)));
        assert_eq!(read(&path).await.unwrap(), last.top.digest);
        assert_eq!(names(temp.path()), ["image"]);
        if !exists {
            std::fs::remove_dir_all(&path).unwrap();
        }
    }
}

#[tokio::test]
async fn two_writers_to_one_target_both_succeed_and_one_wins() {
    writers(2, 20, false).await;
    writers(2, 20, true).await;
}

#[tokio::test]
async fn eight_writers_to_one_target_all_succeed_and_one_wins() {
    writers(8, 5, false).await;
    writers(8, 5, true).await;
}

#[tokio::test]
async fn a_reader_sees_the_image_it_opened_to_the_end() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("image");
    write(&path, &image(1)).await.unwrap();
    let source = location(&path).source().await.unwrap();
    let top = source.resolve(&Selector::Chosen).await.unwrap();
    let committed = write(&path, &image(2)).await.unwrap();
    assert!(committed.warnings[0].contains("still being read"), "{committed:?}");
    assert_eq!(read(&path).await.unwrap(), image(2).top.digest, "others see the new one");
    read_below(&source, &top).await.unwrap();
    assert_eq!(source.resolve(&Selector::Chosen).await.unwrap(), top);

    // Signatures have no names of their own: those that are there now are not this image's.
    let error = source.signatures(&top).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    assert!(error.to_string().contains("replaced or removed while it was being read"));

    // Nobody can remember for ever: a second write removes what the first one left.
    let committed = write(&path, &image(3)).await.unwrap();
    assert_eq!(committed.warnings, Vec::<String>::new());
    assert_eq!(files(&path), dir_files(&image(3)));
    let error = read_below(&source, &top).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing, "{error:?}");
    assert!(error.to_string().contains("replaced or removed while it was being read"));
    assert!(error.hint().is_some());

    // A blob that was opened stays open, whoever removes it.
    let source = location(&path).source().await.unwrap();
    let open = source.blob(&image(3).blobs[2].descriptor).await.unwrap();
    std::fs::remove_dir_all(&path).unwrap();
    open.drain().await.unwrap();
    let error = read_below(&source, &image(3).top).await.unwrap_err();
    assert!(error.to_string().contains("replaced or removed"), "{error}");
}

#[tokio::test]
async fn an_image_can_be_written_over_itself() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("image");
    write(&path, &image(1)).await.unwrap();
    let source = location(&path).source().await.unwrap();
    let committed = write(&path, &image(1)).await.unwrap();
    assert_eq!(committed.warnings, Vec::<String>::new(), "nothing had to go");
    read_below(&source, &image(1).top).await.unwrap();
    assert_eq!(files(&path), dir_files(&image(1)));
}

#[tokio::test]
async fn readers_among_writers_see_whole_images() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("image");
    write(&path, &image(0)).await.unwrap();
    let done = AtomicBool::new(false);
    let read_to_the_end = AtomicUsize::new(0);
    let writing = async {
        for seed in 0..60 {
            write(&path, &image(seed % 3)).await.unwrap();
        }
        done.store(true, Ordering::Relaxed);
    };
    let reading = || async {
        while !done.load(Ordering::Relaxed) {
            match read(&path).await {
                Ok(_) => drop(read_to_the_end.fetch_add(1, Ordering::Relaxed)),
                Err(error) => {
                    // The image, or a blob of it.
                    let kinds = [ErrorKind::NotFound, ErrorKind::Missing];
                    assert!(kinds.contains(&error.kind()), "{error:?}");
                    assert!(error.to_string().contains("replaced or removed"), "{error}");
                }
            }
        }
    };
    tokio::join!(writing, reading(), reading(), reading());
    assert!(read_to_the_end.into_inner() > 0);
    write(&path, &image(1)).await.unwrap();
    assert_eq!(files(&path), dir_files(&image(1)));
}

#[tokio::test]
async fn a_transaction_that_is_given_up_in_the_middle_leaves_nothing() {
    use cask_transport::{BlobKind, BlobSpec, Body, Result};
    use std::sync::mpsc;
    use std::sync::{Arc, Mutex};

    /// Bytes that come only when somebody says so.
    struct Slow(Mutex<Option<mpsc::Receiver<()>>>);
    struct Waiting(mpsc::Receiver<()>, bool);

    impl std::io::Read for Waiting {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if std::mem::replace(&mut self.1, true) {
                let _ = self.0.recv();
            }
            buffer.fill(7);
            Ok(buffer.len())
        }
    }

    #[async_trait::async_trait]
    impl Body for Slow {
        async fn open(&self) -> Result<cask_transport::BlobReader> {
            let receiver = self.0.lock().unwrap().take().unwrap();
            let read = Waiting(receiver, false);
            Ok(cask_transport::BlobReader::measured(read, cask_image::Algorithm::Sha256))
        }
    }

    for commits in [false, true] {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("image");
        let transaction = location(&path).begin(&WriteOptions::default()).await.unwrap();
        let (sender, receiver) = mpsc::channel();
        let body = Arc::new(Slow(Mutex::new(Some(receiver))));
        let spec = BlobSpec {
            kind: BlobKind::Other,
            media_type: cask_image::MediaType::OciEmpty,
            measured: None,
        };
        let write = transaction.write_blob(&spec, body);
        tokio::time::timeout(Duration::from_millis(50), write).await.unwrap_err();
        if commits {
            // Whoever gives up one write may try another way, and go on.
            let content = image(1);
            let top = content.raw_top();
            let role = cask_transport::ManifestRole::Top;
            transaction.write_manifest(&top, &role).await.unwrap();
            let signature = Signature { bytes: "signature".into() };
            transaction.write_signatures(&top, &[signature]).await.unwrap();
            transaction.commit().await.unwrap();
            assert_eq!(names(&path), ["manifest.json", "signature-1", "version"]);
        } else {
            drop(transaction);
            assert!(names(temp.path()).is_empty(), "{:?}", names(temp.path()));
        }
        sender.send(()).unwrap();
        // The thread that reads for ever finds out that nobody waits for it.
        for _ in 0..6000 {
            if sender.send(()).is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(sender.send(()).is_err(), "it still reads");
        if commits {
            assert_eq!(names(&path), ["manifest.json", "signature-1", "version"]);
        }
        assert_eq!(names(temp.path()).len(), usize::from(commits));
    }
}

fn spawn(path: &Path, seed: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env("CASK_TRANSPORT_DIR_TARGET", path)
        .env("CASK_TRANSPORT_DIR_SEED", seed.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// The writer that is killed. Does nothing in an ordinary run.
#[tokio::test]
async fn child() {
    let Ok(path) = std::env::var("CASK_TRANSPORT_DIR_TARGET") else { return };
    let first: u64 = std::env::var("CASK_TRANSPORT_DIR_SEED").unwrap().parse().unwrap();
    for seed in first.. {
        write(Path::new(&path), &image(seed % 4)).await.unwrap();
    }
}

#[tokio::test]
async fn writers_killed_at_any_time_leave_a_whole_image() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("image");
    write(&path, &image(0)).await.unwrap();
    for round in 0..40 {
        let mut children = [spawn(&path, round), spawn(&path, round + 1)];
        // Their death comes at odd times; what is checked does not depend on when.
        for (child, pause) in children.iter_mut().zip([round * 7 % 31, round * 5 % 17]) {
            std::thread::sleep(Duration::from_millis(20 + pause));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        read(&path).await.unwrap_or_else(|error| panic!("round {round}: {error:?}"));
    }
    write(&path, &image(1)).await.unwrap();
    assert_eq!(files(&path), dir_files(&image(1)), "all litter is gone");
    assert_eq!(names(temp.path()), ["image"]);
}
