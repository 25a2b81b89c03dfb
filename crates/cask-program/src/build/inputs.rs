//! The Containerfile and the files of a build, from where the user says.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use cask_build::{
    BuildFile, BuildSources, Context, ContextLocation, ContextTools, ErrorKind, Fetch, Fetched,
    Git, IgnoreChoice, NamedContext, StreamContext, redacted,
};
use cask_containerfile::{
    Checks, Diagnostic, DirectiveKey, LintOptions, ParseOptions, RenderedFile, Severity, Tree,
    lint, parse_with, render_text,
};
use tokio::runtime::Handle;
use url::Url;

use super::arguments::{Arguments, InputArguments};
use super::preprocess::preprocessed;
use crate::containerfile::{self, Source};
use crate::settings::Settings;
use crate::{download, report};

/// The longest Containerfile, in bytes.
const LONGEST_BYTES: u64 = 16 << 20;

/// What is built, and what it is built from.
pub(super) struct Inputs {
    pub(super) files: Vec<BuildFile>,
    pub(super) sources: BuildSources,
    /// The directory of the context, where that is one of this machine.
    pub(super) directory: Option<PathBuf>,
}

/// Fetches by HTTP, on a thread that may wait.
pub struct Downloads {
    settings: Settings,
    handle: Handle,
}

impl Downloads {
    /// On a runtime.
    pub fn new(settings: &Settings, handle: Handle) -> Self {
        Self { settings: settings.clone(), handle }
    }
}

impl Fetch for Downloads {
    fn get(&self, url: &str, output: &mut dyn Write) -> cask_build::Result<Fetched> {
        let failed = |error: anyhow::Error| {
            cask_build::Error::new(ErrorKind::Fetch, redacted(url), "cannot be downloaded")
                .with_source(error)
        };
        let parsed = Url::parse(url).map_err(|error| failed(error.into()))?;
        let opened = self.handle.block_on(download::open(&parsed, &self.settings));
        let mut download = opened.map_err(failed)?;
        let fetched = Fetched::new(download.headers().iter().cloned());
        io::copy(&mut download, output).map_err(|error| failed(error.into()))?;
        Ok(fetched)
    }
}

/// The git of this machine, with what it needs of the environment; `None` where there is none.
pub fn git() -> Option<Git> {
    const PASSED: [&str; 10] = [
        "PATH",
        "HOME",
        "SSH_AUTH_SOCK",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "SSL_CERT_FILE",
    ];
    let mut git = Git::new(super::executor::program("git")?);
    git.environment = PASSED
        .iter()
        .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)))
        .collect();
    Some(git)
}

/// Reads and fetches all that is built from. Needs a thread that may wait.
pub(super) fn load(arguments: &Arguments, settings: &Settings, scratch: &Path) -> Result<Inputs> {
    let fetch: Arc<dyn Fetch + Send + Sync> = Arc::new(Downloads::new(settings, Handle::current()));
    let git = git().map(Arc::new);
    let tools = ContextTools { fetch: Some(&*fetch), git: git.as_deref(), scratch };
    let loading = Loading { input: &arguments.input, fetch: &*fetch, tools };
    let usual = beside(&arguments.input.file)?;
    let (context, mut texts) = loading.context(arguments.context.as_deref().unwrap_or(&usual))?;
    let named = loading.named()?;
    let named_context = Path::new(arguments.context.as_deref().unwrap_or(&usual));
    let includes = if named_context.is_dir() { named_context } else { Path::new(".") };
    for text in &mut texts {
        let source = std::mem::take(text);
        *text = preprocessed(source, includes, &arguments.input.cpp_flag)?;
    }
    let files = parse(texts, arguments)?;
    let mut sources = BuildSources::default();
    sources.context = Arc::new(context);
    sources.named = named;
    sources.git = git;
    sources.scratch = Some(scratch.to_owned());
    sources.fetch = Some(fetch);
    let directory = (named_context.is_dir()).then(|| named_context.to_owned());
    Ok(Inputs { files, sources, directory })
}

/// The context of whoever names none: the directory of the first Containerfile that is a file of this machine.
///
/// Source: buildah, `pkg/cli/build.go`, `GenBuildOptions`.
fn beside(files: &[String]) -> Result<String> {
    let is_here = |file: &&String| {
        *file != "-" && matches!(ContextLocation::parse(file), Ok(ContextLocation::Directory(_)))
    };
    let Some(file) = files.iter().find(is_here) else { return Ok(".".to_owned()) };
    let path = std::path::absolute(file).with_context(|| format!("finding {file}"))?;
    Ok(path.parent().unwrap_or(Path::new("/")).display().to_string())
}

