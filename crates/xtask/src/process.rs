//! Running other programs. A program never reads our standard input.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{PipeReader, Read as _, pipe};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

/// A command that will run `program` with `arguments`.
pub(crate) fn command<I, A>(program: impl AsRef<OsStr>, arguments: I) -> Command
where
    I: IntoIterator<Item = A>,
    A: AsRef<OsStr>,
{
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
///
/// # Errors
///
/// Where it cannot be started, and where it fails; names the command.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let text = describe(command);
    let status = command.status().with_context(|| format!("cannot run `{text}`"))?;
    if status.success() { Ok(()) } else { bail!("`{text}`: {status}") }
}

/// Runs a command and gives what it wrote to its standard output.
///
/// # Errors
///
/// As [`succeed`]; a failure comes with what the command wrote to its standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let text = describe(command);
    let output = command.output().with_context(|| format!("cannot run `{text}`"))?;
    if !output.status.success() {
        bail!("`{text}`: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command and gives what it wrote to its standard output and its standard error, in order.
///
/// # Errors
///
/// As [`output`].
pub(crate) fn output_of_both(command: &mut Command) -> Result<String> {
    let text = describe(command);
    let (mut reader, mut child) = spawn_into_pipe(command)?;
    let mut said = Vec::new();
    reader.read_to_end(&mut said).context("cannot read a pipe")?;
    let said = String::from_utf8_lossy(&said).into_owned();
    let status = child.wait().with_context(|| format!("cannot wait for `{text}`"))?;
    if status.success() { Ok(said) } else { bail!("`{text}`: {status}: {}", said.trim()) }
}

/// Starts a command with one pipe for its standard output and its standard error.
///
/// # Errors
///
/// Where it cannot be started; names the command.
pub(crate) fn spawn_into_pipe(command: &mut Command) -> Result<(PipeReader, Child)> {
    let (reader, writer) = pipe().context("cannot make a pipe")?;
    command.stdout(writer.try_clone().context("cannot share a pipe")?).stderr(writer);
    let child = command.spawn().with_context(|| format!("cannot run `{}`", describe(command)))?;
    // Our ends of the pipe are in the command; without them gone there is no end of file.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok((reader, child))
}

/// Runs a command whose standard output becomes the content of a file.
///
/// # Errors
///
/// As [`succeed`], and where the file cannot be created.
pub(crate) fn output_to_file(command: &mut Command, path: &Path) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    succeed(command.stdout(file))
}

fn describe(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_name_the_command_and_its_words() {
        let error = output(&mut command("sh", ["-c", "echo no room >&2; exit 3"])).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("sh -c") && text.ends_with("exit status: 3: no room"), "{text}");
    }

    #[test]
    fn missing_programs_are_named() {
        let error = succeed(&mut command("no-such-program-here", ["a"])).unwrap_err();
        assert!(error.to_string().contains("`no-such-program-here a`"), "{error}");
    }
}
