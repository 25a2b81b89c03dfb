//! What readers promise, whichever way they read.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cask_image::{Algorithm, Hasher};
use futures_util::StreamExt as _;

use super::{BlobReader, Measured, UnverifiedBlob};
use crate::{Cancellation, Error, ErrorKind, Result};

fn measured(bytes: &[u8]) -> Measured {
    let digest = Hasher::digest(Algorithm::Sha256, bytes);
    Measured { digest, size: bytes.len() as u64 }
}

fn sync_blob(bytes: &[u8]) -> UnverifiedBlob {
    UnverifiedBlob::from_read(io::Cursor::new(bytes.to_vec()))
}

/// Chunks of three bytes, with empty ones between, one after the other.
fn async_blob(bytes: &[u8]) -> UnverifiedBlob {
    let chunks = bytes.chunks(3).flat_map(|chunk| [Bytes::new(), chunk.to_vec().into()]);
    let stream = futures_util::stream::iter(chunks.collect::<Vec<_>>());
    let stream = futures_util::stream::unfold(stream, |mut stream| async move {
        tokio::task::yield_now().await;
        stream.next().await.map(|chunk| (Ok(chunk), stream))
    });
    UnverifiedBlob::from_stream(stream.boxed())
}

const WAYS: [fn(&[u8]) -> UnverifiedBlob; 2] = [sync_blob, async_blob];

fn reader(blob: UnverifiedBlob, promised: &[u8]) -> BlobReader {
    BlobReader::verified(blob, measured(promised), Hasher::new(Algorithm::Sha256))
}

/// Reads to the end asynchronously, with what came before an error.
async fn read(mut reader: BlobReader) -> (Vec<u8>, Result<()>) {
    let mut read = Vec::new();
    loop {
        match reader.next().await {
            Ok(Some(chunk)) => {
                assert!(!chunk.is_empty());
                read.extend_from_slice(&chunk);
            }
            Ok(None) => {
                assert!(reader.next().await.unwrap().is_none(), "the end stays the end");
                return (read, reader.drain().await.map(drop));
            }
            Err(error) => {
                let again = reader.next().await.expect_err("an error stays an error");
                assert_eq!(again.kind(), error.kind());
                assert_eq!(reader.drain().await.expect_err("here too").kind(), error.kind());
                return (read, Err(error));
            }
        }
    }
}

/// Reads to the end on a blocking thread.
async fn read_sync(reader: BlobReader) -> (Vec<u8>, Result<()>) {
    let read = move || {
        let mut reader = reader.into_read();
        let mut read = Vec::new();
        let mut buffer = [0; 5];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => {
                    assert_eq!(reader.read(&mut buffer).unwrap(), 0, "the end stays the end");
                    return (read, reader.finish().map(drop));
                }
                Ok(bytes) => read.extend_from_slice(&buffer[..bytes]),
                Err(error) => {
                    let error = Error::from_io(error, "", "");
                    reader.read(&mut buffer).expect_err("an error stays an error");
                    assert_eq!(reader.finish().expect_err("here too").kind(), error.kind());
                    return (read, Err(error));
                }
            }
        }
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

async fn check(told: &[u8], promised: &[u8], expected: Option<ErrorKind>) {
    for way in WAYS {
        for is_sync in [false, true] {
            let reader = reader(way(told), promised);
            let (bytes, result) =
                if is_sync { read_sync(reader).await } else { read(reader).await };
            assert_eq!(result.err().map(|error| error.kind()), expected, "{told:?} {promised:?}");
            assert!(expected.is_some() || bytes == promised);
            assert!(bytes.len() <= promised.len(), "no more than was promised is given away");
        }
        let drained = reader(way(told), promised).drain().await;
        assert_eq!(drained.as_ref().err().map(Error::kind), expected);
        assert!(drained.is_err() || drained.unwrap() == measured(promised));
    }
}

#[tokio::test]
async fn readers_fail_unless_everything_is_as_promised() {
    check(b"hello, world", b"hello, world", None).await;
    check(b"", b"", None).await;
    check(b"hello, worle", b"hello, world", Some(ErrorKind::DigestMismatch)).await;
    check(b"hello, worl", b"hello, world", Some(ErrorKind::SizeMismatch)).await;
    check(b"", b"hello, world", Some(ErrorKind::SizeMismatch)).await;
    check(b"hello, world!", b"hello, world", Some(ErrorKind::SizeMismatch)).await;
    check(b"x", b"", Some(ErrorKind::SizeMismatch)).await;
}

