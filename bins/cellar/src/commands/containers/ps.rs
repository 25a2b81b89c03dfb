//! `cellar ps`

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::{Container, ContainerFilter, Containers, PortMapping, Status};
use cask_image::Timestamp;
use cask_program::output;
use cask_terminal::table::human_size;
use cask_terminal::template::{Headers, Origin, is_json_format};
use cask_terminal::value::{JsonStyle, nil};
use clap::Args;
use serde::Serialize;

use super::several::finish;
use crate::context::Context;
use crate::{moment, show};

/// List containers
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Those that do not run too
    #[arg(short, long)]
    all: bool,
    /// Those of other programs too, such as builds
    #[arg(long)]
    external: bool,
    /// Only those that fit, such as status=exited, name=TEXT or label=KEY=VALUE
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Print JSON, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Only so many that were made last
    #[arg(short = 'n', long, value_name = "N", default_value_t = -1, allow_hyphen_values = true)]
    last: i64,
    /// The one that was made last
    #[arg(short, long)]
    latest: bool,
    /// Print whole IDs and commands
    #[arg(long)]
    no_trunc: bool,
    /// Print no headings
    #[arg(long)]
    noheading: bool,
    /// Print only IDs
    #[arg(short, long)]
    quiet: bool,
    /// Print how much they wrote
    #[arg(short, long)]
    size: bool,
    /// What comes first: command, created, id, image, names, runningfor, size or status
    #[arg(long, value_name = "FIELD", default_value = "created")]
    sort: String,
}

/// A row. The names of the fields are those of templates.
#[derive(Clone, Serialize)]
#[serde(rename = "containers.psReporter")]
struct Row {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Image")]
    image: String,
    #[serde(rename = "Command")]
    command: String,
    #[serde(rename = "CreatedHuman")]
    created_human: String,
    #[serde(rename = "Created")]
    created: String,
    #[serde(rename = "CreatedAt")]
    created_at: String,
    #[serde(rename = "RunningFor")]
    running_for: String,
    #[serde(rename = "Status")]
    status: String,
    #[serde(rename = "State")]
    state: String,
    #[serde(rename = "Ports")]
    ports: String,
    #[serde(rename = "Names")]
    names: String,
    #[serde(rename = "Size")]
    size: String,
    #[serde(rename = "Labels")]
    labels: String,
    #[serde(rename = "Mounts")]
    mounts: String,
    #[serde(rename = "Networks")]
    networks: String,
    #[serde(rename = "Pod")]
    pod: String,
    #[serde(rename = "PodName")]
    pod_name: String,
    #[serde(rename = "Pid")]
    pid: u32,
    #[serde(rename = "ExitCode")]
    exit_code: i32,
    #[serde(rename = "Exited")]
    exited: bool,
    #[serde(rename = "ExitedAt")]
    exited_at: i64,
    #[serde(rename = "StartedAt")]
    started_at: i64,
    #[serde(rename = "ImageID")]
    image_id: String,
    #[serde(rename = "AutoRemove")]
    auto_remove: bool,
}

const FIELDS: [&str; 24] = [
    "ID",
    "Image",
    "Command",
    "CreatedHuman",
    "Created",
    "CreatedAt",
    "RunningFor",
    "Status",
    "State",
    "Ports",
    "Names",
    "Size",
    "Labels",
    "Mounts",
    "Networks",
    "Pod",
    "PodName",
    "Pid",
    "ExitCode",
    "Exited",
    "ExitedAt",
    "StartedAt",
    "ImageID",
    "AutoRemove",
];

