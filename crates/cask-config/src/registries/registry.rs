//! One registry of the configuration, and its mirrors.

use std::borrow::Cow;

use cask_reference::Reference;

use crate::{Error, ErrorKind};

/// What the configuration says of all images whose names begin with a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    pub(crate) prefix: String,
    pub(crate) location: String,
    pub(crate) push_to: String,
    pub(crate) insecure: bool,
    pub(crate) blocked: bool,
    pub(crate) mirror_by_digest_only: bool,
    pub(crate) mirrors: Vec<Mirror>,
    pub(crate) file: String,
    pub(crate) line: u32,
}

/// A place that may hold copies of a registry's images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    pub(crate) location: String,
    pub(crate) insecure: bool,
    pub(crate) pull_from_mirror: PullFromMirror,
}

/// Which images a mirror is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PullFromMirror {
    /// All.
    #[default]
    All,
    /// Those that are named by digest: whatever the mirror has, it is the right image.
    DigestOnly,
    /// Those that are named by tag.
    TagOnly,
}

impl Registry {
    /// The beginning of the names that this is about, or `*.example.com` for all subdomains of a
    /// domain. The host is in lower case.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What takes the place of the prefix; empty where names stay as they are.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// What takes the place of the prefix where something is changed; empty where that is the
    /// [location](Self::location), too.
    pub fn push_to(&self) -> &str {
        &self.push_to
    }

    /// Whether the registry may be spoken to without verified TLS, or without TLS.
    pub fn is_insecure(&self) -> bool {
        self.insecure
    }

    /// Whether the registry must not be used.
    pub fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Whether the mirrors are asked only for images that are named by digest.
    pub fn is_mirrored_by_digest_only(&self) -> bool {
        self.mirror_by_digest_only
    }

    /// The mirrors, in the order in which they are tried.
    pub fn mirrors(&self) -> &[Mirror] {
        &self.mirrors
    }

    /// The file that has this, as it was named to the parser.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line of the file, from 1.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// How many bytes of a name the prefix covers; `None` if it does not begin the name.
    ///
    /// A name is a host, a namespace, a repository or a reference, and begins with a host. After
    /// the covered part comes `/`, `:`, `@` or the end; thus `example.com` covers `example.com:5000`
    /// too. `*.example.com` covers the whole host of `a.b.example.com/c`, and not `example.com`.
    /// Hosts are compared without regard to case.
    ///
    /// Source: containers/image, `refMatchingPrefix`; that the port does not end the match is
    /// called unintended there. Unlike it, a wildcard is compared with the end of the host, not
    /// with the first place where its text occurs.
    pub fn covers(&self, name: &str) -> Option<usize> {
        let length = match self.prefix.strip_prefix('*') {
            Some(domain) if domain.starts_with('.') => {
                let host_end = name.find(['/', ':', '@']).unwrap_or(name.len());
                let host = &name.as_bytes()[..host_end];
                let (before, end) = host.split_at_checked(host.len().checked_sub(domain.len())?)?;
                let matches = !before.is_empty() && end.eq_ignore_ascii_case(domain.as_bytes());
                matches.then_some(host_end)?
            }
            _ => covers_literally(name.as_bytes(), self.prefix.as_bytes())?,
        };
        matches!(name.as_bytes().get(length), None | Some(b'/' | b':' | b'@')).then_some(length)
    }

    /// Which of two registries that cover one name is meant.
    pub(crate) fn precedence(&self) -> (usize, bool) {
        (self.prefix.len(), !self.prefix.starts_with("*."))
    }

    /// Puts a location in the place of the prefix of a reference.
    pub(crate) fn rewrite(&self, reference: &Reference, to: &str) -> Result<Reference, Error> {
        if to.is_empty() {
            return Ok(reference.clone());
        }
        let text = reference.to_string();
        let covered = self.covers(&text).unwrap_or(0);
        let rewritten = format!("{to}{}", &text[covered..]);
        let fail = |why: String| {
            let message = format!(
                "rewriting reference: {} becomes {}, {why}; correct the location or the prefix {} \
                 in {} (line {})",
                cask_json::quoted_as_go(&text),
                cask_json::quoted_as_go(&rewritten),
                cask_json::quoted_as_go(&self.prefix),
                cask_json::quoted_as_go(&self.file),
                self.line,
            );
            Error::new(ErrorKind::Rewrite, message)
        };
        let parsed = Reference::parse_normalized(&rewritten).map_err(|e| fail(e.to_string()))?;
        // What normalising would add was not written: `example.com` alone is no registry then,
        // but an image of Docker Hub.
        if parsed.to_string() == rewritten {
            return Ok(parsed);
        }
        Err(fail("repository name must be canonical".into()))
    }
}

