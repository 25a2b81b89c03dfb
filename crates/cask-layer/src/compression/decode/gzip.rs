//! gzip, member by member.
//!
//! Source: RFC 1952; Go `compress/gzip` for what concatenated members and header checksums mean.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::codec::{Codec, Fault, Step};

const FLAG_HEADER_CHECKSUM: u8 = 1 << 1;
const FLAG_EXTRA: u8 = 1 << 2;
const FLAG_NAME: u8 = 1 << 3;
const FLAG_COMMENT: u8 = 1 << 4;
const FLAGS_RESERVED: u8 = 0b1110_0000;

pub(super) struct Gzip {
    state: State,
    inflate: Decompress,
    crc: Crc,
}

enum State {
    Header(Header),
    Body,
    Trailer(Collector<8>),
    /// After a whole member: the end, another member, or zeros.
    Between,
    /// Among the zeros.
    Padding,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self {
            state: State::Header(Header::new()),
            inflate: Decompress::new(false),
            crc: Crc::new(),
        }
    }

    /// Decodes deflate data; when that ends, the trailer comes next.
    fn body(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        let before = (self.inflate.total_in(), self.inflate.total_out());
        let result = self.inflate.decompress(input, output, FlushDecompress::None);
        let consumed = (self.inflate.total_in() - before.0) as usize;
        let produced = (self.inflate.total_out() - before.1) as usize;
        match result {
            Ok(Status::StreamEnd) => self.state = State::Trailer(Collector::new()),
            Ok(Status::Ok | Status::BufError) => {}
            Err(error) => {
                let detail = error.message().unwrap_or("invalid deflate data").to_owned();
                return Err(Fault::corrupt(consumed, detail));
            }
        }
        self.crc.update(&output[..produced]);
        Ok(Step { consumed, produced, boundary: false })
    }

    fn check_trailer(&mut self, trailer: [u8; 8]) -> Result<(), &'static str> {
        let [c0, c1, c2, c3, l0, l1, l2, l3] = trailer;
        if u32::from_le_bytes([c0, c1, c2, c3]) != self.crc.sum() {
            return Err("the checksum of a member does not match its data");
        }
        // RFC 1952 keeps the length modulo 2^32, as `amount` does.
        if u32::from_le_bytes([l0, l1, l2, l3]) != self.crc.amount() {
            return Err("the length of a member does not match its data");
        }
        self.inflate.reset(false);
        self.crc.reset();
        Ok(())
    }

    /// Handles everything but deflate data: returns how much of `input` it took.
    fn around(&mut self, input: &[u8]) -> Result<usize, Fault> {
        match &mut self.state {
            State::Header(header) => {
                let (consumed, complete) = header.feed(input)?;
                if complete {
                    self.state = State::Body;
                }
                Ok(consumed)
            }
            State::Trailer(collector) => {
                let consumed = collector.feed(input);
                if let Some(trailer) = collector.complete() {
                    self.check_trailer(trailer)
                        .map_err(|detail| Fault::corrupt(consumed, detail))?;
                    self.state = State::Between;
                }
                Ok(consumed)
            }
            State::Between => {
                self.state = match input.first() {
                    Some(0) => State::Padding,
                    _ => State::Header(Header::new()),
                };
                Ok(0)
            }
            State::Padding => match input.iter().position(|&byte| byte != 0) {
                Some(at) => Err(Fault::corrupt(at, "data follows the zero padding")),
                None => Ok(input.len()),
            },
            State::Body => Ok(0),
        }
    }
}

impl Codec for Gzip {
    fn step(&mut self, input: &[u8], _: bool, output: &mut [u8]) -> Result<Step, Fault> {
        let mut consumed = 0;
        loop {
            let rest = &input[consumed..];
            if let State::Body = self.state {
                let step = self.body(rest, output).map_err(|mut fault| {
                    fault.consumed += consumed;
                    fault
                })?;
                consumed += step.consumed;
                if step.produced > 0 || matches!(self.state, State::Body) {
                    return Ok(Step { consumed, ..step });
                }
                continue;
            }
            if rest.is_empty() {
                let boundary = matches!(self.state, State::Between | State::Padding);
                return Ok(Step { consumed, produced: 0, boundary });
            }
            consumed += self.around(rest).map_err(|mut fault| {
                fault.consumed += consumed;
                fault
            })?;
        }
    }

