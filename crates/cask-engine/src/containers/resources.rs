//! What a container may use, as its control group has it.

use std::path::Path;

use cask_runtime::{
    CdiEdits, Cgroup, CgroupLimits, Device, DeviceAccess, DeviceKind, DeviceRule, DiskRate,
    DiskUse, DiskWeight, ErrorKind as RuntimeError, ScopeKeeper, ServiceManager,
};

use super::Containers;
use super::config::{ContainerConfig, DiskLimit, ResourcesConfig, SpaceMode};
use super::devices::devices;
use crate::{Error, ErrorKind, Result};

/// Above the groups of all containers.
const PARENT: &str = "cask";
/// The group of a container in its scope. Source: crun, which calls it so.
const PART: &str = "container";

impl ResourcesConfig {
    /// The limits of the control group.
    pub(super) fn limits(&self) -> CgroupLimits {
        let mut limits = CgroupLimits::default();
        limits.memory_bytes = self.memory;
        // As podman does: with swap, twice the memory.
        limits.memory_and_swap_bytes = match self.memory_swap {
            Some(swap) => Some(u64::try_from(swap).unwrap_or(u64::MAX)),
            None => self.memory.map(|memory| memory.saturating_mul(2)),
        };
        limits.memory_reservation_bytes = self.memory_reservation;
        limits.processor_period_micros = self.cpu_period;
        limits.processor_quota_micros = self.cpu_quota;
        if let Some(nano) = self.nano_cpus {
            limits.processor_period_micros = Some(100_000);
            limits.processor_quota_micros = Some(nano / 10_000);
        }
        limits.processor_shares = self.cpu_shares;
        limits.processors.clone_from(&self.cpuset_cpus);
        limits.memory_nodes.clone_from(&self.cpuset_mems);
        limits.swappiness = self.swappiness;
        limits.waits_for_memory = self.waits_for_memory;
        limits.real_time_period_micros = self.real_time_period;
        limits.real_time_runtime_micros = self.real_time_runtime;
        limits.disk_weights =
            self.disk_weight.map(|weight| DiskWeight { disk: None, weight }).into_iter().collect();
        limits.by_name = self
            .control_group_settings
            .iter()
            .map(|(file, text)| (file.clone(), text.clone()))
            .collect();
        let pids = self.pids.or(self.usual_pids).filter(|pids| *pids != 0);
        limits.processes = pids.map(|pids| u64::try_from(pids).unwrap_or(u64::MAX));
        limits
    }

    /// Whether systemd makes its control group.
    pub(super) fn has_systemd(&self) -> bool {
        self.cgroup_manager == "systemd"
            && matches!(self.cgroups.as_str(), "" | "enabled" | "no-conmon")
    }

    /// Whether any limit was asked for.
    pub(super) fn is_limited(&self) -> bool {
        let mut limits = self.limits();
        limits.processes = limits.processes.filter(|_| self.pids.is_some());
        limits != CgroupLimits::default()
            || !self.disks.is_empty()
            || !self.disk_weights.is_empty()
            || !self.device_rules.is_empty()
    }
}

/// The scope of a container, as podman calls it.
pub(super) fn scope_name(config: &ContainerConfig) -> String {
    format!("libpod-{}.scope", config.id)
}

/// The name of a container's control group, where that is known before it is made.
pub(super) fn group_name(config: &ContainerConfig) -> String {
    match &config.resources.cgroup_parent {
        Some(parent) => format!("/{}/{}", parent.trim_matches('/'), config.id),
        None => format!("{PARENT}/{}", config.id),
    }
}

