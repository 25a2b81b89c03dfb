//! CRC-64/ISO, as Go's `crc64.ISO` computes it.

use crc_fast::CrcAlgorithm;

/// The checksum that tar-split keeps of each payload: CRC-64/ISO. It finds accidents, not attacks.
///
/// Of nothing it is 0.
///
/// ```
/// use cask_layer::Crc64;
///
/// let mut crc = Crc64::default();
/// crc.update(b"123456789");
/// assert_eq!(crc.value(), 0xb909_56c7_75a4_1001);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crc64(u64);

impl Crc64 {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        // What goes on is the complement of what is told.
        let algorithm = CrcAlgorithm::Crc64GoIso;
        let mut digest = crc_fast::Digest::new_with_init_state(algorithm, !self.0);
        digest.update(bytes);
        self.0 = digest.finalize();
    }

    /// The checksum of everything so far.
    pub fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bit by bit, with the polynomial reflected.
    fn slowly(bytes: &[u8]) -> u64 {
        let step = |crc: u64, _| if crc & 1 == 1 { crc >> 1 ^ 0xd8 << 56 } else { crc >> 1 };
        !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u64::from(*byte), step))
    }

    #[test]
    fn pieces_of_any_length_give_what_single_bits_give() {
        let bytes: Vec<u8> = (0..5000_u32).map(|i| ((i * i) >> 3) as u8).collect();
        for len in (0..300).chain([511, 512, 1023, 1024, 1025, 4095, 4096, 4999, 5000]) {
            let expected = slowly(&bytes[..len]);
            let (mut whole, mut single) = (Crc64::default(), Crc64::default());
            whole.update(&bytes[..len]);
            bytes[..len].iter().for_each(|byte| single.update(&[*byte]));
            assert_eq!((whole.value(), single.value()), (expected, expected), "{len}");
            let (head, tail) = bytes[..len].split_at(len / 3);
            let mut parts = Crc64::default();
            parts.update(head);
            parts.update(tail);
            assert_eq!(parts, whole, "{len}");
        }
        assert_eq!(Crc64::default().value(), 0);
    }
}