struct Loading<'a> {
    input: &'a InputArguments,
    fetch: &'a dyn Fetch,
    tools: ContextTools<'a>,
}

impl Loading<'_> {
    /// The context, and the Containerfiles.
    fn context(&self, text: &str) -> Result<(Context, Vec<Source>)> {
        let takes_stdin = self.input.file.iter().any(|file| file == "-");
        if text == "-" {
            if takes_stdin {
                bail!("standard input can be the context or a Containerfile, not both");
            }
            let stream = io::stdin().lock();
            let choice = self.choice(None, self.inside());
            let found =
                Context::from_stream("standard input", stream, self.tools.scratch, &choice)?;
            return self.of_stream(found, "<stdin>");
        }
        let location = ContextLocation::parse(text)?;
        if let ContextLocation::Directory(path) = &location {
            return self.directory(path);
        }
        let found = Context::fetch(&location, &self.choice(None, self.inside()), &self.tools)?;
        self.of_stream(found, &redacted(text))
    }

    /// A directory of the machine, or a Containerfile in one.
    fn directory(&self, path: &Path) -> Result<(Context, Vec<Source>)> {
        let is_file = path.is_file();
        let directory = match path.parent().filter(|_| is_file) {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => path,
        };
        if !path.exists() {
            bail!("context {} does not exist: no such file or directory", path.display());
        }
        let texts = match (self.input.file.as_slice(), is_file) {
            ([], true) => vec![containerfile::read(path)?],
            ([], false) => containerfile::read_all(&[], Some(directory))?,
            (files, _) => self.files(files, directory)?,
        };
        let first = texts.first().and_then(|text| text.path.clone());
        let context = Context::directory(directory, &self.choice(first, None))?;
        Ok((context, texts))
    }

    fn files(&self, files: &[String], directory: &Path) -> Result<Vec<Source>> {
        if files.iter().filter(|file| *file == "-").count() > 1 {
            bail!("standard input can be read once only: there are several `-f -`");
        }
        let read = |file: &String| {
            if is_url(file) {
                return self.download(file);
            }
            let path = [PathBuf::from(file)];
            containerfile::read_all(&path, Some(directory))?.pop().context("one file is read")
        };
        files.iter().map(read).collect()
    }

    fn download(&self, url: &str) -> Result<Source> {
        let mut bytes = Limited(Vec::new());
        self.fetch.get(url, &mut bytes)?;
        let text =
            String::from_utf8(bytes.0).with_context(|| format!("{} is no text", redacted(url)))?;
        Ok(Source { name: redacted(url), path: None, text })
    }

    /// What came from elsewhere: files with a Containerfile among them, or one alone.
    fn of_stream(&self, found: StreamContext, name: &str) -> Result<(Context, Vec<Source>)> {
        match found {
            StreamContext::Containerfile(text) => {
                if !self.input.file.is_empty() {
                    bail!(
                        "{name} is a Containerfile: there is no context in which -f could name one"
                    );
                }
                let source = Source { name: name.to_owned(), path: None, text };
                Ok((Context::empty(), vec![source]))
            }
            StreamContext::Context(context) => {
                let files = self.inside_of(&context)?;
                Ok((context, files))
            }
            other => bail!("{name} gives {other:?}, which nothing is built from"),
        }
    }

    fn inside_of(&self, context: &Context) -> Result<Vec<Source>> {
        let read = |path: &str| -> Result<Source> {
            let text = context.read_text(path, LONGEST_BYTES)?;
            Ok(Source { name: path.to_owned(), path: None, text })
        };
        if self.input.file.is_empty() {
            for path in ["Containerfile", "Dockerfile"] {
                if context.view().status_following(path)?.is_some() {
                    return Ok(vec![read(path)?]);
                }
            }
            bail!("cannot find Containerfile or Dockerfile in {}", context.name());
        }
        let each = self.input.file.iter().map(|file| match file.as_str() {
            "-" => containerfile::read(Path::new("-")),
            file if is_url(file) => self.download(file),
            file => read(file),
        });
        each.collect()
    }

    /// The Containerfile as it is called in a context from elsewhere.
    fn inside(&self) -> Option<String> {
        self.input.file.first().filter(|file| *file != "-" && !is_url(file)).cloned()
    }

    fn choice(&self, containerfile: Option<PathBuf>, inside: Option<String>) -> IgnoreChoice {
        let mut choice = IgnoreChoice::default();
        choice.file.clone_from(&self.input.ignorefile);
        choice.containerfile = containerfile;
        choice.containerfile_inside = inside;
        choice
    }

    /// What `--build-context` names.
    ///
    /// Source: buildah, `parse.GetAdditionalBuildContext`.
    fn named(&self) -> Result<BTreeMap<String, NamedContext>> {
        let mut named = BTreeMap::new();
        for text in &self.input.build_context {
            let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty())
            else {
                bail!("--build-context {text:?} is not NAME=CONTEXT");
            };
            let context =
                self.named_context(value).with_context(|| format!("--build-context {name}"))?;
            named.insert(name.to_lowercase(), context);
        }
        Ok(named)
    }

    fn named_context(&self, value: &str) -> Result<NamedContext> {
        for scheme in ["docker-image://", "container-image://"] {
            if let Some(image) = value.strip_prefix(scheme) {
                return Ok(NamedContext::Image(image.to_owned()));
            }
        }
        if value.starts_with("docker://") {
            return Ok(NamedContext::Image(value.to_owned()));
        }
        if let Some(layout) = value.strip_prefix("oci-layout://") {
            return Ok(NamedContext::Image(format!("oci:{layout}")));
        }
        let location = ContextLocation::parse(value)?;
        match Context::fetch(&location, &IgnoreChoice::default(), &self.tools)? {
            StreamContext::Context(context) => Ok(NamedContext::Files(Arc::new(context))),
            _ => Err(anyhow!("{} is no archive", redacted(value))),
        }
    }
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// Bytes up to the longest Containerfile.
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.0.len() + bytes.len()) as u64 > LONGEST_BYTES {
            return Err(io::Error::other(format!("it has more than {LONGEST_BYTES} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Parses the texts; errors are shown with their lines.
fn parse(texts: Vec<Source>, arguments: &Arguments) -> Result<Vec<BuildFile>> {
    let mut options = ParseOptions::default();
    options.dialect = arguments.image.dialect();
    options.fragment = texts.len() > 1;
    let mut files = Vec::new();
    for Source { name, text, .. } in texts {
        if text.is_empty() {
            bail!("no contents in {name:?}: the Dockerfile cannot be empty");
        }
        let mut parsed = parse_with(&text, &options);
        if parsed.has_errors() {
            parsed.diagnostics.retain(|found| found.severity == Severity::Error);
            refuse(&name, &text, &parsed.diagnostics)?;
        }
        if !options.fragment {
            check(&name, &parsed.tree, arguments)?;
        }
        files.push(BuildFile::new(name, parsed.tree));
    }
    Ok(files)
}

fn refuse(name: &str, text: &str, found: &[Diagnostic]) -> Result<()> {
    let file = RenderedFile { name, source: text, diagnostics: found };
    report::say(render_text(&file).trim_end());
    let first = found.first().map(ToString::to_string).unwrap_or_default();
    bail!("{name} cannot be built: {first}")
}

/// Fails as BuildKit does, where the file wants lints to be errors.
fn check(name: &str, tree: &Tree, arguments: &Arguments) -> Result<()> {
    let given = containerfile::build_arguments(&arguments.input.build_arg)?;
    let of_build = given.get("BUILDKIT_DOCKERFILE_CHECK").map(|text| Checks::parse(text));
    let of_build = of_build.transpose().context("--build-arg BUILDKIT_DOCKERFILE_CHECK")?;
    let of_file = tree.directive(DirectiveKey::Check).map(|text| Checks::parse(&text));
    let is_error = |checks: &Checks| checks.is_error;
    let strict = of_build.as_ref().is_some_and(is_error)
        || of_file.is_some_and(|checks| checks.is_ok_and(|checks| checks.is_error));
    if !strict {
        return Ok(());
    }
    let mut options = LintOptions::default();
    options.checks = of_build.unwrap_or_default();
    options.arguments = given;
    options.target.clone_from(&arguments.input.target);
    let found = lint(tree, &options);
    match found.is_failure {
        true => refuse(name, tree.source(), &found.diagnostics),
        false => Ok(()),
    }
}
