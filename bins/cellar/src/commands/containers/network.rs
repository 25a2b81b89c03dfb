//! `cellar network`

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use cask_engine::{Containers, ErrorKind, NetworkAttachment, RemoveOptions};
use cask_network::{ErrorKind as NetworkErrorKind, Network, NetworkOptions, Prefix, Route};
use cask_program::{output, report};
use cask_terminal::template::{Headers, Origin, is_json_format};
use cask_terminal::value::{JsonStyle, Time};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::filter::{self, has_labels, made_before};
use super::options::pairs;
use super::several::{finish, one};
use crate::commands::prune::is_meant;
use crate::context::Context;
use crate::show;

/// Manage networks
#[derive(Debug, Subcommand)]
pub(crate) enum NetworkCommand {
    Connect(ConnectArguments),
    Create(CreateArguments),
    Disconnect(DisconnectArguments),
    /// Say by the exit code whether there is such a network
    Exists {
        /// The network
        network: String,
    },
    Inspect(InspectArguments),
    #[command(name = "ls", visible_alias = "list")]
    List(ListArguments),
    Prune(PruneArguments),
    Reload(ReloadArguments),
    #[command(name = "rm", visible_alias = "remove")]
    Remove(RemoveArguments),
    Update(UpdateArguments),
}

/// Connect a container to one more network
#[derive(Args, Debug)]
pub(crate) struct ConnectArguments {
    /// The network
    network: String,
    /// The container
    container: String,
    /// Have one more name on it
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    alias: Vec<String>,
    /// Ask for this address
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<String>,
    /// Ask for this address of version 6
    #[arg(long, value_name = "ADDRESS")]
    ip6: Option<String>,
    /// Ask for this hardware address
    #[arg(long, value_name = "ADDRESS")]
    mac_address: Option<String>,
}

/// Make a network
#[derive(Args, Debug)]
pub(crate) struct CreateArguments {
    /// Its name [default: one that is free]
    name: Option<String>,
    /// bridge, macvlan or ipvlan
    #[arg(short, long, value_name = "DRIVER", default_value = "bridge")]
    driver: String,
    /// Its addresses [default: some that are free]
    #[arg(long, value_name = "ADDRESS/BITS")]
    subnet: Vec<Prefix>,
    /// The address of this machine on it
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    gateway: Vec<IpAddr>,
    /// Give containers these addresses only
    #[arg(long, value_name = "ADDRESS/BITS|FIRST-LAST")]
    ip_range: Vec<String>,
    /// Have addresses of version 6 too
    #[arg(long)]
    ipv6: bool,
    /// Lead nowhere else
    #[arg(long)]
    internal: bool,
    /// Do not have names of containers be known on it
    #[arg(long)]
    disable_dns: bool,
    /// Who gives addresses: host-local or none
    #[arg(long, value_name = "DRIVER", default_value = "")]
    ipam_driver: String,
    /// Set a label
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// Set an option of the driver: mtu, vlan, isolate; parent, mode of macvlan and ipvlan
    #[arg(short, long, value_name = "NAME=VALUE")]
    opt: Vec<String>,
    /// Do not fail where it exists
    #[arg(long)]
    ignore: bool,
    /// The name of the bridge, or the interface of this machine that it is above
    #[arg(long, value_name = "NAME", default_value = "")]
    interface_name: String,
    /// Ask this server for names that are not those of its containers
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    dns: Vec<IpAddr>,
    /// Have its containers reach other addresses through this one
    #[arg(long, value_name = "ADDRESS/BITS,GATEWAY[,METRIC]")]
    route: Vec<String>,
}

/// Take a container off a network
#[derive(Args, Debug)]
pub(crate) struct DisconnectArguments {
    /// The network
    network: String,
    /// The container
    container: String,
    /// Do not fail where there is no such container
    #[arg(short, long)]
    force: bool,
}

