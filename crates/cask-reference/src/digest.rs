//! Content digests: `algorithm:hex`.

use std::fmt;
use std::str::FromStr;

/// The hash algorithm of a [`Digest`].
///
/// Source: the image specification's registered algorithms, and `sha384`, which the Go tools
/// accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, 64 hexadecimal digits.
    Sha256,
    /// SHA-384, 96 hexadecimal digits.
    Sha384,
    /// SHA-512, 128 hexadecimal digits.
    Sha512,
}

impl Algorithm {
    /// The name before the colon.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hexadecimal digits follow the colon.
    pub const fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        match text {
            "sha256" => Ok(Self::Sha256),
            "sha384" => Ok(Self::Sha384),
            "sha512" => Ok(Self::Sha512),
            _ => {
                Err(DigestError { kind: DigestErrorKind::UnsupportedAlgorithm, input: text.into() })
            }
        }
    }
}

/// The digest of some bytes, as text: an algorithm and lower-case hexadecimal digits.
///
/// A value of this type is always well-formed, so its parts are safe in a path or a URL. Parsing
/// is strict: no white space, no upper case, exactly the algorithm's number of digits.
///
/// Source: OCI image specification, `descriptor.md`, "Digests".
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    /// The whole text, so that `as_str` costs nothing.
    text: Box<str>,
}

impl Digest {
    /// Makes a digest of raw hash output.
    ///
    /// # Panics
    /// If `hash` is not as long as the algorithm's output.
    pub fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Self {
        assert_eq!(hash.len() * 2, algorithm.hex_len(), "the hash has its algorithm's length");
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(7 + algorithm.hex_len());
        text.push_str(algorithm.as_str());
        text.push(':');
        for byte in hash {
            text.push(DIGITS[usize::from(byte >> 4)].into());
            text.push(DIGITS[usize::from(byte & 15)].into());
        }
        Self { algorithm, text: text.into() }
    }

    /// The algorithm before the colon.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hexadecimal digits after the colon.
    pub fn hex(&self) -> &str {
        &self.text[self.algorithm.as_str().len() + 1..]
    }

    /// The first twelve hexadecimal digits: enough for people.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }

    /// The whole text, `algorithm:hex`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl AsRef<str> for Digest {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    /// Parses `algorithm:hex`.
    ///
    /// # Errors
    /// One of each [`DigestErrorKind`], for the same texts as Go's digest package.
    fn from_str(text: &str) -> Result<Self, DigestError> {
        read_digest(text).map_err(|(kind, _)| DigestError { kind, input: text.into() })
    }
}

/// Parses a digest; a failure says where.
///
/// Source: opencontainers/go-digest, `Digest.Validate`, with the algorithms of [`Algorithm`]
/// registered.
pub(crate) fn read_digest(text: &str) -> Result<Digest, (DigestErrorKind, usize)> {
    let Some((name, hex)) = text.split_once(':').filter(|(name, hex)| ![*name, hex].contains(&""))
    else {
        return Err((DigestErrorKind::InvalidFormat, text.find(':').unwrap_or(text.len())));
    };
    let Ok(algorithm) = name.parse::<Algorithm>() else {
        return Err(if is_digest_like(name, hex) {
            (DigestErrorKind::UnsupportedAlgorithm, 0)
        } else {
            (DigestErrorKind::InvalidFormat, 0)
        });
    };
    let start = name.len() + 1;
    if hex.len() != algorithm.hex_len() {
        let end = hex.floor_char_boundary(algorithm.hex_len());
        return Err((DigestErrorKind::InvalidLength, start + end));
    }
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    // Lists of images have thousands: all bytes are looked at at once, and one by one if one is wrong.
    if hex.bytes().fold(true, |all, byte| all & is_digit(byte)) {
        return Ok(Digest { algorithm, text: text.into() });
    }
    let at = hex.bytes().position(|byte| !is_digit(byte)).unwrap_or(0);
    Err((DigestErrorKind::InvalidFormat, start + at))
}

/// Tells whether a text is a digest to Go's digest package, of an algorithm that it does not know.
fn is_digest_like(name: &str, encoded: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    name.split(['.', '+', '_', '-']).all(word)
        && encoded.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-'))
}

impl TryFrom<&str> for Digest {
    type Error = DigestError;

