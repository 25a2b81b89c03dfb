//! Hashing bytes into digests.

use std::io::{self, Read};

use cask_reference::{Algorithm, Digest};

#[cfg(not(feature = "ring"))]
use self::portable::State;
#[cfg(feature = "ring")]
use self::with_ring::State;

/// An incremental hash that ends in a [`Digest`]. A clone is a checkpoint.
///
/// The hash functions are those of the `sha2` crate; with the feature `ring` those of `ring`, which
/// are twice as fast on x86-64 processors without SHA instructions and need a C compiler to build.
#[derive(Clone)]
pub struct Hasher {
    algorithm: Algorithm,
    state: State,
    /// How many bytes were hashed.
    len: u64,
}

impl Hasher {
    /// Starts a hash.
    pub fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, state: State::new(algorithm), len: 0 }
    }

    /// The digest of bytes that are all in memory.
    pub fn digest(algorithm: Algorithm, bytes: &[u8]) -> Digest {
        let mut hasher = Self::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        self.state.update(bytes);
    }

    /// Adds everything that `reader` gives, by up to 256 KiB at a time; a read that was interrupted
    /// is made again.
    ///
    /// # Errors
    /// Those of `reader`; what came before has been added.
    pub fn update_from(&mut self, mut reader: impl Read) -> io::Result<()> {
        let mut buffer = vec![0; 256 << 10];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => self.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The algorithm of the digest that it ends in.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// How many bytes were hashed.
    #[expect(clippy::len_without_is_empty, reason = "a count, not a collection")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The digest of everything that was added.
    pub fn finish(self) -> Digest {
        self.state.finish(self.algorithm)
    }
}

#[cfg(any(test, not(feature = "ring")))]
mod portable {
    use cask_reference::{Algorithm, Digest};
    use sha2::Digest as _;

    #[derive(Clone)]
    pub(super) enum State {
        Sha256(sha2::Sha256),
        Sha384(sha2::Sha384),
        Sha512(sha2::Sha512),
    }

    impl State {
        pub(super) fn new(algorithm: Algorithm) -> Self {
            match algorithm {
                Algorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
                Algorithm::Sha384 => Self::Sha384(sha2::Sha384::new()),
                Algorithm::Sha512 => Self::Sha512(sha2::Sha512::new()),
            }
        }

        pub(super) fn update(&mut self, bytes: &[u8]) {
            match self {
                Self::Sha256(hash) => hash.update(bytes),
                Self::Sha384(hash) => hash.update(bytes),
                Self::Sha512(hash) => hash.update(bytes),
            }
        }

        pub(super) fn finish(self, algorithm: Algorithm) -> Digest {
            match self {
                Self::Sha256(hash) => Digest::from_hash(algorithm, &hash.finalize()),
                Self::Sha384(hash) => Digest::from_hash(algorithm, &hash.finalize()),
                Self::Sha512(hash) => Digest::from_hash(algorithm, &hash.finalize()),
            }
        }
    }
}

#[cfg(feature = "ring")]
mod with_ring {
    use cask_reference::{Algorithm, Digest};
    use ring::digest::{Context, SHA256, SHA384, SHA512};

    #[derive(Clone)]
    pub(super) struct State(Context);

    impl State {
        pub(super) fn new(algorithm: Algorithm) -> Self {
            Self(Context::new(match algorithm {
                Algorithm::Sha256 => &SHA256,
                Algorithm::Sha384 => &SHA384,
                Algorithm::Sha512 => &SHA512,
            }))
        }

        pub(super) fn update(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        pub(super) fn finish(self, algorithm: Algorithm) -> Digest {
            Digest::from_hash(algorithm, self.0.finish().as_ref())
        }
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_implementations_agree() {
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
            for len in [0, 1, 55, 56, 64, 111, 112, 128, 1000, bytes.len()] {
                let mut portable = portable::State::new(algorithm);
                portable.update(&bytes[..len]);
                let expected = portable.finish(algorithm);
                assert_eq!(Hasher::digest(algorithm, &bytes[..len]), expected, "{len} bytes");
            }
        }
    }

    #[test]
    fn known_digests() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Hasher::digest(Algorithm::Sha256, b"").hex(), empty);
        let mut pieces = Hasher::new(Algorithm::Sha512);
        pieces.update(b"a");
        pieces.update(b"bc");
        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces.finish(), Hasher::digest(Algorithm::Sha512, b"abc"));
    }
}
