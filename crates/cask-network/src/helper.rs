//! The programs that do the work.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{Error, ErrorKind, Places, Result};

/// The most that is quoted of what a program said.
const MOST_WORDS: usize = 4096;

impl Places {
    /// Where a program is.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`], with which package has it.
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf> {
        let found =
            self.helpers.iter().map(|directory| directory.join(name)).find(|path| path.is_file());
        found.ok_or_else(|| {
            let error = Error::new(ErrorKind::Missing, format!("could not find {name:?}"));
            error.with_hint(match name {
                "pasta" => "install passt, or choose --network none or --network host",
                _ => {
                    "install netavark and aardvark-dns, or choose --network none or --network host"
                }
            })
        })
    }
}

/// Runs a program with an input to its end; its output.
///
/// # Errors
/// [`ErrorKind::Helper`] with what it said.
pub(crate) fn run(mut command: Command, input: &[u8]) -> Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |error: std::io::Error| {
        Error::new(ErrorKind::Helper, format!("running {name}")).with_source(error)
    };
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read says why.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words = said(&output.stdout).unwrap_or_else(|| plain(&output.stderr));
    let words = if words.is_empty() { output.status.to_string() } else { words };
    let short = name.rsplit('/').next().unwrap_or_default();
    Err(Error::new(ErrorKind::Helper, format!("{short}: {words}")))
}

/// What netavark says of its failure: JSON.
fn said(output: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(output).ok()?;
    Some(value.get("error")?.as_str()?.to_owned())
}

pub(crate) fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MOST_WORDS)]);
    text.trim().replace('\n', "; ")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Writes a program. Not by this process, whose other threads would inherit the open file: it could not be run.
    pub(crate) fn script(path: &std::path::Path, text: &str) {
        let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" >\"$0\"; chmod 755 \"$0\"";
        let status = Command::new("sh").args(["-c", write]).arg(path).arg(text).status();
        assert!(status.unwrap().success());
    }

    #[test]
    fn the_words_of_a_failure_are_its_own() {
        let check = |script: &str, expected: &str| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]);
            let error = run(command, b"").unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check("echo '{\"error\":\"no\"}'; exit 1", "sh: no");
        check("echo a >&2; echo b >&2; exit 1", "sh: a; b");
        check("exit 3", "sh: exit status: 3");
    }
}
