//! What a container may use, as its control group has it.

use cask_runtime::{
    Cgroup, CgroupLimits, Device, DeviceAccess, DeviceKind, DeviceRule, DiskRate, DiskUse,
    DiskWeight, ErrorKind as RuntimeError,
};

use super::config::{ContainerConfig, DiskLimit, ResourcesConfig};
use super::spec::devices;
use crate::{Error, ErrorKind, Result};

/// Above the groups of all containers.
const PARENT: &str = "cask";

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
        limits.processes = self.pids.map(|pids| u64::try_from(pids).unwrap_or(u64::MAX));
        limits
    }

    /// Whether any limit was asked for.
    pub(super) fn is_limited(&self) -> bool {
        self.limits() != CgroupLimits::default()
            || !self.disks.is_empty()
            || !self.disk_weights.is_empty()
            || !self.device_rules.is_empty()
    }
}

/// The name of a container's control group.
pub(super) fn group_name(config: &ContainerConfig) -> String {
    let parent = config.resources.cgroup_parent.as_deref().unwrap_or(PARENT);
    format!("{}/{}", parent.trim_matches('/'), config.id)
}

/// A limit with the numbers that the disk has today.
fn rate(limit: &DiskLimit) -> Result<DiskRate> {
    let device = Device::of(&limit.path, "/dev/disk")?;
    let what = match limit.what.as_str() {
        "read-bps" => DiskUse::ReadBytes,
        "read-iops" => DiskUse::Reads,
        "write-bps" => DiskUse::WrittenBytes,
        _ => DiskUse::Writes,
    };
    Ok(DiskRate { major: device.major, minor: device.minor, what, most: limit.most })
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
        None => refused(format!("invalid device access in device-access-add: {access}")),
    }
}

/// The devices that a container may use, where that can be limited; `None` is any.
///
/// # Errors
/// [`ErrorKind::Invalid`] for rules that this machine cannot keep.
fn device_rules(
    config: &ContainerConfig,
    notes: &mut Vec<String>,
) -> Result<Option<Vec<DeviceRule>>> {
    if config.security.privileged {
        return Ok(None);
    }
    let asked = &config.resources.device_rules;
    let devices = devices(config)?;
    if !Cgroup::limits_devices() {
        if !asked.is_empty() {
            let why =
                "this machine has no control groups of version 1 for devices, which hold rules";
            return Err(Error::new(ErrorKind::Invalid, "--device-cgroup-rule", why)
                .with_hint("give the devices with --device"));
        }
        if devices.iter().any(|device| device.access != DeviceAccess::ALL) {
            notes.push(
                "devices can be read and written: no control group of version 1 limits that"
                    .to_owned(),
            );
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

/// Makes the control group of a container: where none can be made, the container runs without, and that is told,
/// unless it has limits.
pub(super) fn make(config: &ContainerConfig, notes: &mut Vec<String>) -> Result<Option<Cgroup>> {
    if config.resources.cgroups == "disabled" {
        return Ok(None);
    }
    let name = group_name(config);
    let mut limits = config.resources.limits();
    limits.disks = config.resources.disks.iter().map(rate).collect::<Result<_>>()?;
    for weight in &config.resources.disk_weights {
        let disk = Device::of(&weight.path, "/dev/disk")?;
        let disk = Some((disk.major, disk.minor));
        limits.disk_weights.push(DiskWeight { disk, weight: weight.weight });
    }
    limits.devices = device_rules(config, notes)?;
    match Cgroup::create(&name, &limits) {
        Ok(group) => Ok(Some(group)),
        // A limit of swap is one that few kernels count: without it the limit of memory still holds.
        Err(_)
            if limits.memory_and_swap_bytes.is_some() && config.resources.memory_swap.is_none() =>
        {
            let mut without = limits;
            without.memory_and_swap_bytes = None;
            notes.push("swap is not limited: the kernel does not count it".to_owned());
            Ok(Some(Cgroup::create(&name, &without)?))
        }
        Err(error)
            if !config.resources.is_limited() && error.kind() != RuntimeError::InvalidSpec =>
        {
            notes.push(format!("no control group, and so neither pause nor stats: {error}"));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
