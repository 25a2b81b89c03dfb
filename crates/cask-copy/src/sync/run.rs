//! Sets of images, from their listing to the report.

use std::collections::HashSet;

use cask_transport::{Error, Result};
use futures_util::stream::{self, StreamExt as _};

use super::prune::{self, Listing};
use super::set::SyncImage;
use super::{OnFailure, SyncOptions, SyncOutcome, SyncSet, SyncTarget, Synced, sync};

/// How many places are listed at once.
const LISTINGS: usize = 4;

/// Something that happened in [`sync_sets`].
#[derive(Debug)]
#[non_exhaustive]
pub enum SyncEvent<'e> {
    /// All places were listed: so many images will be looked at.
    Listed {
        /// How many images.
        images: usize,
    },
    /// The images of a place are not known; the rest goes on.
    ListingFailed {
        /// The place.
        place: &'e str,
        /// Why.
        error: &'e Error,
    },
    /// A place has none of the images that are wanted.
    NothingFound {
        /// The place.
        place: &'e str,
    },
    /// An image is done.
    Done(&'e Synced),
    /// A name was taken away at the destination, or would be.
    Removed {
        /// The image, by that name.
        name: &'e str,
    },
}

/// What [`sync_sets`] did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct SyncReport {
    /// The images that were looked at, in the order of the sets and of their places.
    pub images: Vec<Synced>,
    /// How many images were not looked at, because another failed.
    pub untried: usize,
    /// The places whose images are not known, and why.
    pub unlisted: Vec<(String, Error)>,
    /// The places that have none of the images that are wanted.
    pub empty: Vec<String>,
    /// The images whose names were taken away, or would be.
    pub removed: Vec<String>,
    /// How many sets had images.
    pub sets: usize,
}

impl SyncReport {
    /// How many images came to such an end.
    pub fn count(&self, is_counted: impl Fn(&SyncOutcome) -> bool) -> usize {
        self.images.iter().filter(|synced| is_counted(&synced.outcome)).count()
    }

    /// The first image that failed, with its error.
    pub fn first_failure(&self) -> Option<(&Synced, &Error)> {
        self.images.iter().find_map(|synced| match &synced.outcome {
            SyncOutcome::Failed(error) => Some((synced, error)),
            _ => None,
        })
    }

    /// Whether every image that is wanted is where it should be, or would be.
    pub fn is_complete(&self) -> bool {
        self.untried == 0 && self.unlisted.is_empty() && self.first_failure().is_none()
    }

    /// How many bytes of blobs were written, or would be.
    pub fn moved_bytes(&self) -> u64 {
        let bytes = self.images.iter().map(|synced| match &synced.outcome {
            SyncOutcome::Copied(report) => report.moved_bytes,
            SyncOutcome::Planned { moved_bytes } => *moved_bytes,
            _ => 0,
        });
        bytes.fold(0, u64::saturating_add)
    }
}

/// Brings sets of images up to date: lists them, copies what is missing or another, and, with
/// [`SyncOptions::prune`], takes away what the source no longer has.
///
/// Only names that a set would give, with its filter and the suffix, are ever taken away; only of
/// sets that are listed whole and have images; and only if everything else succeeded.
///
/// What fails after the listing is in the report.
///
/// # Errors
/// Of listing, unless it keeps going; `InvalidLocation` if two images would have the
/// same name at the destination, or one cannot have its own; `Unsupported` if the destination
/// cannot be pruned; those of pruning.
pub async fn sync_sets(
    sets: &[SyncSet],
    target: &SyncTarget,
    options: &SyncOptions,
    mut told: impl FnMut(SyncEvent<'_>),
) -> Result<SyncReport> {
    let mut report = SyncReport::default();
    let (mut images, mut listings) = (Vec::new(), Vec::new());
    let mut listed =
        stream::iter(sets).map(|set| async move { (set, set.images().await) }).buffered(LISTINGS);
    while let Some((set, found)) = listed.next().await {
        let found = take(set, found, options.on_failure, &mut report, &mut told)?;
        if let Some(filter) = set.is_listed().filter(|_| !found.is_empty()) {
            listings.push(Listing { set, filter });
        }
        report.sets += usize::from(!found.is_empty());
        images.extend(found);
    }
    drop(listed);
    if options.prune {
        prune::check(target, &listings)?;
    }
    let pairs = target.pairs(images)?;
    told(SyncEvent::Listed { images: pairs.len() });
    let keep: HashSet<String> = pairs.iter().map(|pair| pair.to.to_string()).collect();
    let mut options = options.clone();
    if target.is_one_place {
        options.parallel_images = std::num::NonZeroUsize::MIN;
    }
    let all = pairs.len();
    let mut running = Box::pin(sync(pairs, &options));
    while let Some(synced) = running.next().await {
        told(SyncEvent::Done(&synced));
        let failed = matches!(synced.outcome, SyncOutcome::Failed(_));
        report.images.push(synced);
        if failed && options.on_failure == OnFailure::Stop {
            break;
        }
    }
    drop(running);
    report.untried = all - report.images.len();
    report.images.sort_by_key(|synced| synced.number);
    if options.prune && report.is_complete() {
        report.removed = prune::prune(target, &listings, &keep, options.dry_run).await?;
        report.removed.iter().for_each(|name| told(SyncEvent::Removed { name }));
    }
    Ok(report)
}

/// Puts down what became of a listing.
fn take(
    set: &SyncSet,
    found: Result<Vec<SyncImage>>,
    on_failure: OnFailure,
    report: &mut SyncReport,
    told: &mut impl FnMut(SyncEvent<'_>),
) -> Result<Vec<SyncImage>> {
    let place = set.place.as_str();
    match found {
        Ok(found) => {
            if found.is_empty() {
                told(SyncEvent::NothingFound { place });
                report.empty.push(place.to_owned());
            }
            Ok(found)
        }
        Err(error) if on_failure == OnFailure::KeepGoing => {
            told(SyncEvent::ListingFailed { place, error: &error });
            report.unlisted.push((place.to_owned(), error));
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}
