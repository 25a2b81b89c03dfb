//! Commands of podman's for images and the store that are not here: they are refused by name.

use std::process::ExitCode;

use anyhow::Result;
use cask_program::refused::{NO_SIGNING, RefusedFlag, RefusedFlags, Words};
use clap::Subcommand;

use super::containers::refuse;

/// Those behind `image`.
#[derive(Debug, Subcommand)]
pub(crate) enum OfImage {
    #[command(hide = true)]
    Sign(Words),
}

/// Those behind `system`.
#[derive(Debug, Subcommand)]
pub(crate) enum OfSystem {
    #[command(hide = true)]
    Connection(Words),
    #[command(hide = true)]
    Renumber(Words),
    #[command(hide = true)]
    Service(Words),
}

const NO_SERVICE: &str = "there is no service, here or on other machines; run this program there";

/// Options of all commands.
pub(crate) struct OfAll;

impl RefusedFlags for OfAll {
    const FLAGS: &'static [RefusedFlag] = &[
        ("conmon", &[], "containers are watched by this program"),
        ("connection|c", &[], NO_SERVICE),
        ("identity", &[], NO_SERVICE),
        ("namespace", &[""], "use another --root"),
        ("network-cmd-path", &[], "put the program into PATH"),
        ("remote|r", &["false"], NO_SERVICE),
        ("ssh", &[], NO_SERVICE),
        ("tls-ca", &[], NO_SERVICE),
        ("tls-cert", &[], NO_SERVICE),
        ("tls-details", &[], "what TLS accepts is not chosen"),
        ("tls-key", &[], NO_SERVICE),
        ("url", &[], NO_SERVICE),
    ];

    fn is_global(name: &str) -> bool {
        // Commands have these themselves.
        !matches!(name, "namespace" | "ssh")
    }
}

/// Says that there is none such.
pub(crate) fn of_image(command: &OfImage) -> Result<ExitCode> {
    match command {
        OfImage::Sign(_) => refuse(("image sign", NO_SIGNING)),
    }
}

/// Says that there is none such.
pub(crate) fn of_system(command: &OfSystem) -> Result<ExitCode> {
    refuse(match command {
        OfSystem::Connection(_) => ("system connection", NO_SERVICE),
        OfSystem::Renumber(_) => {
            ("system renumber", "containers are locked by files, which have no numbers")
        }
        OfSystem::Service(_) => ("system service", NO_SERVICE),
    })
}
