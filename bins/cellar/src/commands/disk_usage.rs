//! `cellar system df`

use anyhow::{Result, bail};
use cask_engine::{DiskUsage, ImageUsage};
use cask_program::output;
use cask_terminal::table::{Layout, Table, human_duration, human_size};
use cask_terminal::template::{Headers, Origin, is_json_format};
use cask_terminal::value::JsonStyle;
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::show;

/// Show how much space images and containers take
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Show each image
    #[arg(short, long)]
    verbose: bool,
    /// Print JSON, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

#[derive(Serialize)]
#[serde(rename = "system.dfSummary")]
struct Row {
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(rename = "Total")]
    total: usize,
    #[serde(rename = "Active")]
    active: usize,
    #[serde(rename = "RawSize")]
    raw_size: u64,
    #[serde(rename = "RawReclaimable")]
    raw_reclaimable: u64,
    #[serde(rename = "TotalCount")]
    total_count: usize,
    #[serde(rename = "Size")]
    size: String,
    #[serde(rename = "Reclaimable")]
    reclaimable: String,
}

impl Row {
    fn new(kind: &'static str, total: usize, active: usize, size: u64, reclaimable: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "whole percents are shown")]
        let percent = match size {
            0 => 0.0,
            size => reclaimable as f64 / size as f64 * 100.0,
        };
        Self {
            kind,
            total,
            active,
            raw_size: size,
            raw_reclaimable: reclaimable,
            total_count: total,
            size: human_size(size),
            reclaimable: format!("{} ({percent:.0}%)", human_size(reclaimable)),
        }
    }
}

/// Shows.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    if arguments.verbose && arguments.format.is_some() {
        bail!("cannot combine --format and --verbose flags");
    }
    let images = context.images()?;
    let usage = images.disk_usage()?;
    if arguments.verbose {
        return verbose(&usage);
    }
    let used = usage.images.iter().filter(|image| image.containers > 0).count();
    let mut rows = vec![
        Row::new("Images", usage.images.len(), used, usage.size_bytes, usage.reclaimable_bytes),
        Row::new("Containers", usage.containers, 0, 0, 0),
        Row::new("Local Volumes", 0, 0, 0, 0),
    ];
    // Podman has none, and nobody who looks for its rows is to find another among them.
    let kept = images.store().kept_blobs();
    if !kept.is_empty() {
        let bytes = kept.iter().map(|blob| blob.size_bytes).sum();
        let of_layers = kept.iter().filter(|blob| blob.is_of_layer).count();
        rows.push(Row::new("Kept Blobs", kept.len(), of_layers, bytes, bytes));
    }
    let template = arguments.format.as_deref();
    if template.is_some_and(is_json_format) {
        return show::json(&rows, JsonStyle::pretty());
    }
    let usual = "table {{.Type}} {{.Total}} {{.Active}} {{.Size}} {{.Reclaimable}}";
    let headers = Headers::from_fields(["Type", "Total", "Active", "Size", "Reclaimable"], &[]);
    show::rows("df", (template.unwrap_or(usual), Origin::List), Some(&headers), &rows)
}

fn verbose(usage: &DiskUsage) -> Result<()> {
    let mut table = Table::new([
        "REPOSITORY",
        "TAG",
        "IMAGE ID",
        "CREATED",
        "SIZE",
        "SHARED SIZE",
        "UNIQUE SIZE",
        "CONTAINERS",
    ]);
    for image in &usage.images {
        table.row(row(image));
    }
    let text = format!("Images space usage:\n\n{}", table.render(Layout::PODMAN));
    output::bytes(text.as_bytes())
}

fn row(usage: &ImageUsage) -> [String; 8] {
    let name = usage.image.names.first();
    let (repository, tag) = match name.and_then(|name| name.rsplit_once(':')) {
        Some((repository, tag)) => (repository.to_owned(), tag.to_owned()),
        None => ("<none>".to_owned(), "<none>".to_owned()),
    };
    let created = usage.image.created.map_or(0, |time| time.unix_seconds());
    let age = crate::moment::now().saturating_sub(created).max(0).unsigned_abs();
    [
        repository,
        tag,
        usage.image.id.short().to_owned(),
        human_duration(std::time::Duration::from_secs(age)),
        human_size(usage.size_bytes()),
        human_size(usage.shared_bytes),
        human_size(usage.unique_bytes),
        usage.containers.to_string(),
    ]
}
