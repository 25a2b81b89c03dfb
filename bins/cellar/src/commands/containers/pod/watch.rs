//! `cellar pod logs`, `cellar pod stats` and `cellar pod top`

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use cask_engine::{Container, Containers, Pod, TOP_FIELDS, parse_top_fields};
use cask_program::output;
use cask_terminal::table::Layout;
use cask_terminal::template::{Headers, Origin, is_json_format};
use cask_terminal::value::JsonStyle;
use clap::Args;
use serde::Serialize;

use super::super::{logs, stats};
use super::which::Which;
use crate::context::Context;
use crate::show;

/// Print what the containers of a pod printed
#[derive(Args, Debug)]
pub(crate) struct LogsArguments {
    /// The pod
    pod: Option<String>,
    /// Only what this container printed
    #[arg(short, long, value_name = "CONTAINER")]
    container: Option<String>,
    /// Of the pod that was made last
    #[arg(short, long)]
    latest: bool,
    #[command(flatten)]
    how: logs::HowArguments,
}

/// Print what the containers of pods use
#[derive(Args, Debug)]
pub(crate) struct StatsArguments {
    /// The pods [default: all]
    pods: Vec<String>,
    /// All pods
    #[arg(short, long)]
    all: bool,
    /// Print JSON, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Of the pod that was made last
    #[arg(short, long)]
    latest: bool,
    /// Do not clear the screen before a report
    #[arg(long)]
    no_reset: bool,
    /// Print one report, and end
    #[arg(long)]
    no_stream: bool,
}

/// Print the processes of a pod
#[derive(Args, Debug)]
pub(crate) struct TopArguments {
    /// The pod, and what is told of each process: user, pid, args …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "POD FIELD")]
    words: Vec<String>,
    /// Of the pod that was made last
    #[arg(short, long)]
    latest: bool,
}

/// Seconds from one report to the next.
const PAUSE: Duration = Duration::from_secs(5);

fn one(which: &Which, containers: &Containers) -> Result<Pod> {
    let mut errors = Vec::new();
    let found = which.find(containers, &mut errors)?.pop();
    match (found, errors.pop()) {
        (Some(pod), _) => Ok(pod),
        (None, Some(error)) => Err(error),
        (None, None) => bail!("no such pod"),
    }
}

fn containers_of(pod: &Pod, containers: &Containers) -> Result<Vec<Container>> {
    let members = containers.pods().members(pod)?;
    Ok(members.iter().filter_map(|one| containers.find(&one.id).ok()).collect())
}

/// Prints what they printed. The words are podman's.
pub(super) fn logs(arguments: &LogsArguments, context: &Context) -> Result<ExitCode> {
    if arguments.pod.is_none() && !arguments.latest {
        bail!("specify at least one pod name or ID to log");
    }
    if arguments.pod.is_some() && arguments.latest {
        bail!("--latest and pods cannot be used together");
    }
    let containers = context.containers()?;
    let pod = one(&Which::one(arguments.pod.as_deref(), arguments.latest), &containers)?;
    let mut found = containers_of(&pod, &containers)?;
    match arguments.container.as_deref() {
        Some("") => bail!("-c or --container cannot be empty: invalid argument"),
        Some(name) => {
            found.retain(|one| one.id() == name || one.name() == name);
            if found.is_empty() {
                let pod = arguments.pod.as_deref().unwrap_or(pod.name());
                bail!("container {name} is not in pod {pod}: no such container");
            }
        }
        // It prints nothing.
        None => found.retain(|one| !one.config.process.pause),
    }
    logs::print(&containers, found, &arguments.how)
}

/// What a container of a pod uses. The names of the fields are those of templates.
#[derive(Serialize)]
#[serde(rename = "entities.PodStatsReport")]
struct Row {
    #[serde(rename = "Pod")]
    pod: String,
    #[serde(rename = "CID")]
    container: String,
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "CPU")]
    cpu: String,
    #[serde(rename = "MemUsage")]
    memory: String,
    #[serde(rename = "MemUsageBytes")]
    memory_binary: String,
    #[serde(rename = "Mem")]
    memory_share: String,
    #[serde(rename = "NetIO")]
    network: String,
    #[serde(rename = "BlockIO")]
    disks: String,
    #[serde(rename = "PIDS")]
    processes: String,
}

