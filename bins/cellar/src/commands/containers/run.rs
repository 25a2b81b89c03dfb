//! `cellar run`

use std::io::{IsTerminal as _, stdin};
use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_engine::{Container, Containers, RelayEnd};
use cask_program::{output, report};
use cask_terminal::report::error_text;
use clap::Args;

use super::create::Making;
use super::descriptors::DescriptorArguments;
use super::notify;
use super::relay::{self, Ends};
use super::{ended, relay::relay as relay_to};
use crate::context::Context;

/// Run a command in a new container
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// Leave it running, and print its ID
    #[arg(short, long)]
    detach: bool,
    /// Attach to stdin, stdout or stderr only
    #[arg(short, long, value_name = "STREAM", value_delimiter = ',')]
    attach: Vec<String>,
    /// The keys that leave it running
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Pass signals on to it
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    sig_proxy: Option<bool>,
    #[command(flatten)]
    descriptors: DescriptorArguments,
    /// Remove the image too when it has ended
    #[arg(long)]
    rmi: bool,
    #[command(flatten)]
    making: Making,
}

/// Makes it, starts it, and is attached until it has ended.
pub(crate) fn run(arguments: Arguments, context: &Context) -> Result<ExitCode> {
    let keys = relay::detach_keys(arguments.detach_keys.as_deref())?;
    if arguments.detach && !arguments.attach.is_empty() {
        bail!("conflicting options: you cannot specify --attach and --detach");
    }
    if arguments.making.container.passes_through() && !arguments.attach.is_empty() {
        bail!("cannot specify --attach with --log-driver=passthrough: invalid argument");
    }
    let container = &arguments.making.container;
    if container.has_terminal() && container.interactive() && !stdin().is_terminal() {
        report::note(
            "The input device is not a TTY. The --tty and --interactive flags might not work properly",
        );
    }
    let mut ends = arguments.ends()?;
    let descriptors = arguments.descriptors.numbers()?;
    if container.runs_before_others() {
        bail!("--init-ctr is of create: such a container runs when its pod is started");
    }
    let containers = context.containers()?;
    let made = arguments.making.make(&containers, context)?;
    let mut how = notify::options(!arguments.detach, relay::size());
    if !descriptors.is_empty() {
        if how.listens {
            report::note("Ignoring LISTEN_FDS to preserve custom user-specified FDs");
        }
        (how.descriptors, how.listens) = (descriptors, false);
    }
    let attached = match containers.start_with(&made, &how) {
        Ok(attached) => attached,
        Err(error) => return Ok(ended::not_started(error)),
    };
    notify::started(&containers, &made)?;
    let Some(attached) = attached else {
        // What passes through has the output for itself.
        if !made.passes_through() {
            output::line(made.id())?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    ends.input &= !made.passes_through();
    if !ends.output && !ends.error {
        // Of what it prints nothing is seen here; podman prints the ID then.
        output::line(made.id())?;
    }
    let code = finish(&containers, &made, relay_to(&attached, ends, keys)?)?;
    if arguments.rmi && !made.config.image_id.is_empty() {
        let images = containers.images();
        // Only the name goes that was said, where there are others, as with rmi.
        let removed = images
            .find(arguments.making.image())
            .and_then(|found| images.remove(&found, cask_engine::Removal::default()));
        if let Err(error) = removed {
            report::note(&format!("failed removing image: {}", error_text(&error)));
        }
    }
    Ok(code)
}

/// What follows from how being attached ended.
pub(super) fn finish(
    containers: &Containers,
    container: &Container,
    end: RelayEnd,
) -> Result<ExitCode> {
    Ok(match end {
        RelayEnd::Exited(code) => ended::code(code),
        RelayEnd::Detached => ExitCode::SUCCESS,
        RelayEnd::Lost => ended::code(containers.wait(container).unwrap_or(137)),
    })
}

impl Arguments {
    fn ends(&self) -> Result<Ends> {
        let interactive = self.making.container.interactive();
        let signals = self.sig_proxy.unwrap_or(true);
        if self.attach.is_empty() {
            return Ok(Ends { input: interactive, output: true, error: true, signals });
        }
        let mut ends = Ends { input: interactive, output: false, error: false, signals };
        for stream in &self.attach {
            match stream.to_ascii_lowercase().as_str() {
                "stdin" => ends.input = true,
                "stdout" => ends.output = true,
                "stderr" => ends.error = true,
                _ => bail!(
                    "invalid stream {stream:?} for --attach - must be one of stdin, stdout, or stderr"
                ),
            }
        }
        Ok(ends)
    }
}
