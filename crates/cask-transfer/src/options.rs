//! How much is kept.

use std::time::Duration;

/// How much is kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferOptions {
    /// The most bytes that all parts of blobs may have together. Default: 8 GiB.
    pub partial_bytes: u64,
    /// The age at which a part or an upload that nobody touched is removed. Default: 7 days.
    pub age: Duration,
}

impl Default for TransferOptions {
    fn default() -> Self {
        Self { partial_bytes: 8 << 30, age: Duration::from_secs(7 * 24 * 60 * 60) }
    }
}
