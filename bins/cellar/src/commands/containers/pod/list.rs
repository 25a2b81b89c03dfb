//! `cellar pod ps`

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::{Container, ContainerSummary, Containers, Pod, PodState};
use cask_image::Timestamp;
use cask_program::output;
use cask_terminal::template::{Headers, Origin, is_json_format};
use cask_terminal::value::{JsonStyle, Time};
use clap::Args;
use serde::Serialize;

use super::super::filter::{by_key, expressions, has_labels, made_before};
use crate::context::Context;
use crate::moment;
use crate::show::{self, Lines};

/// List pods
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Print the IDs of their containers
    #[arg(long)]
    ctr_ids: bool,
    /// Print the names of their containers
    #[arg(long)]
    ctr_names: bool,
    /// Print the states of their containers
    #[arg(long)]
    ctr_status: bool,
    /// Only those that fit, such as name=TEXT, status=running, label=KEY=VALUE or ctr-names=TEXT
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Print JSON, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// The one that was made last
    #[arg(short, long)]
    latest: bool,
    /// Print the control groups above their own, and the namespaces
    #[arg(long = "ns", alias = "namespace")]
    namespaces: bool,
    /// Print whole IDs
    #[arg(long)]
    no_trunc: bool,
    /// Print no headings
    #[arg(short = 'n', long)]
    noheading: bool,
    /// Print only IDs
    #[arg(short, long)]
    quiet: bool,
    /// What comes first: created, id, name, number or status
    #[arg(long, value_name = "FIELD", default_value = "created")]
    sort: String,
}

/// A container of a pod as lists have it.
#[derive(Clone, Serialize)]
#[serde(rename = "entities.ListPodContainer")]
struct Member {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "Names")]
    name: String,
    #[serde(rename = "Status")]
    status: &'static str,
}

/// A pod as JSON has it. Source: podman, `pkg/domain/entities/pods.go`, `ListPodsReport`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed<'a> {
    cgroup: &'a str,
    containers: &'a [Member],
    created: Time,
    id: &'a str,
    infra_id: &'a str,
    name: &'a str,
    namespace: &'a str,
    networks: &'a [String],
    status: &'a str,
    labels: &'a BTreeMap<String, String>,
}

/// A pod as templates see it.
#[derive(Serialize)]
#[serde(rename = "pods.ListPodReporter", rename_all = "PascalCase")]
struct Row<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    #[serde(rename = "Id")]
    id_too: &'a str,
    name: &'a str,
    status: &'a str,
    created: String,
    #[serde(rename = "InfraID")]
    infra_id: &'a str,
    #[serde(rename = "InfraId")]
    infra_id_too: &'a str,
    container_ids: String,
    container_names: String,
    container_statuses: String,
    number_of_containers: usize,
    cgroup: &'a str,
    namespace: &'a str,
    networks: String,
    labels: &'a BTreeMap<String, String>,
    containers: &'a [Member],
}

const FIELDS: [&str; 16] = [
    "ID",
    "Id",
    "Name",
    "Status",
    "Created",
    "InfraID",
    "InfraId",
    "ContainerIds",
    "ContainerNames",
    "ContainerStatuses",
    "NumberOfContainers",
    "Cgroup",
    "Namespace",
    "Networks",
    "Labels",
    "Containers",
];

const TITLES: [(&str, &str); 9] = [
    ("ID", "POD ID"),
    ("Id", "POD ID"),
    ("InfraID", "INFRA ID"),
    ("InfraId", "INFRA ID"),
    ("ContainerIds", "IDS"),
    ("ContainerNames", "NAMES"),
    ("ContainerStatuses", "STATUS"),
    ("NumberOfContainers", "# OF CONTAINERS"),
    ("Namespace", "NAMESPACES"),
];

/// A pod that is shown.
struct One {
    pod: Pod,
    state: PodState,
    members: Vec<Member>,
    networks: Vec<String>,
    created: Option<Timestamp>,
    group: String,
}

