//! How much a compressed layer may cost.

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What decompressing may cost before it is stopped.
///
/// A few hundred bytes can unpack to gigabytes. The defaults are beyond every layer that is
/// honest; who knows the size of what should come out, or of the disk it goes to, sets
/// [`max_output_bytes`](Self::max_output_bytes) to that. Passing a limit is an error of kind
/// [`LimitExceeded`](crate::ErrorKind::LimitExceeded).
///
/// ```
/// use cask_layer::DecompressLimits;
///
/// let mut limits = DecompressLimits::default();
/// limits.max_output_bytes = 10 << 30;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecompressLimits {
    /// The most bytes that may come out; this many are still fine. Holds for
    /// [`Compression::None`](crate::Compression::None) too.
    ///
    /// Default: 1 TiB.
    pub max_output_bytes: u64,
    /// The most bytes that may come out for each compressed byte, over everything read so far,
    /// once more than [`ratio_floor_bytes`](Self::ratio_floor_bytes) have come out.
    ///
    /// Default: 1500. gzip cannot exceed 1032, so this concerns zstd (up to 32,768), xz (about
    /// 7,000) and bzip2 (above 1,000,000).
    pub max_ratio: u64,
    /// Output up to this many bytes is not held against
    /// [`max_ratio`](Self::max_ratio): a layer may hold a large file of zeros.
    ///
    /// Default: 4 GiB.
    pub ratio_floor_bytes: u64,
    /// The most memory, in bytes, that a stream may ask its decoder to hold: the window of a zstd
    /// frame (rounded down to a power of two, at least 1 KiB), and what liblzma accounts for an
    /// xz stream, its dictionary above all. gzip needs 32 KiB and bzip2 4 MiB, whatever a stream
    /// says; they are not checked.
    ///
    /// Default: 128 MiB, which reads what `zstd --ultra -22` and `xz -9` write.
    pub max_memory_bytes: u64,
}

impl Default for DecompressLimits {
    fn default() -> Self {
        Self {
            max_output_bytes: 1024 * GIB,
            max_ratio: 1500,
            ratio_floor_bytes: 4 * GIB,
            max_memory_bytes: 128 * MIB,
        }
    }
}
