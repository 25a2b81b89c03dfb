//! What names an image, a layer or a container.

use std::borrow::Borrow;
use std::fmt;

use cask_image::{Algorithm, Digest, Hasher};
use cask_json::quoted;

use crate::{Error, ErrorKind, Result};

/// The longest ID, in bytes.
const MAX_BYTES: usize = 128;

/// The ID of an image, a layer or a container: 64 lower-case hexadecimal digits.
///
/// Whoever calls the Go library may choose others for what it stores. In a store's own records
/// anything is accepted that is harmless as the name of a directory: letters, digits, `_`, `-` and
/// `.`, up to 128 of them, the first one a letter or a digit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(Box<str>);

impl Id {
    /// Reads a whole ID. What may be the beginning of one is a name to look for:
    /// [`Store::resolve`](crate::Store::resolve).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`] for anything but 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self> {
        if is_full_hex(text) {
            return Ok(Self(text.into()));
        }
        Err(Error::new(ErrorKind::InvalidName, "reading the ID", quoted(text))
            .with_detail("an ID is 64 hexadecimal digits, with small letters"))
    }

    /// Takes over what a record or a directory of a store says, whoever wrote it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`] for what is not harmless as the name of a directory.
    pub(crate) fn recorded(text: &str) -> Result<Self> {
        if is_id(text) {
            return Ok(Self(text.into()));
        }
        Err(Error::new(ErrorKind::InvalidName, "reading the ID", quoted(text))
            .with_detail("an ID is up to 128 letters, digits, _, - and ."))
    }

    /// A new random ID.
    ///
    /// Its first twelve characters are not all digits, so that its short form is no number.
    pub fn random() -> Self {
        loop {
            let mut bytes = [0; 32];
            crate::random::fill(&mut bytes);
            let hex = crate::random::hex(&bytes);
            if !hex.bytes().take(12).all(|byte| byte.is_ascii_digit()) {
                return Self(hex.into());
            }
        }
    }

    /// The ID of a layer that applies an uncompressed tar stream to a parent.
    ///
    /// This is not the chain ID of the image specification.
    ///
    /// Source: containers/image, `storage_dest.go`, `computeID` of a layer.
    pub fn of_layer(parent: Option<&Self>, diff_id: &Digest) -> Self {
        match parent {
            None => Self(diff_id.hex().into()),
            Some(parent) => {
                let text = format!("{parent}+{}", diff_id.hex());
                Self(Hasher::digest(Algorithm::Sha256, text.as_bytes()).hex().into())
            }
        }
    }

    /// The IDs of a chain of layers, the base first.
    pub fn of_layers(diff_ids: &[Digest]) -> Vec<Self> {
        let mut chain: Vec<Self> = Vec::with_capacity(diff_ids.len());
        for diff_id in diff_ids {
            chain.push(Self::of_layer(chain.last(), diff_id));
        }
        chain
    }

    /// The ID of an image with such a config.
    pub fn of_config(config: &Digest) -> Self {
        Self(config.hex().into())
    }

    /// What stands in a record until its ID is read.
    pub(crate) fn unset() -> Self {
        Self(Box::default())
    }

    /// The whole ID.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its first twelve characters: enough for people.
    pub fn short(&self) -> &str {
        &self.0[..self.0.len().min(12)]
    }
}

/// Whether a text is harmless as the name of a directory.
fn is_id(text: &str) -> bool {
    text.len() <= MAX_BYTES
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// Whether a text is 64 lower-case hexadecimal digits.
pub(crate) fn is_full_hex(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Id {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_cannot_lead_out_of_a_directory() {
        for bad in ["", ".", "..", "../x", "a/b", "/", ".x", "a\0", "-x", "é", &"a".repeat(129)] {
            let error = Id::recorded(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidName, "{bad}");
        }
        for good in ["a", "my-layer_1.x", &"a".repeat(128), &"0".repeat(64)] {
            assert_eq!(Id::recorded(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn only_whole_ids_are_ids() {
        for bad in ["", "abc", &"a".repeat(63), &"a".repeat(65), &"A".repeat(64), &"g".repeat(64)] {
            assert_eq!(Id::parse(bad).unwrap_err().kind(), ErrorKind::InvalidName, "{bad}");
        }
        assert_eq!(Id::parse(&"0a".repeat(32)).unwrap().as_str(), "0a".repeat(32));
    }

    #[test]
    fn random_ids_are_hexadecimal_and_differ() {
        let (one, two) = (Id::random(), Id::random());
        assert!(is_full_hex(one.as_str()));
        assert_ne!(one, two);
    }

    #[test]
    fn layer_ids_are_those_of_podman() {
        // Recorded from podman 4.3.1 and 5.8.2.
        let base = "sha256:602f0cb0373e4df98a5a9ad880a1fb881e10229a6ccd0ecfa48aeb695e7ad93b";
        let child = "sha256:3f73f7214f1c6d51705f8a41f8921a5f6f540abd1a4fb31ad9722c17082e03c0";
        let chain = Id::of_layers(&[base.parse().unwrap(), child.parse().unwrap()]);
        assert_eq!(chain[0].as_str(), &base[7..]);
        assert_eq!(
            chain[1].as_str(),
            "7204f795cb396cae0005e69a4f4c35a496d7137e88a59928840711ed1548f3cd"
        );
    }
}
