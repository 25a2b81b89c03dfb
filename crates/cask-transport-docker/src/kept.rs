//! Blobs that are read, and kept as far as they have come, for when the process dies.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cask_image::{Descriptor, LayerCompression};
use cask_reference::Digest;
use cask_registry::{BlobStream, Repository};
use cask_transfer::{Compressed, Hint, PIECE_BYTES, Partial, Transfers};
use cask_transport::{Result, blocking};
use tokio::task::JoinHandle;

use crate::error::of_registry;
use crate::uploads::COMPRESSIONS;

/// Blobs below this size are not kept: 4 MiB.
const LEAST_BYTES: u64 = 4 << 20;

/// After how many bytes of a blob it is decided whether it is worth keeping: 2 MiB.
const DECISION_BYTES: usize = 2 << 20;

/// A blob that will be here sooner is not kept: on a fast network, keeping it costs more than
/// reading it again now and then.
const LEAST_TIME: Duration = Duration::from_secs(2);

/// Nobody is believed to go on faster than this: 512 MiB a second.
const MOST_PER_SECOND: f64 = (512 << 20) as f64;

/// Blobs up to this size are not remembered: mounting one saves nothing.
pub(crate) const UNREMEMBERED_BYTES: u64 = 64 << 10;

/// What is kept of the blobs of one opened place.
///
/// Whole blobs are kept, too, until all that were begun are whole: whoever lost one of them will
/// want the others again.
pub(crate) struct Keeping {
    transfers: Transfers,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    unfinished: HashSet<Digest>,
    whole: Vec<Partial>,
    /// Blobs that need not be read any more, by nobody.
    settled: Vec<Digest>,
    seen: Vec<Hint>,
    /// How blobs are compressed, as their first bytes tell.
    compressions: HashMap<Digest, LayerCompression>,
}

