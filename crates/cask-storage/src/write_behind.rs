//! Having the disk write while layers are still read.
//!
//! One `syncfs` puts an image on the disk before it gets its place. Were all of it left to that, the disk would rest
//! while streams are unpacked, and the processors afterwards. So what was written is synced on the way, now and then,
//! and the last `syncfs` finds little to do.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::thread;

use rustix::io::Errno;

use crate::store::Inner;
use crate::{Durability, Error, Result};

/// So many bytes of the streams of layers are written before the disk is asked to begin.
const STEP_BYTES: u64 = 64 << 20;

/// What the disk was asked to write before it had to.
#[derive(Debug, Default)]
pub(crate) struct WriteBehind(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// What came since it was last asked.
    bytes: AtomicU64,
    /// It writes.
    is_busy: AtomicBool,
    /// The number of the error that it met, or 0. The kernel tells it once, so that the `syncfs` that counts might
    /// not meet it.
    failed: AtomicI32,
}

impl WriteBehind {
    /// Counts what was written below a directory, and has the disk begin with it where that is much and it has
    /// nothing to do. Does not wait.
    pub(crate) fn wrote(&self, bytes: usize, directory: &Path) {
        let state = &self.0;
        let before = state.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if before + (bytes as u64) < STEP_BYTES || state.is_busy.swap(true, Ordering::AcqRel) {
            return;
        }
        state.bytes.store(0, Ordering::Relaxed);
        let synced = File::open(directory).and_then(|directory| {
            let state = Arc::clone(state);
            let sync = move || {
                if let Err(error) = rustix::fs::syncfs(&directory) {
                    state.failed.store(error.raw_os_error(), Ordering::Release);
                }
                state.is_busy.store(false, Ordering::Release);
            };
            thread::Builder::new().name("write-behind".to_owned()).spawn(sync)
        });
        // Then it is left to whoever must have it on the disk.
        if synced.is_err() {
            state.is_busy.store(false, Ordering::Release);
        }
    }

    /// Fails where something could not be written, each time from then on: nobody knows what it was.
    ///
    /// # Errors
    /// As [`file::sync_file_system`].
    pub(crate) fn check(&self, directory: &Path) -> Result<()> {
        match self.0.failed.load(Ordering::Acquire) {
            0 => Ok(()),
            number => Err(Error::io(Errno::from_raw_os_error(number), "syncing", directory)),
        }
    }
}

/// A stream of which all that is taken is written below a directory.
pub(crate) struct Written<'w, R> {
    stream: R,
    directory: &'w Path,
    /// None where nothing must be on the disk.
    behind: Option<&'w WriteBehind>,
}

impl<'w, R: BufRead> Written<'w, R> {
    pub(crate) fn below(directory: &'w Path, stream: R, store: &'w Inner) -> Self {
        let behind = match store.options.durability {
            Durability::Full => Some(&store.write_behind),
            Durability::None => None,
        };
        Self { stream, directory, behind }
    }

    fn count(&self, bytes: usize) {
        if let Some(behind) = self.behind {
            behind.wrote(bytes, self.directory);
        }
    }
}

impl<R: BufRead> Read for Written<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.count(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Written<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.stream.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.stream.consume(count);
        self.count(count);
    }
}

#[cfg(test)]
mod tests {
    use std::io::copy;

    use rustix::io::Errno;

    use super::{Ordering, STEP_BYTES, WriteBehind, Written};
    use crate::ErrorKind;

    #[test]
    fn the_disk_is_asked_once_in_a_while() {
        let directory = tempfile::tempdir().unwrap();
        let behind = WriteBehind::default();
        let bytes = || behind.0.bytes.load(Ordering::Relaxed);
        behind.wrote(1, directory.path());
        assert_eq!(bytes(), 1);
        behind.0.is_busy.store(true, Ordering::Relaxed);
        let written =
            |stream| Written { stream, directory: directory.path(), behind: Some(&behind) };
        copy(&mut written(vec![0; STEP_BYTES as usize].as_slice()), &mut std::io::sink()).unwrap();
        assert_eq!(bytes(), STEP_BYTES + 1, "it is asked while it writes");
        behind.0.is_busy.store(false, Ordering::Relaxed);
        behind.wrote(1, directory.path());
        assert_eq!(bytes(), 0);
        behind.check(directory.path()).unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_told_when_it_counts() {
        let directory = tempfile::tempdir().unwrap();
        let behind = WriteBehind::default();
        // Nothing to sync is an error of whoever needs it.
        behind.wrote(STEP_BYTES as usize, &directory.path().join("gone"));
        behind.check(directory.path()).unwrap();
        behind.0.failed.store(Errno::NOSPC.raw_os_error(), Ordering::Relaxed);
        for _ in 0..2 {
            assert_eq!(behind.check(directory.path()).unwrap_err().kind(), ErrorKind::NoSpace);
        }
    }
}
