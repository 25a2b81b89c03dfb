//! The executor that needs nothing but the kernel.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind, Result};
use crate::executor::{Executor, ExecutorCapabilities};
use crate::handle::ProcessHandle;
use crate::hooks::Hooked;
use crate::launch::{Helper, Program, launch};
use crate::plan::Isolation;
use crate::prepare::{Prepared, may_map_freely, prepare};
use crate::report::ExitReport;
use crate::running::Created;
use crate::seccomp;
use crate::spec::{IdMaps, IdRange, RunSpec, TerminalSize, UserNamespace};

/// How the helper of the native executor is started.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NativeOptions {
    /// The program: this one.
    pub program: PathBuf,
    /// The first argument that makes the program call [`run_helper`](crate::run_helper).
    pub argument: OsString,
    /// Where `newuidmap` and `newgidmap` are looked for.
    pub map_programs: Vec<PathBuf>,
}

impl Default for NativeOptions {
    /// This program, with `__run-helper`.
    fn default() -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            argument: OsString::from("__run-helper"),
            map_programs: ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin"]
                .map(PathBuf::from)
                .to_vec(),
        }
    }
}

/// Runs processes in namespaces, through a helper that is this program started again.
///
/// A run takes a few milliseconds. Needs Linux 5.12, and either root, of the machine or of a user namespace, or
/// the right to make user namespaces. Make one and share it: it keeps the program open where nobody can write to it,
/// which the first run sees to.
#[derive(Debug, Default)]
pub struct NativeExecutor {
    options: NativeOptions,
    program: Program,
}

impl NativeExecutor {
    /// Makes an executor; nothing is started until something runs.
    pub fn new(options: NativeOptions) -> Self {
        Self { options, program: Program::default() }
    }
}

impl NativeExecutor {
    /// Makes a process with everything that it has, and has it wait before its command.
    ///
    /// Meanwhile its network can be set up, and its number be written down. Dropped, it is ended.
    ///
    /// # Errors
    ///
    /// As [`Executor::run`]. Whether there is such a command is found when it [begins](Created::start).
    pub fn create(&self, spec: &RunSpec) -> Result<Created> {
        let mut prepared = prepare(spec, Isolation::Namespaces)?;
        Hooked::add_to(&mut prepared, spec)?;
        prepared.plan.wait = true;
        self.created(prepared, &|pid| match &spec.users {
            UserNamespace::Map(maps) => write_maps(&self.options.map_programs, maps, pid),
            UserNamespace::Inherit | UserNamespace::Join(_) => Ok(()),
        })
    }

    /// Makes one more process in everything that `target` has: its files, processes, network, users.
    ///
    /// Of the specification only `process`, `io`, `privileges` and `cgroup` are looked at. The process ends when
    /// it ends by itself, or the container; what it started goes on in the container. Its working directory is
    /// looked for in the container, and where it leads outside, as the links of `/proc` can, it is refused.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create); `NotFound` where the target has ended; `Unsupported` for an init.
    pub fn exec(&self, target: &ProcessHandle, spec: &RunSpec) -> Result<Created> {
        if spec.process.init || spec.process.pause {
            return Err(Error::new(ErrorKind::Unsupported, "give the process", "an init")
                .with_detail("a container has one, or none"));
        }
        let mut only = RunSpec::new(target.descriptor()?, ["-"]);
        only.process = spec.process.clone();
        only.io = spec.io.clone();
        only.privileges = spec.privileges.clone();
        only.cgroup.clone_from(&spec.cgroup);
        let mut prepared = prepare(&only, Isolation::Join)?;
        prepared.plan.wait = true;
        self.created(prepared, &|_| Ok(()))
    }

    fn created(
        &self,
        prepared: Prepared,
        write_maps: &dyn Fn(u32) -> Result<()>,
    ) -> Result<Created> {
        let NativeOptions { program, argument, .. } = &self.options;
        let helper = Helper::with_plan(&self.program, program, argument, prepared)?;
        Created::wait(helper, write_maps)
    }

