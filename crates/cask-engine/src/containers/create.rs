//! Making containers.

mod copy;

use std::collections::BTreeMap;

use cask_image::ExecutionConfig;
use cask_storage::{Id, NewContainer};

use super::config::{ContainerConfig, NetworkMode, PortMapping, SpaceMode};
use super::mounts::{MountConfig, MountType, check_name, target};
use super::{Container, ContainerState, Containers, names, record};
use crate::images::digest_of;
use crate::{Error, ErrorKind, Found, Result};

pub use copy::CloneOptions;
pub(crate) use copy::name_of_copy;

/// What a container is made with besides its [`ContainerConfig`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CreateOptions {
    /// What is wanted of it. Who it is, what it is made from and when is filled in.
    pub config: ContainerConfig,
    /// A container that has its name is removed.
    pub replace: bool,
    /// Every port that it exposes is given one of this machine.
    pub publish_all: bool,
    /// Whether it is prepared for systemd; `None` is where its command is systemd, or calls itself an init.
    pub systemd: Option<bool>,
    /// Whose users it has.
    pub users: super::UsersRequest,
}

/// The search path of an image that names none. Source: containers/common, `DefaultPathEnv`.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The signal that has systemd end: SIGRTMIN+3. Source: systemd(1).
const SYSTEMD_STOPS: i32 = 37;
/// Commands that are taken for systemd.
const INITS: [&str; 3] = ["/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init"];
/// How many files are open, and processes there are, at most. Source: podman, `RLimitDefaultValue`.
const MOST_RESOURCES: u64 = 1_048_576;
/// Names that are tried before giving up.
const MOST_NAMES: usize = 20;

impl Containers {
    /// Makes a container from an image, or from a root of its own. It does not run yet.
    ///
    /// # Errors
    /// [`ErrorKind::NameInUse`] for a name that another container has, or a pod; [`ErrorKind::Invalid`] for what makes
    /// no sense; [`ErrorKind::ContainerNotKnown`] for a container whose namespace it shall share;
    /// [`ErrorKind::Storage`].
    pub fn create(&self, image: Option<&Found>, options: CreateOptions) -> Result<Container> {
        let CreateOptions { mut config, replace, publish_all, systemd, users } = options;
        let run = match image {
            Some(found) => self.take_image(&mut config, found)?,
            None => ExecutionConfig::default(),
        };
        fill_process(&mut config, &run)?;
        fill_systemd(&mut config, systemd);
        fill_volumes(&mut config, &run)?;
        fill_limits(&mut config.process.limits);
        config.health.fill(run.healthcheck.as_ref());
        config.network.exposed.extend(run.exposed_ports.iter().map(|port| with_protocol(port)));
        config.network.exposed.sort();
        config.network.exposed.dedup();
        if publish_all {
            publish_exposed(&mut config);
        }
        if self.services.is_some() {
            config.resources.cgroup_manager = "systemd".to_owned();
        }
        self.resolve_others(&mut config)?;
        let _chosen = self.settle_users(&mut config, &users, image)?;
        self.settle_network(&mut config)?;
        super::spec::check(&config)?;
        check_sources(&config)?;
        if !config.name.is_empty() {
            check_name(&config.name)?;
            if replace {
                self.remove_named(&config.name)?;
            }
        }
        config.created = record::now();
        let volumes = self.name_volumes(&mut config)?;
        let made = self.register(config)?;
        drop(volumes);
        self.make_anonymous(&made.config).inspect_err(|_| {
            let options = super::RemoveOptions { volumes: true, ..Default::default() };
            let _ = self.remove(&made, &options);
        })?;
        Ok(made)
    }

    fn take_image(&self, config: &mut ContainerConfig, found: &Found) -> Result<ExecutionConfig> {
        config.image_id = found.image.id.to_string();
        let is_id = config.image_id.starts_with(found.name.trim_start_matches("sha256:"));
        config.image_name = match found.image.names.first() {
            Some(name) if is_id => name.clone(),
            _ if is_id => config.image_id.clone(),
            _ => found.name.clone(),
        };
        let digest = digest_of(&found.image);
        config.image_digest = digest.map(ToString::to_string).unwrap_or_default();
        let image = self.images().config(&found.image)?.ok_or_else(|| {
            Error::new(
                ErrorKind::Invalid,
                &found.name,
                "it is a list or an artifact, and cannot be run",
            )
        })?;
        Ok(image.config)
    }

