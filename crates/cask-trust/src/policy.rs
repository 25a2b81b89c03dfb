//! A policy, and which of its requirements apply to an image.

use std::collections::BTreeMap;
use std::fmt;

use cask_json::{Position, quoted_as_go};

use crate::error::{Fault, PolicyError, PolicyErrorKind};
use crate::parse::{self, Path};
use crate::requirement::Requirement;

/// The longest policy text that is parsed, in bytes.
///
/// Parsing takes time in proportion to the text, and memory of at most some fifty times its size.
pub const MAX_POLICY_BYTES: usize = 1 << 20;

/// Scopes of transports, each with what it requires.
pub(crate) type Transports = BTreeMap<String, BTreeMap<String, Entry>>;

/// The requirements of one scope.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Not empty.
    pub(crate) requirements: Vec<Requirement>,
    /// Of the scope's key; `None` if the policy has no text.
    pub(crate) position: Option<Position>,
}

/// Which images may be used: a parsed `policy.json`.
///
/// Source: containers-policy.json(5).
#[derive(Clone, Debug)]
pub struct Policy {
    file: String,
    default: Entry,
    transports: Transports,
}

impl Policy {
    /// Parses the text of a `policy.json`. `file` names it in errors, and is not opened.
    ///
    /// Scopes are taken as they are: see [`validate_scopes`](Self::validate_scopes).
    ///
    /// # Errors
    /// Whatever is not exactly as the format wants it: see [`PolicyErrorKind`]. A caller that
    /// reads the text from a file need not read more than [`MAX_POLICY_BYTES`] and one.
    ///
    /// Source: containers/image, `NewPolicyFromBytes`.
    pub fn parse(text: &[u8], file: &str) -> Result<Self, PolicyError> {
        match parse::policy(text) {
            Ok((default, transports)) => Ok(Self { file: file.into(), default, transports }),
            Err(fault) => Err(PolicyError::new(file, fault)),
        }
    }

    /// A policy that accepts every image, whoever made it: what `--insecure-policy` asks for.
    pub fn danger_accept_anything() -> Self {
        Self::only(Requirement::InsecureAcceptAnything)
    }

    /// A policy that rejects every image.
    pub fn reject_everything() -> Self {
        Self::only(Requirement::Reject)
    }

    /// The same policy, which accepts every image of one transport: an engine asks nobody about what its own store
    /// has.
    ///
    /// Source: containers/common, `libimage`, `storageAllowedPolicyScopes`.
    #[must_use]
    pub fn danger_accepting(mut self, transport: &str) -> Self {
        let requirements = vec![Requirement::InsecureAcceptAnything];
        let every = (String::new(), Entry { requirements, position: None });
        self.transports.insert(transport.to_owned(), [every].into_iter().collect());
        self
    }

    fn only(requirement: Requirement) -> Self {
        let default = Entry { requirements: vec![requirement], position: None };
        Self { file: String::new(), default, transports: Transports::new() }
    }

    /// The name of the file, as it was given to [`parse`](Self::parse); empty for a policy that
    /// was not parsed.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Asks about every scope but `""` whether its transport knows such a scope.
    ///
    /// `check` is given the transport's name, also of unknown transports, and the scope; it is
    /// called once for each, in the order of their names.
    ///
    /// # Errors
    /// `InvalidScope` for the first scope that `check` refuses, with its reason.
    ///
    /// Source: containers/image, which refuses such a scope as an unknown key while it parses.
    pub fn validate_scopes<E: fmt::Display>(
        &self,
        mut check: impl FnMut(&str, &str) -> Result<(), E>,
    ) -> Result<(), PolicyError> {
        for (transport, scopes) in &self.transports {
            for (scope, entry) in scopes.iter().filter(|(scope, _)| !scope.is_empty()) {
                if let Err(reason) = check(transport, scope) {
                    let message = format!("Unknown key {}: {reason}", quoted_as_go(scope));
                    let kind = PolicyErrorKind::InvalidScope;
                    let path = Path::Root.key("transports").key(transport).to_string();
                    let fault =
                        Fault { kind, message, path, position: entry.position.unwrap_or_default() };
                    return Err(PolicyError::new(&self.file, fault));
                }
            }
        }
        Ok(())
    }

    /// The requirements that apply to an image: those of its identity, else of the first of its
    /// namespaces that the policy mentions, else of its transport, else the default.
    ///
    /// Source: containers/image, `requirementsForImageRef`.
    pub fn requirements_for<'p>(&'p self, scope: &Scope<'_>) -> Applicable<'p> {
        let found = self.transports.get_key_value(scope.transport).and_then(|(name, scopes)| {
            let candidates = std::iter::once(scope.identity.as_str())
                .chain(scope.namespaces.iter().map(String::as_str))
                .chain([""]);
            let mut entries = candidates.filter_map(|candidate| scopes.get_key_value(candidate));
            entries.next().map(|(scope, entry)| (Some((name.as_str(), scope.as_str())), entry))
        });
        let (place, entry) = found.unwrap_or((None, &self.default));
        Applicable { file: &self.file, place, entry }
    }
}

/// What a policy knows an image by.
///
/// Made by the image's transport, in the form in which policies write it: host and repository
/// fully expanded, paths absolute and without symbolic links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope<'t> {
    transport: &'t str,
    identity: String,
    namespaces: Vec<String>,
}

impl<'t> Scope<'t> {
    /// Makes a scope of the transport's name without colon, the image's identity, and the
    /// namespaces that hold it, the most specific first. A transport that cannot tell its images
    /// apart gives an empty identity and no namespaces.
    pub fn new(
        transport: &'t str,
        identity: impl Into<String>,
        namespaces: impl IntoIterator<Item = String>,
    ) -> Self {
        Self { transport, identity: identity.into(), namespaces: namespaces.into_iter().collect() }
    }

    /// The name of the transport, without colon.
    pub fn transport(&self) -> &'t str {
        self.transport
    }

    /// What names the one image.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// What names groups of images that this one belongs to, the smallest first.
    pub fn namespaces(&self) -> &[String] {
        &self.namespaces
    }
}

/// The part of a policy that applies to an image.
#[derive(Clone, Copy, Debug)]
pub struct Applicable<'p> {
    file: &'p str,
    place: Option<(&'p str, &'p str)>,
    entry: &'p Entry,
}

impl<'p> Applicable<'p> {
    /// What is required, all of it together. Never empty.
    pub fn requirements(&self) -> &'p [Requirement] {
        &self.entry.requirements
    }

    /// The name of the transport whose scope matched; `None` for the policy's default.
    pub fn transport(&self) -> Option<&'p str> {
        self.place.map(|(transport, _)| transport)
    }

    /// The scope that matched, `""` for the transport's default; `None` for the policy's default.
    pub fn scope(&self) -> Option<&'p str> {
        self.place.map(|(_, scope)| scope)
    }

    /// The line of the scope in the policy's text, from 1; `None` if the policy has no text.
    pub fn line(&self) -> Option<u32> {
        self.entry.position.map(|position| position.line)
    }

    pub(crate) fn file(&self) -> &'p str {
        self.file
    }
}

/// `transports.docker["example.com"]`, or `default`.
impl fmt::Display for Applicable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            None => f.write_str("default"),
            Some((transport, scope)) => {
                write!(f, "{}", Path::Root.key("transports").key(transport).key(scope))
            }
        }
    }
}
