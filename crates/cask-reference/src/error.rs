//! Why a text is not a reference.

use std::fmt;

use crate::DigestErrorKind;
use crate::digest::shortened;
use crate::grammar::Stop;

/// Why a text is not a reference, a repository or a tag.
///
/// `Display` gives the words of the Go package, for which scripts search; [`Self::offset`] and
/// [`Self::expected`] say more.
///
/// ```
/// use cask_reference::{Reference, ReferenceErrorKind};
///
/// let error = Reference::parse_normalized("example.com/app:").unwrap_err();
/// assert_eq!(error.kind(), ReferenceErrorKind::InvalidFormat);
/// assert_eq!(error.to_string(), "invalid reference format");
/// assert_eq!(error.offset(), 16);
/// assert_eq!(error.expected(), "a tag, which starts with a letter, a digit or '_'");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceError {
    kind: ReferenceErrorKind,
    input: Box<str>,
    offset: usize,
    expected: &'static str,
    /// The name that should be in lower case, where the message quotes it.
    quoted_name: Option<Box<str>>,
}

/// The kinds of [`ReferenceError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReferenceErrorKind {
    /// Nothing at all, where nothing is filled in.
    Empty,
    /// A byte that cannot stand where it stands, or too few of them.
    InvalidFormat,
    /// Upper case in the path: the same text in lower case would do.
    NotLowercase,
    /// A path of more than [`crate::PATH_MAX_BYTES`], with the `library/` that was filled in.
    NameTooLong,
    /// 64 hexadecimal digits, which would be confused with an image ID.
    Identifier,
    /// A tag that is not one, where only a tag was parsed.
    InvalidTag,
    /// A digest whose algorithm is unknown, or whose digits are not those of its algorithm.
    InvalidDigest(DigestErrorKind),
    /// A tag or a digest, where only the name of a repository was parsed.
    TagOrDigest,
}

impl ReferenceError {
    pub(crate) fn new(kind: ReferenceErrorKind, input: &str, stop: Stop) -> Self {
        let Stop { offset, expected } = stop;
        Self { kind, input: input.into(), offset, expected, quoted_name: None }
    }

    /// Makes the message quote the name that should be in lower case.
    pub(crate) fn quoting(mut self, name: String) -> Self {
        self.quoted_name = Some(name.into());
        self
    }

    /// What is wrong.
    pub fn kind(&self) -> ReferenceErrorKind {
        self.kind
    }

    /// The whole text that was refused.
    pub fn input(&self) -> &str {
        &self.input
    }

    /// Where reading stopped: in bytes from the start of [`Self::input`], on a character boundary;
    /// the length of the input if it ended too early.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// What could have stood at [`Self::offset`], as a noun: `a port number`.
    pub fn expected(&self) -> &'static str {
        self.expected
    }
}

impl fmt::Display for ReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self.kind {
            ReferenceErrorKind::Empty => "repository name must have at least one component",
            ReferenceErrorKind::InvalidFormat => "invalid reference format",
            ReferenceErrorKind::NotLowercase => {
                let Some(name) = &self.quoted_name else {
                    return f.write_str("repository name must be lowercase");
                };
                f.write_str("invalid reference format: repository name (")?;
                write_harmless(f, shortened(name, 512))?;
                ") must be lowercase"
            }
            ReferenceErrorKind::NameTooLong => {
                "repository name must not be more than 255 characters"
            }
            ReferenceErrorKind::Identifier => {
                write!(f, "invalid repository name ({})", self.input)?;
                ", cannot specify 64-byte hexadecimal strings"
            }
            ReferenceErrorKind::InvalidTag => "invalid tag format",
            ReferenceErrorKind::InvalidDigest(kind) => kind.as_str(),
            ReferenceErrorKind::TagOrDigest => "repository name must not have a tag or a digest",
        };
        f.write_str(words)
    }
}

impl std::error::Error for ReferenceError {}

/// Writes text of unknown origin so that a terminal does not obey it.
fn write_harmless(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for c in text.chars() {
        match c {
            '\'' | '"' | '\\' => write!(f, "{c}")?,
            _ => write!(f, "{}", c.escape_debug())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::Reference;

    #[test]
    fn a_message_is_short_and_obeys_no_escape_sequence() {
        let text = format!("\u{1b}[31mA{}", "a".repeat(5000));
        let message = Reference::parse_normalized(&text).unwrap_err().to_string();
        assert!(message.contains("(library/\\u{1b}[31mAaaa"), "{message}");
        assert!(message.len() < 600);
    }
}
