//! Signatures of sigstore in a registry: the layers of a manifest whose tag is made of the digest
//! that they are about.
//!
//! Source: cosign, "Signature specification"; containers/image, `getSigstoreAttachmentManifest` and
//! `putSignaturesToSigstoreAttachments`.

use bytes::Bytes;
use cask_image::{
    Algorithm, Descriptor, Digest, Hasher, ImageFormat, ImageManifest, MAX_CONFIG_BYTES, Manifest,
    MediaType,
};
use cask_json::{Node, Object, Rules, Style};
use cask_reference::Tag;
use cask_registry::{ErrorKind as RegistryKind, Repository, Selector as Which};
use cask_transport::{Error, ErrorKind, Result, Signature};

use super::envelope::Attached;
use super::{MAX_BYTES, MOST, too_many};
use crate::error::of_registry;

/// The config of attachments that nobody has written before.
const EMPTY_CONFIG: &[u8] =
    br#"{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#;

/// The tag of what is attached to a manifest.
fn tag_of(manifest: &Digest) -> Result<Which> {
    let tag = format!("{}-{}.sig", manifest.algorithm(), manifest.hex());
    let tag = tag.parse::<Tag>().map_err(|error| {
        Error::new(ErrorKind::Unsupported, "naming what is attached to", manifest)
            .with_source(error)
    })?;
    Ok(Which::Tag(tag))
}

/// The manifest of what is attached; `None` if nothing is.
async fn manifest_of(repository: &Repository, manifest: &Digest) -> Result<Option<ImageManifest>> {
    let fail = |detail: String| {
        Error::new(ErrorKind::Corrupt, "reading what is attached to", manifest).with_detail(detail)
    };
    let raw = match repository.manifest(&tag_of(manifest)?).await {
        Ok(raw) => raw,
        Err(error) if error.kind() == RegistryKind::NotFound => return Ok(None),
        Err(error) => return Err(of_registry(error)),
    };
    match raw.parse().map_err(|error| fail(error.to_string()))? {
        Manifest::Image(image) if image.format == ImageFormat::Oci => Ok(Some(image)),
        _ => Err(fail(format!("it is of type {}, not an OCI manifest", raw.media_type()))),
    }
}

/// Reads what is attached to a manifest: whoever verifies it decides by its type what it is.
pub(super) async fn read(repository: &Repository, manifest: &Digest) -> Result<Vec<Signature>> {
    let Some(image) = manifest_of(repository, manifest).await? else { return Ok(Vec::new()) };
    if image.layers.len() > MOST {
        return Err(too_many(manifest));
    }
    let mut found = Vec::new();
    for layer in image.layers {
        let attached = Attached {
            payload: content(repository, &layer, MAX_BYTES).await?.into(),
            media_type: layer.media_type.to_string(),
            annotations: layer.annotations,
        };
        found.push(Signature { bytes: attached.encode().into() });
    }
    Ok(found)
}

/// Attaches to a manifest what is not attached to it yet.
pub(super) async fn write(
    repository: &Repository,
    manifest: &Digest,
    signatures: &[Attached],
) -> Result<()> {
    let known = manifest_of(repository, manifest).await?;
    let (mut image, config) = match known {
        Some(image) => {
            let config = content(repository, &image.config, MAX_CONFIG_BYTES).await?;
            (image, config)
        }
        None => {
            let config = Bytes::from_static(EMPTY_CONFIG);
            let descriptor = describe(MediaType::OciConfig, &config);
            (ImageManifest::new(ImageFormat::Oci, descriptor, Vec::new()), config)
        }
    };
    let corrupt = |detail: String| {
        Error::new(ErrorKind::Corrupt, "reading what is attached to", manifest).with_detail(detail)
    };
    let mut config = Object::parse(&config, Rules::new(MAX_CONFIG_BYTES))
        .map_err(|error| corrupt(error.to_string()))?;
    let mut is_changed = false;
    for signature in signatures {
        let media_type = MediaType::from(signature.media_type.as_str());
        let mut layer = describe(media_type, &signature.payload);
        layer.annotations.clone_from(&signature.annotations);
        let is_same = |known: &Descriptor| {
            known.media_type == layer.media_type
                && known.digest == layer.digest
                && known.annotations == layer.annotations
        };
        if image.layers.iter().any(is_same) {
            continue;
        }
        upload(repository, &layer.digest, signature.payload.clone().into()).await?;
        let diff_ids = config.object_mut("rootfs").and_then(|rootfs| rootfs.array_mut("diff_ids"));
        let diff_ids = diff_ids.ok_or_else(|| corrupt("its config has no diff_ids".to_owned()))?;
        diff_ids.push(Node::from(layer.digest.as_str()));
        image.layers.push(layer);
        is_changed = true;
    }
    if !is_changed {
        return Ok(());
    }
    let config: Bytes = config.encode(Style::compact()).into();
    image.config = describe(MediaType::OciConfig, &config);
    upload(repository, &image.config.digest, config).await?;
    repository.put_manifest(&tag_of(manifest)?, &image.encode()).await.map_err(of_registry)?;
    Ok(())
}

fn describe(media_type: MediaType, bytes: &[u8]) -> Descriptor {
    let digest = Hasher::digest(Algorithm::Sha256, bytes);
    Descriptor::new(media_type, digest, bytes.len() as u64)
}

async fn content(
    repository: &Repository,
    descriptor: &Descriptor,
    limit_bytes: u64,
) -> Result<Bytes> {
    let Descriptor { digest, size, .. } = descriptor;
    let blob = repository.blob(digest, Some(*size), 0).await.map_err(of_registry)?;
    let blob = blob.verified().map_err(of_registry)?;
    blob.read_limited(limit_bytes).await.map_err(of_registry)
}

async fn upload(repository: &Repository, digest: &Digest, bytes: Bytes) -> Result<()> {
    let found = repository.blob_size(digest).await.map_err(of_registry)?;
    if found != Some(bytes.len() as u64) {
        repository.upload_bytes(digest, bytes).await.map_err(of_registry)?;
    }
    Ok(())
}
