//! Names every base image of a Containerfile by a digest, and changes nothing else.
//!
//! `cargo run -p examples --example pin_bases -- Containerfile alpine:3.20=sha256:…`

use std::collections::BTreeMap;
use std::error::Error;

use cask_containerfile::{Edit, Graph, Link, Resolved, apply, parse};

/// Appends the digest that `digests` has for an image to each place where FROM names it.
///
/// The digests may come from a registry: see the example `inspect_image`.
pub fn pin_bases(
    source: &str,
    digests: &BTreeMap<String, String>,
) -> Result<String, Box<dyn Error>> {
    let parsed = parse(source);
    if let Some(error) = parsed.diagnostics.first().filter(|_| parsed.has_errors()) {
        return Err(error.to_string().into());
    }
    let stages = parsed.tree.stages();
    // The graph knows which names are those of stages.
    let graph = Graph::new(&stages, |stage| stage.from.image.text.to_string());
    let mut edits = Vec::new();
    for dependency in graph.stages.iter().flat_map(|stage| &stage.dependencies) {
        let Resolved::Image(name) = &dependency.on else { continue };
        if let (Link::From, Some(digest)) = (dependency.link, digests.get(name)) {
            edits.push(Edit::new(dependency.span, format!("{name}@{digest}")));
        }
    }
    apply(source, &edits).ok_or_else(|| "two edits overlap".into())
}

#[allow(dead_code, reason = "the tests call the function above")]
#[allow(clippy::print_stdout, reason = "an example may print")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: pin_bases FILE IMAGE=DIGEST...")?;
    let pair = |text: String| text.split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned()));
    let digests = arguments.filter_map(pair).collect();
    print!("{}", pin_bases(&std::fs::read_to_string(path)?, &digests)?);
    Ok(())
}
