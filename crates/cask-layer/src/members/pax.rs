//! PAX extended header records.

use std::collections::BTreeMap;

use super::Member;
use super::number::{decimal, time};

/// The records of one extended header that mean something here.
#[derive(Debug, Default)]
pub(super) struct Pax {
    /// Of a name given twice, the last.
    records: BTreeMap<Vec<u8>, Vec<u8>>,
}

const XATTR: &[u8] = b"SCHILY.xattr.";
const SPARSE: &[u8] = b"GNU.sparse.";

impl Pax {
    /// Reads the payload of an extended header. The error says what is wrong.
    ///
    /// Source: Go's `archive/tar`, `parsePAX` and `parsePAXRecord`. Names must not be empty or
    /// hold zero bytes; `path`, `linkpath`, `uname` and `gname` must not hold zero bytes.
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, &'static str> {
        let mut pax = Self::default();
        let mut sparse: Vec<&[u8]> = Vec::new();
        while !bytes.is_empty() {
            let (name, value, rest) = record(bytes)?;
            bytes = rest;
            let odd = sparse.len() % 2 == 1;
            match name {
                b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                    if odd != (name == b"GNU.sparse.numbytes") || value.contains(&b',') {
                        return Err("GNU.sparse.offset and numbytes do not alternate");
                    }
                    sparse.push(value);
                }
                b"path" | b"linkpath" | b"uname" | b"gname" | b"uid" | b"gid" | b"size"
                | b"mtime" | b"atime" | b"ctime" => pax.insert(name, value),
                _ if name.starts_with(XATTR) || name.starts_with(SPARSE) => {
                    pax.insert(name, value);
                }
                _ => {}
            }
        }
        if !sparse.is_empty() {
            pax.insert(b"GNU.sparse.map", &sparse.join(&b','));
        }
        Ok(pax)
    }

    fn insert(&mut self, name: &[u8], value: &[u8]) {
        self.records.insert(name.to_vec(), value.to_vec());
    }

    /// A record of GNU's sparse formats; empty where there is none.
    pub(super) fn sparse(&self, name: &str) -> &[u8] {
        let name = [SPARSE, name.as_bytes()].concat();
        self.records.get(&name).map_or(&[], Vec::as_slice)
    }

    /// Lets the records override what the header says. The error names the faulty record.
    ///
    /// An empty value changes nothing, except that an extended attribute may be empty.
    /// Source: Go's `archive/tar`, `mergePAX`.
    pub(super) fn apply(&self, member: &mut Member, size: &mut i64) -> Result<(), &'static str> {
        for (name, value) in &self.records {
            if let Some(name) = name.strip_prefix(XATTR) {
                member.xattrs.push((name.to_vec(), value.clone()));
                continue;
            }
            if value.is_empty() {
                continue;
            }
            match name.as_slice() {
                b"path" => member.name.clone_from(value),
                b"linkpath" => member.link_name.clone_from(value),
                b"uname" => member.user_name.clone_from(value),
                b"gname" => member.group_name.clone_from(value),
                b"uid" => member.uid = decimal(value).ok_or("uid")?,
                b"gid" => member.gid = decimal(value).ok_or("gid")?,
                b"size" => *size = decimal(value).ok_or("size")?,
                b"mtime" => member.modified = time(value).ok_or("mtime")?,
                b"atime" => member.accessed = Some(time(value).ok_or("atime")?),
                b"ctime" => member.changed = Some(time(value).ok_or("ctime")?),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Name, value, and what follows the record.
type Record<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// Splits off one record: `"%d %s=%s\n"` with its own length first.
fn record(bytes: &[u8]) -> Result<Record<'_>, &'static str> {
    let space = bytes.iter().position(|&byte| byte == b' ');
    let space = space.ok_or("a record without a length")?;
    let length = decimal(&bytes[..space]).and_then(|length| usize::try_from(length).ok());
    let length = length.ok_or("a record without a length")?;
    if length > bytes.len() {
        return Err("a record longer than the header");
    }
    if length < 5 || space + 1 >= length - 1 {
        return Err("a record too short for a name and a value");
    }
    let (record, rest) = (&bytes[space + 1..length], &bytes[length..]);
    let Some(record) = record.strip_suffix(b"\n") else {
        return Err("a record without a newline at its end");
    };
    let equals = record.iter().position(|&byte| byte == b'=').ok_or("a record without a `=`")?;
    let (name, value) = (&record[..equals], &record[equals + 1..]);
    let checked = match name {
        b"" => return Err("a record without a name"),
        b"path" | b"linkpath" | b"uname" | b"gname" => value,
        _ => name,
    };
    if checked.contains(&0) {
        return Err("a zero byte in a name");
    }
    Ok((name, value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8], expected: Result<&[u8], &'static str>) {
        let found = Pax::parse(text);
        let found = found.as_ref().map(|pax| pax.records.get(&b"path"[..]).map(Vec::as_slice));
        assert_eq!(found.map_err(|error| *error), expected.map(Some), "{}", text.escape_ascii());
    }

    #[test]
    fn records_say_their_own_length() {
        check(b"9 path=a\n", Ok(b"a"));
        check(b"9 path=a\n9 path=b\n", Ok(b"b"));
        check(b"0000000019 path=ab\n", Ok(b"ab"));
        check(b"+10 path=\n", Ok(b""));
        check(b"11 path=a\n", Err("a record longer than the header"));
        check(b"8 path=a\n", Err("a record without a newline at its end"));
        check(b"8 path\n\n", Err("a record without a `=`"));
        check(b"5 =a\n", Err("a record without a name"));
        check(b"9 path=\0\n", Err("a zero byte in a name"));
        check(b"path=a\n", Err("a record without a length"));
        check(b"3 a", Err("a record too short for a name and a value"));
        check(b"-3 a=b\n", Err("a record without a length"));
    }

    #[test]
    fn values_may_hold_anything() {
        let pax = Pax::parse(b"31 SCHILY.xattr.user.a=b\n=\0\xff\nc\n").unwrap();
        let mut member = Member::default();
        pax.apply(&mut member, &mut 0).unwrap();
        assert_eq!(member.xattrs, [(b"user.a".to_vec(), b"b\n=\0\xff\nc".to_vec())]);
    }
}
