//! References or digests, and the order of both.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::{Digest, Pattern, Reference, ReferenceError, grammar};

/// What people name an image by where images are at hand: a reference, or the digest that is an
/// image's ID.
///
/// ```
/// use cask_reference::AnyReference;
///
/// assert!(matches!("busybox".parse()?, AnyReference::Named(_)));
/// assert!(matches!("0123456789abcdef".repeat(4).parse()?, AnyReference::Digest(_)));
/// # Ok::<(), cask_reference::ReferenceError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum AnyReference {
    /// The name of an image in a repository.
    Named(Reference),
    /// A digest alone.
    Digest(Digest),
}

impl AnyReference {
    /// Parses 64 hexadecimal digits as a SHA-256 digest, a digest as itself, and all else as
    /// [`Reference::parse_normalized`] does. A shorter ID is a name here: only a store of images
    /// can tell.
    ///
    /// Source: distribution/reference, `ParseAnyReference`.
    ///
    /// # Errors
    /// Those of [`Reference::parse_normalized`].
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if grammar::is_identifier(text) {
            let digest = format!("sha256:{text}").parse();
            return Ok(Self::Digest(digest.expect("64 hexadecimal digits make a SHA-256 digest")));
        }
        match text.parse() {
            Ok(digest) => Ok(Self::Digest(digest)),
            Err(_) => Reference::parse_normalized(text).map(Self::Named),
        }
    }

    /// The reference, if it is one.
    pub fn named(&self) -> Option<&Reference> {
        match self {
            Self::Named(reference) => Some(reference),
            Self::Digest(_) => None,
        }
    }

    /// The digest, with or without a name.
    pub fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Named(reference) => reference.digest(),
            Self::Digest(digest) => Some(digest),
        }
    }

    /// The reference as people write it; a digest alone stays whole.
    ///
    /// Source: distribution/reference, `FamiliarString`.
    pub fn familiar(&self) -> String {
        match self {
            Self::Named(reference) => reference.familiar(),
            Self::Digest(digest) => digest.as_str().into(),
        }
    }

    /// Tells whether the pattern matches [`Self::familiar`], or the familiar name alone.
    ///
    /// Source: distribution/reference, `FamiliarMatch`.
    pub fn familiar_matches(&self, pattern: &Pattern) -> bool {
        match self {
            Self::Named(reference) => reference.familiar_matches(pattern),
            Self::Digest(digest) => pattern.matches(digest.as_str()),
        }
    }

    /// Compares by how much is known: tag and digest, tag, digest, name only, no name; and by
    /// text among equals.
    ///
    /// Source: distribution/reference, `Sort`.
    pub fn cmp_by_information(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank()).then_with(|| self.to_string().cmp(&other.to_string()))
    }

    fn rank(&self) -> u8 {
        let Self::Named(reference) = self else { return 5 };
        match (reference.tag(), reference.digest()) {
            (Some(_), Some(_)) => 1,
            (Some(_), None) => 2,
            (None, Some(_)) => 3,
            (None, None) => 4,
        }
    }
}

/// Sorts references, those that say most first, and normalises them: see
/// [`AnyReference::cmp_by_information`]. Texts that are no reference come last, as they are.
///
/// Source: distribution/reference, `Sort`.
///
/// ```
/// let sorted = cask_reference::sort_by_information(&["b", "?", "a", "c:1"]);
/// let names = ["docker.io/library/c:1", "docker.io/library/a", "docker.io/library/b", "?"];
/// assert_eq!(sorted, names);
/// ```
pub fn sort_by_information(texts: &[impl AsRef<str>]) -> Vec<String> {
    // Not a reference: rank 6, after all that are.
    let mut keys: Vec<(u8, String)> = texts
        .iter()
        .map(|text| match AnyReference::parse(text.as_ref()) {
            Ok(reference) => (reference.rank(), reference.to_string()),
            Err(_) => (6, text.as_ref().into()),
        })
        .collect();
    keys.sort();
    keys.into_iter().map(|(_, text)| text).collect()
}

impl From<Reference> for AnyReference {
    fn from(reference: Reference) -> Self {
        Self::Named(reference)
    }
}

impl From<Digest> for AnyReference {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl fmt::Display for AnyReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(reference) => reference.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl fmt::Debug for AnyReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AnyReference {
    type Err = ReferenceError;

    /// Does what [`AnyReference::parse`] does.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

impl TryFrom<&str> for AnyReference {
    type Error = ReferenceError;

    fn try_from(text: &str) -> Result<Self, ReferenceError> {
        text.parse()
    }
}
