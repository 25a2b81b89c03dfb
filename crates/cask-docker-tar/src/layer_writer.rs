//! One layer that is being written.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use cask_archive::Slot;
use cask_image::{Digest, Hasher};

use crate::error::{Error, ErrorKind, Result};
use crate::state::{State, locked};

/// A layer on its way into an archive. It counts once it was finished; dropped before, it is left
/// out, or no archive comes of it: see [`Slot`].
#[derive(Debug)]
pub struct LayerWriter {
    /// Gone once it was finished.
    slot: Option<Slot>,
    digest: Digest,
    hasher: Option<Hasher>,
    archive: PathBuf,
    state: Arc<Mutex<State>>,
}

impl LayerWriter {
    pub(crate) fn new(
        slot: Slot,
        digest: Digest,
        archive: PathBuf,
        state: Arc<Mutex<State>>,
    ) -> Self {
        let hasher = Some(Hasher::new(digest.algorithm()));
        Self { slot: Some(slot), digest, hasher, archive, state }
    }

    /// Does not hash what is written: for callers that do so themselves.
    #[must_use]
    pub fn danger_without_hashing(mut self) -> Self {
        self.hasher = None;
        self
    }

    /// The digest that the bytes have to have.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// How many bytes were written so far.
    pub fn written_bytes(&self) -> u64 {
        self.slot.as_ref().map_or(0, Slot::written_bytes)
    }

    /// Forgets what was written, to begin again.
    ///
    /// # Errors
    /// `Archive` if bytes went to a stream already: they cannot be taken back.
    pub fn restart(&mut self) -> Result<()> {
        self.slot_mut().restart().map_err(|error| Error::archive("writing layer", error))?;
        if self.hasher.is_some() {
            self.hasher = Some(Hasher::new(self.digest.algorithm()));
        }
        Ok(())
    }

    /// Completes the layer, and gives its size.
    ///
    /// # Errors
    /// `DigestMismatch` if the bytes do not have their digest; `Archive`.
    pub fn finish(mut self) -> Result<u64> {
        if let Some(hasher) = self.hasher.take() {
            let (expected, found) = (&self.digest, hasher.finish());
            if found != *expected {
                let detail = format!("Digest did not match, expected {expected}, got {found}");
                let kind = ErrorKind::DigestMismatch;
                return Err(Error::new(kind, "writing", &self.archive, detail));
            }
        }
        let size = self.written_bytes();
        let slot = self.slot.take().expect("a layer is finished once");
        let result = slot.finish().map_err(|error| Error::archive("writing layer", error));
        let mut state = locked(&self.state);
        match &result {
            Ok(()) => state.layer_is_written(&self.digest, size),
            Err(_) => state.forget_layer(&self.digest),
        }
        result.map(|()| size)
    }

    fn slot_mut(&mut self) -> &mut Slot {
        self.slot.as_mut().expect("the slot is there until the layer is finished")
    }
}

impl Drop for LayerWriter {
    fn drop(&mut self) {
        if self.slot.take().is_some() {
            locked(&self.state).forget_layer(&self.digest);
        }
    }
}

impl Write for LayerWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.slot_mut().write(bytes)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&bytes[..written]);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.slot_mut().flush()
    }
}
