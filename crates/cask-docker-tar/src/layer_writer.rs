//! One layer that is being written.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use cask_archive::Slot;
use cask_image::{Algorithm, Digest, Hasher};

use crate::error::{Error, ErrorKind, Result};
use crate::state::{State, locked};
use crate::writer::blob_member;

/// A layer on its way into an archive. It counts once it was finished; dropped before, it is left
/// out, or no archive comes of it: see [`Slot`].
#[derive(Debug)]
pub struct LayerWriter {
    /// Gone once it was finished.
    slot: Option<Slot>,
    /// What the bytes have to have, if that was known at the beginning.
    digest: Option<Digest>,
    hasher: Option<Hasher>,
    archive: PathBuf,
    state: Arc<Mutex<State>>,
}

impl LayerWriter {
    pub(crate) fn new(
        slot: Slot,
        digest: Option<Digest>,
        archive: PathBuf,
        state: Arc<Mutex<State>>,
    ) -> Self {
        let hasher = Some(hasher_of(digest.as_ref()));
        Self { slot: Some(slot), digest, hasher, archive, state }
    }

    /// Does not hash what is written: for callers that do so themselves.
    #[must_use]
    pub fn danger_without_hashing(mut self) -> Self {
        self.hasher = None;
        self
    }

    /// The digest that the bytes have to have, if it was given at the beginning.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
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
            self.hasher = Some(hasher_of(self.digest.as_ref()));
        }
        Ok(())
    }

    /// Completes the layer, and gives its size in bytes.
    ///
    /// # Errors
    /// `DigestMismatch` if the bytes do not have the digest; `NoLayer` if the layer was begun
    /// without one; `Archive`.
    pub fn finish(self) -> Result<u64> {
        match self.digest.clone() {
            Some(digest) => self.finish_as(&digest),
            None => {
                let detail = "a layer was finished without a digest";
                Err(self.error(ErrorKind::NoLayer, detail))
            }
        }
    }

    /// Completes a layer whose digest is known only now, and gives its size in bytes. If the
    /// archive has such a layer already, this one is left out.
    ///
    /// # Errors
    /// `DigestMismatch` if the bytes do not have the digest, or it is not the one that was given
    /// at the beginning; `Archive`.
    pub fn finish_as(mut self, digest: &Digest) -> Result<u64> {
        let found = self.hasher.take().map(Hasher::finish);
        let promises = [found.as_ref(), self.digest.as_ref()];
        if let Some(other) = promises.into_iter().flatten().find(|other| *other != digest) {
            let detail = format!("Digest did not match, expected {digest}, got {other}");
            return Err(self.error(ErrorKind::DigestMismatch, detail));
        }
        let size = self.written_bytes();
        let is_unnamed = self.digest.is_none();
        if is_unnamed && locked(&self.state).layer(digest).is_some() {
            return Ok(size);
        }
        let slot = self.slot.take().expect("a layer is finished once");
        let result = if is_unnamed {
            let member = blob_member(digest);
            let result = slot.finish_as(&member);
            locked(&self.state).begin_layer(digest, member);
            result
        } else {
            slot.finish()
        };
        let mut state = locked(&self.state);
        match result {
            Ok(()) => {
                state.layer_is_written(digest, size);
                Ok(size)
            }
            Err(error) => {
                state.forget_layer(digest);
                Err(Error::archive("writing layer", error))
            }
        }
    }

    fn error(&self, kind: ErrorKind, detail: impl Into<Cow<'static, str>>) -> Error {
        Error::new(kind, "writing", &self.archive, detail)
    }

    fn slot_mut(&mut self) -> &mut Slot {
        self.slot.as_mut().expect("the slot is there until the layer is finished")
    }
}

fn hasher_of(digest: Option<&Digest>) -> Hasher {
    Hasher::new(digest.map_or(Algorithm::Sha256, Digest::algorithm))
}

impl Drop for LayerWriter {
    fn drop(&mut self) {
        if let (Some(_), Some(digest)) = (self.slot.take(), &self.digest) {
            locked(&self.state).forget_layer(digest);
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
