//! Writing tar members one at a time.

use std::fmt;
use std::io::{self, Write};

use super::header::{Header, padding};
use crate::MemberKind;

/// What is said about a member that is to be written.
///
/// Names are written as they are: a directory's ends with a `/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewMember {
    /// The name.
    pub name: Vec<u8>,
    /// The target of a link; empty for everything else.
    pub link_name: Vec<u8>,
    /// What the member is.
    pub kind: MemberKind,
    /// Permissions with setuid, setgid and sticky: twelve bits. Those of the type are added.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// How many bytes of payload follow; for files only.
    pub size_bytes: u64,
    /// When it was modified: whole seconds since the beginning of 1970.
    pub seconds: i64,
    /// The major number of a device.
    pub device_major: u32,
    /// The minor number of a device.
    pub device_minor: u32,
    /// Extended attributes by name. A name must not hold a `=`.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Writes a tar stream member by member, byte for byte as Go's `archive/tar` would and so as
/// [`diff_tree`](crate::diff_tree) does.
///
/// A payload goes through [`Write`]: exactly as many bytes as its member says.
///
/// ```
/// use std::io::Write;
/// use cask_layer::{MemberWriter, NewMember};
///
/// let mut writer = MemberWriter::new(Vec::new());
/// let mut member = NewMember::default();
/// member.name = b"etc/hostname".to_vec();
/// member.mode = 0o644;
/// member.size_bytes = 5;
/// writer.member(&member)?;
/// writer.write_all(b"cask\n")?;
/// assert_eq!(writer.finish()?.len(), 2048);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct MemberWriter<W> {
    output: W,
    header: Vec<u8>,
    left: u64,
    padding: usize,
    members: u64,
}

impl<W: Write> MemberWriter<W> {
    /// Begins a stream; nothing is written yet.
    pub fn new(output: W) -> Self {
        Self { output, header: Vec::new(), left: 0, padding: 0, members: 0 }
    }

    /// Writes the headers of a member.
    ///
    /// # Errors
    /// `InvalidInput` where the payload of the one before is not complete, where the extended
    /// records are larger than a mebibyte, and for a kind that cannot be written; those of the
    /// output.
    pub fn member(&mut self, member: &NewMember) -> io::Result<()> {
        self.end_member()?;
        let (type_flag, type_bits) = flag(member.kind).ok_or_else(|| {
            invalid(format!("a member of the kind {:?} cannot be written", member.kind))
        })?;
        let size_bytes = if type_flag == b'0' { member.size_bytes } else { 0 };
        let header = Header {
            name: member.name.clone(),
            link_name: member.link_name.clone(),
            type_flag,
            mode: type_bits | (member.mode & 0o7777),
            uid: member.uid,
            gid: member.gid,
            size_bytes,
            seconds: member.seconds,
            device_major: member.device_major,
            device_minor: member.device_minor,
            xattrs: member.xattrs.clone(),
        };
        self.header.clear();
        header
            .write(&mut self.header)
            .map_err(|_| invalid("extended records are larger than a mebibyte".to_owned()))?;
        self.output.write_all(&self.header)?;
        self.left = size_bytes;
        self.padding = padding(size_bytes);
        self.members += 1;
        Ok(())
    }

    /// How many members were begun.
    pub fn members(&self) -> u64 {
        self.members
    }

    /// Ends the stream, and gives what it went to back.
    ///
    /// # Errors
    /// `InvalidInput` where the last payload is not complete; those of the output.
    pub fn finish(mut self) -> io::Result<W> {
        self.end_member()?;
        self.output.write_all(&[0; 1024])?;
        self.output.flush()?;
        Ok(self.output)
    }

    fn end_member(&mut self) -> io::Result<()> {
        if self.left > 0 {
            return Err(invalid(format!("{} bytes of a payload are missing", self.left)));
        }
        let padding = std::mem::take(&mut self.padding);
        self.output.write_all(&[0; 512][..padding])
    }
}

impl<W: Write> Write for MemberWriter<W> {
    /// Writes a part of the payload.
    ///
    /// # Errors
    /// `InvalidInput` for more than the member said.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if bytes.len() as u64 > self.left {
            return Err(invalid("a payload is longer than its member said".to_owned()));
        }
        let count = self.output.write(bytes)?;
        self.left -= count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl<W> fmt::Debug for MemberWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberWriter").field("members", &self.members).finish_non_exhaustive()
    }
}

/// The flag of a kind, and the bits of its type in the mode.
fn flag(kind: MemberKind) -> Option<(u8, u32)> {
    Some(match kind {
        MemberKind::File => (b'0', 0o100_000),
        MemberKind::HardLink => (b'1', 0o100_000),
        MemberKind::Symlink => (b'2', 0o120_000),
        MemberKind::CharacterDevice => (b'3', 0o020_000),
        MemberKind::BlockDevice => (b'4', 0o060_000),
        MemberKind::Directory => (b'5', 0o040_000),
        MemberKind::Fifo => (b'6', 0o010_000),
        _ => return None,
    })
}

fn invalid(detail: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, detail)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::{MemberLimits, Members};

    #[test]
    fn what_is_written_is_read_back() {
        let mut writer = MemberWriter::new(Vec::new());
        let directory = NewMember {
            name: b"d/".to_vec(),
            kind: MemberKind::Directory,
            mode: 0o1755,
            uid: 7,
            gid: 8,
            seconds: 9,
            ..NewMember::default()
        };
        let file = NewMember { name: b"d/f".to_vec(), size_bytes: 3, ..NewMember::default() };
        writer.member(&directory).unwrap();
        writer.member(&file).unwrap();
        writer.write_all(b"abc").unwrap();
        let tar = writer.finish().unwrap();
        let mut members = Members::new(&tar[..], MemberLimits::default());
        let first = members.next_member().unwrap().unwrap().member.clone();
        assert_eq!((first.name.as_slice(), first.kind), (&b"d/"[..], MemberKind::Directory));
        assert_eq!((first.mode & 0o7777, first.uid, first.gid), (0o1755, 7, 8));
        let mut second = members.next_member().unwrap().unwrap();
        let mut text = String::new();
        second.payload.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
        assert!(members.next_member().unwrap().is_none());
    }

    #[test]
    fn a_payload_has_the_length_that_was_said() {
        let file = NewMember { name: b"f".to_vec(), size_bytes: 3, ..NewMember::default() };
        let mut writer = MemberWriter::new(Vec::new());
        writer.member(&file).unwrap();
        assert!(writer.write_all(b"abcd").is_err());
        writer.write_all(b"ab").unwrap();
        assert!(writer.finish().is_err());
    }
}
