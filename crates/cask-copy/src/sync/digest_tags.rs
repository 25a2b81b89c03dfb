//! Tags that are made of the digest of what they are about.

use cask_transport::{Error, ErrorKind, Location, Result};
use futures_util::TryStreamExt as _;

use crate::PlannedCopy;

/// The name of the place that a location's image is in: what comes before the colon and the name,
/// or the sign and the digest.
pub fn place_of(location: &dyn Location) -> String {
    let mut text = location.to_string();
    let digest = location.reference().and_then(|reference| reference.digest());
    let ends = [
        digest.map(|digest| format!("@{digest}")),
        location.name().map(|name| format!(":{name}")),
        Some(":".to_owned()),
    ];
    for end in ends.into_iter().flatten() {
        if let Some(place) = text.strip_suffix(&end) {
            text.truncate(place.len());
        }
    }
    text
}

/// Lists the tags beside an image that begin with the digest of one of its manifests, as
/// `sha256-…`: by them signatures and attestations are found where there are no referrers.
///
/// Source: regclient, `image copy --digest-tags`; cosign, "Signature specification".
///
/// # Errors
/// `Unsupported` if the place holds no tags, or if there are such tags and the copy changes a
/// digest, so that they would be about nothing; as for listing.
pub async fn digest_tags(from: &dyn Location, planned: &PlannedCopy) -> Result<Vec<String>> {
    let fail = |detail| Error::new(ErrorKind::Unsupported, "", from).with_detail(detail);
    if !from.capabilities().collection.list {
        return Err(fail("there are no tags beside an image"));
    }
    let manifests = planned.plan().manifests.iter();
    let prefixes: Vec<String> =
        manifests.map(|step| step.source.digest.as_str().replacen(':', "-", 1)).collect();
    let is_about = |name: &String| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let collection = from.collection().await?;
    let mut entries = collection.entries();
    let mut tags = Vec::new();
    while let Some(entry) = entries.try_next().await? {
        tags.extend(entry.names.into_iter().filter(is_about));
    }
    if !tags.is_empty() && !planned.plan().keeps_digests() {
        return Err(fail("tags are about digests that change on the way")
            .with_hint("without --digest-tags the image is copied alone"));
    }
    Ok(tags)
}