    fn try_from(text: &str) -> Result<Self, DigestError> {
        text.parse()
    }
}

/// Why a text is not a [`Digest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestError {
    kind: DigestErrorKind,
    input: Box<str>,
}

/// The kinds of [`DigestError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DigestErrorKind {
    /// No colon, or something that is not a lower-case hexadecimal digit.
    InvalidFormat,
    /// An algorithm other than those of [`Algorithm`].
    UnsupportedAlgorithm,
    /// Too few or too many digits for the algorithm.
    InvalidLength,
}

impl DigestErrorKind {
    /// The words of Go's digest package, which scripts search for.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFormat => "invalid checksum digest format",
            Self::UnsupportedAlgorithm => "unsupported digest algorithm",
            Self::InvalidLength => "invalid checksum digest length",
        }
    }
}

impl DigestError {
    /// What is wrong.
    pub fn kind(&self) -> DigestErrorKind {
        self.kind
    }

    /// The text that was refused.
    pub fn input(&self) -> &str {
        &self.input
    }
}

impl fmt::Display for DigestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.kind.as_str(), shortened(&self.input, 160))
    }
}

impl std::error::Error for DigestError {}

/// At most so many bytes of a text that may be of any length, for an error message.
pub(crate) fn shortened(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_refused_for_the_reason_that_go_gives() {
        use DigestErrorKind::{InvalidFormat, InvalidLength, UnsupportedAlgorithm};
        let hex64 = "0123456789abcdef".repeat(4);
        for (text, expected) in [
            (String::new(), (InvalidFormat, 0)),
            (hex64.clone(), (InvalidFormat, 64)),
            (format!(":{hex64}"), (InvalidFormat, 0)),
            ("sha256:".into(), (InvalidFormat, 6)),
            ("sha256:ab".into(), (InvalidLength, 9)),
            (format!("sha256:{hex64}0"), (InvalidLength, 71)),
            (format!("sha512:{hex64}"), (InvalidLength, 71)),
            (format!("sha256:{}é", &hex64[1..]), (InvalidLength, 70)),
            (format!("sha256:{}é", &hex64[2..]), (InvalidFormat, 69)),
            (format!("sha256:{}", hex64.to_uppercase()), (InvalidFormat, 17)),
            (format!("sha256: {}", &hex64[1..]), (InvalidFormat, 7)),
            (format!("sha256:{}:", &hex64[1..]), (InvalidFormat, 70)),
            (format!("SHA256:{hex64}"), (InvalidFormat, 0)),
            (format!("md5:{hex64}"), (UnsupportedAlgorithm, 0)),
            ("sha256+b64:LCa0a2j_xo-5m0U8HTBBNBNCLXBkg7==".into(), (UnsupportedAlgorithm, 0)),
            (format!("sha256+:{hex64}"), (InvalidFormat, 0)),
            (format!("../x:{hex64}"), (InvalidFormat, 0)),
            ("md5:a/b".into(), (InvalidFormat, 0)),
        ] {
            assert_eq!(read_digest(&text).unwrap_err(), expected, "{text}");
            assert_eq!(text.parse::<Digest>().unwrap_err().kind(), expected.0);
        }
    }

    #[test]
    fn a_digest_is_printed_as_it_was_read() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
            let hash: Vec<u8> = (0..algorithm.hex_len() / 2).map(|n| n as u8 ^ 0x5a).collect();
            let digest = Digest::from_hash(algorithm, &hash);
            assert_eq!(digest.to_string().parse(), Ok(digest.clone()));
            assert_eq!(digest.as_str(), format!("{algorithm}:{}", digest.hex()));
            assert_eq!((digest.short(), digest.algorithm()), ("5a5b58595e5f", algorithm));
        }
    }

    #[test]
    #[should_panic = "the hash has its algorithm's length"]
    fn a_hash_of_another_length_makes_no_digest() {
        Digest::from_hash(Algorithm::Sha256, &[0; 20]);
    }

    #[test]
    fn a_message_quotes_only_the_start_of_a_long_text() {
        let message = "é".repeat(1000).parse::<Digest>().unwrap_err().to_string();
        assert_eq!(message, format!("invalid checksum digest format: {:?}", "é".repeat(80)));
    }
}
