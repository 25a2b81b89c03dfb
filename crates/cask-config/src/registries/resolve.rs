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
    /// Something is changed: pushed, tagged, untagged, deleted. Only the registry itself will do,
    /// or what `push-to` puts in its place.
    Write,
}

/// The places where an image may be, in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    endpoints: Vec<Endpoint>,
    blocked: Vec<BlockedPlace>,
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

/// A place that must not be asked, kept for the report of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
struct BlockedPlace {
    /// How many endpoints come before it.
    endpoints_before: usize,
    reference: Reference,
    reason: String,
}

impl RegistriesConf {
    /// Says where an image is to be read from or written to.
    ///
    /// For a name that no registry of the configuration covers that is the name itself. A
    /// reference without tag and digest counts as one with a tag, and stays without.
    ///
    /// A registry that is blocked is left out, but not its mirrors: that is how a cluster is told
    /// never to contact the source. What a mirror or a location leads to may be blocked as well.
    ///
    /// Source: containers/image, `FindRegistry` and `PullSourcesFromReference`, which it uses for
    /// reading single images only, and with the name alone to find the registry: here a prefix may
    /// have a tag or a digest, as containers-registries.conf(5) says.
    ///
    /// # Errors
    /// [`ErrorKind::Blocked`], with the words `registry PREFIX is blocked in FILE`, if that leaves
    /// no place, and with `denied by policy` for a host that the [sources](RegistrySources) do not allow; [`ErrorKind::Rewrite`] if the location of the registry or of one of its mirrors
    /// makes no reference of this one.
    pub fn resolve(&self, reference: &Reference, access: Access) -> Result<Resolution, Error> {
        self.sources.check(reference)?;
        let insecure = self.sources.is_insecure(reference.domain());
        let mut resolution =
            Resolution { endpoints: Vec::new(), blocked: Vec::new(), prefix: None };
        let Some(registry) = self.find(&reference.to_string()) else {
            let endpoint = Endpoint::new(reference.clone(), insecure, false, reference);
            resolution.endpoints.push(endpoint);
            return Ok(resolution);
        };
        resolution.prefix = Some(registry.prefix.clone());
        let rule = registry.mirror_by_digest_only.then_some(PullFromMirror::DigestOnly);
        for mirror in registry.mirrors.iter().filter(|_| access == Access::Read) {
            if rule.unwrap_or(mirror.pull_from_mirror).allows(reference) {
                let there = registry.rewrite(reference, &mirror.location)?;
                let endpoint = Endpoint::new(there, mirror.insecure, true, reference);
                self.add(&mut resolution, endpoint, None);
            }
        }
        let location = match access {
            Access::Write if !registry.push_to.is_empty() => &registry.push_to,
            _ => &registry.location,
        };
        let there = registry.rewrite(reference, location)?;
        let endpoint = Endpoint::new(there, registry.insecure || insecure, false, reference);
        self.add(&mut resolution, endpoint, Some(registry));
        match resolution.endpoints.is_empty() {
            true => Err(Error::new(ErrorKind::Blocked, resolution.failure::<&str>(&[]))),
            false => Ok(resolution),
        }
    }

    /// Checks that a host, a namespace, a repository or a reference is not blocked: for verbs that
    /// name no image, such as a login.
    ///
    /// # Errors
    /// [`ErrorKind::Blocked`], with the words `registry PREFIX is blocked in FILE`.
    pub fn check_not_blocked(&self, name: &str) -> Result<(), Error> {
        let blocked = self.find(name).filter(|registry| registry.blocked);
        blocked.map_or(Ok(()), |by| Err(Error::new(ErrorKind::Blocked, reason(by))))
    }