    /// Has names of other containers become their IDs.
    fn resolve_others(&self, config: &mut ContainerConfig) -> Result<()> {
        let spaces = &mut config.namespaces;
        for mode in [&mut spaces.pid, &mut spaces.ipc, &mut spaces.uts, &mut spaces.cgroup] {
            if let SpaceMode::Container(name) = mode {
                *name = self.find(name)?.config.id;
            }
        }
        if let SpaceMode::Container(id) = &spaces.ipc
            && self.find(id)?.config.namespaces.ipc_alone
        {
            let words = format!("joining IPC of container {id} is not allowed");
            let why = "non-shareable IPC (hint: use IpcMode:shareable for the donor container)";
            return Err(Error::new(ErrorKind::Invalid, words, why));
        }
        if let NetworkMode::Container(name) = &mut config.network.mode {
            *name = self.find(name)?.config.id;
        }
        for given in &mut config.secrets {
            let found = self.secrets().find(&given.name)?;
            (given.name, given.id) = (found.name, found.id);
        }
        for name in &mut config.lifecycle.requires {
            let words =
                || format!("{name:?} is not a valid container, cannot be used as a dependency");
            let found = self
                .find(name)
                .map_err(|error| Error::new(error.kind(), words(), "").with_source(error))?;
            *name = found.config.id;
        }
        Ok(())
    }

    /// Makes its layer and its record, under its name or one that is free.
    fn register(&self, mut config: ContainerConfig) -> Result<Container> {
        let member = !config.pod.id.is_empty() && !config.pod.infra;
        // Nobody removes the pod meanwhile.
        let _pod = member.then(|| self.pods().hold(&config.pod.id)).transpose()?;
        let named = !config.name.is_empty();
        for attempt in 0..MOST_NAMES {
            if !named {
                config.name = names::choose(attempt);
            }
            match self.register_as(&mut config) {
                Err(error) if error.kind() == ErrorKind::NameInUse && !named => {}
                other => return other,
            }
        }
        Err(Error::new(ErrorKind::NameInUse, &config.name, "no free name was found"))
    }

    fn register_as(&self, config: &mut ContainerConfig) -> Result<Container> {
        let image = match config.image_id.as_str() {
            "" => None,
            id => Some(Id::parse(id)?),
        };
        let mut new = NewContainer::new(image);
        new.names = vec![config.name.clone()];
        new.layer_names = vec![format!("{}-layer", config.name)];
        new.volatile = config.lifecycle.auto_remove;
        new.metadata = metadata(config);
        config.id = new.id.to_string();
        let users = &config.namespaces.user;
        if users.is_mapped() {
            (new.uid_map, new.gid_map) = users.stored();
            if let (Some(image), true) = (&new.image, users.copied) {
                new.base = Some(self.store().map_image(image, &new.uid_map, &new.gid_map)?);
            }
        }
        let place = self.place(&new.id);
        // Before the store knows it: who finds a container in the store that has no file here takes it for another
        // program's.
        let _being_made = place.begin()?;
        let made = match self.store().create_container(&new) {
            Err(error) if error.kind() == cask_storage::ErrorKind::Exists => {
                // Perhaps one has the name whose maker was killed.
                match self.store().container_named(&config.name) {
                    Ok(half) if self.sweep_half_made(&half.id) => {
                        self.store().create_container(&new)
                    }
                    _ => Err(error),
                }
            }
            made => made,
        };
        let made = made.map_err(|error| self.taken(config, error));
        let state = ContainerState::default();
        let written = made.and_then(|made| {
            config.layer = made.layer.as_ref().map(ToString::to_string).unwrap_or_default();
            let saved = place.save_lasting(config, &state);
            // Now that it has the name, no pod will; one may have had it before.
            saved.and_then(|()| self.check_pods(&config.name)).inspect_err(|_| {
                // Half a container is none.
                let _ = self.store().delete_container(&new.id);
            })
        });
        match written {
            Ok(()) => {
                let container = Container { config: config.clone(), state, place };
                self.tell_created(&container);
                Ok(container)
            }
            Err(error) => {
                place.remove()?;
                Err(error)
            }
        }
    }

