//! Names of images in a layout, and how a layout and an image in it are written in one text.

use std::fmt;
use std::str::FromStr;

use cask_reference::Tag;

/// The name that a tool gives to an image in a layout: the value of the annotation
/// `org.opencontainers.image.ref.name`.
///
/// The grammar: components separated by `/`; a component is letters and digits, joined by one of
/// `-`, `.`, `_`, `:`, `@`, `+`, or by `--`. Layouts of others can hold names that break it: those
/// can be looked up but not written.
///
/// Source: OCI image specification, `annotations.md`; containers/image,
/// `oci/internal/oci_util.go`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReferenceName(Box<str>);

impl ReferenceName {
    /// Parses a name.
    ///
    /// # Errors
    /// [`NameErrorKind::InvalidName`], with the offset of the first byte that does not fit. An
    /// empty text is not a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match first_misfit(text) {
            None => Ok(Self(text.into())),
            Some(offset) => Err(NameError::new(NameErrorKind::InvalidName, text, offset)),
        }
    }

    /// The name that a tag of a registry is. Some tags (`_x`, `a__b`, `v1.`) break the grammar:
    /// they can be written and looked up, and other tools may not find them by
    /// `oci:path:name`.
    pub fn from_tag(tag: &Tag) -> Self {
        Self(tag.as_str().into())
    }

    /// The text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The offset of the first byte that the grammar does not allow; the length if the end is not.
fn first_misfit(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let start = at;
        while bytes.get(at).is_some_and(u8::is_ascii_alphanumeric) {
            at += 1;
        }
        if at == start {
            return Some(at);
        }
        at += match bytes.get(at..).unwrap_or_default() {
            [] => return None,
            [b'-', b'-', ..] => 2,
            [b'-' | b'.' | b'_' | b':' | b'@' | b'+' | b'/', ..] => 1,
            _ => return Some(at),
        };
    }
}

impl fmt::Display for ReferenceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ReferenceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for ReferenceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

/// Which image of a layout a [`LayoutReference`] means.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageChoice {
    /// The only one there is; a write gives no name.
    #[default]
    Only,
    /// The one of this name.
    Name(ReferenceName),
    /// The one at this position in `index.json`, counted from zero; to read only.
    Position(usize),
}

/// A layout and an image in it, as users write them: `path`, `path:`, `path:name` or
/// `path:@position`.
///
/// The path ends at the first colon, so it can hold none. `Display` always writes the colon;
/// parsing what it writes gives an equal value.
///
/// Source: containers/image, `oci/layout/oci_transport.go`, `ParseReference` and
/// `StringWithinTransport`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LayoutReference {
    path: Box<str>,
    image: ImageChoice,
}

impl LayoutReference {
    /// Parses `path[:name]` or `path:@position`. Touches no file.
    ///
    /// # Errors
    /// Each [`NameErrorKind`], with the offset in `text`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let (path, image) = text.split_once(':').unwrap_or((text, ""));
        if path.is_empty() || path.contains('\0') {
            let offset = path.find('\0').unwrap_or(0);
            return Err(NameError::new(NameErrorKind::InvalidPath, text, offset));
        }
        let image_at = path.len() + 1;
        let image = match image.strip_prefix('@') {
            Some(position) => ImageChoice::Position(parse_position(position, image_at + 1)?),
            None if image.is_empty() => ImageChoice::Only,
            None => ImageChoice::Name(ReferenceName::parse(image).map_err(|e| e.moved(image_at))?),
        };
        Ok(Self { path: path.into(), image })
    }

    /// The path of the layout, as the user wrote it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Which image is meant.
    pub fn image(&self) -> &ImageChoice {
        &self.image
    }
}

/// Reads a position as Go's `strconv.Atoi` does: a sign is allowed, and so are leading zeros.
fn parse_position(text: &str, offset: usize) -> Result<usize, NameError> {
    let fail = |kind| Err(NameError::new(kind, text, offset));
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return fail(NameErrorKind::PositionNotAnInteger);
    }
    // As large as Go's int.
    match digits.parse::<i64>().ok().and_then(|position| usize::try_from(position).ok()) {
        None => fail(NameErrorKind::PositionNotAnInteger),
        Some(position) if text.starts_with('-') && position > 0 => {
            fail(NameErrorKind::NegativePosition)
        }
        Some(position) => Ok(position),
    }
}

impl fmt::Display for LayoutReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.image {
            ImageChoice::Only => write!(f, "{}:", self.path),
            ImageChoice::Name(name) => write!(f, "{}:{name}", self.path),
            ImageChoice::Position(position) => write!(f, "{}:@{position}", self.path),
        }
    }
}

impl FromStr for LayoutReference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

/// Why a text is not a [`ReferenceName`] or not a [`LayoutReference`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError {
    kind: NameErrorKind,
    input: Box<str>,
    offset: usize,
    /// Where `input` begins in the text that was parsed.
    start: usize,
}

/// The kinds of [`NameError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NameErrorKind {
    /// The name breaks the grammar of [`ReferenceName`].
    InvalidName,
    /// The path is empty or holds a zero byte.
    InvalidPath,
    /// After `@` stands no number, or one that is too large.
    PositionNotAnInteger,
    /// After `@` stands a negative number.
    NegativePosition,
}

