//! Prints the stages of a Containerfile, and what each of them needs.
//!
//! `cargo run -p examples --example print_stages -- Containerfile`

use std::error::Error;
use std::fmt::Write as _;

use cask_containerfile::{Graph, Resolved, parse};

/// One line for each stage; those that the last one does not need are marked.
pub fn print_stages(source: &str) -> String {
    let parsed = parse(source);
    let stages = parsed.tree.stages();
    let graph = Graph::new(&stages, |stage| stage.from.image.text.to_string());
    let needed = graph.target(None).map(|last| graph.needed_for(last)).unwrap_or_default();
    let mut text = String::new();
    for (index, stage) in graph.stages.iter().enumerate() {
        let needs = stage.dependencies.iter().map(|dependency| match &dependency.on {
            Resolved::Stage(on) => graph.stages[*on].label(*on),
            Resolved::Image(name) => name.clone(),
            _ => "scratch".to_owned(),
        });
        let needs = needs.collect::<Vec<_>>().join(", ");
        let mark = if needed.contains(&index) { "" } else { " (not needed)" };
        let _ = writeln!(text, "{}: {needs}{mark}", stage.label(index));
    }
    text
}

#[allow(dead_code, reason = "the tests call the function above")]
#[allow(clippy::print_stdout, reason = "an example may print")]
fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: print_stages FILE")?;
    print!("{}", print_stages(&std::fs::read_to_string(path)?));
    Ok(())
}
