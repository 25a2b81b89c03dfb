//! `cellar pod inspect`

use std::process::ExitCode;

use anyhow::Result;
use cask_engine::{Container, Containers, ErrorKind, NetworkMode, Pod, PodState};
use cask_program::report;
use cask_terminal::template::{Origin, is_json_format};
use cask_terminal::value::JsonStyle;
use clap::Args;

use super::super::inspect::{Part, fields, ports_part};
use crate::context::Context;
use crate::show;

/// Print everything about pods
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The pods
    pods: Vec<String>,
    /// Print what a Go template says
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// The pod that was made last
    #[arg(short, long)]
    latest: bool,
}

/// Prints it. The words are podman's.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    if arguments.pods.is_empty() && !arguments.latest {
        anyhow::bail!("you must provide at least one name or id");
    }
    if !arguments.pods.is_empty() && arguments.latest {
        anyhow::bail!("--latest and pods cannot be used together");
    }
    let containers = context.containers()?;
    let mut parts = Vec::new();
    let mut unknown = Vec::new();
    if arguments.latest {
        match containers.pods().latest()? {
            Some(pod) => parts.push(part(&pod, &containers)?),
            None => anyhow::bail!("no such pod"),
        }
    }
    for name in &arguments.pods {
        match document(name, &containers)? {
            Some(part) => parts.push(part),
            None => unknown.push(anyhow::anyhow!("no such pod {name}")),
        }
    }
    match arguments.format.as_deref().filter(|format| !is_json_format(format)) {
        Some(template) => {
            show::rows("inspect", (&normal(template), Origin::List), None, &parts)?;
        }
        None => show::json(&parts, JsonStyle::indented(5))?,
    }
    let mut unknown = unknown.into_iter();
    let Some(first) = unknown.next() else { return Ok(ExitCode::SUCCESS) };
    for error in unknown {
        report::say(&format!("error inspecting object: {error}"));
    }
    Err(first.context("inspecting object"))
}

/// A template with the names that fields have, for those that people know them by.
pub(crate) fn normal(template: &str) -> String {
    template.replace(".ID", ".Id")
}

/// Everything about a pod; `None` where there is none of this name.
pub(crate) fn document(name: &str, containers: &Containers) -> Result<Option<Part>> {
    match containers.pods().find(name) {
        Ok(pod) => part(&pod, containers).map(Some),
        Err(error) if error.kind() == ErrorKind::PodNotKnown => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Source: podman, `libpod/define/pod_inspect.go`, `InspectPodData`.
fn part(pod: &Pod, containers: &Containers) -> Result<Part> {
    let pods = containers.pods();
    let (config, members) = (&pod.config, pods.members(pod)?);
    let infra = pods.infra(pod).ok().flatten();
    let spaces: Vec<String> = config.shared.iter().map(|space| space.as_str().to_owned()).collect();
    let group = pod.control_group();
    let shown = members.iter().map(|one| {
        fields! {
            "Id": &one.id,
            "Name": &one.name,
            "State": one.state.word(),
        }
    });
    let resources = &config.resources;
    Ok(fields! {
        "Id": &config.id,
        "Name": &config.name,
        "Namespace json:,omitempty": "",
        "Created": Part::Time(config.created.clone()),
        "CreateCommand json:,omitempty": &config.create_command,
        "ExitPolicy json:,omitempty": config.exit_policy.as_str(),
        "State": PodState::of(&members).as_str(),
        "Hostname": &config.hostname,
        "Labels json:,omitempty": Part::map_or_nil(&config.labels),
        "CreateCgroup": group.is_some(),
        "CgroupParent json:,omitempty": config.cgroup_parent.clone().unwrap_or_default(),
        "CgroupPath json:,omitempty": group.map(|name| format!("/{name}")).unwrap_or_default(),
        "CreateInfra": config.infra.is_some(),
        "InfraContainerID json:,omitempty": config.infra.clone().unwrap_or_default(),
        "InfraConfig json:,omitempty": infra.as_ref().map_or(Part::Null, of_infra),
        "SharedNamespaces json:,omitempty": Part::list_or_nil(spaces),
        "NumContainers": u64::try_from(members.len()).unwrap_or(u64::MAX),
        "Containers json:,omitempty": Part::list_or_nil(shown.collect::<Vec<_>>()),
        "CPUPeriod json:cpu_period,omitempty": resources.cpu_period.unwrap_or_default(),
        "CPUQuota json:cpu_quota,omitempty": resources.nano_cpus.map_or(resources.cpu_quota.unwrap_or_default(), |nano| nano / 10_000),
        "CPUShares json:cpu_shares,omitempty": resources.cpu_shares.unwrap_or_default(),
        "CPUSetCPUs json:cpuset_cpus,omitempty": resources.cpuset_cpus.clone().unwrap_or_default(),
        "CPUSetMems json:cpuset_mems,omitempty": resources.cpuset_mems.clone().unwrap_or_default(),
        "MemoryLimit json:memory_limit,omitempty": resources.memory.unwrap_or_default(),
        "RestartPolicy json:,omitempty": config.restart.name(),
    })
}

fn of_infra(infra: &Container) -> Part {
    let (config, network) = (&infra.config, &infra.config.network);
    let first = network.attachments.first();
    let address = first.and_then(|one| one.addresses.iter().find(|address| address.is_ipv4()));
    let names: Vec<String> = network.attachments.iter().map(|one| one.network.clone()).collect();
    fields! {
        "PortBindings": ports_part(config),
        "HostNetwork": network.mode == NetworkMode::Host,
        "StaticIP": address.map(ToString::to_string).unwrap_or_default(),
        "StaticMAC": first.and_then(|one| one.mac.clone()).unwrap_or_default(),
        "NoManageResolvConf": false,
        "DNSServer": Part::list_or_nil(&network.dns),
        "DNSSearch": Part::list_or_nil(&network.dns_search),
        "DNSOption": Part::list_or_nil(&network.dns_options),
        "NoManageHosts": config.files.no_hosts,
        "HostAdd": Part::list_or_nil(&network.add_hosts),
        "Networks": Part::list_or_nil(names),
        "NetworkOptions": Part::NilMap,
        "PidNS json:pid_ns,omitempty": config.namespaces.pid.to_string(),
        "UserNS json:userns,omitempty": if config.namespaces.user.mode.is_empty() { "host" } else { &config.namespaces.user.mode },
        "UtsNS json:uts_ns,omitempty": config.namespaces.uts.to_string(),
    }
}