/// Print everything about networks
#[derive(Args, Debug)]
pub(crate) struct InspectArguments {
    /// The networks
    #[arg(required = true)]
    networks: Vec<String>,
    /// Print what a Go template says
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

/// List networks
#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    /// Only those that fit, such as name=TEXT, driver=bridge, label=KEY=VALUE or dangling=true
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Print JSON, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print whole IDs
    #[arg(long)]
    no_trunc: bool,
    /// Print no headings
    #[arg(short, long)]
    noheading: bool,
    /// Print only names
    #[arg(short, long)]
    quiet: bool,
}

/// Remove every network that no container has
#[derive(Args, Debug)]
pub(crate) struct PruneArguments {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only those that fit
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
}

/// Make the rules for containers again, after all rules of this machine were removed
#[derive(Args, Debug)]
pub(crate) struct ReloadArguments {
    /// The containers
    containers: Vec<String>,
    /// All containers that run
    #[arg(short, long)]
    all: bool,
    /// The container that was made last
    #[arg(short, long)]
    latest: bool,
}

/// Remove networks
#[derive(Args, Debug)]
pub(crate) struct RemoveArguments {
    /// The networks
    #[arg(required = true)]
    networks: Vec<String>,
    /// Remove the containers too that have them
    #[arg(short, long)]
    force: bool,
    /// Seconds from the request to end to the end of a container
    #[arg(short, long, value_name = "SECONDS")]
    time: Option<u32>,
}

/// Change who is asked for names that are not those of a network's containers
#[derive(Args, Debug)]
pub(crate) struct UpdateArguments {
    /// The network
    network: String,
    /// Ask this server too
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    dns_add: Vec<IpAddr>,
    /// Do not ask this server any more
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    dns_drop: Vec<IpAddr>,
}

/// What templates see of a network.
#[derive(Serialize)]
#[serde(rename = "network.ListPrintReports")]
struct Row {
    #[serde(rename = "ID json:id")]
    id: String,
    #[serde(rename = "Name json:name")]
    name: String,
    #[serde(rename = "Driver json:driver")]
    driver: String,
    #[serde(rename = "NetworkInterface json:network_interface")]
    interface: String,
    #[serde(rename = "Created json:created")]
    created: Time,
    #[serde(rename = "Subnets json:subnets,omitempty")]
    subnets: Vec<SubnetRow>,
    #[serde(rename = "Routes json:routes,omitempty")]
    routes: Vec<RouteRow>,
    #[serde(rename = "IPv6Enabled json:ipv6_enabled")]
    ipv6: bool,
    #[serde(rename = "Internal json:internal")]
    internal: bool,
    #[serde(rename = "DNSEnabled json:dns_enabled")]
    dns: bool,
    #[serde(rename = "NetworkDNSServers json:network_dns_servers,omitempty")]
    servers: Vec<String>,
    #[serde(rename = "Labels json:labels,omitempty")]
    labels: Labels,
    #[serde(rename = "Options json:options,omitempty")]
    options: BTreeMap<String, String>,
    #[serde(rename = "IPAMOptions json:ipam_options,omitempty")]
    ipam: BTreeMap<String, String>,
}

/// A list shows labels as one text, and else they are a map.
#[derive(Serialize)]
#[serde(untagged)]
enum Labels {
    Shown(String),
    Named(BTreeMap<String, String>),
}

#[derive(Serialize)]
struct RouteRow {
    #[serde(rename = "Destination json:destination")]
    destination: String,
    #[serde(rename = "Gateway json:gateway")]
    gateway: String,
    #[serde(rename = "Metric json:metric,omitempty", skip_serializing_if = "Option::is_none")]
    metric: Option<u32>,
}

#[derive(Serialize)]
struct SubnetRow {
    #[serde(rename = "Subnet json:subnet")]
    subnet: String,
    #[serde(rename = "Gateway json:gateway,omitempty")]
    gateway: String,
    #[serde(rename = "LeaseRange json:lease_range,omitempty")]
    range: Option<RangeRow>,
}

#[derive(Serialize)]
struct RangeRow {
    #[serde(rename = "StartIP json:start_ip,omitempty")]
    first: String,
    #[serde(rename = "EndIP json:end_ip,omitempty")]
    last: String,
}

