//! One run of one command, and the medians of many.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use wait4::Wait4;

use super::rows::Line;
use crate::process::command;

/// What `{program}`, `{engine}`, `{builder}`, `{side}`, `{corpus}`, `{out}`, `{stores}`, `{registry}` and `{registry-files}` stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    pub(crate) program: PathBuf,
    pub(crate) engine: PathBuf,
    pub(crate) builder: PathBuf,
    /// Whose turn it is.
    pub(crate) side: &'static str,
    pub(crate) corpus: PathBuf,
    pub(crate) out: PathBuf,
    /// Stores that are made once.
    pub(crate) stores: PathBuf,
    /// Host and port; empty where no row needs a registry.
    pub(crate) registry: String,
    pub(crate) registry_files: PathBuf,
}

impl Places {
    fn fill(&self, text: &str) -> String {
        text.replace("{program}", &self.program.to_string_lossy())
            .replace("{engine}", &self.engine.to_string_lossy())
            .replace("{builder}", &self.builder.to_string_lossy())
            .replace("{side}", self.side)
            .replace("{stores}", &self.stores.to_string_lossy())
            .replace("{corpus}", &self.corpus.to_string_lossy())
            .replace("{out}", &self.out.to_string_lossy())
            .replace("{registry}", &self.registry)
            .replace("{registry-files}", &self.registry_files.to_string_lossy())
    }

    /// The command of a line.
    pub(crate) fn command(&self, line: Line) -> Command {
        match line {
            Line::Shell(text) => command("sh", ["-c", &self.fill(text)]),
            Line::Exec(text) => {
                // Split first: what is filled in may have spaces.
                let mut words = text.split_whitespace().map(|word| self.fill(word));
                command(words.next().unwrap_or_default(), words)
            }
        }
    }
}

/// What one run took.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sample {
    /// From just before the process is made until it is waited for.
    pub(crate) wall_seconds: f64,
    /// User and system time of the process and of those that it waited for.
    pub(crate) cpu_seconds: f64,
    /// The largest resident memory of any one of those processes.
    pub(crate) peak_bytes: u64,
    /// The length of all files in `{out}` afterwards.
    pub(crate) out_bytes: u64,
    /// What the process, and those that it waited for, had the kernel write to disks.
    pub(crate) written_bytes: u64,
}

/// Runs a command once, without its output.
///
/// # Errors
///
/// Where it cannot be started, and where it fails: the message ends with the last lines of its standard error.
pub(crate) fn measure(command: &mut Command, out: &Path) -> Result<Sample> {
    let program = command.get_program().to_string_lossy().into_owned();
    let log = out.with_extension("stderr");
    let file = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
    command.stdout(Stdio::null()).stderr(file);
    // What the run before left to be written is not this one's burden.
    rustix::fs::sync();
    let written_before = written_bytes();
    let start = Instant::now();
    let child = command.spawn().with_context(|| format!("cannot run {program}"))?;
    let used = child.wait4().with_context(|| format!("cannot wait for {program}"))?;
    let wall = start.elapsed();
    if !used.status.success() {
        let text = fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<&str> = text.trim().lines().collect();
        let last = &lines[lines.len().saturating_sub(3)..];
        bail!("{program}: {}: {}", used.status, last.join("; "));
    }
    let written = written_bytes().saturating_sub(written_before);
    let cpu: Duration = used.rusage.utime + used.rusage.stime;
    Ok(Sample {
        wall_seconds: wall.as_secs_f64(),
        cpu_seconds: cpu.as_secs_f64(),
        peak_bytes: used.rusage.maxrss,
        out_bytes: bytes_below(out).with_context(|| format!("cannot read {}", out.display()))?,
        written_bytes: written,
    })
}

/// What this process has had the kernel write so far; whoever it waited for is counted with it. Nothing where the
/// kernel does not say.
///
/// Source: proc(5), `/proc/[pid]/io`.
fn written_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

/// The length of all files in a folder and in those below it. What is mounted in it is seen from below already.
fn bytes_below(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { bytes_below(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

/// The median of each figure on its own; none without samples.
pub(crate) fn median(samples: &[Sample]) -> Option<Sample> {
    Some(Sample {
        wall_seconds: middle(samples, |sample| sample.wall_seconds)?,
        cpu_seconds: middle(samples, |sample| sample.cpu_seconds)?,
        peak_bytes: middle(samples, |sample| sample.peak_bytes)?,
        out_bytes: middle(samples, |sample| sample.out_bytes)?,
        written_bytes: middle(samples, |sample| sample.written_bytes)?,
    })
}

/// The value in the middle, or the lower of the two in the middle.
fn middle<T: Copy + PartialOrd>(samples: &[Sample], figure: impl Fn(&Sample) -> T) -> Option<T> {
    let mut values: Vec<T> = samples.iter().map(figure).collect();
    values.sort_by(|a, b| a.partial_cmp(b).expect("times are numbers"));
    values.get(values.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places {
            program: "/a b/dray".into(),
            corpus: "/c d".into(),
            out: "/o".into(),
            ..Places::default()
        }
    }

    #[test]
    fn places_with_spaces_stay_one_argument() {
        let command = places().command(Line::Exec("{program} copy oci:{corpus}/x:y dir:{out}/z"));
        assert_eq!(command.get_program(), "/a b/dray");
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["copy", "oci:/c d/x:y", "dir:/o/z"]);
    }

    #[test]
    fn medians_are_taken_of_each_figure() {
        fn sample(wall_seconds: f64, peak_bytes: u64) -> Sample {
            Sample { wall_seconds, cpu_seconds: 0.0, peak_bytes, out_bytes: 0, written_bytes: 0 }
        }
        assert!(median(&[]).is_none());
        let found = median(&[sample(3.0, 1), sample(1.0, 9), sample(2.0, 5)]).unwrap();
        assert_eq!((found.wall_seconds, found.peak_bytes), (2.0, 5));
        assert_eq!(median(&[sample(1.0, 1), sample(2.0, 2)]).unwrap().wall_seconds, 1.0);
    }

    #[test]
    fn runs_are_measured_and_failures_speak() {
        let out = std::env::temp_dir().join(format!("xtask-measure-{}", std::process::id()));
        fs::create_dir_all(out.join("below")).unwrap();
        fs::write(out.join("below").join("file"), "12345").unwrap();
        let sample = measure(&mut command("sh", ["-c", "sleep 0.02"]), &out).unwrap();
        assert!(sample.wall_seconds >= 0.02 && sample.peak_bytes > 100_000, "{sample:?}");
        assert_eq!(sample.out_bytes, 5);
        let error = measure(&mut command("sh", ["-c", "echo a >&2; echo b >&2; exit 7"]), &out)
            .unwrap_err();
        assert_eq!(error.to_string(), "sh: exit status: 7: a; b");
        fs::remove_dir_all(&out).unwrap();
        fs::remove_file(out.with_extension("stderr")).unwrap();
    }
}
