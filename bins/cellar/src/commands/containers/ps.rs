//! `cellar ps`

mod row;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use cask_engine::{ContainerFilter, ContainerSummary, ErrorKind, NetworkMode, PortMapping, Status};
use cask_image::Timestamp;
use cask_program::output;
use cask_terminal::template::{Headers, Origin, is_json_format};
use cask_terminal::value::JsonStyle;
use clap::Args;
use row::{FIELDS, Part, Row, SPACES, Size, TITLES};

use super::pod::by_id as pods_by_id;
use super::several::{finish, note_recovered};
use crate::context::Context;
use crate::show::Lines;
use crate::{moment, show};

/// List containers
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Those that do not run too
    #[arg(short, long)]
    all: bool,
    /// Those of other programs too, such as builds
    #[arg(long, alias = "storage")]
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
    #[arg(long, alias = "notruncate")]
    no_trunc: bool,
    /// Print no headings
    #[arg(long)]
    noheading: bool,
    /// Print the pods that they are in
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

/// A container that is shown.
struct One<'s> {
    summary: &'s ContainerSummary,
    size: Option<Size>,
    created: Timestamp,
    /// The name of its pod, and the ports that lead there.
    pod: (&'s str, &'s [PortMapping]),
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
    let mut found = containers.summaries(&filters, |error| errors.push(error.into()))?;
    let by_status = |filter: &ContainerFilter| matches!(filter, ContainerFilter::Status(_));
    let last = usize::try_from(arguments.last).ok().filter(|last| *last > 0);
    let last = last.or_else(|| arguments.latest.then_some(1));
    if !arguments.all && last.is_none() && !filters.iter().any(by_status) {
        // Source: podman, `pkg/ps/ps.go`, for which a paused one does not run.
        found.retain(|summary| summary.state.word() == Status::Running.as_str());
    }
    found.iter().for_each(|summary| note_recovered(&summary.name, &summary.state));
    if arguments.external && filters.is_empty() {
        found.extend(containers.external()?);
    }
    let in_pods = found.iter().any(|summary| !summary.pod.id.is_empty());
    let pods = if in_pods { pods_by_id(&containers)? } else { BTreeMap::new() };
    let mut rows = Vec::with_capacity(found.len());
    for summary in &found {
        let size = match arguments.size && !summary.external {
            true => match containers.summary_size(summary) {
                // It was removed meanwhile.
                Err(error) if error.kind() == ErrorKind::ContainerNotKnown => continue,
                size => Some(size?),
            },
            false => None,
        };
        let mut one = One::new(summary, size);
        if let Some((pod, infra)) = pods.get(&summary.pod.id) {
            let id = pod.config.infra.as_deref();
            let shares = |id| matches!(&summary.network, NetworkMode::Container(of) if of == id);
            let ports = infra.as_ref().filter(|_| id.is_some_and(shares));
            let ports = ports.map_or(&[][..], |infra| &infra.config.network.ports);
            one.pod = (pod.name(), ports);
        }
        rows.push(one);
    }
    if let Some(last) = last {
        rows.sort_by_cached_key(|one| std::cmp::Reverse(one.created()));
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
fn sort(rows: &mut [One<'_>], arguments: &Arguments) {
    // By places: to move rows takes long.
    rows.sort_by_cached_key(One::created);
    match arguments.sort.as_str() {
        "command" => rows.sort_by_cached_key(|one| one.summary.command.join(" ")),
        "id" => rows.sort_by(|a, b| a.summary.id.cmp(&b.summary.id)),
        "image" => rows.sort_by(|a, b| a.image().cmp(b.image())),
        "names" => rows.sort_by(|a, b| a.summary.name.cmp(&b.summary.name)),
        "runningfor" => rows.sort_by_cached_key(|one| seconds(&one.summary.state.started_at)),
        "size" => rows.sort_by_key(|one| one.size.map_or(0, |size| size.root_bytes)),
        "status" => rows.sort_by(|a, b| a.state().cmp(b.state())),
        _ => {}
    }
}

fn print(rows: &[One<'_>], arguments: &Arguments) -> Result<()> {
    let template = arguments.format.as_deref();
    let as_rows = |part: Part| -> Vec<Row<'_>> {
        rows.iter().map(|one| Row { one, arguments, part }).collect()
    };
    if template.is_some_and(is_json_format) {
        return show::json(&as_rows(Part::Data), JsonStyle::indented(2));
    }
    if arguments.quiet && template.is_none() {
        let ids: String = rows.iter().map(|one| format!("{}\n", one.id(arguments))).collect();
        return output::bytes(ids.as_bytes());
    }
    let headers = Headers::from_fields(FIELDS, &TITLES).with_group("Namespaces", &SPACES);
    let headers = (!arguments.noheading).then_some(&headers);
    let of_namespaces = "table {{.ID}}\t{{.Names}}\t{{.Pid}}\t{{.Cgroup}}\t{{.IPC}}\t{{.MNT}}\t{{.NET}}\t{{.PIDNS}}\t{{.User}}\t{{.UTS}}";
    let template = template.or(arguments.namespaces.then_some(of_namespaces));
    if let Some(template) = template {
        return show::rows("ps", (template, Origin::List), headers, &as_rows(Part::Everything));
    }
    usual(rows, arguments)
}

/// Prints the usual table.
fn usual(rows: &[One<'_>], arguments: &Arguments) -> Result<()> {
    let mut headings =
        vec!["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"];
    if arguments.pod {
        headings.extend(["POD ID", "PODNAME"]);
    }
    if arguments.size {
        headings.push("SIZE");
    }
    let mut lines = Lines::new(&headings, arguments.noheading);
    for one in rows {
        let summary = one.summary;
        let cells: [Cow<'_, str>; 7] = [
            one.id(arguments).into(),
            one.image().into(),
            row::command(&summary.command, arguments.no_trunc).into(),
            moment::since(Some(one.created)).into(),
            status(summary).into(),
            row::ports(one.ports()).into(),
            summary.name.as_str().into(),
        ];
        let pod = [shortened(&summary.pod.id, arguments), one.pod.0];
        let pod = arguments.pod.then_some(pod).into_iter().flatten().map(Cow::Borrowed);
        let size = arguments.size.then(|| row::size(one.size).into());
        lines.row(cells.into_iter().chain(pod).chain(size));
    }
    lines.print()
}

/// A moment as seconds since 1970; the year 1 where there is none.
fn seconds(text: &str) -> i64 {
    time(text).unwrap_or(Timestamp::GO_ZERO).unix_seconds()
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// The state in words. Source: podman, `cmd/podman/containers/ps.go`, `Status`.
fn status(container: &ContainerSummary) -> String {
    let state = &container.state;
    match state.status {
        _ if container.external => "Storage".to_owned(),
        Status::Running if state.stopping => "Stopping".to_owned(),
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
        Status::Initialized => "Initialized".to_owned(),
        _ => "Created".to_owned(),
    }
}

impl<'s> One<'s> {
    fn new(summary: &'s ContainerSummary, size: Option<(u64, u64)>) -> Self {
        let size = size.map(|(written_bytes, root_bytes)| Size { root_bytes, written_bytes });
        let created = time(&summary.created).unwrap_or(Timestamp::GO_ZERO);
        Self { summary, size, created, pod: ("", &[]) }
    }

    /// Ports of this machine that lead to it.
    fn ports(&self) -> &[PortMapping] {
        if self.summary.ports.is_empty() { self.pod.1 } else { &self.summary.ports }
    }

    fn id(&self, arguments: &Arguments) -> &str {
        shortened(&self.summary.id, arguments)
    }

    fn created(&self) -> (i64, u32) {
        (self.created.unix_seconds(), self.created.nanoseconds())
    }

    fn image(&self) -> &str {
        match self.summary.image_name.as_str() {
            "" => "<none>",
            name => name,
        }
    }

    fn state(&self) -> &'static str {
        if self.summary.external { "storage" } else { self.summary.state.word() }
    }
}

/// An ID, cut unless whole ones are wanted.
fn shortened<'i>(id: &'i str, arguments: &Arguments) -> &'i str {
    if arguments.no_trunc { id } else { id.get(..12).unwrap_or(id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_cut() {
        let check = |text: &str, expected: &str| {
            let words: Vec<String> = text.split(' ').map(ToOwned::to_owned).collect();
            assert_eq!(row::command(&words, false), expected);
        };
        check("sh -c echo out; echo err >&2; exit 3", "sh -c echo out; e...");
        check("sleep 1000", "sleep 1000");
        check("01234567890123456789", "01234567890123456789");
    }
}
