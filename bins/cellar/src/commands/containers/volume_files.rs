//! `cellar volume export` and `cellar volume import`

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use cask_engine::{Containers, Volume, VolumeImportOptions};
use cask_program::{report, rootless};
use clap::Args;

use super::export::to_stdout;
use crate::context::Context;

/// Write the files of a volume as a tarball
#[derive(Args, Debug)]
pub(crate) struct ExportArguments {
    /// The volume
    name: String,
    /// Write it to this file [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Put the files of a tarball into a volume, over those that are there
#[derive(Args, Debug)]
pub(crate) struct ImportArguments {
    /// The volume
    name: String,
    /// The tarball, compressed or not; - is standard input
    source: PathBuf,
}

/// A volume that is mounted as long as this lives, where it has something to mount and nobody else uses it.
struct Mounted<'a>(&'a Containers, Option<&'a Volume>);

impl<'a> Mounted<'a> {
    fn new(containers: &'a Containers, volume: &'a Volume) -> Result<Self> {
        if containers.volumes().uses(volume) > 0 {
            return Ok(Self(containers, None));
        }
        containers.mount_volume(volume)?;
        Ok(Self(containers, Some(volume)))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        if let Some(volume) = self.1 {
            // It stays mounted then until somebody else uses or removes it.
            let _ = self.0.unmount_volume(volume);
        }
    }
}

/// Writes it.
pub(super) fn export(arguments: &ExportArguments, context: &Context) -> Result<ExitCode> {
    let containers = context.containers()?;
    let volumes = containers.volumes();
    let volume = volumes.find(&arguments.name)?;
    let _mounted = Mounted::new(&containers, &volume)?;
    match arguments.output.as_deref() {
        Some(path) if path != Path::new("/dev/stdout") => {
            let file = File::create(path).with_context(|| format!("open {}", path.display()))?;
            let (mut file, left_out) = volumes.export(&volume, io::BufWriter::new(file))?;
            warn(&left_out);
            file.flush().with_context(|| format!("writing {}", path.display()))?;
        }
        _ if io::stdout().is_terminal() => {
            bail!("cannot write to terminal, use command-line redirection or the --output flag")
        }
        _ => to_stdout(|output| {
            volumes.export(&volume, output).map(|(_, left_out)| warn(&left_out))
        })?,
    }
    Ok(ExitCode::SUCCESS)
}

fn warn(left_out: &[PathBuf]) {
    for path in left_out {
        report::note(&format!(
            "{}: left out, as tarballs of layers cannot have it",
            path.display()
        ));
    }
}

/// Reads it.
pub(super) fn import(arguments: &ImportArguments, context: &Context) -> Result<ExitCode> {
    let containers = context.containers()?;
    let volumes = containers.volumes();
    let volume = volumes.find(&arguments.name)?;
    let _mounted = Mounted::new(&containers, &volume)?;
    let mut options = VolumeImportOptions::default();
    options.user_namespace = rootless::is_in_user_namespace();
    let path = &arguments.source;
    if path.as_os_str() == "-" {
        volumes.import(&volume, io::stdin().lock(), &options)?;
    } else {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        volumes.import(&volume, file, &options)?;
    }
    Ok(ExitCode::SUCCESS)
}
