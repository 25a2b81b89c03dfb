//! How much is read, and written, at most.

/// The most bytes of one signature: 4 MiB, as in containers/image.
pub(crate) const MAX_SIGNATURE_BYTES: u64 = 4 << 20;

/// The most signatures of one manifest: 128, as of a lookaside in containers/image.
pub(crate) const MAX_SIGNATURES: usize = 128;

/// The most bytes of all signatures of one manifest together: 16 MiB. They are held in memory.
pub(crate) const MAX_SIGNATURES_BYTES: u64 = 16 << 20;
