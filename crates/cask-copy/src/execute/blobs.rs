//! Moving the blobs, several at once.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cask_image::LayerCompression;
use cask_transport::{
    BlobBody, BlobKind, Error, ErrorKind, Event, EventSink, Have, Measured, Outcome, Result,
    TaskId, TaskKind, Transaction,
};
use futures_util::StreamExt as _;

use super::Execution;
use crate::plan::{BlobAction, BlobStep};
use crate::rewrite::Written;
use crate::transform::{
    BytesBody, Described, LayerBody, PlainBody, Progress, Target, diff_id_mismatch,
    layer_compression, threads,
};

impl Execution<'_> {
    /// Moves all blobs, and tells of each, in the order of the plan, what it has become.
    ///
    /// When one fails, the others are told to stop and waited for: what they had begun is then
    /// over, and the destination can be left as it was.
    pub(super) async fn copy_blobs(
        &self,
        transaction: &dyn Transaction,
    ) -> Result<Vec<Option<Written>>> {
        let mut steps: Vec<_> = self.plan.blobs.iter().enumerate().collect();
        if self.capabilities.compares_layers && self.capabilities.concurrent_blobs.get() > 1 {
            // Where layers are unpacked, none that takes long shall be alone at the end. Elsewhere
            // their order may be that of an archive.
            steps.sort_by_key(|(_, step)| Reverse(step.source.size));
        }
        let tasks = steps.into_iter().map(|(place, step)| async move {
            (place, self.copy_blob(transaction, TaskId(place as u64), step).await)
        });
        let parallel = self.parallel().get();
        let mut running = futures_util::stream::iter(tasks).buffer_unordered(parallel);
        let mut written = vec![None; self.plan.blobs.len()];
        let mut failed = None;
        while let Some((place, result)) = running.next().await {
            match result {
                Ok(one) => written[place] = one,
                Err(error) => {
                    self.progress.cancellation.cancel();
                    failed.get_or_insert(error);
                }
            }
        }
        match failed {
            None => Ok(written),
            Some(error) => Err(error),
        }
    }

    async fn copy_blob(
        &self,
        transaction: &dyn Transaction,
        id: TaskId,
        step: &BlobStep,
    ) -> Result<Option<Written>> {
        if self.progress.cancellation.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "copying blob", &step.source.digest)
                .with_detail("another part of the copy has failed"));
        }
        let mut task = Task::start(&self.options.events, id, step);
        let (written, outcome) = self.write_blob(transaction, &task.progress, step).await?;
        task.outcome = outcome;
        Ok(written)
    }

    async fn write_blob(
        &self,
        transaction: &dyn Transaction,
        progress: &Arc<Progress>,
        step: &BlobStep,
    ) -> Result<(Option<Written>, Outcome)> {
        if step.action == BlobAction::Leave {
            return Ok((None, Outcome::Skipped));
        }
        if let Some(written) = self.reuse(transaction, step).await? {
            self.progress.reused.fetch_add(written.measured.size, Ordering::Relaxed);
            return Ok((Some(written), Outcome::Reused));
        }
        let (body, layer) = self.body(step, Arc::clone(progress));
        let measured = transaction.write_blob(&step.spec(), body).await?;
        self.progress.moved.fetch_add(measured.size, Ordering::Relaxed);
        check_written(step, &measured)?;
        self.learn(step);
        let Some(layer) = layer else {
            return Ok((Some(Written::new(measured, None)), Outcome::Copied));
        };
        let Described { annotations, unlisted } = layer.described();
        if let Some(reason) = unlisted {
            let digest = &step.source.digest;
            let message = format!("the layer {digest} is zstd, and not zstd:chunked: {reason}");
            self.options.events.send(Event::Warning { message });
        }
        let compression = layer.result().map(layer_compression);
        Ok((Some(Written { measured, compression, annotations }), Outcome::Copied))
    }

    /// Tells the source of a layer that turned out to be what its image's config says.
    fn learn(&self, step: &BlobStep) {
        let is_compared = match step.target {
            Some(Target::Plain) => true,
            Some(Target::Compressed { .. }) => false,
            None => self.capabilities.compares_layers,
        };
        if let (true, BlobKind::Layer { diff_id: Some(diff_id) }) = (is_compared, &step.kind) {
            self.source.learn_unpacked(&step.source, diff_id);
        }
    }

    /// What the destination has of a blob, where nothing has to move.
    async fn reuse(
        &self,
        transaction: &dyn Transaction,
        step: &BlobStep,
    ) -> Result<Option<Written>> {
        let is_there = match &step.have {
            Have::Equivalent(other) => {
                let compression = other.media_type.layer_compression();
                return Ok(Some(Written::new(Measured::from(&**other), compression)));
            }
            Have::MountableEquivalent { other, from } => {
                let measured = Measured::from(&**other);
                let mut spec = step.spec();
                spec.media_type.clone_from(&other.media_type);
                spec.measured = Some(measured.clone());
                let compression = other.media_type.layer_compression();
                let is_there = transaction.mount(&spec, from).await?;
                return Ok(is_there.then_some(Written::new(measured, compression)));
            }
            Have::Exact => true,
            Have::Mountable { from } => transaction.mount(&step.spec(), from).await?,
            _ => false,
        };
        if let Some(tried) = &step.tried {
            return Ok(is_there.then(|| tried.clone()));
        }
        let compression = step.target.map(|target| match target {
            Target::Plain => LayerCompression::None,
            Target::Compressed { compression, .. } => layer_compression(compression),
        });
        let measured = Measured::from(&step.source);
        Ok(is_there.then_some(Written::new(measured, compression)))
    }

    fn body(&self, step: &BlobStep, progress: Arc<Progress>) -> (BlobBody, Option<Arc<LayerBody>>) {
        if let Some(bytes) = step.made.clone() {
            let algorithm = step.source.digest.algorithm();
            return (Arc::new(BytesBody { bytes, algorithm, progress }), None);
        }
        let plain = PlainBody {
            source: self.source.clone(),
            descriptor: step.source.clone(),
            progress,
            cancellation: self.progress.cancellation.clone(),
        };
        let Some(target) = step.target else { return (Arc::new(plain), None) };
        let diff_id = match &step.kind {
            BlobKind::Layer { diff_id } => diff_id.clone(),
            _ => None,
        };
        let limits = self.options.layers.limits;
        let body = Arc::new(LayerBody::new(plain, target, diff_id, limits, threads()));
        (Arc::clone(&body) as BlobBody, Some(body))
    }
}

/// A layer whose digest shows only at its end still has to be the one that the config promises.
fn check_written(step: &BlobStep, measured: &Measured) -> Result<()> {
    let BlobKind::Layer { diff_id: Some(diff_id) } = &step.kind else { return Ok(()) };
    if step.target == Some(Target::Plain) && measured.digest != *diff_id {
        return Err(diff_id_mismatch(&step.source.digest, diff_id, &measured.digest));
    }
    Ok(())
}

/// Tells of one blob that it began, and, however that comes about, that it ended.
struct Task {
    progress: Arc<Progress>,
    outcome: Outcome,
}

impl Task {
    fn start(events: &Arc<dyn EventSink>, id: TaskId, step: &BlobStep) -> Self {
        let digest = step.source.digest.clone();
        let kind = match step.kind {
            BlobKind::Config => TaskKind::Config { digest },
            _ => TaskKind::Blob { digest },
        };
        events.send(Event::Started { task: id, kind, total_bytes: Some(step.source.size) });
        Self { progress: Progress::new(Arc::clone(events), id), outcome: Outcome::Failed }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.progress.finish(self.outcome);
    }
}
