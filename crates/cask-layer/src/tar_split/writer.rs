//! The writer of tar-split files.

use std::fmt;
use std::io::{self, Write};
use std::num::NonZeroUsize;

use super::lines::Lines;
use crate::{CompressWriter, Compression, Level, compress};

/// Writes a tar-split file: gzip of one JSON object a line, as the field's tools write it.
///
/// ```
/// use cask_layer::{TarSplitEntry, TarSplitReader, TarSplitWriter};
///
/// let mut writer = TarSplitWriter::new(Vec::new())?;
/// writer.segment(b"header")?;
/// writer.file(b"etc/hostname", 4, Some(0x1234))?;
/// let file = writer.finish()?;
///
/// let mut reader = TarSplitReader::new(&file[..])?;
/// assert_eq!(reader.next_entry()?, Some(TarSplitEntry::Segment(b"header".to_vec())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: vbatts/tar-split, `tar/storage`.
pub struct TarSplitWriter<W: Write> {
    lines: Lines<CompressWriter<W>>,
}

impl<W: Write> TarSplitWriter<W> {
    /// Starts a tar-split file.
    ///
    /// # Errors
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory), inside [`io::Error`].
    pub fn new(output: W) -> io::Result<Self> {
        let output = compress(output, Compression::Gzip, Level::Exact(1), NonZeroUsize::MIN)?;
        Ok(Self { lines: Lines::new(output) })
    }

    /// Writes that these bytes come next. Nothing is written for no bytes.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn segment(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.lines.segment(bytes)
    }

    /// Writes that the contents of a file come next. `crc` is their checksum, and nothing where
    /// there are no contents.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn file(&mut self, name: &[u8], size_bytes: u64, crc: Option<u64>) -> io::Result<()> {
        self.lines.file(name, size_bytes, crc)
    }

    /// How many entries were written.
    pub fn entries(&self) -> u64 {
        self.lines.entries()
    }

    /// Ends the file and gives the writer below back.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn finish(self) -> io::Result<W> {
        self.lines.into_output().finish()
    }
}

impl<W: Write> fmt::Debug for TarSplitWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TarSplitWriter").field("entries", &self.entries()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::{DecompressLimits, decompress};

    fn check(name: &[u8], size: u64, crc: Option<u64>, expected: &str) {
        let mut writer = TarSplitWriter::new(Vec::new()).unwrap();
        writer.file(name, size, crc).unwrap();
        let file = writer.finish().unwrap();
        let mut text = String::new();
        let limits = DecompressLimits::default();
        decompress(&file[..], Compression::Gzip, limits).read_to_string(&mut text).unwrap();
        assert_eq!(text, format!("{expected}\n"));
    }

    #[test]
    fn lines_are_those_of_the_field() {
        check(b"bin/", 0, None, r#"{"type":1,"name":"bin/","payload":null,"position":0}"#);
        check(
            b"bin/busybox",
            1_982_256,
            Some(0xf15f_7b29_5076_f05b),
            r#"{"type":1,"name":"bin/busybox","size":1982256,"payload":"8V97KVB28Fs=","position":0}"#,
        );
        check(b"", 0, None, r#"{"type":1,"payload":null,"position":0}"#);
        check(b"a\xe4", 0, None, r#"{"type":1,"name_raw":"YeQ=","payload":null,"position":0}"#);
        check(
            "ä\"\\<&\n\x01\u{2028}".as_bytes(),
            0,
            None,
            r#"{"type":1,"name":"ä\"\\\u003c\u0026\n\u0001\u2028","payload":null,"position":0}"#,
        );
    }
}
