//! What a container may use, as its control group has it.

use cask_runtime::{Cgroup, CgroupLimits, Device, DiskRate, DiskUse, ErrorKind as RuntimeError};

use super::config::{ContainerConfig, DiskLimit, ResourcesConfig};
use crate::Result;

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
        limits.processes = self.pids.map(|pids| u64::try_from(pids).unwrap_or(u64::MAX));
        limits
    }

    /// Whether any limit was asked for.
    pub(super) fn is_limited(&self) -> bool {
        self.limits() != CgroupLimits::default() || !self.disks.is_empty()
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

/// Makes the control group of a container: where none can be made, the container runs without, and that is told,
/// unless it has limits.
pub(super) fn make(config: &ContainerConfig, notes: &mut Vec<String>) -> Result<Option<Cgroup>> {
    if config.resources.cgroups == "disabled" {
        return Ok(None);
    }
    let name = group_name(config);
    let mut limits = config.resources.limits();
    limits.disks = config.resources.disks.iter().map(rate).collect::<Result<_>>()?;
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
