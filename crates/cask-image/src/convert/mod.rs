//! Manifests in the other format.

mod conversion;
mod error;
mod image;
mod index;
mod layers;
mod schema1;
#[cfg(test)]
mod tests;
mod v1;

pub use conversion::{Conversion, Loss, LossKind};
pub use error::{ConversionError, ConversionErrorKind};
pub use layers::{CompressionChange, EncryptionChange, LayerChange};
pub use schema1::Schema1Blob;
