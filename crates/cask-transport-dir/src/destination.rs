//! Writing the directory.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cask_image::{Algorithm, Digest, RawManifest};
use cask_transport::{
    BlobBody, BlobSpec, Committed, Error, Have, ManifestRole, Measured, Result, Signature,
    Transaction, blocking,
};

use crate::files;
use crate::staging::Staging;

/// An image on its way into a directory.
pub(crate) struct DirTransaction(Arc<State>);

struct State {
    staging: Staging,
    only_sha256: AtomicBool,
    top: std::sync::OnceLock<Digest>,
}

impl DirTransaction {
    pub(crate) fn begin(target: &Path) -> Result<Self> {
        Ok(Self(Arc::new(State {
            staging: Staging::begin(target)?,
            only_sha256: AtomicBool::new(true),
            top: std::sync::OnceLock::new(),
        })))
    }

    async fn write_file(&self, name: String, bytes: Bytes) -> Result<()> {
        let state = Arc::clone(&self.0);
        blocking(move || state.write_file(&name, &bytes)).await
    }
}

impl State {
    fn write_file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.staging
            .create_file(name)?
            .write_all(bytes)
            .map_err(|error| self.write_error(name, error))
    }

    fn write_error(&self, name: &str, error: std::io::Error) -> Error {
        Error::from_io(error, "writing", self.staging.path().join(name).display())
    }

    fn note(&self, digest: &Digest) {
        if digest.algorithm() != Algorithm::Sha256 {
            self.only_sha256.store(false, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl Transaction for DirTransaction {
    async fn have(&self, blobs: &[BlobSpec]) -> Result<Vec<Have>> {
        Ok(vec![Have::Missing; blobs.len()])
    }

    async fn write_blob(&self, blob: &BlobSpec, body: BlobBody) -> Result<Measured> {
        let reader = body.open().await?;
        let state = Arc::clone(&self.0);
        let known = blob.measured.clone();
        blocking(move || {
            // A blob whose digest shows only at its end gets its name then.
            let name = match &known {
                Some(known) => files::blob_name(&known.digest),
                None => format!("unnamed-{:?}", std::thread::current().id()),
            };
            let mut file = state.staging.create_file(&name)?;
            let written =
                reader.into_read().copy_to(&mut file, |error| state.write_error(&name, error));
            let measured = match written {
                Ok(measured) => measured,
                Err(error) => {
                    state.staging.discard(&name);
                    return Err(error);
                }
            };
            if known.is_none() {
                let directory = state.staging.path();
                std::fs::rename(
                    directory.join(&name),
                    directory.join(files::blob_name(&measured.digest)),
                )
                .map_err(|error| state.write_error(&name, error))?;
            }
            state.note(&measured.digest);
            Ok(measured)
        })
        .await
    }

    async fn write_manifest(&self, manifest: &RawManifest, role: &ManifestRole) -> Result<()> {
        self.0.note(manifest.digest());
        let name = match role {
            ManifestRole::Top => {
                // A second top would be refused by the file that exists.
                let _ = self.0.top.set(manifest.digest().clone());
                files::MANIFEST.to_owned()
            }
            _ => files::child_name(manifest.digest()),
        };
        self.write_file(name, manifest.bytes().clone()).await
    }

    async fn write_signatures(
        &self,
        manifest: &RawManifest,
        signatures: &[Signature],
    ) -> Result<()> {
        let instance = (self.0.top.get() != Some(manifest.digest())).then(|| manifest.digest());
        for (index, signature) in signatures.iter().enumerate() {
            let name = files::signature_name(instance, index + 1);
            self.write_file(name, signature.bytes.clone()).await?;
        }
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<Committed> {
        let state = self.0;
        blocking(move || {
            if state.top.get().is_none() {
                return Err(Error::new(
                    cask_transport::ErrorKind::Corrupt,
                    "committing",
                    state.staging.path().display(),
                )
                .with_detail("no top manifest was written"));
            }
            let version = files::version_text(state.only_sha256.load(Ordering::Relaxed));
            state.write_file(files::VERSION, version.as_bytes())?;
            let Ok(state) = Arc::try_unwrap(state).map(|state| state.staging) else {
                unreachable!("every write was awaited, so no other task holds the state")
            };
            state.publish()?;
            Ok(Committed::default())
        })
        .await
    }
}
