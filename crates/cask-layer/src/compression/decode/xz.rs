//! xz, stream by stream.
//!
//! Source: the .xz file format 1.2.1 (stream padding: section 2.2).

use liblzma::stream::{Action, CONCATENATED, Error, Status, Stream, TELL_UNSUPPORTED_CHECK};

use super::codec::{Codec, Fault, Step};
use crate::compression::DecompressLimits;
use crate::{ErrorKind, Limit};

pub(super) struct Xz {
    stream: Stream,
    max_memory_bytes: u64,
    /// Whether the library has seen and accepted the end of the whole input.
    ended: bool,
}

impl Xz {
    pub(super) fn new(limits: &DecompressLimits) -> Result<Self, Fault> {
        let max_memory_bytes = limits.max_memory_bytes;
        // A check that cannot be verified must not pass for one that was.
        let flags = CONCATENATED | TELL_UNSUPPORTED_CHECK;
        let stream = Stream::new_stream_decoder(max_memory_bytes.max(1), flags)
            .map_err(|error| fault(&error, 0, max_memory_bytes))?;
        Ok(Self { stream, max_memory_bytes, ended: false })
    }
}

impl Codec for Xz {
    fn step(&mut self, input: &[u8], input_ended: bool, output: &mut [u8]) -> Result<Step, Fault> {
        if self.ended {
            return Ok(Step { boundary: true, ..Step::default() });
        }
        let before = (self.stream.total_in(), self.stream.total_out());
        let action = if input_ended { Action::Finish } else { Action::Run };
        let result = self.stream.process(input, output, action);
        let consumed = (self.stream.total_in() - before.0) as usize;
        let produced = (self.stream.total_out() - before.1) as usize;
        match result {
            Ok(Status::StreamEnd) => self.ended = true,
            // `MemNeeded` is liblzma's word for "no progress is possible".
            Ok(Status::Ok | Status::MemNeeded | Status::GetCheck) => {}
            Err(error) => return Err(fault(&error, consumed, self.max_memory_bytes)),
        }
        Ok(Step { consumed, produced, boundary: self.ended })
    }

    fn unfinished(&self) -> &'static str {
        "a stream is not complete"
    }
}

fn fault(error: &Error, consumed: usize, max_memory_bytes: u64) -> Fault {
    match error {
        Error::MemLimit => Fault::new(
            ErrorKind::LimitExceeded { what: Limit::MemoryBytes, limit: max_memory_bytes },
            consumed,
            "",
        ),
        Error::Mem => Fault::new(ErrorKind::OutOfMemory, consumed, "no memory for xz's dictionary"),
        Error::Options => {
            Fault::new(ErrorKind::Unsupported, consumed, "unknown options or filters")
        }
        Error::UnsupportedCheck => {
            Fault::new(ErrorKind::Unsupported, consumed, "an unknown kind of integrity check")
        }
        Error::Format => Fault::corrupt(consumed, "this is no xz stream"),
        _ => Fault::corrupt(consumed, "invalid data or a checksum that does not match"),
    }
}
