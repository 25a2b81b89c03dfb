//! Hashing and counting what goes by, and comparing it with what was promised.

use std::error;
use std::fmt;
use std::io::{self, Read, Write};

use cask_image::{Algorithm, Digest, Hasher};

/// Bytes that are not those that were promised.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// The digest is another one.
    Digest {
        /// The one that was promised.
        expected: Digest,
        /// The one that the bytes have.
        found: Digest,
    },
    /// There are fewer bytes.
    TooShort {
        /// How many were promised.
        expected_bytes: u64,
        /// How many there are.
        found_bytes: u64,
    },
    /// There are more bytes.
    TooLong {
        /// How many were promised.
        expected_bytes: u64,
    },
}

impl Mismatch {
    /// Finds a mismatch in an [`io::Error`], also where others have wrapped it.
    pub fn of(error: &io::Error) -> Option<&Self> {
        let mut next = error.get_ref().map(|inner| inner as &(dyn error::Error + 'static));
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found);
            }
            next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        None
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest { expected, found } => {
                write!(f, "digest did not match, expected {expected}, got {found}")
            }
            Self::TooShort { expected_bytes, found_bytes } => {
                write!(f, "size did not match, expected {expected_bytes} bytes, got {found_bytes}")
            }
            Self::TooLong { expected_bytes } => {
                write!(f, "size did not match, expected {expected_bytes} bytes, got more")
            }
        }
    }
}

impl error::Error for Mismatch {}

impl From<Mismatch> for io::Error {
    fn from(mismatch: Mismatch) -> Self {
        Self::new(io::ErrorKind::InvalidData, mismatch)
    }
}

/// A stream that is hashed and counted while it is read: [`unpack_measured`](crate::unpack_measured)
/// does not hash it once more.
pub trait MeasuredRead: Read {
    /// The algorithm of its digest.
    fn algorithm(&self) -> Algorithm;

    /// Digest and size in bytes of all that was read, once a read has given `Ok(0)`. Nothing where
    /// that is not known.
    fn measured(&self) -> Option<(Digest, u64)>;
}

impl<R: MeasuredRead + ?Sized> MeasuredRead for &mut R {
    fn algorithm(&self) -> Algorithm {
        (**self).algorithm()
    }

    fn measured(&self) -> Option<(Digest, u64)> {
        (**self).measured()
    }
}

/// Hashes what is read or written, and stops at a number of bytes.
pub(crate) struct Hashed<T> {
    pub(crate) inner: T,
    pub(crate) hasher: Hasher,
    /// The most bytes that may come.
    limit: u64,
}

impl<T> Hashed<T> {
    pub(crate) fn new(inner: T, algorithm: Algorithm, limit: Option<u64>) -> Self {
        Self { inner, hasher: Hasher::new(algorithm), limit: limit.unwrap_or(u64::MAX) }
    }

    /// The digest and the count.
    pub(crate) fn finish(self) -> (Digest, u64) {
        let count = self.hasher.len();
        (self.hasher.finish(), count)
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(output)?;
        if count as u64 > self.limit - self.hasher.len() {
            return Err(Mismatch::TooLong { expected_bytes: self.limit }.into());
        }
        self.hasher.update(&output[..count]);
        Ok(count)
    }
}

impl<R: Read> MeasuredRead for Hashed<R> {
    fn algorithm(&self) -> Algorithm {
        self.hasher.algorithm()
    }

    fn measured(&self) -> Option<(Digest, u64)> {
        Some((self.hasher.clone().finish(), self.hasher.len()))
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Compares a digest and a count with what was promised.
pub(crate) fn compare(
    (digest, count): (&Digest, u64),
    expected: Option<&Digest>,
    expected_bytes: Option<u64>,
) -> Result<(), Mismatch> {
    if let Some(expected_bytes) = expected_bytes
        && count < expected_bytes
    {
        return Err(Mismatch::TooShort { expected_bytes, found_bytes: count });
    }
    if let Some(expected_bytes) = expected_bytes
        && count > expected_bytes
    {
        return Err(Mismatch::TooLong { expected_bytes });
    }
    match expected {
        Some(expected) if expected != digest => {
            Err(Mismatch::Digest { expected: expected.clone(), found: digest.clone() })
        }
        _ => Ok(()),
    }
}

/// Reads `reader`, and fails at its end unless digest and size are the expected ones.
///
/// ```
/// use std::io::Read;
/// use cask_image::{Algorithm, Hasher};
/// use cask_layer::{Mismatch, verified};
///
/// let digest = Hasher::digest(Algorithm::Sha256, b"a layer");
/// let mut text = String::new();
/// verified(&b"a layer"[..], digest.clone(), None).read_to_string(&mut text)?;
/// let error = verified(&b"b layer"[..], digest, None).read_to_string(&mut text).unwrap_err();
/// assert!(matches!(Mismatch::of(&error), Some(Mismatch::Digest { .. })));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn verified<R: Read>(reader: R, digest: Digest, size_bytes: Option<u64>) -> VerifiedReader<R> {
    let reader = Hashed::new(reader, digest.algorithm(), size_bytes);
    VerifiedReader { reader, digest, size_bytes, verified: false }
}

/// A reader that does not end well unless its bytes are the expected ones; made by [`verified`].
///
/// `Ok(0)` for a buffer that is not empty means that digest and size matched. One byte too many is
/// an error at once, and none of the bytes read with it is given.
pub struct VerifiedReader<R> {
    reader: Hashed<R>,
    digest: Digest,
    size_bytes: Option<u64>,
    verified: bool,
}

impl<R: Read> Read for VerifiedReader<R> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if output.is_empty() || self.verified {
            return Ok(0);
        }
        let count = self.reader.read(output)?;
        if count == 0 {
            let hasher = self.reader.hasher.clone();
            let (found, count) = (hasher.clone().finish(), hasher.len());
            compare((&found, count), Some(&self.digest), self.size_bytes)?;
            self.verified = true;
        }
        Ok(count)
    }
}

impl<R> fmt::Debug for VerifiedReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedReader")
            .field("digest", &self.digest)
            .field("verified", &self.verified)
            .finish_non_exhaustive()
    }
}