impl Keeping {
    pub(crate) fn new(transfers: Transfers) -> Arc<Self> {
        Arc::new(Self { transfers, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a blob, where an earlier process stopped if one did.
    pub(crate) async fn open(
        self: &Arc<Self>,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<KeptBlob> {
        let Descriptor { digest, size, .. } = descriptor;
        let mut blob = KeptBlob {
            keeping: Arc::clone(self),
            repository: repository.clone(),
            digest: digest.clone(),
            size: *size,
            position: 0,
            kept: None,
            stream: None,
            keep: Keep::No,
            held: Held::default(),
        };
        if *size >= LEAST_BYTES {
            let (transfers, digest, size) = (self.transfers.clone(), digest.clone(), *size);
            blob.kept = blocking(move || Ok(transfers.partial(&digest, size))).await?;
        }
        if blob.kept.is_none() {
            blob.ask().await?;
            if *size >= LEAST_BYTES {
                blob.keep = Keep::Undecided(Instant::now());
            }
        }
        self.state().unfinished.insert(digest.clone());
        Ok(blob)
    }

    /// Remembers a compressed layer as a form of the plain one that it was found to be.
    pub(crate) fn learn_unpacked(&self, layer: &Descriptor, diff_id: &Digest) {
        let mut state = self.state();
        let Some(found) = state.compressions.get(&layer.digest) else { return };
        let Some((_, by)) = COMPRESSIONS.iter().find(|(known, _)| known == found) else { return };
        let Descriptor { digest, size, .. } = layer.clone();
        let compressed = Compressed { digest, size, by: (*by).to_owned() };
        state.seen.push(Hint::Form { diff_id: diff_id.clone(), compressed });
    }

    /// Takes note that a blob is where it was to go: others may have brought it there, and what an earlier process has
    /// kept of it was never read.
    pub(crate) fn settle(&self, blob: &Descriptor) {
        self.state().settled.push(blob.digest.clone());
    }

    fn finish(&self, blob: &KeptBlob, whole: Option<Partial>) {
        let mut state = self.state();
        state.unfinished.remove(&blob.digest);
        state.whole.extend(whole);
        if blob.size > UNREMEMBERED_BYTES {
            let (digest, repository) = (blob.digest.clone(), blob.repository.name().clone());
            state.seen.push(Hint::Place { digest, repository });
        }
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        let State { unfinished, whole, settled, seen, .. } = std::mem::take(&mut *self.state());
        if unfinished.is_empty() {
            whole.iter().for_each(Partial::remove);
        }
        settled.iter().for_each(|digest| self.transfers.forget_partial(digest));
        if !seen.is_empty() {
            self.transfers.remember(&seen);
        }
    }
}

/// A blob that is read from a registry, and kept.
pub(crate) struct KeptBlob {
    keeping: Arc<Keeping>,
    repository: Repository,
    digest: Digest,
    size: u64,
    position: u64,
    /// What an earlier process has kept, until all of it was given.
    kept: Option<Partial>,
    /// What comes from the registry, once it was asked.
    stream: Option<BlobStream>,
    keep: Keep,
    /// Given, and not kept yet.
    held: Held,
}

/// Whether what comes is kept.
enum Keep {
    No,
    /// That will show by how fast it comes. Since then it does.
    Undecided(Instant),
    Yes(Partial),
    /// A piece is being written. It ends with nothing if that failed.
    Writing(JoinHandle<Option<Partial>>),
}

impl KeptBlob {
    /// The next bytes; `None` at the end.
    pub(crate) async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        if let Some(mut kept) = self.kept.take() {
            let (piece, kept) = blocking(move || Ok((kept.next(), kept))).await?;
            if let Some(piece) = piece {
                self.detect(&piece);
                self.position += piece.len() as u64;
                self.kept = Some(kept);
                return Ok(Some((piece, self)));
            }
            self.keep = Keep::Yes(kept);
        }
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => self.ask().await?,
        };
        let Some(chunk) = stream.chunk().await.map_err(of_registry)? else {
            let whole = self.whole().await;
            self.keeping.finish(&self, whole);
            return Ok(None);
        };
        self.detect(&chunk);
        self.position += chunk.len() as u64;
        self.take(&chunk).await;
        Ok(Some((chunk, self)))
    }

    /// Looks at the first bytes: what a media type says of them may not be so.
    fn detect(&self, chunk: &[u8]) {
        if self.position > 0 {
            return;
        }
        let found = match chunk {
            [0x1f, 0x8b, 0x08, ..] => LayerCompression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => LayerCompression::Zstd,
            _ => return,
        };
        self.keeping.state().compressions.insert(self.digest.clone(), found);
    }

    async fn ask(&mut self) -> Result<&mut BlobStream> {
        let stream = self.repository.blob(&self.digest, Some(self.size), self.position);
        Ok(self.stream.insert(stream.await.map_err(of_registry)?))
    }

    /// Keeps a chunk, or holds it until there is enough of them.
    async fn take(&mut self, chunk: &Bytes) {
        if matches!(self.keep, Keep::No) {
            return;
        }
        self.held.push(chunk.clone());
        if let Keep::Undecided(since) = self.keep
            && self.held.length >= DECISION_BYTES
        {
            self.decide(since.elapsed()).await;
        }
        while self.held.length >= PIECE_BYTES && self.is_kept() {
            let piece = self.held.take(PIECE_BYTES);
            self.write(piece).await;
        }
    }

    fn is_kept(&self) -> bool {
        matches!(self.keep, Keep::Yes(_) | Keep::Writing(_))
    }

    async fn decide(&mut self, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64().max(self.held.length as f64 / MOST_PER_SECOND);
        let expected = seconds * self.size as f64 / self.held.length as f64;
        self.keep = Keep::No;
        if expected >= LEAST_TIME.as_secs_f64() {
            let (transfers, digest) = (self.keeping.transfers.clone(), self.digest.clone());
            let size = self.size;
            let begun = blocking(move || Ok(transfers.begin_partial(&digest, size))).await;
            if let Ok(Some(partial)) = begun {
                self.keep = Keep::Yes(partial);
            }
        }
        if matches!(self.keep, Keep::No) {
            self.held = Held::default();
        }
    }

    /// Has a piece written while the next one comes.
    async fn write(&mut self, piece: Vec<Bytes>) {
        let Some(mut partial) = self.written().await else {
            self.held = Held::default();
            return;
        };
        self.keep =
            Keep::Writing(tokio::task::spawn_blocking(move || match partial.append(&piece) {
                Ok(()) => Some(partial),
                Err(_) => {
                    partial.remove();
                    None
                }
            }));
    }

    /// Waits for the piece that is being written. Nothing is kept after this.
    async fn written(&mut self) -> Option<Partial> {
        match std::mem::replace(&mut self.keep, Keep::No) {
            Keep::No | Keep::Undecided(_) => None,
            Keep::Yes(partial) => Some(partial),
            Keep::Writing(task) => task.await.ok().flatten(),
        }
    }

    /// Keeps what is left at the end of the blob.
    async fn whole(&mut self) -> Option<Partial> {
        if self.held.length > 0 && self.is_kept() {
            let rest = self.held.take(self.held.length);
            self.write(rest).await;
        }
        self.written().await
    }
}

/// Chunks that wait.
#[derive(Default)]
struct Held {
    chunks: std::collections::VecDeque<Bytes>,
    length: usize,
}

impl Held {
    fn push(&mut self, chunk: Bytes) {
        self.length += chunk.len();
        self.chunks.push_back(chunk);
    }

    /// Takes so many bytes from the front.
    fn take(&mut self, bytes: usize) -> Vec<Bytes> {
        let mut taken = Vec::new();
        let mut missing = bytes.min(self.length);
        self.length -= missing;
        while missing > 0 {
            let Some(mut chunk) = self.chunks.pop_front() else { break };
            if chunk.len() > missing {
                self.chunks.push_front(chunk.split_off(missing));
            }
            missing -= chunk.len();
            taken.push(chunk);
        }
        taken
    }
}