/// Refuses what does not go together about groups. The words are podman's.
///
/// Source: podman, `libpod/container_validate.go`.
pub(super) fn check_groups(config: &ContainerConfig) -> Result<()> {
    let resources = &config.resources;
    let refused = |words: &str| Err(Error::new(ErrorKind::Invalid, words, "invalid argument"));
    let has_parent = resources.cgroup_parent.is_some();
    match (resources.cgroups.as_str(), &config.namespaces.pid) {
        _ if resources.has_systemd()
            && resources
                .cgroup_parent
                .as_ref()
                .is_some_and(|parent| !parent.ends_with(".slice")) =>
        {
            refused(
                "did not receive systemd slice as cgroup parent when using systemd to manage cgroups",
            )
        }
        ("split", _) if has_parent => {
            refused("cannot specify --cgroup-mode=split with a cgroup-parent")
        }
        ("disabled", SpaceMode::Container(_)) => {
            refused("cannot join another container's PID namespace if not creating cgroups")
        }
        ("disabled", _) if has_parent => {
            refused("cannot set cgroup parent if not creating cgroups")
        }
        ("disabled", SpaceMode::Host | SpaceMode::Path(_)) => {
            refused("containers not creating Cgroups must create a private PID namespace")
        }
        ("disabled", _) if resources.is_limited() => {
            refused("limits need a control group, which --cgroups disabled leaves out")
        }
        _ => Ok(()),
    }
}

/// A limit with the numbers that the disk has today.
fn rate(limit: &DiskLimit) -> Result<DiskRate> {
    let device = disk(&limit.path)?;
    let what = match limit.what.as_str() {
        "read-bps" => DiskUse::ReadBytes,
        "read-iops" => DiskUse::Reads,
        "write-bps" => DiskUse::WrittenBytes,
        _ => DiskUse::Writes,
    };
    Ok(DiskRate { major: device.major, minor: device.minor, what, most: limit.most })
}

/// The disk that a limit is about. The words are podman's.
fn disk(path: &Path) -> Result<Device> {
    let device = Device::of(path, "/dev/disk")?;
    match device.block {
        true => Ok(device),
        false => Err(Error::new(ErrorKind::Invalid, path.display(), "not a block device")),
    }
}

/// Reads the value of `--device-cgroup-rule`: `b|c|a MAJOR:MINOR rwm`, where `*` is any number.
///
/// Source: podman, `pkg/specgenutil/specgen.go`, `parseLinuxResourcesDeviceAccess`; its words.
///
/// # Errors
/// [`ErrorKind::Invalid`].
pub fn parse_device_rule(text: &str) -> Result<DeviceRule> {
    let refused = |words: String| Err(Error::new(ErrorKind::Invalid, words, ""));
    let parts: Vec<&str> = text.split(' ').collect();
    let [kind, numbers, access] = parts.as_slice() else {
        return refused(format!(
            "invalid device cgroup rule requires type, major:Minor, and access rules: {text:?}"
        ));
    };
    let kind = match *kind {
        "a" => DeviceKind::All,
        "b" => DeviceKind::Block,
        "c" => DeviceKind::Character,
        other => return refused(format!("invalid device type in device-access-add: {other}")),
    };
    let number = |text: &str| match text {
        "*" => Ok(None),
        text => text.parse::<u32>().map(Some).map_err(|_| {
            let words = format!("parsing {text:?} as a device number: invalid syntax");
            Error::new(ErrorKind::Invalid, words, "")
        }),
    };
    let (major, minor) = numbers.split_once(':').unwrap_or((numbers, "*"));
    let (major, minor) = (number(major)?, number(minor)?);
    match DeviceAccess::of_letters(access) {
        Some(access) => Ok(DeviceRule { kind, major, minor, access }),
        None => {
            let wrong = access.chars().find(|letter| !"rwm".contains(*letter)).map(String::from);
            let wrong = wrong.unwrap_or_else(|| (*access).to_owned());
            refused(format!("invalid device access in device-access-add: {wrong}"))
        }
    }
}

