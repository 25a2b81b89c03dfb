//! `cellar ps`

use std::collections::{BTreeMap, HashSet};
use std::process::ExitCode;
use std::time::Duration;

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
    /// Print the namespaces of those that run
    #[arg(long = "ns", alias = "namespace")]
    namespaces: bool,
    /// Print whole IDs and commands
    #[arg(long)]
    no_trunc: bool,
    /// Print no headings
    #[arg(long)]
    noheading: bool,
    /// Print the pods that they are in: there are none
    #[arg(short, long)]
    pod: bool,
    /// Print only IDs
    #[arg(short, long)]
    quiet: bool,
    /// Print how much they wrote
    #[arg(short, long)]
    size: bool,
    /// What comes first: command, created, id, image, names, runningfor, size or status
    #[arg(long, value_name = "FIELD", default_value = "created")]
    sort: String,
    /// Look at the processes themselves, which is always done
    #[arg(long)]
    sync: bool,
    /// Print again and again, so many seconds apart
    #[arg(short, long, value_name = "SECONDS", default_value_t = 0)]
    watch: u32,
}

/// What can come first.
const SORTS: [&str; 8] =
    ["command", "created", "id", "image", "names", "runningfor", "size", "status"];

/// A row. The names of the fields are those of templates.
#[derive(Serialize)]
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
    labels: BTreeMap<String, String>,
    #[serde(rename = "Mounts")]
    mounts: Vec<String>,
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
    #[serde(rename = "IsInfra")]
    is_infra: bool,
    #[serde(rename = "Restarts")]
    restarts: String,
    #[serde(rename = "MNT")]
    mount_space: String,
    #[serde(rename = "Cgroup")]
    cgroup_space: String,
    #[serde(rename = "IPC")]
    ipc_space: String,
    #[serde(rename = "NET")]
    network_space: String,
    #[serde(rename = "PIDNS")]
    pid_space: String,
    #[serde(rename = "UTS")]
    uts_space: String,
    #[serde(rename = "User")]
    user_space: String,
    /// As podman 4 calls it.
    #[serde(rename = "CGROUPNS")]
    old_cgroup_space: String,
    #[serde(rename = "USERNS")]
    old_user_space: String,
}

const FIELDS: [&str; 35] = [
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
    "IsInfra",
    "Restarts",
    "MNT",
    "Cgroup",
    "IPC",
    "NET",
    "PIDNS",
    "UTS",
    "User",
    "CGROUPNS",
    "USERNS",
];

/// The namespaces of a process, by their numbers; each is empty where it does not run.
///
/// Source: podman, `pkg/domain/entities/container_ps.go`, `ListContainerNamespaces`.
#[derive(Clone, Default, Serialize)]
struct Namespaces {
    #[serde(rename = "MNT", skip_serializing_if = "String::is_empty")]
    mount: String,
    #[serde(rename = "Cgroup", skip_serializing_if = "String::is_empty")]
    cgroup: String,
    #[serde(rename = "IPC", skip_serializing_if = "String::is_empty")]
    ipc: String,
    #[serde(rename = "NET", skip_serializing_if = "String::is_empty")]
    network: String,
    #[serde(rename = "PIDNS", skip_serializing_if = "String::is_empty")]
    pid: String,
    #[serde(rename = "UTS", skip_serializing_if = "String::is_empty")]
    uts: String,
    #[serde(rename = "User", skip_serializing_if = "String::is_empty")]
    user: String,
}

impl Namespaces {
    fn of(container: &Container) -> Self {
        let pid = container.state.pid;
        if pid == 0 {
            return Self::default();
        }
        let number = |name: &str| -> String {
            let link = std::fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap_or_default();
            link.to_string_lossy().chars().filter(char::is_ascii_digit).collect()
        };
        Self {
            mount: number("mnt"),
            cgroup: number("cgroup"),
            ipc: number("ipc"),
            network: number("net"),
            pid: number("pid"),
            uts: number("uts"),
            user: number("user"),
        }
    }
}

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
    namespaces: Namespaces,
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