const FIELDS: [&str; 14] = [
    "ID",
    "Name",
    "Driver",
    "NetworkInterface",
    "Created",
    "Subnets",
    "Routes",
    "IPv6Enabled",
    "Internal",
    "DNSEnabled",
    "NetworkDNSServers",
    "Labels",
    "Options",
    "IPAMOptions",
];

/// Does it.
pub(crate) fn run(command: NetworkCommand, context: &Context) -> Result<ExitCode> {
    let containers = context.containers()?;
    match command {
        NetworkCommand::Connect(arguments) => connect(&arguments, &containers),
        NetworkCommand::Create(arguments) => create(arguments, &containers),
        NetworkCommand::Disconnect(arguments) => disconnect(&arguments, &containers),
        NetworkCommand::Exists { network } => exists(&network, &containers),
        NetworkCommand::Inspect(arguments) => inspect(&arguments, &containers),
        NetworkCommand::List(arguments) => list(&arguments, &containers),
        NetworkCommand::Prune(arguments) => prune(&arguments, &containers),
        NetworkCommand::Reload(arguments) => reload(&arguments, &containers),
        NetworkCommand::Remove(arguments) => remove(&arguments, &containers),
        NetworkCommand::Update(arguments) => update(&arguments, &containers),
    }
}

fn row(network: Network, whole: bool) -> Row {
    let said = |address: Option<IpAddr>| address.map(|one| one.to_string()).unwrap_or_default();
    let range = |range: &cask_network::LeaseRange| RangeRow {
        first: said(range.start_ip),
        last: said(range.end_ip),
    };
    let subnet = |subnet: &cask_network::Subnet| SubnetRow {
        subnet: subnet.subnet.to_string(),
        gateway: said(subnet.gateway),
        range: subnet.lease_range.as_ref().map(range),
    };
    let route = |route: &Route| RouteRow {
        destination: route.destination.to_string(),
        gateway: route.gateway.to_string(),
        metric: route.metric,
    };
    Row {
        id: network.id.chars().take(if whole { 64 } else { 12 }).collect(),
        driver: network.driver,
        interface: network.network_interface,
        created: Time(network.created),
        subnets: network.subnets.iter().map(subnet).collect(),
        routes: network.routes.iter().map(route).collect(),
        ipv6: network.ipv6_enabled,
        internal: network.internal,
        dns: network.dns_enabled,
        servers: network.network_dns_servers.iter().map(ToString::to_string).collect(),
        labels: Labels::Named(network.labels),
        options: network.options,
        ipam: network.ipam_options,
        name: network.name,
    }
}

fn listed(network: Network, whole: bool) -> Row {
    let labels = network.labels.iter().map(|(name, value)| format!("{name}={value}"));
    let labels = Labels::Shown(labels.collect::<Vec<_>>().join(","));
    Row { labels, ..row(network, whole) }
}

fn connect(arguments: &ConnectArguments, containers: &Containers) -> Result<ExitCode> {
    let container = containers.find(&arguments.container)?;
    let mut wanted = NetworkAttachment::of(&arguments.network);
    let addresses: Vec<String> = arguments.ip.iter().chain(&arguments.ip6).cloned().collect();
    wanted.ask(&addresses, arguments.mac_address.as_deref(), &arguments.alias)?;
    containers.connect(&container, wanted)?;
    Ok(ExitCode::SUCCESS)
}

fn create(arguments: CreateArguments, containers: &Containers) -> Result<ExitCode> {
    let mut options = NetworkOptions::default();
    options.name = arguments.name.unwrap_or_default();
    options.driver = arguments.driver;
    options.subnets = arguments.subnet;
    options.gateways = arguments.gateway;
    options.ranges = arguments.ip_range;
    let routes = arguments.route.iter().map(|text| Route::parse(text));
    options.routes = routes.collect::<Result<_, _>>()?;
    options.ipv6 = arguments.ipv6;
    options.internal = arguments.internal;
    options.no_dns = arguments.disable_dns;
    options.dns_servers = arguments.dns;
    options.ipam = arguments.ipam_driver;
    options.interface = arguments.interface_name;
    options.labels = pairs(&arguments.label);
    options.options = pairs(&arguments.opt);
    let name = options.name.clone();
    let made = match containers.networks().create(options) {
        Err(error) if arguments.ignore && error.kind() == NetworkErrorKind::Exists => name,
        other => other?.name,
    };
    output::line(&made)?;
    Ok(ExitCode::SUCCESS)
}