    /// Refuses a name that a pod has. The words are podman's.
    pub(super) fn check_pods(&self, name: &str) -> Result<()> {
        match self.pods().is_named(name)? {
            true => {
                let words = format!("name {name:?} is in use");
                Err(Error::new(ErrorKind::NameInUse, words, "pod already exists"))
            }
            false => Ok(()),
        }
    }

    /// Says who has the name. The words are podman's.
    fn taken(&self, config: &ContainerConfig, error: cask_storage::Error) -> Error {
        if error.kind() != cask_storage::ErrorKind::Exists {
            return error.into();
        }
        let name = &config.name;
        let owner = self.store().container_named(name).map(|found| found.id.to_string());
        let owner = owner.unwrap_or_default();
        Error::new(
            ErrorKind::NameInUse,
            format_args!(
                "the container name \"{name}\" is already in use by {owner}. You have to remove that container to be able to reuse that name"
            ),
            "that name is already in use",
        )
    }
}

/// What podman and buildah find in the store about a container. Source: podman, `libpod/storage.go`.
fn metadata(config: &ContainerConfig) -> String {
    let created: Option<cask_image::Timestamp> = config.created.parse().ok();
    serde_json::json!({
        "image-name": config.image_name,
        "image-id": config.image_id,
        "name": config.name,
        "created-at": created.map_or(0, cask_image::Timestamp::unix_seconds),
    })
    .to_string()
}

fn fill_process(config: &mut ContainerConfig, run: &ExecutionConfig) -> Result<()> {
    let process = &mut config.process;
    let replaced = process.entrypoint.is_some();
    if !replaced {
        process.entrypoint.clone_from(&run.entrypoint);
        if process.command.is_empty() {
            process.command = run.cmd.clone().unwrap_or_default();
        }
    }
    let entrypoint = process.entrypoint.as_ref().map_or(0, Vec::len);
    if !process.pause && entrypoint + process.command.len() == 0 {
        return Err(Error::new(
            ErrorKind::Invalid,
            "no command or entrypoint provided, and no CMD or ENTRYPOINT from image",
            "",
        ));
    }
    process.user = process.user.take().or_else(|| Some(run.user.clone()));
    process.environment = environment(process, run);
    if config.lifecycle.stop_signal.is_none() && !run.stop_signal.is_empty() {
        let signal: cask_runtime::Signal = run.stop_signal.parse()?;
        config.lifecycle.stop_signal = Some(signal.number());
    }
    process.directory_named = process.directory.is_some();
    if process.directory.is_none() {
        let given = Some(run.working_dir.as_str()).filter(|path| !path.is_empty());
        process.directory = Some(given.unwrap_or("/").to_owned());
    }
    for (name, value) in &run.labels {
        config.labels.entry(name.clone()).or_insert_with(|| value.clone());
    }
    Ok(())
}

/// What systemd wants is given where it is what runs.
///
/// Source: podman, `pkg/specgen/generate/container_create.go`.
fn fill_systemd(config: &mut ContainerConfig, wanted: Option<bool>) {
    let process = &mut config.process;
    let first = process.entrypoint.iter().flatten().chain(&process.command).next();
    let is_init = first.is_some_and(|first| {
        INITS.contains(&first.as_str()) || first.rsplit('/').next() == Some("systemd")
    });
    process.systemd = wanted.unwrap_or(is_init);
    if process.systemd && config.lifecycle.stop_signal.is_none() {
        config.lifecycle.stop_signal = Some(SYSTEMD_STOPS);
    }
}

