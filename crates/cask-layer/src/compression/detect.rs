//! Recognising a compression by its first bytes.

use std::fmt;
use std::io::{self, Read};

use super::Compression;

const GZIP: &[u8] = &[0x1f, 0x8b, 0x08];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0x00];
const BZIP2: &[u8] = b"BZh";
/// What follows the level digit of a bzip2 stream: a block, or the end of an empty stream.
const BZIP2_NEXT: [&[u8]; 2] =
    [&[0x31, 0x41, 0x59, 0x26, 0x53, 0x59], &[0x17, 0x72, 0x45, 0x38, 0x50, 0x90]];

impl Compression {
    /// How many bytes [`detect`](Self::detect) looks at; more do no harm.
    pub const PREFIX_LEN: usize = 10;

    /// Tells the compression of data from its first bytes.
    ///
    /// Give [`PREFIX_LEN`](Self::PREFIX_LEN) bytes, or all there are if the data is shorter. What
    /// begins like nothing known is [`Compression::None`]; so is empty data.
    ///
    /// - gzip: `1F 8B 08`; xz: `FD 37 7A 58 5A 00`.
    /// - zstd: `28 B5 2F FD`, or a skippable frame `5? 2A 4D 18`, with which pzstd and the
    ///   seekable format begin. (LZ4 has the same skippable frames; its data is then refused by
    ///   the decoder.)
    /// - bzip2: `42 5A 68`, and what must follow as far as it is given: a level `1` to `9` and
    ///   the mark of a block or of the stream's end. A tarball whose first file is called
    ///   `BZhistory` is a tarball.
    ///
    /// Source: containers/image, `pkg/compression` (magic numbers); RFC 8878 section 3.1.2
    /// (skippable frames).
    ///
    /// ```
    /// use cask_layer::Compression;
    ///
    /// assert_eq!(Compression::detect(&[0x1f, 0x8b, 0x08, 0x00]), Compression::Gzip);
    /// assert_eq!(Compression::detect(b"etc/passwd"), Compression::None);
    /// ```
    pub fn detect(prefix: &[u8]) -> Self {
        if prefix.starts_with(GZIP) {
            Self::Gzip
        } else if prefix.starts_with(ZSTD) || is_skippable_frame(prefix) {
            Self::Zstd
        } else if prefix.starts_with(XZ) {
            Self::Xz
        } else if is_bzip2(prefix) {
            Self::Bzip2
        } else {
            Self::None
        }
    }
}

fn is_skippable_frame(prefix: &[u8]) -> bool {
    matches!(prefix, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

fn is_bzip2(prefix: &[u8]) -> bool {
    let Some(rest) = prefix.strip_prefix(BZIP2) else { return false };
    let Some((level, rest)) = rest.split_first() else { return true };
    let len = rest.len().min(BZIP2_NEXT[0].len());
    matches!(level, b'1'..=b'9') && BZIP2_NEXT.iter().any(|next| next[..len] == rest[..len])
}

/// Reads just enough to tell the compression, and gives it with a reader of the whole input.
///
/// The input may be shorter than [`Compression::PREFIX_LEN`], or empty.
///
/// # Errors
/// What `reader` returns; interrupted reads are retried.
///
/// ```
/// use std::io::Read;
/// use cask_layer::{Compression, detect_reader};
///
/// let (compression, mut reader) = detect_reader(&b"plain text"[..])?;
/// assert_eq!(compression, Compression::None);
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "plain text");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn detect_reader<R: Read>(mut reader: R) -> io::Result<(Compression, DetectedReader<R>)> {
    let mut prefix = [0; Compression::PREFIX_LEN];
    let mut len = 0;
    while len < prefix.len() {
        match reader.read(&mut prefix[len..]) {
            Ok(0) => break,
            Ok(count) => len += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let compression = Compression::detect(&prefix[..len]);
    Ok((compression, DetectedReader { prefix, start: 0, end: len, reader }))
}

/// The input of [`detect_reader`], from its first byte on.
pub struct DetectedReader<R> {
    prefix: [u8; Compression::PREFIX_LEN],
    start: usize,
    end: usize,
    reader: R,
}

impl<R> DetectedReader<R> {
    /// Gives the inner reader back once the bytes that were looked at have been read.
    ///
    /// # Errors
    /// Gives `self` back while some of them are still to come, so that none is lost.
    pub fn into_inner(self) -> Result<R, Self> {
        if self.start == self.end { Ok(self.reader) } else { Err(self) }
    }

    /// Borrows the inner reader, which is up to [`Compression::PREFIX_LEN`] bytes ahead.
    pub fn inner(&self) -> &R {
        &self.reader
    }
}

impl<R: Read> Read for DetectedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end {
            return self.reader.read(buffer);
        }
        let count = buffer.len().min(self.end - self.start);
        buffer[..count].copy_from_slice(&self.prefix[self.start..self.start + count]);
        self.start += count;
        Ok(count)
    }
}

impl<R> fmt::Debug for DetectedReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DetectedReader")
            .field("prefix", &&self.prefix[self.start..self.end])
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prefix: &[u8], expected: Compression) {
        assert_eq!(Compression::detect(prefix), expected, "{prefix:02x?}");
        let (found, mut reader) = detect_reader(prefix).unwrap();
        assert_eq!(found, expected, "{prefix:02x?}");
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        assert_eq!(all, prefix);
    }

    #[test]
    fn content_decides() {
        check(b"", Compression::None);
        check(b"\0", Compression::None);
        check(&[0x1f], Compression::None);
        check(&[0x1f, 0x8b], Compression::None);
        check(&[0x1f, 0x8b, 0x08], Compression::Gzip);
        check(&[0x1f, 0x8b, 0x07], Compression::None);
        check(&[0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 0xff, 1, 2], Compression::Gzip);
        check(&[0x28, 0xb5, 0x2f, 0xfd], Compression::Zstd);
        check(&[0x28, 0xb5, 0x2f], Compression::None);
        check(&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0], Compression::Zstd);
        check(&[0x5f, 0x2a, 0x4d, 0x18], Compression::Zstd);
        check(&[0x60, 0x2a, 0x4d, 0x18], Compression::None);
        check(&[0xfd, b'7', b'z', b'X', b'Z', 0], Compression::Xz);
        check(&[0xfd, b'7', b'z', b'X', b'Z', 1], Compression::None);
        check(b"BZh", Compression::Bzip2);
        check(b"BZh9", Compression::Bzip2);
        check(b"BZh91AY&SY", Compression::Bzip2);
        check(b"BZh1\x17\x72\x45\x38\x50\x90", Compression::Bzip2);
        check(b"BZh0", Compression::None);
        check(b"BZhistory/", Compression::None);
        check(b"BZh9/old/notes", Compression::None);
        check(b"etc/passwd\0\0\0\0", Compression::None);
    }

    #[test]
    fn no_byte_is_lost_between_the_two_readers() {
        let data: Vec<u8> = (0..50).collect();
        for size in 1..20 {
            let (_, mut reader) = detect_reader(&data[..]).unwrap();
            let mut all = Vec::new();
            let mut chunk = vec![0; size];
            loop {
                match reader.read(&mut chunk).unwrap() {
                    0 => break,
                    count => all.extend_from_slice(&chunk[..count]),
                }
            }
            assert_eq!(all, data);
            assert!(reader.into_inner().is_ok());
        }
        let (_, reader) = detect_reader(&data[..]).unwrap();
        assert!(reader.into_inner().is_err());
    }
}
