//! What the log of an external runtime means.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::LONGEST_TEXT;
use crate::error::{Error, ErrorKind};
use crate::spec::RunSpec;

/// Texts of known failures, what they are, and what helps.
const KNOWN: [(&str, ErrorKind, &str); 6] = [
    (
        "cgroups in hybrid mode not supported",
        ErrorKind::Unsupported,
        "this machine has cgroups of both versions, which crun refuses: use the native executor, or runc",
    ),
    (
        "executable file not found in $PATH",
        ErrorKind::CommandNotFound,
        "the command is in none of the directories of PATH in the root filesystem",
    ),
    (
        "setting rlimit",
        ErrorKind::Denied,
        "a limit is above the hard one of this process: lower it, or use the native executor, which does",
    ),
    (
        "setrlimit",
        ErrorKind::Denied,
        "a limit is above the hard one of this process: lower it, or use the native executor, which does",
    ),
    (
        "newuidmap",
        ErrorKind::Denied,
        "install the package uidmap, and give the user ranges in /etc/subuid and /etc/subgid",
    ),
    (
        "cgroup",
        ErrorKind::RuntimeFailed,
        "the runtime cannot make a cgroup here: use the native executor, which needs none",
    ),
];

/// The error that a runtime wrote into its log, if any.
pub(super) fn explain(log: File, runtime: &Path, spec: &RunSpec) -> Option<Error> {
    let mut text = String::new();
    log.take(LONGEST_TEXT).read_to_string(&mut text).ok()?;
    let said = last_error(&text)?;
    Some(judge(&said, runtime, &spec.process.arguments[0].to_string_lossy()))
}

fn judge(said: &str, runtime: &Path, command: &str) -> Error {
    let about_command =
        said.contains(&format!("exec: \"{command}\"")) || said.contains("executable");
    if about_command && said.contains("no such file or directory") {
        return Error::new(ErrorKind::CommandNotFound, "exec", format_args!("{command:?}"))
            .with_detail(said.to_owned());
    }
    if about_command && said.contains("permission denied") {
        return Error::new(ErrorKind::CommandNotExecutable, "exec", format_args!("{command:?}"))
            .with_detail(said.to_owned());
    }
    let known = KNOWN.iter().find(|(text, _, _)| said.contains(text));
    let kind = known.map_or(ErrorKind::RuntimeFailed, |(_, kind, _)| *kind);
    let error = if kind == ErrorKind::CommandNotFound {
        Error::new(kind, "exec", format_args!("{command:?}"))
    } else {
        Error::new(kind, "run with", runtime.display())
    };
    let error = error.with_detail(said.to_owned());
    match known {
        Some((_, _, hint)) => error.with_hint(*hint),
        None => error,
    }
}

/// The last line of a log that is an error.
fn last_error(log: &str) -> Option<String> {
    let lines = log.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut errors = lines.filter(|line| matches!(line["level"].as_str(), Some("error" | "fatal")));
    Some(errors.next()?["msg"].as_str()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_failures_are_explained() {
        let check = |said: &str, kind: ErrorKind| {
            let error = judge(said, Path::new("/usr/bin/crun"), "nope");
            assert_eq!(error.kind(), kind, "{said}");
        };
        let hybrid = "cgroups in hybrid mode not supported, drop all controllers from cgroupv2";
        check(hybrid, ErrorKind::Unsupported);
        check("exec: \"nope\": executable file not found in $PATH", ErrorKind::CommandNotFound);
        check("executable file `nope` not found: No such file", ErrorKind::RuntimeFailed);
        check("exec: \"nope\": permission denied", ErrorKind::CommandNotExecutable);
        check("exec: \"nope\": stat nope: no such file or directory", ErrorKind::CommandNotFound);
        check("error setting rlimit type 7: operation not permitted", ErrorKind::Denied);
        check("something new", ErrorKind::RuntimeFailed);
    }

    #[test]
    fn the_last_error_of_a_log_counts() {
        let log = "{\"level\":\"warning\",\"msg\":\"w\"}\nno json\n{\"level\":\"error\",\"msg\":\"one\"}\n\
            {\"level\":\"error\",\"msg\":\"two\"}\n{\"level\":\"info\",\"msg\":\"i\"}\n";
        assert_eq!(last_error(log).as_deref(), Some("two"));
        assert_eq!(last_error(""), None);
        assert_eq!(last_error("{\"level\":\"error\"}"), None);
    }
}
