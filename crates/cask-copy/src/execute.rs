//! Doing what was planned.

mod blobs;
mod manifests;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use cask_image::RawManifest;
use cask_transport::{
    Cancellation, Capabilities, Event, EventSink, Result, Signature, Transaction, VerifiedSource,
};

use crate::decide::Fixed;
use crate::graph::{Content, Graph, Taken};
use crate::plan::BlobAction;
use crate::transform::threads;
use crate::{CopyOptions, Plan, Report};

/// Everything that a planned copy needs to go on.
pub(crate) struct Execution<'a> {
    pub(crate) source: &'a VerifiedSource,
    pub(crate) graph: &'a Graph,
    pub(crate) plan: &'a Plan,
    pub(crate) options: &'a CopyOptions,
    pub(crate) capabilities: &'a Capabilities,
    /// The source reads files of this machine.
    pub(crate) reads_files: bool,
    pub(crate) fixed: Option<Fixed>,
    /// The signatures of each manifest, in the order of the graph.
    pub(crate) signatures: &'a [Vec<Signature>],
    pub(crate) progress: Totals,
}

/// What was done so far, and whether it goes on.
#[derive(Default)]
pub(crate) struct Totals {
    moved: AtomicU64,
    reused: AtomicU64,
    cancellation: Cancellation,
    commit: OnceLock<Commit>,
}

/// Tells that what was written becomes visible, until this is dropped.
struct Commit(Arc<dyn EventSink>);

impl Commit {
    fn begin(events: &Arc<dyn EventSink>) -> Self {
        events.send(Event::Committing);
        Self(Arc::clone(events))
    }
}

impl Drop for Commit {
    fn drop(&mut self) {
        self.0.send(Event::Committed);
    }
}

/// Whoever drops a copy that runs gives up what still runs of it.
impl Drop for Totals {
    fn drop(&mut self) {
        self.cancellation.cancel();
    }
}

impl Execution<'_> {
    /// Blobs, manifests, signatures, commit.
    pub(crate) async fn run(self, transaction: Box<dyn Transaction>) -> Result<Report> {
        let events = &self.options.events;
        self.announce_index();
        let written = self.copy_blobs(&*transaction).await?;
        if self.plan.is_there {
            self.settle();
            return Ok(self.report(self.graph.top().raw.clone()));
        }
        events.send(Event::WritingManifest);
        let manifests = self.write_manifests(&*transaction, &written).await?;
        let top = manifests[self.graph.top_position()].clone();
        if self.signatures.iter().any(|signatures| !signatures.is_empty()) {
            events.send(Event::StoringSignatures);
        }
        for (manifest, signatures) in manifests.iter().zip(self.signatures) {
            if !signatures.is_empty() {
                transaction.write_signatures(manifest, signatures).await?;
            }
        }
        self.begin_commit();
        let committed = transaction.commit().await?;
        for message in &committed.warnings {
            events.send(Event::Warning { message: message.clone() });
        }
        self.settle();
        Ok(self.report(top))
    }

    /// Tells the source of all blobs that are where they were to go, also those that were there.
    fn settle(&self) {
        let there = self.plan.blobs.iter().filter(|step| step.action != BlobAction::Leave);
        there.for_each(|step| self.source.settle(&step.source));
    }

    /// Tells that from now on the image may be visible.
    fn begin_commit(&self) {
        self.progress.commit.get_or_init(|| Commit::begin(&self.options.events));
    }

    fn report(&self, manifest: RawManifest) -> Report {
        let Totals { moved, reused, .. } = &self.progress;
        Report {
            manifest,
            moved_bytes: moved.load(Ordering::Relaxed),
            reused_bytes: reused.load(Ordering::Relaxed),
        }
    }

    fn announce_index(&self) {
        let Content::Index { entries, .. } = &self.graph.top().content else { return };
        let chosen = entries.iter().filter(|taken| **taken != Taken::Left).count();
        self.options.events.send(Event::IndexStarted { chosen, of: entries.len() });
    }

    /// Blobs at once: as many as asked for and as the destination can take. A layer that is
    /// compressed, or comes from a file and is unpacked, keeps a processor busy by itself.
    fn parallel(&self) -> NonZeroUsize {
        let asked = self.options.parallel_blobs.min(self.capabilities.concurrent_blobs);
        let works = self.plan.blobs.iter().any(|blob| blob.target.is_some());
        let unpacks = self.reads_files && self.capabilities.compares_layers;
        if works || unpacks { asked.min(threads()) } else { asked }
    }
}
