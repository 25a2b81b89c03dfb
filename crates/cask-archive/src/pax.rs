//! PAX records: `length key=value\n`, as read and as written.
//!
//! Source: POSIX.1-2017, `pax`, "pax Extended Header".

use crate::header::{Flaw, malformed};
use crate::{ErrorKind, name::MAX_NAME_BYTES};

/// What of a PAX header concerns an archive of files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Records {
    pub(crate) path: Option<Box<[u8]>>,
    pub(crate) link_path: Option<Box<[u8]>>,
    pub(crate) size: Option<u64>,
}

impl Records {
    /// Reads all records of an extended header. Of records with one key the last one counts; an
    /// empty value takes the record back.
    pub(crate) fn parse(mut data: &[u8]) -> Result<Self, Flaw> {
        let mut records = Self::default();
        while !data.is_empty() {
            let (record, rest) = split(data)?;
            data = rest;
            let Record { key, value } = record;
            match key {
                b"path" => records.path = name(value)?,
                b"linkpath" => records.link_path = name(value)?,
                b"size" => records.size = size(value)?,
                _ if key.starts_with(b"GNU.sparse.") => {
                    return Err(Flaw(ErrorKind::Unsupported, "sparse files are not supported"));
                }
                _ => {}
            }
        }
        Ok(records)
    }

    /// Whether a header for all following members would change how they are found.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

const BAD_RECORD: Flaw = malformed("a PAX record contradicts its length");

struct Record<'a> {
    key: &'a [u8],
    value: &'a [u8],
}

/// The first record, and what follows it.
fn split(data: &[u8]) -> Result<(Record<'_>, &[u8]), Flaw> {
    let digits = data.iter().take(8).position(|byte| *byte == b' ').ok_or(BAD_RECORD)?;
    let length = decimal(&data[..digits]).ok_or(BAD_RECORD)?;
    let length = usize::try_from(length).map_err(|_| BAD_RECORD)?;
    if length < digits + 2 || length > data.len() || data[length - 1] != b'\n' {
        return Err(BAD_RECORD);
    }
    let record = &data[digits + 1..length - 1];
    let equals = record.iter().position(|byte| *byte == b'=').ok_or(BAD_RECORD)?;
    let record = Record { key: &record[..equals], value: &record[equals + 1..] };
    Ok((record, &data[length..]))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

fn name(value: &[u8]) -> Result<Option<Box<[u8]>>, Flaw> {
    if value.contains(&0) {
        return Err(Flaw(ErrorKind::UnsafeName, "a PAX record's name contains a NUL byte"));
    }
    if value.len() > MAX_NAME_BYTES {
        return Err(Flaw(ErrorKind::UnsafeName, "a name has more than 4096 bytes"));
    }
    Ok((!value.is_empty()).then(|| value.into()))
}

fn size(value: &[u8]) -> Result<Option<u64>, Flaw> {
    if value.is_empty() {
        return Ok(None);
    }
    decimal(value)
        .filter(|size| i64::try_from(*size).is_ok())
        .map(Some)
        .ok_or(malformed("a PAX record's size is not a number"))
}

/// One record as bytes. The length at its start counts itself.
pub(crate) fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let fixed = " =\n".len() + key.len() + value.len();
    let mut length = fixed;
    while fixed + digits_of(length) != length {
        length = fixed + digits_of(length);
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

fn digits_of(number: usize) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_are_read_by_their_length() {
        let check = |data: &[u8], expected: Result<Records, ErrorKind>| {
            let found = Records::parse(data).map_err(|Flaw(kind, _)| kind);
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(data));
        };
        let path = |path: &[u8]| Ok(Records { path: Some(path.into()), ..Records::default() });
        check(b"", Ok(Records::default()));
        check(b"11 path=ab\n", path(b"ab"));
        check(b"16 path=a\nb=c\n\n\n", path(b"a\nb=c\n\n"));
        check(b"10 path=a\n10 path=b\n", path(b"b"));
        check(b"10 path=a\n9 path=\n", Err(ErrorKind::Malformed));
        check(b"10 path=a\n8 path=\n", Ok(Records::default()));
        check(b"12 size=100\n", Ok(Records { size: Some(100), ..Records::default() }));
        check(b"11 size=-1\n", Err(ErrorKind::Malformed));
        check(b"28 size=9223372036854775808\n", Err(ErrorKind::Malformed));
        check(b"10 path\0=a", Err(ErrorKind::Malformed));
        check(b"11 path=a\0\n", Err(ErrorKind::UnsafeName));
        check(b"22 GNU.sparse.major=1\n", Err(ErrorKind::Unsupported));
        check(b"11 path=a\n", Err(ErrorKind::Malformed));
        check(b"8 path=a\n", Err(ErrorKind::Malformed));
        check(b"path=a\n", Err(ErrorKind::Malformed));
        check(b" path=a\n", Err(ErrorKind::Malformed));
        check(b"99999999999999999999 path=a\n", Err(ErrorKind::Malformed));
        check(b"3 =\n", Err(ErrorKind::Malformed));
        check(b"5 ab\n", Err(ErrorKind::Malformed));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Records::parse(&data);
        }

        #[test]
        fn what_is_written_is_read(path in proptest::collection::vec(1_u8.., 1..2000)) {
            let records = Records::parse(&record("path", &path)).unwrap();
            prop_assert_eq!(records.path.as_deref(), Some(&path[..]));
        }
    }
}
