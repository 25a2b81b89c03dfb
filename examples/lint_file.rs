//! Lints a Containerfile.
//!
//! `cargo run -p examples --example lint_file -- Containerfile`

use std::error::Error;

use cask_containerfile::{LintOptions, RenderedFile, lint, parse, render_text};

/// What is wrong with a file, and what could be better, for people.
pub fn lint_file(name: &str, source: &str) -> String {
    let parsed = parse(source);
    let mut diagnostics = parsed.diagnostics;
    diagnostics.extend(lint(&parsed.tree, &LintOptions::default()).diagnostics);
    render_text(&RenderedFile { name, source, diagnostics: &diagnostics })
}

#[allow(dead_code, reason = "the tests call the function above")]
#[allow(clippy::print_stdout, reason = "an example may print")]
fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: lint_file FILE")?;
    print!("{}", lint_file(&path, &std::fs::read_to_string(&path)?));
    Ok(())
}
