//! References as written.

use std::fmt;
use std::str::FromStr;

use crate::normalize::{DEFAULT_DOMAIN, OFFICIAL_PREFIX, is_meant_as_domain, read_literal};
use crate::{Digest, Reference, ReferenceError, Tag};

/// A reference exactly as written, with nothing filled in: it may lack a domain.
///
/// For those who treat short names in their own way: search lists, aliases. Everybody else wants a
/// [`Reference`].
///
/// ```
/// use cask_reference::LiteralReference;
///
/// let written: LiteralReference = "team/app:1".parse()?;
/// assert!(written.is_short_name());
/// assert_eq!(written.qualify("quay.io")?.to_string(), "quay.io/team/app:1");
/// # Ok::<(), cask_reference::ReferenceError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LiteralReference {
    name: Box<str>,
    /// The length of the domain and of the slash after it; 0 without a domain.
    path_offset: usize,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl LiteralReference {
    /// Parses a reference without filling in anything.
    ///
    /// The first of several components is the domain if it can be one, so that the domain of
    /// `team/app` is `team`.
    ///
    /// Source: distribution/reference, `Parse`.
    ///
    /// # Errors
    /// [`Empty`] for nothing, [`NotLowercase`] if lower case would make it a reference,
    /// [`NameTooLong`] and [`InvalidDigest`] for what their names say, and [`InvalidFormat`] for
    /// all else. 64 hexadecimal digits are a name here.
    ///
    /// [`Empty`]: crate::ReferenceErrorKind::Empty
    /// [`NotLowercase`]: crate::ReferenceErrorKind::NotLowercase
    /// [`NameTooLong`]: crate::ReferenceErrorKind::NameTooLong
    /// [`InvalidDigest`]: crate::ReferenceErrorKind::InvalidDigest
    /// [`InvalidFormat`]: crate::ReferenceErrorKind::InvalidFormat
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let checked = read_literal(text)?;
        let path_offset = checked.domain.map_or(0, |domain| domain.len() + 1);
        let name = text[..path_offset + checked.path.len()].into();
        Ok(Self { name, path_offset, tag: checked.tag, digest: checked.digest })
    }

    /// The name without tag and digest.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first of several components, if it can be a domain.
    pub fn domain(&self) -> Option<&str> {
        self.path_offset.checked_sub(1).map(|end| &self.name[..end])
    }

    /// The name without the domain.
    pub fn path(&self) -> &str {
        &self.name[self.path_offset..]
    }

    /// The tag, if one is given.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest, if one is given.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Whether no registry is named, so that [`Self::normalize`] would fill in `docker.io`.
    ///
    /// Source: containers/image, `shortnames.IsShortName`, except that a first component with
    /// upper case is a domain here, as it is to [`Reference::parse_normalized`].
    pub fn is_short_name(&self) -> bool {
        !self.domain().is_some_and(is_meant_as_domain)
    }

    /// Fills in what [`Reference::parse_normalized`] fills in.
    ///
    /// # Errors
    /// Those of [`Reference::parse_normalized`].
    pub fn normalize(&self) -> Result<Reference, ReferenceError> {
        Reference::parse_normalized(&self.to_string())
    }

    /// Puts a registry, or a namespace of one, before the whole name.
    ///
    /// # Errors
    /// Those of [`Reference::parse_normalized`], whose input is the prefix, a slash, and this.
    pub fn qualify(&self, prefix: &str) -> Result<Reference, ReferenceError> {
        Reference::parse_normalized(&format!("{prefix}/{self}"))
    }

    /// The name without `docker.io/library/`, or else without `docker.io/`. Unlike
    /// [`Repository::familiar`](crate::Repository::familiar) it may then name something else.
    ///
    /// Source: distribution/reference, `FamiliarName`.
    pub fn familiar_name(&self) -> &str {
        if self.domain() != Some(DEFAULT_DOMAIN) {
            return &self.name;
        }
        match self.path().strip_prefix(OFFICIAL_PREFIX) {
            Some(rest) if !rest.contains('/') => rest,
            _ => self.path(),
        }
    }
}

impl fmt::Display for LiteralReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for LiteralReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LiteralReference {
    type Err = ReferenceError;

    /// Does what [`LiteralReference::parse`] does.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

impl TryFrom<&str> for LiteralReference {
    type Error = ReferenceError;

    fn try_from(text: &str) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the parts, and whether the name is short.
    fn check(input: &str, domain: Option<&str>, path: &str, is_short: bool) {
        let found = LiteralReference::parse(input).unwrap();
        assert_eq!((found.domain(), found.path()), (domain, path), "{input}");
        assert_eq!(found.is_short_name(), is_short, "{input}");
        assert_eq!(found.to_string(), input);
    }

    #[test]
    fn nothing_is_filled_in() {
        check("a", None, "a", true);
        check("a.b:80", None, "a.b", true);
        check("a/b", Some("a"), "b", true);
        check("a_b/c:t", None, "a_b/c", true);
        check("a_b.c/d", None, "a_b.c/d", true);
        check("a.b/c", Some("a.b"), "c", false);
        check("localhost/a", Some("localhost"), "a", false);
        check("Host/a", Some("Host"), "a", false);
        check("docker.io/a", Some("docker.io"), "a", false);
        check(&"0".repeat(64), None, &"0".repeat(64), true);
    }

    #[test]
    fn a_registry_is_put_before_the_whole_name() {
        for (input, prefix, expected) in [
            ("a", "quay.io", Some("quay.io/a")),
            ("a/b:t", "quay.io/team", Some("quay.io/team/a/b:t")),
            ("a", "docker.io", Some("docker.io/library/a")),
            ("a", "localhost:80", Some("localhost:80/a")),
            ("a:80/b", "quay.io", None),
            ("a", "", None),
        ] {
            let found = LiteralReference::parse(input).unwrap().qualify(prefix).ok();
            assert_eq!(found.map(|found| found.to_string()).as_deref(), expected, "{input}");
        }
    }
}
