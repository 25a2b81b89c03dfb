//! Numbers that look random and are the same every time.

/// A generator of numbers.
///
/// Source: Sebastiano Vigna's SplitMix64, public domain.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn append(&mut self, out: &mut Vec<u8>, size: usize) {
        let end = out.len() + size;
        while out.len() < end {
            let bytes = self.next().to_le_bytes();
            let wanted = bytes.len().min(end - out.len());
            out.extend_from_slice(&bytes[..wanted]);
        }
    }
}

/// A seed for one of several things that are made from one seed.
pub(crate) const fn derived(seed: u64, purpose: u64) -> u64 {
    Random::new(seed ^ purpose.wrapping_mul(0xd6e8_feb8_6659_fd93)).next()
}

/// Makes `size` bytes that do not compress, always the same from the same seed.
pub fn random_bytes(seed: u64, size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(size);
    Random::new(seed).append(&mut out, size);
    out
}

/// Makes `size` bytes of which about half compress, as in real files.
pub(crate) fn mixed_bytes(seed: u64, size: usize) -> Vec<u8> {
    const LINE: &[u8] = b"All work and no play makes a container image dull.\n";
    let mut random = Random::new(seed);
    let mut out = Vec::with_capacity(size);
    while out.len() < size {
        let rest = size - out.len();
        random.append(&mut out, rest.min(64));
        let line = LINE.repeat(2);
        let rest = size - out.len();
        out.extend_from_slice(&line[..rest.min(64)]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        assert_eq!(random_bytes(0, 8), 0xe220_a839_7b1d_cdaf_u64.to_le_bytes());
        assert_eq!(random_bytes(7, 100)[..13], random_bytes(7, 13));
        assert_ne!(random_bytes(7, 13), random_bytes(8, 13));
        assert_ne!(derived(7, 0), derived(7, 1));
        for size in [0, 1, 63, 64, 65, 127, 128, 129, 1000] {
            assert_eq!(mixed_bytes(3, size).len(), size);
        }
    }
}
