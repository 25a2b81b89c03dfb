//! `cooper man`

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, CommandFactory as _};

use crate::cli::Cli;

/// Write the man pages, one for each command
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The directory to write them to
    directory: PathBuf,
}

/// Writes the pages.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let directory = &arguments.directory;
    std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), directory))
        .with_context(|| format!("writing man pages to {}", directory.display()))
}
