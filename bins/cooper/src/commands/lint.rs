//! `cooper lint`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use cask_build::{Context, IgnoreChoice};
use cask_containerfile::{
    Checks, Code, Diagnostic, LintOptions, RenderedFile, Rule, Severity, lint, parse, render_json,
    render_sarif, render_short, render_text,
};
use cask_image::PlatformWanted;
use cask_program::containerfile::{self, Source};
use cask_program::{output, report};
use clap::{Args, ValueEnum};

/// Check Containerfiles without building
///
/// Checks each file on its own, by BuildKit's rules and some more. Exits with 0 if there is nothing
/// to complain about, or only what rules beyond BuildKit's find; with 1 if there are errors, if one
/// of BuildKit's rules finds something, or if anything is found where the file says
/// `# check=error=true`; with 125 if a file cannot be checked.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The context of the build; its ignore file is taken into account [default: . if no file is named]
    context: Option<PathBuf>,
    /// Check this Containerfile, or `-` for standard input [default: Containerfile or Dockerfile of
    /// the context]
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// How to show what is found
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Print the page about a rule, and check nothing
    #[arg(long, value_name = "RULE", conflicts_with_all = ["file", "context"])]
    explain: Option<Rule>,
    /// Do not apply these rules, or `all`
    #[arg(long, value_name = "RULE,...", value_delimiter = ',')]
    skip: Vec<Which>,
    /// Apply these experimental rules, or `all`
    #[arg(long, value_name = "RULE,...", value_delimiter = ',')]
    experimental: Vec<Which>,
    /// Take everything that is found for an error, as `# check=error=true` does
    #[arg(long)]
    error: bool,
    /// Give an ARG this value, or the environment's
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
    /// Check only what this stage needs
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Check the build for this platform [default: this machine's]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    /// Take this ignore file instead of the context's
    #[arg(long, value_name = "FILE")]
    ignorefile: Option<PathBuf>,
}

/// How findings are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The line with carets under what is meant, notes and help
    #[default]
    Text,
    /// One line for each, as BuildKit prints them
    Short,
    /// A JSON array
    Json,
    /// SARIF, for code scanners
    Sarif,
}

/// A rule, or all of them.
#[derive(Clone, Copy, Debug)]
enum Which {
    All,
    One(Rule),
}

impl std::str::FromStr for Which {
    type Err = cask_containerfile::UnknownRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" { Ok(Self::All) } else { text.parse().map(Self::One) }
    }
}

/// A file, and what was found in it.
struct Checked {
    source: Source,
    found: Vec<Diagnostic>,
    fails: bool,
}

/// Checks.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if let Some(rule) = arguments.explain {
        return explain(rule).map(|()| ExitCode::SUCCESS);
    }
    let sources = containerfile::read_all(&arguments.file, arguments.context.as_deref())?;
    let checked = sources.into_iter().map(|source| check(source, arguments));
    let checked = checked.collect::<Result<Vec<_>>>()?;
    show(&checked, arguments.format)?;
    let fails = checked.iter().any(|file| file.fails);
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn explain(rule: Rule) -> Result<()> {
    let mut page = rule.explain().trim_end().to_owned();
    if let Some(url) = rule.url() {
        page += &format!("\n\n{url}");
    }
    output::line(&page)
}

fn check(source: Source, arguments: &Arguments) -> Result<Checked> {
    let is_default = arguments.file.is_empty() && arguments.context.is_none();
    let here = PathBuf::from(".");
    let context = arguments.context.as_ref().or(is_default.then_some(&here));
    let context = context.filter(|path| path.is_dir());
    let mut choice = IgnoreChoice::default();
    choice.file.clone_from(&arguments.ignorefile);
    choice.containerfile.clone_from(&source.path);
    let context = match (context, &choice.file) {
        (Some(context), _) => Some(Context::directory(context, &choice)?),
        (None, Some(_)) => Some(Context::directory(&here, &choice)?),
        (None, None) => None,
    };
    let mut options = LintOptions::default();
    options.ignore = context.as_ref().and_then(Context::ignore_rules);
    options.arguments = containerfile::build_arguments(&arguments.build_arg)?;
    options.checks = checks(arguments, options.arguments.get("BUILDKIT_DOCKERFILE_CHECK"))?;
    options.target.clone_from(&arguments.target);
    options.build_platform = Some(PlatformWanted::of_this_build().to_string());
    if let Some(platform) = &arguments.platform {
        let wanted = PlatformWanted::parse(platform).context("--platform")?;
        options.target_platform = Some(wanted.to_string());
    }
    let parsed = parse(&source.text);
    let report = lint(&parsed.tree, &options);
    let fails = report.is_failure || parsed.has_errors();
    let mut found = parsed.diagnostics;
    found.extend(report.diagnostics);
    found.sort_by_key(|one| one.span.start());
    let fails = fails || found.iter().any(fails_the_check);
    Ok(Checked { source, found, fails })
}

/// Whether BuildKit's check fails for it: the first 22 rules are BuildKit's.
fn fails_the_check(found: &Diagnostic) -> bool {
    matches!(found.code, Code::Lint(rule) if rule.is_buildkit())
}

fn checks(arguments: &Arguments, of_build: Option<&String>) -> Result<Checks> {
    let mut checks = match of_build {
        Some(text) => Checks::parse(text).context("--build-arg BUILDKIT_DOCKERFILE_CHECK")?,
        None => Checks::default(),
    };
    checks.is_error |= arguments.error;
    for which in &arguments.skip {
        match which {
            Which::All => checks.skips_all = true,
            Which::One(rule) => drop(checks.skipped.insert(*rule)),
        }
    }
    for which in &arguments.experimental {
        match which {
            Which::All => checks.is_experimental = true,
            Which::One(rule) => drop(checks.experimental.insert(*rule)),
        }
    }
    Ok(checks)
}

fn show(checked: &[Checked], format: Format) -> Result<()> {
    let files = checked.iter().map(|file| RenderedFile {
        name: &file.source.name,
        source: &file.source.text,
        diagnostics: &file.found,
    });
    let files: Vec<RenderedFile<'_>> = files.collect();
    let shown = match format {
        Format::Text => {
            let texts = files.iter().map(render_text).filter(|text| !text.is_empty());
            texts.collect::<Vec<_>>().join("\n")
        }
        Format::Short => files.iter().map(render_short).collect(),
        Format::Json => render_json(&files),
        Format::Sarif => render_sarif(&files, "cooper", env!("CARGO_PKG_VERSION")),
    };
    output::bytes(shown.as_bytes())?;
    if matches!(format, Format::Text | Format::Short) {
        report::say(&summary(checked));
    }
    Ok(())
}

/// The words are BuildKit's where there is nothing.
fn summary(checked: &[Checked]) -> String {
    let count = |severity| {
        checked.iter().flat_map(|file| &file.found).filter(|one| one.severity == severity).count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let named = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        count => Some(format!("{count} {what}s")),
    };
    let parts = [named(errors, "error"), named(warnings, "warning")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match parts.as_slice() {
        [] => "Check complete, no warnings found.".to_owned(),
        parts => format!("Check complete, {} found.", parts.join(" and ")),
    }
}
