//! Finds the last block of a deflate stream, so that more can be put behind it.
//!
//! Source: RFC 1951.

/// Where the last block of a stream stands, in bits from the stream's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastBlock {
    /// The bit that says that no block follows.
    pub(super) header: usize,
    /// The first bit behind the block.
    pub(super) end: usize,
}

/// Reads a whole stream for its block boundaries, and nothing else: a fraction of the time of
/// decompressing it. `None` if it is not a valid stream.
pub(super) fn find(stream: &[u8]) -> Option<LastBlock> {
    let mut bits = Bits { stream, next: 0, buffer: 0, count: 0 };
    loop {
        let header = bits.position();
        let last = bits.take(1) == 1;
        match bits.take(2) {
            0 => bits.skip_stored()?,
            1 => skip_symbols(&mut bits, &Codes::fixed()?)?,
            2 => {
                let codes = Codes::read(&mut bits)?;
                skip_symbols(&mut bits, &codes)?;
            }
            _ => return None,
        }
        let end = bits.position();
        if end > stream.len() * 8 {
            return None;
        }
        if last {
            return Some(LastBlock { header, end });
        }
    }
}

/// A stream's bits, lowest of each byte first. Behind the end there are zeros.
struct Bits<'a> {
    stream: &'a [u8],
    /// The first byte that is not in `buffer`.
    next: usize,
    buffer: u64,
    /// How many bits of `buffer` are to be read.
    count: usize,
}

impl Bits<'_> {
    fn position(&self) -> usize {
        self.next * 8 - self.count
    }

    /// Makes at least 56 bits ready.
    #[inline]
    fn refill(&mut self) {
        let bytes = match self.stream.get(self.next..self.next + 8) {
            Some(bytes) => bytes.try_into().expect("eight bytes"),
            None => {
                let mut bytes = [0; 8];
                let rest = self.stream.get(self.next..).unwrap_or_default();
                bytes[..rest.len()].copy_from_slice(rest);
                bytes
            }
        };
        self.buffer |= u64::from_le_bytes(bytes) << self.count;
        self.next += (63 - self.count) / 8;
        self.count |= 56;
    }

    #[inline]
    fn drop_bits(&mut self, count: usize) {
        self.buffer >>= count;
        self.count -= count;
    }

    /// At most 16 bits.
    fn take(&mut self, count: usize) -> usize {
        self.refill();
        let value = (self.buffer & ((1 << count) - 1)) as usize;
        self.drop_bits(count);
        value
    }

    fn skip_stored(&mut self) -> Option<()> {
        let begin = self.position().div_ceil(8);
        let length = self.stream.get(begin..begin + 2)?;
        *self = Self {
            stream: self.stream,
            next: begin + 4 + usize::from(u16::from_le_bytes([length[0], length[1]])),
            buffer: 0,
            count: 0,
        };
        Some(())
    }
}

/// The longest code of an alphabet.
const MAX_CODE_BITS: usize = 15;

/// By the next bits of the stream: how many bits the symbol takes, with those that follow it, and
/// what it is. 0 where no code is.
struct Table {
    entries: Vec<u16>,
    mask: u64,
}

/// What a symbol is, in an entry above the number of its bits.
const LITERAL: u16 = 0;
const LENGTH: u16 = 1 << 8;
const END: u16 = 2 << 8;
const VALUE_SHIFT: u32 = 8;

impl Table {
    /// Makes the table of canonical codes. `meaning` gives each symbol's further bits and kind.
    fn new(lengths: &[u8], meaning: impl Fn(usize) -> (usize, u16)) -> Option<Self> {
        let mut counts = [0_usize; MAX_CODE_BITS + 1];
        for &length in lengths {
            counts[usize::from(length)] += 1;
        }
        counts[0] = 0;
        let longest = counts.iter().rposition(|&count| count > 0).unwrap_or(0);
        let mut codes = [0; MAX_CODE_BITS + 2];
        for bits in 1..=MAX_CODE_BITS {
            codes[bits + 1] = (codes[bits] + counts[bits]) << 1;
        }
        let mut entries = vec![0; 1 << longest];
        for (symbol, &length) in lengths.iter().enumerate() {
            let length = usize::from(length);
            if length == 0 {
                continue;
            }
            let code = codes[length];
            codes[length] += 1;
            if code >> length != 0 {
                return None;
            }
            let reversed = code.reverse_bits() >> (usize::BITS as usize - length);
            let (further, kind) = meaning(symbol);
            let entry = (length + further) as u16 | kind;
            entries[reversed..].iter_mut().step_by(1 << length).for_each(|slot| *slot = entry);
        }
        Some(Self { mask: (1 << longest) - 1, entries })
    }

