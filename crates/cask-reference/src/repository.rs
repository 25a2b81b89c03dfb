//! Repositories: a domain and a path.

use std::fmt;
use std::str::FromStr;

use crate::grammar::{self, Stop};
use crate::normalize::{
    Checked, DEFAULT_DOMAIN, OFFICIAL_PREFIX, is_meant_as_domain, read_normalized,
};
use crate::{Digest, Reference, ReferenceError, ReferenceErrorKind, Tag};

/// The most bytes that the path of a repository has, its slashes included.
///
/// Source: distribution/reference, `RepositoryNameTotalLengthMax`, which counts the path only.
pub const PATH_MAX_BYTES: usize = 255;

/// The full name of a repository: `docker.io/library/busybox`.
///
/// It has a domain, which says where to ask, and a path, which says for what. Both are
/// well-formed, and the path has no `.` or `..` among its components. Values are ordered by their
/// text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository {
    name: Box<str>,
    domain_len: usize,
}

impl Repository {
    /// Joins a domain and a path, and normalises the result: `docker.io` and `busybox` give
    /// `docker.io/library/busybox`.
    ///
    /// # Errors
    /// [`ReferenceErrorKind::InvalidFormat`] if the domain is not one, or is not recognisable as
    /// one: `foo` is a domain to no parser, while `foo.local`, `foo:80`, `Foo` and `localhost` are.
    /// Otherwise those of [`Self::parse_normalized`]. The error's input is both, with a slash
    /// between them.
    pub fn new(domain: &str, path: &str) -> Result<Self, ReferenceError> {
        let name = format!("{domain}/{path}");
        let unrecognised = Stop { offset: domain.len(), expected: "a domain with a dot or a port" };
        grammar::domain(domain)
            .and_then(|()| if is_meant_as_domain(domain) { Ok(()) } else { Err(unrecognised) })
            .map_err(|stop| ReferenceError::new(ReferenceErrorKind::InvalidFormat, &name, stop))?;
        Self::parse_normalized(&name)
    }

    /// Parses the name of a repository, and fills in the domain `docker.io` and the `library/`
    /// that are left out of familiar names.
    ///
    /// # Errors
    /// Those of [`Reference::parse_normalized`], and [`ReferenceErrorKind::TagOrDigest`] if more
    /// than a name is given.
    pub fn parse_normalized(text: &str) -> Result<Self, ReferenceError> {
        let checked = read_normalized(text)?;
        if checked.tag.is_none() && checked.digest.is_none() {
            return Ok(Self::from_checked(&checked));
        }
        let stop = Stop { offset: checked.name_end, expected: "the end of the name" };
        Err(ReferenceError::new(ReferenceErrorKind::TagOrDigest, text, stop))
    }

    pub(crate) fn from_checked(checked: &Checked<'_>) -> Self {
        let domain = checked.domain.unwrap_or(DEFAULT_DOMAIN);
        let prefix = if checked.is_official { OFFICIAL_PREFIX } else { "" };
        let name = format!("{domain}/{prefix}{}", checked.path);
        Self { name: name.into(), domain_len: domain.len() }
    }

    /// The domain and the path, with a slash between them.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The host name or address of the registry, with its port if one is given. Never empty.
    ///
    /// Letters are in the case in which they were written, though host names do not depend on it:
    /// fold them before you decide anything by the domain alone.
    pub fn domain(&self) -> &str {
        &self.name[..self.domain_len]
    }

    /// The [`Self::domain`] without its port; an IPv6 address keeps its brackets.
    pub fn host(&self) -> &str {
        split_port(self.domain()).0
    }

    /// The digits of the port, if one is given. There may be any number of them.
    pub fn port(&self) -> Option<&str> {
        split_port(self.domain()).1
    }

    /// The name within the registry.
    pub fn path(&self) -> &str {
        &self.name[self.domain_len + 1..]
    }

    /// The name as people write it: without `docker.io/library/`, or else without `docker.io/`.
    ///
    /// A name stays whole if without its domain it would name something else:
    /// `docker.io/localhost/app`. Only two official repositories come back as something else, and
    /// Go's package shares both: a name of 64 hexadecimal digits, which parses as an
    /// image ID or not at all, and `sha256` with 64 such digits for its tag.
    ///
    /// Source: distribution/reference, `familiarizeName`, which shortens `docker.io/localhost/app`
    /// too.
    pub fn familiar(&self) -> &str {
        if self.domain() != DEFAULT_DOMAIN {
            return &self.name;
        }
        let path = self.path();
        match path.strip_prefix(OFFICIAL_PREFIX) {
            Some(rest) if !rest.contains('/') => rest,
            _ => match path.split_once('/') {
                Some((first, _)) if !is_meant_as_domain(first) => path,
                _ => &self.name,
            },
        }
    }

