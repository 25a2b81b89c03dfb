//! Doing what was planned.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cask_image::{Digest, MediaType, RawManifest};
use cask_transport::{
    BlobBody, BlobKind, Error, ErrorKind, Event, Have, ManifestRole, Measured, Outcome, Result,
    Signature, TaskId, TaskKind, Transaction, VerifiedSource, Watch,
};
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::graph::Graph;
use crate::plan::{BlobAction, BlobStep};
use crate::rewrite::{self, Written};
use crate::transform::{BytesBody, LayerBody, PlainBody, diff_id_mismatch};
use crate::{CopyOptions, Plan, Report};

/// Everything that a planned copy needs to go on.
pub(crate) struct Execution<'a> {
    pub(crate) source: &'a VerifiedSource,
    pub(crate) graph: &'a Graph,
    pub(crate) plan: &'a Plan,
    pub(crate) options: &'a CopyOptions,
    pub(crate) concurrent_blobs: NonZeroUsize,
    pub(crate) index_types: &'a [MediaType],
    /// The signatures of each manifest, in the order of the graph.
    pub(crate) signatures: Vec<Vec<Signature>>,
    pub(crate) named_digest: Option<Digest>,
    pub(crate) cancel: Cancel,
}

impl Execution<'_> {
    pub(crate) async fn run(self, transaction: Box<dyn Transaction>) -> Result<Report> {
        let events = &self.options.events;
        let moved = AtomicU64::new(0);
        let tasks = self.plan.blobs.iter().enumerate().map(|(number, step)| {
            self.copy_blob(&*transaction, TaskId(number as u64), step, &moved)
        });
        // In the order of the plan, whatever finishes first.
        let written: Vec<Option<Written>> =
            futures_util::stream::iter(tasks).buffered(self.parallel().get()).try_collect().await?;
        events.send(Event::WritingManifest);
        let manifests = rewrite::manifests(
            self.graph,
            self.plan,
            &written,
            self.options.partial_index,
            self.index_types,
        )?;
        let top = &manifests[self.graph.top_position()];
        self.check_named_digest(top)?;
        self.check_promises(&manifests)?;
        for (manifest, step) in manifests.iter().zip(&self.plan.manifests) {
            transaction.write_manifest(manifest, &step.role).await?;
        }
        if self.signatures.iter().any(|signatures| !signatures.is_empty()) {
            events.send(Event::StoringSignatures);
        }
        for (manifest, signatures) in manifests.iter().zip(&self.signatures) {
            if !signatures.is_empty() {
                transaction.write_signatures(manifest, signatures).await?;
            }
        }
        let committed = transaction.commit().await?;
        for message in &committed.warnings {
            events.send(Event::Warning { message: message.clone() });
        }
        Ok(Report {
            manifest: top.clone(),
            moved_bytes: moved.into_inner(),
            reused_bytes: self.plan.reused_bytes(),
        })
    }

    /// Blobs at once: as many as asked for and as the destination can take. A layer that is
    /// compressed keeps every processor busy by itself, and needs memory to do so.
    fn parallel(&self) -> NonZeroUsize {
        let asked = self.options.parallel_blobs.min(self.concurrent_blobs);
        let works = self.plan.blobs.iter().any(|blob| blob.target.is_some());
        if works { asked.min(threads()) } else { asked }
    }

    async fn copy_blob(
        &self,
        transaction: &dyn Transaction,
        task: TaskId,
        step: &BlobStep,
        moved: &AtomicU64,
    ) -> Result<Option<Written>> {
        let events = &self.options.events;
        let digest = step.source.digest.clone();
        let kind = match step.kind {
            BlobKind::Config => TaskKind::Config { digest },
            _ => TaskKind::Blob { digest },
        };
        events.send(Event::Started { task, kind, total_bytes: Some(step.source.size) });
        let result = self.write_blob(transaction, task, step, moved).await;
        let outcome = match &result {
            Ok((_, outcome)) => *outcome,
            Err(_) => Outcome::Failed,
        };
        events.send(Event::Finished { task, outcome });
        result.map(|(written, _)| written)
    }

    async fn write_blob(
        &self,
        transaction: &dyn Transaction,
        task: TaskId,
        step: &BlobStep,
        moved: &AtomicU64,
    ) -> Result<(Option<Written>, Outcome)> {
        if step.action == BlobAction::Leave {
            return Ok((None, Outcome::Skipped));
        }
        let as_it_is = || Written { measured: Measured::from(&step.source), compression: None };
        match &step.have {
            Have::Exact => return Ok((Some(as_it_is()), Outcome::Reused)),
            Have::Equivalent(other) => {
                let measured = Measured::from(&**other);
                return Ok((Some(Written { measured, compression: None }), Outcome::Reused));
            }
            Have::Mountable { from } if transaction.mount(&step.spec(), from).await? => {
                return Ok((Some(as_it_is()), Outcome::Reused));
            }
            _ => {}
        }
        let (body, result) = self.body(step, self.watch(task));
        let measured = transaction.write_blob(&step.spec(), body).await?;
        moved.fetch_add(measured.size, Ordering::Relaxed);
        check_written(step, &measured)?;
        let compression = result.and_then(|layer| layer.result.get().copied());
        Ok((Some(Written { measured, compression }), Outcome::Copied))
    }

    fn watch(&self, task: TaskId) -> Arc<Watch> {
        let events = Arc::clone(&self.options.events);
        let cancelled = Arc::clone(&self.cancel.0);
        Arc::new(move |bytes| {
            events.send(Event::Advanced { task, bytes });
            if cancelled.load(Ordering::Relaxed) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })
    }

    fn body(&self, step: &BlobStep, watch: Arc<Watch>) -> (BlobBody, Option<Arc<LayerBody>>) {
        if let Some(made) = &step.made {
            return (Arc::new(BytesBody(made.clone())), None);
        }
        let source = self.source.clone();
        let plain = PlainBody { source, descriptor: step.source.clone(), watch };
        let Some(target) = step.target else { return (Arc::new(plain), None) };
        let diff_id = match &step.kind {
            BlobKind::Layer { diff_id } => diff_id.clone(),
            _ => None,
        };
        let body = Arc::new(LayerBody::new(plain, target, diff_id, threads()));
        (Arc::clone(&body) as BlobBody, Some(body))
    }

    fn check_named_digest(&self, top: &RawManifest) -> Result<()> {
        match &self.named_digest {
            Some(named) if named != top.digest() => {
                Err(Error::new(ErrorKind::DigestMismatch, "", "")
                    .with_detail(
                        "Digest of source image's manifest would not match destination reference",
                    )
                    .with_hint(format!("the manifest is {}", top.digest())))
            }
            _ => Ok(()),
        }
    }

    /// What the plan said would not change has not changed.
    fn check_promises(&self, manifests: &[RawManifest]) -> Result<()> {
        for (manifest, step) in manifests.iter().zip(&self.plan.manifests) {
            let stale =
                step.role == ManifestRole::Referrer && self.subject_changed(manifest, manifests);
            if stale {
                return Err(Error::new(ErrorKind::Unsupported, "copying", &step.source.digest)
                    .with_detail("it refers to a manifest whose digest changes on the way")
                    .with_hint("--preserve-digests says why; without --referrers the image is copied alone"));
            }
        }
        Ok(())
    }

    fn subject_changed(&self, referrer: &RawManifest, manifests: &[RawManifest]) -> bool {
        let Ok(parsed) = referrer.parse() else { return false };
        parsed.subject().is_some_and(|subject| {
            manifests.iter().all(|manifest| *manifest.digest() != subject.digest)
        })
    }
}

/// A layer whose digest shows only at its end still has to be the one that the config promises.
fn check_written(step: &BlobStep, measured: &Measured) -> Result<()> {
    let BlobKind::Layer { diff_id: Some(diff_id) } = &step.kind else { return Ok(()) };
    if step.action == BlobAction::Decompress && measured.digest != *diff_id {
        return Err(diff_id_mismatch(&step.source.digest, diff_id, &measured.digest));
    }
    Ok(())
}

/// Gives up what still runs when one part of the copy fails.
#[derive(Default)]
pub(crate) struct Cancel(Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn threads() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}
