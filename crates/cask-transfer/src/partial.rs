//! A part of a blob.

use std::io;
use std::os::unix::fs::FileExt as _;

use bytes::Bytes;
use cask_files::fault;
use cask_image::Hasher;
use cask_reference::Digest;

use crate::locked::Locked;

/// In what pieces the bytes of a blob are kept: 1 MiB. The last one of a blob may be smaller.
pub const PIECE_BYTES: usize = 1 << 20;

const PIECE: u64 = PIECE_BYTES as u64;
const CHECKSUM: u64 = 4;

/// The first bytes of a blob, which nobody else uses while this lives.
///
/// First [`next`](Self::next) gives what was kept, until there is no more; then
/// [`append`](Self::append) adds what comes after. A power failure can leave anything in a file:
/// each piece has a checksum, and what does not match it is cut off. That says nothing of whether
/// the bytes are the blob's.
#[derive(Debug)]
pub struct Partial {
    file: Locked,
    size: u64,
    position: u64,
}

impl Partial {
    pub(crate) fn new(file: Locked, size: u64) -> Self {
        Self { file, size, position: 0 }
    }

    /// How many bytes were given or added.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether that is all of the blob.
    pub fn is_complete(&self) -> bool {
        self.position == self.size
    }

    /// The next piece that was kept; `None` after the last one that is whole. Reads the disk.
    #[expect(clippy::should_implement_trait, reason = "it goes on being used after its end")]
    pub fn next(&mut self) -> Option<Bytes> {
        let wanted = PIECE.min(self.size - self.position);
        if wanted == 0 {
            return None;
        }
        let at = offset(self.position);
        let mut frame = vec![0; usize::try_from(wanted + CHECKSUM).ok()?];
        let read = self.file.file().read_exact_at(&mut frame, at);
        let checksum = frame.split_off(frame.len() - CHECKSUM as usize);
        if read.is_ok() && crc32fast::hash(&frame).to_le_bytes() == checksum[..] {
            self.position += wanted;
            return Some(frame.into());
        }
        if let Err(error) = fault::step().and_then(|()| self.file.file().set_len(at)) {
            tracing::debug!(%error, "what is of no use stays until it is written over");
        }
        None
    }

    /// Adds a piece: [`PIECE_BYTES`] bytes, or all that is left of the blob. Writes to the disk.
    ///
    /// # Errors
    /// As of the file system, such as that it is full: the part is then of no use any more.
    ///
    /// # Panics
    /// If there are more or fewer bytes.
    pub fn append(&mut self, parts: &[Bytes]) -> io::Result<()> {
        let length: u64 = parts.iter().map(|part| part.len() as u64).sum();
        assert_eq!(length, PIECE.min(self.size - self.position), "a whole piece");
        let mut checksum = crc32fast::Hasher::new();
        let mut at = offset(self.position);
        for part in parts {
            checksum.update(part);
            fault::step()?;
            self.file.file().write_all_at(part, at)?;
            at += part.len() as u64;
        }
        fault::step()?;
        self.file.file().write_all_at(&checksum.finalize().to_le_bytes(), at)?;
        self.position += length;
        Ok(())
    }

    /// Whether it may be used for a blob: what is kept of it is not all, or is the blob. Somebody
    /// who has all would never find out otherwise that it is something else.
    pub(crate) fn may_become(&mut self, digest: &Digest) -> bool {
        let last = match self.size % PIECE {
            0 => 0,
            bytes => bytes + CHECKSUM,
        };
        let whole = offset(self.size) + last;
        let is_whole = self.file.file().metadata().is_ok_and(|found| found.len() >= whole);
        if !is_whole {
            return true;
        }
        let mut hasher = Hasher::new(digest.algorithm());
        while let Some(piece) = self.next() {
            hasher.update(&piece);
        }
        let matches = !self.is_complete() || hasher.finish() == *digest;
        self.position = 0;
        matches
    }

    /// Removes it: the blob is where it was to go, or is another one.
    pub fn remove(&self) {
        self.file.remove();
    }
}

/// Where the piece of a position begins.
fn offset(position: u64) -> u64 {
    position / PIECE * (PIECE + CHECKSUM)
}
