//! `cellar export`

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::context::Context;

/// Write all files of a container as a tarball
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
    /// Write it to this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes it.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    let [name] = arguments.names.as_slice() else {
        bail!("accepts 1 arg(s), received {}", arguments.names.len());
    };
    if arguments.output.is_none() && io::stdout().is_terminal() {
        bail!("refusing to export to terminal. Use -o flag or redirect");
    }
    let containers = context.containers()?;
    let container = containers.find(name)?;
    match &arguments.output {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("open {}", path.display()))?;
            let mut file = containers.export(&container, io::BufWriter::new(file))?;
            file.flush().with_context(|| format!("writing {}", path.display()))?;
        }
        None => to_stdout(|output| containers.export(&container, output).map(drop))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes to standard output; that nobody reads any more is no error.
pub(super) fn to_stdout(
    write: impl FnOnce(&mut dyn io::Write) -> cask_engine::Result<()>,
) -> Result<()> {
    let mut output = io::BufWriter::new(io::stdout().lock());
    let broken = |error: &(dyn std::error::Error + 'static)| {
        error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    match write(&mut output) {
        Ok(()) => match output.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.context("writing to standard output"),
        },
        Err(error) => {
            let error = anyhow::Error::from(error);
            if error.chain().any(broken) { Ok(()) } else { Err(error) }
        }
    }
}
