//! Names of repositories.

use std::fmt;
use std::str::FromStr;

/// The most bytes that a name has.
///
/// Source: distribution/reference, `NameTotalLengthMax`.
const MAX_BYTES: usize = 255;

/// Names that the files of a layout have: a repository of such a name would be inside another's.
const RESERVED: [&str; 3] = ["blobs", "index.json", "oci-layout"];

/// The name of a repository in a registry: `library/busybox`.
///
/// Components of lower-case letters and digits, joined by `.`, `_`, `__` or hyphens, and separated
/// by `/`; 255 bytes at most. So no component is `..` or begins with a dot, and the name is safe as
/// a path. No component is `blobs`, `index.json` or `oci-layout`, which the layouts have for
/// themselves.
///
/// Source: OCI distribution specification, "Pulling manifests".
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(Box<str>);

/// Why a text is not a [`RepositoryName`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError {
    input: Box<str>,
    offset: usize,
    reserved: bool,
}

impl RepositoryName {
    /// Parses a name.
    ///
    /// # Errors
    /// With the offset of the first byte that does not fit.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let fail = |offset, reserved| Err(NameError { input: text.into(), offset, reserved });
        if text.len() > MAX_BYTES {
            return fail(MAX_BYTES, false);
        }
        let mut at = 0;
        for component in text.split('/') {
            if RESERVED.contains(&component) {
                return fail(at, true);
            }
            if let Some(offset) = first_misfit(component.as_bytes()) {
                return fail(at + offset, false);
            }
            at += component.len() + 1;
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

/// The offset of the first byte of a component that the grammar does not allow.
fn first_misfit(bytes: &[u8]) -> Option<usize> {
    let is_word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut at = 0;
    loop {
        let start = at;
        at += bytes[at..].iter().take_while(|byte| is_word(byte)).count();
        if at == start {
            return Some(at);
        }
        at += match bytes.get(at..).unwrap_or_default() {
            [] => return None,
            [b'_', b'_', ..] => 2,
            [b'.' | b'_', ..] => 1,
            [b'-', rest @ ..] => 1 + rest.iter().take_while(|byte| **byte == b'-').count(),
            _ => return Some(at),
        };
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for RepositoryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl NameError {
    /// The text that was refused.
    pub fn input(&self) -> &str {
        &self.input
    }

    /// The offset, in bytes, of what does not fit.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.input.chars().take(100).collect();
        let offset = self.offset;
        if self.reserved {
            write!(
                f,
                "invalid repository name {shown:?}: a layout has a file of the name at offset {offset}"
            )
        } else if self.input.len() > MAX_BYTES {
            write!(f, "invalid repository name {shown:?}: it has more than {MAX_BYTES} bytes")
        } else {
            write!(
                f,
                "invalid repository name {shown:?}: expected a lower-case letter or a digit at offset {offset}"
            )
        }
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_follow_the_grammar() {
        fn check(text: &str, expected: Option<usize>) {
            let found = RepositoryName::parse(text).err().map(|error| error.offset());
            assert_eq!(found, expected, "{text:?}");
        }
        for good in ["a", "a/b", "a.b_c__d-e---f/0", "library/busybox", "blobs.x", "index.json5"] {
            check(good, None);
        }
        check("", Some(0));
        check("A", Some(0));
        check("a//b", Some(2));
        check("/a", Some(0));
        check("a/", Some(2));
        check("a/..", Some(2));
        check(".a", Some(0));
        check("a..b", Some(2));
        check("a___b", Some(3));
        check("a-", Some(2));
        check("a b", Some(1));
        check("a\0", Some(1));
        check("a/blobs", Some(2));
        check("blobs/sha256", Some(0));
        check("index.json", Some(0));
        check("x/oci-layout/y", Some(2));
        check(&"a".repeat(256), Some(255));
    }

    proptest! {
        #[test]
        fn a_name_is_a_safe_path(text in "\\PC{0,30}|[a-b./_-]{0,12}") {
            if let Ok(name) = RepositoryName::parse(&text) {
                for part in name.components() {
                    prop_assert!(!part.is_empty() && !part.starts_with('.'));
                }
            }
        }
    }
}
