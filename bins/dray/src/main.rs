//! `dray`: copies, inspects, lists and deletes container images, anywhere to anywhere.

mod background;
mod cli;
mod commands;
mod context;
mod options;
mod output;
mod prompt;
mod report;
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::main()
}
