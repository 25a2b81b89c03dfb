//! Programs of this machine that are run at the turns of a process's life.

mod files;
mod native;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use serde_json::{Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::prepare::memory_file;
use crate::wire::{wire_enum, wire_struct};

pub use files::HookFiles;
pub(crate) use native::Hooked;

/// The longest text of a hook that is read, in bytes.
const LONGEST_TEXT: u64 = 16 << 20;
/// How much of what a failing hook says is passed on, in bytes.
const SAID: usize = 4096;

/// When a hook runs.
///
/// Source: OCI runtime specification, config.md, "POSIX-platform Hooks"; oci-hooks(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HookStage {
    /// Before anything is made: the hook reads `config.json`, and writes what it shall be.
    Precreate,
    /// When the namespaces and mounts are made and the root is not yet the root, here.
    Prestart,
    /// After `Prestart`, here.
    CreateRuntime,
    /// After that, in the namespaces of the process.
    CreateContainer,
    /// Just before the command, in the root filesystem.
    StartContainer,
    /// When the command has begun, here.
    Poststart,
    /// When everything is over, here.
    Poststop,
}

wire_enum!(HookStage {
    Precreate,
    Prestart,
    CreateRuntime,
    CreateContainer,
    StartContainer,
    Poststart,
    Poststop,
});

impl HookStage {
    const ALL: [Self; 7] = [
        Self::Precreate,
        Self::Prestart,
        Self::CreateRuntime,
        Self::CreateContainer,
        Self::StartContainer,
        Self::Poststart,
        Self::Poststop,
    ];

    /// As configurations have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Precreate => "precreate",
            Self::Prestart => "prestart",
            Self::CreateRuntime => "createRuntime",
            Self::CreateContainer => "createContainer",
            Self::StartContainer => "startContainer",
            Self::Poststart => "poststart",
            Self::Poststop => "poststop",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

impl fmt::Display for HookStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One program, and how it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hook {
    /// When.
    pub stage: HookStage,
    /// The program: an absolute path, of this machine; of [`HookStage::StartContainer`], in the root filesystem.
    pub path: String,
    /// Its arguments, its own name first; none are its path alone.
    pub arguments: Vec<String>,
    /// `NAME=VALUE`: all of its environment.
    pub environment: Vec<String>,
    /// Seconds after which it is killed, and has failed; `None` is never.
    pub timeout_seconds: Option<u32>,
}

wire_struct!(Hook { stage, path, arguments, environment, timeout_seconds });

impl Hook {
    /// A program without arguments, environment or timeout.
    pub fn new(stage: HookStage, path: impl Into<String>) -> Self {
        Self {
            stage,
            path: path.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            timeout_seconds: None,
        }
    }

    /// Runs it to its end, in a directory or else in this process's, and gives what it wrote; `input` is all that it can
    /// read. Needs no other thread.
    ///
    /// What it leaves behind goes on, as with runtimes, unless its time is over.
    fn run(&self, input: &[u8], directory: Option<&Path>) -> Result<Vec<u8>, String> {
        let text = |error: &dyn fmt::Display| error.to_string();
        let mut files = [memory_file(input), memory_file(b""), memory_file(b"")]
            .map(|file| file.map(File::from));
        let [Ok(input), Ok(output), Ok(errors)] = &mut files else {
            return Err("no memory for its input and output".to_owned());
        };
        input.rewind().map_err(|error| text(&error))?;
        let give = |file: &File| file.try_clone().map(Stdio::from).map_err(|error| text(&error));
        let mut command = Command::new(&self.path);
        command.arg0(self.arguments.first().unwrap_or(&self.path));
        command.args(self.arguments.iter().skip(1)).env_clear().process_group(0);
        command.envs(self.environment.iter().filter_map(|entry| entry.split_once('=')));
        command.stdin(give(input)?).stdout(give(output)?).stderr(give(errors)?);
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        let mut child = command.spawn().map_err(|error| text(&error))?;
        let in_time = self.is_in_time(&child);
        if in_time != Ok(true)
            && let Some(group) = Pid::from_raw(child.id().cast_signed())
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let status = child.wait().map_err(|error| text(&error))?;
        if !in_time? {
            let seconds = self.timeout_seconds.unwrap_or_default();
            return Err(format!("killed: it ran longer than its timeout of {seconds}s"));
        }
        if status.success() {
            return read(output).map_err(|error| text(&error));
        }
        let said = read(errors).unwrap_or_default();
        let said = String::from_utf8_lossy(&said[said.len().saturating_sub(SAID)..]);
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => status.to_string(),
        };
        Err(match said.trim() {
            "" => how,
            said => format!("{how}: {said}"),
        })
    }

    /// Waits for its end, or that of its time.
    fn is_in_time(&self, child: &Child) -> Result<bool, String> {
        let Some(seconds) = self.timeout_seconds else { return Ok(true) };
        let until = Instant::now() + Duration::from_secs(seconds.into());
        let pid = Pid::from_raw(child.id().cast_signed()).ok_or("it has no number")?;
        let process = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| error.to_string())?;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(|error| error.to_string())?;
            match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&left)) {
                Ok(found) => return Ok(found > 0),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn to_json(&self) -> Value {
        let mut value = json!({ "path": self.path });
        if !self.arguments.is_empty() {
            value["args"] = self.arguments.clone().into();
        }
        if !self.environment.is_empty() {
            value["env"] = self.environment.clone().into();
        }
        if let Some(seconds) = self.timeout_seconds {
            value["timeout"] = seconds.into();
        }
        value
    }
}

