//! Programs of tests side by side: many a program ends with one long test, and most wait for the disk and for others,
//! while nothing else would run.
//!
//! What a program prints is shown when it has ended, so that results stay below the name of their target. The summary
//! has them in cargo's order.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsStr;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, bail};

use super::listing::Program;
use super::patience::{PATIENCE, Victim, read_lines};
use super::summary::Summary;
use crate::console;
use crate::process::spawn_into_pipe;

/// How many programs run at a time, beside the examples of the documentation.
const LANES: usize = 2;

/// Programs beside which nothing else runs: package, target. They want an answer within a fraction of a second, or see
/// what takes longer as a failure.
const ALONE: [(&str, &str); 2] = [
    ("crates/cask-registry", "tests/faults/main.rs"),
    ("crates/cask-transport-docker-daemon", "tests/daemon/main.rs"),
];

/// The package whose programs of tests take longest: they begin first.
const LONG: &str = "tests";

/// Something that runs tests.
#[derive(Debug)]
pub(crate) struct Job {
    /// What failures call it.
    name: String,
    /// What is shown before what it prints.
    heading: Option<String>,
    command: Command,
    victim: Victim,
    lane: Lane,
}

/// When a job is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    /// From the beginning, as cargo and rustdoc work on one thing after the other.
    Own,
    First,
    Then,
    /// In the end, one after the other.
    Alone,
}

impl Job {
    /// A program, as cargo would run it.
    pub(crate) fn program(program: Program) -> Self {
        let of = |package: &str| program.directory() == crate::workspace::root().join(package);
        let is = |target: &str| program.heading.contains(&format!(" {target} ("));
        let lane = match () {
            () if ALONE.iter().any(|(package, target)| of(package) && is(target)) => Lane::Alone,
            () if of(LONG) => Lane::First,
            () => Lane::Then,
        };
        let name = program.path().display().to_string();
        let command = program.command();
        Self { name, heading: Some(program.heading), command, victim: Victim::Itself, lane }
    }

    /// The call of cargo that runs what the documentation has.
    pub(crate) fn documentation(cargo: Command) -> Self {
        let name = "cargo test --doc".to_owned();
        Self { name, heading: None, command: cargo, victim: Victim::Children, lane: Lane::Own }
    }

    /// Sets a variable of its environment.
    pub(crate) fn set(&mut self, name: &str, value: &OsStr) {
        self.command.env(name, value);
    }

    /// Runs it to its end; gives what it printed, and whether it succeeded.
    fn run(&mut self) -> (Vec<String>, bool) {
        let mut lines: Vec<String> = self.heading.iter().cloned().collect();
        let success = self.read(|line| lines.push(line.to_owned())).unwrap_or_else(|error| {
            // In words that the summary knows.
            lines.push(format!("  process didn't exit as it should: {error:#}"));
            false
        });
        (lines, success)
    }

    fn read(&mut self, mut take: impl FnMut(&str)) -> Result<bool> {
        let (reader, mut child) = spawn_into_pipe(&mut self.command)?;
        read_lines(reader, &mut child, self.victim, PATIENCE, &mut take)?;
        let status = child.wait().context("cannot wait for it")?;
        // The code of tests that failed.
        if !status.success() && status.code() != Some(101) {
            take(&format!("  process didn't exit successfully: `{}` ({status})", self.name));
        }
        Ok(status.success())
    }
}

