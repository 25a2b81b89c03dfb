//! Headers, byte for byte as Go's `archive/tar` writes them.
//!
//! Source: Go's `archive/tar`, `Writer.WriteHeader`, `Header.allowedFormats`, `splitUSTARPath`.

use std::collections::BTreeMap;

const BLOCK_BYTES: usize = 512;
const NAME_BYTES: usize = 100;
const PREFIX_BYTES: usize = 155;

/// The most bytes of extended records; the same in Go, and our own reader's limit.
const MAX_RECORDS_BYTES: usize = 1 << 20;

/// What a header says. USTAR if that can hold it, else PAX.
#[derive(Clone, Debug, Default)]
pub(super) struct Header {
    pub(super) name: Vec<u8>,
    pub(super) link_name: Vec<u8>,
    pub(super) type_flag: u8,
    /// With the bits of the file type.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size_bytes: u64,
    pub(super) seconds: i64,
    pub(super) device_major: u32,
    pub(super) device_minor: u32,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The extended records are larger than any reader takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

impl Header {
    /// Appends the header's blocks, extended ones first.
    pub(super) fn write(&self, output: &mut Vec<u8>) -> Result<(), TooLarge> {
        let mut records = BTreeMap::new();
        let mut ustar = true;
        let split = split_name(&self.name);
        if !self.name.is_ascii() || self.name.len() > NAME_BYTES {
            ustar &= split.is_some();
            records.insert(b"path".to_vec(), self.name.clone());
        }
        if !self.link_name.is_ascii() || self.link_name.len() > NAME_BYTES {
            ustar = false;
            records.insert(b"linkpath".to_vec(), self.link_name.clone());
        }
        let mut number = |key: &str, number: i64, field: usize| {
            if octal(number, field).is_none() {
                ustar = false;
                records.insert(key.into(), number.to_string().into_bytes());
            }
        };
        number("uid", self.uid.into(), 8);
        number("gid", self.gid.into(), 8);
        number("size", i64::try_from(self.size_bytes).map_err(|_| TooLarge)?, 12);
        number("mtime", self.seconds, 12);
        for (name, value) in &self.xattrs {
            ustar = false;
            records.insert([b"SCHILY.xattr.", name.as_slice()].concat(), value.clone());
        }
        if ustar {
            let (prefix, name) = split.unwrap_or((b"", &self.name));
            self.main_block(name, prefix, &self.link_name, output);
            return Ok(());
        }
        self.records_member(&records, output)?;
        self.main_block(&ascii(&self.name), b"", &ascii(&self.link_name), output);
        Ok(())
    }

    fn main_block(&self, name: &[u8], prefix: &[u8], link_name: &[u8], output: &mut Vec<u8>) {
        let mut block = [0; BLOCK_BYTES];
        put_text(&mut block[..100], name);
        put_number(&mut block[100..108], self.mode.into());
        put_number(&mut block[108..116], self.uid.into());
        put_number(&mut block[116..124], self.gid.into());
        put_number(&mut block[124..136], i64::try_from(self.size_bytes).unwrap_or(-1));
        put_number(&mut block[136..148], self.seconds);
        block[156] = self.type_flag;
        put_text(&mut block[157..257], link_name);
        put_number(&mut block[329..337], self.device_major.into());
        put_number(&mut block[337..345], self.device_minor.into());
        put_text(&mut block[345..500], prefix);
        seal(&mut block, output);
    }

