//! What starts the commands of the tests, as a program does that embeds the builder.

fn main() {
    std::process::exit(cask_runtime::run_helper().into());
}
