//! Writing content through a transaction, as far as a test wants.

use std::collections::HashMap;
use std::sync::Arc;

use cask_image::{Digest, ImageConfig, Manifest, RawManifest};
use cask_transport::{
    BlobKind, BlobSpec, Committed, Have, Location, ManifestRole, Measured, Result, Signature,
    Transaction, WriteOptions,
};
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::body::{BytesBody, FailingBody};
use crate::generate::{Blob, Content};

/// Where writing stops short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interrupted {
    /// Right after the transaction began.
    Begun,
    /// After the blobs.
    BlobsWritten,
    /// After the manifests.
    ManifestsWritten,
    /// At the last blob, whose bytes break off.
    BlobFailed,
}

/// Writes content and commits.
///
/// # Errors
/// What the transaction says.
pub async fn write(location: &dyn Location, content: &Content) -> Result<Committed> {
    let (transaction, result) = run(location, content, None).await?;
    result?;
    transaction.commit().await
}

/// Writes content with signatures of its top, and commits.
///
/// # Errors
/// What the transaction says.
pub async fn write_signed(
    location: &dyn Location,
    content: &Content,
    signatures: &[Signature],
) -> Result<Committed> {
    let (transaction, result) = run(location, content, None).await?;
    result?;
    let is_top = |manifest: &&Blob| *manifest.digest() == content.top.digest;
    let top = content.manifests.iter().find(is_top).expect("the top is among the manifests");
    let top = RawManifest::new(top.bytes.clone(), top.descriptor.media_type.clone());
    transaction.write_signatures(&top, signatures).await?;
    transaction.commit().await
}

/// Writes content up to a point, and drops the transaction there.
///
/// # Errors
/// What the transaction says; for [`Interrupted::BlobFailed`] always an error.
pub async fn write_until(
    location: &dyn Location,
    content: &Content,
    stop: Interrupted,
) -> Result<()> {
    let (transaction, result) = run(location, content, Some(stop)).await?;
    drop(transaction);
    result
}

async fn run(
    location: &dyn Location,
    content: &Content,
    stop: Option<Interrupted>,
) -> Result<(Box<dyn Transaction>, Result<()>)> {
    let transaction = location.begin(&WriteOptions::default()).await?;
    let result = fill(&*transaction, location, content, stop).await;
    Ok((transaction, result))
}

async fn fill(
    transaction: &dyn Transaction,
    location: &dyn Location,
    content: &Content,
    stop: Option<Interrupted>,
) -> Result<()> {
    if stop == Some(Interrupted::Begun) {
        return Ok(());
    }
    let specs = specs(content);
    let have = transaction.have(&specs).await?;
    assert_eq!(have.len(), specs.len(), "have() answers for every blob");
    let last = specs.len() - 1;
    let writes = specs.iter().zip(&content.blobs).zip(have).enumerate().map(
        |(place, ((spec, blob), have))| async move {
            if stop == Some(Interrupted::BlobFailed) && place == last {
                let half = blob.bytes.slice(..blob.bytes.len() / 2);
                return transaction.write_blob(spec, Arc::new(FailingBody(half))).await.map(drop);
            }
            if have == Have::Exact {
                return Ok(());
            }
            let body = Arc::new(BytesBody(blob.bytes.clone()));
            let measured = transaction.write_blob(spec, body).await?;
            assert_eq!(measured.size, blob.bytes.len() as u64, "the size of what was written");
            Ok(())
        },
    );
    futures_util::stream::iter(writes)
        .buffered(location.capabilities().concurrent_blobs.get().min(8))
        .try_collect::<()>()
        .await?;
    if stop == Some(Interrupted::BlobsWritten) {
        return Ok(());
    }
    for manifest in &content.manifests {
        let raw = RawManifest::with_algorithm(
            manifest.bytes.clone(),
            manifest.descriptor.media_type.clone(),
            manifest.digest().algorithm(),
        );
        let is_top = *manifest.digest() == content.top.digest;
        let role = if is_top { ManifestRole::Top } else { ManifestRole::Child };
        transaction.write_manifest(&raw, &role).await?;
    }
    Ok(())
}

/// What a copy would say about each blob.
fn specs(content: &Content) -> Vec<BlobSpec> {
    let kinds = kinds(content);
    content
        .blobs
        .iter()
        .map(|blob| BlobSpec {
            kind: kinds.get(blob.digest()).cloned().unwrap_or(BlobKind::Other),
            media_type: blob.descriptor.media_type.clone(),
            measured: Some(Measured::from(&blob.descriptor)),
        })
        .collect()
}

/// Configs and layers, by the manifests that name them.
fn kinds(content: &Content) -> HashMap<Digest, BlobKind> {
    let mut kinds = HashMap::new();
    for manifest in &content.manifests {
        let raw = RawManifest::new(manifest.bytes.clone(), manifest.descriptor.media_type.clone());
        let Ok(Manifest::Image(image)) = raw.parse() else { continue };
        if image.is_artifact() {
            continue;
        }
        let config = content.blob(&image.config.digest).map(|blob| blob.bytes.clone());
        let diff_ids = config
            .and_then(|bytes| ImageConfig::parse(bytes).ok())
            .map(|config| config.diff_ids)
            .unwrap_or_default();
        kinds.insert(image.config.digest.clone(), BlobKind::Config);
        for (place, layer) in image.layers.iter().enumerate() {
            let diff_id = diff_ids.get(place).cloned();
            kinds.insert(layer.digest.clone(), BlobKind::Layer { diff_id });
        }
    }
    kinds
}
