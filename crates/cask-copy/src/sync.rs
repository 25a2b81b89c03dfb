//! Many images, brought up to date.

use std::collections::HashSet;
use std::num::NonZeroUsize;

use cask_transport::{Collection, Entry, Error, Location, Result};
use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};

use crate::{CopyOptions, Report, plan};

/// An image and the place where it shall be.
#[derive(Debug)]
pub struct SyncPair {
    /// Where it is.
    pub from: Box<dyn Location>,
    /// Where it shall be the same.
    pub to: Box<dyn Location>,
}

/// How to bring images up to date; see [`sync`].
#[derive(Clone)]
#[non_exhaustive]
pub struct SyncOptions {
    /// How each is copied. The events of all copies come mixed, and each copy numbers its own
    /// tasks.
    pub copy: CopyOptions,
    /// How many images are looked at and copied at once.
    pub parallel_images: NonZeroUsize,
    /// Nothing is written: it is only found out what would be.
    pub dry_run: bool,
}

impl SyncOptions {
    /// Copies four images at once.
    pub fn new(copy: CopyOptions) -> Self {
        const FOUR: NonZeroUsize = NonZeroUsize::new(4).expect("four is not zero");
        Self { copy, parallel_images: FOUR, dry_run: false }
    }
}

/// What became of one image.
#[derive(Debug)]
#[non_exhaustive]
pub enum SyncOutcome {
    /// The place had it already.
    Unchanged,
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
    /// Where it is.
    pub from: String,
    /// Where it shall be.
    pub to: String,
    /// What became of it.
    pub outcome: SyncOutcome,
}

/// Brings images up to date, several at once, and tells of each as soon as it is done.
///
/// An image that the destination has already, under the same name, costs no more than asking for
/// it. An image that fails does not stop the others; dropping the stream stops them all, and leaves
/// the places of what was under way as they were.
pub fn sync(pairs: Vec<SyncPair>, options: &SyncOptions) -> impl Stream<Item = Synced> + '_ {
    stream::iter(pairs)
        .map(move |pair| async move {
            let outcome = one(&pair, options).await.unwrap_or_else(SyncOutcome::Failed);
            Synced { from: pair.from.to_string(), to: pair.to.to_string(), outcome }
        })
        .buffer_unordered(options.parallel_images.get())
}

async fn one(pair: &SyncPair, options: &SyncOptions) -> Result<SyncOutcome> {
    let planned = plan(&*pair.from, &*pair.to, &options.copy).await?;
    if planned.plan().is_there {
        return Ok(SyncOutcome::Unchanged);
    }
    if options.dry_run {
        return Ok(SyncOutcome::Planned { moved_bytes: planned.plan().moved_bytes() });
    }
    planned.execute().await.map(SyncOutcome::Copied)
}

/// The names of a collection that are not among those to keep, in its order.
///
/// # Errors
/// As for listing it.
pub async fn surplus(collection: &dyn Collection, keep: &HashSet<String>) -> Result<Vec<String>> {
    let names = |entry: Entry| stream::iter(entry.names.into_iter().map(Ok));
    let is_surplus = |name: &String| std::future::ready(!keep.contains(name));
    collection.entries().map_ok(names).try_flatten().try_filter(is_surplus).try_collect().await
}
