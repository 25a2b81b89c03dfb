//! An upload that had begun.

use std::io;
use std::os::unix::fs::FileExt as _;

use cask_files::fault;

use crate::locked::Locked;

/// The most bytes that are kept of an upload.
const MAX_BYTES: u64 = 64 << 10;

/// What goes on with an upload, which nobody else does while this lives.
///
/// It may be a secret: with some registries, whoever knows it can write. Its file can be read by
/// its owner alone.
#[derive(Debug)]
pub struct KeptUpload(Locked);

impl KeptUpload {
    pub(crate) fn new(file: Locked) -> Self {
        Self(file)
    }

    /// What was kept; nothing for a new one.
    pub fn read(&self) -> Option<Vec<u8>> {
        let length = self.0.file().metadata().ok()?.len();
        if length == 0 || length > MAX_BYTES {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        self.0.file().read_exact_at(&mut bytes, 0).ok()?;
        Some(bytes)
    }

    /// Keeps other bytes instead.
    pub fn write(&self, bytes: &[u8]) {
        let write = || -> io::Result<()> {
            if bytes.len() as u64 > MAX_BYTES {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            // Killed in between, nothing is left: half of it would not be understood.
            fault::step()?;
            self.0.file().set_len(0)?;
            fault::step()?;
            self.0.file().write_all_at(bytes, 0)
        };
        if let Err(error) = write() {
            tracing::debug!(%error, "an upload is not kept");
            self.0.remove();
        }
    }

    /// Removes it: the blob is there.
    pub fn remove(&self) {
        self.0.remove();
    }
}
