//! `cellar exec`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use cask_engine::{Containers, ErrorKind, ExecOptions, Status, Terminal};
use cask_program::{output, report};
use clap::Args;

use super::descriptors::DescriptorArguments;
use super::{ended, options, relay, several};
use crate::context::Context;

/// How often it is looked whether a container runs.
const GLANCE: Duration = Duration::from_millis(100);

/// Run a command in a container that runs
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container, and the command with its arguments
    #[arg(trailing_var_arg = true, value_name = "CONTAINER COMMAND")]
    words: Vec<String>,
    /// Read the ID of the container from this file
    #[arg(long, value_name = "FILE")]
    cidfile: Option<PathBuf>,
    /// Leave it running
    #[arg(short, long)]
    detach: bool,
    /// The keys that leave it running
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Set a variable of the environment
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Read variables from this file
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Pass input on to it
    #[arg(short, long)]
    interactive: bool,
    /// In the container that was made last
    #[arg(short, long)]
    latest: bool,
    /// Keep no record of the command: none ever is
    #[arg(long, hide = true)]
    no_session: bool,
    /// Give it all capabilities
    #[arg(long)]
    privileged: bool,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    #[command(flatten)]
    descriptors: DescriptorArguments,
    /// Run as this user
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Wait so many seconds until the container runs
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u32>,
    /// Begin in this directory
    #[arg(short, long, value_name = "DIRECTORY")]
    workdir: Option<String>,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let keys = relay::detach_keys(arguments.detach_keys.as_deref())?;
    if arguments.no_session && (arguments.detach || arguments.detach_keys.is_some()) {
        bail!("--no-session cannot be used with --detach or --detach-keys");
    }
    let containers = context.containers()?;
    let from_file = arguments.cidfile.as_deref().map(several::id_of).transpose()?;
    let (name, command) = match arguments.words.split_first() {
        _ if from_file.is_some() && arguments.latest => {
            bail!("--cidfile and --latest cannot be used together")
        }
        _ if from_file.is_some() => (from_file.as_deref(), arguments.words.as_slice()),
        _ if arguments.latest => (None, arguments.words.as_slice()),
        Some((name, command)) => (Some(name.as_str()), command),
        None => bail!("exec requires the name or ID of a container or the --latest flag"),
    };
    if command.is_empty() {
        bail!("must provide a non-empty command to start an exec session: invalid argument");
    }
    if let (Some(name), Some(seconds)) = (name, arguments.wait) {
        wait(&containers, name, Duration::from_secs(seconds.into()))?;
    }
    let container = several::one(&containers, name, arguments.latest)?;
    let mut wanted = ExecOptions::default();
    wanted.command = command.to_vec();
    wanted.environment = options::environment(&arguments.env_file, &arguments.env)?;
    wanted.user.clone_from(&arguments.user);
    wanted.directory.clone_from(&arguments.workdir);
    wanted.privileged = arguments.privileged;
    wanted.interactive = arguments.interactive;
    wanted.descriptors = arguments.descriptors.numbers()?;
    if arguments.tty {
        wanted.terminal = Some(relay::size().unwrap_or(Terminal { rows: 24, columns: 80 }));
    }
    if arguments.detach {
        wanted.interactive = false;
        wanted.detached = true;
        containers.exec_detached(&container, &wanted)?;
        output::line(container.id())?;
        return Ok(ExitCode::SUCCESS);
    }
    let started = containers.exec(&container, &wanted).and_then(|mut created| {
        let terminal = created.take_terminal();
        Ok((created.start()?, terminal))
    });
    let (running, terminal) = match started {
        // Source: podman, `cmd/podman/containers/exec.go`: it has not asked the runtime yet.
        Err(error) if error.kind() == ErrorKind::StateImproper => {
            report::engine_failure(&error.into(), crate::run::hint);
            return Ok(ExitCode::from(255));
        }
        Err(error) => return Ok(ended::not_executed(error)),
        Ok(started) => started,
    };
    if let Some(terminal) = terminal {
        let over = relay::copy_terminal(&terminal, arguments.interactive, keys)?;
        drop(terminal);
        if !over {
            return Ok(ExitCode::SUCCESS);
        }
    }
    let report = running.wait()?;
    let code = i32::from(report.status.shell_status());
    containers.note_exec_died(&container, code);
    Ok(ended::code(code))
}

/// Waits until a container runs, which may not be there yet.
fn wait(containers: &Containers, name: &str, patience: Duration) -> Result<()> {
    let end = Instant::now() + patience;
    while !containers.find(name).is_ok_and(|found| found.state.status == Status::Running) {
        if Instant::now() >= end {
            bail!("timed out waiting for container: {name}");
        }
        std::thread::sleep(GLANCE);
    }
    Ok(())
}
