//! The file of the cache.
//!
//! ```text
//! "caskstat"  version u32  CRC-32 u32  written: seconds i64, nanoseconds u32  generation u32
//! records of 88 bytes, sorted by device and number:
//!   device u64  number u64  length u64  modified i64  changed i64
//!   nanoseconds of both 2 × u32  last used in generation u32  flags u32  SHA-256
//! ```
//!
//! Numbers are little-endian. The checksum is of everything behind it.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::UNIX_EPOCH;

use cask_rootfs::Timestamp;

use super::Known;
use crate::view::Status;
use crate::{Error, ErrorKind, Result};

const MAGIC: &[u8; 8] = b"caskstat";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 32;
/// Up to and including the checksum.
const UNCHECKED_BYTES: usize = 16;
const RECORD_BYTES: usize = 88;
const HAS_XATTRS: u32 = 1;

/// The most entries that are kept.
pub(super) const MAX_RECORDS: usize = 500_000;

/// What one file of the cache says, as it is on the disk.
#[derive(Default)]
pub(super) struct Generation {
    bytes: Vec<u8>,
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified: Timestamp,
    changed: Timestamp,
    used: u32,
    flags: u32,
    sha256: [u8; 32],
}

impl Generation {
    /// Reads a file; the error says in words why it is of no use. A missing one is empty.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            other => other.map_err(|error| error.to_string())?,
        };
        let metadata = file.metadata().map_err(|error| error.to_string())?;
        if !metadata.is_file() {
            return Err("it is no regular file".to_owned());
        }
        let most = HEADER_BYTES + MAX_RECORDS * RECORD_BYTES;
        let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
        let mut bytes = Vec::with_capacity(size.min(most) + 1);
        file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        let generation = Self { bytes };
        generation.check()?;
        Ok(generation)
    }

    fn check(&self) -> Result<(), String> {
        let bytes = &self.bytes;
        if bytes.len() < HEADER_BYTES || !bytes.starts_with(MAGIC) {
            return Err("it is no file of a stat cache".to_owned());
        }
        if number(bytes, 8) != VERSION {
            return Err(format!("it has the version {}, not {VERSION}", number(bytes, 8)));
        }
        let records = bytes.len() - HEADER_BYTES;
        if !records.is_multiple_of(RECORD_BYTES) || records / RECORD_BYTES > MAX_RECORDS {
            return Err(format!("it has the wrong length of {} bytes", bytes.len()));
        }
        if crc32fast::hash(&bytes[UNCHECKED_BYTES..]) != number(bytes, 12) {
            return Err("its checksum is wrong".to_owned());
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len().saturating_sub(HEADER_BYTES) / RECORD_BYTES
    }

    /// When the file was written, as its own file system says.
    pub(super) fn written(&self) -> Timestamp {
        match self.bytes.is_empty() {
            true => Timestamp::default(),
            false => Timestamp {
                seconds: long(&self.bytes, 16).cast_signed(),
                nanoseconds: number(&self.bytes, 24),
            },
        }
    }

    fn number(&self) -> u32 {
        if self.bytes.is_empty() { 0 } else { number(&self.bytes, 28) }
    }

    pub(super) fn record(&self, index: usize) -> Record {
        let start = HEADER_BYTES + index * RECORD_BYTES;
        Record::read(&self.bytes[start..start + RECORD_BYTES])
    }

    fn key(&self, index: usize) -> (u64, u64) {
        let start = HEADER_BYTES + index * RECORD_BYTES;
        (long(&self.bytes, start), long(&self.bytes, start + 8))
    }

    /// The place of a file's entry.
    pub(super) fn find(&self, key: (u64, u64)) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(middle).cmp(&key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }
}

impl Record {
    /// A file, of which nothing is known yet.
    pub(super) fn of(status: &Status) -> Self {
        Self {
            device: status.device,
            inode: status.inode,
            size_bytes: status.size_bytes,
            modified: status.modified,
            changed: status.changed,
            used: 0,
            flags: 0,
            sha256: [0; 32],
        }
    }

