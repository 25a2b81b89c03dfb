//! `cooper graph`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use cask_containerfile::{
    ExpandOptions, GlobalScope, Graph, Lines, Outline, OutlinedId, PlatformArguments, RenderedFile,
    Resolved, Severity, Tree, parse, render_text,
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
    /// The stages and what the comments above them say, as `docker build --call=targets`
    Targets,
    /// What a build of the target can be given, as `docker build --call=outline`
    Outline,
    /// JSON, with everything of the other formats
    Json,
}

#[derive(Serialize)]
struct Shown {
    stages: Vec<Stage>,
    target: usize,
    outline: Outlined,
}

/// What the target can be given.
#[derive(Serialize)]
struct Outlined {
    arguments: Vec<Argument>,
    secrets: Vec<Named>,
    ssh: Vec<Named>,
}

#[derive(Serialize)]
struct Argument {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    line: usize,
}

#[derive(Serialize)]
struct Named {
    id: String,
    required: bool,
    line: usize,
}

#[derive(Serialize)]
struct Stage {
    index: usize,
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
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
    let (graph, scope) = graph(&parsed.tree, arguments)?;
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
        Format::Targets => output::bytes(containerfile::targets(&parsed.tree, target).as_bytes())?,
        Format::Outline => {
            let outline = Outline::new(&parsed.tree, &graph, &scope, target);
            output::bytes(outline.to_text().as_bytes())?;
        }
        Format::Json => {
            let outline = Outline::new(&parsed.tree, &graph, &scope, target);
            output::json(&shown(&graph, &parsed.tree, &outline, target))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn graph(tree: &Tree, arguments: &Arguments) -> Result<(Graph, GlobalScope)> {
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
    Ok((Graph::expanded(&stages, &scope, &options), scope))
}

fn shown(graph: &Graph, tree: &Tree, outline: &Outline, target: usize) -> Shown {
    let lines = tree.lines();
    let needed = graph.needed_for(target);
    let descriptions = containerfile::descriptions(tree);
    let stages = graph.stages.iter().zip(descriptions).enumerate();
    let stages = stages.map(|(index, (stage, description))| Stage {
        index,
        name: stage.name.clone(),
        description,
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
    Shown { stages: stages.collect(), target, outline: outlined(outline, lines) }
}

fn outlined(outline: &Outline, lines: &Lines) -> Outlined {
    let arguments = outline.arguments.iter().map(|argument| Argument {
        name: argument.name.clone(),
        value: argument.value.clone(),
        description: argument.description.clone(),
        line: lines.line(argument.span.start()),
    });
    let named = |all: &[OutlinedId]| -> Vec<Named> {
        let all = all.iter().map(|one| Named {
            id: one.id.clone(),
            required: one.is_required,
            line: lines.line(one.span.start()),
        });
        all.collect()
    };
    Outlined {
        arguments: arguments.collect(),
        secrets: named(&outline.secrets),
        ssh: named(&outline.ssh),
    }
}