/// A container, as JSON has it: field by field podman's.
///
/// Source: podman, `pkg/domain/entities/container_ps.go`, `ListContainer`; `cmd/podman/containers/ps.go`.
#[derive(Serialize)]
struct Listed {
    #[serde(rename = "AutoRemove")]
    auto_remove: bool,
    #[serde(rename = "Command", serialize_with = "nil::list")]
    command: Option<Vec<String>>,
    #[serde(rename = "CreatedAt")]
    created_at: String,
    #[serde(rename = "Exited")]
    exited: bool,
    #[serde(rename = "ExitedAt")]
    exited_at: i64,
    #[serde(rename = "ExitCode")]
    exit_code: i32,
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "Image")]
    image: String,
    #[serde(rename = "ImageID")]
    image_id: String,
    #[serde(rename = "IsInfra")]
    is_infra: bool,
    #[serde(rename = "Labels", serialize_with = "nil::map")]
    labels: Option<BTreeMap<String, String>>,
    #[serde(rename = "Mounts")]
    mounts: Vec<String>,
    #[serde(rename = "Names")]
    names: Vec<String>,
    #[serde(rename = "Namespaces")]
    namespaces: BTreeMap<String, String>,
    #[serde(rename = "Networks")]
    networks: Vec<String>,
    #[serde(rename = "Pid")]
    pid: u32,
    #[serde(rename = "Pod")]
    pod: String,
    #[serde(rename = "PodName")]
    pod_name: String,
    #[serde(rename = "Ports", serialize_with = "nil::list")]
    ports: Option<Vec<Port>>,
    #[serde(rename = "Size")]
    size: Option<Size>,
    #[serde(rename = "StartedAt")]
    started_at: i64,
    #[serde(rename = "State")]
    state: String,
    #[serde(rename = "Status")]
    status: String,
    #[serde(rename = "Created")]
    created: i64,
}

#[derive(Clone, Serialize)]
struct Port {
    host_ip: String,
    container_port: u16,
    host_port: u16,
    range: u16,
    protocol: String,
}

#[derive(Clone, Copy, Serialize)]
struct Size {
    #[serde(rename = "rootFsSize")]
    root_bytes: u64,
    #[serde(rename = "rwSize")]
    written_bytes: u64,
}

/// What is shown of one container.
struct One {
    row: Row,
    listed: Listed,
    created: (i64, u32),
    written_bytes: u64,
}

/// Lists.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    if arguments.quiet && arguments.size {
        bail!("size and quiet are mutually exclusive");
    }
    let containers = context.containers()?;
    let now = moment::now();
    let filters = arguments.filter.iter().map(|text| ContainerFilter::parse(text, now));
    let filters = filters.collect::<Result<Vec<_>, _>>()?;
    let mut errors = Vec::new();
    let mut found = containers.list(&filters, |error| errors.push(error.into()))?;
    let by_status = |filter: &ContainerFilter| {
        matches!(filter, ContainerFilter::Status(_) | ContainerFilter::Exited(_))
    };
    let last = usize::try_from(arguments.last).ok().or_else(|| arguments.latest.then_some(1));
    if !arguments.all && last.is_none() && !filters.iter().any(by_status) {
        found.retain(|container| container.state.status.is_up());
    }
    let mut rows = Vec::new();
    for container in &found {
        rows.push(one(container, &containers, arguments)?);
    }
    if arguments.external && filters.is_empty() {
        rows.extend(external(&containers, &found, arguments)?);
    }
    if let Some(last) = last {
        rows.sort_by_key(|one| std::cmp::Reverse(one.created));
        rows.truncate(last);
    }
    sort(&mut rows, &arguments.sort)?;
    print(rows, arguments)?;
    Ok(finish(errors))
}

fn sort(rows: &mut [One], field: &str) -> Result<()> {
    match field {
        "created" => rows.sort_by_key(|one| one.created),
        "command" => rows.sort_by(|a, b| a.row.command.cmp(&b.row.command)),
        "id" => rows.sort_by(|a, b| a.listed.id.cmp(&b.listed.id)),
        "image" => rows.sort_by(|a, b| a.row.image.cmp(&b.row.image)),
        "names" => rows.sort_by(|a, b| a.row.names.cmp(&b.row.names)),
        "runningfor" => rows.sort_by_key(|one| one.listed.started_at),
        "size" => rows.sort_by_key(|one| one.written_bytes),
        "status" => rows.sort_by(|a, b| a.row.state.cmp(&b.row.state)),
        _ => bail!(
            "{field:?} is not a valid field for sorting. Choose from: command, created, id, image, names, \
             runningfor, size, status"
        ),
    }
    Ok(())
}