/// The image's environment, then the container's own; of equal names the last holds, in the place of the first.
fn environment(process: &super::ProcessConfig, run: &ExecutionConfig) -> Vec<String> {
    let unset = &process.unset_environment;
    let name = |entry: &str| entry.split_once('=').map_or(entry, |(name, _)| name).to_owned();
    let all = unset.iter().any(|name| name == "*");
    let kept = run.env.iter().filter(|entry| !all && !unset.contains(&name(entry)));
    let mut usual = vec![PATH.to_owned(), "TERM=xterm".to_owned(), "container=podman".to_owned()];
    usual.extend(process.default_environment.iter().cloned());
    let known: Vec<String> = run.env.iter().chain(&usual).cloned().collect();
    usual.retain(|entry| !all && !unset.contains(&name(entry)));
    let mut order = Vec::new();
    let mut last = BTreeMap::new();
    let merged = process.merged_environment.iter().map(|entry| merge(entry, &known));
    let merged: Vec<String> = merged.collect();
    for entry in usual.iter().chain(kept).chain(&merged).chain(&process.environment) {
        if last.insert(name(entry), entry.clone()).is_none() {
            order.push(name(entry));
        }
    }
    order.iter().filter_map(|name| last.remove(name)).collect()
}

/// A variable with `$NAME` and `${NAME}` replaced by those that are known, the first of a name; others are empty.
///
/// Source: podman, `pkg/specgen/generate/container.go`, which has them expanded as a shell would.
fn merge(entry: &str, known: &[String]) -> String {
    let value_of = |name: &str| {
        let found = known.iter().find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_default()
    };
    let mut merged = String::new();
    let mut rest = entry;
    while let Some((before, behind)) = rest.split_once('$') {
        merged.push_str(before);
        let (name, after) = match behind.strip_prefix('{').and_then(|text| text.split_once('}')) {
            Some(found) => found,
            None => {
                let is_name = |symbol: char| symbol.is_ascii_alphanumeric() || symbol == '_';
                let end = behind.find(|symbol| !is_name(symbol)).unwrap_or(behind.len());
                behind.split_at(end)
            }
        };
        merged.push_str(value_of(name));
        rest = after;
    }
    merged.push_str(rest);
    merged
}

/// The image's volumes, where nothing else is mounted.
fn fill_volumes(config: &mut ContainerConfig, run: &ExecutionConfig) -> Result<()> {
    config.files.mounts = once_each(std::mem::take(&mut config.files.mounts))?;
    let kind = match config.files.image_volumes.as_str() {
        "ignore" => return Ok(()),
        "tmpfs" => MountType::Tmpfs,
        "" | "bind" | "anonymous" => MountType::Volume,
        other => {
            let why = "image volumes are anonymous, tmpfs or ignore";
            return Err(Error::new(ErrorKind::Invalid, format_args!("{other:?}"), why));
        }
    };
    let targets = config.files.mounts.iter().map(|mount| mount.target.clone());
    let mut seen: std::collections::BTreeSet<_> = targets.collect();
    for path in &run.volumes {
        // Words that were meant as a list of JSON are paths below the root too.
        let to = target(&format!("/{path}"), path)?;
        if seen.insert(to.clone()) {
            let source = if kind == MountType::Tmpfs { "tmpfs" } else { "" };
            let mut mount = MountConfig::new(kind, source, to);
            mount.anonymous = kind == MountType::Volume;
            config.files.mounts.push(mount);
        }
    }
    Ok(())
}

/// The mounts, without those that are given twice; nothing else can be where something is.
fn once_each(given: Vec<MountConfig>) -> Result<Vec<MountConfig>> {
    let mut kept: Vec<MountConfig> = Vec::new();
    for mount in given {
        match kept.iter().find(|known| known.target == mount.target) {
            None => kept.push(mount),
            Some(known) if *known == mount => {}
            Some(_) => {
                let why = "duplicate mount destination";
                return Err(Error::new(ErrorKind::Invalid, mount.target.display(), why));
            }
        }
    }
    Ok(kept)
}

/// A port as `80/tcp`.
fn with_protocol(port: &str) -> String {
    if port.contains('/') { port.to_owned() } else { format!("{port}/tcp") }
}

/// Refuses to mount what is not there. The words are podman's.
fn check_sources(config: &ContainerConfig) -> Result<()> {
    for mount in config.files.mounts.iter().filter(|mount| mount.kind == MountType::Bind) {
        if let Err(error) = std::fs::metadata(&mount.source) {
            let words = format!("statfs {}", mount.source);
            return Err(Error::new(ErrorKind::Invalid, words, "").with_source(error));
        }
    }
    for device in super::devices::nodes(config) {
        let host = device.split(':').next().unwrap_or_default();
        if let Err(error) = std::fs::metadata(host) {
            let words = format!("stat {host}");
            return Err(Error::new(ErrorKind::Invalid, words, "").with_source(error));
        }
    }
    Ok(())
}