impl NameError {
    fn new(kind: NameErrorKind, input: &str, offset: usize) -> Self {
        let start = match kind {
            NameErrorKind::InvalidName | NameErrorKind::InvalidPath => 0,
            NameErrorKind::PositionNotAnInteger | NameErrorKind::NegativePosition => offset,
        };
        Self { kind, input: input.into(), offset, start }
    }

    fn moved(mut self, by: usize) -> Self {
        self.offset += by;
        self.start += by;
        self
    }

    /// What is wrong.
    pub fn kind(&self) -> NameErrorKind {
        self.kind
    }

    /// The name, the position or the whole text that was refused.
    pub fn input(&self) -> &str {
        &self.input
    }

    /// The offset, in bytes from the start of the text that was parsed, of what does not fit.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The words of containers/image, which scripts search for.
        let input = shortened(&self.input);
        match self.kind {
            NameErrorKind::InvalidName => {
                let at = self.offset - self.start;
                let found = match self.input.get(at..).and_then(|rest| rest.chars().next()) {
                    Some(character) => format!("{character:?} at offset {at}"),
                    None => "the end".to_owned(),
                };
                write!(f, "Invalid image {input}: expected a letter or a digit, found {found}")
            }
            NameErrorKind::InvalidPath if self.input.contains('\0') => {
                write!(f, "Invalid OCI reference: path holds a zero byte at offset {}", self.offset)
            }
            NameErrorKind::InvalidPath => f.write_str("Invalid OCI reference: path is empty"),
            NameErrorKind::PositionNotAnInteger => {
                write!(f, "Invalid source index @{input}: not an integer")
            }
            NameErrorKind::NegativePosition => {
                write!(f, "Invalid source index @{input}: must not be negative")
            }
        }
    }
}

impl std::error::Error for NameError {}

/// The start of a text that may be of any length, for an error message.
fn shortened(text: &str) -> &str {
    let mut end = text.len().min(160);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_follow_the_grammar() {
        fn check(text: &str, expected: Result<(), usize>) {
            let found = ReferenceName::parse(text).map(|name| assert_eq!(name.as_str(), text));
            assert_eq!(found.map_err(|error| error.offset()), expected, "{text:?}");
        }
        for good in
            ["a", "latest", "v1.2-3_4", "a--b", "docker.io/library/foo:latest", "a@b+c", "1/2"]
        {
            check(good, Ok(()));
        }
        check("", Err(0));
        check("bad/../x:y", Err(4));
        check("/a", Err(0));
        check("a/", Err(2));
        check("a//b", Err(2));
        check("a---b", Err(3));
        check("a..b", Err(2));
        check("a b", Err(1));
        check("-a", Err(0));
        check("a:", Err(2));
        check("é", Err(0));
        check("a\0", Err(1));
    }

    #[test]
    fn references_are_split_at_the_first_colon() {
        fn check(text: &str, path: &str, image: &ImageChoice, printed: &str) {
            let reference = LayoutReference::parse(text).unwrap();
            assert_eq!((reference.path(), reference.image()), (path, image), "{text}");
            assert_eq!(reference.to_string(), printed, "{text}");
        }
        let name = |text| ImageChoice::Name(ReferenceName::parse(text).unwrap());
        check("/etc", "/etc", &ImageChoice::Only, "/etc:");
        check("/etc:", "/etc", &ImageChoice::Only, "/etc:");
        check("x:a:b", "x", &name("a:b"), "x:a:b");
        check("x:a@1", "x", &name("a@1"), "x:a@1");
        check("x:@0", "x", &ImageChoice::Position(0), "x:@0");
        check("x:@+007", "x", &ImageChoice::Position(7), "x:@7");
        check("../x y", "../x y", &ImageChoice::Only, "../x y:");
    }

    #[test]
    fn what_is_no_reference_is_refused_with_its_offset() {
        fn check(text: &str, kind: NameErrorKind, offset: usize, words: &str) {
            let error = LayoutReference::parse(text).unwrap_err();
            assert_eq!((error.kind(), error.offset()), (kind, offset), "{text:?}");
            assert_eq!(error.to_string(), words, "{text:?}");
        }
        use NameErrorKind::{InvalidName, InvalidPath, NegativePosition, PositionNotAnInteger};
        let invalid =
            "Invalid image bad/../x:y: expected a letter or a digit, found '.' at offset 4";
        check("p:bad/../x:y", InvalidName, 6, invalid);
        check(
            "p:a/",
            InvalidName,
            4,
            "Invalid image a/: expected a letter or a digit, found the end",
        );
        check("", InvalidPath, 0, "Invalid OCI reference: path is empty");
        check(":x", InvalidPath, 0, "Invalid OCI reference: path is empty");
        check("a\0b", InvalidPath, 1, "Invalid OCI reference: path holds a zero byte at offset 1");
        check("p:@x", PositionNotAnInteger, 3, "Invalid source index @x: not an integer");
        check("p:@", PositionNotAnInteger, 3, "Invalid source index @: not an integer");
        check("p:@-5", NegativePosition, 3, "Invalid source index @-5: must not be negative");
        let huge = "Invalid source index @9223372036854775808: not an integer";
        check("p:@9223372036854775808", PositionNotAnInteger, 3, huge);
    }

    proptest! {
        #[test]
        fn printing_is_the_inverse_of_parsing(text in "\\PC{0,40}|[a-c/:@.+-]{0,12}") {
            if let Ok(reference) = LayoutReference::parse(&text) {
                let printed = reference.to_string();
                prop_assert_eq!(LayoutReference::parse(&printed).unwrap(), reference);
            }
        }
    }
}
