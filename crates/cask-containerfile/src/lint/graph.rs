//! What the stages need of each other.

use super::{Linter, from};
use crate::expand::BuildArguments;
use crate::graph::Graph;
use crate::span::Span;
use crate::stages::Stages;

/// Tells of stages that need each other in a circle, and finds those that the target does not need.
pub(super) fn check(linter: &mut Linter<'_>) {
    let stages = linter.tree.stages();
    if stages.stages.is_empty() {
        return;
    }
    let arguments: BuildArguments = linter.options.arguments.clone();
    let scope = from::globals(linter, &stages, arguments);
    let graph = Graph::expanded(&stages, &scope, &linter.expand_options());
    let mut found = graph.diagnostics.clone();
    if let Some(target) = &linter.options.target {
        match graph.target(Some(target)) {
            Ok(target) => {
                linter.left_out = left_out(linter, &stages, &graph.needed_for(target));
                found.retain(|one| !linter.left_out.iter().any(|s| s.contains(one.span.start())));
            }
            Err(error) => found.push(error),
        }
    }
    found.into_iter().for_each(|one| linter.found.push(one));
}

/// The stages that are not needed, each from its FROM to the next one.
fn left_out(linter: &Linter<'_>, stages: &Stages<'_>, needed: &[usize]) -> Vec<Span> {
    let start = |index: usize| stages.stages.get(index).map(|stage| stage.statement.head().start());
    let end = linter.tree.source().len();
    let is_unneeded = |index: &usize| needed.binary_search(index).is_err();
    let spans = (0..stages.stages.len())
        .filter(is_unneeded)
        .filter_map(|index| Some(Span::new(start(index)?, start(index + 1).unwrap_or(end))));
    spans.collect()
}
