//! `cooper mount`

use anyhow::{Context as _, Result, bail};
use cask_program::output;
use cask_terminal::output::Output;
use cask_terminal::value::JsonStyle;
use clap::Args;
use serde::Serialize;

use super::remove::Failures;
use crate::context::Context;

/// Mount the files of working containers, and print where; without a container, list what is mounted
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The containers
    containers: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Cut nothing off; nothing is
    #[arg(long, hide = true)]
    notruncate: bool,
}

#[derive(Serialize)]
struct Mounted {
    #[serde(skip_serializing_if = "String::is_empty")]
    container: String,
    #[serde(rename = "mountPoint")]
    mount_point: String,
}

/// Mounts.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let containers = context.containers()?;
    let mut mounted = Vec::new();
    let mut failures = Failures::default();
    if arguments.containers.is_empty() {
        for container in containers.list().context("reading build containers")? {
            if let Some(path) = container.mounted_at()? {
                let container = container.name().to_owned();
                mounted.push(Mounted { container, mount_point: path.display().to_string() });
            }
        }
        return print(&mounted, arguments.json);
    }
    refuse_without_namespace(&containers)?;
    let is_one = arguments.containers.len() == 1;
    for name in &arguments.containers {
        let path = containers
            .find(name)
            .with_context(|| format!("reading build container {name:?}"))
            .and_then(|mut container| Ok(container.mount()?));
        match path {
            Ok(path) => mounted.push(Mounted {
                container: if is_one { String::new() } else { name.clone() },
                mount_point: path.display().to_string(),
            }),
            Err(error) => failures.add(error),
        }
    }
    if !mounted.is_empty() {
        print(&mounted, arguments.json)?;
    }
    failures.finish()
}

/// Refuses a mount that would be gone with the program.
fn refuse_without_namespace(containers: &cask_build::WorkingContainers) -> Result<()> {
    let driver = containers.store().driver();
    if driver == cask_storage::DriverKind::Vfs || rustix::process::getuid().is_root() {
        return Ok(());
    }
    bail!(
        "cannot mount using driver {driver} in rootless mode. You need to run it in a `cooper unshare` session"
    )
}

fn print(mounted: &[Mounted], json: bool) -> Result<()> {
    if json {
        let mut output = Output::stdout();
        match mounted.is_empty() {
            // As Go prints a list that was never made.
            true => output.json(&None::<()>, JsonStyle::indented(4))?,
            false => output.json(mounted, JsonStyle::indented(4))?,
        }
        return Ok(output.finish()?);
    }
    let line = |mount: &Mounted| match mount.container.as_str() {
        "" => format!("{}\n", mount.mount_point),
        container => format!("{container} {}\n", mount.mount_point),
    };
    output::bytes(mounted.iter().map(line).collect::<String>().as_bytes())
}
