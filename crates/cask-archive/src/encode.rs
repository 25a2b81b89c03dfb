//! Headers as they are written: deterministic, and the bytes of Go's `archive/tar`.
//!
//! Source: Go 1.19, `archive/tar`: `FileInfoHeader` and `Writer`, with no format asked for.

use crate::header::{BLOCK_BYTES, Block, CHECKSUM, checksum};
use crate::pax;

/// The largest number of eleven octal digits, which is the largest in a header's size and time.
const MAX_OCTAL: u64 = 0o77_777_777_777;
const NAME_BYTES: usize = 100;
const PREFIX_BYTES: usize = 155;

/// What a member's header says.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'a> {
    /// The name, with a slash at the end of a directory's.
    pub(crate) name: &'a str,
    pub(crate) type_flag: u8,
    /// Where a link leads; empty for others.
    pub(crate) link: &'a str,
    pub(crate) size: u64,
    pub(crate) mode: u32,
    /// Seconds since 1970.
    pub(crate) modified: u64,
}

/// The header, after a PAX header where something does not fit.
pub(crate) fn encode(entry: &Entry<'_>) -> Vec<u8> {
    let long_link = !fits(entry.link);
    let split = split(entry.name);
    let needs_records =
        long_link || split.is_none() || entry.modified > MAX_OCTAL || entry.size > MAX_OCTAL;
    let Some((prefix, name)) = split.filter(|_| !needs_records) else {
        return with_records(entry, long_link);
    };
    header(entry, prefix, name).to_vec()
}

fn with_records(entry: &Entry<'_>, long_link: bool) -> Vec<u8> {
    let mut records = Vec::new();
    // Sorted by key, and a long name has a record even where a prefix would hold it, as in Go.
    if long_link {
        records.extend(pax::record("linkpath", entry.link.as_bytes()));
    }
    if entry.modified > MAX_OCTAL {
        records.extend(pax::record("mtime", entry.modified.to_string().as_bytes()));
    }
    if !fits(entry.name) {
        records.extend(pax::record("path", entry.name.as_bytes()));
    }
    if entry.size > MAX_OCTAL {
        records.extend(pax::record("size", entry.size.to_string().as_bytes()));
    }
    let mut bytes = pax_header(entry.name, records.len()).to_vec();
    records.resize(records.len().next_multiple_of(BLOCK_BYTES as usize), 0);
    bytes.extend(records);
    bytes.extend(header(entry, "", &ascii(entry.name)));
    bytes
}

fn fits(name: &str) -> bool {
    name.len() <= NAME_BYTES && name.is_ascii()
}

/// The prefix and the name of a header; nothing if the name does not fit.
fn split(name: &str) -> Option<(&str, &str)> {
    if !name.is_ascii() {
        return None;
    }
    if name.len() <= NAME_BYTES {
        return Some(("", name));
    }
    let end = if name.len() > PREFIX_BYTES + 1 {
        PREFIX_BYTES + 1
    } else {
        name.len() - usize::from(name.ends_with('/'))
    };
    let slash = name[..end].rfind('/')?;
    let (prefix, rest) = (&name[..slash], &name[slash + 1..]);
    let fits = !prefix.is_empty() && !rest.is_empty() && rest.len() <= NAME_BYTES;
    fits.then_some((prefix, rest))
}

/// The member itself. What stands in a PAX record is zero or cut here.
fn header(entry: &Entry<'_>, prefix: &str, name: &str) -> Block {
    let mut block = [0; BLOCK_BYTES as usize];
    put_name(&mut block[..NAME_BYTES], name);
    put_octal(&mut block[100..108], u64::from(entry.mode));
    put_octal(&mut block[108..116], 0);
    put_octal(&mut block[116..124], 0);
    put_octal(&mut block[124..136], entry.size);
    put_octal(&mut block[136..148], entry.modified);
    block[156] = entry.type_flag;
    put_name(&mut block[157..257], &ascii(entry.link));
    put_octal(&mut block[329..337], 0);
    put_octal(&mut block[337..345], 0);
    put_name(&mut block[345..500], prefix);
    seal(&mut block);
    block
}

fn pax_header(name: &str, size: usize) -> Block {
    let (directory, file) = name.rsplit_once('/').map_or(("", name), |(dir, file)| (dir, file));
    let path = [directory, "PaxHeaders.0", file];
    let path: Vec<&str> = path.into_iter().filter(|part| !part.is_empty()).collect();
    let mut path = ascii(&path.join("/"));
    path.truncate(NAME_BYTES);
    let mut block = [0; BLOCK_BYTES as usize];
    put_name(&mut block[..NAME_BYTES], path.trim_end_matches('/'));
    put_octal(&mut block[100..108], 0);
    put_octal(&mut block[108..116], 0);
    put_octal(&mut block[116..124], 0);
    put_octal(&mut block[124..136], size as u64);
    put_octal(&mut block[136..148], 0);
    block[156] = b'x';
    seal(&mut block);
    block
}

/// Magic, version and checksum.
fn seal(block: &mut Block) {
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum = format!("{:06o}\0 ", checksum(block));
    block[CHECKSUM].copy_from_slice(sum.as_bytes());
}

/// Octal digits and a NUL; 0 for what does not fit and stands in a PAX record.
fn put_octal(field: &mut [u8], number: u64) {
    let width = field.len() - 1;
    let mut digits = format!("{number:0width$o}");
    if digits.len() > width {
        digits = "0".repeat(width);
    }
    field[..width].copy_from_slice(digits.as_bytes());
}

/// As much as fits. A cut name must not end with a slash: some readers take that for a directory.
fn put_name(field: &mut [u8], name: &str) {
    let fits = name.len().min(field.len());
    field[..fits].copy_from_slice(&name.as_bytes()[..fits]);
    if name.len() > field.len() && field.ends_with(b"/") {
        let end = name[..field.len()].trim_end_matches('/').len();
        field[end..].fill(0);
    }
}

/// The name without what is no ASCII.
fn ascii(name: &str) -> String {
    name.chars().filter(char::is_ascii).collect()
}
