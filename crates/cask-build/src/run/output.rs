//! What a command writes, line by line.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::thread::{self, JoinHandle};

use rustix::pipe::{PipeFlags, pipe_with};

use crate::build::OutputStream;
use crate::{Error, ErrorKind, Result};

/// The longest line that is told at once, in bytes.
const LONGEST_LINE: usize = 64 << 10;

/// Splits what comes in into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    open: Vec<u8>,
}

impl Lines {
    /// Takes more bytes, and gives every line that is complete.
    pub(super) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(Vec<u8>)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.open.extend_from_slice(part);
            if part.ends_with(b"\n") || self.open.len() >= LONGEST_LINE {
                line(std::mem::take(&mut self.open));
            }
        }
    }

    /// Gives what is left.
    pub(super) fn finish(self, mut line: impl FnMut(Vec<u8>)) {
        if !self.open.is_empty() {
            line(self.open);
        }
    }
}

/// A pipe: where a command writes, and the thread that tells what it wrote; it ends when nobody has
/// the other side any more.
pub(super) fn pipe(
    stream: OutputStream,
    tell: impl Fn(OutputStream, Vec<u8>) + Send + 'static,
) -> Result<(OwnedFd, JoinHandle<()>)> {
    let failed = |error: std::io::Error| {
        Error::new(ErrorKind::Runtime, "the command", "no pipe for its output").with_source(error)
    };
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
    let thread = thread::Builder::new().name("cask-build-output".into()).spawn(move || {
        let mut reader = File::from(reader);
        let mut buffer = vec![0; 32 << 10];
        let mut lines = Lines::default();
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => lines.push(&buffer[..count], |line| tell(stream, line)),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        lines.finish(|line| tell(stream, line));
    });
    Ok((writer, thread.map_err(failed)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_unless_they_are_too_long() {
        let mut found: Vec<Vec<u8>> = Vec::new();
        let mut lines = Lines::default();
        for bytes in [&b"a"[..], b"b\n\nc", b"", b"\nd"] {
            lines.push(bytes, |line| found.push(line));
        }
        lines.finish(|line| found.push(line));
        assert_eq!(found, [&b"ab\n"[..], b"\n", b"c\n", b"d"]);
        found.clear();
        let mut lines = Lines::default();
        for _ in 0..5 {
            lines.push(&vec![b'x'; 32 << 10], |line| found.push(line));
        }
        lines.finish(|line| found.push(line));
        let lengths: Vec<usize> = found.iter().map(Vec::len).collect();
        assert_eq!(lengths, [64 << 10, 64 << 10, 32 << 10]);
    }
}
