//! Tags.

use std::fmt;
use std::str::FromStr;

use crate::{ReferenceError, ReferenceErrorKind, grammar};

/// The most characters that a tag has; all of them are ASCII.
///
/// Source: distribution/reference, `TagRegexp`.
pub const TAG_MAX_BYTES: usize = 128;

/// The name that a repository gives to one of its images: `latest`, `1.27-alpine`.
///
/// A value of this type is always well-formed: 1 to 128 of `A-Z a-z 0-9 _ . -`, the first neither
/// a dot nor a hyphen. So it is never `.` or `..`, and is safe in a path or a URL.
///
/// Source: distribution/reference, `TagRegexp`; OCI distribution specification, "Pulling
/// manifests".
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Box<str>);

impl Tag {
    /// The tag that is meant where none is given: `latest`.
    pub fn latest() -> Self {
        Self("latest".into())
    }

    /// Wraps what [`grammar::tag`] has accepted.
    pub(crate) fn from_checked(text: &str) -> Self {
        debug_assert!(grammar::tag(text).is_ok());
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Tag {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    /// Parses a tag.
    ///
    /// # Errors
    /// [`ReferenceErrorKind::InvalidTag`].
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        match grammar::tag(text) {
            Ok(()) => Ok(Self::from_checked(text)),
            Err(stop) => Err(ReferenceError::new(ReferenceErrorKind::InvalidTag, text, stop)),
        }
    }
}

impl TryFrom<&str> for Tag {
    type Error = ReferenceError;

    fn try_from(text: &str) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_safe_in_a_path() {
        for text in ["latest", "v1.2", "_", "0", "A-.-", "x..y"] {
            assert_eq!(text.parse::<Tag>().unwrap().as_str(), text);
        }
        for (text, offset) in [("", 0), (".", 0), ("..", 0), ("-x", 0), ("a/b", 1), ("a\0", 1)] {
            let error = text.parse::<Tag>().unwrap_err();
            assert_eq!(error.offset(), offset, "{text:?}");
            assert_eq!(error.to_string(), "invalid tag format");
        }
    }
}
