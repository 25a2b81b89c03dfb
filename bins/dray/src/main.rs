//! `dray`: copies, inspects, lists and deletes container images, anywhere to anywhere.

mod cli;
mod commands;
mod context;
mod options;
mod run;
mod synced;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::main()
}
