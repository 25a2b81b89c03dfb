//! `cooper fmt`

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use cask_containerfile::{
    RenderedFile, Severity, apply, format_edits, parse, render_text, unified_diff,
};
use cask_program::containerfile::{self, Source};
use cask_program::{output, report};
use clap::Args;

/// Format Containerfiles
///
/// Changes files where they are; standard input comes out on standard output. The meaning of a file
/// stays. Exits with 1 if a file has errors, and is left as it is, or if `--check` finds one that is
/// not formatted; with 125 if a file cannot be read or written.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The files, or `-` for standard input [default: Containerfile or Dockerfile]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Change nothing, and name the files that are not formatted
    #[arg(long)]
    check: bool,
    /// Change nothing, and show what would change
    #[arg(long)]
    diff: bool,
}

/// What became of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Formatted,
    Unformatted,
    Refused,
}

/// Formats.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let sources = containerfile::read_all(&arguments.files, None)?;
    let mut fails = false;
    for source in &sources {
        let outcome = format(source, arguments)?;
        fails |= outcome == Outcome::Refused;
        fails |= outcome == Outcome::Unformatted && arguments.check;
    }
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn format(source: &Source, arguments: &Arguments) -> Result<Outcome> {
    let Source { name, text, .. } = source;
    let parsed = parse(text);
    if parsed.has_errors() {
        let mut errors = parsed.diagnostics;
        errors.retain(|found| found.severity == Severity::Error);
        let file = RenderedFile { name, source: text, diagnostics: &errors };
        report::say(render_text(&file).trim_end());
        report::engine_usage(&format!("{name} has errors, and is left as it is"));
        return Ok(Outcome::Refused);
    }
    let edits = format_edits(&parsed.tree);
    if arguments.diff {
        let diff = unified_diff(name, text, &edits).expect("the edits of a formatter are apart");
        output::bytes(diff.as_bytes())?;
    } else if arguments.check && !edits.is_empty() {
        output::line(name)?;
    } else if !arguments.check {
        let formatted = apply(text, &edits).expect("the edits of a formatter are apart");
        match &source.path {
            None => output::bytes(formatted.as_bytes())?,
            Some(_) if edits.is_empty() => {}
            Some(path) => {
                replace(path, &formatted).with_context(|| format!("writing {name}"))?;
            }
        }
    }
    Ok(if edits.is_empty() { Outcome::Formatted } else { Outcome::Unformatted })
}

/// Replaces a file in one step, and keeps its mode and its owner. Of a link, the file that it leads
/// to is replaced.
fn replace(path: &Path, text: &str) -> Result<()> {
    let path = path.canonicalize()?;
    let before = path.metadata()?;
    if !before.is_file() {
        bail!("it is not a regular file: format standard input instead");
    }
    let directory = path.parent().context("a file is in a directory")?;
    let mut file = tempfile::Builder::new().prefix(".cooper-").tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    let own = file.as_file().metadata()?;
    if (own.uid(), own.gid()) != (before.uid(), before.gid()) {
        std::os::unix::fs::fchown(file.as_file(), Some(before.uid()), Some(before.gid()))
            .context("keeping its owner")?;
    }
    // After the owner, whose change may take bits away.
    file.as_file().set_permissions(std::fs::Permissions::from_mode(before.mode() & 0o7777))?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}
