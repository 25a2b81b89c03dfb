//! `cellar stats`

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use cask_engine::{Container, ContainerStats, Containers, ErrorKind};
use cask_image::go_duration;
use cask_program::output;
use cask_terminal::table::{binary_size, human_size};
use cask_terminal::template::{Headers, Origin, is_json_format};
use cask_terminal::value::JsonStyle;
use clap::Args;
use serde::Serialize;

use super::several;
use crate::context::Context;
use crate::show;

/// Print what containers use
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The containers [default: all that run]
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
    /// Those that do not run too
    #[arg(short, long)]
    all: bool,
    /// Print JSON, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Seconds from one report to the next
    #[arg(short, long, value_name = "SECONDS", default_value_t = 5)]
    interval: u64,
    /// Of the container that was made last
    #[arg(short, long)]
    latest: bool,
    /// Do not clear the screen before a report
    #[arg(long)]
    no_reset: bool,
    /// Print one report, and end
    #[arg(long)]
    no_stream: bool,
    /// Print whole IDs
    #[arg(long)]
    no_trunc: bool,
}

/// A row. The names of the fields are those of templates.
#[derive(Serialize)]
#[serde(rename = "containers.containerStats")]
pub(super) struct Row {
    #[serde(rename = "ID")]
    pub(super) id: String,
    #[serde(rename = "Name")]
    pub(super) name: String,
    #[serde(rename = "CPU")]
    cpu: f64,
    #[serde(rename = "CPUPerc")]
    pub(super) cpu_share: String,
    #[serde(rename = "AVGCPU")]
    cpu_average: String,
    #[serde(rename = "MemUsage")]
    pub(super) memory: String,
    #[serde(rename = "MemUsageBytes")]
    pub(super) memory_binary: String,
    #[serde(rename = "MemPerc")]
    pub(super) memory_share: String,
    #[serde(rename = "NetIO")]
    pub(super) network: String,
    #[serde(rename = "BlockIO")]
    pub(super) disks: String,
    #[serde(rename = "PIDS")]
    pub(super) processes: u64,
    #[serde(rename = "PIDs")]
    processes_too: u64,
    #[serde(rename = "UpTime")]
    time: String,
}

const FIELDS: [&str; 13] = [
    "ID",
    "Name",
    "CPU",
    "CPUPerc",
    "AVGCPU",
    "MemUsage",
    "MemUsageBytes",
    "MemPerc",
    "NetIO",
    "BlockIO",
    "PIDS",
    "PIDs",
    "UpTime",
];

