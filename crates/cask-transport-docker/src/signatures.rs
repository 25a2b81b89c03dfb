//! The signatures of images: beside their registry, and attached to them in it.

mod attachments;
mod envelope;
mod lookaside;

use std::sync::Arc;

use cask_config::lookaside::LookasideConf;
use cask_image::Digest;
use cask_registry::Client;
use cask_transport::{Error, ErrorKind, Result, Signature};

use crate::location::Place;
use envelope::Attached;

/// The longest signature, in bytes: 4 MiB.
///
/// Source: containers/image, `iolimits.MaxSignatureBodySize`.
const MAX_BYTES: u64 = 4 << 20;

/// The most signatures that a manifest can have.
///
/// Source: containers/image, `maxLookasideSignatures`.
const MOST: usize = 128;

/// Where signatures are, and who speaks to web servers that have them.
#[derive(Clone, Debug)]
pub(crate) struct Signatures {
    pub(crate) conf: Arc<LookasideConf>,
    /// One without credentials: what it asks is no registry.
    pub(crate) client: Client,
}

impl Signatures {
    /// Whether signatures of an image can be written.
    pub(crate) fn can_write(&self, place: &Place) -> bool {
        let reference = &place.reference;
        self.conf.writing(reference).is_some() || self.conf.uses_sigstore_attachments(reference)
    }

    /// Whether a manifest in one of the places may have signatures: `false` if it is certain, by
    /// a look at this machine, that none has.
    pub(crate) fn may_exist(&self, places: &[Place]) -> bool {
        places.iter().any(|Place { reference, .. }| {
            self.conf.uses_sigstore_attachments(reference)
                || self.conf.reading(reference).is_some_and(|base| lookaside::may_hold(&base))
        })
    }

    /// The signatures of a manifest.
    pub(crate) async fn read(&self, place: &Place, manifest: &Digest) -> Result<Vec<Signature>> {
        let mut found = match self.conf.reading(&place.reference) {
            Some(base) => lookaside::read(&base, manifest, &self.client).await?,
            None => Vec::new(),
        };
        if self.conf.uses_sigstore_attachments(&place.reference) {
            found.extend(attachments::read(&place.repository, manifest).await?);
        }
        if found.len() > MOST {
            return Err(too_many(manifest));
        }
        Ok(found)
    }

    /// Makes these the signatures of a manifest. Those of sigstore are attached in the registry,
    /// where they join what is there; all others lie aside, and replace what does.
    ///
    /// Source: containers/image, `PutSignaturesWithFormat`.
    pub(crate) async fn write(
        &self,
        place: &Place,
        manifest: &Digest,
        signatures: &[Signature],
    ) -> Result<()> {
        let (mut attached, mut aside) = (Vec::new(), Vec::new());
        for signature in signatures {
            match Attached::decode(&signature.bytes) {
                Some(decoded) => attached.push(decoded.map_err(|error| {
                    Error::new(ErrorKind::Corrupt, "storing signatures of", manifest)
                        .with_source(error)
                })?),
                None => aside.push(signature.clone()),
            }
        }
        let fail = |detail: &'static str, hint: &'static str| {
            Error::new(ErrorKind::Unsupported, "storing signatures of", manifest)
                .with_detail(detail)
                .with_hint(hint)
        };
        if !attached.is_empty() {
            if !self.conf.uses_sigstore_attachments(&place.reference) {
                // The words of containers/image.
                return Err(fail(
                    "writing sigstore attachments is disabled by configuration",
                    "use-sigstore-attachments: true in registries.d allows it; \
                     --remove-signatures copies the image without them",
                ));
            }
            attachments::write(&place.repository, manifest, &attached).await?;
        }
        if aside.is_empty() {
            return Ok(());
        }
        let base = self.conf.writing(&place.reference).ok_or_else(|| {
            fail(
                "no place for signatures is configured",
                "registries.d names one as lookaside; --remove-signatures copies the image without \
                 them",
            )
        })?;
        lookaside::write(&base, manifest, aside).await
    }
}

fn too_many(manifest: &Digest) -> Error {
    Error::new(ErrorKind::LimitExceeded, "reading signatures of", manifest)
        .with_detail(format!("there are more than {MOST}"))
}