/// Runs all jobs to their end, and lets the summary see what they printed.
///
/// # Errors
/// Where any of them failed; names it.
pub(crate) fn run(jobs: Vec<Job>, summary: &mut Summary) -> Result<()> {
    let all = jobs.len();
    let results = Mutex::new(vec![(Vec::new(), false); all]);
    let names: Vec<String> = jobs.iter().map(|job| job.name.clone()).collect();
    let mut lanes: BTreeMap<Lane, VecDeque<(usize, Job)>> = BTreeMap::new();
    for (number, job) in jobs.into_iter().enumerate() {
        lanes.entry(job.lane).or_default().push_back((number, job));
    }
    let mut take = |lane| lanes.remove(&lane).unwrap_or_default();
    let (own, mut several, alone) = (take(Lane::Own), take(Lane::First), take(Lane::Alone));
    several.append(&mut take(Lane::Then));
    let work = |queue: &Mutex<VecDeque<(usize, Job)>>| {
        loop {
            let Some((number, mut job)) = lock(queue).pop_front() else { return };
            let result = job.run();
            let mut results = lock(&results);
            result.0.iter().for_each(|line| console::line(line));
            results[number] = result;
        }
    };
    let (own, several, alone) = (Mutex::new(own), Mutex::new(several), Mutex::new(alone));
    std::thread::scope(|scope| {
        scope.spawn(|| work(&own));
        for _ in 0..LANES {
            scope.spawn(|| work(&several));
        }
    });
    work(&alone);
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    for line in results.iter().flat_map(|(lines, _)| lines) {
        summary.read(line);
    }
    let failed = names.iter().zip(&results).filter(|(_, (_, success))| !success);
    let failed: Vec<&str> = failed.map(|(name, _)| name.as_str()).collect();
    if failed.is_empty() {
        return Ok(());
    }
    bail!("{} of {all} programs failed: {}", failed.len(), failed.join(", "))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(passed: u32, failed: u32) -> String {
        let word = if failed == 0 { "ok" } else { "FAILED" };
        format!(
            "test result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; \
             finished in 1.00s"
        )
    }

    fn job(package: &str, target: &str, script: &str) -> Job {
        Job::program(Program::shell(package, target, script))
    }

    #[test]
    fn results_of_several_are_told_as_of_one_after_the_other() {
        let mut documentation = crate::process::command("sh", ["-c"]);
        documentation.arg(format!("printf '   Doc-tests a\\n{}\\n'", result(3, 0)));
        let failing = format!("echo 'test two ... FAILED'; echo '{}'; exit 101", result(1, 1));
        let jobs = vec![
            job("crates/cask", "tests/a.rs", &failing),
            job(
                "crates/cask-registry",
                "tests/faults/main.rs",
                &format!("echo '{}'", result(4, 0)),
            ),
            job(
                "tests",
                "tests/b.rs",
                &format!("test \"$PWD\" = \"$(pwd)\" && echo '{}'", result(2, 0)),
            ),
            job("tests", "tests/c.rs", "echo one; kill -9 $$"),
            Job::documentation(documentation),
        ];
        let lanes: Vec<Lane> = jobs.iter().map(|job| job.lane).collect();
        assert_eq!(lanes, [Lane::Then, Lane::Alone, Lane::First, Lane::First, Lane::Own]);
        let mut summary = Summary::default();
        let error = run(jobs, &mut summary).unwrap_err().to_string();
        assert_eq!(error, "2 of 5 programs failed: sh, sh");
        summary.end(false);
        let text = summary.text();
        let heads: Vec<&str> =
            text.lines().filter(|line| line.starts_with("  ")).map(str::trim).collect();
        assert!(text.starts_with("test two ... FAILED\n     Running tests/a.rs ("), "{text}");
        assert!(heads[1].starts_with("Running tests/faults/main.rs"), "{text}");
        assert!(heads[2].starts_with("Running tests/b.rs"), "{text}");
        assert!(heads[3].contains("didn't exit successfully: `sh` (signal: 9"), "{text}");
        assert!(heads[4].starts_with("Doc-tests a"), "{text}");
        assert!(
            text.contains("All 4 targets\ntest result: FAILED. 10 passed; 1 failed;"),
            "{text}"
        );
    }

    #[test]
    fn all_pass_where_each_does_and_what_cannot_be_run_fails() {
        let ok = || job("tests", "tests/a.rs", &format!("echo '{}'", result(1, 0)));
        let mut summary = Summary::default();
        run(vec![ok(), ok(), ok()], &mut summary).unwrap();
        assert!(summary.text().contains("result: ok. 3 passed"), "{}", summary.text());
        let missing = Job::documentation(crate::process::command("no-such-program-here", [""; 0]));
        run(vec![ok(), missing], &mut summary).unwrap_err();
        assert!(summary.text().contains("no-such-program-here"), "{}", summary.text());
    }
}
