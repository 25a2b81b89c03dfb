//! Content digests: `algorithm:hex`.

use std::fmt;
use std::str::FromStr;

/// The hash algorithm of a [`Digest`].
///
/// Source: the image specification's registered algorithms, and `sha384`, which the Go tools accept.
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
            _ => Err(DigestError { kind: DigestErrorKind::UnsupportedAlgorithm, input: text.into() }),
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

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let fail = |kind| DigestError { kind, input: text.into() };
        let Some((algorithm, hex)) = text.split_once(':') else {
            return Err(fail(DigestErrorKind::InvalidFormat));
        };
        let algorithm: Algorithm =
            algorithm.parse().map_err(|_| fail(DigestErrorKind::UnsupportedAlgorithm))?;
        if hex.len() != algorithm.hex_len() {
            return Err(fail(DigestErrorKind::InvalidLength));
        }
        if !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(fail(DigestErrorKind::InvalidFormat));
        }
        Ok(Self { algorithm, text: text.into() })
    }
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DigestErrorKind {
    /// No colon, or something that is not a lower-case hexadecimal digit.
    InvalidFormat,
    /// An algorithm other than those of [`Algorithm`].
    UnsupportedAlgorithm,
    /// Too few or too many digits for the algorithm.
    InvalidLength,
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
        // The words of Go's digest package, which scripts search for.
        let what = match self.kind {
            DigestErrorKind::InvalidFormat => "invalid checksum digest format",
            DigestErrorKind::UnsupportedAlgorithm => "unsupported digest algorithm",
            DigestErrorKind::InvalidLength => "invalid checksum digest length",
        };
        write!(f, "{what}: {:?}", shortened(&self.input))
    }
}

impl std::error::Error for DigestError {}

/// The start of a text that may be of any length, for an error message.
fn shortened(text: &str) -> &str {
    let mut end = text.len().min(160);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
