//! One pass over the headers of an archive, which makes its index.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::header::{BLOCK_BYTES, Block, Flaw, Header, malformed, text};
use crate::member::{Member, MemberKind, padded};
use crate::name::{MAX_NAME_BYTES, compare, is_below, normalised};
use crate::pax::Records;

/// The largest header for a long name or PAX records, as in Go's library: 1 MiB.
const MAX_EXTENSION_BYTES: u64 = 1 << 20;

/// What the index is taken to need per member beside its names.
const MEMBER_BYTES: u64 = 128;

/// How much is read at once: a few headers of small members.
const WINDOW_BYTES: usize = 8 << 10;

/// The members of an archive, in the order of the archive.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) members: Vec<Member>,
    /// Positions in `members`, in the order of [`compare`].
    by_name: Vec<u32>,
    /// Where the end-of-archive marker is.
    pub(crate) end: u64,
}

/// What a name stands for in an [`Index`].
pub(crate) enum Found<'a> {
    Nothing,
    One(&'a Member),
    Several { first: &'a Member, second: &'a Member },
}

impl Index {
    /// Looks for a normalised name. Several directories of one name count as one.
    pub(crate) fn find(&self, name: &[u8]) -> Found<'_> {
        let member = |at: u32| &self.members[at as usize];
        let start = self.by_name.partition_point(|at| compare(&member(*at).name, name).is_lt());
        let mut same =
            self.by_name[start..].iter().map(|at| member(*at)).take_while(|m| *m.name == *name);
        let Some(first) = same.next() else { return Found::Nothing };
        let is_directory = |member: &Member| member.kind == MemberKind::Directory;
        match same.find(|other| !(is_directory(first) && is_directory(other))) {
            Some(second) => Found::Several { first, second },
            None => Found::One(first),
        }
    }
}

/// Reads all headers of a plain archive. Nothing of the members' data is read.
///
/// # Errors
/// `Truncated`, `Malformed`, `UnsafeName`, `Unsupported`, `TooLarge` and `Io`.
pub(crate) fn scan(file: &File, archive: &Path, max_index_bytes: u64) -> Result<Index> {
    let length = file.metadata().map_err(|error| Error::io("reading", archive, error))?.len();
    let mut scanner =
        Scanner { file, archive, length, window: Vec::new(), window_start: 0, position: 0 };
    let mut members = Vec::new();
    let mut room = max_index_bytes;
    while let Some(member) = scanner.next_member()? {
        let links = match &member.kind {
            MemberKind::Symlink(target) | MemberKind::Hardlink(target) => target.len(),
            _ => 0,
        };
        let needed = MEMBER_BYTES + (member.name.len() + links) as u64;
        room = room.checked_sub(needed).ok_or_else(|| {
            let detail = format!("the names of its members need more than {max_index_bytes} bytes");
            scanner.error(ErrorKind::TooLarge, member.header_offset, detail)
        })?;
        // The root directory has no name, and nothing to say.
        if !member.name.is_empty() {
            members.push(member);
        }
    }
    let by_name = sorted(&members);
    refuse_members_below_files(&members, &by_name, archive)?;
    Ok(Index { members, by_name, end: scanner.position })
}

/// Positions of members by name; of one name, directories come first.
fn sorted(members: &[Member]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..members.len()).map(|at| at as u32).collect();
    order.sort_by(|left, right| {
        let (left, right) = (&members[*left as usize], &members[*right as usize]);
        let is_file = |member: &Member| member.kind != MemberKind::Directory;
        compare(&left.name, &right.name).then(is_file(left).cmp(&is_file(right)))
    });
    order
}

/// A program that unpacks an archive writes `link/name` to wherever `link` leads, perhaps over
/// another member. One that looks names up, as this crate does, would see another archive.
fn refuse_members_below_files(members: &[Member], by_name: &[u32], archive: &Path) -> Result<()> {
    let mut above: Vec<&Member> = Vec::new();
    for member in by_name.iter().map(|at| &members[*at as usize]) {
        while above.last().is_some_and(|last| !is_below(&member.name, &last.name)) {
            above.pop();
        }
        if above.last().is_some_and(|last| last.kind != MemberKind::Directory) {
            let detail = "the member lies below another one that is no directory";
            return Err(Error::new(ErrorKind::UnsafeName, "reading", archive, detail)
                .member(&member.name)
                .at(member.header_offset));
        }
        above.push(member);
    }
    Ok(())
}

struct Scanner<'a> {
    file: &'a File,
    archive: &'a Path,
    length: u64,
    window: Vec<u8>,
    window_start: u64,
    position: u64,
}

