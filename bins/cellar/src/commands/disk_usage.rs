//! `cellar system df`

use anyhow::{Result, bail};
use cask_engine::{ContainerUsage, Containers, DiskUsage, ImageUsage, Images, VolumeUsage};
use cask_image::Timestamp;
use cask_program::output;
use cask_terminal::table::{Layout, Table, human_duration, human_size};
use cask_terminal::template::{Headers, Origin, is_json_format};
use cask_terminal::value::JsonStyle;
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::show;

/// Show how much space images, containers and volumes take
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Show each image, container and volume
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
    let containers = context.containers()?;
    let images = context.images()?;
    let usage = Usage::of(&images, &containers)?;
    if arguments.verbose {
        return usage.print();
    }
    let mut rows = usage.rows();
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

/// What takes space.
struct Usage {
    images: DiskUsage,
    containers: Vec<ContainerUsage>,
    volumes: Vec<VolumeUsage>,
}

impl Usage {
    fn of(images: &Images, containers: &Containers) -> Result<Self> {
        let images = images.disk_usage()?;
        let (containers, volumes) = containers.disk_usage()?;
        Ok(Self { images, containers, volumes })
    }

    /// Source: podman, `cmd/podman/system/df.go`, `printSummary`.
    fn rows(&self) -> Vec<Row> {
        let Self { images, containers, volumes } = self;
        let used = images.images.iter().filter(|image| image.containers > 0).count();
        let is_up = |usage: &&ContainerUsage| usage.container.state.status.is_up();
        let written = |usage: &ContainerUsage| usage.written_bytes;
        let is_linked = |usage: &&VolumeUsage| usage.containers > 0;
        let size = |usage: &VolumeUsage| usage.size_bytes;
        vec![
            Row::new(
                "Images",
                images.images.len(),
                used,
                images.size_bytes,
                images.reclaimable_bytes,
            ),
            Row::new(
                "Containers",
                containers.len(),
                containers.iter().filter(is_up).count(),
                containers.iter().map(written).sum(),
                containers.iter().filter(|usage| !is_up(usage)).map(written).sum(),
            ),
            Row::new(
                "Local Volumes",
                volumes.len(),
                volumes.iter().filter(is_linked).count(),
                volumes.iter().map(size).sum(),
                volumes.iter().filter(|usage| !is_linked(usage)).map(size).sum(),
            ),
        ]
    }

    /// Each by itself.
    fn print(&self) -> Result<()> {
        let headings = "REPOSITORY,TAG,IMAGE ID,CREATED,SIZE,SHARED SIZE,UNIQUE SIZE,CONTAINERS";
        let images = table(headings, self.images.images.iter().map(row));
        let headings = "CONTAINER ID,IMAGE,COMMAND,LOCAL VOLUMES,SIZE,CREATED,STATUS,NAMES";
        let containers = table(headings, self.containers.iter().map(container_row));
        let volumes = table("VOLUME NAME,LINKS,SIZE", self.volumes.iter().map(volume_row));
        let text = format!(
            "Images space usage:\n\n{images}\nContainers space usage:\n\n{containers}\n\
             Local Volumes space usage:\n\n{volumes}"
        );
        output::bytes(text.as_bytes())
    }
}

fn table<const N: usize>(headings: &str, rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new(headings.split(','));
    rows.for_each(|row| table.row(row));
    table.render(Layout::PODMAN)
}

fn container_row(usage: &ContainerUsage) -> [String; 8] {
    let config = &usage.container.config;
    let short = |id: &str| id.get(..12).unwrap_or(id).to_owned();
    let words = config.process.entrypoint.iter().flatten().chain(&config.process.command);
    let words: Vec<&str> = words.map(String::as_str).collect();
    let created: Option<Timestamp> = config.created.parse().ok();
    [
        short(&config.id),
        short(&config.image_id),
        words.join(" "),
        usage.volumes.to_string(),
        human_size(usage.written_bytes),
        age(created),
        usage.container.state.word().to_owned(),
        config.name.clone(),
    ]
}

fn volume_row(usage: &VolumeUsage) -> [String; 3] {
    let VolumeUsage { volume, size_bytes, containers, .. } = usage;
    [volume.name.clone(), containers.to_string(), human_size(*size_bytes)]
}

/// How long ago that was.
fn age(created: Option<Timestamp>) -> String {
    let created = created.map_or(0, |time| time.unix_seconds());
    let age = crate::moment::now().saturating_sub(created).max(0).unsigned_abs();
    human_duration(std::time::Duration::from_secs(age))
}

fn row(usage: &ImageUsage) -> [String; 8] {
    let name = usage.image.names.first();
    let (repository, tag) = match name.and_then(|name| name.rsplit_once(':')) {
        Some((repository, tag)) => (repository.to_owned(), tag.to_owned()),
        None => ("<none>".to_owned(), "<none>".to_owned()),
    };
    [
        repository,
        tag,
        usage.image.id.short().to_owned(),
        age(usage.image.created),
        human_size(usage.size_bytes()),
        human_size(usage.shared_bytes),
        human_size(usage.unique_bytes),
        usage.containers.to_string(),
    ]
}
