//! What a layout lists.

use cask_image::{Descriptor, Manifest, RawManifest};
use cask_transport::Entry;

/// An image that `index.json` lists, as a collection has it.
pub fn entry(listed: cask_layout::Entry) -> Entry {
    // An image that only containerd has named can be asked for by that name.
    let name = listed.name().or(listed.containerd_name()).map(str::to_owned);
    Entry {
        names: name.into_iter().collect(),
        position: Some(listed.position),
        descriptor: Some(listed.descriptor),
    }
}

/// What an index says of a manifest that refers to another: also what kind of artifact it is.
pub fn describe_referrer(manifest: &RawManifest) -> Descriptor {
    let mut descriptor = manifest.descriptor();
    descriptor.artifact_type = match manifest.parse() {
        Ok(Manifest::Image(image)) => image.artifact_type,
        Ok(Manifest::Index(index)) => index.artifact_type,
        _ => None,
    };
    descriptor
}
