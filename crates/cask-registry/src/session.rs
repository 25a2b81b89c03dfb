//! Upload sessions: where a blob that is on its way has come to.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An upload that has begun. It can be kept, even in a file, and gone on with by another process,
/// for as long as the registry keeps what it has: some hours, usually.
///
/// Whoever has a session may write to it, with some registries without any other credential: keep
/// it like a secret. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadSession {
    pub(crate) location: String,
    pub(crate) received_bytes: u64,
    #[serde(default)]
    pub(crate) least_chunk_bytes: u64,
}

impl UploadSession {
    /// How many bytes the registry is known to have. It may have more.
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes
    }
}

impl fmt::Debug for UploadSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadSession")
            .field("received_bytes", &self.received_bytes)
            .finish_non_exhaustive()
    }
}