const FIELDS: [&str; 10] =
    ["Pod", "CID", "Name", "CPU", "MemUsage", "MemUsageBytes", "Mem", "NetIO", "BlockIO", "PIDS"];

const TITLES: [(&str, &str); 6] = [
    ("CPU", "CPU %"),
    ("MemUsage", "MEM USAGE/ LIMIT"),
    ("MemUsageBytes", "MEM USAGE/ LIMIT"),
    ("Mem", "MEM %"),
    ("NetIO", "NET IO"),
    ("BlockIO", "BLOCK IO"),
];

const TABLE: &str = "table {{.Pod}}\t{{.CID}}\t{{.Name}}\t{{.CPU}}\t{{.MemUsage}}\t{{.Mem}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDS}}";

/// Prints reports. Source: podman, `cmd/podman/pods/stats.go`.
pub(super) fn stats(arguments: &StatsArguments, context: &Context) -> Result<ExitCode> {
    let given = [arguments.all, arguments.latest, !arguments.pods.is_empty()];
    if given.iter().filter(|given| **given).count() > 1 {
        bail!("--all, --latest and arguments cannot be used together");
    }
    let containers = context.containers()?;
    let all = !given.contains(&true) || arguments.all;
    let which = Which::names(&arguments.pods, all, arguments.latest);
    loop {
        let mut errors = Vec::new();
        let pods = which.find(&containers, &mut errors)?;
        if let Some(error) = errors.into_iter().next() {
            return Err(error);
        }
        let mut rows = Vec::new();
        for pod in &pods {
            for container in containers_of(pod, &containers)? {
                if container.state.status.is_up() {
                    rows.extend(row(pod, &container, &containers));
                }
            }
        }
        if !arguments.no_stream && !arguments.no_reset {
            output::bytes(b"\x1b[2J\x1b[1;1H")?;
        }
        match arguments.format.as_deref() {
            Some(format) if is_json_format(format) => show::json(&rows, JsonStyle::indented(5))?,
            format => {
                let headers = Headers::from_fields(FIELDS, &TITLES);
                let template = (format.unwrap_or(TABLE), Origin::List);
                show::rows("stats", template, Some(&headers), &rows)?;
            }
        }
        if arguments.no_stream {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(PAUSE);
    }
}

/// `None` where nobody counts for it, or it ended meanwhile.
fn row(pod: &Pod, container: &Container, containers: &Containers) -> Option<Row> {
    let used = containers.stats(container).ok()?;
    let shown = stats::row(container, &used, None, false);
    Some(Row {
        pod: pod.id().chars().take(12).collect(),
        container: shown.id,
        name: shown.name,
        cpu: shown.cpu_share,
        memory: shown.memory,
        memory_binary: shown.memory_binary,
        memory_share: shown.memory_share,
        network: shown.network,
        disks: shown.disks,
        processes: shown.processes.to_string(),
    })
}

/// Prints the processes of all containers that run.
pub(super) fn top(arguments: &TopArguments, context: &Context) -> Result<ExitCode> {
    let containers = context.containers()?;
    let (name, wanted) = match arguments.words.split_first() {
        _ if arguments.latest => (None, arguments.words.as_slice()),
        Some((name, wanted)) => (Some(name.as_str()), wanted),
        None => bail!("you must provide the name or id of a running pod"),
    };
    let pod = one(&Which::one(name, arguments.latest), &containers)?;
    let words: Vec<&str> = match wanted {
        [] => TOP_FIELDS.to_vec(),
        given => given.iter().map(String::as_str).collect(),
    };
    let fields = parse_top_fields(&words)?;
    let mut rows = vec![fields.iter().map(|field| field.header().to_owned()).collect::<Vec<_>>()];
    let mut seen = Vec::new();
    for container in containers_of(&pod, &containers)? {
        if !container.state.status.is_up() {
            continue;
        }
        // Those who share their processes have the same.
        let space = std::fs::read_link(format!("/proc/{}/ns/pid", container.state.pid)).ok();
        if space.is_some() && seen.contains(&space) {
            continue;
        }
        seen.push(space);
        rows.extend(containers.top(&container, &fields)?);
    }
    let text: String = rows.into_iter().map(|row| row.join("\t") + "\n").collect();
    output::bytes(&cask_terminal::table::align(text.as_bytes(), Layout::PODMAN))?;
    Ok(ExitCode::SUCCESS)
}
