//! The reader of members.

use std::fmt;
use std::io::BufRead;

use super::block::{self, BLOCK_BYTES, Block, Format};
use super::number::{header_number, text};
use super::pax::Pax;
use super::payload::Source;
use super::sparse::{self, FrontMap, PaxSparse};
use super::{Member, MemberKind, Observe, Payload, TarError, TarErrorKind};

/// The most bytes of one extended header or long name. The same in Go and in libarchive.
const MAX_RECORD_BYTES: u64 = 1 << 20;

/// What the headers of a tar stream may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberLimits {
    /// The most bytes of all headers of one member together: its extended headers, long names and
    /// sparse map. They are held in memory.
    ///
    /// One extended header or long name may never be larger than 1 MiB.
    ///
    /// Default: 16 MiB.
    pub max_header_bytes: usize,
}

impl Default for MemberLimits {
    fn default() -> Self {
        Self { max_header_bytes: 16 << 20 }
    }
}

/// The members of a tar stream, one after the other.
///
/// It accepts what Go's `archive/tar` accepts, which is what podman, buildah, skopeo and Docker
/// read layers with: V7, ustar, PAX, GNU and star headers, GNU's four sparse formats, the end
/// anywhere between two members, a single zero block as the end. What those refuse is an error.
///
/// Every byte of the stream is accounted for: [`Member::raw_header`], then the payload, for each
/// member, then the trailer. An [`Observe`]r sees them all. Memory: one member's headers.
///
/// ```
/// use std::io::Read;
/// use cask_layer::{MemberKind, MemberLimits, Members};
///
/// # let mut block = [0; 512];
/// # block[..4].copy_from_slice(b"file");
/// # block[124..135].copy_from_slice(b"00000000003");
/// # block[156] = b'0';
/// # block[148..155].copy_from_slice(b"0002231");
/// # let sum: u32 = block.iter().map(|&b| u32::from(b)).sum::<u32>() - b"0002231".iter().map(|&b| u32::from(b)).sum::<u32>() + 256;
/// # block[148..155].copy_from_slice(format!("{sum:07o}").as_bytes());
/// # let mut tar = block.to_vec();
/// # tar.extend_from_slice(b"abc");
/// # tar.resize(2048, 0);
/// let mut members = Members::new(&tar[..], MemberLimits::default());
/// while let Some(mut entry) = members.next_member()? {
///     assert_eq!(entry.member.name, b"file");
///     assert_eq!(entry.member.kind, MemberKind::File);
///     let mut text = String::new();
///     entry.payload.read_to_string(&mut text)?;
///     assert_eq!(text, "abc");
/// }
/// members.finish()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Members<R, O = ()> {
    source: Source<R>,
    observer: O,
    limits: MemberLimits,
    current: Member,
    /// What is left of the current payload.
    remaining: u64,
    /// What follows it, up to the next block.
    padding: usize,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Reading,
    Ended,
    Failed(TarError),
}

/// A member and its payload.
#[derive(Debug)]
pub struct Entry<'a, R, O = ()> {
    /// What it says about itself.
    pub member: &'a Member,
    /// Its bytes.
    pub payload: Payload<'a, R, O>,
}

/// What comes before a member and belongs to it.
#[derive(Default)]
struct Records {
    pax: Option<Pax>,
    long_name: Vec<u8>,
    long_link: Vec<u8>,
}

impl<R: BufRead> Members<R> {
    /// Reads the tar stream that `reader` gives.
    pub fn new(reader: R, limits: MemberLimits) -> Self {
        Self::observed(reader, limits, ())
    }
}

impl<R: BufRead, O: Observe> Members<R, O> {
    /// Reads the tar stream that `reader` gives, and lets `observer` see all of it.
    pub fn observed(reader: R, limits: MemberLimits, observer: O) -> Self {
        Self {
            source: Source { reader, offset: 0 },
            observer,
            limits,
            current: Member::default(),
            remaining: 0,
            padding: 0,
            state: State::Reading,
        }
    }