/// The devices that a container may use, where that can be limited; `None` is any.
///
/// # Errors
/// [`ErrorKind::Invalid`] for rules that this machine cannot keep.
fn device_rules(
    config: &ContainerConfig,
    interface: &CdiEdits,
    notes: &mut Vec<String>,
) -> Result<Option<Vec<DeviceRule>>> {
    if config.security.privileged {
        return Ok(None);
    }
    let asked = &config.resources.device_rules;
    let mut devices = devices(config)?;
    devices.extend(interface.devices().cloned());
    if !Cgroup::limits_devices() {
        if !asked.is_empty() {
            let why = "only root may keep rules about devices, and only in control groups";
            return Err(Error::new(ErrorKind::Invalid, "--device-cgroup-rule", why)
                .with_hint("give the devices with --device"));
        }
        if devices.iter().any(|device| device.access != DeviceAccess::ALL) {
            notes.push("devices can be read and written: no control group limits that".to_owned());
        }
        return Ok(None);
    }
    let mut rules = DeviceRule::usual();
    rules.extend(devices.iter().map(Device::rule));
    for text in asked {
        rules.push(parse_device_rule(text)?);
    }
    Ok(Some(rules))
}

/// Its limits, those of single disks included.
pub(crate) fn whole(resources: &ResourcesConfig) -> Result<CgroupLimits> {
    let mut limits = resources.limits();
    limits.disks = resources.disks.iter().map(rate).collect::<Result<_>>()?;
    for weight in &resources.disk_weights {
        let disk = disk(&weight.path)?;
        let disk = Some((disk.major, disk.minor));
        limits.disk_weights.push(DiskWeight { disk, weight: weight.weight });
    }
    Ok(limits)
}

impl ResourcesConfig {
    /// Takes over what `change` says, and leaves the rest as it is.
    pub(crate) fn take(&mut self, change: &Self) {
        macro_rules! take {
            ($($field:ident)*) => {$(if change.$field.is_some() {
                self.$field.clone_from(&change.$field);
            })*};
        }
        take!(memory memory_swap memory_reservation cpu_shares cpuset_cpus cpuset_mems pids swappiness);
        take!(disk_weight real_time_period real_time_runtime);
        if change.nano_cpus.is_some() {
            (self.cpu_period, self.cpu_quota) = (None, None);
            self.nano_cpus = change.nano_cpus;
        }
        if change.cpu_period.is_some() || change.cpu_quota.is_some() {
            self.nano_cpus = None;
            take!(cpu_period cpu_quota);
        }
        for limit in &change.disks {
            self.disks.retain(|old| (&old.path, &old.what) != (&limit.path, &limit.what));
            self.disks.push(limit.clone());
        }
        for weight in &change.disk_weights {
            self.disk_weights.retain(|old| old.path != weight.path);
            self.disk_weights.push(weight.clone());
        }
    }

    /// Refuses limits that contradict one another. The words are podman's.
    ///
    /// Source: podman, `pkg/specgen/generate/validate.go`, `verifyContainerResourcesCgroupV1`.
    pub(crate) fn check(&self) -> Result<()> {
        let refused = |why: &str| Err(Error::new(ErrorKind::Invalid, why, ""));
        let swap =
            self.memory_swap.filter(|swap| *swap > 0).and_then(|swap| u64::try_from(swap).ok());
        match (self.memory, swap) {
            (None, Some(_)) => {
                return refused(
                    "you should always set a memory limit when using a memoryswap limit, see usage",
                );
            }
            (Some(memory), Some(swap)) if swap < memory => {
                return refused(
                    "minimum memoryswap limit should be larger than memory limit, see usage",
                );
            }
            _ => {}
        }
        if self.memory.zip(self.memory_reservation).is_some_and(|(most, kept)| most < kept) {
            return refused(
                "minimum memory limit cannot be less than memory reservation limit, see usage",
            );
        }
        Ok(())
    }
}