    fn unfinished(&self) -> &'static str {
        match self.state {
            State::Header(_) => "the header of a member is not complete",
            State::Body => "the data of a member is not complete",
            State::Trailer(_) => "the checksum of a member is missing",
            State::Between | State::Padding => "nothing is missing",
        }
    }
}

/// Collects a fixed number of bytes from slices of any length.
struct Collector<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Collector<N> {
    fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    /// Takes what is still needed; returns how much that was.
    fn feed(&mut self, input: &[u8]) -> usize {
        let count = input.len().min(N - self.len);
        self.bytes[self.len..self.len + count].copy_from_slice(&input[..count]);
        self.len += count;
        count
    }

    fn complete(&self) -> Option<[u8; N]> {
        (self.len == N).then_some(self.bytes)
    }
}

/// Reads past one member's header. Nothing in it is kept.
struct Header {
    part: Part,
    flags: u8,
    crc: Crc,
}

enum Part {
    Fixed(Collector<10>),
    ExtraLength(Collector<2>),
    Extra(usize),
    Name,
    Comment,
    Checksum(Collector<2>),
    Complete,
}

impl Header {
    fn new() -> Self {
        Self { part: Part::Fixed(Collector::new()), flags: 0, crc: Crc::new() }
    }

    /// Takes what belongs to the header: returns how much that is, and whether it is complete.
    fn feed(&mut self, input: &[u8]) -> Result<(usize, bool), Fault> {
        let mut consumed = 0;
        loop {
            let rest = &input[consumed..];
            if let Part::Complete = self.part {
                return Ok((consumed, true));
            }
            if rest.is_empty() {
                return Ok((consumed, false));
            }
            let checked = !matches!(self.part, Part::Checksum(_));
            let count = self.feed_part(rest).map_err(|detail| Fault::corrupt(consumed, detail))?;
            if checked {
                self.crc.update(&rest[..count]);
            }
            consumed += count;
        }
    }

    fn feed_part(&mut self, input: &[u8]) -> Result<usize, &'static str> {
        match &mut self.part {
            Part::Fixed(fixed) => {
                let count = fixed.feed(input);
                let magic = fixed.len.min(3);
                if fixed.bytes[..magic] != [0x1f, 0x8b, 0x08][..magic] {
                    return Err("what follows is no gzip header");
                }
                if let Some(fixed) = fixed.complete() {
                    self.flags = fixed[3];
                    if self.flags & FLAGS_RESERVED != 0 {
                        return Err("a header has reserved flags");
                    }
                    self.part = self.after(0);
                }
                Ok(count)
            }
            Part::ExtraLength(length) => {
                let count = length.feed(input);
                if let Some(length) = length.complete() {
                    self.part = match usize::from(u16::from_le_bytes(length)) {
                        0 => self.after(FLAG_EXTRA),
                        length => Part::Extra(length),
                    };
                }
                Ok(count)
            }
            Part::Extra(left) => {
                let count = input.len().min(*left);
                *left -= count;
                if *left == 0 {
                    self.part = self.after(FLAG_EXTRA);
                }
                Ok(count)
            }
            Part::Name => Ok(self.feed_text(input, FLAG_NAME)),
            Part::Comment => Ok(self.feed_text(input, FLAG_COMMENT)),
            Part::Checksum(checksum) => {
                let count = checksum.feed(input);
                if let Some(checksum) = checksum.complete() {
                    if u32::from(u16::from_le_bytes(checksum)) != self.crc.sum() & 0xffff {
                        return Err("the checksum of a header does not match");
                    }
                    self.part = Part::Complete;
                }
                Ok(count)
            }
            Part::Complete => Ok(0),
        }
    }

    /// Takes a text that ends with a zero byte.
    fn feed_text(&mut self, input: &[u8], flag: u8) -> usize {
        match input.iter().position(|&byte| byte == 0) {
            Some(end) => {
                self.part = self.after(flag);
                end + 1
            }
            None => input.len(),
        }
    }

    /// The part that follows the one with this flag (0: the fixed part).
    fn after(&self, flag: u8) -> Part {
        let has = |wanted| self.flags & wanted != 0;
        if flag < FLAG_EXTRA && has(FLAG_EXTRA) {
            Part::ExtraLength(Collector::new())
        } else if flag < FLAG_NAME && has(FLAG_NAME) {
            Part::Name
        } else if flag < FLAG_COMMENT && has(FLAG_COMMENT) {
            Part::Comment
        } else if has(FLAG_HEADER_CHECKSUM) {
            Part::Checksum(Collector::new())
        } else {
            Part::Complete
        }
    }
}
