//! One header block of 512 bytes: reading its fields.
//!
//! Source: POSIX.1-2017, `pax`, "ustar Interchange Format"; GNU tar's manual, "Basic Tar Format".

use crate::ErrorKind;

/// The size of a block, and of a header.
pub(crate) const BLOCK_BYTES: u64 = 512;

/// One block of an archive.
pub(crate) type Block = [u8; BLOCK_BYTES as usize];

/// The offset of a header's checksum field, and its width.
pub(crate) const CHECKSUM: std::ops::Range<usize> = 148..156;

/// What is wrong with a header, before anything is known of where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flaw(pub(crate) ErrorKind, pub(crate) &'static str);

/// Shorthand for what contradicts the format.
pub(crate) const fn malformed(detail: &'static str) -> Flaw {
    Flaw(ErrorKind::Malformed, detail)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// Before POSIX: no magic, no prefix, no extension headers.
    V7,
    Ustar,
    /// Jörg Schilling's: a shorter prefix.
    Star,
    Gnu,
}

/// A header block whose checksum is right.
pub(crate) struct Header<'a> {
    block: &'a Block,
    dialect: Dialect,
}

impl<'a> Header<'a> {
    /// Reads a block that is not all zeros.
    pub(crate) fn parse(block: &'a Block) -> Result<Self, Flaw> {
        if !checksum_matches(block) {
            return Err(malformed("the header's checksum is wrong: this is no tar archive"));
        }
        let dialect = match (&block[257..265], &block[508..512]) {
            (b"ustar\x0000", b"tar\0") => Dialect::Star,
            (b"ustar  \0", _) => Dialect::Gnu,
            (magic, _) if magic.starts_with(b"ustar\0") => Dialect::Ustar,
            _ => Dialect::V7,
        };
        let header = Self { block, dialect };
        header.refuse_ambiguous_prefix()?;
        Ok(header)
    }

    /// The kind of the member; 0 in old archives means a file.
    pub(crate) fn type_flag(&self) -> u8 {
        self.block[156]
    }

    /// Whether the header may introduce long names and PAX records at all.
    pub(crate) fn may_extend(&self) -> bool {
        self.dialect != Dialect::V7
    }

    /// The name, with the prefix that POSIX puts before it.
    pub(crate) fn name(&self) -> Vec<u8> {
        let prefix = match self.dialect {
            Dialect::Ustar => text(&self.block[345..500]),
            Dialect::Star => text(&self.block[345..476]),
            Dialect::V7 | Dialect::Gnu => b"",
        };
        let name = text(&self.block[..100]);
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    /// Where a link leads; empty if it is none.
    pub(crate) fn link_name(&self) -> &'a [u8] {
        text(&self.block[157..257])
    }

    /// How many bytes of data follow.
    pub(crate) fn size(&self) -> Result<u64, Flaw> {
        number(&self.block[124..136]).ok_or(malformed("the header's size is not a number"))
    }

    /// Go's library, up to version 1.7, wrote POSIX prefixes under GNU's magic where GNU has
    /// times. Readers disagree about those names, so nobody gets to choose.
    fn refuse_ambiguous_prefix(&self) -> Result<(), Flaw> {
        if self.dialect == Dialect::Gnu && number(&self.block[345..357]).is_none() {
            return Err(malformed("a GNU header has a POSIX prefix: its name is ambiguous"));
        }
        Ok(())
    }
}

/// The bytes of a field up to the first NUL.
pub(crate) fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    &field[..end]
}

/// A number field: octal digits, or GNU's base 256; never negative. An empty field is 0.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        return base_256(field);
    }
    let padding = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !padding(byte)).unwrap_or(field.len());
    let digits = &field[start..];
    let end = digits.iter().position(padding).unwrap_or(digits.len());
    if !digits[end..].iter().all(padding) {
        return None;
    }
    digits[..end].iter().try_fold(0_u64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

fn base_256(field: &[u8]) -> Option<u64> {
    let first = field[0];
    // The second highest bit is the sign.
    if first & 0x40 != 0 {
        return None;
    }
    field[1..]
        .iter()
        .try_fold(u64::from(first & 0x3f), |value, byte| {
            value.checked_mul(256)?.checked_add(u64::from(*byte))
        })
        // Go's largest; what is larger overflows somewhere.
        .filter(|value| i64::try_from(*value).is_ok())
}

/// The sum of a header's bytes, the checksum field counting as spaces.
pub(crate) fn checksum(block: &Block) -> u32 {
    let spaces = CHECKSUM.len() as u32 * u32::from(b' ');
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    sum(&block[..CHECKSUM.start]) + spaces + sum(&block[CHECKSUM.end..])
}

fn checksum_matches(block: &Block) -> bool {
    let Some(stored) = number(&block[CHECKSUM]) else { return false };
    if stored == u64::from(checksum(block)) {
        return true;
    }
    // Some old programs summed signed bytes.
    let signed: i64 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| if CHECKSUM.contains(&at) { 32 } else { i64::from(*byte as i8) })
        .sum();
    i64::try_from(stored) == Ok(signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        let check = |field: &[u8], expected: Option<u64>| {
            assert_eq!(number(field), expected, "{field:?}");
        };
        check(b"0000644\0", Some(0o644));
        check(b"   644 \0", Some(0o644));
        check(b"\0\0\0\0", Some(0));
        check(b"    ", Some(0));
        check(b"77777777777\0", Some(0o77777777777));
        check(b"777777777777", Some(0o777777777777));
        check(b"0000648\0", None);
        check(b"12 34\0", None);
        check(b"-1\0", None);
        check(b"+1\0", None);
        check(b"\x80\0\0\0\0\0\0\x02\0\0\0\0", Some(2 << 32));
        check(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None);
        check(b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", None);
        check(b"\x80\0\0\x01\0\0\0\0\0\0\0\0", None);
    }
}