const HEADERS: [(&str, &str); 9] = [
    ("CPUPerc", "CPU %"),
    ("AVGCPU", "AVG CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemUsageBytes", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET IO"),
    ("BlockIO", "BLOCK IO"),
    ("UpTime", "CPU TIME"),
    ("PIDs", "PIDS"),
];

const TABLE: &str = "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDS}}\t{{.UpTime}}\t{{.AVGCPU}}";

/// A row as JSON has it. Source: podman, `cmd/podman/containers/stats.go`, `outputJSON`.
#[derive(Serialize)]
struct Listed {
    id: String,
    name: String,
    cpu_time: String,
    cpu_percent: String,
    avg_cpu: String,
    mem_usage: String,
    mem_percent: String,
    net_io: String,
    block_io: String,
    pids: String,
}

/// What a container had used in the report before, and when that was.
pub(super) struct Before {
    id: String,
    at: Instant,
    processor: Duration,
}

/// Prints reports.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let given = [arguments.all, arguments.latest, !arguments.names.is_empty()];
    if given.iter().filter(|given| **given).count() > 1 {
        bail!("--all, --latest and containers cannot be used together");
    }
    if arguments.interval == 0 {
        bail!("interval must be a positive number of seconds");
    }
    let containers = context.containers()?;
    let mut before = Vec::new();
    loop {
        let rows = report(&containers, arguments, &mut before)?;
        if !arguments.no_stream && !arguments.no_reset {
            output::bytes(b"\x1b[2J\x1b[1;1H")?;
        }
        print(rows, arguments)?;
        if arguments.no_stream {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(Duration::from_secs(arguments.interval));
    }
}

fn report(
    containers: &Containers,
    arguments: &Arguments,
    before: &mut Vec<Before>,
) -> Result<Vec<Row>> {
    let asked = arguments.latest || !arguments.names.is_empty();
    let mut found = Vec::new();
    if arguments.latest {
        found.push(several::one(containers, None, true)?);
    } else if asked {
        for name in &arguments.names {
            found.push(containers.find(name)?);
        }
    } else {
        found = containers.all(|_| ())?;
        found.retain(|container| arguments.all || container.state.status.is_up());
        found.sort_by(|a, b| b.config.created.cmp(&a.config.created));
    }
    let mut rows = Vec::new();
    let mut now = Vec::new();
    for container in &found {
        let stats = match containers.stats(container) {
            Ok(stats) => stats,
            // It ended meanwhile, or nobody counts for it.
            Err(error) if !asked && error.kind() == ErrorKind::Unsupported => continue,
            Err(error) => return Err(error.into()),
        };
        let last = before.iter().find(|before| before.id == container.id());
        rows.push(row(container, &stats, last, arguments.no_trunc));
        let id = container.id().to_owned();
        now.push(Before { id, at: Instant::now(), processor: stats.processor });
    }
    *before = now;
    Ok(rows)
}

pub(super) fn row(
    container: &Container,
    stats: &ContainerStats,
    last: Option<&Before>,
    whole: bool,
) -> Row {
    let share = |used: Duration, of: Duration| match of.as_secs_f64() {
        0.0 => 0.0,
        seconds => used.as_secs_f64() * 100.0 / seconds,
    };
    let average = share(stats.processor, stats.up);
    let since_last =
        last.map(|last| share(stats.processor.saturating_sub(last.processor), last.at.elapsed()));
    let cpu = since_last.unwrap_or(average);
    #[expect(clippy::cast_precision_loss, reason = "it is shown with two digits")]
    let memory_share = match stats.memory_limit_bytes {
        0 => 0.0,
        most => stats.memory_bytes as f64 * 100.0 / most as f64,
    };
    let pair = |a: u64, b: u64| format!("{} / {}", human_size(a), human_size(b));
    let (used, most) = (stats.memory_bytes, stats.memory_limit_bytes);
    Row {
        id: container.id().chars().take(if whole { 64 } else { 12 }).collect(),
        name: container.name().to_owned(),
        cpu,
        cpu_share: format!("{cpu:.2}%"),
        cpu_average: format!("{average:.2}%"),
        memory: pair(used, most),
        memory_binary: format!("{} / {}", binary_size(used), binary_size(most)),
        memory_share: format!("{memory_share:.2}%"),
        network: pair(stats.received_bytes, stats.sent_bytes),
        disks: pair(stats.read_bytes, stats.written_bytes),
        processes: stats.processes,
        processes_too: stats.processes,
        time: go_duration(stats.processor),
    }
}

fn print(rows: Vec<Row>, arguments: &Arguments) -> Result<()> {
    let template = arguments.format.as_deref().filter(|format| !format.is_empty());
    if template.is_some_and(is_json_format) {
        let listed = |row: Row| Listed {
            id: row.id,
            name: row.name,
            cpu_time: row.time,
            cpu_percent: row.cpu_share,
            avg_cpu: row.cpu_average,
            mem_usage: row.memory,
            mem_percent: row.memory_share,
            net_io: row.network,
            block_io: row.disks,
            pids: row.processes.to_string(),
        };
        let listed: Vec<Listed> = rows.into_iter().map(listed).collect();
        return show::json(&listed, JsonStyle::indented(1));
    }
    let headers = Headers::from_fields(FIELDS, &HEADERS);
    show::rows("stats", (template.unwrap_or(TABLE), Origin::List), Some(&headers), &rows)
}