    /// The name and what contains it, down to the domain: `a.b/c/d`, `a.b/c`, `a.b`.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(self.name()), |name| Some(name.rsplit_once('/')?.0))
    }

    /// The scopes under which a signature policy may mention this repository, the most specific
    /// first: [`Self::ancestors`], then the domains that contain the host, as `*.domain`.
    ///
    /// The port counts for the names, not for the wildcards. An IPv4 address has wildcards as if
    /// it were a host name, an IPv6 address has none.
    ///
    /// Source: containers/image, `policyconfiguration.DockerReferenceNamespaces`.
    pub fn policy_namespaces(&self) -> Vec<String> {
        let wildcards =
            std::iter::successors(Some(self.host()), |host| Some(host.split_once('.')?.1)).skip(1);
        self.ancestors()
            .map(String::from)
            .chain(wildcards.map(|domain| format!("*.{domain}")))
            .collect()
    }

    /// Names the image with this tag.
    pub fn with_tag(self, tag: Tag) -> Reference {
        Reference::from(self).with_tag(tag)
    }

    /// Names the image with this digest.
    pub fn with_digest(self, digest: Digest) -> Reference {
        Reference::from(self).with_digest(digest)
    }
}

/// Separates the port from a well-formed domain.
fn split_port(domain: &str) -> (&str, Option<&str>) {
    match domain.rsplit_once(':') {
        // A colon before the bracket belongs to the address.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (domain, None),
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    /// Does what [`Repository::parse_normalized`] does.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse_normalized(text)
    }
}

impl TryFrom<&str> for Repository {
    type Error = ReferenceError;

    fn try_from(text: &str) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_a_host_and_perhaps_a_port() {
        for (text, host, port, path) in [
            ("busybox", "docker.io", None, "library/busybox"),
            ("index.docker.io/busybox", "docker.io", None, "library/busybox"),
            ("index.docker.io/a/b", "docker.io", None, "a/b"),
            ("a/b/c", "docker.io", None, "a/b/c"),
            ("localhost/x", "localhost", None, "x"),
            ("localhost:80/x", "localhost", Some("80"), "x"),
            ("[::1]/x", "[::1]", None, "x"),
            ("[::1]:5000/x", "[::1]", Some("5000"), "x"),
            ("docker.io:443/x", "docker.io", Some("443"), "x"),
            ("Host/x", "Host", None, "x"),
        ] {
            let repository = Repository::parse_normalized(text).unwrap();
            assert_eq!((repository.host(), repository.port()), (host, port), "{text}");
            assert_eq!(repository.path(), path, "{text}");
            assert_eq!(Repository::new(repository.domain(), path).unwrap(), repository);
        }
    }

    #[test]
    fn parts_that_would_be_read_otherwise_make_no_repository() {
        for (domain, path, offset) in [
            ("foo", "bar", 3),
            ("", "bar", 0),
            ("a.b/c", "d", 3),
            ("a.b", "", 4),
            ("a.b", "c:tag", 5),
            ("a.b", "c@sha256:", 13),
            ("a.b", "C", 4),
            ("a_b.c", "d", 1),
        ] {
            let error = Repository::new(domain, path).unwrap_err();
            assert_eq!(error.offset(), offset, "{domain:?} {path:?}: {error:?}");
        }
    }

    #[test]
    fn only_a_name_is_a_repository() {
        for (text, offset) in [("busybox:1", 7), ("docker.io/busybox:1", 17), ("a.b:1/c:d", 7)] {
            let error = Repository::parse_normalized(text).unwrap_err();
            assert_eq!((error.kind(), error.offset()), (ReferenceErrorKind::TagOrDigest, offset));
        }
    }

    #[test]
    fn a_familiar_name_still_names_the_same() {
        for (name, familiar) in [
            ("docker.io/library/a", "a"),
            ("docker.io/a/b", "a/b"),
            ("docker.io/library/a/b", "library/a/b"),
            ("docker.io/library/localhost", "localhost"),
            ("docker.io/localhost/a", "docker.io/localhost/a"),
            ("docker.io/quay.io/a", "docker.io/quay.io/a"),
            ("docker.io/docker.io/a", "docker.io/docker.io/a"),
            ("quay.io/library/a", "quay.io/library/a"),
        ] {
            let repository: Repository = name.parse().unwrap();
            assert_eq!(repository.name(), name);
            assert_eq!(repository.familiar(), familiar);
            assert_eq!(familiar.parse(), Ok(repository));
        }
    }

    #[test]
    fn namespaces_go_from_the_repository_to_the_widest_wildcard() {
        for (name, expected) in [
            ("a", "docker.io/library/a docker.io/library docker.io *.io"),
            ("x.y.z:80/a/b", "x.y.z:80/a/b x.y.z:80/a x.y.z:80 *.y.z *.z"),
            ("localhost/a", "localhost/a localhost"),
            ("127.0.0.1/a", "127.0.0.1/a 127.0.0.1 *.0.0.1 *.0.1 *.1"),
            ("[::1]:80/a", "[::1]:80/a [::1]:80"),
        ] {
            let repository: Repository = name.parse().unwrap();
            assert_eq!(repository.policy_namespaces().join(" "), expected);
        }
    }
}
