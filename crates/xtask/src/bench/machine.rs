//! Where and when figures were measured.

use std::fs;
use std::path::Path;
use std::thread::available_parallelism;

use serde::Serialize;

use crate::process::{command, output};
use crate::workspace::root;

/// What a reader needs to know before comparing figures with others.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    date: String,
    commit: String,
    processor: String,
    /// Whether it has instructions for SHA-256: they decide what checking a digest costs.
    sha_instructions: bool,
    cores: usize,
    system: String,
    load: String,
    ours: String,
    peer: String,
    /// Peaks below this cannot be seen.
    own_peak_bytes: u64,
}

impl Machine {
    /// Looks around. What cannot be found out is empty or 0.
    pub(crate) fn look(ours: &Path, peer: &Path) -> Self {
        Self {
            date: first_line("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            commit: first_line(
                "git",
                &["-C", &root().to_string_lossy(), "describe", "--always", "--dirty"],
            ),
            processor: value_of("/proc/cpuinfo", "model name"),
            sha_instructions: has_sha_instructions(),
            cores: available_parallelism().map_or(0, usize::from),
            system: value_of("/etc/os-release", "PRETTY_NAME").trim_matches('"').to_owned(),
            load: fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned(),
            ours: version(ours),
            peer: version(peer),
            own_peak_bytes: own_peak_bytes(),
        }
    }

    /// A paragraph of text.
    pub(crate) fn text(&self) -> String {
        format!(
            "{}, commit {}. {} cores of {} ({} SHA instructions), {}, load {}. Ours: {}. Peer: {}. Peaks below {:.1} MB cannot be seen.",
            self.date,
            self.commit,
            self.cores,
            self.processor,
            if self.sha_instructions { "with" } else { "without" },
            self.system,
            self.load,
            self.ours,
            self.peer,
            super::report::megabytes(self.own_peak_bytes),
        )
    }
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let text = output(&mut command(program, arguments)).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

fn version(program: &Path) -> String {
    first_line(&program.to_string_lossy(), &["--version"])
}

/// The value of the first line `key = value` or `key : value`.
fn value_of(file: &str, key: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(['=', ':']));
    let mut values =
        lines.filter(|(found, _)| found.trim() == key).map(|(_, value)| value.trim().to_owned());
    values.next().unwrap_or_default()
}

fn has_sha_instructions() -> bool {
    let features = ["flags", "Features"].map(|key| value_of("/proc/cpuinfo", key));
    features
        .iter()
        .flat_map(|words| words.split(' '))
        .any(|word| ["sha_ni", "sha2"].contains(&word))
}

/// The most memory that this process had. A child is counted with it until it starts its own program.
fn own_peak_bytes() -> u64 {
    let text = value_of("/proc/self/status", "VmHWM");
    let kibibytes = text.split(' ').next().and_then(|number| number.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}
