//! Random bytes, and how they are written.

use rustix::rand::{GetRandomFlags, getrandom};

/// Fills a buffer with random bytes.
pub(crate) fn fill(buffer: &mut [u8]) {
    let mut filled = 0;
    while filled < buffer.len() {
        match getrandom(&mut buffer[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("the kernel gives random bytes: {error}"),
        }
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// A part for the name of a file that nobody else has.
pub(crate) fn suffix() -> String {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    hex(&bytes)
}

/// The name of a short link of the overlay driver: 26 characters of base 32.
pub(crate) fn link_name() -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut bytes = [0; 26];
    fill(&mut bytes);
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()
}
