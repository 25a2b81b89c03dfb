//! The maps of sparse files, in the four ways that GNU tar has written them.

use super::block::{BLOCK_BYTES, Block};
use super::number::{decimal, header_number};
use super::pax::Pax;
use super::{Fragment, Member};

/// How a member's PAX records say that it is sparse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PaxSparse {
    /// Formats 0.0 and 0.1: the map is among the records.
    InRecords,
    /// Format 1.0: the map is in front of the data.
    InFront,
}

/// Says whether records describe a sparse file, and lets them override name and size.
///
/// The error names the faulty record.
/// Source: Go's `archive/tar`, `readGNUSparsePAXHeaders`.
pub(super) fn pax_sparse(
    pax: &Pax,
    member: &mut Member,
    size: &mut i64,
) -> Result<Option<PaxSparse>, &'static str> {
    let found = match (pax.sparse("major"), pax.sparse("minor")) {
        (b"0", b"0" | b"1") => PaxSparse::InRecords,
        (b"1", b"0") => PaxSparse::InFront,
        (b"", b"") if !pax.sparse("map").is_empty() => PaxSparse::InRecords,
        _ => return Ok(None),
    };
    let name = pax.sparse("name");
    if !name.is_empty() {
        member.name = name.to_vec();
    }
    let real = match pax.sparse("size") {
        b"" => pax.sparse("realsize"),
        real => real,
    };
    if !real.is_empty() {
        *size = decimal(real).ok_or("GNU.sparse.size")?;
    }
    Ok(Some(found))
}

/// Reads the map of formats 0.0 and 0.1.
pub(super) fn map_of_records(pax: &Pax) -> Option<Vec<(i64, i64)>> {
    let count = decimal(pax.sparse("numblocks")).and_then(|count| usize::try_from(count).ok())?;
    let map = pax.sparse("map");
    if map.is_empty() {
        return (count == 0).then(Vec::new);
    }
    let numbers: Option<Vec<i64>> = map.split(|&byte| byte == b',').map(decimal).collect();
    let numbers = numbers?;
    if Some(numbers.len()) != count.checked_mul(2) {
        return None;
    }
    Some(numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

/// Reads the entries of an old GNU header (`base` 386, four entries) or of one of the blocks that
/// continue it (`base` 0, twenty-one), and says whether another block follows.
pub(super) fn old_entries(
    block: &Block,
    base: usize,
    count: usize,
    map: &mut Vec<(i64, i64)>,
) -> Option<bool> {
    for index in 0..count {
        let entry = &block[base + index * 24..][..24];
        if entry[0] == 0 {
            break;
        }
        map.push((header_number(&entry[..12])?, header_number(&entry[12..])?));
    }
    Some(block[base + count * 24] > 0)
}

/// Reads the map of format 1.0, fed block by block until it is complete.
#[derive(Debug, Default)]
pub(super) struct FrontMap {
    token: Vec<u8>,
    expected: Option<usize>,
    numbers: Vec<i64>,
}

impl FrontMap {
    /// Takes the next block; gives the map once it is complete, and nothing for a faulty one.
    pub(super) fn feed(&mut self, block: &[u8; BLOCK_BYTES]) -> Option<Option<Vec<(i64, i64)>>> {
        for &byte in block {
            if self.expected == Some(self.numbers.len()) {
                break;
            }
            if byte != b'\n' {
                self.token.push(byte);
                continue;
            }
            let number = decimal(&self.token)?;
            self.token.clear();
            match self.expected {
                None => self.expected = Some(usize::try_from(number).ok()?.checked_mul(2)?),
                Some(_) => self.numbers.push(number),
            }
        }
        if self.expected != Some(self.numbers.len()) {
            return Some(None);
        }
        Some(Some(self.numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()))
    }
}

/// Checks a map against the size of the file and of its data. The error says what is wrong.
///
/// Source: Go's `archive/tar`, `validateSparseEntries`, and for the data its `errMissData` and
/// `errUnrefData`, which come only when the payload is read there.
pub(super) fn fragments(
    map: &[(i64, i64)],
    real_size: i64,
    stream_size: u64,
) -> Result<Vec<Fragment>, &'static str> {
    let number = |number: i64| u64::try_from(number).map_err(|_| "a negative sparse map");
    let real_size = number(real_size)?;
    let (mut end, mut data) = (0, 0);
    let mut fragments = Vec::with_capacity(map.len());
    for &(offset, length) in map {
        let (offset, length) = (number(offset)?, number(length)?);
        if offset < end {
            return Err("a sparse map out of order");
        }
        // Both are below 2^63.
        end = offset + length;
        if end > real_size {
            return Err("a sparse map beyond the end of the file");
        }
        data += length;
        fragments.push(Fragment { offset, length });
    }
    if data != stream_size {
        return Err("a sparse map for more or less data than there is");
    }
    Ok(fragments)
}
