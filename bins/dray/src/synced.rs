//! What is said of many images that were brought up to date.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use cask::copy::{OnFailure, SyncEvent, SyncOutcome, SyncReport, Synced};
use cask_program::progress::Progress;
use cask_program::{output, report};
use cask_terminal::report::error_text;
use cask_terminal::table::{Layout, Table};
use clap::ValueEnum;
use serde::Serialize;

/// How to report at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportChoice {
    /// A line for each image, and the sums
    Text,
    /// A JSON object
    Json,
    /// Nothing
    None,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Report<'r> {
    dry_run: bool,
    images: Vec<Image<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unlisted: Vec<Unlisted<'r>>,
    removed: &'r [String],
    summary: Summary,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Image<'r> {
    from: &'r str,
    to: &'r str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    moved_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Unlisted<'r> {
    place: &'r str,
    error: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Summary {
    copied: usize,
    unchanged: usize,
    kept: usize,
    planned: usize,
    failed: usize,
    untried: usize,
    removed: usize,
    moved_bytes: u64,
}

impl Summary {
    fn new(done: &SyncReport) -> Self {
        Self {
            copied: done.count(|outcome| matches!(outcome, SyncOutcome::Copied(_))),
            unchanged: done.count(|outcome| matches!(outcome, SyncOutcome::Unchanged { .. })),
            kept: done.count(|outcome| matches!(outcome, SyncOutcome::Kept(_))),
            planned: done.count(|outcome| matches!(outcome, SyncOutcome::Planned { .. })),
            failed: done.count(|outcome| matches!(outcome, SyncOutcome::Failed(_))),
            untried: done.untried,
            removed: done.removed.len(),
            moved_bytes: done.moved_bytes(),
        }
    }
}

impl<'r> Image<'r> {
    fn new(synced: &'r Synced) -> Self {
        let mut image = Self {
            from: &synced.from,
            to: &synced.to,
            outcome: word(&synced.outcome),
            digest: digest(&synced.outcome),
            moved_bytes: 0,
            error: None,
        };
        match &synced.outcome {
            SyncOutcome::Copied(report) => image.moved_bytes = report.moved_bytes,
            SyncOutcome::Planned { moved_bytes } => image.moved_bytes = *moved_bytes,
            SyncOutcome::Failed(error) | SyncOutcome::Kept(error) => {
                image.error = Some(error_text(error));
            }
            _ => {}
        }
        image
    }
}

fn word(outcome: &SyncOutcome) -> &'static str {
    match outcome {
        SyncOutcome::Copied(_) => "copied",
        SyncOutcome::Unchanged { .. } => "unchanged",
        SyncOutcome::Kept(_) => "kept",
        SyncOutcome::Planned { .. } => "would be copied",
        _ => "failed",
    }
}

/// The digest of what is at the destination.
fn digest(outcome: &SyncOutcome) -> Option<String> {
    match outcome {
        SyncOutcome::Copied(report) => Some(report.manifest.digest().to_string()),
        SyncOutcome::Unchanged { digest } => Some(digest.to_string()),
        _ => None,
    }
}

impl ReportChoice {
    /// Prints what was done.
    pub(crate) fn print(self, done: &SyncReport, dry_run: bool) -> Result<()> {
        let images = done.images.iter().map(Image::new).collect::<Vec<_>>();
        let summary = Summary::new(done);
        match self {
            Self::None => Ok(()),
            Self::Json => {
                let unlisted = done.unlisted.iter();
                let unlisted = unlisted
                    .map(|(place, error)| Unlisted { place, error: error_text(error) })
                    .collect();
                output::json(&Report { dry_run, images, unlisted, removed: &done.removed, summary })
            }
            Self::Text => {
                let mut table = Table::new(["OUTCOME", "BYTES", "FROM", "TO"]);
                for Image { from, to, outcome, moved_bytes, .. } in images {
                    let bytes = moved_bytes.to_string();
                    table.row([outcome.to_owned(), bytes, from.to_owned(), to.to_owned()]);
                }
                let removed = if dry_run { "would be removed" } else { "removed" };
                for name in &done.removed {
                    table.row([removed.to_owned(), "0".to_owned(), String::new(), name.clone()]);
                }
                if !done.images.is_empty() {
                    output::bytes(table.render(Layout::PODMAN).as_bytes())?;
                }
                output::line(&sums(&summary, done, dry_run))
            }
        }
    }
}

/// The last line; its beginning is skopeo's.
fn sums(summary: &Summary, done: &SyncReport, dry_run: bool) -> String {
    let Summary { copied, unchanged, kept, planned, failed, untried, removed, moved_bytes } =
        summary;
    let synced = copied + unchanged + kept + planned;
    let verb = if dry_run { "Would have synced" } else { "Synced" };
    let mut line = format!("{verb} {synced} images from {} sources: ", done.sets);
    let parts = [
        (*copied, "copied"),
        (*planned, "to copy"),
        (*unchanged, "unchanged"),
        (*kept, "kept"),
        (*removed, if dry_run { "to remove" } else { "removed" }),
        (*failed, "failed"),
        (*untried, "not tried"),
        (done.unlisted.len(), "sources not listed"),
    ];
    for (count, what) in parts.iter().filter(|(count, _)| *count > 0) {
        line += &format!("{count} {what}, ");
    }
    line + &format!("{moved_bytes} bytes")
}

/// Tells of each image as soon as it is done.
pub(crate) fn teller(
    progress: &Progress,
    on_failure: OnFailure,
    quiet: bool,
) -> impl FnMut(SyncEvent<'_>) {
    let (mut done, mut all) = (0, 0);
    move |event| match event {
        SyncEvent::Listed { images } => all = images,
        SyncEvent::NothingFound { place } => {
            report::note(&format!("No refs to sync found in {place}"));
        }
        SyncEvent::ListingFailed { place, error } => {
            report::note(&format!("Error processing {place}: {}", error_text(error)));
        }
        SyncEvent::Done(Synced { from, to, outcome, .. }) => {
            done += 1;
            match outcome {
                // It is what the command ends with.
                SyncOutcome::Failed(_) if on_failure == OnFailure::Stop => {}
                SyncOutcome::Failed(error) => {
                    report::note(&format!("Error copying ref {from:?}: {}", error_text(error)));
                }
                _ if quiet => {}
                _ => {
                    let word = word(outcome);
                    progress.print(&format!("Image ref {done}/{all} {word}: {from} to {to}"));
                }
            }
        }
        _ => {}
    }
}

/// Writes a line for each image that is at the destination.
///
/// Source: skopeo-sync(1), `--digestfile`.
pub(crate) fn write_digests(file: &Path, done: &SyncReport) -> Result<()> {
    let line =
        |synced: &Synced| digest(&synced.outcome).map(|digest| format!("{digest} {}\n", synced.to));
    let lines: String = done.images.iter().filter_map(line).collect();
    std::fs::write(file, lines).with_context(|| format!("writing {}", file.display()))
}

/// The error of what was not done. The words are skopeo's.
pub(crate) fn result(done: SyncReport, on_failure: OnFailure) -> Result<()> {
    if done.is_complete() {
        return Ok(());
    }
    let failed = done.images.into_iter().find_map(|synced| match synced.outcome {
        SyncOutcome::Failed(error) => Some((synced.from, error)),
        _ => None,
    });
    match failed {
        Some((from, error)) if on_failure == OnFailure::Stop => {
            Err(anyhow!(error).context(format!("Error copying ref {from:?}")))
        }
        _ => Err(anyhow!("Sync failed due to previous reported error(s) for one or more images")),
    }
}
