//! `cellar container inspect`

use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::{
    Container, Containers, ErrorKind, MountConfig, MountType, NetworkMode, SpaceMode,
};
use cask_terminal::table::human_size;
use cask_terminal::template::{Format, Origin, is_json_format};
use cask_terminal::value::{self, JsonStyle, Value};
use clap::Args;

use super::several::finish;
use crate::context::Context;
use crate::show;

/// Show everything about containers
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The containers
    containers: Vec<String>,
    /// Print what a Go template says
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// The container that was made last
    #[arg(short, long)]
    latest: bool,
    /// How much they wrote too
    #[arg(short, long)]
    size: bool,
}

mod health;
mod part;

use health::{check_part, health_part, startup_part};
pub(crate) use part::Part;
pub(super) use part::fields;

/// What Go takes for no time.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// Shows what is found; then fails for what is not.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    if arguments.latest && !arguments.containers.is_empty() {
        bail!("--latest and containers cannot be used together");
    }
    let containers = context.containers()?;
    let mut errors = Vec::new();
    let mut found = Vec::new();
    if arguments.latest {
        found.push(super::several::one(&containers, None, true)?);
    }
    for name in &arguments.containers {
        match containers.find(name) {
            Ok(container) => found.push(container),
            Err(error) if error.kind() == ErrorKind::ContainerNotKnown => {
                errors.push(anyhow::anyhow!("no such container {name}"));
            }
            Err(error) => errors.push(error.into()),
        }
    }
    let mut parts = Vec::new();
    for container in &found {
        parts.push(document(&containers, container, arguments.size)?);
    }
    print(&parts, arguments.format.as_deref())?;
    Ok(finish(errors))
}

fn print(parts: &[Part], format: Option<&str>) -> Result<()> {
    match format {
        Some(template) if !is_json_format(template) => {
            let template = normal(template);
            show::rows("inspect", (&template, Origin::List), None, parts)
        }
        _ => show::json(parts, JsonStyle::indented(5)),
    }
}

/// A template with the names that fields have, for those that people know them by.
///
/// Source: podman, `cmd/podman/inspect/inspect.go`, `inspectNormalize`; `libpod/define`, `InspectContainerState`.
pub(crate) fn normal(template: &str) -> String {
    const NAMES: [(&str, &str); 6] = [
        (".ImageID", ".Image"),
        (".ID", ".Id"),
        (".IdMappings", ".IDMappings"),
        (".Src", ".Source"),
        (".Dst", ".Destination"),
        (".State.Healthcheck", ".State.Health"),
    ];
    NAMES.iter().fold(template.to_owned(), |text, (known, name)| text.replace(known, name))
}

