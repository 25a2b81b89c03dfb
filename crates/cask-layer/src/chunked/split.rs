//! Cutting a file into pieces by its contents.

use super::rolling::RollingSum;

/// So many zeros in a row are a piece of their own, which a reader need not fetch.
///
/// Source: containers/storage, `pkg/chunked/compressor`, `holesThreshold`.
const HOLE_BYTES: u64 = 1024;

/// A hole has a whole block of zeros of this size, wherever blocks begin.
const BLOCK_BYTES: usize = 512;

/// What takes the pieces of a file, in order.
pub(super) trait Pieces {
    type Error;

    /// The next bytes of the current piece.
    fn data(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;

    /// The current piece ends, if it has begun; so many zeros are one of their own.
    fn hole(&mut self, zeros: u64) -> Result<(), Self::Error>;

    /// The current piece ends, if it has begun.
    fn cut(&mut self) -> Result<(), Self::Error>;
}

/// Cuts one file.
#[derive(Debug, Default)]
pub(super) struct Split {
    sum: RollingSum,
    /// Zeros that came last and were not passed on.
    zeros: u64,
}

impl Split {
    /// Takes the next bytes of the file. Where they are cut does not depend on how many come at a
    /// time.
    pub(super) fn feed<P: Pieces>(
        &mut self,
        mut bytes: &[u8],
        pieces: &mut P,
    ) -> Result<(), P::Error> {
        if self.zeros > 0 {
            let more = bytes.iter().take_while(|&&byte| byte == 0).count();
            self.zeros += more as u64;
            bytes = &bytes[more..];
            if bytes.is_empty() {
                return Ok(());
            }
            self.end_zeros(pieces)?;
        }
        while let Some((start, end)) = find_zeros(bytes) {
            self.data(&bytes[..start], pieces)?;
            self.zeros = (end - start) as u64;
            bytes = &bytes[end..];
            if bytes.is_empty() {
                return Ok(());
            }
            self.end_zeros(pieces)?;
        }
        self.data(bytes, pieces)
    }

    /// Ends the file.
    pub(super) fn finish<P: Pieces>(mut self, pieces: &mut P) -> Result<(), P::Error> {
        self.end_zeros(pieces)?;
        pieces.cut()
    }

    fn end_zeros<P: Pieces>(&mut self, pieces: &mut P) -> Result<(), P::Error> {
        let zeros = std::mem::take(&mut self.zeros);
        if zeros < HOLE_BYTES {
            return self.data(&[0; HOLE_BYTES as usize][..zeros as usize], pieces);
        }
        self.sum.skip_zeros(zeros);
        pieces.hole(zeros)
    }

    fn data<P: Pieces>(&mut self, mut bytes: &[u8], pieces: &mut P) -> Result<(), P::Error> {
        while let Some(count) = self.sum.find_cut(bytes) {
            pieces.data(&bytes[..count])?;
            pieces.cut()?;
            bytes = &bytes[count..];
        }
        if bytes.is_empty() { Ok(()) } else { pieces.data(bytes) }
    }
}

/// Where the first zeros are that may be a hole: enough of them, or up to the end.
fn find_zeros(bytes: &[u8]) -> Option<(usize, usize)> {
    let is_zero = |byte: &u8| *byte == 0;
    let mut from = 0;
    while let Some(at) = bytes[from..].chunks_exact(BLOCK_BYTES).position(is_all_zeros) {
        let block = from + at * BLOCK_BYTES;
        let before = bytes[..block].iter().rev().take_while(|byte| is_zero(byte)).count();
        let after = bytes[block..].iter().take_while(|byte| is_zero(byte)).count();
        let (start, end) = (block - before, block + after);
        if end == bytes.len() || (end - start) as u64 >= HOLE_BYTES {
            return Some((start, end));
        }
        from = end;
    }
    let tail = bytes.iter().rev().take_while(|byte| is_zero(byte)).count();
    (tail > 0).then_some((bytes.len() - tail, bytes.len()))
}

fn is_all_zeros(block: &[u8]) -> bool {
    block.first() == Some(&0) && block.iter().fold(0, |all, byte| all | byte) == 0
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// The pieces with their lengths; holes with `true`.
    #[derive(Debug, Default)]
    struct Taken {
        bytes: Vec<u8>,
        pieces: Vec<(usize, bool)>,
        open: usize,
    }

    impl Pieces for Taken {
        type Error = Infallible;

        fn data(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
            assert!(!bytes.is_empty());
            self.bytes.extend_from_slice(bytes);
            self.open += bytes.len();
            Ok(())
        }

        fn hole(&mut self, zeros: u64) -> Result<(), Infallible> {
            self.cut()?;
            self.bytes.resize(self.bytes.len() + zeros as usize, 0);
            self.pieces.push((zeros as usize, true));
            Ok(())
        }

        fn cut(&mut self) -> Result<(), Infallible> {
            if self.open > 0 {
                self.pieces.push((std::mem::take(&mut self.open), false));
            }
            Ok(())
        }
    }

    fn split(bytes: &[u8], part: usize) -> Vec<(usize, bool)> {
        let (mut split, mut taken) = (Split::default(), Taken::default());
        for bytes in bytes.chunks(part) {
            let Ok(()) = split.feed(bytes, &mut taken);
        }
        let Ok(()) = split.finish(&mut taken);
        assert!(taken.bytes == bytes);
        taken.pieces
    }

    fn check(parts: &[(u8, usize)], expected: &[(usize, bool)]) {
        let bytes: Vec<u8> =
            parts.iter().flat_map(|&(byte, count)| std::iter::repeat_n(byte, count)).collect();
        for part in [1, 5, 511, 512, 1000, 1 << 20] {
            assert_eq!(split(&bytes, part), expected, "{parts:?} {part}");
        }
    }

    #[test]
    fn holes_are_pieces_of_their_own() {
        check(&[], &[]);
        check(&[(1, 10)], &[(10, false)]);
        check(&[(0, 10)], &[(10, false)]);
        check(&[(1, 3), (0, 1023), (1, 3)], &[(1029, false)]);
        check(&[(1, 3), (0, 1024), (1, 3)], &[(3, false), (1024, true), (3, false)]);
        check(&[(0, 5000)], &[(5000, true)]);
        check(&[(0, 2000), (1, 1)], &[(2000, true), (1, false)]);
        check(&[(1, 1), (0, 2000)], &[(1, false), (2000, true)]);
        check(&[(1, 1), (0, 1023)], &[(1024, false)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn pieces_do_not_depend_on_how_the_bytes_come(
            parts in proptest::collection::vec((0_u8..3, 1_usize..3000), 0..12),
            part in 1_usize..3000,
        ) {
            let bytes: Vec<u8> =
                parts.iter().flat_map(|&(byte, count)| std::iter::repeat_n(byte, count)).collect();
            prop_assert_eq!(split(&bytes, part), split(&bytes, usize::MAX));
        }
    }
}
