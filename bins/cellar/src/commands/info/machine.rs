//! What the kernel says of the machine, and the report as YAML.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use cask_program::rootless;
use cask_runtime::Cgroup;
use cask_storage::{DriverKind, Store, StoreOptions};
use serde::Serialize;
use serde_json::Value;

/// The distribution, as its `os-release` says.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename = "define.DistributionInfo")]
pub(super) struct Distribution {
    #[serde(rename = "Distribution json:distribution")]
    name: String,
    #[serde(rename = "Variant json:variant", skip_serializing_if = "String::is_empty")]
    variant: String,
    #[serde(rename = "Version json:version")]
    version: String,
    #[serde(rename = "Codename json:codename", skip_serializing_if = "String::is_empty")]
    codename: String,
}

impl Distribution {
    pub(super) fn read() -> Self {
        let read = fs::read_to_string("/etc/os-release");
        Self::parse(
            &read.or_else(|_| fs::read_to_string("/usr/lib/os-release")).unwrap_or_default(),
        )
    }

    fn parse(text: &str) -> Self {
        let known: BTreeMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim(), value.trim().trim_matches(['"', '\''])))
            .collect();
        let of = |key: &str| known.get(key).copied().unwrap_or_default().to_owned();
        let unknown = |text: String| if text.is_empty() { "unknown".to_owned() } else { text };
        Self {
            name: unknown(of("ID")),
            variant: of("VARIANT_ID"),
            version: unknown(of("VERSION_ID")),
            codename: of("VERSION_CODENAME"),
        }
    }
}

/// Who is who in a user's containers.
#[derive(Debug, Serialize)]
#[serde(rename = "define.IDMappings")]
pub(super) struct IdMappings {
    #[serde(rename = "GIDMap json:gidmap")]
    groups: Option<Vec<IdRange>>,
    #[serde(rename = "UIDMap json:uidmap")]
    users: Option<Vec<IdRange>>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename = "idtools.IDMap")]
struct IdRange {
    #[serde(rename = "ContainerID json:container_id")]
    inside: u32,
    #[serde(rename = "HostID json:host_id")]
    outside: u32,
    #[serde(rename = "Size json:size")]
    count: u32,
}

impl IdMappings {
    /// Those of the user namespace that this is in, or that the user's containers would be in; none where that is
    /// the machine's own.
    pub(super) fn read() -> Self {
        if let Ok(Some(maps)) = rootless::maps_outside() {
            let shown = |ranges: &[cask_runtime::IdRange]| {
                let one = |range: &cask_runtime::IdRange| IdRange {
                    inside: range.inside,
                    outside: range.outside,
                    count: range.count,
                };
                Some(ranges.iter().map(one).collect())
            };
            return Self { groups: shown(&maps.gids), users: shown(&maps.uids) };
        }
        let read = |name: &str| {
            let text = fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
            ranges(&text)
        };
        Self { groups: read("gid_map"), users: read("uid_map") }
    }
}

fn ranges(text: &str) -> Option<Vec<IdRange>> {
    let range = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(IdRange { inside: next()?, outside: next()?, count: next()? })
    };
    let found: Vec<IdRange> = text.lines().filter_map(range).collect();
    let is_whole = found == [IdRange { inside: 0, outside: 0, count: u32::MAX }];
    (!is_whole && !found.is_empty()).then_some(found)
}

/// What processors did since the machine started, in percent.
///
/// Source: podman, `libpod/info_linux.go`, `statToPercent`.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename = "define.CPUUsage")]
pub(super) struct Processors {
    #[serde(rename = "UserPercent json:userPercent")]
    user: f64,
    #[serde(rename = "SystemPercent json:systemPercent")]
    system: f64,
    #[serde(rename = "IdlePercent json:idlePercent")]
    idle: f64,
}

impl Processors {
    pub(super) fn read() -> Self {
        Self::parse(&fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let first = text.lines().next().unwrap_or_default();
        let numbers: Vec<f64> =
            first.split_whitespace().skip(1).filter_map(|number| number.parse().ok()).collect();
        let [user, _, system, idle, ..] = numbers.as_slice() else { return Self::default() };
        let total = user + system + idle;
        if total <= 0.0 {
            return Self::default();
        }
        let percent = |part: f64| (part / total * 10_000.0).round() / 100.0;
        Self { user: percent(*user), system: percent(*system), idle: percent(*idle) }
    }
}

/// What control groups can limit here.
pub(super) fn controllers() -> Vec<String> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    if Cgroup::is_unified() {
        let own = read("/proc/self/cgroup");
        let group = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
        let place = if rootless::is_rootless() { group } else { "" };
        let text = read(&format!("/sys/fs/cgroup{place}/cgroup.controllers"));
        return text.split_whitespace().map(ToOwned::to_owned).collect();
    }
    // Who has no privileges has none of version 1.
    if rootless::is_rootless() {
        return Vec::new();
    }
    let is_there = |name: &&str| Path::new("/sys/fs/cgroup").join(name).is_dir();
    let names =
        ["cpuset", "cpu", "cpuacct", "blkio", "memory", "devices", "freezer", "pids"].into_iter();
    names.filter(is_there).map(ToOwned::to_owned).collect()
}

/// What a program says of its version.
pub(super) fn version_of(program: &Path) -> String {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    said.unwrap_or_default()
}

/// Options of the store's driver.
pub(super) fn options(options: &StoreOptions) -> BTreeMap<String, String> {
    let mut said = BTreeMap::new();
    if !options.mount_options.is_empty() {
        said.insert("overlay.mountopt".to_owned(), options.mount_options.clone());
    }
    let stores: Vec<String> =
        options.additional_image_stores.iter().map(|path| path.display().to_string()).collect();
    if !stores.is_empty() {
        said.insert("overlay.imagestore".to_owned(), stores.join(","));
    }
    said
}

