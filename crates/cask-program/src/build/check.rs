//! `--check` and `--call`: what is said about the Containerfile, and nothing is built.

use anyhow::{Context as _, Result, anyhow, bail};
use cask::image::PlatformWanted;
use cask_build::BuildFile;
use cask_containerfile::{
    Checks, Code, Diagnostic, ExpandOptions, GlobalScope, Graph, LintOptions, Outline,
    PlatformArguments, RenderedFile, Tree, lint, render_text,
};

use super::arguments::{Arguments, Method};
use super::inputs::Inputs;
use crate::containerfile::{self, build_arguments};
use crate::{output, report};

/// Tells what is asked for; gives whether that is a failure.
pub(super) fn tell(method: Method, inputs: &Inputs, arguments: &Arguments) -> Result<bool> {
    let (Method::Outline | Method::Targets) = method else { return check(inputs, arguments) };
    let [BuildFile { tree, .. }] = inputs.files.as_slice() else {
        bail!("--call takes one Containerfile: leave the other -f out")
    };
    let (graph, scope) = graph(tree, arguments)?;
    let target = graph.target(arguments.input.target.as_deref());
    let target = target.map_err(|diagnostic| anyhow!("{}", diagnostic.message))?;
    match method {
        Method::Targets => output::bytes(containerfile::targets(tree, target).as_bytes())?,
        _ => output::bytes(Outline::new(tree, &graph, &scope, target).to_text().as_bytes())?,
    }
    Ok(false)
}

fn graph(tree: &Tree, arguments: &Arguments) -> Result<(Graph, GlobalScope)> {
    let build = PlatformWanted::of_this_build().to_string();
    let target = super::request::platforms(&arguments.input)?.first().map(ToString::to_string);
    let stage = arguments.input.target.as_deref().unwrap_or("default");
    let platforms = PlatformArguments::new(&build, target.as_deref().unwrap_or(&build), stage);
    let given = super::request::arguments_of_build(&arguments.input)?;
    let mut options = ExpandOptions::default();
    (options.dialect, options.escape) = (arguments.image.dialect(), tree.escape());
    let stages = tree.stages();
    let scope = GlobalScope::of_stages(&stages, &platforms, given, &options);
    Ok((Graph::expanded(&stages, &scope, &options), scope))
}

/// Shows what is found; tells whether the check fails, as BuildKit's does.
fn check(inputs: &Inputs, arguments: &Arguments) -> Result<bool> {
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