    fn records_member(
        &self,
        records: &BTreeMap<Vec<u8>, Vec<u8>>,
        output: &mut Vec<u8>,
    ) -> Result<(), TooLarge> {
        let mut data = Vec::new();
        for (key, value) in records {
            put_record(&mut data, key, value);
        }
        if data.len() > MAX_RECORDS_BYTES {
            return Err(TooLarge);
        }
        let end = self.name.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        let (directory, file) = self.name.split_at(end);
        let mut name = ascii(&[directory, b"PaxHeaders.0/", file].concat());
        name.truncate(NAME_BYTES);
        while name.last() == Some(&b'/') {
            name.pop();
        }
        let mut block = [0; BLOCK_BYTES];
        put_text(&mut block[..100], &name);
        for field in [100..108, 108..116, 116..124, 136..148] {
            put_number(&mut block[field], 0);
        }
        put_number(&mut block[124..136], i64::try_from(data.len()).unwrap_or(-1));
        block[156] = b'x';
        seal(&mut block, output);
        let length = data.len();
        output.extend_from_slice(&data);
        output.resize(output.len() + padding(length as u64), 0);
        Ok(())
    }
}

/// How many zeros follow so many bytes, up to the next block.
pub(super) fn padding(length: u64) -> usize {
    let over = usize::try_from(length % BLOCK_BYTES as u64).expect("it is below a block's length");
    if over == 0 { 0 } else { BLOCK_BYTES - over }
}

/// Writes magic, version and checksum, and appends the block.
fn seal(block: &mut [u8; BLOCK_BYTES], output: &mut Vec<u8>) {
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: i64 = block.iter().map(|byte| i64::from(*byte)).sum();
    put_number(&mut block[148..155], sum);
    output.extend_from_slice(block);
}

/// The digits of a number with its NUL, if the field has room.
fn octal(number: i64, field: usize) -> Option<String> {
    let text = format!("{:0width$o}", u64::try_from(number).ok()?, width = field - 1);
    (text.len() < field).then_some(text)
}

fn put_number(field: &mut [u8], number: i64) {
    let text = octal(number, field.len()).unwrap_or_else(|| "0".repeat(field.len() - 1));
    field[..text.len()].copy_from_slice(text.as_bytes());
    field[text.len()..].fill(0);
}

fn put_text(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
    // Some readers take whatever ends in a slash here for a directory.
    if text.len() > field.len() && field[length - 1] == b'/' {
        let kept = text[..length - 1].iter().rposition(|byte| *byte != b'/').map_or(0, |n| n + 1);
        field[kept] = 0;
    }
}

fn put_record(data: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // Length, space, key, `=`, value, newline; the length counts its own digits.
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if length.to_string().len() + rest != length {
        length = rest + length.to_string().len();
    }
    data.extend_from_slice(length.to_string().as_bytes());
    data.push(b' ');
    data.extend_from_slice(key);
    data.push(b'=');
    data.extend_from_slice(value);
    data.push(b'\n');
}

/// What is left of a text where only ASCII may be.
fn ascii(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(u8::is_ascii).collect()
}

/// Splits a long name into USTAR's two fields, if it can be.
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= NAME_BYTES || !name.is_ascii() {
        return None;
    }
    let mut length = name.len();
    if length > PREFIX_BYTES + 1 {
        length = PREFIX_BYTES + 1;
    } else if name.ends_with(b"/") {
        length -= 1;
    }
    let slash = name[..length].iter().rposition(|byte| *byte == b'/')?;
    let rest = &name[slash + 1..];
    (slash > 0 && !rest.is_empty() && rest.len() <= NAME_BYTES).then(|| (&name[..slash], rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Vec<u8> {
        let header = Header { name: name.into(), type_flag: b'0', ..Header::default() };
        let mut output = Vec::new();
        header.write(&mut output).unwrap();
        output
    }

    #[test]
    fn names_are_split_or_recorded_as_go_does() {
        let check = |name: &str, blocks: usize, first: &str, prefix: &str| {
            let output = named(name);
            assert_eq!(output.len() / 512, blocks, "{name}");
            let text =
                |field: &[u8]| String::from_utf8_lossy(field).trim_end_matches('\0').to_owned();
            assert_eq!(text(&output[..100]), first);
            assert_eq!(text(&output[345..500]), prefix);
        };
        let (n, m) = ("n".repeat(90), "m".repeat(90));
        check("a/b", 1, "a/b", "");
        check(&format!("{n}/{m}/"), 1, &format!("{m}/"), &n);
        check(&"a".repeat(150), 3, &format!("PaxHeaders.0/{}", "a".repeat(87)), "");
        check("é", 3, "PaxHeaders.0", "");
        check("d/é", 3, "d/PaxHeaders.0", "");
        check(&format!("d/{m}é"), 3, &format!("d/PaxHeaders.0/{}", "m".repeat(85)), "");
    }

    #[test]
    fn record_lengths_count_themselves() {
        let check = |value: usize, expected: &str| {
            let mut data = Vec::new();
            put_record(&mut data, b"path", "v".repeat(value).as_bytes());
            let text = String::from_utf8(data).unwrap();
            assert_eq!(text.split(' ').next(), Some(expected));
            assert_eq!(text.len().to_string(), expected);
        };
        check(0, "8");
        check(1, "9");
        check(2, "11");
        check(90, "99");
        check(91, "101");
        check(92, "102");
    }

    #[test]
    fn what_no_reader_takes_is_refused() {
        let xattrs = vec![(b"user.a".to_vec(), vec![0; 1 << 20])];
        let header = Header { name: b"a".to_vec(), xattrs, ..Header::default() };
        assert_eq!(header.write(&mut Vec::new()), Err(TooLarge));
    }
}
