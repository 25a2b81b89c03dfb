//! What was selected and hashed, and not copied yet.

use std::io::Write;

use cask_image::Digest;

use super::{Component, CopyRequest, CopyTools, WriteOptions, Written};
use crate::{Error, ErrorKind, Result, View};

/// What a COPY or ADD would bring: selected and hashed, with nothing copied.
#[derive(Debug)]
pub struct Prepared {
    digest: Digest,
    components: Vec<Component>,
}

/// Selects and hashes.
///
/// # Errors
/// Not there yet.
pub fn prepare(request: &CopyRequest, _tools: &CopyTools<'_>) -> Result<Prepared> {
    Err(Error::new(ErrorKind::Invalid, request.verb(), "is being written"))
}

impl Prepared {
    /// The digest of all that decides what the layer is but the stage that it is for: paths, types,
    /// permissions and owners after flags, targets of links, attributes and contents, the flags, the
    /// destination and the working directory. Not times.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Parts of what the digest is made of, sorted, at most `most` of them (files, else directories).
    pub fn components(&self, most: usize) -> Vec<Component> {
        self.components.iter().take(most).cloned().collect()
    }

    /// Whether the stage that it is for decides what the layer is: with `--link` it does not, but for
    /// `--chown` with a name.
    pub fn depends_on_stage(&self) -> bool {
        true
    }

    /// `file`, `dir` or `multi`: what buildah's history says before the digest.
    pub fn kind(&self) -> &'static str {
        "multi"
    }

    /// The newest time of modification of what is copied, in seconds since 1970.
    pub fn newest_seconds(&self) -> Option<i64> {
        None
    }

    /// What a user should hear of: sockets left out.
    pub fn warnings(&self) -> &[String] {
        &[]
    }

    /// Writes the layer as a tar stream; `view` is what the stage has so far.
    ///
    /// # Errors
    /// Not there yet.
    pub fn write<W: Write>(
        &self,
        _view: &View,
        _tools: &CopyTools<'_>,
        _options: &WriteOptions,
        _output: W,
    ) -> Result<Written> {
        Err(Error::new(ErrorKind::Invalid, "COPY", "is being written"))
    }
}
