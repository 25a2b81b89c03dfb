//! Asking the signature policy, before anything of an image is interpreted.

use cask_transport::{Error, ErrorKind, Location, Result};
use cask_trust::{Policy, Scope, UnparsedImage};

/// Fails unless the policy lets the image pass.
///
/// # Errors
/// `PolicyRejected`, with every requirement that does not hold.
pub fn check_policy(policy: &Policy, from: &dyn Location, require_signed: bool) -> Result<()> {
    let identity = from.policy_identity()?;
    let scope = Scope::new(from.scheme(), identity.identity, identity.namespaces);
    let name = from.to_string();
    let image = UnparsedImage::new(&name);
    let decision = if require_signed {
        policy.check_signed(&scope, &image)
    } else {
        policy.check(&scope, &image)
    };
    decision.map_err(|error| {
        Error::new(ErrorKind::PolicyRejected, "", "").with_detail(error.to_string())
    })
}
