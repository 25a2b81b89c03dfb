//! `cooper graph`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use cask_containerfile::{
    ExpandOptions, GlobalScope, Graph, Lines, PlatformArguments, RenderedFile, Resolved, Severity,
    Tree, parse, render_text,
};
use cask_image::PlatformWanted;
use cask_program::containerfile::{self, Source};
use cask_program::{output, report};
use clap::{Args, ValueEnum};
use serde::Serialize;

/// Show the stages of a Containerfile, and what each of them needs
///
/// Exits with 1 if the file has errors.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The context of the build
    #[arg(default_value = ".")]
    context: PathBuf,
    /// The Containerfile, or `-` for standard input [default: Containerfile or Dockerfile of the
    /// context]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Mark what this stage does not need [default: the last stage]
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// How to show it
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Give an ARG this value, or the environment's
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
    /// Build for this platform [default: this machine's]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
}

/// How a graph is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A list
    #[default]
    Text,
    /// The language of Graphviz
    Dot,
    /// The language of Mermaid
    Mermaid,
    /// JSON
    Json,
}

#[derive(Serialize)]
struct Shown {
    stages: Vec<Stage>,
    target: usize,
}

#[derive(Serialize)]
struct Stage {
    index: usize,
    name: Option<String>,
    base: String,
    line: usize,
    needed: bool,
    dependencies: Vec<Dependency>,
}

#[derive(Serialize)]
struct Dependency {
    link: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    line: usize,
}

/// Shows.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let files: Vec<PathBuf> = arguments.file.iter().cloned().collect();
    let sources = containerfile::read_all(&files, Some(&arguments.context))?;
    let source = sources.first().context("there is a file")?;
    let parsed = parse(&source.text);
    let graph = graph(&parsed.tree, arguments)?;
    let mut errors = parsed.diagnostics;
    errors.extend(graph.diagnostics.iter().cloned());
    let target = match graph.target(arguments.target.as_deref()) {
        Ok(target) => target,
        Err(error) => {
            errors.push(error);
            0
        }
    };
    errors.retain(|found| found.severity == Severity::Error);
    if !errors.is_empty() {
        let Source { name, text, .. } = source;
        let file = RenderedFile { name, source: text, diagnostics: &errors };
        report::say(render_text(&file).trim_end());
        return Ok(ExitCode::FAILURE);
    }
    match arguments.format {
        Format::Text => output::bytes(graph.to_text(Some(target)).as_bytes())?,
        Format::Dot => output::bytes(graph.to_dot(Some(target)).as_bytes())?,
        Format::Mermaid => output::bytes(graph.to_mermaid(Some(target)).as_bytes())?,
        Format::Json => output::json(&shown(&graph, &source.text, target))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn graph(tree: &Tree, arguments: &Arguments) -> Result<Graph> {
    let build = PlatformWanted::of_this_build().to_string();
    let target = match &arguments.platform {
        Some(platform) => PlatformWanted::parse(platform).context("--platform")?.to_string(),
        None => build.clone(),
    };
    let stage = arguments.target.as_deref().unwrap_or("default");
    let platforms = PlatformArguments::new(&build, &target, stage);
    let given = containerfile::build_arguments(&arguments.build_arg)?;
    let mut options = ExpandOptions::default();
    options.escape = tree.escape();
    let stages = tree.stages();
    let scope = GlobalScope::of_stages(&stages, &platforms, given, &options);
    Ok(Graph::expanded(&stages, &scope, &options))
}

fn shown(graph: &Graph, text: &str, target: usize) -> Shown {
    let lines = Lines::new(text);
    let needed = graph.needed_for(target);
    let stages = graph.stages.iter().enumerate().map(|(index, stage)| Stage {
        index,
        name: stage.name.clone(),
        base: stage.base.clone(),
        line: lines.line(stage.span.start()),
        needed: needed.contains(&index),
        dependencies: stage
            .dependencies
            .iter()
            .map(|dependency| Dependency {
                link: dependency.link.as_str(),
                stage: match &dependency.on {
                    Resolved::Stage(index) => Some(*index),
                    _ => None,
                },
                image: match &dependency.on {
                    Resolved::Image(name) => Some(name.clone()),
                    _ => None,
                },
                line: lines.line(dependency.span.start()),
            })
            .collect(),
    });
    Shown { stages: stages.collect(), target }
}
