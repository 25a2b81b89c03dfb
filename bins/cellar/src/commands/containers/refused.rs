//! Commands of podman's that are not here, and what to do instead: they are refused by name, not taken for a slip.

use std::process::ExitCode;

use anyhow::{Result, bail};
use cask_program::refused::Words;
use clap::Subcommand;

/// Those that stand alone.
#[derive(Debug, Subcommand)]
pub(crate) enum Alone {
    #[command(hide = true)]
    AutoUpdate(Words),
    #[command(hide = true)]
    Compose(Words),
    #[command(hide = true)]
    Farm(Words),
    #[command(hide = true)]
    Generate(Words),
    #[command(hide = true)]
    Kube(Words),
    #[command(hide = true)]
    Machine(Words),
    #[command(hide = true)]
    Play(Words),
    #[command(hide = true)]
    Quadlet(Words),
}

/// Those behind `container`.
#[derive(Debug, Subcommand)]
pub(crate) enum OfContainer {
    #[command(hide = true)]
    Checkpoint(Words),
    #[command(hide = true)]
    Cleanup(Words),
    #[command(hide = true)]
    Restore(Words),
}

/// Says that there is none such.
pub(crate) fn alone(command: &Alone) -> Result<ExitCode> {
    refuse(match command {
        Alone::AutoUpdate(_) => ("auto-update", "use pull and run --replace"),
        Alone::Compose(_) => {
            ("compose", "podman-compose does it, with a link to this program that is called podman")
        }
        Alone::Farm(_) => {
            ("farm", "builds are of this machine; build --platform makes images for others")
        }
        Alone::Generate(_) => ("generate", "units and specifications are not written"),
        Alone::Kube(_) => {
            ("kube", "specifications of Kubernetes are not read; use pod create and run --pod")
        }
        Alone::Machine(_) => ("machine", "containers run on this machine"),
        Alone::Play(_) => {
            ("play", "specifications of Kubernetes are not read; use pod create and run --pod")
        }
        Alone::Quadlet(_) => {
            ("quadlet", "units are not written; a unit of systemd runs run --sdnotify")
        }
    })
}

/// Says that there is none such.
pub(crate) fn of_container(command: &OfContainer) -> Result<ExitCode> {
    refuse(match command {
        OfContainer::Checkpoint(_) => {
            ("container checkpoint", "processes are not frozen into files")
        }
        OfContainer::Cleanup(_) => (
            "container cleanup",
            "its monitor tidies up after a container; rm --force does after both",
        ),
        OfContainer::Restore(_) => ("container restore", "processes are not frozen into files"),
    })
}

/// Fails with what there is instead.
pub(crate) fn refuse((name, instead): (&str, &str)) -> Result<ExitCode> {
    bail!("cellar has no command {name:?}: {instead}")
}
