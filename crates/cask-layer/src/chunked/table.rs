//! The table of contents, and the skippable frames behind the files.
//!
//! Source: containers/storage, `pkg/chunked/internal/minimal`; RFC 8878, section 3.1.2.

use std::collections::BTreeMap;
use std::io::{self, Write};

use cask_image::{Algorithm, Digest, Hasher};
use zstd::stream::write::Encoder;

use super::row::Row;

/// Readers take no larger table.
///
/// Source: containers/storage, `pkg/chunked`, `maxTocSize`.
const MAX_TABLE_BYTES: u64 = 150 << 20;

/// The most bytes of the compressed tar-split. Readers hold it in memory, and so does the writer.
const MAX_TAR_SPLIT_BYTES: usize = 64 << 20;

/// What begins a skippable frame.
const SKIPPABLE: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];

/// What ends the blob.
const MAGIC: &[u8; 8] = b"GNUlInUx";

/// How long the magic number and the length of a skippable frame are.
const FRAME_HEAD_BYTES: u64 = 8;

/// The only type of table there is.
const TABLE_TYPE: u64 = 1;

/// The level for the table and the tar-split. That of the files need not fit them.
const LEVEL: i32 = 3;

/// Lines are like those just before: a window of 512 KiB will do, and takes a quarter of the memory.
const WINDOW_LOG: u32 = 19;

/// Something compressed that waits to be written at the end.
pub(super) struct Hidden {
    encoder: Encoder<'static, Vec<u8>>,
    plain_bytes: u64,
}

/// It, with its length before it was compressed.
struct Packed {
    bytes: Vec<u8>,
    plain_bytes: u64,
}

impl Hidden {
    pub(super) fn new() -> io::Result<Self> {
        let mut encoder = Encoder::new(Vec::new(), LEVEL)?;
        encoder.window_log(WINDOW_LOG)?;
        Ok(Self { encoder, plain_bytes: 0 })
    }

    /// Whether this can still be a tar-split that readers take.
    pub(super) fn fits_tar_split(&self) -> bool {
        self.encoder.get_ref().len() <= MAX_TAR_SPLIT_BYTES
    }

    fn finish(self) -> io::Result<Packed> {
        Ok(Packed { bytes: self.encoder.finish()?, plain_bytes: self.plain_bytes })
    }
}

impl Write for Hidden {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.encoder.write(bytes)?;
        self.plain_bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The entries of the table so far.
pub(super) struct Table {
    json: Hidden,
    line: Vec<u8>,
}

impl Table {
    pub(super) fn new() -> io::Result<Self> {
        let mut json = Hidden::new()?;
        json.write_all(b"{\"version\":1,\"entries\":[")?;
        Ok(Self { json, line: Vec::new() })
    }

    /// Adds an entry; tells whether readers will still take the table.
    pub(super) fn add(&mut self, row: &Row) -> io::Result<bool> {
        if !self.line.is_empty() {
            self.json.write_all(b",")?;
        }
        self.line.clear();
        serde_json::to_writer(&mut self.line, row)?;
        self.json.write_all(&self.line)?;
        Ok(self.json.plain_bytes <= MAX_TABLE_BYTES - 1024)
    }

    /// Writes what stands behind `offset` bytes of frames, and gives the annotations that say
    /// where it is.
    pub(super) fn write(
        mut self,
        tar_split: Hidden,
        offset: u64,
        writer: &mut impl Write,
    ) -> io::Result<BTreeMap<String, String>> {
        let tar_split = tar_split.finish()?;
        let digest = digest(&tar_split.bytes);
        write!(self.json, "],\"tarSplitDigest\":\"{digest}\"}}")?;
        let table = self.json.finish()?;
        let offset = offset + FRAME_HEAD_BYTES;
        let split_offset = offset + table.bytes.len() as u64 + FRAME_HEAD_BYTES;
        skippable(writer, &table.bytes)?;
        skippable(writer, &tar_split.bytes)?;
        let (length, plain) = (table.bytes.len() as u64, table.plain_bytes);
        let (split_length, split_plain) = (tar_split.bytes.len() as u64, tar_split.plain_bytes);
        let numbers = [offset, length, plain, TABLE_TYPE, split_offset, split_length, split_plain];
        let mut footer: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        footer.extend_from_slice(MAGIC);
        skippable(writer, &footer)?;
        let annotations = [
            ("manifest-checksum", self::digest(&table.bytes).to_string()),
            ("manifest-position", format!("{offset}:{length}:{plain}:{TABLE_TYPE}")),
            ("tarsplit-position", format!("{split_offset}:{split_length}:{split_plain}")),
        ];
        let key = |name| format!("io.github.containers.zstd-chunked.{name}");
        Ok(annotations.into_iter().map(|(name, value)| (key(name), value)).collect())
    }
}

fn digest(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}

fn skippable(writer: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    writer.write_all(&SKIPPABLE)?;
    writer.write_all(&length.to_le_bytes())?;
    writer.write_all(bytes)
}
