//! What can be typed after `cargo xtask`.

use clap::{Parser, Subcommand};

use crate::bench::{self, BenchOptions};
use crate::demo;
use crate::test::{self, NoteOptions, TestOptions};

#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", about = "Repository chores", version = None)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks everything: format, lints, licences, every test
    ///
    /// Installs the packages of Debian that hold the programs tests compare with (needs root), then runs cargo fmt,
    /// clippy, cargo deny where it is installed, and cargo test with doc tests. Goes on after a step that failed, and
    /// fails in the end. Prints the time of each step and the results of cargo test, which are also kept in
    /// target/xtask/test.txt.
    ///
    /// Tests read tables of cases in the folder that the environment variable CASK_CASES names. Without it those
    /// tests pass without reading any, unless CI is set: then they fail.
    Test(TestOptions),
    /// Takes an image through every place and back; needs no network
    ///
    /// Makes an image of this machine's own shell and tools, copies it from an archive to a layout, to an archive of a
    /// layout, to plain files, back to a layout, to zstd, and to an archive again; pushes it to a registry of our own,
    /// pulls it into a layout and into a store of its own, lists and mounts it there, and saves it. Validates each and
    /// prints what came out. What was made is in target/demo.
    Demo,
    /// Measures our programs beside their peers and beside plain tools; asserts nothing
    ///
    /// Each row is one job, done by our program, by the peer, and by the least of plain tools that the job needs.
    /// After a warm-up they take turns. Prints medians of wall time, CPU time, peak memory and bytes written, with
    /// the ratios, and writes them to target/bench/latest.md, and every run to target/bench/latest.json.
    ///
    /// Images are made once, below target/corpus, with debootstrap and apt from the machine's own mirror; that needs
    /// root, some minutes, and 6 GB.
    Bench(BenchOptions),
    /// What cargo calls instead of a program of tests, where it is asked which there are
    #[command(hide = true)]
    Note(NoteOptions),
}

/// Parses the command line and does what it says. Usage errors end the process with code 2.
pub(crate) fn run() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Test(options) => test::run(&options),
        Command::Demo => demo::run(),
        Command::Bench(options) => bench::run(&options),
        Command::Note(options) => test::note(options),
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
