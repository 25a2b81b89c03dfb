//! Writing the directory.

use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use cask_image::{Algorithm, Digest, RawManifest};
use cask_transport::{
    BlobBody, BlobReader, BlobSpec, Committed, Error, ErrorKind, Have, ManifestRole, Measured,
    Result, Signature, Transaction, blocking,
};

use crate::limits::{MAX_SIGNATURE_BYTES, MAX_SIGNATURES, MAX_SIGNATURES_BYTES};
use crate::names::{self, Version};
use crate::staging::{Part, Staging};

/// An image on its way into a directory.
///
/// What was given up may still be running on its thread, and holds on to the rest; so dropping
/// this says that the transaction is over.
pub(crate) struct DirTransaction(Arc<Writing>);

struct Writing {
    staging: Staging,
    noted: Mutex<Noted>,
}

/// What the last files depend on.
#[derive(Debug, Default)]
struct Noted {
    top: Option<Digest>,
    /// A file has an algorithm in its name.
    algorithms: bool,
}

impl DirTransaction {
    pub(crate) fn begin(target: &str) -> Result<Self> {
        let staging = Staging::begin(target)?;
        Ok(Self(Arc::new(Writing { staging, noted: Mutex::default() })))
    }

    /// Runs work on the blocking pool.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Writing) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let writing = Arc::clone(&self.0);
        blocking(move || work(&writing)).await
    }
}

impl Drop for DirTransaction {
    fn drop(&mut self) {
        self.0.staging.abandon();
    }
}

impl Writing {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, digest: &Digest) {
        if digest.algorithm() != Algorithm::Sha256 {
            self.noted().algorithms = true;
        }
    }

    fn write_file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.staging.write(
            |part| part.write_all(bytes).map_err(|error| self.staging.fail(name, error)),
            |()| name.to_owned(),
        )
    }

    fn write_blob(&self, reader: BlobReader, wanted: Option<&Measured>) -> Result<Measured> {
        let name = wanted.map(|wanted| names::blob(&wanted.digest)).unwrap_or_default();
        let fail = |error| self.staging.fail(&name, error);
        let fill = |part: &mut Part<'_>| {
            let mut measured = reader.into_read().copy_to(part, fail)?;
            if let Some(wanted) = wanted {
                // Bytes that are made on the way may have been measured by another algorithm.
                if wanted.digest.algorithm() != measured.digest.algorithm() {
                    measured = part.measure(wanted.digest.algorithm()).map_err(fail)?;
                }
            }
            measured.expect(wanted)?;
            Ok(measured)
        };
        let measured = self.staging.write(fill, |measured| names::blob(&measured.digest))?;
        self.note(&measured.digest);
        Ok(measured)
    }

    fn have(&self, wanted: Option<&Measured>) -> Result<Have> {
        match wanted {
            Some(wanted) if self.staging.reuse(wanted)? => {
                self.note(&wanted.digest);
                Ok(Have::Exact)
            }
            _ => Ok(Have::Missing),
        }
    }

    fn write_manifest(&self, manifest: &RawManifest, role: &ManifestRole) -> Result<()> {
        let digest = manifest.digest();
        let fail =
            |kind, detail| Err(Error::new(kind, "writing manifest", digest).with_detail(detail));
        match role {
            ManifestRole::Top => {
                if self.noted().top.as_ref().is_some_and(|top| top != digest) {
                    return fail(ErrorKind::AlreadyExists, "a directory holds one top manifest");
                }
                self.write_file(names::MANIFEST, manifest.bytes())?;
                self.noted().top = Some(digest.clone());
            }
            ManifestRole::Child => {
                self.write_file(&names::child(digest), manifest.bytes())?;
                self.note(digest);
            }
            _ => {
                return fail(
                    ErrorKind::Unsupported,
                    "a directory holds one image, not what refers to it",
                );
            }
        }
        Ok(())
    }

    fn write_signatures(&self, digest: &Digest, signatures: &[Bytes]) -> Result<()> {
        let sizes = || signatures.iter().map(|signature| signature.len() as u64);
        if signatures.len() > MAX_SIGNATURES
            || sizes().any(|size| size > MAX_SIGNATURE_BYTES)
            || sizes().sum::<u64>() > MAX_SIGNATURES_BYTES
        {
            return Err(too_many_signatures("storing signatures of", digest));
        }
        let instance = (self.noted().top.as_ref() != Some(digest)).then_some(digest);
        for (number, signature) in (1..).zip(signatures) {
            self.write_file(&names::signature(instance, number), signature)?;
        }
        if let Some(digest) = instance {
            self.note(digest);
        }
        Ok(())
    }

    fn commit(&self) -> Result<Committed> {
        let noted = self.noted();
        if noted.top.is_none() {
            let subject = self.staging.target().display();
            return Err(Error::new(ErrorKind::Corrupt, "committing", subject)
                .with_detail("no top manifest was written"));
        }
        let version = if noted.algorithms { Version::Algorithms } else { Version::OneAlgorithm };
        self.write_file(names::VERSION, version.text().as_bytes())?;
        let mut committed = Committed::default();
        committed.warnings = self.staging.publish()?;
        Ok(committed)
    }
}

#[async_trait]
impl Transaction for DirTransaction {
    async fn have(&self, blobs: &[BlobSpec]) -> Result<Vec<Have>> {
        let wanted: Vec<_> = blobs.iter().map(|blob| blob.measured.clone()).collect();
        self.run(move |writing| wanted.iter().map(|wanted| writing.have(wanted.as_ref())).collect())
            .await
    }

    async fn write_blob(&self, blob: &BlobSpec, body: BlobBody) -> Result<Measured> {
        let reader = body.open().await?;
        let wanted = blob.measured.clone();
        self.run(move |writing| writing.write_blob(reader, wanted.as_ref())).await
    }

    async fn write_manifest(&self, manifest: &RawManifest, role: &ManifestRole) -> Result<()> {
        let (manifest, role) = (manifest.clone(), role.clone());
        self.run(move |writing| writing.write_manifest(&manifest, &role)).await
    }

    async fn write_signatures(
        &self,
        manifest: &RawManifest,
        signatures: &[Signature],
    ) -> Result<()> {
        let digest = manifest.digest().clone();
        let signatures: Vec<_> = signatures.iter().map(|one| one.bytes.clone()).collect();
        self.run(move |writing| writing.write_signatures(&digest, &signatures)).await
    }

    async fn commit(self: Box<Self>) -> Result<Committed> {
        // It is dropped when that is done, also if nobody waits for it any more.
        blocking(move || self.0.commit()).await
    }
}

/// The error about signatures that are more than anybody needs.
pub(crate) fn too_many_signatures(operation: &'static str, manifest: &Digest) -> Error {
    Error::new(ErrorKind::LimitExceeded, operation, manifest).with_detail(format!(
        "more than {MAX_SIGNATURES} signatures, one above {MAX_SIGNATURE_BYTES} bytes, or above \
         {MAX_SIGNATURES_BYTES} bytes together"
    ))
}
