//! Reading ahead: the same bytes, errors in their place, and an end for every thread.

use std::io::{self, BufRead, Read};
use std::sync::mpsc;
use std::time::Duration;

use cask_layer::{Compression, DecompressLimits, ErrorKind, decompress, detect_reader, pipelined};

use crate::support::{kind, pack, sample};

const PATIENCE: Duration = Duration::from_secs(20);

/// Tells when it is dropped.
struct Watched<R> {
    reader: R,
    _dropped: mpsc::Sender<()>,
}

fn watched<R>(reader: R) -> (Watched<R>, mpsc::Receiver<()>) {
    let (dropped, receiver) = mpsc::channel();
    (Watched { reader, _dropped: dropped }, receiver)
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

fn assert_dropped(receiver: &mpsc::Receiver<()>) {
    let result = receiver.recv_timeout(PATIENCE);
    assert_eq!(result, Err(mpsc::RecvTimeoutError::Disconnected), "the thread has ended");
}

#[test]
fn the_bytes_are_the_same() {
    for len in [0, 1, 262_143, 262_144, 262_145, 5_000_000] {
        let data = sample(len);
        let mut reader = pipelined(io::Cursor::new(data.clone())).unwrap();
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        assert!(all == data, "{len}");
        assert_eq!(reader.read(&mut [0; 4]).unwrap(), 0);
        let below = reader.finish().unwrap();
        assert_eq!(below.position(), len as u64);
    }
}

#[test]
fn buffered_reading_works() {
    let mut reader = pipelined(&b"one\ntwo\nthree"[..]).unwrap();
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
    assert_eq!(reader.lines().map(Result::unwrap).collect::<Vec<_>>(), ["two", "three"]);
}

#[test]
fn finish_reads_the_rest() {
    let (below, dropped) = watched(io::Cursor::new(sample(4_000_000)));
    let mut reader = pipelined(below).unwrap();
    reader.read_exact(&mut [0; 10]).unwrap();
    let below = reader.finish().unwrap();
    assert_eq!(below.reader.position(), 4_000_000);
    assert_eq!(dropped.try_recv(), Err(mpsc::TryRecvError::Empty));
}

#[test]
fn a_whole_chain_gives_its_readers_back() {
    let data = sample(3_000_000);
    let blob = pack(&data, Compression::Gzip);
    let len = blob.len() as u64;
    let (compression, reader) = detect_reader(io::Cursor::new(blob)).unwrap();
    let compressed = pipelined(reader).unwrap();
    let plain = decompress(compressed, compression, DecompressLimits::default());
    let mut plain = pipelined(plain).unwrap();
    let mut all = vec![0; data.len() / 2];
    plain.read_exact(&mut all).unwrap();
    assert!(data.starts_with(&all));
    let detected = plain.finish().unwrap().finish().unwrap().finish().unwrap();
    assert_eq!(detected.inner().position(), len);
}

#[test]
fn errors_come_after_the_bytes_before_them() {
    #[derive(Debug)]
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(io::ErrorKind::TimedOut, "too slow"))
        }
    }
    let data = sample(700_000);
    let mut reader = pipelined(io::Cursor::new(data.clone()).chain(Broken)).unwrap();
    let mut all = Vec::new();
    let error = reader.read_to_end(&mut all).unwrap_err();
    assert_eq!(error.to_string(), "too slow");
    assert!(all == data);
    for _ in 0..2 {
        let error = reader.read(&mut [0; 4]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(kind(&error), ErrorKind::Io);
    }
    assert_eq!(reader.finish().unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[test]
fn typed_errors_survive_the_thread() {
    let mut blob = pack(&sample(1000), Compression::Gzip);
    blob.truncate(blob.len() - 1);
    let plain = decompress(io::Cursor::new(blob), Compression::Gzip, DecompressLimits::default());
    let error = pipelined(plain).unwrap().finish().unwrap_err();
    assert_eq!(kind(&error), ErrorKind::Truncated);
}

#[test]
fn interrupted_reads_are_retried() {
    struct Interrupted(bool);
    impl Read for Interrupted {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 = !self.0;
            if self.0 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            buffer[0] = 1;
            Ok(1)
        }
    }
    let mut all = Vec::new();
    pipelined(Interrupted(false).take(100)).unwrap().read_to_end(&mut all).unwrap();
    assert_eq!(all, [1; 100]);
}

#[test]
fn panics_continue_on_the_consumer() {
    struct Panics(usize);
    impl Read for Panics {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            assert!(self.0 < 20, "the reader below panics");
            buffer.fill(0);
            Ok(buffer.len())
        }
    }
    let (below, dropped) = watched(Panics(0));
    let mut reader = pipelined(below).unwrap();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        io::copy(&mut reader, &mut io::sink())
    }));
    assert_eq!(result.unwrap_err().downcast_ref::<&str>(), Some(&"the reader below panics"));
    assert_dropped(&dropped);
    assert!(reader.read(&mut [0; 4]).is_err(), "no end of file after a panic");
}

#[test]
fn dropping_the_consumer_ends_the_thread() {
    // Never read from, read from a little, and while the thread waits for an empty buffer.
    for take in [0, 10, 2_000_000] {
        let (below, dropped) = watched(io::repeat(7));
        let mut reader = pipelined(below).unwrap();
        io::copy(&mut reader.by_ref().take(take), &mut io::sink()).unwrap();
        drop(reader);
        assert_dropped(&dropped);
    }
}

#[test]
fn dropping_does_not_wait_for_a_stalled_reader() {
    struct Stalled(mpsc::Receiver<()>);
    impl Read for Stalled {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(0)
        }
    }
    let (release, stall) = mpsc::channel();
    let (below, dropped) = watched(Stalled(stall));
    drop(pipelined(below).unwrap());
    assert_eq!(dropped.try_recv(), Err(mpsc::TryRecvError::Empty), "still in its read");
    drop(release);
    assert_dropped(&dropped);
}

#[test]
fn reading_ahead_is_bounded() {
    struct Counting(std::sync::Arc<std::sync::atomic::AtomicU64>);
    impl Read for Counting {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = buffer.len() as u64;
            self.0.fetch_add(len, std::sync::atomic::Ordering::Relaxed);
            Ok(buffer.len())
        }
    }
    let count = std::sync::Arc::<std::sync::atomic::AtomicU64>::default();
    let _reader = pipelined(Counting(count.clone())).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert!(count.load(std::sync::atomic::Ordering::Relaxed) <= 4 * 256 * 1024);
}
