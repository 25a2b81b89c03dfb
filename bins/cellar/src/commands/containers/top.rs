//! `cellar top`

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use cask_engine::{ErrorKind, ExecOptions, TOP_FIELDS, parse_top_fields};
use cask_program::output;
use cask_terminal::table::Layout;
use clap::Args;

use super::{ended, several};
use crate::context::Context;

/// Print the processes of a container
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container, and what is told of each process: user, pid, args …, or arguments of its own ps
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CONTAINER FIELD")]
    words: Vec<String>,
    /// Of the container that was made last
    #[arg(short, long)]
    latest: bool,
}

/// Prints them.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let containers = context.containers()?;
    let (name, wanted) = match arguments.words.split_first() {
        _ if arguments.latest => (None, arguments.words.as_slice()),
        Some((name, wanted)) => (Some(name.as_str()), wanted),
        None => bail!("you must provide the name or id of a running container"),
    };
    let container = several::one(&containers, name, arguments.latest)?;
    let words: Vec<&str> = match wanted {
        [] => TOP_FIELDS.to_vec(),
        given => given.iter().map(String::as_str).collect(),
    };
    let fields = match parse_top_fields(&words) {
        Ok(fields) => fields,
        // Then they are arguments of a program in the container.
        Err(error) => {
            let mut options = ExecOptions::default();
            options.command = std::iter::once("ps").chain(words).map(ToOwned::to_owned).collect();
            let started = containers.exec(&container, &options).and_then(|made| Ok(made.start()?));
            return match started {
                Ok(running) => {
                    let report = running.wait()?;
                    Ok(ended::code(i32::from(report.status.shell_status())))
                }
                Err(failed) if failed.kind() == ErrorKind::CommandNotFound => {
                    Err(anyhow::Error::from(failed)).context(error.to_string())
                }
                Err(failed) => Err(failed.into()),
            };
        }
    };
    let rows = match containers.top(&container, &fields) {
        Err(error) if error.kind() == ErrorKind::StateImproper => {
            bail!("top can only be used on running containers")
        }
        other => other?,
    };
    let headers = fields.iter().map(|field| field.header().to_owned()).collect();
    let lines = std::iter::once(headers).chain(rows);
    let text: String = lines.map(|row: Vec<String>| row.join("\t") + "\n").collect();
    let aligned = cask_terminal::table::align(text.as_bytes(), Layout::PODMAN);
    output::bytes(&aligned)?;
    Ok(ExitCode::SUCCESS)
}