impl One {
    fn new(pod: Pod, members: &[ContainerSummary]) -> Self {
        let state = PodState::of(members);
        let infra = members.iter().find(|one| one.pod.infra);
        let networks = infra.map(|one| one.networks.clone()).unwrap_or_default();
        let member = |one: &ContainerSummary| Member {
            id: one.id.clone(),
            name: one.name.clone(),
            status: one.state.word(),
        };
        let created = pod.config.created.parse().ok();
        let group = pod.config.cgroup_parent.clone().unwrap_or_default();
        Self { state, members: members.iter().map(member).collect(), networks, created, group, pod }
    }

    fn infra(&self) -> &str {
        self.pod.config.infra.as_deref().unwrap_or_default()
    }

    fn listed(&self) -> Listed<'_> {
        Listed {
            cgroup: &self.group,
            containers: &self.members,
            created: Time(self.pod.config.created.clone()),
            id: self.pod.id(),
            infra_id: self.infra(),
            name: self.pod.name(),
            namespace: "",
            networks: &self.networks,
            status: self.state.as_str(),
            labels: &self.pod.config.labels,
        }
    }

    fn row(&self, whole: bool) -> Row<'_> {
        let cut = |id| -> &str { if whole { id } else { short(id) } };
        let each = |text: &dyn Fn(&Member) -> String| {
            self.members.iter().map(text).collect::<Vec<_>>().join(",")
        };
        Row {
            id: cut(self.pod.id()),
            id_too: cut(self.pod.id()),
            name: self.pod.name(),
            status: self.state.as_str(),
            created: moment::since(self.created),
            infra_id: cut(self.infra()),
            infra_id_too: cut(self.infra()),
            container_ids: each(&|one| {
                if whole { one.id.clone() } else { short(&one.id).to_owned() }
            }),
            container_names: each(&|one| one.name.clone()),
            container_statuses: each(&|one| one.status.to_owned()),
            number_of_containers: self.members.len(),
            cgroup: &self.group,
            namespace: "",
            networks: self.networks.join(","),
            labels: &self.pod.config.labels,
            containers: &self.members,
        }
    }
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// Lists.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    if arguments.quiet && arguments.format.is_some() {
        bail!("quiet and format cannot be used together");
    }
    let containers = context.containers()?;
    let all = containers.pods().with_members()?;
    let last = all.last().map(|(pod, _)| pod.id().to_owned());
    let mut found: Vec<One> =
        all.iter().map(|(pod, members)| One::new(pod.clone(), members)).collect();
    for (key, values) in by_key(&arguments.filter)? {
        let fits = filter(key, &values, &containers)?;
        found.retain(fits);
    }
    if arguments.latest {
        found.retain(|one| last.as_deref() == Some(one.pod.id()));
    }
    match arguments.sort.as_str() {
        "created" => found.reverse(),
        "id" => found.sort_by(|a, b| a.pod.id().cmp(b.pod.id())),
        "name" => found.sort_by(|a, b| a.pod.name().cmp(b.pod.name())),
        "number" => found.sort_by_key(|one| one.members.len()),
        "status" => found.sort_by(|a, b| a.state.as_str().cmp(b.state.as_str())),
        _ => bail!("invalid option for --sort, options are: id, names, or number"),
    }
    print(&found, arguments)?;
    Ok(ExitCode::SUCCESS)
}

fn print(found: &[One], arguments: &Arguments) -> Result<()> {
    let whole = arguments.no_trunc;
    match arguments.format.as_deref() {
        Some(format) if is_json_format(format) => {
            let listed: Vec<Listed<'_>> = found.iter().map(One::listed).collect();
            return show::json(&listed, JsonStyle::indented(2));
        }
        Some(template) => {
            let rows: Vec<Row<'_>> = found.iter().map(|one| one.row(whole)).collect();
            let headers = Headers::from_fields(FIELDS, &TITLES);
            let headers = (!arguments.noheading).then_some(&headers);
            return show::rows("ps", (template, Origin::List), headers, &rows);
        }
        None => {}
    }
    if arguments.quiet {
        let ids: String = found.iter().map(|one| format!("{}\n", one.row(whole).id)).collect();
        return output::bytes(ids.as_bytes());
    }
    let mut headings = vec!["POD ID", "NAME", "STATUS", "CREATED", "INFRA ID"];
    let of_containers = [
        (arguments.ctr_ids, "IDS"),
        (arguments.ctr_names, "NAMES"),
        (arguments.ctr_status, "STATUS"),
    ];
    headings.extend(of_containers.iter().filter(|(wanted, _)| *wanted).map(|(_, title)| title));
    if arguments.namespaces {
        headings.extend(["CGROUP", "NAMESPACES"]);
    }
    let counts = !of_containers.iter().any(|(wanted, _)| *wanted);
    if counts {
        headings.push("# OF CONTAINERS");
    }
    let mut lines = Lines::new(&headings, arguments.noheading);
    for one in found {
        let row = one.row(whole);
        let mut cells = vec![
            row.id.to_owned(),
            row.name.to_owned(),
            row.status.to_owned(),
            row.created,
            row.infra_id.to_owned(),
        ];
        let details = [row.container_ids, row.container_names, row.container_statuses];
        let wanted = of_containers.iter().zip(details).filter(|((wanted, _), _)| *wanted);
        cells.extend(wanted.map(|(_, text)| text));
        if arguments.namespaces {
            cells.extend([row.cgroup.to_owned(), row.namespace.to_owned()]);
        }
        if counts {
            cells.push(row.number_of_containers.to_string());
        }
        lines.row(cells);
    }
    lines.print()
}

