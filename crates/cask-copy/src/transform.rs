//! Blobs on their way: as they are, or compressed, or decompressed.

mod body;
mod compressing;
mod errors;
mod progress;

use std::collections::BTreeMap;
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
    Compressed { compression: Compression, form: Form, level: Level, keeps: &'static [Compression] },
}

/// How zstd is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// In one stream.
    #[default]
    Stream,
    /// In pieces that can be read alone, and with a table of them.
    Chunked,
}

/// What is known of compressed bytes once they are made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Described {
    /// What a descriptor says of them.
    pub(crate) annotations: BTreeMap<String, String>,
    /// Why they have no table of contents, where they were to have one.
    pub(crate) unlisted: Option<String>,
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
