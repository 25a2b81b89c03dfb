//! `config.json`.
//!
//! Source: OCI runtime specification 1.0.2, config.md and config-linux.md.

use std::ffi::OsStr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::text;
use crate::capability::{Capability, CapabilitySet};
use crate::cgroup::{DeviceKind, DeviceRule};
use crate::error::Result;
use crate::limit::{Limit, deduplicate};
use crate::mount::{Memory, Mount, MountSource, Propagation};
use crate::report::Note;
use crate::seccomp::{self, Seccomp};
use crate::spec::{ControlGroupFiles, IdRange, Namespace, Network, RunSpec, UserNamespace};

/// The version to write: what the runtime's `features` allow, but not more than is needed.
///
/// Nothing that is written here is newer than `oldest`, so that is what every runtime gets which does not insist on
/// more.
pub(super) fn version(features: &str, oldest: &str) -> String {
    let features: Value = serde_json::from_str(features).unwrap_or_default();
    let least = features["ociVersionMin"].as_str().filter(|least| newer(least, oldest));
    least.unwrap_or(oldest).to_owned()
}

fn newer(version: &str, than: &str) -> bool {
    let numbers = |version: &str| -> Vec<u32> {
        let plain = version.split(['-', '+']).next().unwrap_or_default();
        plain.split('.').map(|part| part.parse().unwrap_or(0)).collect()
    };
    numbers(version) > numbers(than)
}

/// The text of the configuration, and what differs from `spec`.
pub(super) fn write(
    spec: &RunSpec,
    version: &str,
    root: &Path,
    files: &[PathBuf],
) -> Result<(String, Vec<Note>)> {
    let (limits, mut notes) = lowered(&spec.process.limits);
    let capabilities = owned(spec.privileges.capabilities, &mut notes);
    let mut mounts =
        if spec.files.standard { standard(spec, has_machine_users()) } else { Vec::new() };
    for (mount, file) in spec.files.mounts.iter().zip(files) {
        mounts.push(one_mount(spec, mount, file)?);
    }
    let mut config = json!({
        "ociVersion": version,
        "process": process(spec, &limits, capabilities)?,
        "root": { "path": text(root, "the root")?, "readonly": spec.files.read_only_root },
        "mounts": mounts,
        "linux": linux(spec)?,
    });
    if let Some(name) = &spec.hostname {
        config["hostname"] = text(name, "the host name")?.into();
    }
    if let Some(name) = &spec.domainname {
        config["domainname"] = text(name, "the domain name")?.into();
    }
    if !spec.hooks.list.is_empty() {
        config["hooks"] = spec.hooks.to_json();
        config["annotations"] = json!(spec.hooks.annotations);
    }
    Ok((format!("{config:#}"), notes))
}

/// Whether this process is in no user namespace but the machine's.
fn has_machine_users() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]))
}

/// Limits that this process may give. Unlike the native executor, runtimes fail at the first that is too high.
fn lowered(limits: &[Limit]) -> (Vec<Limit>, Vec<Note>) {
    let has_it = |sets: rustix::thread::CapabilitySets| {
        sets.effective.contains(rustix::thread::CapabilitySet::SYS_RESOURCE)
    };
    // In a user namespace it lets nobody above the limits of the machine.
    let free = has_machine_users() && rustix::thread::capabilities(None).is_ok_and(has_it);
    let mut notes = Vec::new();
    let mut lower = |limit: Limit| {
        let own = rustix::process::getrlimit(limit.resource.kernel()).maximum;
        let most = own.unwrap_or(Limit::INFINITY);
        if free || limit.hard <= most {
            return limit;
        }
        let Limit { resource, hard: asked, .. } = limit;
        notes.push(Note::LimitLowered { resource, asked, given: most });
        Limit { resource, soft: limit.soft.min(most), hard: most }
    };
    let limits = deduplicate(limits).into_iter().map(&mut lower).collect();
    (limits, notes)
}