/// What is in a file in memory.
fn read(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(LONGEST_TEXT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The hooks of a process, and what they are told.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Hooks {
    /// The hooks, those of a stage in their order.
    pub list: Vec<Hook>,
    /// The name of the container; an empty one is replaced.
    pub id: String,
    /// What is noted about the container.
    pub annotations: BTreeMap<String, String>,
    /// A directory of the caller, where a bundle is for them while the process lives: a directory with a `config.json`.
    /// It is made where it is missing. External runtimes have bundles of their own.
    pub directory: PathBuf,
}

impl Hooks {
    /// Those of one stage.
    pub(crate) fn of(&self, stage: HookStage) -> impl Iterator<Item = &Hook> {
        self.list.iter().filter(move |hook| hook.stage == stage)
    }

    /// As `config.json` has them. Nothing knows of what has run before it is read.
    pub(crate) fn to_json(&self) -> Value {
        let mut value = json!({});
        for stage in HookStage::ALL.into_iter().filter(|stage| *stage != HookStage::Precreate) {
            let hooks: Vec<Value> = self.of(stage).map(Hook::to_json).collect();
            if !hooks.is_empty() {
                value[stage.name()] = hooks.into();
            }
        }
        value
    }

    /// Gives the text of a configuration as the hooks before everything want it.
    pub(crate) fn filter(&self, mut config: String) -> Result<String> {
        for hook in self.of(HookStage::Precreate) {
            let output = run(hook, config.as_bytes(), None)?;
            let wrong = |why: String| failed(hook, format!("it wrote no configuration: {why}"));
            let value: Value =
                serde_json::from_slice(&output).map_err(|error| wrong(error.to_string()))?;
            if !value.is_object() {
                return Err(wrong("no object".to_owned()));
            }
            config = format!("{value:#}");
        }
        Ok(config)
    }

    /// What hooks are told, but for what changes.
    fn base(&self, name: &str, bundle: &Path) -> String {
        let id = if self.id.is_empty() { name } else { &self.id };
        let mut value = json!({ "ociVersion": "1.0.2", "id": id, "bundle": bundle });
        if !self.annotations.is_empty() {
            value["annotations"] = json!(self.annotations);
        }
        value.to_string()
    }
}

/// Runs a hook.
fn run(hook: &Hook, input: &[u8], directory: Option<&Path>) -> Result<Vec<u8>> {
    hook.run(input, directory).map_err(|why| failed(hook, why))
}

fn failed(hook: &Hook, why: String) -> Error {
    Error::new(ErrorKind::RuntimeFailed, format!("run the {} hook", hook.stage), &hook.path)
        .with_detail(why)
}

/// What a hook reads.
///
/// Source: OCI runtime specification, runtime.md, "State".
fn state(base: &str, status: &str, pid: Option<u32>) -> Vec<u8> {
    let mut value: Value = serde_json::from_str(base).unwrap_or_default();
    value["status"] = status.into();
    if let Some(pid) = pid {
        value["pid"] = pid.into();
    }
    value.to_string().into_bytes()
}

/// What the helper is told of hooks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HookPlan {
    /// Where the root is mounted until it is the root.
    pub(crate) root: Vec<u8>,
    /// Hooks of the process's namespaces.
    pub(crate) list: Vec<Hook>,
    /// What they are told, but for what changes.
    pub(crate) base: String,
}

wire_struct!(HookPlan { root, list, base });

impl HookPlan {
    /// Runs those of one stage in this process, which is the one that they are about.
    pub(crate) fn run(&self, stage: HookStage, status: &str) -> Result<(), (String, String)> {
        for hook in self.list.iter().filter(|hook| hook.stage == stage) {
            let state = state(&self.base, status, Some(std::process::id()));
            hook.run(&state, None).map_err(|why| (hook.path.clone(), why))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Hook {
        let mut hook = Hook::new(HookStage::Prestart, "/bin/sh");
        hook.arguments = ["sh", "-c", script].map(str::to_owned).to_vec();
        hook
    }

    #[test]
    fn a_hook_reads_its_input_and_has_its_environment_alone() {
        let mut hook = shell("cat; echo $0 $A; env | grep -c ^PATH= || true");
        hook.environment = vec!["A=b=c".to_owned()];
        hook.arguments.push("name".to_owned());
        let output = hook.run(b"told ", None).unwrap_or_else(|said| said.into_bytes());
        let output = String::from_utf8(output).unwrap();
        assert_eq!(output, "told name b=c\n0\n");
    }

    #[test]
    fn a_hook_that_fails_says_why() {
        assert_eq!(
            shell("echo no card >&2; exit 3").run(b"", None),
            Err("exit status 3: no card".into())
        );
        assert_eq!(shell("kill -9 $$").run(b"", None), Err("signal 9".into()));
        assert!(Hook::new(HookStage::Prestart, "/no/such").run(b"", None).is_err());
    }

    #[test]
    fn a_hook_that_hangs_is_killed_with_what_it_started() {
        let mut hook = shell("sleep 1000 & sleep 1000");
        hook.timeout_seconds = Some(1);
        let said = hook.run(b"", None).unwrap_err();
        assert!(said.contains("timeout of 1s"), "{said}");
    }

    #[test]
    fn the_state_says_who_and_when() {
        let hooks = Hooks { id: "c".into(), ..Hooks::default() };
        let told = state(&hooks.base("x", Path::new("/b")), "creating", Some(7));
        let told: Value = serde_json::from_slice(&told).unwrap();
        let wanted = json!({ "ociVersion": "1.0.2", "id": "c", "bundle": "/b", "status": "creating", "pid": 7 });
        assert_eq!(told, wanted);
    }
}
