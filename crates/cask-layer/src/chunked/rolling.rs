//! The rolling sum that decides where files are cut.
//!
//! Source: `bupsplit` (Avery Pennarun), as containers/storage, `pkg/chunked`, uses it: a window of
//! 64 bytes and 16 bits, so that the same contents have the same pieces whoever cut them.

/// How many bytes the sum is over.
const WINDOW: usize = 64;

/// What the source adds to every byte. It falls out of all but the beginning.
const OFFSET: u16 = 31;

/// A cut comes after a byte that makes this of the second sum: every 64 KiB on average.
const CUT: u16 = u16::MAX;

/// The sum over the last 64 bytes of a file.
#[derive(Clone, Debug)]
pub(super) struct RollingSum {
    /// The sum of the bytes in the window; of both sums no more than 16 bits ever count.
    first: u16,
    /// The sum of such sums.
    second: u16,
    /// The oldest byte first; zeros before the file.
    window: [u8; WINDOW],
}

impl Default for RollingSum {
    fn default() -> Self {
        let window = WINDOW as u16;
        let second = (window * (window - 1)).wrapping_mul(OFFSET);
        Self { first: 0, second, window: [0; WINDOW] }
    }
}

impl RollingSum {
    /// Takes in bytes up to and with the next before a cut, and gives their number; nothing where
    /// all were taken in and no cut came.
    pub(super) fn find_cut(&mut self, bytes: &[u8]) -> Option<usize> {
        let old = self.window;
        let head = bytes.len().min(WINDOW);
        let mut found = self.run(&bytes[..head], &old);
        if found.is_none() {
            let rest = self.run(&bytes[head..], bytes);
            found = rest.map(|count| head + count);
        }
        self.shift(&bytes[..found.unwrap_or(bytes.len())]);
        found
    }

    /// Takes in so many zeros, without looking for a cut.
    pub(super) fn skip_zeros(&mut self, count: u64) {
        let zeros = [0; WINDOW];
        let mut left = count;
        while left > 0 && self.window != zeros {
            let part = left.min(WINDOW as u64) as usize;
            let window = self.window;
            for old in &window[..part] {
                // One at a time, because a cut would end it.
                self.run(&[0], std::slice::from_ref(old));
            }
            self.shift(&zeros[..part]);
            left -= part as u64;
        }
        // A window of zeros that stays one changes neither sum.
    }

    /// Rolls over `new`, while `old` leaves the window.
    fn run(&mut self, new: &[u8], old: &[u8]) -> Option<usize> {
        let Self { mut first, mut second, .. } = *self;
        let mut found = None;
        for (index, (&new, &old)) in new.iter().zip(old).enumerate() {
            let (new, old) = (u16::from(new), u16::from(old));
            first = first.wrapping_add(new.wrapping_sub(old));
            second = second.wrapping_add(first.wrapping_sub(old * WINDOW as u16));
            if second == CUT {
                found = Some(index + 1);
                break;
            }
        }
        (self.first, self.second) = (first, second);
        found
    }

    fn shift(&mut self, bytes: &[u8]) {
        let kept = WINDOW.saturating_sub(bytes.len());
        self.window.copy_within(WINDOW - kept.., 0);
        self.window[kept..].copy_from_slice(&bytes[bytes.len() - (WINDOW - kept)..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Byte by byte, as the source describes it.
    fn slow(bytes: &[u8]) -> Vec<usize> {
        let (mut first, mut second) = (64_u32 * 31, 64_u32 * 63 * 31);
        let mut cuts = Vec::new();
        for (index, &byte) in bytes.iter().enumerate() {
            let old = index.checked_sub(64).map_or(0, |at| u32::from(bytes[at]));
            first = first.wrapping_add(u32::from(byte)).wrapping_sub(old);
            second = second.wrapping_add(first).wrapping_sub(64 * (old + 31));
            if second & 0xffff == 0xffff {
                cuts.push(index + 1);
            }
        }
        cuts
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn cuts_do_not_depend_on_how_the_bytes_come() {
        let bytes = noise(1 << 20);
        let expected = slow(&bytes);
        assert!((8..32).contains(&expected.len()), "{}", expected.len());
        for part in [1, 7, 64, 65, 4096, 1 << 20] {
            let (mut sum, mut cuts, mut at) = (RollingSum::default(), Vec::new(), 0);
            for mut bytes in bytes.chunks(part) {
                while let Some(count) = sum.find_cut(bytes) {
                    at += count;
                    cuts.push(at);
                    bytes = &bytes[count..];
                }
                at += bytes.len();
            }
            assert_eq!(cuts, expected, "{part}");
        }
    }

    #[test]
    fn skipped_zeros_are_zeros() {
        for count in [1_u64, 63, 64, 65, 100, 5000] {
            let mut skipped = RollingSum::default();
            skipped.find_cut(&noise(50));
            let mut rolled = skipped.clone();
            skipped.skip_zeros(count);
            for _ in 0..count {
                rolled.find_cut(&[0]);
            }
            assert_eq!(format!("{skipped:?}"), format!("{rolled:?}"), "{count}");
        }
    }
}