/// The fields of a row that the table has where nobody asks for others: most of what a row can say takes time to put
/// into words.
#[derive(Serialize)]
#[serde(rename = "containers.psReporter")]
struct UsualRow {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Image")]
    image: String,
    #[serde(rename = "Command")]
    command: String,
    #[serde(rename = "CreatedHuman")]
    created_human: String,
    #[serde(rename = "Status")]
    status: String,
    #[serde(rename = "Ports")]
    ports: String,
    #[serde(rename = "Names")]
    names: String,
    #[serde(rename = "Size")]
    size: String,
    #[serde(rename = "Pod")]
    pod: &'static str,
    #[serde(rename = "PodName")]
    pod_name: &'static str,
}

/// A container that is shown.
struct One {
    container: Container,
    /// Another program made it.
    external: bool,
    size: Option<Size>,
    created: Timestamp,
}

/// Lists.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    arguments.check()?;
    loop {
        let code = once(arguments, context)?;
        if arguments.watch == 0 {
            return Ok(code);
        }
        std::thread::sleep(Duration::from_secs(u64::from(arguments.watch)));
    }
}

impl Arguments {
    /// Refuses what excludes one another. Source: podman, `cmd/podman/containers/ps.go`, `checkFlags`.
    fn check(&self) -> Result<()> {
        if !SORTS.contains(&self.sort.as_str()) {
            let (field, choices) = (&self.sort, SORTS.join(", "));
            bail!(
                "invalid argument {field:?} for \"--sort\" flag: {field:?} is not a valid value.  Choose from: {choices:?}"
            );
        }
        if self.last >= 0 && self.latest {
            bail!("last and latest are mutually exclusive");
        }
        if self.quiet && (self.size || self.namespaces) {
            bail!("quiet conflicts with size and namespace");
        }
        if self.size && self.namespaces {
            bail!("size and namespace options conflict");
        }
        if self.watch > 0 && self.latest {
            bail!("the watch and latest flags cannot be used together");
        }
        Ok(())
    }
}

fn once(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let containers = context.containers()?;
    let now = moment::now();
    let filters = arguments.filter.iter().map(|text| ContainerFilter::parse(text, now));
    let filters = filters.collect::<Result<Vec<_>, _>>()?;
    let mut errors = Vec::new();
    let mut found = containers.list(&filters, |error| errors.push(error.into()))?;
    let by_status = |filter: &ContainerFilter| matches!(filter, ContainerFilter::Status(_));
    let last = usize::try_from(arguments.last).ok().filter(|last| *last > 0);
    let last = last.or_else(|| arguments.latest.then_some(1));
    if !arguments.all && last.is_none() && !filters.iter().any(by_status) {
        found.retain(|container| container.state.status.is_up());
    }
    let external = match arguments.external && filters.is_empty() {
        true => external(&containers, &found)?,
        false => Vec::new(),
    };
    let mut rows = Vec::with_capacity(found.len() + external.len());
    for container in found {
        let size = match arguments.size {
            true => Some(containers.size(&container)?),
            false => None,
        };
        rows.push(One::new(container, size));
    }
    rows.extend(external);
    if let Some(last) = last {
        rows.sort_by_key(|one| std::cmp::Reverse(one.created()));
        rows.truncate(last);
    }
    sort(&mut rows, arguments);
    if arguments.watch > 0 {
        // The screen is cleared.
        output::bytes(b"\x1b[2J\x1b[1;1H")?;
    }
    print(&rows, arguments)?;
    Ok(finish(errors))
}

/// Of those that are alike, the one that was made first comes first.
fn sort(rows: &mut [One], arguments: &Arguments) {
    rows.sort_by_key(One::created);
    match arguments.sort.as_str() {
        "command" => {
            rows.sort_by_cached_key(|one| one.words().cloned().collect::<Vec<_>>().join(" "))
        }
        "id" => rows.sort_by(|a, b| a.container.id().cmp(b.container.id())),
        "image" => rows.sort_by(|a, b| a.image().cmp(b.image())),
        "names" => rows.sort_by(|a, b| a.container.name().cmp(b.container.name())),
        "runningfor" => rows.sort_by_cached_key(|one| seconds(&one.container.state.started_at)),
        "size" => rows.sort_by_key(|one| one.size.map_or(0, |size| size.root_bytes)),
        "status" => rows.sort_by(|a, b| a.state().cmp(b.state())),
        _ => {}
    }
}

