//! Containerfiles for the C preprocessor.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, bail};

use crate::containerfile::Source;
use crate::report;

/// Gives a file whose name ends in `.in` as `cpp` writes it; others stay as they are. `$BUILDAH_CPPFLAGS` are options
/// too, parted by white space.
///
/// Source: buildah, `imagebuildah/build.go`, `preprocessContainerfileContents`.
pub(super) fn preprocessed(source: Source, context: &Path, flags: &[String]) -> Result<Source> {
    if !source.name.ends_with(".in") {
        return Ok(source);
    }
    let Some(program) = super::executor::program("cpp") else {
        bail!("{}: .in support requires cpp to be installed", source.name);
    };
    let usual = std::env::var("BUILDAH_CPPFLAGS").unwrap_or_default();
    let mut command = Command::new(program);
    command.args(["-E", "-iquote"]).arg(context).args(["-traditional", "-undef", "-"]);
    command.args(usual.split_whitespace()).args(flags);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let failed = || format!("preprocessing {}", source.name);
    let mut child = command.spawn().with_context(failed)?;
    let input = child.stdin.take();
    let output = thread::scope(|scope| {
        let feeding = scope
            .spawn(|| input.map_or(Ok(()), |mut input| input.write_all(source.text.as_bytes())));
        let output = child.wait_with_output();
        // Whoever ends without reading everything says why.
        let _ = feeding.join();
        output
    });
    let output = output.with_context(failed)?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        if output.stdout.is_empty() {
            bail!(
                "preprocessing {}: preprocessor produced no output: {}",
                source.name,
                said.trim()
            );
        }
        report::note(&format!("Ignoring {}", said.trim()));
    }
    let text = String::from_utf8(output.stdout).with_context(failed)?;
    Ok(Source { text, ..source })
}
