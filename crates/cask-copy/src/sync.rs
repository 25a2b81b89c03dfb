//! Many images, brought up to date.

mod current;
mod digest_tags;
mod document;
mod prune;
mod run;
mod select;
mod set;
mod target;
mod tree;
mod version;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cask_image::Digest;
use cask_transport::{Error, ErrorKind, Event, EventSink, Location, Result, TaskId, blocking};
use futures_util::stream::{self, Stream, StreamExt as _};

use crate::copy::{Existence, plan_at};
use crate::locks::DigestLocks;
use crate::{CopyOptions, Report};
use current::{Glance, glance};

pub use digest_tags::{digest_tags, place_of};
pub use document::{
    DocumentError, MAX_SYNC_DOCUMENT_BYTES, SyncCredentials, SyncDocument, SyncRegistry,
    SyncRepository,
};
pub use prune::surplus;
pub use run::{SyncEvent, SyncReport, sync_sets};
pub use select::{NameFilter, NamePattern, PatternError, PatternErrorKind};
pub use set::{SyncSet, Wanted, name_within};
pub use target::SyncTarget;
pub use tree::directories_with;
pub use version::VersionConstraint;

/// An image and the place where it shall be.
#[derive(Debug)]
pub struct SyncPair {
    /// Where it is.
    pub from: Box<dyn Location>,
    /// Where it shall be the same.
    pub to: Box<dyn Location>,
    /// A directory that the place needs: it is made, with those above it, if it does not exist.
    pub parent: Option<PathBuf>,
}

/// How to bring images up to date; see [`sync`] and [`sync_sets`].
#[derive(Clone)]
#[non_exhaustive]
pub struct SyncOptions {
    /// How each is copied. The events of all copies come mixed; no two copies number their tasks
    /// alike.
    pub copy: CopyOptions,
    /// How many images are looked at and copied at once.
    pub parallel_images: NonZeroUsize,
    /// Nothing is written: it is only found out what would be.
    pub dry_run: bool,
    /// What happens after one failed. [`sync`] never stops by itself.
    pub on_failure: OnFailure,
    /// Where [`ExistingImage::Refused`](crate::ExistingImage::Refused) keeps what is there, that is
    /// no failure.
    pub skip_existing: bool,
    /// Names that the destination has of a set and its source no longer are taken away.
    pub prune: bool,
}

impl SyncOptions {
    /// Copies four images at once, stops at the first that fails, and removes nothing.
    pub fn new(copy: CopyOptions) -> Self {
        const FOUR: NonZeroUsize = NonZeroUsize::new(4).expect("four is not zero");
        Self {
            copy,
            parallel_images: FOUR,
            dry_run: false,
            on_failure: OnFailure::Stop,
            skip_existing: false,
            prune: false,
        }
    }
}

/// What happens to the other images after one failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// They are stopped, or not begun.
    #[default]
    Stop,
    /// They go on.
    KeepGoing,
}

/// What became of one image.
#[derive(Debug)]
#[non_exhaustive]
pub enum SyncOutcome {
    /// The place had it already.
    Unchanged {
        /// The digest of its top manifest.
        digest: Digest,
    },
    /// The place has another of that name, which [`SyncOptions::skip_existing`] keeps.
    Kept(Error),
    /// It was copied.
    Copied(Report),
    /// It would be copied; so many bytes would move.
    Planned {
        /// How many bytes, as in [`Plan::moved_bytes`](crate::Plan::moved_bytes).
        moved_bytes: u64,
    },
    /// It was not copied; the place is as it was.
    Failed(Error),
}

/// One image of [`sync`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Synced {
    /// Its place in the list, from zero.
    pub number: usize,
    /// Where it is.
    pub from: String,
    /// Where it shall be.
    pub to: String,
    /// What became of it.
    pub outcome: SyncOutcome,
}

/// Brings images up to date, several at once, and tells of each as soon as it is done.
///
/// An image that the destination has already, under the same name, costs no more than asking both
/// sides for its digest, as long as nothing is asked for that would change it. An image that fails
/// does not stop the others; dropping the stream stops them all, and leaves the places of what was
/// under way as they were.
pub fn sync(pairs: Vec<SyncPair>, options: &SyncOptions) -> impl Stream<Item = Synced> + '_ {
    let images = DigestLocks::default();
    stream::iter(pairs.into_iter().enumerate())
        .map(move |(number, pair)| (number, pair, images.clone()))
        .map(move |(number, pair, images)| async move {
            let images = &images;
            let outcome = one(number, &pair, options, images)
                .await
                .unwrap_or_else(|error| failed(error, options));
            Synced { number, from: pair.from.to_string(), to: pair.to.to_string(), outcome }
        })
        .buffer_unordered(options.parallel_images.get())
}

fn failed(error: Error, options: &SyncOptions) -> SyncOutcome {
    match error.kind() {
        ErrorKind::AlreadyExists if options.skip_existing => SyncOutcome::Kept(error),
        _ => SyncOutcome::Failed(error),
    }
}

async fn one(
    number: usize,
    pair: &SyncPair,
    options: &SyncOptions,
    images: &DigestLocks,
) -> Result<SyncOutcome> {
    let Glance { digest, is_there } = glance(pair, &options.copy).await?;
    if is_there {
        return Ok(SyncOutcome::Unchanged { digest });
    }
    // An image often has several tags: the second finds what the first has brought.
    let _locked = images.lock(&digest).await;
    let mut copy = options.copy.clone();
    copy.events = Arc::new(Numbered { number: number as u64, events: copy.events });
    let existence = prepare(pair.parent.as_deref(), options.dry_run).await?;
    let planned = plan_at(&*pair.from, &*pair.to, &copy, existence).await?;
    if planned.plan().is_there {
        return Ok(SyncOutcome::Unchanged { digest: planned.top_digest().clone() });
    }
    if options.dry_run {
        return Ok(SyncOutcome::Planned { moved_bytes: planned.plan().moved_bytes() });
    }
    planned.execute().await.map(SyncOutcome::Copied)
}

/// Makes the directory that the place is in, or tells that there is none.
async fn prepare(parent: Option<&Path>, dry_run: bool) -> Result<Existence> {
    let Some(parent) = parent.map(Path::to_owned) else { return Ok(Existence::Possible) };
    blocking(move || match dry_run {
        true if !parent.is_dir() => Ok(Existence::Impossible),
        true => Ok(Existence::Possible),
        false => std::fs::create_dir_all(&parent)
            .map(|()| Existence::Possible)
            .map_err(|error| Error::from_io(error, "creating", parent.display())),
    })
    .await
}

/// Keeps apart the tasks of copies that run at the same time.
struct Numbered {
    number: u64,
    events: Arc<dyn EventSink>,
}

/// More tasks than one copy has.
const TASKS_OF_A_COPY: u64 = 1 << 32;

impl EventSink for Numbered {
    fn send(&self, event: Event) {
        let renumbered =
            |task: TaskId| TaskId(self.number.wrapping_mul(TASKS_OF_A_COPY).wrapping_add(task.0));
        self.events.send(match event {
            Event::Started { task, kind, total_bytes } => {
                Event::Started { task: renumbered(task), kind, total_bytes }
            }
            Event::Advanced { task, bytes } => Event::Advanced { task: renumbered(task), bytes },
            Event::Finished { task, outcome } => {
                Event::Finished { task: renumbered(task), outcome }
            }
            other => other,
        });
    }
}