fn print(rows: &[One], arguments: &Arguments) -> Result<()> {
    let template = arguments.format.as_deref();
    if template.is_some_and(is_json_format) {
        let listed: Vec<Listed> = rows.iter().map(|one| one.listed(arguments)).collect();
        return show::json(&listed, JsonStyle::indented(2));
    }
    if arguments.quiet && template.is_none() {
        let ids: String = rows.iter().map(|one| format!("{}\n", one.id(arguments))).collect();
        return output::bytes(ids.as_bytes());
    }
    let words = [
        ("ID", "CONTAINER ID"),
        ("CreatedHuman", "CREATED"),
        ("RunningFor", "RUNNING FOR"),
        ("Pod", "POD ID"),
        ("PodName", "PODNAME"),
        ("Cgroup", "CGROUPNS"),
        ("User", "USERNS"),
        ("MNT", "MNT"),
        ("IPC", "IPC"),
        ("NET", "NET"),
        ("PIDNS", "PIDNS"),
        ("UTS", "UTS"),
        ("CGROUPNS", "CGROUPNS"),
        ("USERNS", "USERNS"),
    ];
    let headers = Headers::from_fields(FIELDS, &words);
    let headers = (!arguments.noheading).then_some(&headers);
    let of_namespaces = "table {{.ID}}\t{{.Names}}\t{{.Pid}}\t{{.Cgroup}}\t{{.IPC}}\t{{.MNT}}\t{{.NET}}\t{{.PIDNS}}\t{{.User}}\t{{.UTS}}";
    let template = template.or(arguments.namespaces.then_some(of_namespaces));
    if let Some(template) = template {
        let template = template.replace(".Namespaces.", ".");
        let rows: Vec<Row> = rows.iter().map(|one| one.row(arguments)).collect();
        return show::rows("ps", (&template, Origin::List), headers, &rows);
    }
    let mut usual =
        "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.CreatedHuman}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}".to_owned();
    if arguments.pod {
        usual.push_str("\t{{.Pod}}\t{{.PodName}}");
    }
    if arguments.size {
        usual.push_str("\t{{.Size}}");
    }
    let rows: Vec<UsualRow> = rows.iter().map(|one| one.usual_row(arguments)).collect();
    show::rows("ps", (&usual, Origin::List), headers, &rows)
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
        Status::Running => {
            let up = format!("Up {}", moment::since(time(&state.started_at)));
            match container.health().status.as_str() {
                "" => up,
                health => format!("{up} ({health})"),
            }
        }
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

impl One {
    fn new(container: Container, size: Option<(u64, u64)>) -> Self {
        let size = size.map(|(written_bytes, root_bytes)| Size { root_bytes, written_bytes });
        let created = time(&container.config.created).unwrap_or(Timestamp::GO_ZERO);
        Self { container, external: false, size, created }
    }

    fn id(&self, arguments: &Arguments) -> &str {
        shortened(self.container.id(), arguments)
    }

    fn created(&self) -> (i64, u32) {
        (self.created.unix_seconds(), self.created.nanoseconds())
    }

    fn image(&self) -> &str {
        match self.container.config.image_name.as_str() {
            "" => "<none>",
            name => name,
        }
    }

    fn words(&self) -> impl Iterator<Item = &String> {
        let process = &self.container.config.process;
        process.entrypoint.iter().flatten().chain(&process.command)
    }

    fn command(&self, arguments: &Arguments) -> String {
        let words: Vec<&str> = self.words().map(String::as_str).collect();
        command(&words, arguments.no_trunc)
    }

    fn state(&self) -> &'static str {
        if self.external { "storage" } else { self.container.state.status.as_str() }
    }

    fn status(&self) -> String {
        if self.external { "Storage".to_owned() } else { status(&self.container) }
    }

    fn mounts(&self) -> Vec<String> {
        let mounts = self.container.config.files.mounts.iter();
        mounts.map(|mount| mount.target.display().to_string()).collect()
    }

    fn size_text(&self) -> String {
        self.size.map_or(String::new(), |size| {
            format!("{} (virtual {})", human_size(size.written_bytes), human_size(size.root_bytes))
        })
    }

    fn usual_row(&self, arguments: &Arguments) -> UsualRow {
        UsualRow {
            id: self.id(arguments).to_owned(),
            image: self.image().to_owned(),
            command: self.command(arguments),
            created_human: moment::since(Some(self.created)),
            status: self.status(),
            ports: ports(&self.container.config.network.ports),
            names: self.container.config.name.clone(),
            size: self.size_text(),
            pod: "",
            pod_name: "",
        }
    }

    fn namespaces(&self, arguments: &Arguments) -> Namespaces {
        match arguments.namespaces {
            true => Namespaces::of(&self.container),
            false => Namespaces::default(),
        }
    }

    fn row(&self, arguments: &Arguments) -> Row {
        let (config, state) = (&self.container.config, &self.container.state);
        let namespaces = self.namespaces(arguments);
        let created = self.created.to_string().replace('T', " ").replace('Z', " +0000 UTC");
        let UsualRow { id, image, command, created_human, status, ports, names, size, .. } =
            self.usual_row(arguments);
        Row {
            id,
            image,
            command,
            created: created.clone(),
            created_at: created,
            running_for: created_human.clone(),
            created_human,
            status,
            state: self.state().to_owned(),
            ports,
            names,
            size,
            labels: config.labels.clone(),
            mounts: self.mounts(),
            networks: networks(config).join(","),
            pod: String::new(),
            pod_name: String::new(),
            pid: state.pid,
            exit_code: state.exit_code,
            exited: state.status == Status::Exited,
            exited_at: seconds(&state.finished_at),
            started_at: seconds(&state.started_at),
            image_id: shortened(&config.image_id, arguments).to_owned(),
            auto_remove: config.lifecycle.auto_remove,
            is_infra: false,
            restarts: state.restarts.to_string(),
            mount_space: namespaces.mount,
            cgroup_space: namespaces.cgroup.clone(),
            ipc_space: namespaces.ipc,
            network_space: namespaces.network,
            pid_space: namespaces.pid,
            uts_space: namespaces.uts,
            user_space: namespaces.user.clone(),
            old_cgroup_space: namespaces.cgroup,
            old_user_space: namespaces.user,
        }
    }

    fn listed(&self, arguments: &Arguments) -> Listed {
        let (config, state) = (&self.container.config, &self.container.state);
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
            command: Some(self.words().cloned().collect()),
            created_at: moment::since(Some(self.created)),
            exited: state.status == Status::Exited,
            exited_at: seconds(&state.finished_at),
            exit_code: state.exit_code,
            id: config.id.clone(),
            image: self.image().to_owned(),
            image_id: config.image_id.clone(),
            is_infra: false,
            labels: Some(config.labels.clone()).filter(|labels| !labels.is_empty()),
            mounts: self.mounts(),
            names: vec![config.name.clone()],
            namespaces: self.namespaces(arguments),
            networks: networks(config),
            pid: state.pid,
            pod: String::new(),
            pod_name: String::new(),
            ports: Some(ports).filter(|ports| !ports.is_empty()),
            size: self.size,
            started_at: seconds(&state.started_at),
            state: self.state().to_owned(),
            status: self.status(),
            created: self.created.unix_seconds(),
        }
    }
}

