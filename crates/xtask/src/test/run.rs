//! The steps, their times, and what they found.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::listing::list;
use super::patience::{PATIENCE, Victim, read_lines};
use super::several::{self, Job};
use super::summary::Summary;
use super::{deny, packages};
use crate::console;
use crate::process::{spawn_into_pipe, succeed};
use crate::workspace::{cargo, target};

/// How `cargo xtask test` is asked to work.
#[derive(clap::Args, Debug)]
pub(crate) struct TestOptions {
    /// Only what needs no peer and no root: neither packages, format, lints nor the tests of whole programs
    #[arg(long)]
    quick: bool,
}

/// Does everything that a change must survive.
///
/// # Errors
///
/// Where packages are missing that cannot be installed: nothing else is tried then. Otherwise in the end, naming the
/// steps that failed.
pub(crate) fn run(options: &TestOptions) -> Result<()> {
    if env::var_os("CASK_CASES").is_none() {
        console::line(
            "note: CASK_CASES is not set: tables of cases from outside the repository are not read",
        );
    }
    let mut steps = Steps::default();
    let mut summary = Summary::default();
    if options.quick {
        steps.step("tests", || {
            let packages = ["--workspace", "--exclude", "tests"];
            cargo_test(&Selection { packages: &packages, target: None }, None, &mut summary)
        });
        steps.step("structure", || {
            let selection = Selection { packages: &["-p", "tests"], target: Some("structure") };
            cargo_test(&selection, None, &mut summary)
        });
    } else {
        steps.step("packages", packages::install);
        if steps.failed() > 0 {
            return steps.end();
        }
        steps.step("format", || cargo_run(&["fmt", "--all", "--check"]));
        let lints = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        steps.step("lints", || cargo_run(&lints));
        steps.step("deny", deny::check);
        // Tests of whole programs start them from the target folder.
        steps.step("programs", || cargo_run(&["build", "--workspace", "--bins"]));
        let programs = target().join("debug");
        let all = Selection { packages: &["--workspace"], target: None };
        steps.step("tests", || cargo_test(&all, Some(&programs), &mut summary));
    }
    let text = summary.text();
    let file = target().join("xtask").join("test.txt");
    fs::create_dir_all(file.parent().expect("joined above"))
        .and_then(|()| fs::write(&file, &text))
        .with_context(|| format!("cannot write {}", file.display()))?;
    console::heading("cargo test, in short");
    console::line(&text);
    steps.end()
}

fn cargo_run(arguments: &[&str]) -> Result<String> {
    succeed(&mut cargo(arguments.iter().copied()))?;
    Ok(String::new())
}

/// Which tests are run.
struct Selection<'a> {
    packages: &'a [&'a str],
    /// One target, or all of them and the examples in the documentation.
    target: Option<&'a str>,
}

/// Builds tests and runs them, several programs at a time; shows what they print, and keeps their results. `programs` is
/// the directory of the built programs that tests are to use; without it they build them.
fn cargo_test(
    selection: &Selection<'_>,
    programs: Option<&Path>,
    summary: &mut Summary,
) -> Result<String> {
    let targets: Vec<&str> = selection.target.map_or(vec![], |target| vec!["--test", target]);
    let arguments = [selection.packages, &targets].concat();
    let begun = Instant::now();
    let mut build = cargo(["test", "--no-run"]);
    let built = shown(build.args(&arguments), summary);
    if built.is_err() {
        // Some of it may be there; that is no result.
        summary.end(false);
        return built.map(|()| String::new());
    }
    let building = begun.elapsed();
    // What the documentation has is not asked for: that is built and run by rustdoc.
    let tests: &[&str] = if selection.target.is_none() { &["--tests"] } else { &[] };
    let mut jobs: Vec<Job> =
        list(&[&arguments, tests].concat())?.into_iter().map(Job::program).collect();
    if selection.target.is_none() {
        let mut documentation = cargo(["test", "--doc", "--no-fail-fast"]);
        documentation.args(&arguments);
        jobs.push(Job::documentation(documentation));
    }
    if let Some(programs) = programs {
        for job in &mut jobs {
            job.set("CASK_PROGRAMS", programs.as_os_str());
        }
    }
    let result = several::run(jobs, summary);
    summary.end(result.is_ok());
    result.map(|()| format!("{} s of it built them", console::seconds(building)))
}

/// Runs cargo, shows what it prints, and lets the summary see it.
fn shown(command: &mut Command, summary: &mut Summary) -> Result<()> {
    let (reader, mut child) = spawn_into_pipe(command)?;
    read_lines(reader, &mut child, Victim::Children, PATIENCE, |line| {
        console::line(line);
        summary.read(line);
    })?;
    let status = child.wait().context("cannot wait for cargo")?;
    if status.success() { Ok(()) } else { bail!("cargo test --no-run: {status}") }
}

/// Steps that ran, with their times.
#[derive(Debug, Default)]
struct Steps {
    done: Vec<(&'static str, Duration, Result<String, String>)>,
}

impl Steps {
    fn step(&mut self, name: &'static str, step: impl FnOnce() -> Result<String>) {
        console::heading(name);
        let start = Instant::now();
        let result = step().map_err(|error| format!("{error:#}"));
        if let Err(error) = &result {
            console::line(&format!("{name} failed: {error}"));
        }
        self.done.push((name, start.elapsed(), result));
    }

    fn failed(&self) -> usize {
        self.done.iter().filter(|(_, _, result)| result.is_err()).count()
    }

    fn end(&self) -> Result<()> {
        console::heading("steps");
        for (name, time, result) in &self.done {
            let words = match result {
                Ok(note) => format!("ok      {note}"),
                Err(error) => format!("FAILED  {error}"),
            };
            console::line(
                format!("{name:<10} {:>7} s  {words}", console::seconds(*time)).trim_end(),
            );
        }
        match self.failed() {
            0 => Ok(()),
            failed => bail!("{failed} of {} steps failed", self.done.len()),
        }
    }
}
