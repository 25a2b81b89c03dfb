//! The steps, their times, and what they found.

use std::env;
use std::fs;
use std::io::pipe;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::patience::{PATIENCE, read_lines};
use super::summary::Summary;
use super::{deny, packages};
use crate::console;
use crate::process::succeed;
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
            cargo_test(&["--workspace", "--exclude", "tests"], None, &mut summary)
        });
        steps.step("structure", || {
            cargo_test(&["-p", "tests", "--test", "structure"], None, &mut summary)
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
        steps.step("tests", || cargo_test(&["--workspace"], Some(&programs), &mut summary));
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

/// Runs cargo test, shows what it prints, and keeps its results. `programs` is the directory of the built programs that
/// tests are to use; without it they build them.
fn cargo_test(
    arguments: &[&str],
    programs: Option<&Path>,
    summary: &mut Summary,
) -> Result<String> {
    let mut test = cargo(["test", "--no-fail-fast"]);
    test.args(arguments);
    if let Some(programs) = programs {
        test.env("CASK_PROGRAMS", programs);
    }
    let (reader, writer) = pipe().context("cannot make a pipe")?;
    // One pipe for both, so that results stay below the name of their target.
    test.stdout(writer.try_clone().context("cannot share a pipe")?).stderr(writer);
    let mut child = test.spawn().context("cannot run cargo test")?;
    // Our ends of the pipe are in it; without them gone there is no end of file.
    drop(test);
    read_lines(reader, &mut child, PATIENCE, |line| {
        console::line(line);
        summary.read(line);
    })?;
    let status = child.wait().context("cannot wait for cargo test")?;
    summary.end(status.success());
    if status.success() { Ok(String::new()) } else { bail!("cargo test: {status}") }
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