    /// Whether a host, with its port if it has one, may be spoken to without verified TLS: the
    /// configuration sends images there, and says so for all of them.
    ///
    /// For connections that serve more than one image; [`Endpoint::is_insecure`] is of one.
    pub fn is_insecure_host(&self, host: &str) -> bool {
        if self.sources.is_insecure(host) {
            return true;
        }
        let mut said = self.registries.values().flat_map(|registry| {
            let own = match registry.location.as_str() {
                "" => registry.covers(host).map(|_| registry.insecure),
                location => is_at(location, host).then_some(registry.insecure),
            };
            let pushed = is_at(&registry.push_to, host).then_some(registry.insecure);
            let mirrors = registry.mirrors.iter().filter(|mirror| is_at(&mirror.location, host));
            own.into_iter().chain(pushed).chain(mirrors.map(|mirror| mirror.insecure))
        });
        said.next().is_some_and(|first| first && said.all(|insecure| insecure))
    }

    /// Adds a place, unless it is blocked: by the registry that it stands for, or by one that
    /// covers its own name.
    fn add(&self, to: &mut Resolution, endpoint: Endpoint, of: Option<&Registry>) {
        let mut registries = of.into_iter().chain(self.find(&endpoint.reference.to_string()));
        let Some(by) = registries.find(|registry| registry.blocked) else {
            return to.endpoints.push(endpoint);
        };
        let endpoints_before = to.endpoints.len();
        let (reference, reason) = (endpoint.reference, reason(by));
        to.blocked.push(BlockedPlace { endpoints_before, reference, reason });
    }
}

/// Whether a location is at a host. One without path and port is at all ports of its host, as its
/// place may be taken by a prefix after which a port comes.
fn is_at(location: &str, host: &str) -> bool {
    let there = location.split('/').next().unwrap_or_default();
    let Some((start, rest)) = host.split_at_checked(there.len()) else { return false };
    let is_open = there.len() == location.len();
    start.eq_ignore_ascii_case(there) && (rest.is_empty() || is_open && rest.starts_with(':'))
}

fn reason(by: &Registry) -> String {
    let Registry { prefix, file, line, .. } = by;
    // Both come from files, and a terminal could obey them.
    match [prefix, file].iter().any(|text| text.contains(char::is_control)) {
        true => {
            let [prefix, file] = [prefix, file].map(|text| quoted_as_go(text));
            format!("registry {prefix} is blocked in {file} (line {line})")
        }
        false => format!("registry {prefix} is blocked in {file} (line {line})"),
    }
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
    /// The places that may be asked, the registry itself last. There is at least one.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The registry itself, which is the only place for [`Access::Write`]; `None` if it is blocked
    /// and has mirrors that are not.
    pub fn primary(&self) -> Option<&Endpoint> {
        self.endpoints.last().filter(|endpoint| !endpoint.is_mirror)
    }

    /// The prefix of the configuration that decided this, if one did.
    pub fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }

    /// Says in one line why all places failed, given the reason of each [endpoint](Self::endpoints)
    /// in their order: the reason alone where there is but one place. Blocked places are added.
    ///
    /// Source: containers/image, `(Mirrors also failed: [REFERENCE: REASON] …): REFERENCE:
    /// REASON`, which puts each mirror on a line of its own.
    pub fn failure<R: fmt::Display>(&self, reasons: &[R]) -> String {
        let mut blocked = self.blocked.iter().peekable();
        let mut tried: Vec<(&Reference, String)> = Vec::new();
        for index in 0..=self.endpoints.len() {
            while let Some(place) = blocked.next_if(|place| place.endpoints_before == index) {
                tried.push((&place.reference, place.reason.clone()));
            }
            if let (Some(place), Some(why)) = (self.endpoints.get(index), reasons.get(index)) {
                tried.push((&place.reference, why.to_string()));
            }
        }
        let Some((last, reason)) = tried.pop() else { return String::new() };
        if tried.is_empty() {
            return reason;
        }
        let others: Vec<_> = tried.iter().map(|(place, why)| format!("[{place}: {why}]")).collect();
        format!("(Mirrors also failed: {}): {last}: {reason}", others.join(" "))
    }
}

impl Endpoint {
    fn new(reference: Reference, insecure: bool, is_mirror: bool, original: &Reference) -> Self {
        let is_original_host = reference.domain().eq_ignore_ascii_case(original.domain());
        Self { reference, insecure, is_mirror, is_original_host }
    }

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
