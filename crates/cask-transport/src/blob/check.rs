//! What every reader does with every chunk.

use std::sync::Arc;

use cask_image::{Algorithm, Hasher};

use super::{Measured, Watch};
use crate::{Cancellation, Error, ErrorKind, Result};

/// Compares what passes by with what was promised.
pub(super) struct Check {
    pub(super) algorithm: Algorithm,
    hasher: Option<Hasher>,
    pub(super) expected: Option<Measured>,
    /// Known once the end was reached without an error.
    pub(super) measured: Option<Measured>,
    pub(super) passed: u64,
    /// Told of every chunk; says whether to go on.
    pub(super) watch: Option<Arc<Watch>>,
    pub(super) cancellation: Option<Cancellation>,
    failed: Option<ErrorKind>,
}

impl Check {
    pub(super) fn new(hasher: Hasher, expected: Option<Measured>) -> Self {
        Self {
            algorithm: hasher.algorithm(),
            passed: hasher.len(),
            hasher: Some(hasher),
            expected,
            measured: None,
            watch: None,
            cancellation: None,
            failed: None,
        }
    }

    /// Fails if there is nothing more to read for: an error stays an error, so that nobody who
    /// tries again takes what follows for a blob.
    pub(super) fn ready(&mut self) -> Result<()> {
        if self.cancellation.as_ref().is_some_and(Cancellation::is_cancelled) {
            return self.fail(cancelled());
        }
        match self.failed {
            None => Ok(()),
            Some(kind) => Err(Error::new(kind, "reading blob", self.subject())
                .with_detail("an earlier read of it failed")),
        }
    }

    /// Notes that reading has failed.
    pub(super) fn fail<T>(&mut self, error: Error) -> Result<T> {
        self.failed.get_or_insert(error.kind());
        Err(error)
    }

    pub(super) fn subject(&self) -> String {
        self.expected.as_ref().map(|expected| expected.digest.to_string()).unwrap_or_default()
    }

    pub(super) fn pass(&mut self, chunk: &[u8]) -> Result<()> {
        match self.compare(chunk) {
            Ok(()) => Ok(()),
            Err(error) => self.fail(error),
        }
    }

    pub(super) fn end(&mut self) -> Result<()> {
        match self.compare_end() {
            Ok(()) => Ok(()),
            Err(error) => self.fail(error),
        }
    }

    fn compare(&mut self, chunk: &[u8]) -> Result<()> {
        self.passed += chunk.len() as u64;
        if let Some(expected) = &self.expected
            && self.passed > expected.size
        {
            return Err(size_mismatch(expected, &format!("at least {}", self.passed)));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(chunk);
        }
        if let Some(watch) = &self.watch
            && watch(chunk.len() as u64).is_break()
        {
            return Err(cancelled());
        }
        Ok(())
    }

    fn compare_end(&mut self) -> Result<()> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let size = self.passed;
        if let Some(expected) = &self.expected
            && size != expected.size
        {
            return Err(size_mismatch(expected, &size.to_string()));
        }
        let digest = hasher.finish();
        if let Some(expected) = &self.expected
            && digest != expected.digest
        {
            return Err(Error::new(ErrorKind::DigestMismatch, "reading blob", &expected.digest)
                .with_detail(format!(
                    "Digest did not match, expected {}, got {digest}",
                    expected.digest
                )));
        }
        self.measured = Some(Measured { digest, size });
        Ok(())
    }
}

pub(super) fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "reading blob", "").with_detail("the operation was given up")
}

fn size_mismatch(expected: &Measured, got: &str) -> Error {
    Error::new(ErrorKind::SizeMismatch, "reading blob", &expected.digest).with_detail(format!(
        "Size mismatch when copying {}, expected {}, got {got}",
        expected.digest, expected.size
    ))
}
