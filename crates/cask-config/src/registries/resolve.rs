//! From a reference to the places where it may be.

use std::fmt;

use cask_json::quoted_as_go;
use cask_reference::Reference;

use crate::registries::{PullFromMirror, RegistriesConf, Registry};
use crate::{Error, ErrorKind};

/// What is to be done with an image, on which depends where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// It is only read: pulled, inspected, its digest or the tags of its repository asked for.
    /// Mirrors come first.
    Read,
    /// Something is changed: pushed, tagged, untagged, deleted. Only the registry itself will do.
    Write,
}

/// The places where an image may be, in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    endpoints: Vec<Endpoint>,
    prefix: Option<String>,
}

/// A place where an image may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    reference: Reference,
    insecure: bool,
    is_mirror: bool,
    is_original_host: bool,
}

impl RegistriesConf {
    /// Says where an image is to be read from or written to.
    ///
    /// For a name that no registry of the configuration covers that is the name itself. A
    /// reference without tag and digest counts as one with a tag, and stays without.
    ///
    /// Source: containers/image, `FindRegistry` and `PullSourcesFromReference`, which it uses for
    /// reading single images only, and with the name alone to find the registry: here a prefix may
    /// have a tag or a digest, as containers-registries.conf(5) says.
    ///
    /// # Errors
    /// [`ErrorKind::Blocked`], with the words `registry PREFIX is blocked in FILE`;
    /// [`ErrorKind::Rewrite`] if the location of the registry or of one of its mirrors makes no
    /// reference of this one.
    pub fn resolve(&self, reference: &Reference, access: Access) -> Result<Resolution, Error> {
        let Some(registry) = self.find(&reference.to_string()) else {
            let endpoint = Endpoint {
                reference: reference.clone(),
                insecure: false,
                is_mirror: false,
                is_original_host: true,
            };
            return Ok(Resolution { endpoints: vec![endpoint], prefix: None });
        };
        check_blocked(registry)?;
        let endpoint = |location: &str, insecure, is_mirror| {
            let reference_there = registry.rewrite(reference, location)?;
            let is_original_host = reference_there.domain() == reference.domain();
            Ok(Endpoint { reference: reference_there, insecure, is_mirror, is_original_host })
        };
        let mirrors = registry.mirrors.iter();
        let mirrors = mirrors.filter(|mirror| {
            let rule = match registry.mirror_by_digest_only {
                true => PullFromMirror::DigestOnly,
                false => mirror.pull_from_mirror,
            };
            access == Access::Read && rule.allows(reference)
        });
        let mirrors = mirrors.map(|mirror| endpoint(&mirror.location, mirror.insecure, true));
        let primary =
            std::iter::once_with(|| endpoint(&registry.location, registry.insecure, false));
        Ok(Resolution {
            endpoints: mirrors.chain(primary).collect::<Result<_, _>>()?,
            prefix: Some(registry.prefix.clone()),
        })
    }

    /// Checks that a host, a namespace, a repository or a reference is not blocked: for verbs that
    /// name no image, such as a login.
    ///
    /// # Errors
    /// [`ErrorKind::Blocked`], with the words `registry PREFIX is blocked in FILE`.
    pub fn check_not_blocked(&self, name: &str) -> Result<(), Error> {
        self.find(name).map_or(Ok(()), check_blocked)
    }
}

fn check_blocked(registry: &Registry) -> Result<(), Error> {
    if !registry.blocked {
        return Ok(());
    }
    let Registry { prefix, file, line, .. } = registry;
    let message = format!("registry {prefix} is blocked in {file} (line {line})");
    // Both come from files, and a terminal could obey them.
    let message = match message.contains(char::is_control) {
        true => format!(
            "registry {} is blocked in {} (line {line})",
            quoted_as_go(prefix),
            quoted_as_go(file)
        ),
        false => message,
    };
    Err(Error::new(ErrorKind::Blocked, message))
}

impl PullFromMirror {
    fn allows(self, reference: &Reference) -> bool {
        match self {
            Self::All => true,
            Self::DigestOnly => reference.digest().is_some(),
            Self::TagOnly => reference.digest().is_none(),
        }
    }
}

impl Resolution {
    /// The places, the registry itself last. There is at least one.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The registry itself.
    pub fn primary(&self) -> &Endpoint {
        self.endpoints.last().expect("the registry itself is always there")
    }

    /// The prefix of the configuration that decided this, if one did.
    pub fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }

    /// Says in one line why all places failed, given the reason of each in their order: the reason
    /// alone where there is but one place.
    ///
    /// Source: containers/image, `(Mirrors also failed: [REFERENCE: REASON] …): REFERENCE:
    /// REASON`, which puts each mirror on a line of its own.
    pub fn failure<R: fmt::Display>(&self, reasons: &[R]) -> String {
        let mut tried = self.endpoints.iter().zip(reasons).rev();
        let Some((last, reason)) = tried.next() else { return String::new() };
        let others = tried.rev().map(|(place, why)| format!("[{}: {why}]", place.reference));
        let others: Vec<_> = others.collect();
        match others.is_empty() {
            true => reason.to_string(),
            false => {
                let others = others.join(" ");
                format!("(Mirrors also failed: {others}): {}: {reason}", last.reference)
            }
        }
    }
}

impl Endpoint {
    /// What the image is called there.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// Whether the place may be spoken to without verified TLS, or without TLS.
    pub fn is_insecure(&self) -> bool {
        self.insecure
    }

    /// Whether this is a mirror, not the registry itself.
    pub fn is_mirror(&self) -> bool {
        self.is_mirror
    }

    /// Whether the place has the host and port that the user named. Only then may it see
    /// credentials that were given for this one use: they do not say for whom they are.
    pub fn is_original_host(&self) -> bool {
        self.is_original_host
    }
}
