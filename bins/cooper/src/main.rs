//! `cooper`: builds images from Containerfiles.

mod cli;
mod commands;
mod context;
mod run;
mod show;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::main()
}
