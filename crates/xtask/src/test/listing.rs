//! Which programs of tests there are, and how cargo would run each: it is asked to, with a runner that only notes where
//! it was called, with what words and in which environment.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::console;
use crate::process::{command, output_of_both};
use crate::workspace::cargo;

/// How the line of a note begins.
const NOTED: &str = "noted: ";

/// What cargo calls in place of a program.
#[derive(clap::Args, Debug)]
pub(crate) struct NoteOptions {
    /// The program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// How a program is run.
#[derive(Debug, Deserialize, Serialize)]
struct Note {
    directory: OsString,
    words: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

/// A program of tests, as cargo would run it.
#[derive(Debug)]
pub(crate) struct Program {
    /// The line by which cargo announces it.
    pub(crate) heading: String,
    note: Note,
}

impl Program {
    /// The folder of its package, which is where it runs.
    pub(crate) fn directory(&self) -> &Path {
        Path::new(&self.note.directory)
    }

    /// Its file.
    pub(crate) fn path(&self) -> PathBuf {
        self.note.words.first().map(PathBuf::from).unwrap_or_default()
    }

    /// What runs it.
    pub(crate) fn command(&self) -> Command {
        let Note { directory, words, environment } = &self.note;
        let mut command = command(self.path(), words.iter().skip(1));
        let environment = environment.iter().map(|(name, value)| (name, value));
        command.current_dir(directory).env_clear().envs(environment);
        command
    }
}

/// Prints how this process was called.
///
/// # Errors
/// Where it has no directory.
pub(crate) fn note(options: NoteOptions) -> Result<()> {
    let directory = env::current_dir().context("cannot tell the directory")?.into_os_string();
    let note = Note { directory, words: options.words, environment: env::vars_os().collect() };
    console::line(&format!("{NOTED}{}", serde_json::to_string(&note)?));
    Ok(())
}

/// The programs of a selection of targets, in cargo's order. They have been built.
///
/// # Errors
/// Where cargo fails, or names none.
pub(crate) fn list(selection: &[&str]) -> Result<Vec<Program>> {
    let this = env::current_exe().context("cannot tell which program this is")?;
    // Where it was built anew meanwhile, that one does as well.
    let this = this.to_str().context("the path of this program is not text")?;
    let this = this.strip_suffix(" (deleted)").unwrap_or(this);
    // Strings of JSON are strings of TOML.
    let runner = serde_json::to_string(&[this, "note"])?;
    let runner = format!("target.'cfg(all())'.runner={runner}");
    let mut test = cargo(["test", "--no-fail-fast", "--config", &runner]);
    let said = output_of_both(test.args(selection))?;
    let programs = programs(&said)?;
    if programs.is_empty() {
        bail!("cargo names no program of tests: is there a runner in its configuration?\n{said}");
    }
    Ok(programs)
}

fn programs(said: &str) -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    let mut heading = None;
    for line in said.lines() {
        if line.trim_start().starts_with("Running ") {
            heading = Some(line.to_owned());
        } else if let Some(note) = line.strip_prefix(NOTED) {
            let note = serde_json::from_str(note).context("cannot read what was noted")?;
            let heading = heading.take().context("cargo ran what it had not announced")?;
            programs.push(Program { heading, note });
        }
    }
    Ok(programs)
}

#[cfg(test)]
impl Program {
    /// A shell that runs a script in a package.
    pub(crate) fn shell(package: &str, target: &str, script: &str) -> Self {
        let heading = format!("     Running {target} (target/debug/deps/{package}-1)");
        let words = ["sh", "-c", script].map(OsString::from).to_vec();
        let environment = env::vars_os().collect();
        let directory = crate::workspace::root().join(package).into_os_string();
        Self { heading, note: Note { directory, words, environment } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_run_as_cargo_would_run_them() {
        let note = Note {
            directory: "/".into(),
            words: ["sh", "-c", "pwd; echo $A $0; env | wc -l", "b"].map(OsString::from).to_vec(),
            environment: vec![("A".into(), "a b".into()), ("PATH".into(), "/usr/bin:/bin".into())],
        };
        let note = serde_json::to_string(&note).unwrap();
        let said = format!(
            "    Finished `test` profile\n     Running tests/a.rs (deps/a-1)\n{NOTED}{note}\n\
             \x20    Running tests/b.rs (deps/b-1)\n{NOTED}{note}\n"
        );
        let programs = programs(&said).unwrap();
        let headings: Vec<_> = programs.iter().map(|program| program.heading.as_str()).collect();
        let expected = ["     Running tests/a.rs (deps/a-1)", "     Running tests/b.rs (deps/b-1)"];
        assert_eq!(headings, expected);
        let said = crate::process::output(&mut programs[0].command()).unwrap();
        // The shell adds PWD and the like.
        assert!(said.starts_with("/\na b b\n"), "{said}");
        assert!(said.lines().last().unwrap().trim().parse::<u32>().unwrap() < 8, "{said}");
    }

    #[test]
    fn what_was_not_announced_is_an_error() {
        assert!(programs(&format!("{NOTED}{{}}")).is_err());
        assert!(programs("    Finished `test` profile\n").unwrap().is_empty());
    }
}
