//! What is known before an upload, and what is kept of it.

use std::sync::Arc;

use cask_image::{Descriptor, LayerCompression, MediaType};
use cask_reference::{Digest, Repository as RepositoryName};
use cask_registry::{SessionSink, UploadSession};
use cask_transfer::{Compressed, Hint, KeptUpload, Transfers};
use cask_transport::{Measured, blocking};

use crate::kept::UNREMEMBERED_BYTES;

/// Blobs below this size are sent again from their start: 4 MiB.
const LEAST_BYTES: u64 = 4 << 20;

/// The most repositories that are asked for a blob.
const MOST_PLACES: usize = 3;

/// What hints call the ways to compress.
pub(crate) const COMPRESSIONS: [(LayerCompression, &str); 2] =
    [(LayerCompression::Gzip, "gzip"), (LayerCompression::Zstd, "zstd")];

/// What uploads to one repository leave behind, and find.
pub(crate) struct Uploads {
    transfers: Option<Transfers>,
    repository: RepositoryName,
    seen: std::sync::Mutex<Vec<Hint>>,
}

impl Uploads {
    pub(crate) fn new(transfers: Option<Transfers>, repository: RepositoryName) -> Self {
        Self { transfers, repository, seen: std::sync::Mutex::default() }
    }

    /// Repositories of the registry that may have a blob.
    pub(crate) async fn places(&self, digest: &Digest) -> Places {
        let registry = self.repository.domain().to_owned();
        let digest = digest.clone();
        let found = self.ask(move |known| known.repositories_with(&digest, &registry)).await;
        let mut others = found.unwrap_or_default();
        let is_here = others.contains(&self.repository);
        others.retain(|repository| *repository != self.repository);
        others.truncate(MOST_PLACES);
        Places { is_here, others }
    }

    /// What a plain layer was before, compressed.
    pub(crate) async fn forms(&self, diff_id: &Digest) -> Vec<Descriptor> {
        let diff_id = diff_id.clone();
        let known = self.ask(move |known| known.compressed(&diff_id)).await.unwrap_or_default();
        let forms = known.into_iter().filter_map(|Compressed { digest, size, by }| {
            let (compression, _) = COMPRESSIONS.iter().find(|(_, name)| *name == by)?;
            Some(Descriptor::new(MediaType::OciLayer(*compression), digest, size))
        });
        forms.take(MOST_PLACES).collect()
    }

    /// Notes what a plain layer is, compressed.
    pub(crate) fn compressed(
        &self,
        diff_id: &Digest,
        compression: LayerCompression,
        measured: &Measured,
    ) {
        let Some((_, by)) = COMPRESSIONS.iter().find(|(known, _)| *known == compression) else {
            return;
        };
        let Measured { digest, size } = measured.clone();
        let compressed = Compressed { digest, size, by: (*by).to_owned() };
        self.note(Hint::Form { diff_id: diff_id.clone(), compressed });
    }

    /// The upload of a blob that an earlier process began, or that may be begun.
    pub(crate) async fn kept(&self, digest: &Digest, size: u64) -> Option<Kept> {
        if size < LEAST_BYTES {
            return None;
        }
        let (repository, digest) = (self.repository.clone(), digest.clone());
        let upload = self.ask(move |known| known.upload(&repository, &digest)).await??;
        Some(Kept(Arc::new(upload)))
    }

    /// Notes that a blob was found in the repository, and forgets what was begun of it.
    pub(crate) async fn found(&self, digest: &Digest, size: u64) {
        self.saw(digest, size);
        if size >= LEAST_BYTES {
            let (repository, digest) = (self.repository.clone(), digest.clone());
            self.ask(move |known| known.forget_upload(&repository, &digest)).await;
        }
    }

    /// Notes that a blob is in the repository.
    pub(crate) fn saw(&self, digest: &Digest, size: u64) {
        if size > UNREMEMBERED_BYTES {
            self.note(Hint::Place { digest: digest.clone(), repository: self.repository.clone() });
        }
    }

    /// Notes that a repository does not give a blob.
    pub(crate) fn missed(&self, digest: &Digest, repository: &RepositoryName) {
        self.note(Hint::Gone { digest: digest.clone(), repository: repository.clone() });
    }

    fn note(&self, hint: Hint) {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(hint);
    }

    async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Transfers) -> T + Send + 'static,
    ) -> Option<T> {
        let transfers = self.transfers.clone()?;
        blocking(move || Ok(ask(&transfers))).await.ok()
    }
}

/// Where a blob was seen.
pub(crate) struct Places {
    /// In the repository itself.
    pub(crate) is_here: bool,
    /// In others of the registry.
    pub(crate) others: Vec<RepositoryName>,
}

/// Also what was done before a copy failed may be of use to the next one.
impl Drop for Uploads {
    fn drop(&mut self) {
        let seen = self.seen.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let (Some(transfers), false) = (&self.transfers, seen.is_empty()) {
            transfers.remember(seen);
        }
    }
}

/// An upload that another process may go on with.
pub(crate) struct Kept(Arc<KeptUpload>);

impl Kept {
    /// Where it was.
    pub(crate) fn session(&self) -> Option<UploadSession> {
        serde_json::from_slice(&self.0.read()?).ok()
    }

    /// Keeps every new state.
    pub(crate) fn sink(&self) -> SessionSink {
        let upload = Arc::clone(&self.0);
        Arc::new(move |session| {
            if let Ok(bytes) = serde_json::to_vec(session) {
                upload.write(&bytes);
            }
        })
    }

    /// Forgets it: the blob is there.
    pub(crate) fn remove(&self) {
        self.0.remove();
    }
}
