//! Zstandard, frame by frame; skippable frames are skipped.
//!
//! Source: RFC 8878.

use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use super::codec::{Codec, Fault, Step};
use crate::compression::DecompressLimits;
use crate::{ErrorKind, Limit};

pub(super) struct Zstd {
    context: DCtx<'static>,
    max_memory_bytes: u64,
    /// Whether a whole frame has just been decoded and flushed.
    boundary: bool,
}

impl Zstd {
    pub(super) fn new(limits: &DecompressLimits) -> Result<Self, Fault> {
        let mut context = DCtx::try_create()
            .ok_or_else(|| Fault::new(ErrorKind::OutOfMemory, 0, "no memory for zstd's state"))?;
        // The library takes 2^10 to 2^31.
        let log = limits.max_memory_bytes.max(1).ilog2().clamp(10, 31);
        let max_memory_bytes = limits.max_memory_bytes;
        context
            .set_parameter(DParameter::WindowLogMax(log))
            .map_err(|code| fault(code, max_memory_bytes))?;
        Ok(Self { context, max_memory_bytes, boundary: false })
    }
}

impl Codec for Zstd {
    fn step(&mut self, input: &[u8], _: bool, output: &mut [u8]) -> Result<Step, Fault> {
        // Calling the library here would begin a frame that does not exist.
        if self.boundary && input.is_empty() {
            return Ok(Step { consumed: 0, produced: 0, boundary: true });
        }
        let mut from = InBuffer::around(input);
        let mut to = OutBuffer::around(output);
        let hint = self
            .context
            .decompress_stream(&mut to, &mut from)
            .map_err(|code| fault(code, self.max_memory_bytes))?;
        self.boundary = hint == 0;
        Ok(Step { consumed: from.pos(), produced: to.pos(), boundary: self.boundary })
    }

    fn unfinished(&self) -> &'static str {
        "a frame is not complete"
    }
}

fn fault(code: usize, max_memory_bytes: u64) -> Fault {
    // zstd returns its error numbers negated.
    let number = code.wrapping_neg();
    let is = |error: ZSTD_ErrorCode| number == error as usize;
    let kind = if is(ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge) {
        ErrorKind::LimitExceeded { what: Limit::MemoryBytes, limit: max_memory_bytes }
    } else if is(ZSTD_ErrorCode::ZSTD_error_memory_allocation) {
        ErrorKind::OutOfMemory
    } else if is(ZSTD_ErrorCode::ZSTD_error_dictionary_wrong)
        || is(ZSTD_ErrorCode::ZSTD_error_frameParameter_unsupported)
        || is(ZSTD_ErrorCode::ZSTD_error_version_unsupported)
    {
        ErrorKind::Unsupported
    } else {
        ErrorKind::Corrupt
    };
    Fault::new(kind, 0, get_error_name(code).to_lowercase())
}
