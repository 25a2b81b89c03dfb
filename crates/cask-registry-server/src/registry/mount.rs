//! Blobs from other repositories.

use cask_image::Digest;
use cask_layout::Layout;

use super::{Call, Inner, Registry};
use crate::RepositoryName;
use crate::refusal::{Refusal, chain};

/// The most repositories that are searched for a blob.
const MAX_SOURCES: usize = 1000;

/// Where a blob is to be taken from.
///
/// Source: OCI distribution specification, "Mounting a blob from another repository".
pub(super) enum Source {
    Repository(RepositoryName),
    /// Wherever it is: who asks does not say.
    Anywhere,
    /// What was named can be no repository.
    Nowhere,
}

impl Source {
    pub(super) fn of(call: &Call<'_>) -> Self {
        match call.query.first("from").map(RepositoryName::parse) {
            Some(Ok(name)) => Self::Repository(name),
            Some(Err(_)) => Self::Nowhere,
            None => Self::Anywhere,
        }
    }
}

impl Registry {
    /// Whether a blob could be taken from another repository, or is there already.
    pub(super) async fn mount(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        source: Source,
    ) -> Result<bool, Refusal> {
        let (name, digest) = (name.clone(), digest.clone());
        self.blocking(move |inner| {
            if inner.holds(&name, &digest)?.is_some() {
                return Ok(true);
            }
            let Some(layout) = inner.source(&source, &digest)? else { return Ok(false) };
            let (file, size) = layout.open_blob(&digest)?;
            inner.add_blob(&name, &file, &digest, size)?;
            Ok(true)
        })
        .await
    }
}

impl Inner {
    fn source(&self, source: &Source, digest: &Digest) -> Result<Option<Layout>, Refusal> {
        let names = match source {
            Source::Nowhere => return Ok(None),
            Source::Repository(name) => return self.holds(name, digest),
            Source::Anywhere => self.store.repositories(),
        };
        let names = names.map_err(|error| Refusal::internal(chain(&error)))?;
        // One that cannot be read does not keep another from having it.
        let mut found = names.iter().take(MAX_SOURCES).map(|name| self.holds(name, digest));
        Ok(found.find_map(|held| held.ok().flatten()))
    }

    /// The layout of a repository, if it is there and holds a blob.
    fn holds(&self, name: &RepositoryName, digest: &Digest) -> Result<Option<Layout>, Refusal> {
        let Some(layout) = self.store.find(name)? else { return Ok(None) };
        Ok(layout.blob_size(digest)?.map(|_| layout))
    }
}