/// Gives what nobody limited as many open files and processes as there may be.
///
/// Source: podman, `pkg/specgen/generate/oci.go`, `addRlimits`; what a process may not raise stays as it is.
fn fill_limits(limits: &mut Vec<String>) {
    use rustix::process::{Resource, getrlimit};
    if limits.iter().any(|limit| limit == "host") {
        return;
    }
    let may_raise = rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(rustix::thread::CapabilitySet::SYS_RESOURCE));
    for (name, resource) in [("nofile", Resource::Nofile), ("nproc", Resource::Nproc)] {
        let is_given = |limit: &String| limit.split('=').next() == Some(name);
        if limits.iter().any(is_given) {
            continue;
        }
        let own = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let most = if may_raise { MOST_RESOURCES } else { own.min(MOST_RESOURCES) };
        limits.push(format!("{name}={most}:{most}"));
    }
}

/// Gives every exposed port one of this machine's, whichever is free.
fn publish_exposed(config: &mut ContainerConfig) {
    if !matches!(config.network.mode, NetworkMode::Bridge(_) | NetworkMode::Pasta(_)) {
        return;
    }
    for exposed in config.network.exposed.clone() {
        let (port, protocol) = exposed.split_once('/').unwrap_or((&exposed, "tcp"));
        let Ok(port) = port.parse::<u16>() else { continue };
        let known =
            |mapping: &PortMapping| mapping.container_port == port && mapping.protocol == protocol;
        if !config.network.ports.iter().any(known) {
            config.network.ports.push(PortMapping {
                host_ip: String::new(),
                container_port: port,
                host_port: 0,
                range: 1,
                protocol: protocol.to_owned(),
            });
        }
    }
}

