//! The only way to read: everything is checked.

use std::sync::Arc;

use cask_image::{
    Algorithm, Descriptor, Digest, Hasher, MAX_MANIFEST_BYTES, MediaType, RawManifest,
};

use bytes::Bytes;

use crate::{
    BlobReader, Error, ErrorKind, Measured, Result, Selector, Signature, Source, UnverifiedBlob,
    UnverifiedManifest,
};

/// The most bytes that one signature may have, and the most signatures of one manifest.
///
/// Source: containers/image, `internal/iolimits`, and the lookaside limit of 128.
const MAX_SIGNATURE_BYTES: usize = 4 << 20;
const MAX_SIGNATURES: usize = 128;

/// A place to read images from. Digest, size and limits of whatever comes out are checked, for
/// every transport, the top of an OCI layout included.
///
/// Cloning is cheap; clones read from the same opened place.
#[derive(Clone)]
pub struct VerifiedSource(Arc<dyn Source>);

impl VerifiedSource {
    /// Wraps what an implementer supplies.
    pub fn new(source: impl Source + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// Resolves a selector to the descriptor of a manifest or an index.
    ///
    /// # Errors
    /// `NotFound` if there is no such image, `InvalidLocation` if several could be meant.
    pub async fn resolve(&self, selector: &Selector) -> Result<Descriptor> {
        self.0.resolve(selector).await
    }

    /// Resolves what the location says, for callers that want nothing but the digest: as a registry
    /// tells it, or else of the manifest, which is read and checked.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve) and [`manifest`](Self::manifest).
    pub async fn look_up(&self) -> Result<Descriptor> {
        match self.0.look_up().await? {
            Some(descriptor) => Ok(descriptor),
            None => {
                let descriptor = self.resolve(&Selector::Chosen).await?;
                self.manifest(&descriptor).await.map(|manifest| manifest.descriptor())
            }
        }
    }

    /// Reads a manifest or an index; from the descriptor itself, where that carries the bytes.
    ///
    /// # Errors
    /// `NotFound`; `DigestMismatch`, `SizeMismatch` if it is not what the descriptor says;
    /// `LimitExceeded` above [`MAX_MANIFEST_BYTES`]; `Corrupt` if it is no manifest.
    pub async fn manifest(&self, descriptor: &Descriptor) -> Result<RawManifest> {
        let fail = |kind, detail: String| {
            Error::new(kind, "reading manifest", &descriptor.digest).with_detail(detail)
        };
        if descriptor.size > MAX_MANIFEST_BYTES {
            return Err(fail(
                ErrorKind::LimitExceeded,
                format!("exceeded maximum allowed size of {MAX_MANIFEST_BYTES} bytes"),
            ));
        }
        let read = match &descriptor.data {
            Some(data) => UnverifiedManifest::new(data.clone()),
            None => self.0.manifest(descriptor).await?,
        };
        let got_bytes = read.bytes.len() as u64;
        if got_bytes > MAX_MANIFEST_BYTES {
            return Err(fail(
                ErrorKind::LimitExceeded,
                format!("exceeded maximum allowed size of {MAX_MANIFEST_BYTES} bytes"),
            ));
        }
        let manifest = typed(read.bytes, read.media_type, descriptor)?;
        if manifest.digest() != &descriptor.digest {
            return Err(fail(
                ErrorKind::DigestMismatch,
                format!("Manifest does not match provided manifest digest {}", descriptor.digest),
            ));
        }
        if got_bytes != descriptor.size {
            return Err(fail(
                ErrorKind::SizeMismatch,
                format!("Size mismatch, expected {}, got {got_bytes}", descriptor.size),
            ));
        }
        Ok(manifest)
    }

    /// Opens a blob.
    ///
    /// # Errors
    /// `Missing` if there is no such blob. Whether the bytes match shows at the reader's end.
    pub async fn blob(&self, descriptor: &Descriptor) -> Result<BlobReader> {
        self.blob_after(descriptor, &Hasher::new(descriptor.digest.algorithm())).await
    }

    /// Opens what follows the bytes that `prefix` has seen, to go on where an earlier attempt
    /// stopped. The digest of the whole is checked at the end all the same, which is why `prefix`
    /// has to hash by the algorithm of the descriptor's digest.
    ///
    /// # Errors
    /// As [`blob`](Self::blob).
    pub async fn blob_after(&self, descriptor: &Descriptor, prefix: &Hasher) -> Result<BlobReader> {
        let blob = match &descriptor.data {
            Some(data) => UnverifiedBlob::from_read(std::io::Cursor::new(
                data.get(usize::try_from(prefix.len()).unwrap_or(usize::MAX)..)
                    .unwrap_or_default()
                    .to_vec(),
            )),
            None => {
                let opened = self.0.blob(descriptor, prefix.len()).await;
                opened.map_err(Error::not_found_is_missing)?
            }
        };
        Ok(BlobReader::verified(blob, Measured::from(descriptor), prefix.clone()))
    }

    /// Reads a small blob, such as a config, into memory.
    ///
    /// # Errors
    /// As [`blob`](Self::blob); `LimitExceeded` if it is larger than `limit_bytes`;
    /// `DigestMismatch` or `SizeMismatch` if it is not what the descriptor says.
    pub async fn blob_bytes(&self, descriptor: &Descriptor, limit_bytes: u64) -> Result<Bytes> {
        if descriptor.size > limit_bytes {
            return Err(Error::new(ErrorKind::LimitExceeded, "reading blob", &descriptor.digest)
                .with_detail(format!("exceeded maximum allowed size of {limit_bytes} bytes")));
        }
        self.blob(descriptor).await?.read_all(limit_bytes).await
    }

    /// The plain layers of an image, in the order of its manifest, where the place has those instead
    /// of what the manifest names.
    ///
    /// # Errors
    /// As [`manifest`](Self::manifest).
    pub async fn held_layers(&self, manifest: &Descriptor) -> Result<Option<Vec<Measured>>> {
        self.0.held_layers(manifest).await
    }

    /// Tells the place that a layer that was read to its end is the plain layer of this digest,
    /// compressed. Only for who has unpacked it and compared.
    pub fn learn_unpacked(&self, layer: &Descriptor, diff_id: &Digest) {
        self.0.learn_unpacked(layer, diff_id);
    }

    /// Tells the place that a blob is where it was to go, whether it was read or not.
    pub fn settle(&self, blob: &Descriptor) {
        self.0.settle(blob);
    }

    /// The size of a blob in bytes, for the one kind of manifest that does not tell: schema 1.
    ///
    /// # Errors
    /// `Missing` if there is no such blob; `Unsupported` where schema 1 cannot be.
    pub async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        self.0.blob_size(digest).await.map_err(Error::not_found_is_missing)
    }

