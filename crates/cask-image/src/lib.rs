//! Digests, media types, platforms, manifests, indexes and configs of container images.

mod descriptor;
mod hash;
mod media_type;
mod platform;
mod raw;

pub use cask_reference::{Algorithm, Digest, DigestError, DigestErrorKind};
pub use descriptor::Descriptor;
pub use hash::Hasher;
pub use media_type::{LayerCompression, MediaType};
pub use platform::Platform;
pub use raw::{MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, RawManifest};
