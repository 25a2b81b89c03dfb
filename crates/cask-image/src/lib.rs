#![doc = include_str!("../README.md")]

mod choose;
mod convert;
mod descriptor;
mod error;
mod go_duration;
mod hash;
mod image_config;
mod image_manifest;
mod index;
#[cfg(feature = "oci-spec")]
mod interop;
mod jws;
mod manifest;
mod media_type;
mod platform;
mod raw;
mod rules;
mod schema1;
mod timestamp;
mod validate;

pub use cask_reference::{Algorithm, Digest, DigestError, DigestErrorKind};
pub use choose::{
    NoInstance, PlatformError, PlatformWanted, PreferredCompression, choose_instance,
    choose_instance_preferring,
};
pub use convert::{
    CompressionChange, Conversion, ConversionError, ConversionErrorKind, EncryptionChange,
    LayerChange, Loss, LossKind, Schema1Blob,
};
pub use descriptor::Descriptor;
pub use error::{ManifestError, ManifestErrorKind};
pub use go_duration::go_duration;
pub use hash::Hasher;
pub use image_config::{ExecutionConfig, Healthcheck, HistoryEntry, ImageConfig};
pub use image_manifest::{ImageFormat, ImageManifest};
pub use index::Index;
#[cfg(feature = "oci-spec")]
pub use interop::OciSpecError;
pub use manifest::Manifest;
pub use media_type::{LayerCompression, MediaType};
pub use platform::Platform;
pub use raw::{
    MAX_CONFIG_BYTES, MAX_INDEX_ENTRIES, MAX_JSON_DEPTH, MAX_JSON_VALUES, MAX_LAYERS,
    MAX_MANIFEST_BYTES, RawManifest,
};
pub use schema1::{Schema1, Schema1Layer};
pub use timestamp::{Timestamp, TimestampError};
pub use validate::{
    validate_config, validate_descriptor, validate_index, validate_layout, validate_manifest,
};