impl Mirror {
    /// What takes the place of the registry's prefix.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Whether the mirror may be spoken to without verified TLS, or without TLS.
    pub fn is_insecure(&self) -> bool {
        self.insecure
    }

    /// Which images the mirror is asked for, if the registry leaves it to the mirror.
    pub fn pull_from_mirror(&self) -> PullFromMirror {
        self.pull_from_mirror
    }
}

/// Compares hosts without regard to case, and what follows them exactly.
fn covers_literally(name: &[u8], prefix: &[u8]) -> Option<usize> {
    let start = name.get(..prefix.len())?;
    let host_end = start.iter().position(|&b| b == b'/').unwrap_or(start.len());
    let same_host = start[..host_end].eq_ignore_ascii_case(&prefix[..host_end]);
    (same_host && start[host_end..] == prefix[host_end..]).then_some(prefix.len())
}

/// The prefix with its host in lower case.
pub(crate) fn fold_host(prefix: &str) -> Cow<'_, str> {
    let host_end = prefix.find('/').unwrap_or(prefix.len());
    if !prefix.as_bytes()[..host_end].iter().any(u8::is_ascii_uppercase) {
        return prefix.into();
    }
    let (host, rest) = prefix.split_at(host_end);
    format!("{}{rest}", host.to_ascii_lowercase()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(prefix: &str) -> Registry {
        Registry {
            prefix: fold_host(prefix).into_owned(),
            location: "elsewhere.example".into(),
            push_to: String::new(),
            insecure: false,
            blocked: false,
            mirror_by_digest_only: false,
            mirrors: Vec::new(),
            file: "f".into(),
            line: 1,
        }
    }

    #[test]
    fn a_prefix_covers_whole_components() {
        #[track_caller]
        fn check(prefix: &str, name: &str, expected: Option<usize>) {
            assert_eq!(registry(prefix).covers(name), expected, "{prefix} of {name}");
        }
        check("a.b", "a.b/c", Some(3));
        check("a.b", "a.bc/c", None);
        check("a.b", "a.b:5000/c", Some(3));
        check("a.b:5000", "a.b:50000/c", None);
        check("[::1]:5000", "[::1]:5000/c", Some(10));
        check("a.b/c", "a.b/c@sha256:0", Some(5));
        // Hosts have no case, tags have.
        check("A.b", "a.B/c", Some(3));
        check("a.b/c:T", "A.b/c:T", Some(7));
        check("a.b/c:T", "a.b/c:t", None);
        // A wildcard takes subdomains only, and wherever its text occurs for the first time.
        check("*.b.c", "b.c/d", None);
        check("*.b.c", ".b.c/d", None);
        check("*.b.c", "a.b.c/d", Some(5));
        check("*.b.c", "a.B.C:1/d", Some(5));
        check("*.b.c", "a.b.cd.b.c/d", Some(10));
        check("*.b.c", "a.b.cd/x.b.c", None);
        check("*.b.c", "é.b.c/d", Some(6));
        check("*", "a.b/c", None);
    }

    #[test]
    fn a_location_takes_the_place_of_the_prefix() {
        #[track_caller]
        fn check(prefix: &str, to: &str, name: &str, expected: Result<&str, &str>) {
            let reference = name.parse().unwrap();
            match (registry(prefix).rewrite(&reference, to), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.to_string(), expected),
                (Err(error), Err(expected)) => assert_eq!(error.to_string(), expected),
                (found, expected) => panic!("{found:?} is not {expected:?}"),
            }
        }
        check("a.b", "[::1]:5000", "a.b/c:1", Ok("[::1]:5000/c:1"));
        check("A.b/c", "x.y", "a.b/c/d:1", Ok("x.y/d:1"));
        // The parser lets no slash at an end come here.
        check(
            "example.com/foo",
            "example.com/path/",
            "example.com/foo/image:latest",
            Err("rewriting reference: \"example.com/foo/image:latest\" becomes \
                 \"example.com/path//image:latest\", invalid reference format; correct the \
                 location or the prefix \"example.com/foo\" in \"f\" (line 1)"),
        );
        check(
            "a.b",
            "docker.io",
            "a.b/c:1",
            Err(
                "rewriting reference: \"a.b/c:1\" becomes \"docker.io/c:1\", repository name must \
                 be canonical; correct the location or the prefix \"a.b\" in \"f\" (line 1)",
            ),
        );
        check(
            "a.b",
            "x.y:",
            "a.b/c:1",
            Err(
                "rewriting reference: \"a.b/c:1\" becomes \"x.y:/c:1\", invalid reference format; \
                 correct the location or the prefix \"a.b\" in \"f\" (line 1)",
            ),
        );
    }
}
