//! What the store was asked.

use cask_image::{Digest, MediaType};
use cask_transport::ManifestRole;

/// A call of one of the seam's methods, in the order in which they came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// A location was opened for reading.
    Open,
    /// A selector was resolved.
    Resolve,
    /// A manifest was read.
    Manifest(Digest),
    /// A blob was opened.
    Blob {
        /// Its digest.
        digest: Digest,
        /// How many of its first bytes were left out.
        offset: u64,
    },
    /// The size of a blob was asked for.
    BlobSize(Digest),
    /// The signatures of a manifest were read.
    Signatures(Digest),
    /// The referrers of a manifest were listed.
    Referrers(Digest),
    /// A transaction began.
    Begin,
    /// It was asked whether a manifest is there.
    Holds(Digest),
    /// It was asked what is there of so many blobs.
    Have(usize),
    /// A blob began to be written; its digest, where it is known before.
    WriteBlob(Option<Digest>),
    /// A blob was to be mounted.
    Mount(Digest),
    /// A manifest was written, or refused.
    WriteManifest {
        /// Its digest.
        digest: Digest,
        /// Its type.
        media_type: MediaType,
        /// Its part.
        role: ManifestRole,
    },
    /// Signatures of a manifest were written.
    WriteSignatures(Digest),
    /// A transaction was committed.
    Commit,
    /// A transaction was dropped without.
    Drop,
}
