//! Containerfiles, read from where the user says.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use cask_containerfile::{BuildArguments, Tree};

/// The longest file that is read.
const LONGEST_BYTES: u64 = 16 << 20;

/// A file as it was read.
#[derive(Debug, Default)]
pub struct Source {
    /// The name for people: the path as it was typed.
    pub name: String,
    /// Where it is; `None` for standard input.
    pub path: Option<PathBuf>,
    /// What it says.
    pub text: String,
}

/// Reads a file; `-` is standard input.
pub fn read(path: &Path) -> Result<Source> {
    if path.as_os_str() == "-" {
        let text = text(std::io::stdin().lock()).context("reading standard input")?;
        return Ok(Source { name: "<stdin>".to_owned(), path: None, text });
    }
    let name = path.display().to_string();
    let file = File::open(path).with_context(|| format!("opening {name}"))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        bail!("a Containerfile cannot be path to a directory: {name} is one");
    }
    let text = text(file).with_context(|| format!("reading {name}"))?;
    Ok(Source { name, path: Some(path.to_owned()), text })
}

fn text(reader: impl Read) -> Result<String> {
    let mut bytes = Vec::new();
    reader.take(LONGEST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST_BYTES {
        bail!("it has more than {LONGEST_BYTES} bytes");
    }
    String::from_utf8(bytes).map_err(|error| {
        anyhow!("it is not UTF-8: byte {} cannot be read", error.utf8_error().valid_up_to())
    })
}

/// Reads the files that were named, or else the one of the context.
pub fn read_all(files: &[PathBuf], context: Option<&Path>) -> Result<Vec<Source>> {
    if files.is_empty() {
        return Ok(vec![read(&usual_file(context.unwrap_or(Path::new(".")))?)?]);
    }
    if files.iter().filter(|file| file.as_os_str() == "-").count() > 1 {
        bail!("standard input can be read once only: there are several `-`");
    }
    files.iter().map(|file| read(&place(file, context))).collect()
}

/// Where a file is: a relative path that is nowhere may be one below the context.
///
/// Source: buildah, `imagebuildah.BuildDockerfiles`.
fn place(file: &Path, context: Option<&Path>) -> PathBuf {
    match context {
        Some(context) if file.is_relative() && !file.exists() && file.as_os_str() != "-" => {
            let below = context.join(file);
            if below.exists() { below } else { file.to_owned() }
        }
        _ => file.to_owned(),
    }
}

/// The Containerfile of a directory; of what is a file, itself.
///
/// Source: buildah, `util.DiscoverContainerfile`.
fn usual_file(context: &Path) -> Result<PathBuf> {
    let metadata = std::fs::metadata(context)
        .with_context(|| format!("looking for a Containerfile in {}", context.display()))?;
    if !metadata.is_dir() {
        return Ok(context.to_owned());
    }
    let in_context = ["Containerfile", "Dockerfile"].map(|name| match context == Path::new(".") {
        true => PathBuf::from(name),
        false => context.join(name),
    });
    if let Some(file) = in_context.iter().find(|path| path.is_file()) {
        return Ok(file.clone());
    }
    let other = in_context.iter().find(|path| path.exists());
    let why = match other {
        Some(path) => format!("{} is not a file", path.display()),
        None => "no such file or directory".to_owned(),
    };
    bail!(
        "cannot find Containerfile or Dockerfile in context directory {}: {why}",
        context.display()
    )
}

/// What `--build-arg` gives: `NAME=VALUE`, or `NAME` for a variable of the environment, which is
/// not given if there is none.
pub fn build_arguments(given: &[String]) -> Result<BuildArguments> {
    let mut arguments = BuildArguments::new();
    for argument in given {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), std::env::var(argument).ok()),
        };
        if name.is_empty() {
            bail!("--build-arg {argument:?} has no name: write NAME=VALUE");
        }
        match value {
            Some(value) => drop(arguments.insert(name.to_owned(), value)),
            None => drop(arguments.remove(name)),
        }
    }
    Ok(arguments)
}

/// What the comments above each stage say of it.
#[must_use]
pub fn descriptions(tree: &Tree) -> Vec<Option<String>> {
    let stages = tree.stages().stages;
    stages.iter().map(|stage| tree.description(stage.statement, &stage.name()?)).collect()
}

/// The stages as BuildKit lists them.
#[must_use]
pub fn targets(tree: &Tree, target: usize) -> String {
    let stages = tree.stages().stages;
    let names = stages.iter().map(|stage| match (stage.name(), stage.index == target) {
        (Some(name), true) => format!("{name} (default)"),
        (None, true) => "(default)".to_owned(),
        (name, false) => name.unwrap_or_default(),
    });
    let names: Vec<String> = std::iter::once("TARGET".to_owned()).chain(names).collect();
    let heading = std::iter::once(Some("DESCRIPTION".to_owned()));
    let descriptions = heading.chain(descriptions(tree));
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    let lines = names.iter().zip(descriptions).map(|(name, description)| {
        let line = format!("{name:width$}   {}", description.unwrap_or_default());
        format!("{}\n", line.trim_end())
    });
    lines.collect()
}
