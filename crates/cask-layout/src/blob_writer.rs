//! Writing one blob.

use std::io::{self, Write};
use std::sync::Arc;

use cask_image::Descriptor;

use crate::state::State;
use crate::temp::TempFile;
use crate::{Error, ErrorKind, Result};

/// A blob that is being written. Dropped without [`finish`](Self::finish), nothing of it remains.
///
/// It does not hash: whoever writes has the bytes in hand, and mostly has hashed them already. It
/// does not buffer: write large pieces.
#[derive(Debug)]
pub struct BlobWriter {
    state: Arc<State>,
    file: TempFile,
}

impl BlobWriter {
    pub(crate) fn new(state: Arc<State>, file: TempFile) -> Self {
        Self { state, file }
    }

    /// How many bytes were written.
    pub fn written_bytes(&self) -> u64 {
        self.file.written_bytes()
    }

    /// Adds the blob to the transaction, under a digest that the caller has computed.
    ///
    /// If the layout holds a blob of that digest and size, that one is kept. One of another size
    /// is damaged, and is replaced.
    ///
    /// # Errors
    /// `SizeMismatch` if more or fewer bytes were written than the descriptor says; `NotFound` if
    /// the transaction has ended; `Denied`, `Io`.
    pub fn finish(self, descriptor: &Descriptor) -> Result<()> {
        let written = self.written_bytes();
        if written != descriptor.size {
            return Err(Error::new(ErrorKind::SizeMismatch, "writing blob", &descriptor.digest)
                .with_detail(format!(
                    "Size mismatch when copying {}, expected {}, got {written}",
                    descriptor.digest, descriptor.size
                )));
        }
        self.state.add(&descriptor.digest, written, self.file)
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