/// Everything about a container; `None` where there is none of this name.
pub(crate) fn one(name: &str, size: bool, context: &Context) -> Result<Option<Part>> {
    let containers = context.containers()?;
    match containers.find(name) {
        Ok(container) => Ok(Some(document(&containers, &container, size)?)),
        Err(error) if error.kind() == ErrorKind::ContainerNotKnown => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What a template says of a container.
pub(super) fn text(
    containers: &Containers,
    container: &Container,
    template: &str,
) -> Result<String> {
    let format = Format::parse("tag", &normal(template), Origin::List)?;
    let part = [document(containers, container, false)?];
    let rendered = format.render(None, &Value::of(&part)?)?;
    let text = String::from_utf8_lossy(&rendered);
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}

/// Everything about a container, with its size, in JSON.
pub(crate) fn described(containers: &Containers, container: &Container) -> Option<String> {
    let part = document(containers, container, true).ok()?;
    Some(value::to_json(&Value::of(&part).ok()?, JsonStyle::compact()))
}

/// The ID of the container that was made last.
pub(crate) fn latest(context: &Context) -> Result<String> {
    let found = super::several::one(&context.containers()?, None, true)?;
    Ok(found.id().to_owned())
}

/// Everything about a container. Source: podman, `libpod/define/container_inspect.go`.
fn document(containers: &Containers, container: &Container, size: bool) -> Result<Part> {
    let (config, state) = (&container.config, &container.state);
    let words: Vec<String> = config
        .process
        .entrypoint
        .iter()
        .flatten()
        .chain(&config.process.command)
        .cloned()
        .collect();
    // Who shares a network has what that container says of it.
    let owner = containers.network_owner(config).ok().flatten();
    let net = owner.as_ref().unwrap_or(container);
    let at = |of: &Container, name: &str| of.run_directory().join(name).display().to_string();
    let capabilities: Vec<String> = container.capabilities()?;
    let effective = match is_root(config) {
        true => Part::list_or_nil(&capabilities),
        // Nobody else has any but those that were added.
        false if config.security.add.is_empty() => Part::NilList,
        false => Part::list_or_nil(&container.capabilities_of_user()?),
    };
    let graph = containers.graph_driver(container)?;
    let mut part = fields! {
        "Id": &config.id,
        "Created": Part::Time(config.created.clone()),
        "Path": words.first().cloned().unwrap_or_default(),
        "Args": words.iter().skip(1).cloned().collect::<Vec<_>>(),
        "State": state_part(container),
        "Image": &config.image_id,
        "ImageDigest": &config.image_digest,
        "ImageName": &config.image_name,
        "Rootfs": config.rootfs.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
        "Pod": &config.pod.id,
        "ResolvConfPath": at(net, "resolv.conf"),
        "HostnamePath": at(container, "hostname"),
        "HostsPath": at(net, "hosts"),
        "StaticDir": container.directory().display().to_string(),
        "OCIRuntime": config.runtime.as_ref().map_or("native", |runtime| &runtime.name),
        "ConmonPidFile": config.lifecycle.monitor_pid_file.as_ref().map_or(String::new(), |path| path.display().to_string()),
        "PidFile": config.lifecycle.pid_file.as_ref().map_or(String::new(), |path| path.display().to_string()),
        "Name": &config.name,
        "RestartCount": state.restarts,
        "Driver": containers.images().store().driver().to_string(),
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "EffectiveCaps": effective,
        "BoundingCaps": Part::list_or_nil(&capabilities),
        "ExecIDs": Vec::<Part>::new(),
        "GraphDriver": fields! {
            "Name": containers.images().store().driver().to_string(),
            "Data": Part::Map(graph.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()),
        },
        "Mounts": config.files.mounts.iter().filter(|mount| !mount.kind.is_memory()).map(|mount| mount_part(containers, mount)).collect::<Vec<_>>(),
        "Dependencies": dependencies(config),
        "NetworkSettings": network_part(net),
        "Namespace": "",
        "IsInfra": config.pod.infra,
        "IsService": false,
        "Config": config_part(container),
        "HostConfig": host_part(containers, container),
    };
    if let Part::Fields(fields) = &mut part {
        let (written, root) = match size {
            true => {
                let (written, root) = containers.size(container)?;
                (written.into(), root.into())
            }
            false => (Part::Null, Part::Number(0)),
        };
        // One that wrote nothing has a size too.
        fields.push((if size { "SizeRw" } else { "SizeRw json:,omitempty" }, written));
        fields.push((if size { "SizeRootFs" } else { "SizeRootFs json:,omitempty" }, root));
    }
    Ok(part)
}

fn is_root(config: &cask_engine::ContainerConfig) -> bool {
    let user = config.process.user.as_deref().unwrap_or_default();
    let user = user.split(':').next().unwrap_or_default();
    matches!(user, "" | "0" | "root")
}

fn or_no_time(text: &str) -> Part {
    Part::Time(if text.is_empty() { NO_TIME } else { text }.to_owned())
}

fn state_part(container: &Container) -> Part {
    use cask_engine::Status;
    let state = &container.state;
    fields! {
        "OciVersion": "1.0.2",
        "Status": state.word(),
        "Running": state.status == Status::Running,
        "Paused": state.status == Status::Paused,
        "Restarting": false,
        "OOMKilled": state.oom_killed,
        "Dead": false,
        "Pid": state.pid,
        "ConmonPid": if state.status.has_process() { state.monitor_pid } else { 0 },
        "ExitCode": state.exit_code,
        "Error": &state.error,
        "StartedAt": or_no_time(&state.started_at),
        "FinishedAt": or_no_time(&state.finished_at),
        "Health": health_part(container),
        "CgroupPath": state.cgroup.as_ref().map(|name| format!("/{}", name.trim_start_matches('/'))).unwrap_or_default(),
        "CheckpointedAt": or_no_time(""),
        "RestoredAt": or_no_time(""),
        "StoppedByUser json:,omitempty": state.stopped,
    }
}

fn mount_part(containers: &Containers, mount: &MountConfig) -> Part {
    let options: Vec<String> = mount.options().into_iter().map(ToOwned::to_owned).collect();
    let volume = mount.kind == MountType::Volume;
    let found = volume.then(|| containers.volumes().find(&mount.source).ok()).flatten();
    let source = match volume {
        true => found.as_ref().map(|found| found.mount_point.display().to_string()),
        false => Some(mount.source.clone()),
    };
    let driver = found.map(|found| found.driver).unwrap_or_default();
    fields! {
        "Type": mount.kind.as_str(),
        "Name json:,omitempty": if volume { mount.source.as_str() } else { "" },
        "Source": source.unwrap_or_default(),
        "Destination": mount.target.display().to_string(),
        "Driver": driver,
        "Mode": "",
        "Options": options,
        "RW": !mount.read_only,
        "Propagation": &mount.propagation,
        "SubPath json:,omitempty": &mount.subpath,
    }
}

pub(super) fn dependencies(config: &cask_engine::ContainerConfig) -> Vec<String> {
    let spaces = &config.namespaces;
    let modes = [&spaces.pid, &spaces.ipc, &spaces.uts, &spaces.cgroup];
    let mut found: Vec<String> = modes
        .into_iter()
        .filter_map(|mode| match mode {
            SpaceMode::Container(id) => Some(id.clone()),
            _ => None,
        })
        .collect();
    if let NetworkMode::Container(id) = &config.network.mode {
        found.push(id.clone());
    }
    found.extend(config.lifecycle.requires.iter().cloned());
    found.sort();
    found.dedup();
    found
}

pub(super) fn ports_part(config: &cask_engine::ContainerConfig) -> Part {
    let mut ports: std::collections::BTreeMap<String, Vec<Part>> =
        std::collections::BTreeMap::new();
    for mapping in &config.network.ports {
        for offset in 0..mapping.range {
            let name = format!("{}/{}", mapping.container_port + offset, mapping.protocol);
            ports.entry(name).or_default().push(fields! {
                "HostIp": &mapping.host_ip,
                "HostPort": (mapping.host_port + offset).to_string(),
            });
        }
    }
    let mut map: Vec<(String, Part)> =
        ports.into_iter().map(|(name, list)| (name, list.into())).collect();
    for name in &config.network.exposed {
        if !map.iter().any(|(known, _)| known == name) {
            map.push((name.clone(), Part::NilList));
        }
    }
    Part::Map(map)
}

/// The fields that say one address of each version, which stand for a network and for the whole.
fn address_fields(interface: Option<&cask_network::Interface>) -> Vec<(&'static str, Part)> {
    let subnets = || interface.into_iter().flat_map(|one| &one.subnets);
    let of = |v4: bool| {
        let fits = |subnet: &&cask_network::InterfaceSubnet| {
            subnet.address().is_some_and(|(address, _)| address.is_ipv4() == v4)
        };
        let found = subnets().find(fits);
        let gateway = found.and_then(|subnet| subnet.gateway).map(|gateway| gateway.to_string());
        let (address, bits) = found
            .and_then(cask_network::InterfaceSubnet::address)
            .map_or((String::new(), 0), |(address, bits)| (address.to_string(), i64::from(bits)));
        (gateway.unwrap_or_default(), address, bits)
    };
    let ((gateway, address, bits), (gateway6, address6, bits6)) = (of(true), of(false));
    vec![
        ("EndpointID", "".into()),
        ("Gateway", gateway.into()),
        ("IPAddress", address.into()),
        ("IPPrefixLen", bits.into()),
        ("IPv6Gateway", gateway6.into()),
        ("GlobalIPv6Address", address6.into()),
        ("GlobalIPv6PrefixLen", bits6.into()),
        ("MacAddress", interface.map(|one| one.mac_address.clone()).unwrap_or_default().into()),
    ]
}

/// Source: podman, `libpod/networking_linux.go`, `getContainerNetworkInfo`.
fn network_part(container: &Container) -> Part {
    let config = &container.config;
    let connected = container.network().unwrap_or_default();
    let interface = |wanted: &cask_engine::NetworkAttachment| {
        connected.status.get(&wanted.network)?.interfaces.get(&wanted.interface)
    };
    let attachments = &config.network.attachments;
    let alone = match attachments.as_slice() {
        [one] => interface(one),
        _ => None,
    };
    let mut fields = address_fields(alone);
    let key = match (container.state.status.is_up(), &config.network.mode) {
        (true, NetworkMode::Bridge(_) | NetworkMode::Pasta(_) | NetworkMode::None) => {
            format!("/proc/{}/ns/net", container.state.pid)
        }
        _ => String::new(),
    };
    fields.extend([
        ("Bridge", "".into()),
        ("SandboxID", "".into()),
        ("HairpinMode", false.into()),
        ("LinkLocalIPv6Address", "".into()),
        ("LinkLocalIPv6PrefixLen", 0_i64.into()),
        ("Ports", ports_part(config)),
        ("SandboxKey", key.into()),
    ]);
    let network = |wanted: &cask_engine::NetworkAttachment| {
        let mut part = address_fields(interface(wanted));
        let mut aliases = wanted.aliases.clone();
        aliases.push(config.id.chars().take(12).collect());
        part.extend([
            ("NetworkID", (&wanted.network).into()),
            ("DriverOpts", Part::NilMap),
            ("IPAMConfig", Part::Null),
            ("Links", Part::NilList),
            ("Aliases", aliases.into()),
        ]);
        (wanted.network.clone(), Part::Fields(part))
    };
    let networks = Part::Map(attachments.iter().map(network).collect());
    fields.push(("Networks json:,omitempty", networks));
    Part::Fields(fields)
}

fn config_part(container: &Container) -> Part {
    let config = &container.config;
    let process = &config.process;
    let mut part = fields! {
        "Hostname": container.hostname(),
        "Domainname": config.network.domainname.clone().unwrap_or_default(),
        "User": process.user.clone().unwrap_or_default(),
        "AttachStdin": false,
        "AttachStdout": false,
        "AttachStderr": false,
        "Tty": process.terminal,
        "OpenStdin": process.interactive,
        "StdinOnce": false,
        "Env": &process.environment,
        "Cmd": Part::list_or_nil(&process.command),
        "Image": &config.image_name,
        "Volumes": Part::NilMap,
        "WorkingDir": process.directory.clone().unwrap_or_default(),
        "Entrypoint": process.entrypoint.as_ref().map(|words| words.join(" ")).unwrap_or_default(),
        "OnBuild": Part::NilList,
        "Labels": Part::map_or_nil(&config.labels),
        "Annotations": &config.annotations,
        "StopSignal": container.stop_signal().number(),
        "HealthcheckOnFailureAction": config.health.on_failure.as_str(),
        "HealthLogDestination": config.health.log.place.to_string(),
        "HealthMaxLogCount json:HealthcheckMaxLogCount,omitempty": config.health.log.results(),
        "HealthMaxLogSize json:HealthcheckMaxLogSize,omitempty": config.health.log.characters(),
        "CreateCommand": &config.create_command,
        "Umask": format!("{:04o}", process.umask.unwrap_or(0o022)),
        "Timeout": config.lifecycle.timeout,
        "StopTimeout": container.stop_timeout(),
        "Passwd": !config.accounts.unchanged,
        "sdNotifyMode": match config.lifecycle.notify.as_str() { "" => "container", mode => mode },
    };
    if process.systemd
        && let Part::Fields(fields) = &mut part
    {
        let place = fields.iter().position(|(name, _)| *name == "Umask");
        fields.insert(place.unwrap_or(fields.len()), ("SystemdMode", true.into()));
    }
    if let Part::Fields(fields) = &mut part {
        let secret = |one: &cask_engine::SecretConfig| {
            fields! {
                "Name": &one.name,
                "ID": &one.id,
                "UID": i64::from(one.uid),
                "GID": i64::from(one.gid),
                "Mode": i64::from(one.mode),
            }
        };
        let secrets: Vec<Part> = config.secrets.iter().map(secret).collect();
        let place = fields.iter().position(|(name, _)| *name == "Timeout");
        fields.insert(place.unwrap_or(fields.len()), ("Secrets json:,omitempty", secrets.into()));
    }
    if let Part::Fields(fields) = &mut part {
        let check = check_part(&config.health).unwrap_or(Part::Null);
        let place = fields.iter().position(|(name, _)| *name == "HealthcheckOnFailureAction");
        let place = place.unwrap_or(fields.len());
        let startup = startup_part(&config.health).unwrap_or(Part::Null);
        let parts = [
            ("StartupHealthCheck json:,omitempty", startup),
            ("Healthcheck json:,omitempty", check),
        ];
        fields.splice(place..place, parts);
    }
    if let (Some(zone), Part::Fields(fields)) = (&process.time_zone, &mut part) {
        let place = fields.iter().position(|(name, _)| *name == "Umask");
        fields.insert(place.unwrap_or(fields.len()), ("Timezone", zone.into()));
    }
    if let (false, Part::Fields(fields)) = (config.files.more_roots.is_empty(), &mut part) {
        let shown = config.files.more_roots.iter().map(|path| path.display().to_string());
        fields.push(("ChrootDirs", shown.collect::<Vec<_>>().into()));
    }
    part
}

fn limits(given: &[String]) -> Vec<Part> {
    let part = |text: &String| {
        let (name, values) = text.split_once('=')?;
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        Some(fields! {
            "Name": format!("RLIMIT_{}", name.to_ascii_uppercase()),
            "Soft": soft.parse::<i64>().unwrap_or(-1),
            "Hard": hard.parse::<i64>().unwrap_or(-1),
        })
    };
    given.iter().filter_map(part).collect()
}

#[expect(clippy::too_many_lines, reason = "one line for each of podman's fields")]
fn host_part(containers: &Containers, container: &Container) -> Part {
    let config = &container.config;
    let (resources, network, files) = (&config.resources, &config.network, &config.files);
    let binds = files.mounts.iter().filter(|mount| is_bind(mount)).map(|mount| {
        let access = if mount.read_only { "ro" } else { "rw" };
        let (source, target) = (&mount.source, mount.target.display());
        let options = mount.options().join(",");
        format!("{source}:{target}:{access},{},{options}", mount.propagation)
    });
    let devices = containers.devices_of(container).into_iter().map(
        |(host, inside)| fields! { "PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": "", },
    );
    let tmpfs = memory_part(files);
    let (added, dropped) = capability_parts(container);
    let number = |value: Option<u64>| Part::from(value.unwrap_or(0));
    let mut part = fields! {
        "Binds": binds.collect::<Vec<_>>(),
        "CgroupManager": match resources.cgroup_manager.as_str() {
            "" => "cgroupfs",
            manager => manager,
        },
        "CgroupMode": config.namespaces.cgroup.to_string(),
        "ContainerIDFile": config.lifecycle.id_file.as_ref().map_or(String::new(), |path| path.display().to_string()),
        "LogConfig": fields! {
            "Type": if config.log.driver.is_empty() { "k8s-file" } else { config.log.driver.as_str() },
            "Config": Part::NilMap,
            "Path": container.log_path().map_or(String::new(), |path| path.display().to_string()),
            "Tag": config.log.tag.clone().unwrap_or_default(),
            "Size": human_size(config.log.max_size_bytes.unwrap_or(0)),
        },
        "NetworkMode": network.mode.to_string(),
        "PortBindings": ports_part(config),
        "RestartPolicy": fields! {
            "Name": match config.lifecycle.restart.name() { "" => "no", name => name },
            "MaximumRetryCount": match config.lifecycle.restart {
                cask_engine::RestartPolicy::OnFailure(most) => most,
                _ => 0,
            },
        },
        "AutoRemove": config.lifecycle.auto_remove,
        "VolumeDriver": "",
        "VolumesFrom": Part::list_or_nil(&files.volumes_from),
        "CapAdd": added,
        "CapDrop": dropped,
        "Dns": network.dns.iter().filter(|server| *server != "none").cloned().collect::<Vec<_>>(),
        "DnsOptions": &network.dns_options,
        "DnsSearch": &network.dns_search,
        "ExtraHosts": &network.add_hosts,
        "GroupAdd": &config.process.groups,
        "IpcMode": match &config.namespaces.ipc {
            // Others may join it.
            SpaceMode::Private if !config.namespaces.ipc_alone => "shareable".to_owned(),
            mode => mode.to_string(),
        },
        "Cgroup": "",
        "Cgroups": if resources.cgroups == "disabled" { "disabled" } else { "default" },
        "Links": Part::NilList,
        "OomScoreAdj": i64::from(config.process.oom_score.unwrap_or(0)),
        "PidMode": config.namespaces.pid.to_string(),
        "Privileged": config.security.privileged,
        "PublishAllPorts": false,
        "ReadonlyRootfs": files.read_only,
        "SecurityOpt": security_part(&config.security),
        "Tmpfs": tmpfs,
        "UTSMode": config.namespaces.uts.to_string(),
        "UsernsMode": &config.namespaces.user.mode,
        "ShmSize": files.shm_bytes.unwrap_or(65_536_000),
        "Runtime": if config.runtime.is_some() { "oci" } else { "native" },
        "ConsoleSize": vec![Part::Number(0), Part::Number(0)],
        "Isolation": "",
        "CpuShares": number(resources.cpu_shares),
        "Memory": number(resources.memory),
        "NanoCpus": number(resources.nano_cpus),
        "CgroupParent": resources.cgroup_parent.clone().unwrap_or_default(),
        "BlkioWeight": i64::from(resources.disk_weight.unwrap_or(0)),
        "BlkioWeightDevice": weights(resources),
        "BlkioDeviceReadBps": rates(resources, "read-bps"),
        "BlkioDeviceWriteBps": rates(resources, "write-bps"),
        "BlkioDeviceReadIOps": rates(resources, "read-iops"),
        "BlkioDeviceWriteIOps": rates(resources, "write-iops"),
        "CpuPeriod": number(resources.cpu_period.or(resources.nano_cpus.map(|_| 100_000))),
        "CpuQuota": number(resources.cpu_quota.or(resources.nano_cpus.map(|nano| nano / 10_000))),
        "CpuRealtimePeriod": number(resources.real_time_period),
        "CpuRealtimeRuntime": number(resources.real_time_runtime),
        "CpusetCpus": resources.cpuset_cpus.clone().unwrap_or_default(),
        "CpusetMems": resources.cpuset_mems.clone().unwrap_or_default(),
        "Devices": devices.collect::<Vec<_>>(),
        "DiskQuota": 0_i64,
        "KernelMemory": 0_i64,
        "MemoryReservation": number(resources.memory_reservation),
        "MemorySwap": match resources.memory_swap {
            Some(swap) => swap.max(0),
            None => resources.memory.and_then(|memory| i64::try_from(memory.saturating_mul(2)).ok()).unwrap_or(0),
        },
        "MemorySwappiness": match resources.swappiness {
            Some(value) => i64::try_from(value).unwrap_or(0),
            // As podman has it where memory is limited at all.
            None if resources.memory.is_some() || resources.memory_reservation.is_some() => -1,
            None => 0,
        },
        "OomKillDisable": resources.waits_for_memory,
        "PidsLimit": resources.pids.or(resources.usual_pids).unwrap_or(0).max(0),
        "Ulimits": limits(&config.process.limits),
        "CpuCount": 0_i64,
        "CpuPercent": 0_i64,
        "IOMaximumIOps": 0_i64,
        "IOMaximumBandwidth": 0_i64,
        "CgroupConf": settings(resources),
    };
    let users = &config.namespaces.user;
    if let Part::Fields(fields) = &mut part {
        let place = fields.iter().position(|(name, _)| *name == "ShmSize");
        let ranges = |ranges: &[cask_engine::UserRange]| {
            let one = |one: &cask_engine::UserRange| {
                Part::from(format!("{}:{}:{}", one.inside, one.outside, one.count))
            };
            ranges.iter().map(one).collect::<Vec<_>>()
        };
        let maps = match users.is_mapped() {
            true => fields! { "UidMap": ranges(&users.uids), "GidMap": ranges(&users.gids), },
            false => Part::Null,
        };
        fields.insert(place.unwrap_or(fields.len()), ("IDMappings json:,omitempty", maps));
    }
    part
}

/// The weights of single disks.
fn weights(resources: &cask_engine::ResourcesConfig) -> Part {
    let all: Vec<Part> = resources
        .disk_weights
        .iter()
        .map(|one| fields! { "Path": one.path.display().to_string(), "Weight": i64::from(one.weight), })
        .collect();
    Part::list_or_nil(all)
}

/// What is set in files of the control group.
fn settings(resources: &cask_engine::ResourcesConfig) -> Part {
    let settings = &resources.control_group_settings;
    if settings.is_empty() {
        return Part::NilMap;
    }
    Part::Map(settings.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect())
}

/// Whether it is one of those that podman shows as binds.
fn is_bind(mount: &MountConfig) -> bool {
    matches!(mount.kind, MountType::Bind | MountType::Volume)
}

/// The directories in memory, with their options.
fn memory_part(files: &cask_engine::FilesConfig) -> Part {
    let in_memory = files.mounts.iter().filter(|mount| mount.kind == MountType::Tmpfs);
    let mut all: Vec<(String, Part)> = in_memory
        .map(|mount| {
            let mut options: Vec<String> =
                mount.size_bytes.iter().map(|bytes| format!("size={bytes}")).collect();
            options.extend(mount.mode.map(|mode| format!("mode={mode:o}")));
            options.push(if mount.read_only { "ro" } else { "rw" }.to_owned());
            options.push(mount.propagation.clone());
            options.extend(mount.options().into_iter().map(ToOwned::to_owned));
            (mount.target.display().to_string(), options.join(",").into())
        })
        .collect();
    if files.read_only && files.read_only_tmpfs {
        for path in ["/run", "/tmp", "/var/tmp"] {
            if !files.mounts.iter().any(|mount| mount.target == std::path::Path::new(path)) {
                all.push((path.to_owned(), "rw,rprivate,nosuid,nodev,tmpcopyup".into()));
            }
        }
    }
    Part::Map(all)
}

/// What Docker gives every container.
///
/// Source: podman, `libpod/container_inspect.go`, which says what differs from this.
const DOCKERS: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// The capabilities that it has and Docker does not give, and the other way round.
fn capability_parts(container: &Container) -> (Vec<String>, Vec<String>) {
    if container.config.security.privileged {
        return (Vec::new(), Vec::new());
    }
    let own = container.capabilities().unwrap_or_default();
    let dropped = DOCKERS.iter().filter(|name| !own.iter().any(|one| one == **name));
    let dropped = dropped.map(ToString::to_string).collect();
    let added = own.into_iter().filter(|name| !DOCKERS.contains(&name.as_str()));
    (added.collect(), dropped)
}

/// The options of security that podman shows.
fn security_part(security: &cask_engine::SecurityConfig) -> Vec<String> {
    let mut shown: Vec<String> =
        security.no_new_privileges.then(|| "no-new-privileges".to_owned()).into_iter().collect();
    let named = security.options.iter().filter(|option| {
        ["seccomp=", "label=", "apparmor="].iter().any(|start| option.starts_with(start))
    });
    shown.extend(named.cloned());
    shown
}

/// The limits of one kind for single disks.
fn rates(resources: &cask_engine::ResourcesConfig, what: &str) -> Part {
    let of_kind = resources.disks.iter().filter(|limit| limit.what == what);
    let all: Vec<Part> = of_kind
        .map(|limit| fields! { "Path": limit.path.display().to_string(), "Rate": i64::try_from(limit.most).unwrap_or(i64::MAX), })
        .collect();
    Part::list_or_nil(all)
}