/// What extension headers say of the member that follows them.
#[derive(Default)]
struct Pending {
    long_name: Option<Box<[u8]>>,
    long_link: Option<Box<[u8]>>,
    records: Option<Records>,
}

impl Scanner<'_> {
    /// The next member, or nothing at the end-of-archive marker.
    fn next_member(&mut self) -> Result<Option<Member>> {
        let start = self.position;
        let mut pending = Pending::default();
        loop {
            let at = self.position;
            let block = self.block()?;
            if block == [0; BLOCK_BYTES as usize] {
                return self.end(at, &pending).map(|()| None);
            }
            let flawed = |scanner: &Self, Flaw(kind, detail)| scanner.error(kind, at, detail);
            let header = Header::parse(&block).map_err(|flaw| flawed(self, flaw))?;
            let flag = header.type_flag();
            if !matches!(flag, b'x' | b'g' | b'L' | b'K') {
                let member = member(&header, pending, start, self.position);
                let member = member.map_err(|flaw| flawed(self, flaw))?;
                return self.skip_data(&member).map(|()| Some(member));
            }
            if !header.may_extend() {
                let flaw = malformed("an extension header in a format that has none");
                return Err(flawed(self, flaw));
            }
            let data = self.extension(at, header.size().map_err(|flaw| flawed(self, flaw))?)?;
            pending.add(flag, &data).map_err(|flaw| flawed(self, flaw))?;
        }
    }

    /// Reads the data of an extension header.
    fn extension(&mut self, at: u64, size: u64) -> Result<Vec<u8>> {
        if size > MAX_EXTENSION_BYTES {
            let detail = format!("a long name or PAX header has {size} bytes, more than 1 MiB");
            return Err(self.error(ErrorKind::TooLarge, at, detail));
        }
        let start = self.position;
        self.require(start.saturating_add(padded(size)))?;
        let mut data = vec![0; size as usize];
        self.file.read_exact_at(&mut data, start).map_err(|error| self.io(error))?;
        self.position = start + padded(size);
        Ok(data)
    }

    /// The marker is two blocks of zeros. One suffices at the end of the file, as for Go.
    fn end(&mut self, at: u64, pending: &Pending) -> Result<()> {
        if !pending.is_empty() {
            let detail = "a long name or PAX header is followed by no member";
            return Err(self.error(ErrorKind::Malformed, at, detail));
        }
        let has_second = self.length - self.position >= BLOCK_BYTES;
        if has_second && self.block()? != [0; BLOCK_BYTES as usize] {
            let detail = "a block of zeros, and then no second one";
            return Err(self.error(ErrorKind::Malformed, at, detail));
        }
        self.position = at;
        Ok(())
    }

    /// Moves behind a member's data, which must be there.
    fn skip_data(&mut self, member: &Member) -> Result<()> {
        let end = member.data_offset.saturating_add(member.size);
        if end > self.length {
            let held = self.length.saturating_sub(member.data_offset);
            let detail = format!("the archive ends after {held} of {} bytes of data", member.size);
            return Err(Error::new(ErrorKind::Truncated, "reading", self.archive, detail)
                .member(&member.name)
                .at(member.data_offset));
        }
        self.position = member.end_offset();
        Ok(())
    }

    /// The block at the current position, which moves behind it.
    fn block(&mut self) -> Result<Block> {
        let at = self.position;
        self.require(at.saturating_add(BLOCK_BYTES))?;
        let held = self.window_start..self.window_start + self.window.len() as u64;
        if !(held.contains(&at) && held.end - at >= BLOCK_BYTES) {
            self.fill_window(at)?;
        }
        let from = (at - self.window_start) as usize;
        self.position = at + BLOCK_BYTES;
        Ok(self.window[from..from + BLOCK_BYTES as usize]
            .try_into()
            .expect("the window holds a whole block from here"))
    }

    fn fill_window(&mut self, at: u64) -> Result<()> {
        let bytes = (self.length - at).min(WINDOW_BYTES as u64) as usize;
        self.window.resize(bytes, 0);
        self.window_start = at;
        self.file.read_exact_at(&mut self.window, at).map_err(|error| {
            self.window.clear();
            Error::io("reading", self.archive, error).at(at)
        })
    }

    /// Fails unless the archive has that many bytes.
    fn require(&self, bytes: u64) -> Result<()> {
        if bytes <= self.length {
            return Ok(());
        }
        let detail = match self.length {
            0 => "the file is empty".into(),
            length => format!(
                "the archive ends at byte {length}, without its end-of-archive marker: it was cut \
                 short"
            ),
        };
        Err(self.error(ErrorKind::Truncated, self.position, detail))
    }

    fn error(
        &self,
        kind: ErrorKind,
        at: u64,
        detail: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Error {
        Error::new(kind, "reading", self.archive, detail).at(at)
    }

    fn io(&self, error: io::Error) -> Error {
        Error::io("reading", self.archive, error).at(self.position)
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.long_name.is_none() && self.long_link.is_none() && self.records.is_none()
    }

    /// Takes note of one extension header.
    fn add(&mut self, flag: u8, data: &[u8]) -> Result<(), Flaw> {
        match flag {
            b'L' => put(&mut self.long_name, long_name(data)?),
            b'K' => put(&mut self.long_link, long_name(data)?),
            b'x' => put(&mut self.records, Records::parse(data)?),
            _ if Records::parse(data)?.is_empty() => Ok(()),
            _ => {
                Err(Flaw(ErrorKind::Unsupported, "a global PAX header renames or resizes members"))
            }
        }
    }

    /// The name of the member: one source of it, or several that agree.
    ///
    /// Go prefers GNU's long names, others prefer PAX: a difference would make two archives of one.
    fn name(&mut self, header: Vec<u8>) -> Result<Box<[u8]>, Flaw> {
        let path = self.records.as_mut().and_then(|records| records.path.take());
        agreed(self.long_name.take(), path).map(|name| name.unwrap_or(header.into()))
    }

    fn link(&mut self, header: &[u8]) -> Result<Box<[u8]>, Flaw> {
        let path = self.records.as_mut().and_then(|records| records.link_path.take());
        agreed(self.long_link.take(), path).map(|name| name.unwrap_or(header.into()))
    }
}

