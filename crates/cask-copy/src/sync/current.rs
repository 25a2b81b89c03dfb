//! Whether an image is there already, found out with a question or two.

use cask_image::{Descriptor, Digest};
use cask_transport::{Location, ManifestRole, Result, Selector, VerifiedSource};

use super::SyncPair;
use crate::graph::{Content, Graph, choose_image};
use crate::{CopyOptions, Instances, LayersWanted, check_policy};

/// What is known of an image before its copy is planned.
pub(super) struct Glance {
    /// The digest of its top manifest, or of the one image that is chosen.
    pub(super) digest: Digest,
    /// The destination has the very same under its name. `false` does not say that it has not:
    /// only that planning has to find out.
    pub(super) is_there: bool,
}

/// Asks both sides for the image's digest, after the policy was asked for the image.
pub(super) async fn glance(pair: &SyncPair, options: &CopyOptions) -> Result<Glance> {
    let SyncPair { from, to, .. } = pair;
    check_policy(&options.policy, &**from, options.require_signed)?;
    let source = from.source().await?;
    let top = source.look_up().await?;
    let unknown = |digest| Ok(Glance { digest, is_there: false });
    let may_be_signed = may_be_signed(&**from, options) && source.may_be_signed().await?;
    if !keeps_everything(options) || may_be_signed {
        return unknown(top.digest);
    }
    let wanted = match &options.instances {
        _ if !top.media_type.is_index() => top,
        Instances::All => top,
        Instances::One(platform) => {
            choose_image(&source, &source.manifest(&top).await?, platform).await?
        }
        _ => return unknown(top.digest),
    };
    let named = to.reference().and_then(|reference| reference.digest());
    if named.is_some_and(|named| *named != wanted.digest) {
        return unknown(wanted.digest);
    }
    let capabilities = to.capabilities();
    let is_there = if capabilities.visible_with_top {
        let transaction = to.begin(&options.write).await?;
        transaction.holds(&wanted, &ManifestRole::Top).await?
    } else {
        capabilities.read && capabilities.keeps_manifests && holds_all(&**to, &wanted).await
    };
    Ok(Glance { digest: wanted.digest, is_there })
}

/// Whether nothing is asked for that would make another image of it.
fn keeps_everything(options: &CopyOptions) -> bool {
    options.format.is_none()
        && matches!(options.layers.wanted, LayersWanted::AsDestinationWants | LayersWanted::Keep)
        && !options.attached.referrers
        && options.write.additional_names.is_empty()
}

fn may_be_signed(from: &dyn Location, options: &CopyOptions) -> bool {
    from.capabilities().signatures && !options.attached.remove_signatures
}

/// Whether a place on this machine has an image under its name, with all its parts. Whatever
/// cannot be read is not there.
async fn holds_all(to: &dyn Location, wanted: &Descriptor) -> bool {
    let Ok(source) = to.source().await else { return false };
    match source.resolve(&Selector::Chosen).await {
        Ok(top) if top.digest == wanted.digest => {}
        _ => return false,
    }
    let graph = Graph::read(&source, &Selector::Chosen, &Instances::All, false).await;
    let Ok(graph) = graph else { return false };
    for node in graph.nodes() {
        let Content::Image(image) = &node.content else { continue };
        for blob in std::iter::once(&image.config).chain(&image.layers) {
            if !is_there(&source, blob).await {
                return false;
            }
        }
    }
    true
}

async fn is_there(source: &VerifiedSource, blob: &Descriptor) -> bool {
    !blob.urls.is_empty() || source.blob(blob).await.is_ok()
}
