//! Podman's leases: reads a database of `bbolt`, of which only the keys are wanted.
//!
//! Source: bbolt, `page.go` and `bucket.go`; containers/common, `libnetwork/netavark/ipam.go`: in the bucket of a
//! network is one for each subnet, whose keys of 4 or 16 bytes are addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;

const MAGIC: u32 = 0xED0C_DAED;
const PAGE_HEADER: usize = 16;
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const META: u16 = 0x04;
/// An element whose value is a bucket.
const IS_BUCKET: u32 = 1;
/// The sizes of pages that are tried for the second description of the database.
const PAGE_SIZES: [usize; 5] = [4096, 8192, 16384, 32768, 65536];
/// A tree is not deeper.
const DEEPEST: usize = 64;
/// A database has not more elements.
const MOST: usize = 1 << 20;

struct Database<'a> {
    bytes: &'a [u8],
    page: usize,
    /// Elements that were seen: what points at itself ends.
    seen: std::cell::Cell<usize>,
}

/// One element of a leaf.
struct Element<'a> {
    is_bucket: bool,
    key: &'a [u8],
    value: &'a [u8],
}

/// The addresses of a network that are in podman's database; none where it is not one.
pub(crate) fn addresses(bytes: &[u8], network: &str) -> BTreeSet<IpAddr> {
    read(bytes, network).unwrap_or_default()
}

fn read(bytes: &[u8], network: &str) -> Option<BTreeSet<IpAddr>> {
    let (database, root) = Database::open(bytes)?;
    let mut found = BTreeSet::new();
    let mut top = Vec::new();
    database.walk(root, 0, &mut top)?;
    let bucket = top.iter().find(|one| one.is_bucket && one.key == network.as_bytes())?;
    for subnet in database.bucket(bucket.value)?.iter().filter(|one| one.is_bucket) {
        for element in database.bucket(subnet.value)?.iter().filter(|one| !one.is_bucket) {
            let four = <[u8; 4]>::try_from(element.key).map(IpAddr::from);
            found
                .extend(four.or_else(|_| <[u8; 16]>::try_from(element.key).map(IpAddr::from)).ok());
        }
    }
    Some(found)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn size_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32_at(bytes, at)?).ok()
}

impl<'a> Database<'a> {
    /// The database with the page of its root: the newer of its two descriptions.
    fn open(bytes: &'a [u8]) -> Option<(Self, u64)> {
        let mut newest: Option<(usize, u64, u64)> = None;
        for start in std::iter::once(0).chain(PAGE_SIZES) {
            let Some((page, root, transaction)) = meta(bytes, start) else { continue };
            if newest.is_none_or(|(.., other)| other < transaction) {
                newest = Some((page, root, transaction));
            }
        }
        let (page, root, _) = newest?;
        Some((Self { bytes, page, seen: std::cell::Cell::new(0) }, root))
    }

    /// The page of this number, to the end of the file: one may go on over those that follow.
    fn page(&self, number: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(number).ok()?.checked_mul(self.page)?;
        self.bytes.get(start..)
    }

    fn walk(&self, page: u64, depth: usize, found: &mut Vec<Element<'a>>) -> Option<()> {
        self.walk_page(self.page(page)?, depth, found)
    }

    fn walk_page(&self, page: &'a [u8], depth: usize, found: &mut Vec<Element<'a>>) -> Option<()> {
        let (flags, count) = (u16_at(page, 8)?, usize::from(u16_at(page, 10)?));
        self.seen.set(self.seen.get() + count + 1);
        if depth > DEEPEST || self.seen.get() > MOST {
            return None;
        }
        for index in 0..count {
            let at = PAGE_HEADER + index * 16;
            if flags & BRANCH != 0 {
                self.walk(u64_at(page, at + 8)?, depth + 1, found)?;
            } else if flags & LEAF != 0 {
                let start = at.checked_add(size_at(page, at + 4)?)?;
                let middle = start.checked_add(size_at(page, at + 8)?)?;
                let end = middle.checked_add(size_at(page, at + 12)?)?;
                found.push(Element {
                    is_bucket: u32_at(page, at)? & IS_BUCKET != 0,
                    key: page.get(start..middle)?,
                    value: page.get(middle..end)?,
                });
            } else {
                return None;
            }
        }
        Some(())
    }

