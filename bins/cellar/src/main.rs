//! `cellar`: keeps container images, in podman's own store.

mod cli;
mod commands;
mod context;
mod moment;
mod run;
mod show;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::main()
}