/// An ID, cut unless whole ones are wanted.
fn shortened<'i>(id: &'i str, arguments: &Arguments) -> &'i str {
    if arguments.no_trunc { id } else { id.get(..12).unwrap_or(id) }
}

/// A command, cut at twenty characters. Source: podman, `cmd/podman/containers/ps.go`, `Command`.
fn command(words: &[&str], whole: bool) -> String {
    let text = words.join(" ");
    if whole || text.chars().count() <= 20 {
        return text;
    }
    let cut: String = text.chars().take(17).collect();
    format!("{cut}...")
}

/// Containers of the store that other programs made.
fn external(containers: &Containers, own: &[Container]) -> Result<Vec<One>> {
    let own: HashSet<&str> = own.iter().map(Container::id).collect();
    let mut rows = Vec::new();
    for found in containers.images().store().containers()? {
        let id = found.id.to_string();
        if own.contains(id.as_str()) || containers.find(&id).is_ok() {
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
        rows.push(One { external: true, ..One::new(stand_in, None) });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_cut() {
        let check = |text: &str, expected: &str| {
            let words: Vec<&str> = text.split(' ').collect();
            assert_eq!(command(&words, false), expected);
        };
        check("sh -c echo out; echo err >&2; exit 3", "sh -c echo out; e...");
        check("sleep 1000", "sleep 1000");
        check("01234567890123456789", "01234567890123456789");
    }
}
