//! What the table of contents says of a member.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::{Member, MemberKind, Timestamp};

/// One entry of the table. Readers compare it with the header in the tar-split and refuse the
/// layer where they differ.
///
/// Source: containers/storage, `pkg/chunked/internal/minimal`, `FileMetadata`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    link_name: String,
    #[serde(skip_serializing_if = "is_zero")]
    mode: i64,
    #[serde(skip_serializing_if = "is_zero")]
    size: i64,
    #[serde(skip_serializing_if = "is_zero")]
    uid: i64,
    #[serde(skip_serializing_if = "is_zero")]
    gid: i64,
    #[serde(rename = "modtime", skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
    #[serde(rename = "accesstime", skip_serializing_if = "Option::is_none")]
    accessed: Option<String>,
    #[serde(rename = "changetime", skip_serializing_if = "Option::is_none")]
    changed: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    dev_major: i64,
    #[serde(skip_serializing_if = "is_zero")]
    dev_minor: i64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    xattrs: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<String>,
    #[serde(skip_serializing_if = "is_nothing")]
    pub(super) offset: u64,
    #[serde(skip_serializing_if = "is_nothing")]
    pub(super) end_offset: u64,
    #[serde(skip_serializing_if = "is_nothing")]
    pub(super) chunk_size: u64,
    #[serde(skip_serializing_if = "is_nothing")]
    pub(super) chunk_offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) chunk_digest: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) chunk_type: &'static str,
}

impl Row {
    /// What a header says.
    ///
    /// # Errors
    /// What it is that the table has no words for.
    pub(super) fn of(member: &Member) -> Result<Self, &'static str> {
        let kind = kind(member)?;
        if member.sparse.is_some() {
            return Err("a sparse file");
        }
        if member.kind != MemberKind::File && member.declared_size_bytes != 0 {
            return Err("a size of what has no contents");
        }
        let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err("a name that is not UTF-8"),
        };
        let time = |time: Timestamp| rfc3339(time).ok_or("a time outside the years 0 to 9999");
        let xattrs = member.xattrs.iter();
        Ok(Self {
            kind,
            name: text(&member.name)?,
            link_name: text(&member.link_name)?,
            mode: i64::from(member.mode),
            size: member.declared_size_bytes,
            uid: member.uid,
            gid: member.gid,
            modified: Some(time(member.modified)?),
            accessed: member.accessed.map(time).transpose()?,
            changed: member.changed.map(time).transpose()?,
            dev_major: member.device_major,
            dev_minor: member.device_minor,
            xattrs: xattrs
                .map(|(name, value)| Ok::<_, &str>((text(name)?, STANDARD.encode(value))))
                .collect::<Result<_, _>>()?,
            ..Self::default()
        })
    }

    /// A further piece of the file before.
    pub(super) fn chunk(name: &str) -> Self {
        Self { kind: "chunk", name: name.to_owned(), ..Self::default() }
    }
}

fn kind(member: &Member) -> Result<&'static str, &'static str> {
    Ok(match member.type_flag {
        b'0' => "reg",
        b'1' => "hardlink",
        b'2' => "symlink",
        b'3' => "char",
        b'4' => "block",
        b'5' => "dir",
        b'6' => "fifo",
        b'g' => return Err("a global header"),
        b'S' => return Err("a sparse file"),
        _ => return Err("a member of an unusual type"),
    })
}

/// A time as Go writes it into JSON, in UTC.
fn rfc3339(time: Timestamp) -> Option<String> {
    const DAY: i64 = 24 * 60 * 60;
    let (days, second) = (time.seconds.div_euclid(DAY), time.seconds.rem_euclid(DAY));
    // The algorithm counts from the first of March of the year 0, in eras of 400 years.
    let days = days.checked_add(719_468)?;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era.checked_mul(400)? + year + i64::from(month <= 2);
    if !(0..=9999).contains(&year) {
        return None;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if time.nanoseconds > 0 {
        text.push_str(format!(".{:09}", time.nanoseconds).trim_end_matches('0'));
    }
    text.push('Z');
    Some(text)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_nothing(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_go() {
        let check = |seconds, nanoseconds, expected: Option<&str>| {
            let found = rfc3339(Timestamp { seconds, nanoseconds });
            assert_eq!(found.as_deref(), expected);
        };
        check(0, 0, Some("1970-01-01T00:00:00Z"));
        check(-1, 500_000_000, Some("1969-12-31T23:59:59.5Z"));
        check(951_782_400, 1, Some("2000-02-29T00:00:00.000000001Z"));
        check(1_709_251_199, 0, Some("2024-02-29T23:59:59Z"));
        check(4_107_542_400, 0, Some("2100-03-01T00:00:00Z"));
        check(253_402_300_799, 0, Some("9999-12-31T23:59:59Z"));
        check(253_402_300_800, 0, None);
        check(-62_167_219_200, 0, Some("0000-01-01T00:00:00Z"));
        check(-62_167_219_201, 0, None);
        check(i64::MAX, 0, None);
        check(i64::MIN, 0, None);
    }

    #[test]
    fn rows_say_what_the_header_says_and_leave_out_what_is_nothing() {
        let member = Member {
            name: b"a<b".to_vec(),
            type_flag: b'0',
            declared_size_bytes: 3,
            mode: 0o644,
            xattrs: vec![(b"user.x".to_vec(), b"\0y".to_vec())],
            ..Member::default()
        };
        let row = Row::of(&member).unwrap();
        let expected = r#"{"type":"reg","name":"a<b","mode":420,"size":3,"modtime":"1970-01-01T00:00:00Z","xattrs":{"user.x":"AHk="}}"#;
        assert_eq!(serde_json::to_string(&row).unwrap(), expected);
    }

    #[test]
    fn what_the_table_cannot_say_is_told() {
        let check = |change: fn(&mut Member), expected: &str| {
            let mut member = Member { type_flag: b'0', ..Member::default() };
            change(&mut member);
            assert_eq!(Row::of(&member).unwrap_err(), expected);
        };
        check(|member| member.type_flag = b'g', "a global header");
        check(|member| member.type_flag = b'7', "a member of an unusual type");
        check(|member| member.sparse = Some(Vec::new()), "a sparse file");
        check(|member| member.name = b"\xe4".to_vec(), "a name that is not UTF-8");
        check(
            |member| {
                member.type_flag = b'1';
                member.kind = MemberKind::HardLink;
                member.declared_size_bytes = 1;
            },
            "a size of what has no contents",
        );
        check(|member| member.modified.seconds = i64::MAX, "a time outside the years 0 to 9999");
    }
}