/// Capabilities that this process may give. Unlike the native executor, runtimes fail at the first that it does not
/// have.
fn owned(wanted: CapabilitySet, notes: &mut Vec<Note>) -> CapabilitySet {
    let Ok(sets) = rustix::thread::capabilities(None) else { return wanted };
    let missing = wanted.bits() & !sets.permitted.bits();
    if missing != 0 {
        notes.push(Note::CapabilitiesMissing(CapabilitySet::from_bits(missing)));
    }
    CapabilitySet::from_bits(wanted.bits() & !missing)
}

fn process(spec: &RunSpec, limits: &[Limit], capabilities: CapabilitySet) -> Result<Value> {
    let process = &spec.process;
    let arguments = process.arguments.iter().map(|argument| text(argument, "the argument"));
    let environment = crate::prepare::environment(spec)
        .into_iter()
        .map(|entry| text(OsStr::from_bytes(&entry), "the environment"));
    let names = |set: CapabilitySet| set.iter().map(Capability::name).collect::<Vec<_>>();
    let given = names(capabilities);
    let is_root = process.identity.uid == 0;
    let ambient = CapabilitySet::from_bits(match is_root {
        true => 0,
        false => spec.privileges.ambient.bits() & capabilities.bits(),
    });
    let ambient = names(ambient);
    let effective = if is_root { given.clone() } else { ambient.clone() };
    let limit = |limit: &Limit| json!({ "type": limit.resource.name(), "soft": limit.soft, "hard": limit.hard });
    let mut value = json!({
        "terminal": spec.io.terminal.is_some(),
        "user": {
            "uid": process.identity.uid,
            "gid": process.identity.gid,
            "umask": process.umask,
        },
        "args": arguments.collect::<Result<Vec<_>>>()?,
        "env": environment.collect::<Result<Vec<_>>>()?,
        "cwd": text(&process.directory, "the working directory")?,
        "capabilities": {
            "bounding": given,
            "effective": effective,
            "permitted": effective,
            "inheritable": ambient,
            "ambient": ambient,
        },
        "rlimits": limits.iter().map(limit).collect::<Vec<_>>(),
        "noNewPrivileges": spec.privileges.no_new_privileges,
    });
    let single = matches!(&spec.users, UserNamespace::Map(maps) if maps.is_single());
    if !single {
        value["user"]["additionalGids"] = process.identity.all_groups().into();
    }
    if let Some(size) = spec.io.terminal {
        value["consoleSize"] = json!({ "height": size.rows, "width": size.columns });
    }
    if let Some(score) = process.out_of_memory_score {
        value["oomScoreAdj"] = score.into();
    }
    Ok(value)
}

fn standard(spec: &RunSpec, has_machine_users: bool) -> Vec<Value> {
    let closed = ["nosuid", "noexec", "nodev"];
    let mut system = closed.to_vec();
    system.extend((!spec.files.danger_writable_system).then_some("ro"));
    let mount = |kind: &str, target: &str, options: &[&str]| json!({ "destination": target, "type": kind, "source": kind, "options": options });
    // Who has users of its own can mount anew only what belongs to its own namespaces; of others it gets what there is.
    let mapped = !matches!(spec.users, UserNamespace::Inherit);
    // So does who is in a user namespace and shares what is the machine's.
    let of = |is_own: bool, is_host: bool, kind: &str, target: &str, options: &[&str]| {
        let anew = is_own || !mapped && (has_machine_users || !is_host);
        if anew {
            mount(kind, target, options)
        } else {
            let options: Vec<&str> =
                std::iter::once("rbind").chain(options.iter().copied()).collect();
            json!({ "destination": target, "type": "bind", "source": target, "options": options })
        }
    };
    let is_host = |space: &Namespace| matches!(space, Namespace::Host);
    let spaces = &spec.namespaces;
    let own_processes = matches!(spaces.processes, Namespace::New);
    let own_messages = matches!(spaces.communication, Namespace::New);
    let own_network = matches!(spec.network, Network::None);
    let mut groups = vec!["nosuid", "noexec", "nodev", "relatime"];
    groups.extend((spec.files.control_groups == ControlGroupFiles::ReadOnly).then_some("ro"));
    let sees_groups = spec.files.control_groups != ControlGroupFiles::None;
    let mut all = vec![
        of(own_processes, is_host(&spaces.processes), "proc", "/proc", &closed),
        of(own_network, matches!(spec.network, Network::Host), "sysfs", "/sys", &system),
        mount("tmpfs", "/dev", &["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"]),
        mount("devpts", "/dev/pts", &terminals(spec)),
        of(own_messages, is_host(&spaces.communication), "mqueue", "/dev/mqueue", &closed),
    ];
    if !spec.files.no_shared_memory {
        let size = format!("size={}", spec.files.shared_memory_bytes);
        let options = ["nosuid", "noexec", "nodev", "mode=1777", &size];
        let mut memory = mount("tmpfs", "/dev/shm", &options);
        // Peers call it so in lists of mounts.
        memory["source"] = "shm".into();
        all.push(memory);
    }
    all.extend(sees_groups.then(|| mount("cgroup", "/sys/fs/cgroup", &groups)));
    all
}