    /// What is in a bucket: its own page follows its description, where it is small.
    fn bucket(&self, value: &'a [u8]) -> Option<Vec<Element<'a>>> {
        let mut found = Vec::new();
        match u64_at(value, 0)? {
            0 => self.walk_page(value.get(16..)?, 0, &mut found)?,
            root => self.walk(root, 0, &mut found)?,
        }
        Some(found)
    }
}

/// The size of pages, the page of the root, and the number of the transaction that wrote it.
fn meta(bytes: &[u8], start: usize) -> Option<(usize, u64, u64)> {
    let at = start + PAGE_HEADER;
    let whole = u16_at(bytes, start + 8)? & META != 0
        && u32_at(bytes, at)? == MAGIC
        && u64_at(bytes, at + 56)? == checksum(bytes.get(at..at + 56)?);
    let page = size_at(bytes, at + 8)?;
    (whole && page >= 512).then_some(())?;
    Some((page, u64_at(bytes, at + 16)?, u64_at(bytes, at + 48)?))
}

/// FNV-1a of 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn element(flags: u32, at: usize, key: &[u8], value: &[u8]) -> [u8; 16] {
        let mut bytes = [0; 16];
        let number = |size: usize| u32::try_from(size).unwrap().to_le_bytes();
        bytes[..4].copy_from_slice(&flags.to_le_bytes());
        bytes[4..8].copy_from_slice(&number(at));
        bytes[8..12].copy_from_slice(&number(key.len()));
        bytes[12..].copy_from_slice(&number(value.len()));
        bytes
    }

    fn leaf(elements: &[(u32, &[u8], Vec<u8>)]) -> Vec<u8> {
        let mut page = vec![0; 8];
        page.extend(LEAF.to_le_bytes());
        page.extend(u16::try_from(elements.len()).unwrap().to_le_bytes());
        page.extend([0; 4]);
        let mut data = Vec::new();
        for (index, (flags, key, value)) in elements.iter().enumerate() {
            let at = (elements.len() - index) * 16 + data.len();
            page.extend(element(*flags, at, key, value));
            data.extend([*key, value.as_slice()].concat());
        }
        [page, data].concat()
    }

    fn inline(page: Vec<u8>) -> Vec<u8> {
        [vec![0; 16], page].concat()
    }

    /// A database as podman's: one network with one subnet and two addresses.
    fn database() -> Vec<u8> {
        let subnet = inline(leaf(&[
            (0, &[10, 88, 0, 2], b"id".to_vec()),
            (0, &[10, 88, 0, 9], b"id".to_vec()),
            (0, b"lastIP", vec![10, 88, 0, 9]),
        ]));
        let ids = inline(leaf(&[(0, b"id", b"[]".to_vec())]));
        let network = inline(leaf(&[(1, b"10.88.0.0/16", subnet), (1, b"ids", ids)]));
        let root = leaf(&[(1, b"podman", network)]);
        let mut bytes = vec![0; 8192];
        for (start, transaction) in [(0, 1_u64), (4096, 2)] {
            let page = &mut bytes[start..];
            page[8..10].copy_from_slice(&META.to_le_bytes());
            let meta = &mut page[16..];
            meta[..4].copy_from_slice(&MAGIC.to_le_bytes());
            meta[8..12].copy_from_slice(&4096_u32.to_le_bytes());
            meta[16..24].copy_from_slice(&2_u64.to_le_bytes());
            meta[48..56].copy_from_slice(&transaction.to_le_bytes());
            let sum = checksum(&meta[..56]);
            meta[56..64].copy_from_slice(&sum.to_le_bytes());
        }
        bytes.extend(root);
        bytes
    }

    #[test]
    fn podmans_leases_are_read() {
        let found = addresses(&database(), "podman");
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.88.0.2", "10.88.0.9"]);
        assert!(addresses(&database(), "other").is_empty());
        assert!(addresses(b"", "podman").is_empty());
    }

    proptest! {
        #[test]
        fn what_is_damaged_is_read_without_harm(at in 0_usize..8600, byte: u8) {
            let mut bytes = database();
            let length = bytes.len();
            bytes[at % length] = byte;
            addresses(&bytes, "podman");
            addresses(&bytes[..at % length], "podman");
        }
    }
}
