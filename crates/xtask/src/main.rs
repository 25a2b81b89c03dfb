#![doc = include_str!("../README.md")]

mod bench;
mod cli;
mod console;
mod demo;
mod process;
mod test;
mod workspace;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::error(&error);
            ExitCode::FAILURE
        }
    }
}
