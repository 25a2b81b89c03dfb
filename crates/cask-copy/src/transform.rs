//! Blobs on their way: as they are, or compressed, or decompressed.

mod body;
mod compressing;
mod errors;
mod progress;

use std::num::NonZeroUsize;

use cask_image::LayerCompression;
use cask_layer::{Compression, Level};

pub(crate) use body::{BytesBody, LayerBody, PlainBody, diff_id_mismatch};
pub(crate) use progress::Progress;

/// What happens to a layer's bytes. The content decides what has to be done, not its media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// Plain.
    Plain,
    /// Compressed to this; what is compressed to one of `keeps` stays as it is.
    Compressed { compression: Compression, level: Level, keeps: &'static [Compression] },
}

/// What media types call a compression that is written.
pub(crate) fn layer_compression(compression: Compression) -> LayerCompression {
    match compression {
        Compression::Gzip => LayerCompression::Gzip,
        Compression::Zstd => LayerCompression::Zstd,
        // The others are read only, and no target.
        Compression::None | Compression::Xz | Compression::Bzip2 => LayerCompression::None,
    }
}

/// How many threads may work at once.
pub(crate) fn threads() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}
