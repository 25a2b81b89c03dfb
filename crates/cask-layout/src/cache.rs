//! What is remembered of manifests.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cask_image::{Digest, MediaType};

use crate::graph::Links;

/// The most bytes of memory that remembered manifests take, about: 64 MiB.
const MAX_BYTES: usize = 64 << 20;

/// How many bytes of memory a manifest takes for each byte that it has on the disk, about.
const BYTES_PER_BYTE: usize = 4;

/// How many it takes at least, about.
const MIN_BYTES: usize = 1024;

/// What manifests say of others, kept in memory for programs that ask often, such as servers.
///
/// Given to several layouts by [`LayoutOptions::manifest_cache`](crate::LayoutOptions), it serves
/// all of them: a digest says what the content is. So what is remembered is never out of date.
/// Whether a layout holds a manifest is looked up each time; that its bytes are still right, after
/// they were once, is not checked again. About 64 MiB of memory are taken; with more, everything is
/// forgotten and read again.
#[derive(Clone, Default)]
pub struct ManifestCache(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// The same digest under another type can say other things.
    links: HashMap<(Digest, MediaType), Arc<Links>>,
    bytes: usize,
}

impl ManifestCache {
    pub(crate) fn find(&self, digest: &Digest, media_type: &MediaType) -> Option<Arc<Links>> {
        self.known().links.get(&(digest.clone(), media_type.clone())).cloned()
    }

    /// Remembers a manifest of a size that was checked.
    pub(crate) fn keep(
        &self,
        digest: &Digest,
        media_type: &MediaType,
        size: usize,
        links: &Arc<Links>,
    ) {
        let bytes = size.saturating_mul(BYTES_PER_BYTE).max(MIN_BYTES);
        let mut known = self.known();
        if known.bytes.saturating_add(bytes) > MAX_BYTES {
            *known = Known::default();
        }
        known.bytes += bytes;
        known.links.insert((digest.clone(), media_type.clone()), Arc::clone(links));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same memory, not the same content.
impl PartialEq for ManifestCache {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ManifestCache {}

impl fmt::Debug for ManifestCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManifestCache({} manifests)", self.known().links.len())
    }
}

#[cfg(test)]
mod tests {
    use cask_image::{Algorithm, Hasher};

    use super::*;

    #[test]
    fn memory_is_bounded() {
        let cache = ManifestCache::default();
        let links = Arc::default();
        for number in 0_u32..40 {
            let digest = Hasher::digest(Algorithm::Sha256, &number.to_be_bytes());
            cache.keep(&digest, &MediaType::OciManifest, 4 << 20, &links);
            assert!(cache.find(&digest, &MediaType::OciManifest).is_some());
            assert!(cache.find(&digest, &MediaType::OciIndex).is_none());
            assert!(cache.known().links.len() <= 4 && cache.known().bytes <= MAX_BYTES);
        }
    }
}
