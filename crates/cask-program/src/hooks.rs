//! Hooks: programs of this machine that run at the turns of a container's life.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use cask_runtime::{
    Cancel, Executor, ExecutorCapabilities, ExitReport, HookFiles, MountSource, RunSpec,
    TerminalSize,
};

/// Where files are that say which containers have which hooks.
///
/// Source: oci-hooks(5), podman(1), `--hooks-dir`.
const USUAL: [&str; 2] = ["/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d"];

/// The directories of files of hooks: those that are named, or else of containers.conf, or else the usual ones.
///
/// # Errors
/// Where the current directory is not known.
pub fn directories(named: &[PathBuf], conf: Option<&[PathBuf]>) -> Result<Vec<PathBuf>> {
    let found = match (named, conf) {
        ([], None) => USUAL.map(PathBuf::from).to_vec(),
        ([], Some(listed)) => listed.to_vec(),
        (named, _) => named.to_vec(),
    };
    let found = found.into_iter().filter(|path| !path.as_os_str().is_empty());
    Ok(found.map(std::path::absolute).collect::<io::Result<_>>()?)
}

/// Has what `executor` runs have the hooks of the usual places, which are for root alone; `scratch` is for their bundles.
///
/// Source: buildah, `run_linux.go`, `setupOCIHooks`.
///
/// # Errors
/// As [`with`].
pub fn of_machine(executor: Arc<dyn Executor>, scratch: &Path) -> Result<Arc<dyn Executor>> {
    if crate::rootless::is_rootless() || !executor.capabilities().isolates {
        return Ok(executor);
    }
    with(executor, &USUAL.map(PathBuf::from), scratch)
}

/// Has what `executor` runs have the hooks that files in directories name for it. `scratch` is for their bundles.
///
/// # Errors
/// Where a file cannot be read, or is none of a hook.
pub fn with(
    executor: Arc<dyn Executor>,
    directories: &[PathBuf],
    scratch: &Path,
) -> Result<Arc<dyn Executor>> {
    let files = HookFiles::read(directories)?;
    if files.is_empty() {
        return Ok(executor);
    }
    Ok(Arc::new(Hooked { executor, files, directory: scratch.join("hooks") }))
}

/// Gives each process its hooks, and has another executor run it.
struct Hooked {
    executor: Arc<dyn Executor>,
    files: HookFiles,
    directory: PathBuf,
}

impl Hooked {
    fn add_to(&self, spec: &RunSpec) -> RunSpec {
        let mut spec = spec.clone();
        let is_bind = |mount: &cask_runtime::Mount| matches!(mount.source, MountSource::Bind(_));
        let has_mounts = spec.files.mounts.iter().any(is_bind);
        spec.hooks.list =
            self.files.select(&spec.process.arguments, &spec.hooks.annotations, has_mounts);
        spec.hooks.directory.clone_from(&self.directory);
        spec
    }
}

impl Executor for Hooked {
    fn run(&self, spec: &RunSpec, cancel: &Cancel) -> cask_runtime::Result<ExitReport> {
        self.executor.run(&self.add_to(spec), cancel)
    }

    fn run_on_terminal(
        &self,
        spec: &RunSpec,
        size: TerminalSize,
        relay: &mut dyn FnMut(&OwnedFd) -> io::Result<()>,
    ) -> cask_runtime::Result<ExitReport> {
        self.executor.run_on_terminal(&self.add_to(spec), size, relay)
    }

    fn capabilities(&self) -> ExecutorCapabilities {
        self.executor.capabilities()
    }
}
