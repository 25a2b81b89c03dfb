//! What runs the commands.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use cask_build::BuildNetwork;
use cask_runtime::{
    Cancel, ChrootExecutor, ErrorKind, Executor, NativeExecutor, Network, OciExecutor, OciOptions,
    RunSpec,
};

use super::run_arguments::RunArguments;
use crate::{hooks, report, services};

/// The runtimes that are looked for, in this order.
const RUNTIMES: [&str; 3] = ["crun", "runc", "youki"];

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What sets commands apart, by the flags or else the environment.
pub(super) fn isolation(arguments: &RunArguments) -> Option<String> {
    arguments.isolation.clone().or_else(|| variable("BUILDAH_ISOLATION"))
}

/// The OCI runtime that is named: by the flags, the environment, or else containers.conf, unless something is asked
/// for that only our own executor does.
fn named_runtime(arguments: &RunArguments) -> Result<Option<PathBuf>> {
    let named = arguments.runtime.clone();
    let named = named.or_else(|| variable("BUILDAH_RUNTIME").map(PathBuf::from));
    let needs_ours =
        arguments.needs_groups()? || arguments.needs_devices() || arguments.has_own_users()?;
    let usual = arguments.usual.runtime.clone().filter(|_| !needs_ours);
    Ok(named.or(usual).filter(|name| name.as_os_str() != "native"))
}

/// What the flags name, or else the environment. `scratch` is for the bundles of an OCI runtime.
pub(super) fn executor(arguments: &RunArguments, scratch: &Path) -> Result<Arc<dyn Executor>> {
    let executor = plain(arguments, scratch)?;
    let chroot = isolation(arguments).as_deref() == Some("chroot");
    // As with buildah, what has nothing but another root has none.
    let directories = if chroot { Vec::new() } else { arguments.hook_directories()? };
    hooks::with(executor, &directories, scratch)
}

fn plain(arguments: &RunArguments, scratch: &Path) -> Result<Arc<dyn Executor>> {
    let isolation = isolation(arguments);
    let named = named_runtime(arguments)?;
    let is_native = match isolation.as_deref() {
        None => named.is_none(),
        Some(kind) => kind == "native" || kind == "rootless",
    };
    let is_oci = !is_native && isolation.as_deref() != Some("chroot");
    if let Some(flag) = arguments.runtime_flag.first().filter(|_| !is_oci) {
        bail!("--runtime-flag {flag} is for an OCI runtime: name one with --runtime");
    }
    let flags = arguments.runtime_flag.as_slice();
    if arguments.needs_groups()? {
        if !is_native {
            bail!("limits of memory and processors are supported by --isolation=native only");
        }
        services::leave_login();
    }
    if !is_native && arguments.needs_devices() {
        bail!("--device is supported by --isolation=native only");
    }
    if isolation.as_deref() == Some("chroot") && arguments.needs_namespaces() {
        bail!("--isolation=chroot has no namespaces: leave --ipc, --pid, --uts and --cgroupns out");
    }
    let is_host = arguments.network()?.of_build() == BuildNetwork::Host;
    if isolation.as_deref() == Some("chroot") && !is_host {
        bail!("cannot set --network other than host with --isolation chroot");
    }
    match isolation.as_deref() {
        None if named.is_some() => oci(named, flags, scratch),
        Some("oci") => oci(named, flags, scratch),
        None | Some("native" | "rootless") => Ok(Arc::new(NativeExecutor::default())),
        Some("chroot") => chroot(scratch),
        Some(other) => {
            bail!("unrecognized isolation type {other:?}: use native, oci, rootless or chroot")
        }
    }
}

/// What commands have where `chroot` is asked for: mounts, as with buildah, and processes of their own; where the machine
/// lets nobody make these, nothing but another root.
fn chroot(scratch: &Path) -> Result<Arc<dyn Executor>> {
    let native = NativeExecutor::default();
    if can_run(&native, &scratch.join("probe"))? {
        return Ok(Arc::new(native));
    }
    report::note("--isolation=chroot sets nothing apart but the files");
    Ok(Arc::new(ChrootExecutor::default()))
}

/// Whether a command gets as far as to be looked for, in an empty directory.
fn can_run(executor: &NativeExecutor, root: &Path) -> Result<bool> {
    let make = || -> std::io::Result<File> {
        std::fs::create_dir_all(root)?;
        File::open(root)
    };
    let directory = make().with_context(|| format!("making {}", root.display()))?;
    let mut spec = RunSpec::new(OwnedFd::from(directory), ["/nothing"]);
    spec.network = Network::Host;
    let outcome = executor.run(&spec, &Cancel::new()?);
    Ok(outcome.is_err_and(|error| error.kind() == ErrorKind::CommandNotFound))
}

fn oci(named: Option<PathBuf>, flags: &[String], scratch: &Path) -> Result<Arc<dyn Executor>> {
    let directory = scratch.join("runtime");
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("making {}", directory.display()))?;
    let mut options = OciOptions::new(runtime(named.as_deref())?, directory);
    options.flags = flags.to_vec();
    Ok(Arc::new(OciExecutor::new(options)?))
}

/// An OCI runtime: the one that is named, by its path or by its name in the search path, or else the
/// usual one.
///
/// # Errors
/// Where there is none.
pub fn runtime(named: Option<&Path>) -> Result<PathBuf> {
    match named {
        Some(path) if path.components().count() > 1 => Ok(path.to_owned()),
        Some(name) => program(&name.to_string_lossy()).with_context(|| {
            format!(
                "default OCI runtime {:?} not found: it is in none of the directories of PATH",
                name.display().to_string()
            )
        }),
        None => usual_runtime().context("none of the runtimes crun, runc and youki is installed"),
    }
}

/// The first of the runtimes that are looked for that can run something here, or else the last one
/// that is installed.
pub fn usual_runtime() -> Option<PathBuf> {
    let found: Vec<PathBuf> = RUNTIMES.iter().filter_map(|name| program(name)).collect();
    let fit = found.iter().find(|runtime| is_fit(runtime));
    fit.or(found.last()).cloned()
}

/// Whether a runtime takes this machine as it is: crun refuses one that has cgroups of both versions,
/// with controllers in both.
fn is_fit(runtime: &Path) -> bool {
    let both = std::fs::read_to_string("/sys/fs/cgroup/unified/cgroup.controllers");
    let is_crun = runtime.file_name().is_some_and(|name| name == "crun");
    !is_crun
        || both.is_ok_and(|controllers| controllers.trim().is_empty())
        || !Path::new("/sys/fs/cgroup/unified").exists()
}

/// A program of the search path.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file())
}
