//! What a group uses.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::Layout;

/// What the processes of a [`Cgroup`](super::Cgroup) use and used, as the kernel counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CgroupStats {
    /// Processor time.
    pub processor: Option<Duration>,
    /// The part of it in the kernel.
    pub processor_system: Option<Duration>,
    /// Memory, without files that could be dropped at once.
    pub memory_bytes: Option<u64>,
    /// The most that it may use; `None` where there is no limit.
    pub memory_limit_bytes: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Bytes read from disks.
    pub read_bytes: Option<u64>,
    /// Bytes written to disks.
    pub written_bytes: Option<u64>,
}

/// Above this the kernel of version 1 means no limit.
const NO_LIMIT: u64 = 1 << 60;

pub(super) fn read(layout: &Layout, name: &str) -> CgroupStats {
    let number = |controller: &str, file: &str| one(&layout.of(controller, name).join(file));
    let field = |controller: &str, file: &str, key: &str| {
        keyed(&layout.of(controller, name).join(file), key)
    };
    let without =
        |used: Option<u64>, files: Option<u64>| Some(used?.saturating_sub(files.unwrap_or(0)));
    if layout.is_unified() {
        let micros = |key: &str| field("cpu", "cpu.stat", key).map(Duration::from_micros);
        return CgroupStats {
            processor: micros("usage_usec"),
            processor_system: micros("system_usec"),
            memory_bytes: without(
                number("memory", "memory.current"),
                field("memory", "memory.stat", "inactive_file"),
            ),
            memory_limit_bytes: number("memory", "memory.max"),
            processes: number("pids", "pids.current"),
            read_bytes: transferred(&layout.of("io", name).join("io.stat"), "rbytes="),
            written_bytes: transferred(&layout.of("io", name).join("io.stat"), "wbytes="),
        };
    }
    // Ticks of a hundredth of a second.
    let ticks = |key: &str| {
        field("cpuacct", "cpuacct.stat", key).map(|ticks| Duration::from_millis(ticks * 10))
    };
    CgroupStats {
        processor: number("cpuacct", "cpuacct.usage").map(Duration::from_nanos),
        processor_system: ticks("system"),
        memory_bytes: without(
            number("memory", "memory.usage_in_bytes"),
            field("memory", "memory.stat", "total_inactive_file"),
        ),
        memory_limit_bytes: number("memory", "memory.limit_in_bytes")
            .filter(|&most| most < NO_LIMIT),
        processes: number("pids", "pids.current"),
        read_bytes: None,
        written_bytes: None,
    }
}

pub(super) fn memory_events(layout: &Layout, name: &str) -> PathBuf {
    let file = if layout.is_unified() { "memory.events" } else { "memory.oom_control" };
    layout.of("memory", name).join(file)
}

/// How often the kernel killed for lack of memory, by the file of the group that counts it.
pub(crate) fn out_of_memory_kills(events: &Path) -> u64 {
    keyed(events, "oom_kill").unwrap_or(0)
}

fn one(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number after a word, in a file of lines of both.
fn keyed(path: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(name, _)| *name == key)?.1.trim().parse().ok()
}

fn transferred(path: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let words = text.split_whitespace().filter_map(|word| word.strip_prefix(key));
    Some(words.filter_map(|number| number.parse::<u64>().ok()).sum())
}