fn disconnect(arguments: &DisconnectArguments, containers: &Containers) -> Result<ExitCode> {
    let container = match containers.find(&arguments.container) {
        Err(error) if arguments.force && error.kind() == ErrorKind::ContainerNotKnown => {
            return Ok(ExitCode::SUCCESS);
        }
        other => other?,
    };
    containers.disconnect(&container, &arguments.network)?;
    Ok(ExitCode::SUCCESS)
}

fn exists(network: &str, containers: &Containers) -> Result<ExitCode> {
    match containers.networks().find(network) {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) if error.kind() == NetworkErrorKind::NotFound => Ok(ExitCode::FAILURE),
        Err(error) => Err(error.into()),
    }
}

/// What templates see of a network.
pub(crate) fn named(network: &Network) -> impl Serialize + use<> {
    row(network.clone(), true)
}

fn inspect(arguments: &InspectArguments, containers: &Containers) -> Result<ExitCode> {
    let networks = containers.networks();
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for name in &arguments.networks {
        match networks.find(name) {
            Ok(network) => found.push(network),
            Err(error) => errors.push(
                anyhow::Error::from(error).context(format!("inspecting object: network {name}")),
            ),
        }
    }
    match &arguments.format {
        Some(template) if !is_json_format(template) => {
            let rows: Vec<Row> = found.into_iter().map(|network| row(network, true)).collect();
            show::rows("inspect", (template, Origin::List), None, &rows)?;
        }
        _ => show::json(&found, JsonStyle::indented(5))?,
    }
    Ok(finish(errors))
}

fn matching(filters: &[String], containers: &Containers) -> Result<Vec<Network>> {
    let mut kept = containers.networks().list(|error| {
        report::engine_failure(&error.into(), crate::run::hint);
    })?;
    for (key, values) in filter::by_key(filters)? {
        match key.to_ascii_lowercase().as_str() {
            "name" => {
                let fits = filter::expressions(key, &values)?;
                kept.retain(|network| fits(&network.name));
            }
            "id" => {
                let fits = filter::expressions(key, &values)?;
                kept.retain(|network| fits(&network.id));
            }
            "driver" => kept.retain(|network| values.contains(&network.driver.as_str())),
            "label" => kept.retain(|network| has_labels(&network.labels, &values)),
            "label!" => kept.retain(|network| !has_labels(&network.labels, &values)),
            "until" => {
                for value in values {
                    let is_old = made_before(value)?;
                    kept.retain(|network| is_old(&network.created));
                }
            }
            "dangling" => {
                let [value] = values.as_slice() else {
                    bail!("dangling filter can only be specified once")
                };
                let fits = filter::truths(key, &values)
                    .map_err(|_| anyhow!("invalid dangling filter value {value:?}"))?;
                let mut fitting = Vec::new();
                for network in kept {
                    let used = !containers.users_of_network(&network.name)?.is_empty();
                    if fits(!used) && !containers.networks().is_usual(&network) {
                        fitting.push(network);
                    }
                }
                kept = fitting;
            }
            _ => bail!("invalid filter \"{key}\""),
        }
    }
    Ok(kept)
}