    #[inline]
    fn entry(&self, bits: &Bits<'_>) -> u16 {
        self.entries[(bits.buffer & self.mask) as usize]
    }
}

struct Codes {
    literals: Table,
    distances: Table,
}

impl Codes {
    fn new(literals: &[u8], distances: &[u8]) -> Option<Self> {
        let literal = |symbol| match symbol {
            0..=255 => (0, LITERAL),
            256 => (0, END),
            257..=264 | 285.. => (0, LENGTH),
            _ => ((symbol - 261) / 4, LENGTH),
        };
        let distance = |symbol: usize| ((symbol / 2).saturating_sub(1), 0);
        Some(Self {
            literals: Table::new(literals, literal)?,
            distances: Table::new(distances, distance)?,
        })
    }

    fn fixed() -> Option<Self> {
        let mut literals = [8; 288];
        literals[144..256].fill(9);
        literals[256..280].fill(7);
        Self::new(&literals, &[5; 30])
    }

    /// Reads the codes at the beginning of a block that brings its own.
    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        const ORDER: [usize; 19] =
            [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let literals = bits.take(5) + 257;
        let distances = bits.take(5) + 1;
        let mut code_lengths = [0; 19];
        for &symbol in &ORDER[..bits.take(4) + 4] {
            code_lengths[symbol] = bits.take(3) as u8;
        }
        let table = Table::new(&code_lengths, |symbol| (0, (symbol as u16) << VALUE_SHIFT))?;
        let mut lengths = Vec::with_capacity(literals + distances);
        while lengths.len() < literals + distances {
            bits.refill();
            let entry = table.entry(bits);
            if entry == 0 {
                return None;
            }
            bits.drop_bits(usize::from(entry & 0xff));
            let (length, times) = match entry >> VALUE_SHIFT {
                16 => (*lengths.last()?, 3 + bits.take(2)),
                17 => (0, 3 + bits.take(3)),
                18 => (0, 11 + bits.take(7)),
                length => (length as u8, 1),
            };
            lengths.resize(lengths.len() + times, length);
        }
        let (literals, rest) = lengths.split_at(literals);
        Self::new(literals, rest.get(..distances)?)
    }
}

fn skip_symbols(bits: &mut Bits<'_>, codes: &Codes) -> Option<()> {
    /// The most bits that a length and its distance take.
    const PAIR_BITS: usize = MAX_CODE_BITS + 5 + MAX_CODE_BITS + 13;
    while bits.next < bits.stream.len() + 16 {
        bits.refill();
        while bits.count >= PAIR_BITS {
            let entry = codes.literals.entry(bits);
            if entry == 0 {
                return None;
            }
            bits.drop_bits(usize::from(entry & 0xff));
            if entry & LENGTH != 0 {
                let distance = codes.distances.entry(bits);
                if distance == 0 {
                    return None;
                }
                bits.drop_bits(usize::from(distance));
            } else if entry & END != 0 {
                return Some(());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    use proptest::prelude::*;

    use super::*;

    fn deflated(data: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn streams_end_in_their_last_byte() {
        let noise: Vec<u8> =
            (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let text = b"some words, some other words, and the same words again; ".repeat(9000);
        let cases: [&[u8]; 5] = [b"", b"a", &[0; 300_000], &text, &noise];
        for data in cases {
            for level in [0, 1, 6, 9] {
                let stream = deflated(data, level);
                let last = find(&stream).expect("a valid stream");
                assert_eq!(last.end.div_ceil(8), stream.len(), "{} bytes, {level}", data.len());
                assert_eq!(stream[last.header / 8] >> (last.header % 8) & 1, 1);
            }
        }
    }

    #[test]
    fn what_is_cut_off_is_not_a_stream() {
        let stream = deflated(&b"some words, some other words".repeat(200), 6);
        for length in 0..stream.len() {
            assert_eq!(find(&stream[..length]), None, "{length} of {} bytes", stream.len());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = find(&data);
        }
    }
}
