//! `--check`: what the rules say about the Containerfile, and nothing is built.

use anyhow::{Context as _, Result};
use cask_build::BuildFile;
use cask_containerfile::{Checks, Code, Diagnostic, LintOptions, RenderedFile, lint, render_text};

use super::arguments::Arguments;
use super::inputs::Inputs;
use crate::containerfile::build_arguments;
use crate::{output, report};

/// Shows what is found; tells whether the check fails, as BuildKit's does.
pub(super) fn check(inputs: &Inputs, arguments: &Arguments) -> Result<bool> {
    let mut options = LintOptions::default();
    options.ignore = inputs.sources.context.ignore_rules();
    options.arguments = build_arguments(&arguments.input.build_arg)?;
    let given = options.arguments.get("BUILDKIT_DOCKERFILE_CHECK").map(|text| Checks::parse(text));
    options.checks =
        given.transpose().context("--build-arg BUILDKIT_DOCKERFILE_CHECK")?.unwrap_or_default();
    options.target.clone_from(&arguments.input.target);
    let (mut count, mut fails) = (0, false);
    for BuildFile { name, tree, .. } in &inputs.files {
        let found = lint(tree, &options);
        fails |= found.is_failure || found.diagnostics.iter().any(is_buildkits);
        count += found.diagnostics.len();
        let file = RenderedFile { name, source: tree.source(), diagnostics: &found.diagnostics };
        output::bytes(render_text(&file).as_bytes())?;
    }
    report::say(&match count {
        0 => "Check complete, no warnings found.".to_owned(),
        1 => "Check complete, 1 warning has been found!".to_owned(),
        count => format!("Check complete, {count} warnings have been found!"),
    });
    Ok(fails)
}

fn is_buildkits(found: &Diagnostic) -> bool {
    matches!(found.code, Code::Lint(rule) if rule.is_buildkit())
}
