//! What can be typed after `cargo xtask`.

use clap::{Parser, Subcommand};

use crate::bench::{self, BenchOptions};
use crate::test::{self, TestOptions};

#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", about = "Repository chores", version = None)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks everything: format, lints, licences, every test
    Test(TestOptions),
    /// Measures our programs beside their peers and beside plain tools; asserts nothing
    Bench(BenchOptions),
}

/// Parses the command line and does what it says. Usage errors end the process with code 2.
pub(crate) fn run() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Test(options) => test::run(&options),
        Command::Bench(options) => bench::run(&options),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