fn print(rows: Vec<One>, arguments: &Arguments) -> Result<()> {
    let template = arguments.format.as_deref();
    if template.is_some_and(is_json_format) {
        let listed: Vec<Listed> = rows.into_iter().map(|one| one.listed).collect();
        return show::json(&listed, JsonStyle::indented(2));
    }
    if arguments.quiet {
        let ids: String = rows.iter().map(|one| format!("{}\n", one.row.id)).collect();
        return output::bytes(ids.as_bytes());
    }
    let mut usual =
        "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.CreatedHuman}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}".to_owned();
    if arguments.size {
        usual.push_str("\t{{.Size}}");
    }
    let headers = Headers::from_fields(
        FIELDS,
        &[("ID", "CONTAINER ID"), ("CreatedHuman", "CREATED"), ("RunningFor", "CREATED")],
    );
    let headers = (!arguments.noheading).then_some(&headers);
    let rows: Vec<Row> = rows.into_iter().map(|one| one.row).collect();
    show::rows("ps", (template.unwrap_or(&usual), Origin::List), headers, &rows)
}

/// A moment as seconds since 1970; the year 1 where there is none.
fn seconds(text: &str) -> i64 {
    time(text).unwrap_or(Timestamp::GO_ZERO).unix_seconds()
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// The state in words. Source: podman, `cmd/podman/containers/ps.go`, `Status`.
pub(super) fn status(container: &Container) -> String {
    let state = &container.state;
    match state.status {
        Status::Running => format!("Up {}", moment::since(time(&state.started_at))),
        Status::Paused => "Paused".to_owned(),
        Status::Exited => {
            format!("Exited ({}) {}", state.exit_code, moment::since(time(&state.finished_at)))
        }
        Status::Removing => "Removing".to_owned(),
        _ => "Created".to_owned(),
    }
}

fn ports(ports: &[PortMapping]) -> String {
    let span = |first: u16, count: u16| match count {
        0 | 1 => first.to_string(),
        _ => format!("{first}-{}", first + count - 1),
    };
    let one = |port: &PortMapping| {
        let ip = if port.host_ip.is_empty() { "0.0.0.0" } else { &port.host_ip };
        let (host, inside) =
            (span(port.host_port, port.range), span(port.container_port, port.range));
        format!("{ip}:{host}->{inside}/{}", port.protocol)
    };
    ports.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn networks(config: &cask_engine::ContainerConfig) -> Vec<String> {
    let mut names: Vec<String> =
        config.network.attachments.iter().map(|one| one.network.clone()).collect();
    names.sort();
    names
}

fn one(container: &Container, containers: &Containers, arguments: &Arguments) -> Result<One> {
    let (config, state) = (&container.config, &container.state);
    let words: Vec<String> = config
        .process
        .entrypoint
        .iter()
        .flatten()
        .chain(&config.process.command)
        .cloned()
        .collect();
    let size = match arguments.size {
        true => Some(containers.size(container)?),
        false => None,
    };
    let size = size.map(|(written_bytes, root_bytes)| Size { root_bytes, written_bytes });
    let created = time(&config.created).unwrap_or(Timestamp::GO_ZERO);
    let exited = state.status == Status::Exited;
    let image = if config.image_name.is_empty() { "<none>" } else { &config.image_name };
    let labels = config.labels.iter().map(|(name, value)| format!("{name}={value}"));
    let mounts: Vec<String> =
        config.files.mounts.iter().map(|mount| mount.target.display().to_string()).collect();
    let row = Row {
        id: if arguments.no_trunc {
            config.id.clone()
        } else {
            config.id.chars().take(12).collect()
        },
        image: image.to_owned(),
        command: command(&words, arguments.no_trunc),
        created_human: moment::since(Some(created)),
        created: moment::since(Some(created)),
        created_at: created.to_string().replace('T', " ").replace('Z', " +0000 UTC"),
        running_for: moment::since(Some(created)),
        status: status(container),
        state: state.status.as_str().to_owned(),
        ports: ports(&config.network.ports),
        names: config.name.clone(),
        size: size.map_or(String::new(), |size| {
            format!("{} (virtual {})", human_size(size.written_bytes), human_size(size.root_bytes))
        }),
        labels: labels.collect::<Vec<_>>().join(","),
        mounts: mounts.join(","),
        networks: networks(config).join(","),
        pod: String::new(),
        pod_name: String::new(),
        pid: state.pid,
        exit_code: state.exit_code,
        exited,
        exited_at: seconds(&state.finished_at),
        started_at: seconds(&state.started_at),
        image_id: config.image_id.clone(),
        auto_remove: config.lifecycle.auto_remove,
    };
    let listed = listed(container, &row, words, mounts, size);
    let written_bytes = size.map_or(0, |size| size.written_bytes);
    Ok(One { row, listed, created: (created.unix_seconds(), created.nanoseconds()), written_bytes })
}

fn listed(
    container: &Container,
    row: &Row,
    words: Vec<String>,
    mounts: Vec<String>,
    size: Option<Size>,
) -> Listed {
    let (config, state) = (&container.config, &container.state);
    let port = |port: &PortMapping| Port {
        host_ip: port.host_ip.clone(),
        container_port: port.container_port,
        host_port: port.host_port,
        range: port.range,
        protocol: port.protocol.clone(),
    };
    let ports: Vec<Port> = config.network.ports.iter().map(port).collect();
    Listed {
        auto_remove: config.lifecycle.auto_remove,
        command: Some(words),
        created_at: row.created_human.clone(),
        exited: row.exited,
        exited_at: row.exited_at,
        exit_code: state.exit_code,
        id: config.id.clone(),
        image: row.image.clone(),
        image_id: config.image_id.clone(),
        is_infra: false,
        labels: Some(config.labels.clone()).filter(|labels| !labels.is_empty()),
        mounts,
        names: vec![config.name.clone()],
        namespaces: BTreeMap::new(),
        networks: networks(config),
        pid: state.pid,
        pod: String::new(),
        pod_name: String::new(),
        ports: Some(ports).filter(|ports| !ports.is_empty()),
        size,
        started_at: row.started_at,
        state: row.state.clone(),
        status: row.status.clone(),
        created: time(&config.created).unwrap_or(Timestamp::GO_ZERO).unix_seconds(),
    }
}

/// A command, cut at twenty characters. Source: podman, `cmd/podman/containers/ps.go`, `Command`.
fn command(words: &[String], whole: bool) -> String {
    let text = words.join(" ");
    if whole || text.chars().count() <= 20 {
        return text;
    }
    let cut: String = text.chars().take(17).collect();
    format!("{cut}...")
}

/// Containers of the store that other programs made.
fn external(containers: &Containers, own: &[Container], arguments: &Arguments) -> Result<Vec<One>> {
    let mut rows = Vec::new();
    for found in containers.images().store().containers()? {
        let id = found.id.to_string();
        if own.iter().any(|container| container.id() == id) || containers.find(&id).is_ok() {
            continue;
        }
        let mut config = cask_engine::ContainerConfig::default();
        config.id = id;
        config.name = found.names.first().cloned().unwrap_or_default();
        config.created = found.created.map(|time| time.to_string()).unwrap_or_default();
        config.image_id = found.image.as_ref().map(ToString::to_string).unwrap_or_default();
        let image = containers.images().find(&config.image_id);
        config.image_name =
            image.ok().and_then(|found| found.image.names.first().cloned()).unwrap_or_default();
        config.process.command = vec!["storage".to_owned()];
        let stand_in = containers.stand_in(config)?;
        let mut row = one(&stand_in, containers, &Arguments { size: false, ..arguments.plain() })?;
        for text in [&mut row.row.status, &mut row.listed.status] {
            "Storage".clone_into(text);
        }
        for text in [&mut row.row.state, &mut row.listed.state] {
            "storage".clone_into(text);
        }
        row.row.id =
            if arguments.no_trunc { row.listed.id.clone() } else { row.listed.id[..12].to_owned() };
        rows.push(row);
    }
    Ok(rows)
}

impl Arguments {
    fn plain(&self) -> Self {
        Self {
            all: true,
            external: false,
            filter: Vec::new(),
            format: None,
            last: -1,
            latest: false,
            no_trunc: self.no_trunc,
            noheading: false,
            quiet: false,
            size: false,
            sort: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_cut() {
        let words = |text: &str| text.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
        assert_eq!(
            command(&words("sh -c echo out; echo err >&2; exit 3"), false),
            "sh -c echo out; e..."
        );
        assert_eq!(command(&words("sleep 1000"), false), "sleep 1000");
        assert_eq!(command(&words("01234567890123456789"), false), "01234567890123456789");
    }
}