fn list(arguments: &ListArguments, containers: &Containers) -> Result<ExitCode> {
    if arguments.quiet && arguments.format.is_some() {
        bail!("quiet and format flags cannot be used together");
    }
    let found = matching(&arguments.filter, containers)?;
    if arguments.quiet {
        let names: String = found.iter().map(|network| format!("{}\n", network.name)).collect();
        output::bytes(names.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let template = arguments.format.as_deref();
    if template.is_some_and(is_json_format) {
        show::json(&found, JsonStyle::indented(2))?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Row> =
        found.into_iter().map(|network| listed(network, arguments.no_trunc)).collect();
    let headers = Headers::from_fields(FIELDS, &[("ID", "NETWORK ID")]);
    let headers = (!arguments.noheading).then_some(&headers);
    let usual = "table {{.ID}}\t{{.Name}}\t{{.Driver}}";
    show::rows("ls", (template.unwrap_or(usual), Origin::List), headers, &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn prune(arguments: &PruneArguments, containers: &Containers) -> Result<ExitCode> {
    let question = "WARNING! This will remove all networks not used by at least one container.\n";
    if !arguments.force && !is_meant(question)? {
        return Ok(ExitCode::SUCCESS);
    }
    for name in unused(&arguments.filter, containers)? {
        output::line(&name)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes those that no container is in and that fit; says which.
pub(crate) fn unused(filters: &[String], containers: &Containers) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for network in matching(filters, containers)? {
        let usual = containers.networks().is_usual(&network);
        if !usual && containers.users_of_network(&network.name)?.is_empty() {
            containers.networks().remove(&network)?;
            removed.push(network.name);
        }
    }
    Ok(removed)
}

fn reload(arguments: &ReloadArguments, containers: &Containers) -> Result<ExitCode> {
    let found = match (arguments.containers.is_empty(), arguments.all, arguments.latest) {
        (true, true, false) => {
            let mut all = containers.all(|_| ())?;
            all.retain(|container| {
                container.state.status.is_up() && !container.config.network.attachments.is_empty()
            });
            all
        }
        (true, false, true) => vec![one(containers, None, true)?],
        (false, false, false) => arguments
            .containers
            .iter()
            .map(|name| containers.find(name))
            .collect::<Result<Vec<_>, _>>()?,
        (_, true, true) => bail!("--all and --latest cannot be used together"),
        (false, true, _) => bail!("no arguments are needed with --all"),
        (false, _, true) => bail!("--latest and containers cannot be used together"),
        (true, false, false) => bail!("you must provide at least one container name or id"),
    };
    let mut errors = Vec::new();
    for container in &found {
        match containers.reload_network(container) {
            Ok(()) => output::line(container.id())?,
            Err(error) => errors.push(error.into()),
        }
    }
    Ok(finish(errors))
}

fn update(arguments: &UpdateArguments, containers: &Containers) -> Result<ExitCode> {
    let UpdateArguments { network, dns_add, dns_drop } = arguments;
    containers.change_servers(network, dns_add, dns_drop)?;
    output::line(network)?;
    Ok(ExitCode::SUCCESS)
}

/// Removes networks: 1 where one is not known, 2 where one is in use, 125 otherwise.
///
/// Source: podman, `cmd/podman/networks/rm.go`, `setExitCode`.
fn remove(arguments: &RemoveArguments, containers: &Containers) -> Result<ExitCode> {
    if arguments.time.is_some() && !arguments.force {
        bail!("--force option must be specified to use the --time option");
    }
    let networks = containers.networks();
    let mut code = 0;
    for name in &arguments.networks {
        let network = match networks.find(name) {
            Ok(network) => network,
            Err(error) if error.kind() == NetworkErrorKind::NotFound => {
                if !arguments.force {
                    code = code.max(1);
                    report::engine_failure(&error.into(), crate::run::hint);
                }
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let users = containers.users_of_network(&network.name)?;
        if !users.is_empty() && !arguments.force {
            code = 2;
            report::engine_usage(&format!(
                "{name:?} has associated containers with it. Use -f to forcibly delete containers and pods: \
                 network is being used"
            ));
            continue;
        }
        let mut options = RemoveOptions::default();
        options.force = true;
        options.timeout = arguments.time;
        users.iter().try_for_each(|user| containers.remove(user, &options))?;
        networks.remove(&network)?;
        output::line(name)?;
    }
    Ok(ExitCode::from(code))
}
