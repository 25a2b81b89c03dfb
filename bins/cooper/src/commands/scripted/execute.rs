//! `cooper run`

mod mounts;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use cask_build::{
    OpenedMount, Volume, WorkingContainer, WorkingIsolation, WorkingNamespace, WorkingNamespaces,
    WorkingNetwork, WorkingRun,
};
use cask_program::{
    access, build, containers_conf, default_mounts, devices, hooks, report, terminal,
};
use cask_runtime::{
    Cancel, ChrootExecutor, Device, Executor, ExitReport, Input, Io, NativeExecutor, OciExecutor,
    OciOptions, Output, RunSpec, TerminalSize, is_cdi_device,
};
use clap::Args;

use super::config::add_history;
use super::create::{capabilities, isolation, namespace};
use crate::context::{Context, now};

/// Run a command in a working container
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container, and the command with its arguments, behind -- or not
    #[arg(trailing_var_arg = true, value_name = "CONTAINER COMMAND")]
    words: Vec<OsString>,
    /// Tell the history of the command
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    add_history: Option<String>,
    /// Its user, and a group behind a colon
    #[arg(short, long)]
    user: Option<String>,
    /// The directory in which it begins
    #[arg(long, value_name = "DIRECTORY")]
    workingdir: Option<String>,
    /// A variable, NAME=VALUE or NAME for the caller's
    #[arg(short, long, value_name = "VARIABLE")]
    env: Vec<String>,
    /// The name that it sees its host have
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// Leave the image's /etc/hosts as it is
    #[arg(long)]
    no_hosts: bool,
    /// Leave the image's /etc/hostname as it is
    #[arg(long)]
    no_hostname: bool,
    /// Exit codes that are no failure
    #[arg(
        long,
        value_name = "CODE",
        value_delimiter = ',',
        default_value = "0",
        allow_hyphen_values = true
    )]
    valid_exit_codes: Vec<i32>,
    #[command(flatten)]
    apart: ApartArguments,
    #[command(flatten)]
    sees: SeesArguments,
    #[command(flatten)]
    by: ByArguments,
}

/// What it has for itself, or with others.
#[derive(Args, Debug)]
struct ApartArguments {
    /// Its network: none, host, private (a bridge for root, pasta for a user), bridge, pasta[:OPTION,...], ns:PATH or
    /// names of networks [default: that of the container]
    #[arg(long, visible_alias = "net", value_name = "NETWORK")]
    network: Option<String>,
    /// Its shared memory and queues: private, host or ns:PATH
    #[arg(long, value_name = "NAMESPACE")]
    ipc: Option<String>,
    /// The processes that it sees: private, host or ns:PATH
    #[arg(long, value_name = "NAMESPACE")]
    pid: Option<String>,
    /// Its name of the machine: private, host or ns:PATH
    #[arg(long, value_name = "NAMESPACE")]
    uts: Option<String>,
    /// The control groups that it sees: private or host
    #[arg(long, value_name = "NAMESPACE")]
    cgroupns: Option<String>,
}

/// What it sees and may do.
#[derive(Args, Debug)]
struct SeesArguments {
    /// A directory of the machine
    #[arg(short, long, value_name = "SOURCE:TARGET[:OPTIONS]")]
    volume: Vec<String>,
    /// A mount: type=bind,source=,target=,rw; type=tmpfs,target=,tmpfs-size=; type=cache,target=,id=
    #[arg(long, value_name = "MOUNT")]
    mount: Vec<String>,
    /// The directory that the sources of bind mounts are in
    #[arg(long, value_name = "DIRECTORY")]
    contextdir: Option<PathBuf>,
    /// A device of the machine: a path, or the name VENDOR/CLASS=NAME of one that a vendor describes in /etc/cdi
    #[arg(long, value_name = "DEVICE[:PATH]", value_delimiter = ',')]
    device: Vec<String>,
    /// Read what devices of vendors are from the files of this directory too
    #[arg(long, value_name = "DIRECTORY", hide = true)]
    cdi_config_dir: Vec<PathBuf>,
    /// Something that it may do
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    cap_add: Vec<String>,
    /// Something that it may not do
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    cap_drop: Vec<String>,
}

