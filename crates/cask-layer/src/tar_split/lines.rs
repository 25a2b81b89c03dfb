//! The lines of tar-split files, whatever compresses them.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The most bytes of one segment; longer ones become several.
pub(crate) const SEGMENT_BYTES: usize = 1 << 20;

/// Writes one JSON object a line.
///
/// Source: vbatts/tar-split, `tar/storage`.
pub(crate) struct Lines<W> {
    output: W,
    line: Vec<u8>,
    position: u64,
}

impl<W: Write> Lines<W> {
    pub(crate) fn new(output: W) -> Self {
        Self { output, line: Vec::new(), position: 0 }
    }

    /// Writes that these bytes come next. Nothing is written for no bytes.
    pub(crate) fn segment(&mut self, bytes: &[u8]) -> io::Result<()> {
        for bytes in bytes.chunks(SEGMENT_BYTES) {
            self.line.clear();
            self.line.extend_from_slice(b"{\"type\":2,\"payload\":\"");
            self.encode(bytes);
            self.line.push(b'"');
            self.end()?;
        }
        Ok(())
    }

    /// Writes that the contents of a file come next. `crc` is their checksum, and nothing where
    /// there are no contents.
    pub(crate) fn file(
        &mut self,
        name: &[u8],
        size_bytes: u64,
        crc: Option<u64>,
    ) -> io::Result<()> {
        self.line.clear();
        self.line.extend_from_slice(b"{\"type\":1");
        match std::str::from_utf8(name) {
            Ok("") => {}
            Ok(name) => {
                self.line.extend_from_slice(b",\"name\":\"");
                escape(name, &mut self.line);
                self.line.push(b'"');
            }
            Err(_) => {
                self.line.extend_from_slice(b",\"name_raw\":\"");
                self.encode(name);
                self.line.push(b'"');
            }
        }
        if size_bytes > 0 {
            write!(self.line, ",\"size\":{size_bytes}")?;
        }
        match crc {
            Some(crc) => {
                self.line.extend_from_slice(b",\"payload\":\"");
                self.encode(&crc.to_be_bytes());
                self.line.push(b'"');
            }
            None => self.line.extend_from_slice(b",\"payload\":null"),
        }
        self.end()
    }

    /// How many entries were written.
    pub(crate) fn entries(&self) -> u64 {
        self.position
    }

    /// What the lines are written to.
    pub(crate) fn output(&self) -> &W {
        &self.output
    }

    /// Gives the writer below back, which has all lines.
    pub(crate) fn into_output(self) -> W {
        self.output
    }

    fn encode(&mut self, bytes: &[u8]) {
        let start = self.line.len();
        self.line.resize(start + bytes.len().div_ceil(3) * 4, 0);
        let written = STANDARD.encode_slice(bytes, &mut self.line[start..]);
        written.expect("the room is what base64 needs");
    }

    fn end(&mut self) -> io::Result<()> {
        writeln!(self.line, ",\"position\":{}}}", self.position)?;
        self.output.write_all(&self.line)?;
        self.position += 1;
        Ok(())
    }
}

/// Writes a JSON string as Go's `encoding/json` does, `<`, `>` and `&` escaped.
fn escape(text: &str, line: &mut Vec<u8>) {
    for char in text.chars() {
        match char {
            '"' => line.extend_from_slice(b"\\\""),
            '\\' => line.extend_from_slice(b"\\\\"),
            '\n' => line.extend_from_slice(b"\\n"),
            '\r' => line.extend_from_slice(b"\\r"),
            '\t' => line.extend_from_slice(b"\\t"),
            '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                line.extend_from_slice(format!("\\u{:04x}", u32::from(char)).as_bytes());
            }
            other => line.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}