/// What the driver says of itself. Source: containers/storage, `drivers/overlay/overlay.go`, `Status`.
pub(super) fn status(store: &Store) -> BTreeMap<&'static str, String> {
    let mut said = BTreeMap::new();
    if store.driver() == DriverKind::Overlay {
        let kind = rustix::fs::statfs(store.graph_root()).map(|found| found.f_type);
        let name = match kind.ok().and_then(|kind| u32::try_from(kind).ok()) {
            Some(0xef53) => "extfs",
            Some(0x5846_5342) => "xfs",
            Some(0x9123_683e) => "btrfs",
            Some(0x0102_1994) => "tmpfs",
            Some(0x794c_7630) => "overlayfs",
            Some(0x2fc1_2fc1) => "zfs",
            Some(0xf2f5_2010) => "f2fs",
            Some(0x6969) => "nfs",
            _ => "<unknown>",
        };
        said.insert("Backing Filesystem", name.to_owned());
        said.insert("Native Overlay Diff", "true".to_owned());
        said.insert("Supports d_type", "true".to_owned());
        said.insert("Using metacopy", "false".to_owned());
    }
    said
}

/// Bytes of memory and of swap.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) free: u64,
    pub(super) total: u64,
    pub(super) swap_free: u64,
    pub(super) swap_total: u64,
}

impl Memory {
    pub(super) fn read() -> Self {
        Self::parse(&fs::read_to_string("/proc/meminfo").unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let kibibytes = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.unwrap_or(0_u64).saturating_mul(1024)
        };
        Self {
            free: kibibytes("MemFree"),
            total: kibibytes("MemTotal"),
            swap_free: kibibytes("SwapFree"),
            swap_total: kibibytes("SwapTotal"),
        }
    }
}

/// How long the machine is up. Source: podman, `libpod/info.go`.
pub(super) fn uptime() -> String {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = text.split(['.', ' ']).next().and_then(|text| text.parse().ok()).unwrap_or(0);
    said(seconds)
}

fn said(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = String::new();
    if hours > 0 {
        let _ = write!(text, "{hours}h ");
    }
    if hours > 0 || minutes > 0 {
        let _ = write!(text, "{minutes}m ");
    }
    let _ = write!(text, "{rest}.00s");
    if hours >= 24 {
        // Hundredths of a day.
        let days = seconds / 864;
        let _ = write!(text, " (Approximately {}.{:02} days)", days / 100, days % 100);
    }
    text
}

/// JSON as podman's reports print it: YAML, keys sorted.
pub(super) fn yaml(report: &Value) -> String {
    let mut out = String::new();
    lines(report, 0, &mut out);
    out
}

fn lines(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            for (key, value) in sorted {
                let _ = write!(out, "{indent}{key}:");
                behind(value, depth, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                let _ = writeln!(out, "{indent}- {}", scalar(item));
            }
        }
        other => {
            let _ = writeln!(out, "{indent}{}", scalar(other));
        }
    }
}

/// What follows a key and its colon.
fn behind(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            out.push('\n');
            lines(value, depth + 1, out);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            lines(value, depth, out);
        }
        other => {
            let _ = writeln!(out, " {}", scalar(other));
        }
    }
}

/// Text is quoted where it would be read as something else.
fn scalar(value: &Value) -> String {
    let Value::String(text) = value else { return value.to_string() };
    let is_else = text.is_empty()
        || text.parse::<f64>().is_ok()
        || ["true", "false", "null", "yes", "no", "on", "off", "~"]
            .contains(&text.to_ascii_lowercase().as_str())
        || text.starts_with(|first: char| "!&*-?|>@`\"'%{}[],#: ".contains(first))
        || text.ends_with([' ', ':'])
        || text.contains(": ")
        || text.contains(" #")
        || text.contains(char::is_control);
    if is_else { value.to_string() } else { text.clone() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_processors_did_is_in_percent() {
        let check = |text: &str, user: f64, system: f64, idle: f64| {
            assert_eq!(Processors::parse(text), Processors { user, system, idle }, "{text}");
        };
        check("cpu  1 7 2 3 9 0\ncpu0 5 5 5 5\n", 16.67, 33.33, 50.0);
        check("cpu  0 0 0 0\n", 0.0, 0.0, 0.0);
        check("", 0.0, 0.0, 0.0);
    }

    #[test]
    fn reports_are_yaml() {
        let report = json!({
            "b": {"n": 1, "t": "x y", "none": {}},
            "a": ["one", "2"],
            "c": ["12", "", "a: b", "/path", "no"],
            "d": false,
        });
        let expected = "a:\n- one\n- \"2\"\nb:\n  n: 1\n  none: {}\n  t: x y\n\
                        c:\n- \"12\"\n- \"\"\n- \"a: b\"\n- /path\n- \"no\"\nd: false\n";
        assert_eq!(yaml(&report), expected);
    }

    #[test]
    fn what_the_kernel_says_is_read() {
        let memory = Memory::parse("MemTotal:       1000 kB\nMemFree: 10 kB\nSwapTotal: x kB\n");
        assert_eq!(memory, Memory { free: 10_240, total: 1_024_000, swap_free: 0, swap_total: 0 });
        let read = Distribution::parse("ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n");
        assert_eq!(
            (read.name.as_str(), read.version.as_str(), read.codename.as_str()),
            ("debian", "12", "bookworm")
        );
        assert_eq!(Distribution::parse("").name, "unknown");
        assert_eq!(said(59), "59.00s");
        assert_eq!(said(75_700), "21h 1m 40.00s");
        assert_eq!(said(2 * 86_400 + 864), "48h 14m 24.00s (Approximately 2.01 days)");
    }
}
