//! A second process in a container.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cask_runtime::{
    CapabilitySet, Cgroup, Created, ErrorKind as RuntimeErrorKind, Input, NativeExecutor, Output,
    RunSpec, Seccomp, TerminalSize,
};

use serde::{Deserialize, Serialize};

use super::start::{StartOptions, Terminal};
use super::{Container, Containers, Status, spec};
use crate::{Error, ErrorKind, Result};

/// How long the first process of a container takes to end after all others at most.
const DEATH: Duration = Duration::from_secs(1);

/// What runs besides, and how.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExecOptions {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// More of the environment: `NAME=value`.
    pub environment: Vec<String>,
    /// Its user; `None` is the container's.
    pub user: Option<String>,
    /// Where it begins; `None` is where the container does.
    pub directory: Option<String>,
    /// All capabilities.
    pub privileged: bool,
    /// A terminal of this size.
    pub terminal: Option<Terminal>,
    /// It reads this process's standard input.
    pub interactive: bool,
    /// It reads nothing and prints nowhere.
    pub detached: bool,
    /// Numbers of descriptors that this program was started with, and that the command has too: from 3 on.
    pub descriptors: Vec<u32>,
}

impl Containers {
    /// Runs a command in a container, and leaves it running: a small process of this program watches it.
    ///
    /// # Errors
    /// As [`exec`](Self::exec); [`ErrorKind::CommandNotFound`] and [`ErrorKind::CommandNotExecutable`].
    pub fn exec_detached(&self, container: &Container, options: &ExecOptions) -> Result<()> {
        let how = StartOptions::default();
        self.start_watched(&container.config.id, &how, Some(options), None).map(drop)
    }

    /// Is what watches such a command.
    pub(super) fn watch_exec(
        &self,
        container: &Container,
        options: &ExecOptions,
        begun: impl FnOnce(),
    ) -> Result<()> {
        let created = self.exec(container, options)?;
        cask_runtime::close_inherited_descriptors();
        let running = created.start()?;
        begun();
        let report = running.wait()?;
        self.note_exec_died(container, i32::from(report.status.shell_status()));
        Ok(())
    }

    /// Makes one more process in a container, which waits for the word to begin.
    ///
    /// Without a terminal it has this process's standard input (where asked for), output and error.
    ///
    /// # Errors
    /// [`ErrorKind::StateImproper`] where the container does not run, or is paused; [`ErrorKind::Invalid`] for a
    /// user that it does not have; [`ErrorKind::NotStarted`].
    pub fn exec(&self, container: &Container, options: &ExecOptions) -> Result<Created> {
        let made = self.exec_into(container, options, None)?;
        self.tell("exec", &container.config);
        Ok(made)
    }

    /// As [`exec`](Self::exec), with another place to print to.
    pub(super) fn exec_into(
        &self,
        container: &Container,
        options: &ExecOptions,
        output: Option<Arc<OwnedFd>>,
    ) -> Result<Created> {
        if container.state.status != Status::Running {
            return Err(not_running());
        }
        let target = container.process()?;
        let root = target.root()?;
        let config = &container.config;
        let user = options.user.as_deref().or(config.process.user.as_deref()).unwrap_or_default();
        let mut run = RunSpec::new(no_root()?, options.command.iter());
        // Another user has groups of its own only.
        let groups = if options.user.is_some() { &[][..] } else { &config.process.groups };
        run.process.identity = spec::identity(&root, user, groups)?;
        let mut environment = spec::environment(config, &run.process.identity);
        let home = run.process.identity.home.clone();
        if options.user.is_some() {
            environment.retain(|(name, _)| name != "HOME");
            environment.push(("HOME".into(), home.unwrap_or_else(|| PathBuf::from("/")).into()));
        }
        if options.terminal.is_some() && !environment.iter().any(|(name, _)| name == "TERM") {
            environment.push(("TERM".into(), "xterm".into()));
        }
        for entry in &options.environment {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            environment.push((OsString::from(name), OsString::from(value)));
        }
        run.process.environment = environment;
        let directory = options.directory.as_deref().or(config.process.directory.as_deref());
        run.process.directory = PathBuf::from(directory.unwrap_or("/"));
        run.process.umask = config.process.umask.unwrap_or(0o022);
        run.process.limits = spec::limits(&config.process.limits)?;
        run.process.keep_groups = spec::keeps_groups(&config.process.groups);
        run.process.personality = spec::personality(config)?;
        run.io.passed = super::start::take_descriptors(&options.descriptors)?;
        run.privileges.capabilities = match options.privileged {
            true => CapabilitySet::all(),
            false => spec::capabilities(config)?,
        };
        if options.user.is_none() || options.user == config.process.user {
            run.privileges.ambient = spec::ambient(config)?;
        }
        run.privileges.no_new_privileges = config.security.no_new_privileges;
        if options.privileged || config.security.privileged || config.security.seccomp_unconfined {
            run.privileges.seccomp = Seccomp::DangerUnconfined;
        }
        run.privileges.seccomp_profile = spec::seccomp_profile(config)?;
        run.io.terminal =
            options.terminal.map(|size| TerminalSize { rows: size.rows, columns: size.columns });
        run.io.input = if options.interactive { Input::Inherit } else { Input::Null };
        if options.detached {
            run.io.output = Output::Null;
            run.io.error = Output::Null;
        }
        if let Some(output) = output {
            run.io.output = Output::Descriptor(output.clone());
            run.io.error = Output::Descriptor(output);
        }
        if let Some(name) = &container.state.cgroup {
            run.cgroup = Cgroup::open(name)?.map(Arc::new);
            run.cgroup.as_ref().map_or(Ok(()), |group| self.may_join(group))?;
        }
        NativeExecutor::default().exec(&target, &run).map_err(|error| {
            // Where it ended while it was joined, its other processes were killed before its first one was gone.
            let is_over = error.kind() == RuntimeErrorKind::Io && target.wait(Some(DEATH));
            match self.reload(container) {
                Err(gone) if gone.kind() == ErrorKind::ContainerNotKnown => gone,
                Ok(now) if is_over || now.state.status != Status::Running => not_running(),
                _ => error.into(),
            }
        })
    }
}

fn not_running() -> Error {
    Error::new(
        ErrorKind::StateImproper,
        "can only create exec sessions on running containers",
        "container state improper",
    )
}

/// A specification has a root; that of a process which joins others is theirs.
fn no_root() -> Result<std::os::fd::OwnedFd> {
    let opened = std::fs::File::open("/");
    Ok(opened.map_err(|error| super::record::io(error, "opening", "/".as_ref()))?.into())
}