    pub(super) fn with(mut self, known: Known) -> Self {
        self.sha256 = known.sha256;
        self.flags = if known.has_xattrs { HAS_XATTRS } else { 0 };
        self
    }

    pub(super) fn key(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    pub(super) fn known(&self) -> Known {
        Known { sha256: self.sha256, has_xattrs: self.flags & HAS_XATTRS != 0 }
    }

    pub(super) fn is_of_same_state(&self, other: &Self) -> bool {
        let state =
            |record: &Self| (record.key(), record.size_bytes, record.modified, record.changed);
        state(self) == state(other)
    }

    pub(super) fn is_older_than(&self, written: Timestamp) -> bool {
        self.modified < written && self.changed < written
    }

    fn read(bytes: &[u8]) -> Self {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(&bytes[56..88]);
        let time = |seconds, nanoseconds| Timestamp {
            seconds: long(bytes, seconds).cast_signed(),
            nanoseconds: number(bytes, nanoseconds),
        };
        Self {
            device: long(bytes, 0),
            inode: long(bytes, 8),
            size_bytes: long(bytes, 16),
            modified: time(24, 40),
            changed: time(32, 44),
            used: number(bytes, 48),
            flags: number(bytes, 52),
            sha256,
        }
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        for long in [self.device, self.inode, self.size_bytes] {
            bytes.extend_from_slice(&long.to_le_bytes());
        }
        for time in [self.modified, self.changed] {
            bytes.extend_from_slice(&time.seconds.to_le_bytes());
        }
        let nanoseconds = [self.modified.nanoseconds, self.changed.nanoseconds];
        for number in [nanoseconds[0], nanoseconds[1], self.used, self.flags] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.sha256);
    }
}

/// Replaces the file by one with what is in it now, and what was learned and used.
pub(super) fn replace(
    path: &Path,
    learned: &HashMap<(u64, u64), Record>,
    used: &[(u64, u64)],
) -> Result<()> {
    let fail = |error: io::Error| {
        Error::new(ErrorKind::Io, path.display(), "the stat cache cannot be written")
            .with_source(error)
    };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(fail)?;
    // Held until the end of this function.
    let _lock = lock(path).map_err(fail)?;
    // A file that is of no use is replaced by one that is.
    let now = Generation::read(path).unwrap_or_default();
    let number = now.number().wrapping_add(1);
    let mut records: HashMap<(u64, u64), Record> =
        (0..now.len()).map(|index| now.record(index)).map(|r| (r.key(), r)).collect();
    for key in used {
        if let Some(record) = records.get_mut(key) {
            record.used = number;
        }
    }
    for (key, record) in learned {
        records.insert(*key, Record { used: number, ..*record });
    }
    let mut records: Vec<Record> = records.into_values().collect();
    if records.len() > MAX_RECORDS {
        records.sort_unstable_by_key(|record| (number.wrapping_sub(record.used), record.key()));
        records.truncate(MAX_RECORDS);
    }
    records.sort_unstable_by_key(Record::key);
    write(path, directory, number, &records).map_err(fail)
}

/// Waits for the others who replace the file.
fn lock(path: &Path) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(name)?;
    file.lock()?;
    Ok(file)
}

fn write(path: &Path, directory: &Path, number: u32, records: &[Record]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".stat-cache-").tempfile_in(directory)?;
    // The same clock that gives files their times.
    let written = file.as_file().metadata()?.modified()?;
    let written = written.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut bytes = Vec::with_capacity(HEADER_BYTES + records.len() * RECORD_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&written.as_secs().to_le_bytes());
    bytes.extend_from_slice(&written.subsec_nanos().to_le_bytes());
    bytes.extend_from_slice(&number.to_le_bytes());
    for record in records {
        record.write(&mut bytes);
    }
    let sum = crc32fast::hash(&bytes[UNCHECKED_BYTES..]);
    bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    file.write_all(&bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

fn long(bytes: &[u8], at: usize) -> u64 {
    let mut long = [0; 8];
    long.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(long)
}