    /// Gives the next member, skipping what is left of the payload of the one before.
    ///
    /// Nothing at the end of the archive, which may come before the end of the stream: only
    /// [`finish`](Self::finish) reads on.
    ///
    /// # Errors
    /// [`Corrupt`](TarErrorKind::Corrupt), [`Truncated`](TarErrorKind::Truncated),
    /// [`TooLarge`](TarErrorKind::TooLarge), or [`Io`](TarErrorKind::Io) for failures of the
    /// reader below and the observer. Later calls return the same error again.
    pub fn next_member(&mut self) -> Result<Option<Entry<'_, R, O>>, TarError> {
        match &self.state {
            State::Ended => return Ok(None),
            State::Failed(error) => return Err(error.clone()),
            State::Reading => {}
        }
        match self.advance() {
            Ok(true) => {}
            Ok(false) => {
                self.state = State::Ended;
                return Ok(None);
            }
            Err(error) => {
                self.state = State::Failed(error.clone());
                return Err(error);
            }
        }
        let Self { source, observer, current, remaining, .. } = self;
        let payload = Payload { source, observer, remaining, name: &current.name };
        Ok(Some(Entry { member: current, payload }))
    }

    /// Reads what is left, members included, to the end of the stream, and gives the reader below
    /// and the observer back.
    ///
    /// # Errors
    /// Those of [`next_member`](Self::next_member).
    pub fn finish(mut self) -> Result<(R, O), TarError> {
        while self.next_member()?.is_some() {}
        loop {
            let offset = self.source.offset;
            let bytes = self.source.fill()?;
            if bytes.is_empty() {
                break;
            }
            self.observer.trailer(bytes).map_err(|error| TarError::io(offset, error))?;
            let count = bytes.len();
            self.source.consume(count);
        }
        Ok((self.source.reader, self.observer))
    }

    /// Borrows the observer.
    pub fn observer_mut(&mut self) -> &mut O {
        &mut self.observer
    }

    /// Goes on to the next member, or finds the end of the archive.
    fn advance(&mut self) -> Result<bool, TarError> {
        let Self { source, observer, remaining, current, .. } = &mut *self;
        Payload { source, observer, remaining, name: &current.name }.skip()?;
        let mut raw = std::mem::take(&mut current.raw_header);
        raw.clear();
        let start = self.source.offset;
        if !self.read_member(start, raw)? {
            let trailer = &self.current.raw_header;
            if !trailer.is_empty() {
                self.observer.trailer(trailer).map_err(|error| TarError::io(start, error))?;
            }
            return Ok(false);
        }
        let observed = self.observer.header(&self.current);
        observed.map_err(|error| TarError::io(start, error).about(&self.current.name))?;
        Ok(true)
    }

    /// Reads headers into [`Self::current`] until one is of a member; false at the end.
    fn read_member(&mut self, start: u64, mut raw: Vec<u8>) -> Result<bool, TarError> {
        let mut records = Records::default();
        loop {
            let Some((block, offset)) = self.header_block(&mut raw)? else {
                self.current = Member { raw_header: raw, offset: start, ..Member::default() };
                return Ok(false);
            };
            let corrupt = |detail: &str| {
                let name = text(&block[..100]);
                TarError::new(TarErrorKind::Corrupt, offset, detail.to_owned()).about(name)
            };
            let format = block::format(&block).ok_or_else(|| corrupt("wrong checksum"))?;
            let (member, size) = block::member(&block, format)
                .map_err(|field| corrupt(&format!("the field `{field}` is not a number")))?;
            match member.type_flag {
                flag @ (b'x' | b'g' | b'L' | b'K') => {
                    let size = u64::try_from(size).map_err(|_| corrupt("a negative size"))?;
                    let data = self.record(&mut raw, size, &member)?;
                    if records.take(flag, &raw[data]).map_err(corrupt)? {
                        continue;
                    }
                    self.current = member;
                    self.finish_global(&records).map_err(corrupt)?;
                    self.remaining = 0;
                }
                _ => {
                    self.current = member;
                    self.finish_member(&block, offset, format, size, &records, &mut raw)?;
                }
            }
            self.current.raw_header = raw;
            self.current.offset = start;
            return Ok(true);
        }
    }

    /// Reads the padding of what came before and the next header block. Nothing at the end of the
    /// archive: the end of the stream, or two blocks of zeros, or one and the end of the stream.
    fn header_block(&mut self, raw: &mut Vec<u8>) -> Result<Option<(Block, u64)>, TarError> {
        let padding = std::mem::take(&mut self.padding);
        if self.source.read_onto(raw, padding)? < padding {
            return Ok(None);
        }
        let offset = self.source.offset;
        let Some(block) = self.block(raw)? else { return Ok(None) };
        if block.iter().any(|&byte| byte != 0) {
            return Ok(Some((block, offset)));
        }
        match self.block(raw)? {
            Some(block) if block.iter().any(|&byte| byte != 0) => Err(TarError::new(
                TarErrorKind::Corrupt,
                offset,
                "a single block of zeros between headers",
            )),
            _ => Ok(None),
        }
    }

    /// Reads one block; nothing at the end of the stream.
    fn block(&mut self, raw: &mut Vec<u8>) -> Result<Option<Block>, TarError> {
        let offset = self.source.offset;
        if raw.len() + BLOCK_BYTES > self.limits.max_header_bytes {
            let detail = format!("more than {} bytes of headers", self.limits.max_header_bytes);
            return Err(TarError::new(TarErrorKind::TooLarge, offset, detail));
        }
        match self.source.read_onto(raw, BLOCK_BYTES)? {
            0 => Ok(None),
            BLOCK_BYTES => Ok(raw.last_chunk().copied()),
            count => Err(TarError::new(
                TarErrorKind::Truncated,
                offset + count as u64,
                "a header is not complete",
            )),
        }
    }

    /// Reads the payload of an extended header or long name; gives its place in `raw`.
    fn record(
        &mut self,
        raw: &mut Vec<u8>,
        size: u64,
        member: &Member,
    ) -> Result<std::ops::Range<usize>, TarError> {
        let offset = self.source.offset;
        let fail = |kind, offset, detail: String| {
            Err(TarError::new(kind, offset, detail).about(&member.name))
        };
        if size > MAX_RECORD_BYTES {
            let detail = format!("a record of {size} bytes, at most {MAX_RECORD_BYTES} may be");
            return fail(TarErrorKind::TooLarge, offset, detail);
        }
        let size = usize::try_from(size).expect("a mebibyte fits");
        if raw.len() + size > self.limits.max_header_bytes {
            let detail = format!("more than {} bytes of headers", self.limits.max_header_bytes);
            return fail(TarErrorKind::TooLarge, offset, detail);
        }
        let start = raw.len();
        if self.source.read_onto(raw, size)? < size {
            let offset = self.source.offset;
            return fail(TarErrorKind::Truncated, offset, "a record is not complete".into());
        }
        self.padding = padding(size as u64);
        Ok(start..start + size)
    }

    /// Completes a global header.
    fn finish_global(&mut self, records: &Records) -> Result<(), &'static str> {
        let pax = records.pax.as_ref().expect("it was just read");
        pax.apply(&mut self.current, &mut 0).map_err(|_| "a record that is not a number")
    }

    /// Completes a member from the records before it, and reads its sparse map.
    fn finish_member(
        &mut self,
        block: &Block,
        offset: u64,
        format: Format,
        mut size: i64,
        records: &Records,
        raw: &mut Vec<u8>,
    ) -> Result<(), TarError> {
        let corrupt = |name: &[u8], detail: String| {
            TarError::new(TarErrorKind::Corrupt, offset, detail).about(name)
        };
        let not_a_number =
            |field| corrupt(text(&block[..100]), format!("the record `{field}` is not a number"));
        let member = &mut self.current;
        if let Some(pax) = &records.pax {
            pax.apply(member, &mut size).map_err(not_a_number)?;
        }
        if !records.long_name.is_empty() {
            member.name.clone_from(&records.long_name);
        }
        if !records.long_link.is_empty() {
            member.link_name.clone_from(&records.long_link);
        }
        if member.type_flag == 0 {
            member.type_flag = if member.name.ends_with(b"/") { b'5' } else { b'0' };
            member.kind = MemberKind::of_flag(member.type_flag);
        }
        let no_payload = matches!(member.type_flag, b'1'..=b'6');
        member.declared_size_bytes = size;
        let stream_size = if no_payload { 0 } else { size };
        let stream_size = u64::try_from(stream_size)
            .map_err(|_| corrupt(&member.name, "a negative size".into()))?;
        self.remaining = stream_size;
        self.padding = padding(stream_size);
        let pax_sparse = match &records.pax {
            Some(pax) if member.type_flag != b'S' => {
                sparse::pax_sparse(pax, member, &mut size).map_err(not_a_number)?
            }
            _ => None,
        };
        let map = match (member.type_flag, pax_sparse, &records.pax) {
            (b'S', ..) => Some(self.old_map(block, format, offset, &mut size, raw)?),
            (_, Some(PaxSparse::InFront), _) => Some(self.front_map(offset, raw)?),
            (_, Some(PaxSparse::InRecords), Some(pax)) => sparse::map_of_records(pax),
            _ => None,
        };
        let member = &mut self.current;
        member.stream_size_bytes = self.remaining;
        member.real_size_bytes = self.remaining;
        match map {
            Some(_) if no_payload => {
                return Err(corrupt(&member.name, "a sparse map of what is not a file".into()));
            }
            Some(map) => {
                let fragments = sparse::fragments(&map, size, self.remaining)
                    .map_err(|detail| corrupt(&member.name, detail.into()))?;
                member.sparse = Some(fragments);
                member.real_size_bytes = size.unsigned_abs();
            }
            None if pax_sparse.is_some() => {
                return Err(corrupt(&member.name, "a faulty sparse map".into()));
            }
            None => {}
        }
        Ok(())
    }

    /// Reads the rest of an old GNU sparse header.
    fn old_map(
        &mut self,
        block: &Block,
        format: Format,
        offset: u64,
        size: &mut i64,
        raw: &mut Vec<u8>,
    ) -> Result<Vec<(i64, i64)>, TarError> {
        let corrupt = |detail: &'static str| TarError::new(TarErrorKind::Corrupt, offset, detail);
        if format != Format::Gnu {
            return Err(corrupt("a sparse header that is not GNU's").about(&self.current.name));
        }
        let faulty =
            || corrupt("a sparse map that is not made of numbers").about(text(&block[..100]));
        *size = header_number(&block[483..495]).ok_or_else(faulty)?;
        let mut map = Vec::new();
        let mut more = sparse::old_entries(block, 386, 4, &mut map).ok_or_else(faulty)?;
        while more {
            let next = self.block(raw).map_err(|error| error.about(&self.current.name))?;
            let next = next.ok_or_else(|| self.cut_map())?;
            more = sparse::old_entries(&next, 0, 21, &mut map).ok_or_else(faulty)?;
        }
        Ok(map)
    }

    /// Reads the map in front of a sparse file's data, whole blocks of the payload.
    fn front_map(&mut self, offset: u64, raw: &mut Vec<u8>) -> Result<Vec<(i64, i64)>, TarError> {
        let mut map = FrontMap::default();
        loop {
            if self.remaining < BLOCK_BYTES as u64 {
                let detail = "a sparse map longer than the payload";
                let error = TarError::new(TarErrorKind::Corrupt, offset, detail);
                return Err(error.about(&self.current.name));
            }
            let block = self.block(raw).map_err(|error| error.about(&self.current.name))?;
            let block = block.ok_or_else(|| self.cut_map())?;
            self.remaining -= BLOCK_BYTES as u64;
            match map.feed(&block) {
                Some(Some(map)) => return Ok(map),
                Some(None) => {}
                None => {
                    let detail = "a sparse map that is not made of numbers";
                    let error = TarError::new(TarErrorKind::Corrupt, offset, detail);
                    return Err(error.about(&self.current.name));
                }
            }
        }
    }

    fn cut_map(&self) -> TarError {
        let detail = "a sparse map is not complete";
        TarError::new(TarErrorKind::Truncated, self.source.offset, detail).about(&self.current.name)
    }
}

impl Records {
    /// Takes in what an extended header or a long name says; false for a global header, which
    /// stands for itself.
    fn take(&mut self, flag: u8, data: &[u8]) -> Result<bool, &'static str> {
        match flag {
            b'L' => self.long_name = text(data).to_vec(),
            b'K' => self.long_link = text(data).to_vec(),
            _ => self.pax = Some(Pax::parse(data)?),
        }
        Ok(flag != b'g')
    }
}

/// How many bytes follow a payload up to the next block.
fn padding(size: u64) -> usize {
    usize::try_from(size.wrapping_neg() % BLOCK_BYTES as u64).expect("less than a block")
}

impl<R, O> fmt::Debug for Members<R, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members")
            .field("offset", &self.source.offset)
            .field("member", &self.current.name.escape_ascii().to_string())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