    /// Whether a manifest may have signatures; `false` where the place knows that none has.
    ///
    /// # Errors
    /// As for reading anything else.
    pub async fn may_be_signed(&self) -> Result<bool> {
        self.0.may_be_signed().await
    }

    /// Reads the signatures of a manifest; none where the place stores none.
    ///
    /// # Errors
    /// `LimitExceeded` if there are more than 128, or one is larger than 4 MiB.
    pub async fn signatures(&self, manifest: &Descriptor) -> Result<Vec<Signature>> {
        let signatures = self.0.signatures(manifest).await?;
        let too_large = signatures.iter().any(|one| one.bytes.len() > MAX_SIGNATURE_BYTES);
        if too_large || signatures.len() > MAX_SIGNATURES {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                "reading signatures of",
                &manifest.digest,
            )
            .with_detail(format!(
                "more than {MAX_SIGNATURES} signatures, or one above {MAX_SIGNATURE_BYTES} bytes"
            )));
        }
        Ok(signatures)
    }

    /// Lists the manifests whose `subject` is the given one; none where the place does not know.
    ///
    /// # Errors
    /// As for reading anything else.
    pub async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        self.0.referrers(subject).await
    }
}

impl std::fmt::Debug for VerifiedSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VerifiedSource")
    }
}

/// Makes a manifest of bytes: the descriptor says of which type, or else the place. Parsing it
/// refuses bytes that say otherwise of themselves.
fn typed(bytes: Bytes, given: Option<MediaType>, descriptor: &Descriptor) -> Result<RawManifest> {
    let algorithm: Algorithm = descriptor.digest.algorithm();
    let media_type = [Some(&descriptor.media_type), given.as_ref()]
        .into_iter()
        .flatten()
        .find(|media_type| media_type.is_manifest())
        .cloned();
    match media_type {
        Some(media_type) => Ok(RawManifest::with_algorithm(bytes, media_type, algorithm)),
        None => Err(Error::new(ErrorKind::Corrupt, "reading manifest", &descriptor.digest)
            .with_detail(format!("{} is not the type of a manifest", descriptor.media_type))),
    }
}
