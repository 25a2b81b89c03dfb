//! Reading blobs, several at once, and comparing them with what is said of them.

use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;

use cask_image::{Descriptor, Digest, Hasher};
use cask_layer::{DecompressLimits, decompress, detect_reader, pipelined};
use cask_transport::{
    BlobRead, Error, Event, EventSink, Outcome, Result, TaskId, TaskKind, VerifiedSource, blocking,
};
use futures_util::StreamExt as _;

use super::facts::{Facts, LayerClaim, LayerFacts};
use super::{Run, chain};

/// How many blobs are read at once.
const PARALLEL_BLOBS: usize = 4;

/// How often a blob is read that cannot be: the first manifest that names it may be the one that
/// lies about its size, but not every one of thousands makes it be read once more.
const MAX_FAILURES: usize = 2;

/// A blob, and what is said of it.
pub(super) struct Expected {
    blob: Descriptor,
    layer: Option<LayerClaim>,
}

impl Expected {
    /// A blob of which nothing is said but its digest and size.
    pub(super) fn blob(blob: &Descriptor) -> Self {
        Self { blob: blob.clone(), layer: None }
    }

    /// A layer, with the digest of its plain tar where the config tells that.
    pub(super) fn layer(blob: &Descriptor, diff_id: Option<&Digest>) -> Self {
        let named = blob.media_type.layer_compression();
        let claim = named.zip(diff_id.cloned());
        let layer = claim.map(|(named, diff_id)| LayerClaim { named, diff_id });
        Self { blob: blob.clone(), layer }
    }
}

impl Run {
    /// Reads what was not read before, and compares.
    pub(super) async fn blobs(&mut self, expected: Vec<Expected>) {
        let mut unread = Vec::new();
        let mut waiting = std::collections::HashSet::new();
        for one in &expected {
            let facts = self.blobs.get(&one.blob.digest);
            let is_known = facts.is_some_and(|facts| facts.are_enough_for(one.layer.as_ref()));
            let key = (&one.blob.digest, one.layer.as_ref().map(|c| c.diff_id.algorithm()));
            let failed = self.failed.get(&one.blob.digest).copied().unwrap_or_default();
            if !is_known && failed < MAX_FAILURES && waiting.insert(key) {
                unread.push((TaskId(self.tasks), one));
                self.tasks += 1;
            }
        }
        let (source, events) = (&self.source, &self.events);
        let reads = unread.into_iter().map(|(task, one)| async move {
            let kind = TaskKind::Blob { digest: one.blob.digest.clone() };
            events.send(Event::Started { task, kind, total_bytes: Some(one.blob.size) });
            let read = read(source, one, task, events).await;
            let outcome = if read.is_ok() { Outcome::Checked } else { Outcome::Failed };
            events.send(Event::Finished { task, outcome });
            (one, read)
        });
        let reading = futures_util::stream::iter(reads).buffered(PARALLEL_BLOBS);
        let done: Vec<_> = reading.collect().await;
        for (one, read) in done {
            self.learn(one, read);
        }
        for one in &expected {
            let Some(facts) = self.blobs.get(&one.blob.digest) else { continue };
            for wrong in facts.contradict(one.blob.size, one.layer.as_ref()) {
                self.problem(&one.blob.digest, wrong);
            }
        }
    }

    fn learn(&mut self, one: &Expected, read: Result<Option<LayerFacts>>) {
        let Descriptor { digest, size, .. } = &one.blob;
        match read {
            Ok(layer) => {
                let before = self.blobs.remove(digest);
                self.count(before.is_none(), *size);
                let facts = before.unwrap_or_else(|| Facts::of(*size)).with_layer(layer);
                self.blobs.insert(digest.clone(), facts);
            }
            Err(error) => {
                *self.failed.entry(digest.clone()).or_default() += 1;
                self.problem(digest, chain(&error));
            }
        }
    }
}

/// Reads one blob whole.
async fn read(
    source: &VerifiedSource,
    expected: &Expected,
    task: TaskId,
    events: &Arc<dyn EventSink>,
) -> Result<Option<LayerFacts>> {
    let sink = Arc::clone(events);
    let reader = source.blob(&expected.blob).await?.watched(Arc::new(move |bytes| {
        sink.send(Event::Advanced { task, bytes });
        ControlFlow::Continue(())
    }));
    let Some(claim) = expected.layer.clone() else {
        return reader.drain().await.map(|_| None);
    };
    let read = reader.into_read();
    let facts = blocking(move || unpack(read, claim.diff_id)).await?;
    if facts.plain.is_err() {
        // What cannot be unpacked was left before its end: its digest may be wrong as well.
        source.blob(&expected.blob).await?.drain().await?;
    }
    Ok(Some(facts))
}

/// Finds out what is inside; an error of the seam is about the blob itself.
fn unpack(read: BlobRead, diff_id: Digest) -> Result<LayerFacts> {
    let (found, read) =
        detect_reader(read).map_err(|error| Error::from_io(error, "reading layer", ""))?;
    let plain = pipelined(decompress(read, found, DecompressLimits::default()))
        .and_then(|read| hash(read, diff_id));
    match plain {
        Ok(plain) => Ok(LayerFacts { found, plain: Ok(plain) }),
        Err(error) if error.get_ref().is_some_and(|inner| inner.is::<Error>()) => {
            Err(Error::from_io(error, "reading layer", ""))
        }
        Err(error) => Ok(LayerFacts { found, plain: Err(chain(&error)) }),
    }
}

fn hash(plain: impl Read, diff_id: Digest) -> std::io::Result<Digest> {
    let mut hasher = Hasher::new(diff_id.algorithm());
    hasher.update_from(plain)?;
    Ok(hasher.finish())
}
