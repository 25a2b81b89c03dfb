//! `cooper run`

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use cask_build::{WorkingContainer, WorkingIsolation, WorkingRun, volume};
use cask_program::access;
use cask_program::report;
use cask_runtime::{
    Cancel, Capability, ChrootExecutor, Device, Executor, Input, Io, Mount, NativeExecutor,
    OciExecutor, OciOptions, Output, RunSpec,
};
use clap::Args;

use super::config::add_history;
use super::create::{isolation, network};
use crate::context::{Context, now};

/// Run a command in a working container
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container
    container: Option<String>,
    /// The command and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<OsString>,
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
    /// Its network: none or host
    #[arg(long, visible_alias = "net", value_name = "NETWORK")]
    network: Option<String>,
    #[command(flatten)]
    sees: SeesArguments,
    #[command(flatten)]
    by: ByArguments,
}

/// What it sees and may do.
#[derive(Args, Debug)]
struct SeesArguments {
    /// A directory of the machine
    #[arg(short, long, value_name = "SOURCE:TARGET[:OPTIONS]")]
    volume: Vec<String>,
    /// A mount: type=bind, source=, target=, ro; type=tmpfs, target=, size=
    #[arg(long, value_name = "MOUNT")]
    mount: Vec<String>,
    /// A device of the machine
    #[arg(long, value_name = "DEVICE[:PATH]", value_delimiter = ',')]
    device: Vec<String>,
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
    /// Give it a terminal; it has the caller's
    #[arg(short, long, alias = "tty", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    terminal: Option<String>,
}

