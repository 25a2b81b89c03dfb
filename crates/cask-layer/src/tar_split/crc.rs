//! CRC-64/ISO, as Go's `crc64.ISO` computes it.

/// The polynomial, reflected.
const POLYNOMIAL: u64 = 0xd800_0000_0000_0000;

/// How many bytes are taken at a time.
const SLICES: usize = 16;

static TABLES: [[u64; 256]; SLICES] = tables();

const fn tables() -> [[u64; 256]; SLICES] {
    let mut tables = [[0; 256]; SLICES];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u64;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        tables[0][index] = value;
        index += 1;
    }
    let mut slice = 1;
    while slice < SLICES {
        let mut index = 0;
        while index < 256 {
            let before = tables[slice - 1][index];
            tables[slice][index] = tables[0][(before & 0xff) as usize] ^ before >> 8;
            index += 1;
        }
        slice += 1;
    }
    tables
}

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
        let mut crc = !self.0;
        let (blocks, rest) = bytes.as_chunks::<SLICES>();
        for block in blocks {
            let head = crc.to_le_bytes();
            let mut next = 0;
            for (index, &byte) in block.iter().enumerate() {
                let byte = if index < 8 { byte ^ head[index] } else { byte };
                next ^= TABLES[SLICES - 1 - index][usize::from(byte)];
            }
            crc = next;
        }
        for &byte in rest {
            crc = TABLES[0][usize::from(crc as u8 ^ byte)] ^ crc >> 8;
        }
        self.0 = !crc;
    }

    /// The checksum of everything so far.
    pub fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_give_what_single_bytes_give() {
        let bytes: Vec<u8> = (0..1000_u32).map(|i| ((i * i) >> 3) as u8).collect();
        for len in [0, 1, 15, 16, 17, 999, 1000] {
            let (mut whole, mut single) = (Crc64::default(), Crc64::default());
            whole.update(&bytes[..len]);
            for byte in &bytes[..len] {
                single.update(&[*byte]);
            }
            assert_eq!(whole, single, "{len}");
        }
        assert_eq!(Crc64::default().value(), 0);
    }
}
