//! Descriptors: typed, verifiable links to content.

use std::collections::BTreeMap;

use cask_reference::Digest;

use crate::{MediaType, Platform};

/// What names a piece of content: its type, digest and size, and what is said about it.
///
/// Source: OCI image specification, `descriptor.md`. Docker's descriptors are the same, with
/// fewer fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// What the content is.
    pub media_type: MediaType,
    /// The digest of the content's bytes.
    pub digest: Digest,
    /// How many bytes the content has.
    pub size: u64,
    /// Where the content may be fetched from besides the place that holds the manifest.
    pub urls: Vec<String>,
    /// What is said about the content.
    pub annotations: BTreeMap<String, String>,
    /// The content itself, decoded, where the descriptor carries it.
    pub data: Option<Vec<u8>>,
    /// What the image runs on; entries of an index only.
    pub platform: Option<Platform>,
    /// The type of the artifact that the content is a manifest of.
    pub artifact_type: Option<MediaType>,
}

impl Descriptor {
    /// Makes a descriptor of the three things that every descriptor has.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            data: None,
            platform: None,
            artifact_type: None,
        }
    }
}
