//! `cooper`: builds images from Containerfiles.

mod cli;
mod commands;
mod run;
mod source;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::main()
}
