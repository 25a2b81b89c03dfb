//! bzip2, stream by stream.
//!
//! Source: Go `compress/bzip2` for what concatenated streams and trailing bytes mean.

use bzip2::{Decompress, Error, Status};

use super::codec::{Codec, Fault, Step};
use crate::ErrorKind;

pub(super) struct Bzip2 {
    /// The decoder of the stream at hand; nothing after a whole stream.
    stream: Option<Decompress>,
}

impl Bzip2 {
    pub(super) fn new() -> Self {
        Self { stream: Some(Decompress::new(false)) }
    }
}

impl Codec for Bzip2 {
    fn step(&mut self, input: &[u8], _: bool, output: &mut [u8]) -> Result<Step, Fault> {
        if self.stream.is_none() && input.is_empty() {
            return Ok(Step { boundary: true, ..Step::default() });
        }
        let stream = self.stream.get_or_insert_with(|| Decompress::new(false));
        let before = (stream.total_in(), stream.total_out());
        let result = stream.decompress(input, output);
        let consumed = (stream.total_in() - before.0) as usize;
        let produced = (stream.total_out() - before.1) as usize;
        match result {
            Ok(Status::StreamEnd) => self.stream = None,
            Ok(Status::MemNeeded) => {
                return Err(Fault::new(ErrorKind::OutOfMemory, consumed, "no memory for a block"));
            }
            Ok(_) => {}
            Err(Error::DataMagic) => {
                return Err(Fault::corrupt(consumed, "what follows is no bzip2 header"));
            }
            Err(_) => {
                let detail = "invalid data or a checksum that does not match";
                return Err(Fault::corrupt(consumed, detail));
            }
        }
        Ok(Step { consumed, produced, boundary: self.stream.is_none() })
    }

    fn unfinished(&self) -> &'static str {
        "a stream is not complete"
    }
}
