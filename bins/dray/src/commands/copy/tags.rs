//! Copies of several tags.

use anyhow::{Context as _, Result, bail};
use cask::copy::{
    CopyOptions, Instances, NameFilter, OnFailure, SyncOptions, SyncSet, SyncTarget, Wanted,
    place_of, sync_sets,
};
use cask::transport::{Location, Transports};

use super::Arguments;
use crate::context::Context;
use crate::options;
use crate::synced::{self, ReportChoice};

/// Copies every tag of a repository or layout.
pub(super) async fn all(
    arguments: &Arguments,
    context: &Context,
    sources: &Transports,
    destinations: &Transports,
) -> Result<()> {
    let from = arguments.source_image.trim_end_matches(':').to_owned();
    let to = arguments.destination_image.trim_end_matches(':').to_owned();
    check(&from, sources).with_context(|| format!("Invalid source name {from}"))?;
    check(&to, destinations).with_context(|| format!("Invalid destination name {to}"))?;
    let scheme = to.split(':').next().unwrap_or_default();
    let progress = arguments.progress.start(arguments.quiet);
    let copy = options::copy::resolve(arguments, context, scheme, progress.sink("Copying"))?;
    let mut sync = SyncOptions::new(copy);
    sync.dry_run = arguments.dry_run;
    sync.skip_existing = arguments.no_clobber;
    let wanted = Wanted::Listed(NameFilter::All);
    let set = SyncSet { transports: sources.clone(), place: from, name: String::new(), wanted };
    let mut target = SyncTarget::new(destinations.clone(), to.as_str());
    target.is_one_place = scheme.ends_with("-archive");
    let told = synced::teller(&progress, OnFailure::Stop, arguments.quiet);
    let done = sync_sets(&[set], &target, &sync, told).await?;
    progress.finish();
    if done.images.is_empty() {
        bail!("No images to copy found in {:?}", arguments.source_image);
    }
    if let Some(file) = arguments.digestfile.as_ref().filter(|_| !arguments.dry_run) {
        synced::write_digests(file, &done)?;
    }
    let report = if arguments.quiet { ReportChoice::None } else { ReportChoice::Text };
    report.print(&done, arguments.dry_run)?;
    synced::result(done, OnFailure::Stop)
}

/// Fails if a place is the name of an image already: its tags are put behind it.
fn check(place: &str, transports: &Transports) -> Result<()> {
    const TAG: &str = "a-tag";
    transports.parse(place)?;
    let is_place = match transports.parse(&format!("{place}:{TAG}")) {
        Ok(image) => image.reference().is_some() || image.name().is_none_or(|name| name == TAG),
        Err(_) => false,
    };
    if !is_place {
        bail!("--all-tags copies every tag: no tag or digest is allowed in {place:?}");
    }
    Ok(())
}

/// Copies the tags that are about an image, after it, from beside it to beside it.
pub(super) async fn beside(
    tags: Vec<String>,
    (from, sources): (&dyn Location, &Transports),
    (to, destinations): (&dyn Location, &Transports),
    options: &CopyOptions,
) -> Result<()> {
    if tags.is_empty() {
        return Ok(());
    }
    let set = SyncSet {
        transports: sources.clone(),
        place: place_of(from),
        name: String::new(),
        wanted: Wanted::These(tags),
    };
    let mut copy = options.clone();
    copy.instances = Instances::All;
    copy.attached.referrers = false;
    let target = SyncTarget::new(destinations.clone(), place_of(to));
    let done = sync_sets(&[set], &target, &SyncOptions::new(copy), |_| {}).await?;
    synced::result(done, OnFailure::Stop)
}
