//! One header block of 512 bytes.

use super::number::{header_number, octal, text};
use super::{Member, MemberKind, Timestamp};

pub(super) const BLOCK_BYTES: usize = 512;

pub(super) type Block = [u8; BLOCK_BYTES];

/// The dialects that differ in what they put where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    V7,
    Ustar,
    Star,
    Gnu,
}

/// Says which dialect a block is written in; nothing where the checksum is wrong.
///
/// The sum may be over signed bytes, as Sun's tar computed it.
/// Source: Go's `archive/tar`, `block.getFormat`.
pub(super) fn format(block: &Block) -> Option<Format> {
    let expected = octal(&block[148..156])?;
    let (mut unsigned, mut signed) = (0_u64, 0_i64);
    for (index, &byte) in block.iter().enumerate() {
        let byte = if (148..156).contains(&index) { b' ' } else { byte };
        unsigned += u64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    if expected != unsigned && expected.cast_signed() != signed {
        return None;
    }
    Some(match (&block[257..263], &block[263..265], &block[508..512]) {
        (b"ustar\0", _, b"tar\0") => Format::Star,
        (b"ustar\0", _, _) => Format::Ustar,
        (b"ustar ", b" \0", _) => Format::Gnu,
        _ => Format::V7,
    })
}

/// What a block says, before extended records: a member and the size in its header.
///
/// The error is the name of the field that is not a number.
pub(super) fn member(block: &Block, format: Format) -> Result<(Member, i64), &'static str> {
    let number = |field: &[u8], name: &'static str| header_number(field).ok_or(name);
    let type_flag = block[156];
    let mut member = Member {
        name: text(&block[..100]).to_vec(),
        link_name: text(&block[157..257]).to_vec(),
        kind: MemberKind::of_flag(type_flag),
        type_flag,
        uid: number(&block[108..116], "uid")?,
        gid: number(&block[116..124], "gid")?,
        modified: seconds(number(&block[136..148], "mtime")?),
        ..Member::default()
    };
    let size = number(&block[124..136], "size")?;
    let mode = number(&block[100..108], "mode")?;
    member.mode = (mode & i64::from(u32::MAX)).try_into().expect("it was cut to 32 bits");
    if format == Format::V7 {
        return Ok((member, size));
    }
    member.user_name = text(&block[265..297]).to_vec();
    member.group_name = text(&block[297..329]).to_vec();
    member.device_major = number(&block[329..337], "devmajor")?;
    member.device_minor = number(&block[337..345], "devminor")?;
    let prefix = match format {
        Format::Ustar => text(&block[345..500]),
        Format::Star => {
            member.accessed = Some(seconds(number(&block[476..488], "atime")?));
            member.changed = Some(seconds(number(&block[488..500], "ctime")?));
            text(&block[345..476])
        }
        _ => match gnu_times(block) {
            Some(times) => {
                (member.accessed, member.changed) = times;
                &[]
            }
            None => gnu_prefix(block),
        },
    };
    if !prefix.is_empty() {
        let name = std::mem::take(&mut member.name);
        member.name = [prefix, b"/", &name].concat();
    }
    Ok((member, size))
}

fn seconds(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanoseconds: 0 }
}

/// The times of access and of change in a GNU header, each where it is there; nothing where they
/// are not numbers.
fn gnu_times(block: &Block) -> Option<(Option<Timestamp>, Option<Timestamp>)> {
    let time = |field: &[u8]| match field[0] {
        0 => Some(None),
        _ => header_number(field).map(|number| Some(seconds(number))),
    };
    Some((time(&block[345..357])?, time(&block[357..369])?))
}

/// The prefix that Go before 1.8 put into GNU headers, where atime and ctime belong.
///
/// Source: Go's `archive/tar`, `readHeader`; golang.org/issue/12594 and 21005.
fn gnu_prefix(block: &Block) -> &[u8] {
    let prefix = text(&block[345..500]);
    if prefix.is_ascii() { prefix } else { &[] }
}