/// What runs it.
#[derive(Args, Debug)]
struct ByArguments {
    /// What sets it apart: chroot, oci or rootless [default: $BUILDAH_ISOLATION, else namespaces]
    #[arg(long, value_name = "KIND")]
    isolation: Option<String>,
    /// The OCI runtime [default: $BUILDAH_RUNTIME, else crun or runc]
    #[arg(long, value_name = "PROGRAM")]
    runtime: Option<PathBuf>,
    /// Give the OCI runtime an option, without its hyphens
    #[arg(long, value_name = "OPTION")]
    runtime_flag: Vec<String>,
    /// Do not pivot to its root; nothing here does without
    #[arg(long)]
    no_pivot: bool,
    /// Give it a terminal of its own
    #[arg(short, long, alias = "tty", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    terminal: Option<String>,
}

/// Runs the command; the program ends as the command does.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let Some(name) = arguments.words.first() else { bail!("container ID must be specified") };
    let name = &name.to_string_lossy();
    if arguments.command().is_empty() {
        bail!("command must be specified");
    }
    let containers = context.containers()?;
    let mut container =
        containers.find(name).with_context(|| format!("reading build container {name:?}"))?;
    let mut run = arguments.run()?;
    run.given_files = default_mounts::load(context.default_mounts_file.as_deref());
    let scratch = tempfile::tempdir()?;
    let executor = arguments.by.executor(&container, scratch.path(), &mut run)?;
    let executor = hooks::of_machine(executor.into(), scratch.path())?;
    let cancel = Cancel::new()?;
    let mounts: Vec<OpenedMount> =
        mounts::open(&arguments.sees, &containers, &container, context, &cancel)?;
    mounts.iter().for_each(|opened| run.mount(opened));
    connect(&mut run, &container, context, scratch.path())?;
    let report = match arguments.carry_out(&container, &run, &*executor, &cancel) {
        Ok(report) => report,
        Err(error) => {
            // A command that cannot begin ends as it would in a shell.
            let status = error.downcast_ref::<cask_build::Error>().map(cask_build::Error::kind);
            let Some(cask_build::ErrorKind::Command(status)) = status else { return Err(error) };
            report::engine_failure(&error, crate::run::hint);
            return Ok(ExitCode::from(status));
        }
    };
    drop((run, mounts));
    report.notes.iter().for_each(|note| report::note(&note.to_string()));
    let code = i32::from(report.status.shell_status());
    let is_valid = arguments.valid_exit_codes.contains(&code);
    if code == 0 && !is_valid {
        bail!("exit status 0 is not in the valid exit codes list");
    }
    if !is_valid {
        let status = report.status;
        let error = match status {
            cask_runtime::ExitStatus::Code(code) => {
                format!("while running runtime: exit status {code}")
            }
            cask_runtime::ExitStatus::Signal(signal) => {
                format!("while running runtime: signal {signal}")
            }
        };
        report::engine_usage(&error);
        return Ok(ExitCode::from(status.shell_status()));
    }
    if add_history(arguments.add_history.as_deref())? {
        let shell = container.shell();
        let shell = if shell.is_empty() { "/bin/sh -c".to_owned() } else { shell.join(" ") };
        let words: Vec<_> = arguments.command().iter().map(|word| word.to_string_lossy()).collect();
        container.add_history(now()?, &format!("{shell} {}", words.join(" ")))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs what an image has for builds that start from it.
pub(super) fn on_build(
    container: &WorkingContainer,
    command: &str,
    context: &Context,
) -> Result<()> {
    let shell = container.shell();
    let shell = if shell.is_empty() { vec!["/bin/sh".into(), "-c".into()] } else { shell };
    let mut run = usual(shell.into_iter().chain([command.to_owned()]))?;
    run.given_files = default_mounts::load(context.default_mounts_file.as_deref());
    let scratch = tempfile::tempdir()?;
    connect(&mut run, container, context, scratch.path())?;
    let report = container.run(&run, &NativeExecutor::default(), &Cancel::new()?)?;
    match report.status.success() {
        true => Ok(()),
        false => bail!("while running runtime: {}", report.status),
    }
}

/// Makes the network of a command where it has one of its own: that which is said for it, or else the container's.
fn connect(
    run: &mut WorkingRun,
    container: &WorkingContainer,
    context: &Context,
    scratch: &Path,
) -> Result<()> {
    let network = run.network.clone().unwrap_or_else(|| container.network());
    let is_other = matches!(network, WorkingNetwork::Other(_));
    run.resolv_conf = build::resolv_conf(is_other);
    if is_other {
        let store = context.store()?;
        let made = build::make_network(&network, &store, &context.settings, scratch)?;
        run.own_network = made.map(Arc::new);
    }
    Ok(())
}

/// A command with what all of them get from the machine.
fn usual(command: impl IntoIterator<Item = impl Into<OsString>>) -> Result<WorkingRun> {
    let mut run = WorkingRun::new(command);
    let lists = &containers_conf::load()?.lists;
    run.usual_limits = lists.limits.clone().unwrap_or_default();
    run.described_devices.directories = devices::directories_with(&[])?;
    run.usual_sysctls = lists.sysctls.clone().unwrap_or_default();
    run.proxies = PROXIES
        .iter()
        .flat_map(|name| [name.to_lowercase(), name.to_uppercase()])
        .filter_map(|name| Some((OsString::from(&name), std::env::var_os(&name)?)))
        .collect();
    // What is inherited is what a spec begins with, but for the input.
    run.io = standard_streams();
    Ok(run)
}

/// The variables that say where proxies are.
///
/// Source: containers/common, `pkg/config`, `ProxyEnv`.
const PROXIES: [&str; 4] = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy"];

fn standard_streams() -> Option<Io> {
    let root = rustix::fs::open(
        "/",
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    );
    let mut io = RunSpec::new(root.ok()?, ["-"]).io;
    io.input = Input::Inherit;
    io.output = Output::Inherit;
    Some(io)
}

impl Arguments {
    /// The command, without the `--` that may be before it; one more is the user's.
    fn command(&self) -> &[OsString] {
        match self.words.get(1..).unwrap_or_default() {
            [dashes, command @ ..] if dashes == "--" => command,
            command => command,
        }
    }

    fn run(&self) -> Result<WorkingRun> {
        let mut run = usual(self.command())?;
        run.user.clone_from(&self.user);
        run.directory.clone_from(&self.workingdir);
        run.host_name.clone_from(&self.hostname);
        run.keep_hosts_file = self.no_hosts;
        run.keep_host_name_file = self.no_hostname;
        let apart = &self.apart;
        if let Some(text) = &apart.network {
            run.network = Some(build::working_network(Some(text))?);
        }
        run.namespaces.ipc = namespace(apart.ipc.as_deref())?;
        run.namespaces.pid = namespace(apart.pid.as_deref())?;
        run.namespaces.uts = namespace(apart.uts.as_deref())?;
        run.namespaces.cgroup = namespace(apart.cgroupns.as_deref())?;
        for variable in &self.env {
            match variable.split_once('=') {
                Some((name, value)) => run.environment.push((name.into(), value.into())),
                None => run.environment.extend(from_caller(variable)),
            }
        }
        for text in &self.sees.volume {
            run.volumes.push(Volume::parse(text)?);
        }
        for text in &self.sees.device {
            if is_cdi_device(text) {
                run.described_devices.names.push(text.clone());
                continue;
            }
            let (path, inside) = text.split_once(':').unwrap_or((text, text));
            run.devices.push(Device::of(path.as_ref(), inside)?);
        }
        run.described_devices.directories = devices::directories_with(&self.sees.cdi_config_dir)?;
        run.add = capabilities(&self.sees.cap_add)?;
        run.remove = capabilities(&self.sees.cap_drop)?;
        Ok(run)
    }

    fn carry_out(
        &self,
        container: &WorkingContainer,
        run: &WorkingRun,
        executor: &dyn Executor,
        cancel: &Cancel,
    ) -> Result<ExitReport> {
        let wants_terminal = match &self.by.terminal {
            Some(text) => access::boolean_value("terminal", text)?,
            None => false,
        };
        if !wants_terminal {
            return Ok(container.run(run, executor, cancel)?);
        }
        if !executor.capabilities().terminals {
            bail!(
                "--terminal needs namespaces of our own: leave --runtime and --isolation out, or --terminal"
            );
        }
        let (rows, columns) = terminal::size().unwrap_or((24, 80));
        let mut relay = |end: &std::os::fd::OwnedFd| {
            terminal::relay(end, true, Vec::new()).map(drop).map_err(std::io::Error::other)
        };
        let size = TerminalSize { rows, columns };
        Ok(container.run_with_terminal(run, size, executor, &mut relay)?)
    }
}

/// The caller's variables that a flag names: one, or all that begin so where a `*` is behind it.
fn from_caller(variable: &str) -> Vec<(OsString, OsString)> {
    match variable.strip_suffix('*') {
        Some(beginning) => std::env::vars_os()
            .filter(|(name, _)| name.to_string_lossy().starts_with(beginning))
            .collect(),
        None => std::env::var_os(variable)
            .map(|value| (OsString::from(variable), value))
            .into_iter()
            .collect(),
    }
}

impl ByArguments {
    fn executor(
        &self,
        container: &WorkingContainer,
        scratch: &Path,
        run: &mut WorkingRun,
    ) -> Result<Box<dyn Executor>> {
        let asked = match isolation(self.isolation.as_deref())? {
            WorkingIsolation::Default => container.isolation(),
            asked => asked,
        };
        let from_environment = || {
            let named = std::env::var_os("BUILDAH_RUNTIME").filter(|name| !name.is_empty());
            named.map(PathBuf::from)
        };
        let runtime = self.runtime.clone().or_else(from_environment);
        let is_ours = asked == WorkingIsolation::Chroot
            || (asked == WorkingIsolation::Default && runtime.is_none());
        if let Some(flag) = self.runtime_flag.first().filter(|_| is_ours) {
            bail!("--runtime-flag {flag} is for an OCI runtime: name one with --runtime");
        }
        match asked {
            WorkingIsolation::Chroot if may_mount() => {
                chroot(run);
                Ok(Box::new(NativeExecutor::default()))
            }
            // Where nothing can be mounted, another root is all there is.
            WorkingIsolation::Chroot => Ok(Box::new(ChrootExecutor::default())),
            WorkingIsolation::Default if runtime.is_none() => {
                Ok(Box::new(NativeExecutor::default()))
            }
            _ => {
                let runtime = build::runtime(runtime.as_deref())?;
                let mut options = OciOptions::new(runtime, scratch);
                options.flags.clone_from(&self.runtime_flag);
                Ok(Box::new(OciExecutor::new(options)?))
            }
        }
    }
}

/// What buildah sets apart where it only changes the root: the mounts and the name of the machine.
///
/// Source: buildah, `chroot/run_linux.go`.
fn chroot(run: &mut WorkingRun) {
    let WorkingNamespaces { ipc, pid, cgroup, .. } = &mut run.namespaces;
    for shared in [ipc, pid, cgroup] {
        shared.get_or_insert(WorkingNamespace::Host);
    }
}

/// Whether this process may mount: whether it has `CAP_SYS_ADMIN`.
fn may_mount() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask & (1 << 21) != 0)
}
