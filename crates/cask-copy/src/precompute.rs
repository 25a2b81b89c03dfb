//! Finding out beforehand what changed layers will be.

use std::sync::Arc;

use cask_transport::{BlobKind, Body as _, Cancellation, Result, TaskId, VerifiedSource};

use crate::plan::BlobStep;
use crate::rewrite::Written;
use crate::transform::{LayerBody, PlainBody, Progress, layer_compression, threads};
use crate::{LayerOptions, Plan};

/// Reads every layer that changes, and changes it, to learn the digest. One after the other: each
/// keeps every processor busy by itself.
pub(crate) async fn precompute(
    plan: &mut Plan,
    source: &VerifiedSource,
    options: &LayerOptions,
) -> Result<()> {
    for step in &mut plan.blobs {
        let Some(body) = body(step, source, options) else { continue };
        let measured = body.measure().await?;
        let mut written = Written::new(measured, body.result().map(layer_compression));
        written.annotations = body.described().annotations;
        step.tried = Some(written);
    }
    Ok(())
}

/// Nobody is told of the reading: it comes again, unless the destination has the layer.
fn body(step: &BlobStep, source: &VerifiedSource, options: &LayerOptions) -> Option<LayerBody> {
    let target = step.target.filter(|_| step.spec().measured.is_none())?;
    let plain = PlainBody {
        source: source.clone(),
        descriptor: step.source.clone(),
        progress: Progress::new(Arc::new(()), TaskId(0)),
        cancellation: Cancellation::new(),
    };
    let diff_id = match &step.kind {
        BlobKind::Layer { diff_id } => diff_id.clone(),
        _ => None,
    };
    Some(LayerBody::new(plain, target, diff_id, options.limits, threads()))
}
