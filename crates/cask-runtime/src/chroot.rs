//! The last resort: another root and nothing else.

use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind, Result};
use crate::executor::{Executor, ExecutorCapabilities};
use crate::launch::{Program, launch};
use crate::native::NativeOptions;
use crate::plan::Isolation;
use crate::prepare::prepare;
use crate::report::ExitReport;
use crate::seccomp;
use crate::spec::{Network, RunSpec, UserNamespace};

/// Runs processes in another root and sets nothing else apart: for machines that permit no namespaces.
///
/// **This is no isolation.** The process shares this machine's processes, network and users; every report says
/// so with [`Note::NotIsolated`](crate::Note::NotIsolated). What can be kept is kept: nothing of the machine is mounted, so that
/// neither its `/proc` nor its `/dev` is there; capabilities, groups, limits and seccomp are as asked; every
/// process that was started ends with the run.
///
/// Needs root (`CAP_SYS_CHROOT`). Should both this program and the helper be killed with `SIGKILL`, daemons of
/// the process stay.
#[derive(Debug, Default)]
pub struct ChrootExecutor {
    options: NativeOptions,
    program: Program,
}

impl ChrootExecutor {
    /// Makes an executor; nothing is started until something runs.
    pub fn new(options: NativeOptions) -> Self {
        Self { options, program: Program::default() }
    }
}

impl Executor for ChrootExecutor {
    /// As [`Executor::run`]; what this backend would silently leave out is refused: mounts of the caller, a
    /// network of its own, a user namespace, a host name, an init, a read-only root. The standard mounts and the
    /// paths that protect the kernel in them are left out.
    ///
    /// # Errors
    ///
    /// `Unsupported` for these.
    fn run(&self, spec: &RunSpec, cancel: &Cancel) -> Result<ExitReport> {
        refuse(spec)?;
        let prepared = prepare(spec, Isolation::Chroot)?;
        let NativeOptions { program, argument, .. } = &self.options;
        launch(&self.program, program, argument, prepared, cancel, &|_| Ok(()))
    }

    fn capabilities(&self) -> ExecutorCapabilities {
        ExecutorCapabilities {
            isolates: false,
            mounts: false,
            networks: false,
            seccomp: seccomp::is_supported(),
            terminals: false,
        }
    }
}

fn refuse(spec: &RunSpec) -> Result<()> {
    let wanted = [
        (!spec.files.mounts.is_empty(), "mounts"),
        (spec.files.read_only_root, "a read-only root"),
        (!matches!(spec.network, Network::Host), "a network of its own"),
        (!matches!(spec.users, UserNamespace::Inherit), "a user namespace"),
        (spec.hostname.is_some(), "a host name"),
        (spec.process.init, "an init"),
        (spec.process.pause, "no command"),
        (!spec.sysctls.is_empty(), "settings of the kernel"),
        (!spec.files.devices.is_empty(), "devices"),
        (spec.io.terminal.is_some(), "a terminal"),
        (!spec.hooks.list.is_empty(), "hooks"),
    ];
    match wanted.iter().find(|(wanted, _)| *wanted) {
        None => Ok(()),
        Some((_, what)) => Err(Error::new(ErrorKind::Unsupported, "give the process", what)
            .with_detail("chroot has nothing but another root")
            .with_hint("use the native executor, or do without")),
    }
}
