//! Short ways to read a whole stream, and to write one.

use std::io::{BufReader, Read};
use std::path::PathBuf;

use cask_layer::{Member, MemberLimits, Members, Observe, TarError};

/// A folder among the cases from the field, or `None` where there are none.
pub(crate) fn cases(folder: &str) -> Option<PathBuf> {
    let cases = cask_cases::folder(folder)?;
    Some(cases.join("fixtures").join(folder))
}

/// Everything that an observer sees, put together again.
#[derive(Debug, Default)]
pub(crate) struct Accounting(pub(crate) Vec<u8>);

impl Observe for Accounting {
    fn header(&mut self, member: &Member) -> std::io::Result<()> {
        assert_eq!(member.offset, self.0.len() as u64);
        self.0.extend_from_slice(&member.raw_header);
        Ok(())
    }

    fn payload(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn trailer(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// A member and its contents, holes filled.
pub(crate) type Read1 = (Member, Vec<u8>);

/// Reads every member, through a buffer of `buffer_bytes`. Payloads are read only where `read`
/// is true.
pub(crate) fn members(
    stream: &[u8],
    buffer_bytes: usize,
    read: bool,
) -> (Vec<Read1>, Result<(), TarError>) {
    let reader = BufReader::with_capacity(buffer_bytes, stream);
    let mut members = Members::observed(reader, MemberLimits::default(), Accounting::default());
    let mut found = Vec::new();
    loop {
        match members.next_member() {
            Err(error) => return (found, Err(error)),
            Ok(None) => break,
            Ok(Some(mut entry)) => {
                let member = entry.member.clone();
                let mut data = Vec::new();
                if read && let Err(error) = entry.payload.read_to_end(&mut data) {
                    let error = TarError::of(&error).unwrap().clone();
                    found.push((member, data));
                    return (found, Err(error));
                }
                if read && let Some(fragments) = &member.sparse {
                    assert!(member.real_size_bytes < 1 << 24);
                    let mut whole = vec![0; member.real_size_bytes as usize];
                    for fragment in fragments {
                        let (offset, length) = (fragment.offset as usize, fragment.length as usize);
                        let rest = data.split_off(length);
                        whole[offset..offset + length].copy_from_slice(&data);
                        data = rest;
                    }
                    data = whole;
                }
                found.push((member, data));
            }
        }
    }
    let (_, accounting) = members.finish().unwrap();
    assert!(accounting.0 == stream, "every byte is seen once, in order");
    (found, Ok(()))
}

/// A member in one line.
pub(crate) fn line((member, _): &Read1) -> String {
    let Member { name, link_name, type_flag, mode, uid, gid, modified, .. } = member;
    let mut line = format!(
        "{} {} {} {mode:o} {uid}:{gid} {}.{:09}",
        char::from(*type_flag),
        if name.len() > 60 { format!("[{}]", name.len()) } else { name.escape_ascii().to_string() },
        member.real_size_bytes,
        modified.seconds,
        modified.nanoseconds,
    );
    if !link_name.is_empty() {
        let long = format!("[{}]", link_name.len());
        let name = link_name.escape_ascii().to_string();
        line += &format!(" -> {}", if name.len() > 60 { long } else { name });
    }
    if member.device_major != 0 || member.device_minor != 0 {
        line += &format!(" {},{}", member.device_major, member.device_minor);
    }
    for (name, value) in &member.xattrs {
        line += &format!(" {}={}", name.escape_ascii(), value.escape_ascii());
    }
    if member.sparse.is_some() {
        line += " sparse";
    }
    line
}
