//! What a container uses.

use std::fs;
use std::time::Duration;

use super::{Container, Containers};
use crate::{Error, ErrorKind, Result};

/// What a container uses and used, as the kernel counts it: zeros for one that does not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContainerStats {
    /// Processor time since it began.
    pub processor: Duration,
    /// The part of it in the kernel.
    pub processor_system: Duration,
    /// How long it has been running.
    pub up: Duration,
    /// Memory.
    pub memory_bytes: u64,
    /// The most memory that it may use: its limit, or all of the machine's.
    pub memory_limit_bytes: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Bytes read from disks.
    pub read_bytes: u64,
    /// Bytes written to disks.
    pub written_bytes: u64,
    /// Bytes that came in through its networks.
    pub received_bytes: u64,
    /// Bytes that went out through them.
    pub sent_bytes: u64,
}

impl Containers {
    /// Counts what a container uses.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for one that runs without a control group: nobody counts for it.
    pub fn stats(&self, container: &Container) -> Result<ContainerStats> {
        if !container.state.status.is_up() {
            return Ok(ContainerStats::default());
        }
        let counted = container
            .control_group()
            .map_err(|error| {
                let words = format!("container {} has no control group", container.name());
                Error::new(ErrorKind::Unsupported, words, "what it uses is not counted")
                    .with_source(error)
            })?
            .stats();
        let machine = machine_memory();
        let (received_bytes, sent_bytes) = network(container.state.pid);
        Ok(ContainerStats {
            processor: counted.processor.unwrap_or_default(),
            processor_system: counted.processor_system.unwrap_or_default(),
            up: up(container),
            memory_bytes: counted.memory_bytes.unwrap_or(0),
            memory_limit_bytes: counted
                .memory_limit_bytes
                .map_or(machine, |most| most.min(machine)),
            processes: counted.processes.unwrap_or(0),
            read_bytes: counted.read_bytes.unwrap_or(0),
            written_bytes: counted.written_bytes.unwrap_or(0),
            received_bytes,
            sent_bytes,
        })
    }
}

fn up(container: &Container) -> Duration {
    let began: Option<cask_image::Timestamp> = container.state.started_at.parse().ok();
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let began = began.and_then(|began| {
        Some(Duration::new(u64::try_from(began.unix_seconds()).ok()?, began.nanoseconds()))
    });
    began.map_or(Duration::ZERO, |began| now.saturating_sub(began))
}

fn machine_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = total.and_then(|text| text.trim().trim_end_matches("kB").trim().parse().ok());
    kibibytes.map_or(0, |number: u64| number.saturating_mul(1024))
}

/// Bytes in and out through all but the loopback, as the first process sees them.
fn network(pid: u32) -> (u64, u64) {
    parse_network(&fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default())
}

fn parse_network(text: &str) -> (u64, u64) {
    let mut sum = (0_u64, 0_u64);
    for (name, counts) in text.lines().filter_map(|line| line.split_once(':')) {
        if name.trim() == "lo" {
            continue;
        }
        let counts: Vec<u64> = counts.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        if let (Some(received), Some(sent)) = (counts.first(), counts.get(8)) {
            sum = (sum.0.saturating_add(*received), sum.1.saturating_add(*sent));
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_networks_are_summed() {
        let text = "Inter-|   Receive    |  Transmit\n face |bytes packets|bytes\n    lo: 7 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n  eth0: 100 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n  eth1: 1 1 0 0 0 0 0 0 2 1 0 0 0 0 0 0\n";
        assert_eq!(parse_network(text), (101, 22));
        assert_eq!(parse_network("nothing"), (0, 0));
    }
}
