//! What stands behind `docker:`.

use std::fmt;

use cask_reference::Reference;
use cask_transport::{Error, ErrorKind, PolicyIdentity, Result};

/// Behind a repository: a manifest is written by its digest alone, and gets no tag.
const UNKNOWN_DIGEST: &str = "@@unknown-digest@@";

/// An image in a registry: `//name:tag`, `//name@digest`, both, or `//name@@unknown-digest@@`.
///
/// Source: containers/image, `docker.ParseReference`; that refuses a tag with a digest, which here
/// is the digest, and the tag for whoever reads the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// With a tag or a digest, unless the digest is unknown.
    reference: Reference,
}

fn invalid(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidLocation, "", "").with_detail(detail.into())
}

impl Name {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let Some(name) = text.strip_prefix("//") else {
            return Err(invalid(format!("docker: image reference {text} does not start with //"))
                .with_hint(format!("docker://{text}")));
        };
        let (name, is_unknown) = match name.strip_suffix(UNKNOWN_DIGEST) {
            Some(name) => (name, true),
            None => (name, false),
        };
        let reference =
            Reference::parse_normalized(name).map_err(|error| invalid(error.to_string()))?;
        match is_unknown {
            true if !reference.is_name_only() => Err(invalid(format!(
                "docker: image reference {text} has an unknown digest and also a tag or a digest"
            ))),
            true => Ok(Self { reference }),
            false => Ok(Self { reference: reference.with_default_tag() }),
        }
    }

    /// The image. Without a tag and a digest it can only be written, by whatever digest it has.
    pub(crate) fn reference(&self) -> &Reference {
        &self.reference
    }

    pub(crate) fn policy_identity(&self) -> PolicyIdentity {
        // Who gives both wants the digest.
        let exact = match self.reference.digest() {
            Some(_) => self.reference.clone().without_tag(),
            None => self.reference.clone(),
        };
        PolicyIdentity {
            identity: exact.to_string(),
            namespaces: self.reference.repository().policy_namespaces(),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = if self.reference.is_name_only() { UNKNOWN_DIGEST } else { "" };
        write!(f, "//{}{suffix}", self.reference.familiar())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn names_are_normalized_and_print_as_people_write_them() {
        #[track_caller]
        fn check(text: &str, printed: &str, identity: &str) {
            let text = text.replace("DIGEST", DIGEST);
            let name = Name::parse(&text).expect("it is a name");
            assert_eq!(name.to_string(), printed.replace("DIGEST", DIGEST));
            assert_eq!(name.policy_identity().identity, identity.replace("DIGEST", DIGEST));
            assert_eq!(Name::parse(&name.to_string()).expect("it comes back"), name);
        }
        check("//busybox", "//busybox:latest", "docker.io/library/busybox:latest");
        check("//[::1]:5000/a:b", "//[::1]:5000/a:b", "[::1]:5000/a:b");
        check("//a.io/b@DIGEST", "//a.io/b@DIGEST", "a.io/b@DIGEST");
        check("//a.io/b:c@DIGEST", "//a.io/b:c@DIGEST", "a.io/b@DIGEST");
        check("//a.io/b@@unknown-digest@@", "//a.io/b@@unknown-digest@@", "a.io/b");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let error = Name::parse(text).expect_err("it is none");
            assert_eq!(error.kind(), ErrorKind::InvalidLocation);
            assert!(error.to_string().contains(expected), "{error}");
        }
        check("busybox", "docker: image reference busybox does not start with //");
        check("//", "invalid reference format");
        check("//A", "invalid reference format: repository name (library/A) must be lowercase");
        check("//a:b@@unknown-digest@@", "has an unknown digest and also a tag or a digest");
    }
}