/// The options of the terminals.
fn terminals(spec: &RunSpec) -> Vec<&'static str> {
    let has_group = match &spec.users {
        UserNamespace::Inherit => true,
        UserNamespace::Map(maps) => {
            maps.gids.iter().any(|range| (range.inside..range.inside + range.count).contains(&5))
        }
        UserNamespace::Join(_) => false,
    };
    let mut options = vec!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    options.extend(has_group.then_some("gid=5"));
    options
}

fn one_mount(spec: &RunSpec, mount: &Mount, file: &Path) -> Result<Value> {
    let access = mount.options.access;
    let mut options: Vec<String> = Vec::new();
    let mut option = |holds: bool, name: &str| options.extend(holds.then(|| name.to_owned()));
    option(access.read_only, "ro");
    option(access.no_setuid, "nosuid");
    option(access.no_devices, "nodev");
    option(access.no_execute, "noexec");
    option(mount.options.propagation == Propagation::Private, "rprivate");
    option(mount.options.propagation == Propagation::Slave, "rslave");
    option(mount.options.propagation == Propagation::DangerShared, "rshared");
    let (kind, source) = match &mount.source {
        MountSource::Bind(_) | MountSource::Overlay(_) => {
            options.push(if mount.options.recursive { "rbind" } else { "bind" }.to_owned());
            ("bind", text(file, "the directory of bundles")?)
        }
        MountSource::Content { .. } => {
            options.push("bind".to_owned());
            ("bind", text(file, "the directory of bundles")?)
        }
        MountSource::Memory { kind: Memory::Tmpfs { size_bytes }, mode } => {
            let copy_up = mount.options.copy_up;
            options.extend((!copy_up.permissions).then(|| format!("mode={mode:o}")));
            options.extend(copy_up.files.then(|| "tmpcopyup".to_owned()));
            options.extend(size_bytes.map(|size| format!("size={size}")));
            ("tmpfs", "tmpfs".to_owned())
        }
        // Runtimes take nothing over into one: it has its mode always.
        MountSource::Memory { kind: Memory::Ramfs, mode } => {
            options.push(format!("mode={mode:o}"));
            ("ramfs", "ramfs".to_owned())
        }
        MountSource::Terminals => {
            options.extend(terminals(spec).into_iter().map(str::to_owned));
            ("devpts", "devpts".to_owned())
        }
    };
    let target = text(&mount.target, "the mount on")?;
    Ok(json!({ "destination": target, "type": kind, "source": source, "options": options }))
}