/// Runs the command; the program ends as the command does.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let Some(name) = &arguments.container else { bail!("container ID must be specified") };
    if arguments.command.is_empty() {
        bail!("command must be specified");
    }
    if let Some(text) = &arguments.by.terminal
        && access::boolean_value("terminal", text)?
    {
        bail!("--terminal is not supported yet: without it, a command has the caller's terminal");
    }
    let mut container = context
        .containers()?
        .find(name)
        .with_context(|| format!("reading build container {name:?}"))?;
    let run = arguments.run()?;
    let scratch = tempfile::tempdir()?;
    let executor = arguments.by.executor(&container, scratch.path())?;
    let report = match container.run(&run, &*executor, &Cancel::new()?) {
        Ok(report) => report,
        Err(error) => {
            // A command that cannot begin ends as it would in a shell.
            let cask_build::ErrorKind::Command(status) = error.kind() else {
                return Err(error.into());
            };
            report::engine_failure(&error.into(), crate::run::hint);
            return Ok(ExitCode::from(status));
        }
    };
    report.notes.iter().for_each(|note| report::note(&note.to_string()));
    if !report.status.success() {
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
        let words: Vec<_> = arguments.command.iter().map(|word| word.to_string_lossy()).collect();
        container.add_history(now()?, &format!("{shell} {}", words.join(" ")))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs what an image has for builds that start from it.
pub(super) fn on_build(container: &WorkingContainer, command: &str) -> Result<()> {
    let shell = container.shell();
    let shell = if shell.is_empty() { vec!["/bin/sh".into(), "-c".into()] } else { shell };
    let run = usual(shell.into_iter().chain([command.to_owned()]));
    let report = container.run(&run, &NativeExecutor::default(), &Cancel::new()?)?;
    match report.status.success() {
        true => Ok(()),
        false => bail!("while running runtime: {}", report.status),
    }
}

/// A command with what all of them get from the machine.
fn usual(command: impl IntoIterator<Item = impl Into<OsString>>) -> WorkingRun {
    let mut run = WorkingRun::new(command);
    run.resolv_conf = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    run.proxies = PROXIES
        .iter()
        .flat_map(|name| [name.to_lowercase(), name.to_uppercase()])
        .filter_map(|name| Some((OsString::from(&name), std::env::var_os(&name)?)))
        .collect();
    // What is inherited is what a spec begins with, but for the input.
    run.io = standard_streams();
    run
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
    fn run(&self) -> Result<WorkingRun> {
        let words = self.command.iter();
        // clap takes the first `--` away; one more is the user's.
        let mut run = usual(words);
        run.user.clone_from(&self.user);
        run.directory.clone_from(&self.workingdir);
        run.host_name.clone_from(&self.hostname);
        run.keep_hosts_file = self.no_hosts;
        run.network = network(self.network.as_deref())?;
        for variable in &self.env {
            match variable.split_once('=') {
                Some((name, value)) => run.environment.push((name.into(), value.into())),
                None => run.environment.extend(
                    std::env::var_os(variable).map(|value| (OsString::from(variable), value)),
                ),
            }
        }
        for text in &self.sees.volume {
            run.mounts.push(volume(text)?);
        }
        for text in &self.sees.mount {
            run.mounts.push(mount(text)?);
        }
        for text in &self.sees.device {
            let (path, inside) = text.split_once(':').unwrap_or((text, text));
            run.devices.push(Device::of(path.as_ref(), inside)?);
        }
        let parse = |text: &String| text.parse::<Capability>();
        run.add = self.sees.cap_add.iter().map(parse).collect::<Result<_, _>>()?;
        run.remove = self.sees.cap_drop.iter().map(parse).collect::<Result<_, _>>()?;
        Ok(run)
    }
}

impl ByArguments {
    fn executor(
        &self,
        container: &WorkingContainer,
        scratch: &std::path::Path,
    ) -> Result<Box<dyn Executor>> {
        let asked = match isolation(self.isolation.as_deref())? {
            WorkingIsolation::Default => container.isolation(),
            asked => asked,
        };
        let from_environment = || std::env::var_os("BUILDAH_RUNTIME").map(PathBuf::from);
        let runtime = self.runtime.clone().or_else(from_environment);
        Ok(match asked {
            WorkingIsolation::Chroot => Box::new(ChrootExecutor::default()),
            WorkingIsolation::Default if runtime.is_none() => Box::new(NativeExecutor::default()),
            _ => {
                let runtime = runtime.or_else(usual_runtime).context(
                    "no OCI runtime is installed: name one with --runtime, or leave --isolation out",
                )?;
                Box::new(OciExecutor::new(OciOptions::new(found(&runtime)?, scratch))?)
            }
        })
    }
}

fn usual_runtime() -> Option<PathBuf> {
    ["crun", "runc", "youki"].iter().find_map(|name| found(name.as_ref()).ok())
}

/// A program by its path, or by its name in the search path.
pub(super) fn found(program: &std::path::Path) -> Result<PathBuf> {
    if program.components().count() > 1 {
        return Ok(program.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|place| place.join(program));
    places
        .find(|path| path.is_file())
        .with_context(|| format!("{} is in none of the directories of PATH", program.display()))
}

/// Reads a mount: `type=bind,source=/a,target=/b,ro`.
fn mount(text: &str) -> Result<Mount> {
    let mut kind = "bind";
    let (mut source, mut target, mut size) = (None, None, None);
    let mut options = Vec::new();
    for field in text.split(',') {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        match key {
            "type" => kind = value,
            "src" | "source" => source = Some(value),
            "dst" | "target" | "destination" => target = Some(value),
            "tmpfs-size" | "size" => size = Some(bytes(value)?),
            "ro" | "readonly" | "rw" | "readwrite" => {
                let on = value.is_empty() || access::boolean_value(key, value)?;
                let read_only =
                    key.starts_with("ro") || key.starts_with("read") && key != "readwrite";
                options.push(if read_only == on { "ro" } else { "rw" });
            }
            "nosuid" | "nodev" | "noexec" if value.is_empty() => options.push(key),
            "bind-propagation" => match value {
                "private" | "rprivate" | "slave" | "rslave" => options.push(value),
                _ => bail!("mount {text:?}: the propagation {value:?} is not supported"),
            },
            _ => bail!("mount {text:?}: the option {field:?} is not known"),
        }
    }
    let target = target.with_context(|| format!("mount {text:?} has no target"))?;
    match (kind, source) {
        ("bind", Some(source)) if size.is_none() => {
            Ok(volume(&format!("{source}:{target}:{}", options.join(",")))?)
        }
        ("bind", None) => bail!("mount {text:?} has no source"),
        ("tmpfs", None) if options.iter().all(|option| *option == "rw") => {
            Ok(Mount::memory(size, target))
        }
        ("bind" | "tmpfs", _) => bail!("mount {text:?}: an option does not belong to type={kind}"),
        (other, _) => {
            bail!("mount {text:?}: the type {other:?} is not supported: use bind or tmpfs")
        }
    }
}

/// Reads a size: a number with k, m or g.
fn bytes(text: &str) -> Result<u64> {
    let lower = text.to_ascii_lowercase();
    let lower = lower.strip_suffix('b').unwrap_or(&lower);
    let (digits, factor) = match lower.chars().last() {
        Some('k') => (&lower[..lower.len() - 1], 1_u64 << 10),
        Some('m') => (&lower[..lower.len() - 1], 1 << 20),
        Some('g') => (&lower[..lower.len() - 1], 1 << 30),
        _ => (lower, 1),
    };
    let number: u64 = digits.parse().with_context(|| format!("the size {text:?} is no number"))?;
    number.checked_mul(factor).with_context(|| format!("the size {text:?} is too large"))
}