/// Limits a group that has limits.
pub(super) fn change_group(
    group: &Cgroup,
    limits: CgroupLimits,
    resources: &ResourcesConfig,
) -> Result<()> {
    let unasked = limits.memory_and_swap_bytes.is_some() && resources.memory_swap.is_none();
    let mut only_memory = limits.clone();
    only_memory.memory_and_swap_bytes = None;
    match group.limit(&limits) {
        Ok(()) => Ok(()),
        // The limit of memory cannot be above that of both while it grows, and few kernels count swap at all.
        Err(_) if limits.memory_and_swap_bytes.is_some() => {
            let mut both = CgroupLimits::default();
            both.memory_and_swap_bytes = limits.memory_and_swap_bytes;
            match group.limit(&both) {
                Ok(()) => Ok(group.limit(&limits)?),
                Err(_) if unasked => Ok(group.limit(&only_memory)?),
                Err(error) => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes the control group of a container: where none can be made, the container runs without, and that is told,
/// unless it has limits.
///
/// The group of a scope that has no other process yet comes with what keeps it meanwhile.
pub(super) fn make(
    config: &ContainerConfig,
    containers: &Containers,
    interface: &CdiEdits,
    notes: &mut Vec<String>,
) -> Result<Option<(Cgroup, Option<ScopeKeeper>)>> {
    if config.resources.cgroups == "disabled" {
        return Ok(None);
    }
    let is_split = config.resources.cgroups == "split";
    let services = containers.services.as_ref().filter(|_| config.resources.has_systemd());
    let create = |limits: &CgroupLimits| match services {
        _ if is_split => split(config, containers, limits).map(|group| (group, None)),
        Some(services) => in_scope(config, containers, services, limits),
        None => Cgroup::create(&group_name(config), limits).map(|group| (group, None)),
    };
    let mut limits = whole(&config.resources)?;
    limits.devices = device_rules(config, interface, notes)?;
    match create(&limits) {
        Ok(group) => Ok(Some(group)),
        // Nobody asked for this one.
        Err(_) if limits.processes.is_some() && config.resources.pids.is_none() => {
            let mut without = config.clone();
            without.resources.usual_pids = None;
            make(&without, containers, interface, notes)
        }
        // A limit of swap is one that few kernels count: without it the limit of memory still holds.
        Err(_)
            if limits.memory_and_swap_bytes.is_some() && config.resources.memory_swap.is_none() =>
        {
            let mut without = limits;
            without.memory_and_swap_bytes = None;
            notes.push("swap is not limited: the kernel does not count it".to_owned());
            Ok(Some(create(&without)?))
        }
        Err(error)
            if !config.resources.is_limited()
                && !is_split
                && error.kind() != RuntimeError::InvalidSpec =>
        {
            notes.push(format!("no control group, and so neither pause nor stats: {error}"));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes the group of a container in a scope, in which its monitor is too, unless that is to stay where it is.
fn in_scope(
    config: &ContainerConfig,
    containers: &Containers,
    services: &ServiceManager,
    limits: &CgroupLimits,
) -> Result<(Cgroup, Option<ScopeKeeper>), cask_runtime::Error> {
    let parent = config.resources.cgroup_parent.as_deref();
    let slice =
        parent.map_or(containers.slice(), |parent| parent.rsplit('/').next().unwrap_or(parent));
    let name = scope_name(config);
    if config.resources.cgroups == "no-conmon" || services.has_service() {
        let (group, keeper) = services.make(&name, slice, PART, limits)?;
        containers.may_join(&group)?;
        return Ok((group, Some(keeper)));
    }
    Ok((services.enter(&name, slice, PART, limits)?, None))
}

/// Divides the group of this process, which a user has to take out of that of the login, as podman does.
fn split(
    config: &ContainerConfig,
    containers: &Containers,
    limits: &CgroupLimits,
) -> Result<Cgroup, cask_runtime::Error> {
    let part = format!("libpod-payload-{}", config.id);
    match (Cgroup::split(&part, limits), &containers.services) {
        (Err(error), Some(services)) if error.kind() == RuntimeError::Denied => {
            let name = format!("cask-{}.scope", std::process::id());
            services.move_to(&name, containers.slice()).map_err(|_| error)?;
            Cgroup::split(&part, limits)
        }
        (made, _) => made,
    }
}

impl Containers {
    /// Where systemd has containers.
    pub(super) fn slice(&self) -> &'static str {
        if self.store().options().rootless { "user.slice" } else { "machine.slice" }
    }

    /// Sees to it that a command of this process may join the group of a container.
    ///
    /// A process moves between groups only for who may write to what is above both: for a user that is so below the
    /// user's systemd, where no login is.
    pub(super) fn may_join(&self, group: &Cgroup) -> Result<(), cask_runtime::Error> {
        if let Some(services) = self.services.as_ref().filter(|_| !group.takes_this_process()) {
            let name = format!("cask-{}.scope", std::process::id());
            services.move_to(&name, self.slice())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_taken_over_and_the_rest_stays() {
        let mut old = ResourcesConfig { usual_pids: Some(2048), ..Default::default() };
        old.memory = Some(1 << 20);
        old.nano_cpus = Some(1_000_000_000);
        let limit = |most| DiskLimit { path: "/dev/a".into(), what: "read-bps".to_owned(), most };
        old.disks = vec![limit(1)];
        let change = ResourcesConfig {
            pids: Some(10),
            cpu_quota: Some(5000),
            disks: vec![limit(2)],
            ..Default::default()
        };
        old.take(&change);
        assert_eq!((old.memory, old.nano_cpus, old.cpu_quota), (Some(1 << 20), None, Some(5000)));
        assert_eq!((old.pids, old.disks), (Some(10), vec![limit(2)]));
    }

    #[test]
    fn limits_that_contradict_one_another_are_refused() {
        let check =
            |memory: Option<u64>, swap: Option<i64>, reservation: Option<u64>, fits: bool| {
                let resources = ResourcesConfig {
                    memory,
                    memory_swap: swap,
                    memory_reservation: reservation,
                    ..Default::default()
                };
                assert_eq!(resources.check().is_ok(), fits, "{resources:?}");
            };
        check(None, None, Some(5), true);
        check(Some(5), Some(10), Some(5), true);
        check(Some(5), Some(-1), None, true);
        check(None, Some(5), None, false);
        check(Some(5), Some(4), None, false);
        check(Some(5), None, Some(6), false);
    }

    #[test]
    fn the_usual_limit_of_processes_is_none_that_was_asked_for() {
        let mut resources = ResourcesConfig { usual_pids: Some(2048), ..Default::default() };
        assert_eq!((resources.limits().processes, resources.is_limited()), (Some(2048), false));
        resources.pids = Some(-1);
        assert_eq!((resources.limits().processes, resources.is_limited()), (Some(u64::MAX), true));
    }

    #[test]
    fn rules_about_devices_are_read_as_podman_reads_them() {
        let check = |text: &str, expected: &str| {
            let found = parse_device_rule(text).map(|rule| rule.to_string());
            assert_eq!(found.unwrap_or_else(|error| error.to_string()), expected, "{text}");
        };
        check("c 42:* rwm", "c 42:* rwm");
        check("b 8:0 r", "b 8:0 r");
        check("c 42 mw", "c 42:* wm");
        check("a *:* rwm", "a");
        let parts = "invalid device cgroup rule requires type, major:Minor, and access rules: ";
        check("bogus", &format!("{parts}\"bogus\""));
        check("c 42:*", &format!("{parts}\"c 42:*\""));
        check("x 1:1 rwm", "invalid device type in device-access-add: x");
        check("c 1:1 q", "invalid device access in device-access-add: q");
        check("c a:b rwm", "parsing \"a\" as a device number: invalid syntax");
    }

    #[test]
    fn processors_become_a_quota() {
        let mut resources = ResourcesConfig::default();
        assert!(!resources.is_limited());
        resources.nano_cpus = Some(1_500_000_000);
        resources.memory = Some(1 << 20);
        resources.pids = Some(-1);
        let limits = resources.limits();
        assert_eq!(limits.processor_quota_micros, Some(150_000));
        assert_eq!(limits.memory_and_swap_bytes, Some(2 << 20));
        assert_eq!(limits.processes, Some(u64::MAX));
    }
}
