//! Inputs, and short ways to say what tests say often.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;

use cask_layer::{Compression, DecompressLimits, Error, ErrorKind, Level, compress, decompress};

/// Every compression that has a format of its own.
pub(crate) const REAL: [Compression; 4] =
    [Compression::Gzip, Compression::Zstd, Compression::Xz, Compression::Bzip2];

pub(crate) fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

/// A small generator of numbers, the same on every machine.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Something like a layer: text with repeated words, runs of zeros, and noise.
pub(crate) fn sample(len: usize) -> Vec<u8> {
    const WORDS: [&str; 12] = [
        "usr/lib/",
        "python3/",
        "site-packages/",
        "root",
        "import ",
        "return self.",
        "\0\0\0\0",
        "0000644",
        "ustar  ",
        "def __init__",
        "libexample.so.",
        "\n    ",
    ];
    let mut numbers = Numbers(len as u64);
    let mut out = Vec::with_capacity(len + 600);
    while out.len() < len {
        match numbers.below(100) {
            0 => out.extend_from_slice(&[0; 512]),
            1..=4 => {
                for _ in 0..numbers.below(64) {
                    out.extend_from_slice(&numbers.next().to_le_bytes());
                }
            }
            5..=9 if out.len() > 1000 => {
                let from = numbers.below(out.len() as u64 - 500) as usize;
                out.extend_from_within(from..from + 400);
            }
            _ => {
                out.extend_from_slice(WORDS[numbers.below(WORDS.len() as u64) as usize].as_bytes());
            }
        }
    }
    out.truncate(len);
    out
}

/// Bytes that cannot be compressed.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut numbers = Numbers(77);
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        out.extend_from_slice(&numbers.next().to_le_bytes());
    }
    out.truncate(len);
    out
}

/// Compresses with this crate, or for xz and bzip2 with the libraries that it decodes with.
pub(crate) fn pack(data: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::Xz => {
            let mut out = Vec::with_capacity(data.len() * 2 + 4096);
            let check = liblzma::stream::Check::Crc64;
            let mut stream = liblzma::stream::Stream::new_easy_encoder(6, check).unwrap();
            let status = stream.process_vec(data, &mut out, liblzma::stream::Action::Finish);
            assert_eq!(status.unwrap(), liblzma::stream::Status::StreamEnd);
            out
        }
        Compression::Bzip2 => {
            let level = bzip2::Compression::best();
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), level);
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        _ => pack_as(data, compression, Level::Default, 1),
    }
}

pub(crate) fn pack_as(
    data: &[u8],
    compression: Compression,
    level: Level,
    count: usize,
) -> Vec<u8> {
    let mut writer = compress(Vec::new(), compression, level, threads(count)).unwrap();
    writer.write_all(data).unwrap();
    writer.finish().unwrap()
}

/// Decompresses with the default limits.
pub(crate) fn unpack(blob: &[u8], compression: Compression) -> io::Result<Vec<u8>> {
    unpack_within(blob, compression, DecompressLimits::default())
}

pub(crate) fn unpack_within(
    blob: &[u8],
    compression: Compression,
    limits: DecompressLimits,
) -> io::Result<Vec<u8>> {
    let mut reader = decompress(blob, compression, limits);
    let mut out = Vec::new();
    reader.read_to_end(&mut out)?;
    assert!(reader.finish()?.is_empty(), "the end of the output is the end of the input");
    Ok(out)
}

/// The kind of this crate's error inside an [`io::Error`].
pub(crate) fn kind(error: &io::Error) -> ErrorKind {
    Error::of(error).unwrap_or_else(|| panic!("an error of this crate, not {error:?}")).kind()
}

/// A reader that gives at most so many bytes at a time, now and then interrupted, and that counts
/// how often it was asked at its end.
pub(crate) struct Dribble<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) size: usize,
    pub(crate) calls: usize,
    pub(crate) ends: usize,
}

impl<'a> Dribble<'a> {
    pub(crate) fn new(data: &'a [u8], size: usize) -> Self {
        Self { data, size, calls: 0, ends: 0 }
    }
}

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.calls += 1;
        if self.calls.is_multiple_of(7) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = buffer.len().min(self.size).min(self.data.len());
        buffer[..count].copy_from_slice(&self.data[..count]);
        self.data = &self.data[count..];
        self.ends += usize::from(count == 0);
        Ok(count)
    }
}