fn put<T>(slot: &mut Option<T>, value: T) -> Result<(), Flaw> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(malformed("two extension headers of one kind for one member")),
    }
}

/// GNU's long name ends with a NUL, and nothing may follow it.
fn long_name(data: &[u8]) -> Result<Box<[u8]>, Flaw> {
    let name = text(data);
    if data[name.len()..].iter().any(|byte| *byte != 0) {
        return Err(Flaw(ErrorKind::UnsafeName, "a long name contains a NUL byte"));
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(Flaw(ErrorKind::UnsafeName, "a name has more than 4096 bytes"));
    }
    Ok(name.into())
}

fn agreed(gnu: Option<Box<[u8]>>, pax: Option<Box<[u8]>>) -> Result<Option<Box<[u8]>>, Flaw> {
    match (gnu, pax) {
        (Some(gnu), Some(pax)) if gnu != pax => {
            Err(malformed("GNU's long name and the PAX record differ: the name is ambiguous"))
        }
        (gnu, pax) => Ok(gnu.or(pax)),
    }
}

/// Puts together what a header and the extension headers before it say.
fn member(
    header: &Header<'_>,
    mut pending: Pending,
    header_offset: u64,
    data_offset: u64,
) -> Result<Member, Flaw> {
    let size = match pending.records.as_ref().and_then(|records| records.size) {
        Some(size) => size,
        None => header.size()?,
    };
    let raw_name = pending.name(header.name())?;
    let name = normalised(&raw_name).map_err(|bad| Flaw(ErrorKind::UnsafeName, bad.0))?;
    let kind = match header.type_flag() {
        // Before POSIX, a directory was a file with a slash at its end.
        0 | b'0' | b'7' if raw_name.ends_with(b"/") => MemberKind::Directory,
        0 | b'0' | b'7' => MemberKind::File,
        b'1' => MemberKind::Hardlink(pending.link(header.link_name())?),
        b'2' => MemberKind::Symlink(pending.link(header.link_name())?),
        b'5' => MemberKind::Directory,
        b'S' => return Err(Flaw(ErrorKind::Unsupported, "sparse files are not supported")),
        b'M' => return Err(Flaw(ErrorKind::Unsupported, "a part of a multi-volume archive")),
        b'X' => return Err(Flaw(ErrorKind::Unsupported, "Solaris' extended headers")),
        flag => MemberKind::Other(flag),
    };
    let has_no_data = match kind {
        MemberKind::File => false,
        MemberKind::Other(flag) => matches!(flag, b'3' | b'4' | b'6'),
        _ => true,
    };
    // Some readers skip such data and others read it as the next header.
    if has_no_data && size > 0 {
        return Err(malformed("a directory, link or device with data"));
    }
    if name.is_empty() && kind != MemberKind::Directory {
        return Err(Flaw(ErrorKind::UnsafeName, "the name is empty"));
    }
    // What has other data than a file's is passed over, and never read.
    Ok(Member { name, kind, header_offset, data_offset, size })
}