/// Fails once, and then goes on as if nothing had been lost.
struct Hiccup(u8);

impl Read for Hiccup {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0 += 1;
        match self.0 {
            1 | 4 | 5 => {
                buffer[0] = b'x';
                Ok(1)
            }
            2 => Err(io::ErrorKind::Interrupted.into()),
            3 => Err(io::Error::other("the disk hiccups")),
            _ => Ok(0),
        }
    }
}

#[tokio::test]
async fn bytes_after_an_error_are_never_measured() {
    for is_sync in [false, true] {
        let reader = BlobReader::measured(Hiccup(0), Algorithm::Sha256);
        let (bytes, result) = if is_sync { read_sync(reader).await } else { read(reader).await };
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Io);
        assert!(bytes == b"x" || bytes.is_empty(), "{bytes:?}");
    }
}

#[tokio::test]
async fn bytes_that_are_made_are_measured() {
    let bytes = vec![7; 600_000];
    let make = || BlobReader::measured(io::Cursor::new(bytes.clone()), Algorithm::Sha512);
    let expected =
        Measured { digest: Hasher::digest(Algorithm::Sha512, &bytes), size: bytes.len() as u64 };
    assert_eq!(make().drain().await.unwrap(), expected);
    let mut reader = make();
    while reader.next().await.unwrap().is_some() {}
    assert_eq!(reader.drain().await.unwrap(), expected);
    let mut copied = Vec::new();
    let measured = make().into_read().copy_to(&mut copied, |_| unreachable!()).unwrap();
    assert_eq!((measured, copied), (expected, bytes));
}

#[tokio::test]
async fn half_a_blob_is_only_joined_to_the_same_blob() {
    let bytes = b"hello, world";
    for way in WAYS {
        for (at, prefix, expected) in [
            (0, &b""[..], None),
            (5, b"hello", None),
            (12, b"hello, world", None),
            (5, b"hallo", Some(ErrorKind::DigestMismatch)),
            (13, b"hello, world!", Some(ErrorKind::SizeMismatch)),
        ] {
            let mut hasher = Hasher::new(Algorithm::Sha512);
            hasher.update(prefix);
            let mut reader = reader(way(bytes), bytes);
            let skipped = reader.skip(&hasher).await;
            assert_eq!(skipped.as_ref().err().map(Error::kind), expected, "{prefix:?}");
            if expected.is_some() {
                reader.next().await.expect_err("an error stays an error");
                continue;
            }
            assert_eq!(read(reader).await.0, bytes[at..]);
        }
    }
}

#[tokio::test]
async fn a_watch_sees_every_byte_and_can_stop() {
    for way in WAYS {
        let seen = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&seen);
        let watched = reader(way(b"hello, world"), b"hello, world").watched(Arc::new(move |n| {
            count.fetch_add(n, Ordering::Relaxed);
            std::ops::ControlFlow::Continue(())
        }));
        watched.drain().await.unwrap();
        assert_eq!(seen.load(Ordering::Relaxed), 12);
        let stopped = reader(way(b"hello, world"), b"hello, world")
            .watched(Arc::new(|_| std::ops::ControlFlow::Break(())));
        assert_eq!(stopped.drain().await.unwrap_err().kind(), ErrorKind::Cancelled);
    }
}

#[tokio::test]
async fn a_cancelled_reader_does_not_wait_for_a_silent_place() {
    for is_sync in [false, true] {
        let stream = futures_util::stream::iter([Ok(Bytes::from("hel"))])
            .chain(futures_util::stream::pending());
        let cancellation = Cancellation::new();
        let reader = reader(UnverifiedBlob::from_stream(stream.boxed()), b"hello")
            .cancelled_by(&cancellation);
        let work = tokio::spawn(async move {
            let (_, result) = if is_sync { read_sync(reader).await } else { read(reader).await };
            result.unwrap_err().kind()
        });
        tokio::task::yield_now().await;
        assert!(!cancellation.is_cancelled());
        cancellation.cancel();
        assert_eq!(work.await.unwrap(), ErrorKind::Cancelled);
    }
    let cancellation = Cancellation::new();
    cancellation.cancel();
    let reader = reader(sync_blob(b"hello"), b"hello").cancelled_by(&cancellation);
    assert_eq!(reader.drain().await.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[tokio::test]
async fn small_blobs_are_read_whole_up_to_a_limit() {
    for way in WAYS {
        assert_eq!(reader(way(b"hello"), b"hello").read_all(5).await.unwrap(), "hello");
        let error = reader(way(b"hello"), b"hello").read_all(4).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    }
}
