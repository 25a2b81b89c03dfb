//! Whether an image may be used.

use std::fmt;

use cask_json::quoted_as_go;

use crate::policy::{Applicable, Policy, Scope};
use crate::requirement::Requirement;

/// An image of which nothing is known but where it is.
///
/// The policy is asked before anything of an image is interpreted.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct UnparsedImage<'i> {
    /// The image's name as the user knows it: `docker://example.com/app:1`. For messages only.
    pub name: &'i str,
}

impl<'i> UnparsedImage<'i> {
    /// Makes an image of its name.
    pub const fn new(name: &'i str) -> Self {
        Self { name }
    }
}

impl Policy {
    /// Decides whether an image may be used: all requirements that apply to it must hold.
    ///
    /// # Errors
    /// `Rejected` if the policy says no, whatever the image is; `Unverifiable` if it asks for
    /// something that this version cannot verify. Both list every requirement that does not hold.
    ///
    /// Source: containers/image, `IsRunningImageAllowed`.
    pub fn check(&self, scope: &Scope<'_>, image: &UnparsedImage<'_>) -> Result<(), Error> {
        let applicable = self.requirements_for(scope);
        let failures: Vec<_> = applicable
            .requirements()
            .iter()
            .enumerate()
            .filter_map(|(index, requirement)| failure(requirement, index + 1, &applicable))
            .collect();
        if failures.is_empty() {
            return Ok(());
        }
        let rejected = failures.iter().any(|failure| failure.reason == Reason::Rejects);
        let kind = if rejected { ErrorKind::Rejected } else { ErrorKind::Unverifiable };
        Err(Error::new(kind, image, failures))
    }

    /// Decides as [`check`](Self::check) does, and asks for a signature besides: what
    /// `--require-signed` wants.
    ///
    /// # Errors
    /// As [`check`](Self::check); `SignatureRequired` if the requirements hold without any of them
    /// verifying a signature.
    ///
    /// Source: containers/image, `RequireSignatureVerification`.
    pub fn check_signed(&self, scope: &Scope<'_>, image: &UnparsedImage<'_>) -> Result<(), Error> {
        self.check(scope, image)?;
        if self.accepts_unsigned(scope) {
            return Err(Error::new(ErrorKind::SignatureRequired, image, Vec::new()));
        }
        Ok(())
    }

    /// Tells whether an image that nobody signed could be accepted.
    pub fn accepts_unsigned(&self, scope: &Scope<'_>) -> bool {
        let requirements = self.requirements_for(scope).requirements();
        requirements.iter().all(|requirement| *requirement == Requirement::InsecureAcceptAnything)
    }
}

fn failure(requirement: &Requirement, number: usize, at: &Applicable<'_>) -> Option<Failure> {
    let reason = match requirement {
        Requirement::InsecureAcceptAnything => return None,
        Requirement::Reject => Reason::Rejects,
        Requirement::SignedBy(_)
        | Requirement::SignedBaseLayer(_)
        | Requirement::SigstoreSigned(_) => Reason::Unverifiable,
    };
    let mut place = at.to_string();
    if let Some(line) = at.line() {
        place.push_str(&format!(" in {}, line {line}", quoted_as_go(at.file())));
    }
    Some(Failure { number, requirement: requirement.type_name(), place, reason })
}

/// An image that may not be used.
///
/// Prints as containers/image does where it has the words:
/// `Source image rejected: Running image dir:a is rejected by policy.`
#[derive(Clone, Debug)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    image: String,
    failures: Vec<Failure>,
}

/// Why an image may not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The policy rejects it. No signature would help.
    Rejected,
    /// The policy asks for a signature of a kind that this version cannot verify.
    Unverifiable,
    /// The policy accepts it, but without asking for a signature, and a signature was wanted.
    SignatureRequired,
}

/// A requirement that does not hold for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    number: usize,
    requirement: &'static str,
    place: String,
    reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Rejects,
    Unverifiable,
}

impl Error {
    fn new(kind: ErrorKind, image: &UnparsedImage<'_>, failures: Vec<Failure>) -> Self {
        Self(Box::new(Inner { kind, image: image.name.into(), failures }))
    }

    /// Why.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The name of the image, as it was given to the check.
    pub fn image(&self) -> &str {
        &self.0.image
    }

    /// Every requirement that does not hold, in the order of the policy. Empty only for
    /// `SignatureRequired`.
    pub fn failures(&self) -> &[Failure] {
        &self.0.failures
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, image, failures } = &*self.0;
        f.write_str("Source image rejected: ")?;
        if *kind == ErrorKind::SignatureRequired {
            return write!(f, "No signature verification policy found for image {image}");
        }
        let rejected = failures.iter().any(|failure| failure.reason == Reason::Rejects);
        if rejected {
            write!(f, "Running image {image} is rejected by policy.")?;
        }
        let others = failures.iter().filter(|failure| failure.reason != Reason::Rejects);
        for (index, failure) in others.enumerate() {
            let separator = if rejected || index > 0 { "; " } else { "" };
            write!(f, "{separator}{failure}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl Failure {
    /// The requirement's place in its list, from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The requirement's `type`.
    pub fn requirement(&self) -> &'static str {
        self.requirement
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, requirement, place, reason } = self;
        match reason {
            Reason::Rejects => write!(f, "{requirement}")?,
            Reason::Unverifiable => write!(
                f,
                "{requirement} not implemented yet: this version cannot verify the signature it \
                 asks for"
            )?,
        }
        write!(f, " (requirement {number} of {place})")
    }
}