/// Reads the value of `--publish`: `[[IP:][HOST]:]CONTAINER[/PROTOCOL]`, each of both a port or a range.
///
/// # Errors
/// [`ErrorKind::Invalid`].
pub fn parse_port(text: &str) -> Result<PortMapping> {
    let refused = |why: &str| {
        Error::new(ErrorKind::Invalid, format_args!("cannot parse {text:?} as a port mapping"), why)
    };
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    if !matches!(protocol, "tcp" | "udp" | "sctp") {
        return Err(refused("the protocol is tcp, udp or sctp"));
    }
    let range = |text: &str| -> Result<(u16, u16)> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => Ok((first, last - first + 1)),
            _ => Err(refused("ports are from 1 to 65535, and ranges grow")),
        }
    };
    let (rest, container) = match ports.rsplit_once(':') {
        Some((rest, container)) => (Some(rest), container),
        None => (None, ports),
    };
    let (container_port, count) = range(container)?;
    let (host_ip, host) = match rest {
        None => ("", ""),
        // An address of version 6 has colons of its own, and stands in brackets.
        Some(rest) => match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((ip, host)) => (ip, host.strip_prefix(':').unwrap_or(host)),
            None => rest.rsplit_once(':').unwrap_or(("", rest)),
        },
    };
    if !host_ip.is_empty() && host_ip.parse::<std::net::IpAddr>().is_err() {
        return Err(refused("the address is none"));
    }
    let (host_port, host_count) = if host.is_empty() { (0, count) } else { range(host)? };
    if host_count != count {
        return Err(refused("both ranges have the same length"));
    }
    Ok(PortMapping {
        host_ip: host_ip.to_owned(),
        container_port,
        host_port,
        range: count,
        protocol: protocol.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_merged_with_the_images() {
        let known = ["PATH=/bin".to_owned(), "A=1".to_owned()];
        for (entry, expected) in [
            ("PATH=/opt:${PATH}", "PATH=/opt:/bin"),
            ("X=$A-$B.", "X=1-."),
            ("X=plain", "X=plain"),
            ("X=${A", "X={A"),
        ] {
            assert_eq!(merge(entry, &known), expected);
        }
    }

    #[test]
    fn ports_are_read() {
        let check = |text: &str, expected: &str| {
            let shown = parse_port(text).map_or(String::new(), |one| {
                let PortMapping { host_ip, container_port, host_port, range, protocol } = one;
                format!("{host_ip}:{host_port}->{container_port}+{range}/{protocol}")
            });
            assert_eq!(shown, expected, "{text}");
        };
        check("80", ":0->80+1/tcp");
        check("8080:80", ":8080->80+1/tcp");
        check("127.0.0.1:8080:80/udp", "127.0.0.1:8080->80+1/udp");
        check("127.0.0.1::80", "127.0.0.1:0->80+1/tcp");
        check("[::1]:8080:80", "::1:8080->80+1/tcp");
        check("8000-8002:80-82", ":8000->80+3/tcp");
        for wrong in
            ["", "a", "0", "70000", "80/x", "1:2:3:4", "8000-8001:80-82", "82-80", "x:80:80"]
        {
            check(wrong, "");
        }
    }

    #[test]
    fn the_command_is_the_images_unless_the_entry_point_is_replaced() {
        let check = |entrypoint: Option<&[&str]>,
                     command: &[&str],
                     expected: (&[&str], &[&str])| {
            let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
            let mut run = ExecutionConfig::default();
            run.entrypoint = Some(words(&["/entry"]));
            run.cmd = Some(words(&["image"]));
            let mut config = ContainerConfig::default();
            config.process.entrypoint = entrypoint.map(words);
            config.process.command = words(command);
            fill_process(&mut config, &run).unwrap();
            assert_eq!(config.process.entrypoint.unwrap(), words(expected.0));
            assert_eq!(config.process.command, words(expected.1));
        };
        check(None, &[], (&["/entry"], &["image"]));
        check(None, &["own"], (&["/entry"], &["own"]));
        check(Some(&["sh"]), &[], (&["sh"], &[]));
        check(Some(&[]), &["own"], (&[], &["own"]));
        let mut empty = ContainerConfig::default();
        let error = fill_process(&mut empty, &ExecutionConfig::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }

    #[test]
    fn systemd_is_known_by_its_name() {
        let check = |command: &str, wanted: Option<bool>, expected: bool| {
            let mut config = ContainerConfig::default();
            config.process.command = vec![command.to_owned()];
            fill_systemd(&mut config, wanted);
            assert_eq!(config.process.systemd, expected, "{command}");
            assert_eq!(config.lifecycle.stop_signal.is_some(), expected);
        };
        check("/sbin/init", None, true);
        check("/usr/lib/systemd/systemd", None, true);
        check("systemd", None, true);
        check("/bin/init", None, false);
        check("/sbin/init", Some(false), false);
        check("sh", Some(true), true);
    }

    #[test]
    fn of_equal_variables_the_last_holds() {
        let mut run = ExecutionConfig::default();
        run.env = vec!["PATH=/bin".to_owned(), "A=image".to_owned(), "B=image".to_owned()];
        let process = super::super::ProcessConfig {
            environment: vec!["A=own".to_owned(), "C=".to_owned()],
            unset_environment: vec!["B".to_owned()],
            ..Default::default()
        };
        let expected = ["PATH=/bin", "TERM=xterm", "container=podman", "A=own", "C="];
        assert_eq!(environment(&process, &run), expected);
        let process = super::super::ProcessConfig {
            environment: vec!["A=own".to_owned()],
            unset_environment: vec!["*".to_owned()],
            ..Default::default()
        };
        assert_eq!(environment(&process, &run), ["A=own"]);
    }

    #[test]
    fn what_is_merged_knows_the_usual_variables_and_those_of_the_image() {
        let process = super::super::ProcessConfig {
            merged_environment: vec!["PATH=${PATH}:/x".to_owned(), "B=$A$none".to_owned()],
            ..Default::default()
        };
        let mut run = ExecutionConfig::default();
        let found = environment(&process, &run);
        assert!(found.contains(&format!("{PATH}:/x")), "{found:?}");
        run.env = vec!["PATH=/bin".to_owned(), "A=a".to_owned()];
        let found = environment(&process, &run);
        assert_eq!(found, ["PATH=/bin:/x", "TERM=xterm", "container=podman", "A=a", "B=a"]);
    }
}