fn linux(spec: &RunSpec) -> Result<Value> {
    let mut namespaces = namespaces(spec);
    let paths = |paths: &[PathBuf]| -> Result<Vec<String>> {
        paths.iter().map(|path| text(path, "the path")).collect()
    };
    let mut linux = json!({
        "maskedPaths": paths(&spec.files.masked)?,
        "readonlyPaths": paths(&spec.files.read_only)?,
    });
    if let UserNamespace::Map(maps) = &spec.users {
        namespaces.push(json!({ "type": "user" }));
        let ranges = |ranges: &[IdRange]| -> Vec<Value> {
            let range = |range: &IdRange| json!({ "containerID": range.inside, "hostID": range.outside, "size": range.count });
            ranges.iter().map(range).collect()
        };
        linux["uidMappings"] = ranges(&maps.uids).into();
        linux["gidMappings"] = ranges(&maps.gids).into();
    }
    if let UserNamespace::Join(space) = &spec.users {
        let path = format!("/proc/{}/fd/{}", std::process::id(), space.as_raw_fd());
        namespaces.push(json!({ "type": "user", "path": path }));
    }
    linux["namespaces"] = namespaces.into();
    if !spec.sysctls.is_empty() {
        linux["sysctl"] = sysctls(spec);
    }
    if let Some(cgroup) = &spec.cgroup {
        linux["cgroupsPath"] = cgroup.path().into();
    }
    devices(spec, &mut linux)?;
    if spec.privileges.seccomp == Seccomp::Default {
        let capabilities = spec.privileges.capabilities;
        linux["seccomp"] = match &spec.privileges.seccomp_profile {
            Some(own) => own.to_json(capabilities),
            None => profile(capabilities),
        };
        linux["seccomp"]["architectures"] = architectures();
    }
    Ok(linux)
}

/// What it has for itself, and what it joins: by the descriptors of this process, which waits for the runtime.
fn namespaces(spec: &RunSpec) -> Vec<Value> {
    let spaces = &spec.namespaces;
    let network = match &spec.network {
        Network::None => &Namespace::New,
        Network::Host => &Namespace::Host,
        Network::Join(space) => &Namespace::Join(space.clone()),
    };
    let all = [
        ("pid", &spaces.processes),
        ("ipc", &spaces.communication),
        ("uts", &spaces.names),
        ("mount", &Namespace::New),
        ("cgroup", &spaces.control_groups),
        ("network", network),
    ];
    let one = |(kind, space): (&str, &Namespace)| match space {
        Namespace::New => Some(json!({ "type": kind })),
        Namespace::Host => None,
        Namespace::Join(space) => {
            let path = format!("/proc/{}/fd/{}", std::process::id(), space.as_raw_fd());
            Some(json!({ "type": kind, "path": path }))
        }
    };
    all.into_iter().filter_map(one).collect()
}

/// Settings by their names with dots: a dot that is not between parts is a slash there.
fn sysctls(spec: &RunSpec) -> Value {
    let name = |name: &str| match name.contains('/') {
        true => name.chars().map(swapped).collect(),
        false => name.to_owned(),
    };
    let settings = spec.sysctls.iter().map(|(key, value)| (name(key), value.clone().into()));
    Value::Object(settings.collect())
}

fn swapped(symbol: char) -> char {
    match symbol {
        '/' => '.',
        '.' => '/',
        other => other,
    }
}

/// Devices, and that no others can be used, unless those of the root are.
fn devices(spec: &RunSpec, linux: &mut Value) -> Result<()> {
    let mut nodes = Vec::new();
    let mut rules = vec![json!({ "allow": spec.files.danger_root_devices, "access": "rwm" })];
    for device in &spec.files.devices {
        let kind = if device.block { "b" } else { "c" };
        nodes.push(json!({
            "path": text(&device.path, "the device")?,
            "type": kind,
            "major": device.major,
            "minor": device.minor,
            "fileMode": device.mode,
            "uid": device.uid,
            "gid": device.gid,
        }));
        rules.push(json!({
            "allow": true,
            "type": kind,
            "major": device.major,
            "minor": device.minor,
            "access": device.access.to_string(),
        }));
    }
    rules.extend(spec.files.device_rules.iter().map(rule));
    linux["devices"] = nodes.into();
    linux["resources"] = json!({ "devices": rules });
    Ok(())
}

/// A rule about devices: numbers that are left out are any.
fn rule(rule: &DeviceRule) -> Value {
    let kind = match rule.kind {
        DeviceKind::All => "a",
        DeviceKind::Block => "b",
        DeviceKind::Character => "c",
    };
    let mut value = json!({ "allow": true, "type": kind, "access": rule.access.to_string() });
    for (name, number) in [("major", rule.major), ("minor", rule.minor)] {
        if let Some(number) = number {
            value[name] = number.into();
        }
    }
    value
}