    /// The program that helpers run, as nobody can write to it: on a mount of its own, or a copy in memory. For other
    /// processes that containers could reach.
    ///
    /// # Errors
    ///
    /// `Io` where it cannot be made.
    pub fn program(&self) -> Result<Arc<OwnedFd>> {
        self.program.sealed(&self.options.program)
    }
}

impl Executor for NativeExecutor {
    fn run(&self, spec: &RunSpec, cancel: &Cancel) -> Result<ExitReport> {
        if spec.io.terminal.is_some() {
            return Err(Error::new(ErrorKind::InvalidSpec, "give the process", "a terminal")
                .with_detail("nobody would have its other end")
                .with_hint("create the process, and start it"));
        }
        let mut prepared = prepare(spec, Isolation::Namespaces)?;
        Hooked::add_to(&mut prepared, spec)?;
        let write_maps = |pid| match &spec.users {
            UserNamespace::Map(maps) => write_maps(&self.options.map_programs, maps, pid),
            UserNamespace::Inherit | UserNamespace::Join(_) => Ok(()),
        };
        let NativeOptions { program, argument, .. } = &self.options;
        launch(&self.program, program, argument, prepared, cancel, &write_maps)
    }

    fn run_on_terminal(
        &self,
        spec: &RunSpec,
        size: TerminalSize,
        relay: &mut dyn FnMut(&OwnedFd) -> io::Result<()>,
    ) -> Result<ExitReport> {
        let mut spec = spec.clone();
        spec.io.terminal = Some(size);
        let mut created = self.create(&spec)?;
        let terminal = created.take_terminal();
        let running = created.start()?;
        if let Some(terminal) = &terminal {
            relay(terminal).map_err(|error| Error::io(error, "relay", "the terminal"))?;
        }
        running.wait()
    }

    fn capabilities(&self) -> ExecutorCapabilities {
        ExecutorCapabilities {
            isolates: true,
            mounts: true,
            networks: true,
            seccomp: seccomp::is_supported(),
            terminals: true,
        }
    }
}

/// Writes the ID maps of a process that is in a new user namespace and waits for them.
pub(crate) fn write_maps(programs: &[PathBuf], maps: &IdMaps, pid: u32) -> Result<()> {
    if !may_map_freely() && !maps.is_single() {
        map_with(programs, "newuidmap", pid, &maps.uids, "/etc/subuid")?;
        return map_with(programs, "newgidmap", pid, &maps.gids, "/etc/subgid");
    }
    let write = |file: &str, text: String| {
        let path = format!("/proc/{pid}/{file}");
        std::fs::write(&path, text).map_err(|error| Error::io(error, "write", path))
    };
    if !may_map_freely() {
        // Without it a user could leave a group that is there to keep its members out.
        write("setgroups", "deny".to_owned())?;
    }
    write("uid_map", lines(&maps.uids))?;
    write("gid_map", lines(&maps.gids))
}

fn lines(ranges: &[IdRange]) -> String {
    let line = |range: &IdRange| format!("{} {} {}\n", range.inside, range.outside, range.count);
    ranges.iter().map(line).collect()
}

/// Has a program of the shadow suite write one map: it may, for the ranges that the administrator gave.
fn map_with(
    directories: &[PathBuf],
    name: &str,
    pid: u32,
    ranges: &[IdRange],
    file: &str,
) -> Result<()> {
    let program = find(directories, name).ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "find", name)
            .with_detail("it is in none of the directories for it")
            .with_hint("install the package uidmap (shadow-utils elsewhere), or map one ID only")
    })?;
    let numbers = ranges.iter().flat_map(|range| [range.inside, range.outside, range.count]);
    let output = Command::new(&program)
        .arg(pid.to_string())
        .args(numbers.map(|number| number.to_string()))
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::io(error, "start", program.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::new(ErrorKind::Denied, "map the IDs with", program.display())
        .with_detail(if said.is_empty() { output.status.to_string() } else { said })
        .with_hint(format!(
            "the ranges must be the user's in {file}, and {name} must be set-user-ID root or have CAP_SETUID"
        )))
}

fn find(directories: &[PathBuf], name: &str) -> Option<PathBuf> {
    let join = |directory: &PathBuf| Path::new(directory).join(OsStr::new(name));
    directories.iter().map(join).find(|path| path.is_file())
}