/// Whether a pod fits.
type Test = Box<dyn Fn(&One) -> bool>;

/// A check of one key. Source: podman, `pkg/domain/filters/pods.go`.
fn filter(key: &str, values: &[&str], containers: &Containers) -> Result<Test> {
    const STATES: [&str; 6] = ["created", "running", "paused", "stopped", "exited", "unknown"];
    const POD_STATES: [&str; 7] =
        ["stopped", "running", "paused", "exited", "dead", "created", "degraded"];
    let owned: Vec<String> = values.iter().map(ToString::to_string).collect();
    Ok(match key {
        "id" => {
            let fits = expressions(key, values)?;
            Box::new(move |one| fits(one.pod.id()))
        }
        "name" => {
            let fits = expressions(key, values)?;
            Box::new(move |one| fits(one.pod.name()))
        }
        "ctr-ids" => {
            let fits = expressions(key, values)?;
            Box::new(move |one| one.members.iter().any(|member| fits(&member.id)))
        }
        "ctr-names" => {
            let fits = expressions(key, values)?;
            Box::new(move |one| one.members.iter().any(|member| fits(&member.name)))
        }
        "ctr-number" => {
            Box::new(move |one| owned.iter().any(|value| *value == one.members.len().to_string()))
        }
        "ctr-status" => {
            if let Some(wrong) = values.iter().find(|value| !STATES.contains(value)) {
                bail!("{wrong} is not a valid status");
            }
            let is = move |status: &str| {
                owned
                    .iter()
                    .any(|value| value == status || value == "stopped" && status == "exited")
            };
            Box::new(move |one| one.members.iter().any(|member| is(member.status)))
        }
        "status" => {
            if let Some(wrong) = values.iter().find(|value| !POD_STATES.contains(value)) {
                bail!("{wrong} is not a valid pod status");
            }
            Box::new(move |one| owned.contains(&one.state.as_str().to_ascii_lowercase()))
        }
        "label" => Box::new(move |one| {
            let wanted: Vec<&str> = owned.iter().map(String::as_str).collect();
            has_labels(&one.pod.config.labels, &wanted)
        }),
        "until" => {
            let [moment] = values else { bail!("specify exactly one timestamp for until") };
            let fits = made_before(moment)?;
            Box::new(move |one| fits(&one.pod.config.created))
        }
        "network" => {
            let networks = containers.networks();
            let name = |given: &String| {
                networks.find(given).map_or_else(|_| given.clone(), |found| found.name)
            };
            let names: Vec<String> = owned.iter().map(name).collect();
            Box::new(move |one| one.networks.iter().any(|network| names.contains(network)))
        }
        _ => bail!("{key} is an invalid filter"),
    })
}

/// The pods by their IDs, each with its name and its infra container: what lists of containers say of them.
pub(in crate::commands::containers) fn by_id(
    containers: &Containers,
) -> Result<BTreeMap<String, (Pod, Option<Container>)>> {
    let pods = containers.pods();
    let with_infra = |pod: Pod| {
        let infra = pods.infra(&pod).ok().flatten();
        (pod.id().to_owned(), (pod, infra))
    };
    Ok(pods.all()?.into_iter().map(with_infra).collect())
}
