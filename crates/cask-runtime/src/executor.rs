//! What a backend does.

use std::io;
use std::os::fd::OwnedFd;

use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind, Result};
use crate::report::ExitReport;
use crate::spec::{RunSpec, TerminalSize};

/// Runs processes in root filesystems.
///
/// Implementations can be used from many threads at once.
pub trait Executor: Send + Sync {
    /// Runs one process to its end.
    ///
    /// When this returns, no process, mount or directory of the run is left, whatever happened; also where
    /// this process is killed meanwhile, the kernel or the helper ends and removes everything.
    ///
    /// # Errors
    ///
    /// `CommandNotFound` and `CommandNotExecutable` where the command does not begin, `Cancelled`, and every
    /// other kind where the process could not be given what the specification says. A process that fails
    /// is a report, no error.
    fn run(&self, spec: &RunSpec, cancel: &Cancel) -> Result<ExitReport>;

    /// Runs one process to its end, with a new terminal for input, output and errors, which it has control of.
    /// `relay` gets the terminal's other end, and returns when nobody has the terminal any more.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run); `Io` for what `relay` says; `Unsupported` for a backend that makes no terminals,
    /// which is what happens unless a backend does something else.
    fn run_on_terminal(
        &self,
        spec: &RunSpec,
        size: TerminalSize,
        relay: &mut dyn FnMut(&OwnedFd) -> io::Result<()>,
    ) -> Result<ExitReport> {
        let _ = (spec, size, relay);
        Err(Error::new(ErrorKind::Unsupported, "give the process", "a terminal")
            .with_detail("only the native executor makes terminals"))
    }

    /// What this backend isolates and supports.
    fn capabilities(&self) -> ExecutorCapabilities;
}

/// What an [`Executor`] can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExecutorCapabilities {
    /// The process sees its own processes, mounts and devices only.
    pub isolates: bool,
    /// It can mount.
    pub mounts: bool,
    /// It can give the process a network of its own.
    pub networks: bool,
    /// It applies seccomp profiles.
    pub seccomp: bool,
    /// It can [give a process a terminal](Executor::run_on_terminal).
    pub terminals: bool,
}