/// The default profile by the names of calls.
fn profile(capabilities: CapabilitySet) -> Value {
    let allowed: Vec<_> = seccomp::allowed_names(capabilities).collect();
    let refused: Vec<_> = seccomp::refused_names(capabilities).collect();
    let mut rules = vec![
        json!({ "names": allowed, "action": "SCMP_ACT_ALLOW" }),
        json!({ "names": refused, "action": "SCMP_ACT_ERRNO", "errnoRet": 1 }),
    ];
    let condition =
        |index: u32, value: u32, how: &str| json!({ "index": index, "value": value, "op": how });
    for personality in seccomp::allowed_personalities() {
        rules.push(json!({
            "names": ["personality"],
            "action": "SCMP_ACT_ALLOW",
            "args": [condition(0, personality, "SCMP_CMP_EQ")],
        }));
    }
    if !capabilities.contains(Capability::AuditWrite) {
        // Any domain but netlink, or any protocol but the audit one.
        for (index, value) in [(0, 16), (2, 9)] {
            rules.push(json!({
                "names": ["socket"],
                "action": "SCMP_ACT_ALLOW",
                "args": [condition(index, value, "SCMP_CMP_NE")],
            }));
        }
    }
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 38,
        "syscalls": rules,
    })
}

/// What programs of this machine may be.
fn architectures() -> Value {
    match cfg!(target_arch = "x86_64") {
        true => json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]),
        false => json!(["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mount::CopyUp;

    #[test]
    fn the_version_is_the_oldest_that_the_runtime_takes() {
        let check = |features: &str, expected: &str| {
            assert_eq!(version(features, "1.0.2"), expected, "{features}");
        };
        check("", "1.0.2");
        check("{}", "1.0.2");
        check(r#"{"ociVersionMin":"1.0.0","ociVersionMax":"1.2.0"}"#, "1.0.2");
        check(r#"{"ociVersionMin":"1.1.0-rc.1"}"#, "1.1.0-rc.1");
    }

    #[test]
    fn only_a_tmpfs_takes_over_what_it_covers() {
        let root = std::fs::File::open("/").unwrap();
        let spec = RunSpec::new(std::os::fd::OwnedFd::from(root), ["true"]);
        let options = |kind: Memory| {
            let mut mount = Mount::new(MountSource::Memory { kind, mode: 0o1777 }, "/t");
            mount.options.copy_up = CopyUp { files: true, permissions: true };
            let shown = one_mount(&spec, &mount, Path::new("/none")).unwrap();
            let has = |option: &str| shown["options"].as_array().unwrap().contains(&option.into());
            (shown["type"].clone(), ["tmpcopyup", "mode=1777", "size=9"].map(has))
        };
        let tmpfs = options(Memory::Tmpfs { size_bytes: Some(9) });
        assert_eq!(tmpfs, ("tmpfs".into(), [true, false, true]));
        assert_eq!(options(Memory::Ramfs), ("ramfs".into(), [false, true, false]));
    }

    #[test]
    fn what_is_the_machines_is_bound_for_users() {
        let root = std::fs::File::open("/").unwrap();
        let mut spec = RunSpec::new(std::os::fd::OwnedFd::from(root), ["true"]);
        let kinds = |spec: &RunSpec, has_machine_users: bool| {
            let all = standard(spec, has_machine_users);
            let kind = |target: &str| {
                let found = all.iter().find(|one| one["destination"] == target).unwrap();
                found["type"].as_str().unwrap().to_owned()
            };
            ["/proc", "/sys", "/dev/mqueue"].map(kind).join(" ")
        };
        spec.network = Network::Host;
        assert_eq!(kinds(&spec, true), "proc sysfs mqueue");
        assert_eq!(kinds(&spec, false), "proc bind mqueue");
        spec.network = Network::None;
        assert_eq!(kinds(&spec, false), "proc sysfs mqueue");
        spec.namespaces.processes = Namespace::Host;
        spec.namespaces.communication = Namespace::Host;
        assert_eq!(kinds(&spec, true), "proc sysfs mqueue");
        assert_eq!(kinds(&spec, false), "bind sysfs bind");
    }
}
