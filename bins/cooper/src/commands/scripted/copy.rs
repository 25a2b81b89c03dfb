//! `cooper copy` and `cooper add`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use cask_build::{
    AddOptions, Context as BuildContext, CopyItem, CopyRequest, CopyTools, ErrorKind, Fetch,
    Fetched, IgnoreChoice, WorkingContainer, WorkingContainers, WriteOptions, machine_context,
};
use cask_engine::PullPolicy;
use cask_program::access::OneArguments;
use cask_program::duration::GoDuration;
use cask_program::moving::{self, RegistryArguments};
use cask_program::progress::ProgressChoice;
use cask_program::{build, output, platform, report};
use cask_storage::Image;
use clap::{Args, Parser};

use super::config::add_history;
use crate::context::{Context, now};

/// Copy files into a working container
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container, the sources, and the destination [default: the container's working directory]
    #[arg(value_names = ["CONTAINER", "SOURCE"])]
    names: Vec<String>,
    /// Whose they are in the container: USER[:GROUP]
    #[arg(long, value_name = "OWNER")]
    chown: Option<String>,
    /// Their permissions
    #[arg(long, value_name = "MODE")]
    chmod: Option<String>,
    /// The directory that sources are in
    #[arg(long, value_name = "DIRECTORY")]
    contextdir: Option<PathBuf>,
    /// The container or the image that sources are in
    #[arg(long, value_name = "CONTAINER|IMAGE")]
    from: Option<String>,
    /// The file that says what of the context is left out
    #[arg(long, value_name = "FILE")]
    ignorefile: Option<PathBuf>,
    /// A pattern of what is left out
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Keep the directories that sources are in
    #[arg(long)]
    parents: bool,
    /// Put what is copied into a layer of its own, which comes behind all else that the image gets
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    link: Option<bool>,
    /// Copy a source that is a symbolic link as a link, rather than what it leads to
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    no_follow_symlinks: Option<bool>,
    /// Whether sources may be patterns; if not, one with *, ? or [ is an error [default: true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    allow_wildcard: Option<bool>,
    /// Copy nothing where patterns match nothing, rather than fail
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    allow_empty_wildcard: Option<bool>,
    /// What the one remote source must be: ALGORITHM:DIGEST
    #[arg(long, value_name = "CHECKSUM")]
    checksum: Option<String>,
    /// The date of directories that have to be made, in seconds since 1970
    #[arg(long, value_name = "SECONDS")]
    timestamp: Option<i64>,
    /// Tell the history of the copy
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    add_history: Option<String>,
    /// Try to get a remote source again so often
    #[arg(long, value_name = "N", default_value_t = 3)]
    retry: u32,
    /// Wait so long between two tries
    #[arg(long, value_name = "DURATION", default_value = "2s")]
    retry_delay: GoDuration,
    /// Do not print the digest
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    access: OneArguments,
}

/// Copies, and prints the digest of what was copied.
pub(crate) fn run(arguments: &Arguments, is_add: bool, context: &Context) -> Result<()> {
    let (name, rest) = match arguments.names.as_slice() {
        [] => bail!("container ID must be specified"),
        [_] => bail!("src must be specified"),
        [name, rest @ ..] => (name, rest),
    };
    let (sources, destination) = match rest {
        [source] => (std::slice::from_ref(source), ""),
        [sources @ .., destination] => (sources, destination.as_str()),
        [] => (rest, ""),
    };
    if arguments.ignorefile.is_some() && arguments.contextdir.is_none() {
        bail!("--ignorefile option requires that you specify a context dir using --contextdir");
    }
    if arguments.checksum.is_some() && !is_add {
        bail!("--checksum is for add");
    }
    let containers = context.containers()?;
    let mut container =
        containers.find(name).with_context(|| format!("reading build container {name:?}"))?;
    arguments.copy(&mut container, (sources, destination), is_add, &containers, context)
}

/// Copies what an image says for builds that start from it.
///
/// Source: buildah, `cmd/buildah/from.go`, `onBuild`.
pub(super) fn on_build(
    container: &mut WorkingContainer,
    rest: &str,
    is_add: bool,
    containers: &WorkingContainers,
    context: &Context,
) -> Result<()> {
    let words = match rest.find('[') {
        Some(at) if rest[..at].split_whitespace().all(|word| word.starts_with("--")) => {
            let listed: Vec<String> = serde_json::from_str(&rest[at..])?;
            rest[..at].split_whitespace().map(str::to_owned).chain(listed).collect()
        }
        _ => rest.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
    };
    let flags = words.iter().take_while(|word| word.starts_with("--")).count();
    let line = ["COPY", "--quiet"].map(str::to_owned).into_iter().chain(words[..flags].to_vec());
    let Given { arguments } = Given::try_parse_from(line)
        .with_context(|| format!("the instruction for builds {rest:?}"))?;
    let Some((destination, sources)) = words[flags..].split_last() else {
        bail!("the instruction for builds {rest:?} has no destination");
    };
    arguments.copy(container, (sources, destination), is_add, containers, context)
}

/// The flags of an instruction.
#[derive(Parser)]
struct Given {
    #[command(flatten)]
    arguments: Arguments,
}

/// Gets what is remote, and tries again where that fails.
struct Trying<F> {
    fetch: F,
    times: u32,
    pause: std::time::Duration,
}

impl<F: Fetch> Fetch for Trying<F> {
    fn get(&self, url: &str, output: &mut dyn Write) -> cask_build::Result<Fetched> {
        let mut tries = 0;
        loop {
            let mut counted = Counted { output: &mut *output, bytes: 0 };
            let got = self.fetch.get(url, &mut counted);
            let has_begun = counted.bytes > 0;
            match got {
                // What is written cannot be taken back.
                Err(error)
                    if error.kind() == ErrorKind::Fetch && tries < self.times && !has_begun =>
                {
                    tries += 1;
                    let Self { times, pause, .. } = self;
                    report::note(&format!(
                        "{error}: trying again in {pause:?} ({tries} of {times})"
                    ));
                    std::thread::sleep(*pause);
                }
                got => return got,
            }
        }
    }
}

struct Counted<'o> {
    output: &'o mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.output.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.output.flush()
    }
}

impl Arguments {
    fn copy(
        &self,
        container: &mut WorkingContainer,
        (sources, destination): (&[String], &str),
        is_add: bool,
        containers: &WorkingContainers,
        context: &Context,
    ) -> Result<()> {
        let arguments = self;
        let mut request = CopyRequest::new(arguments.context(containers, context)?, destination);
        request.sources = arguments.sources(sources)?;
        request.owner.clone_from(&arguments.chown);
        request.mode.clone_from(&arguments.chmod);
        request.excludes.clone_from(&arguments.exclude);
        request.parents = arguments.parents;
        request.keep_links = arguments.no_follow_symlinks == Some(true);
        request.allow_empty_wildcard = arguments.allow_empty_wildcard == Some(true);
        // What is remote may be copied too: then it stays as it is.
        if is_add || sources.iter().any(|source| source.contains("://")) {
            let mut add = AddOptions::default();
            add.unpack = (!is_add).then_some(false);
            add.checksum.clone_from(&arguments.checksum);
            request.add = Some(add);
        }
        let scratch = tempfile::tempdir()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let GoDuration(pause) = arguments.retry_delay;
        let fetch = build::Downloads::new(&context.settings, runtime.handle().clone());
        let fetch = Trying { fetch, times: arguments.retry, pause };
        let git = build::git();
        let mut tools = CopyTools::new(scratch.path());
        tools.git = git.as_ref();
        tools.fetch = Some(&fetch);
        let time = now()?;
        let mut options = WriteOptions::default();
        options.created_seconds = arguments.timestamp.unwrap_or(time.unix_seconds());
        let copied = match arguments.link {
            Some(true) => container.copy_linked(&request, &tools, &options),
            _ => container.copy(&request, &tools, &options),
        };
        let copied = copied
            .with_context(|| format!("adding content to container {:?}", container.name()))?;
        copied.warnings.iter().for_each(|warning| report::note(warning));
        if !arguments.quiet {
            output::line(copied.digest.hex())?;
        }
        if add_history(arguments.add_history.as_deref())? {
            let verb = if is_add { "ADD" } else { "COPY" };
            let text = format!("/bin/sh -c #(nop) {verb} {}:{}", copied.kind, copied.digest.hex());
            container.add_history(time, &text)?;
        }
        Context::warn(containers.store());
        Ok(())
    }

    /// Where sources are.
    fn context(
        &self,
        containers: &WorkingContainers,
        context: &Context,
    ) -> Result<Arc<BuildContext>> {
        match (&self.from, &self.contextdir) {
            (Some(from), _) => {
                match containers.find(from) {
                    Ok(container) => Ok(container.context()?),
                    Err(error) if error.kind() == ErrorKind::Missing => {
                        let found = super::wait(self.image(from, context)).with_context(|| {
                            format!("no container named {from:?}, error copying content from image {from:?}")
                        })?;
                        Ok(containers.image_context(&found, from)?)
                    }
                    Err(error) => {
                        Err(error).with_context(|| format!("reading build container {from:?}"))
                    }
                }
            }
            (None, Some(directory)) => {
                let mut choice = IgnoreChoice::default();
                choice.file.clone_from(&self.ignorefile);
                Ok(Arc::new(BuildContext::directory(directory, &choice)?.keeping_privileges()))
            }
            (None, None) => Ok(machine_context()?),
        }
    }

    /// The image of this name, which is pulled where the store does not have it.
    async fn image(&self, name: &str, context: &Context) -> Result<Image> {
        let images = context.images()?;
        let mut registry = RegistryArguments::default();
        registry.access = self.access.clone();
        let transports = registry.transports(&images, &context.settings).await?;
        let progress = Arc::new(ProgressChoice::Auto.start(self.quiet));
        let platform = platform::wanted(&context.settings);
        let copy =
            moving::copy_options(&context.settings, platform.clone(), &progress, self.quiet)?;
        let mut options = moving::pull_options(copy, PullPolicy::Missing, &progress);
        moving::keep_answers(&context.settings, &mut options);
        let pulled = images.pull(name, &transports, &options).await;
        drop((options, progress));
        let pulled = pulled?.into_iter().next().context("nothing was pulled")?;
        let id = images.instance(pulled.id.as_str(), &platform)?.unwrap_or(pulled.id);
        Ok(images.find(id.as_str())?.image)
    }

    /// The sources, as paths of the context.
    fn sources(&self, given: &[String]) -> Result<Vec<CopyItem>> {
        let item = |source: &String| -> Result<CopyItem> {
            if source.contains("://") {
                return Ok(CopyItem::Path(source.clone()));
            }
            if self.allow_wildcard == Some(false) && source.contains(['*', '?', '[']) {
                bail!("{source:?} is a pattern, and wildcards are not allowed in source paths");
            }
            if let (Some(directory), None) = (&self.contextdir, &self.from) {
                // A path of the machine below the context, as buildah wants it, or one of the context.
                let whole = std::path::absolute(directory)?;
                let within = Path::new(source).strip_prefix(&whole).unwrap_or(Path::new(source));
                return Ok(CopyItem::Path(match within.as_os_str().is_empty() {
                    true => ".".to_owned(),
                    false => text(within)?,
                }));
            }
            let path = match (&self.from, &self.contextdir) {
                (Some(_), Some(directory)) => directory.join(source.trim_start_matches('/')),
                (Some(_), None) => PathBuf::from(source),
                (None, _) => std::env::current_dir()?.join(source),
            };
            Ok(CopyItem::Path(text(&path)?))
        };
        given.iter().map(item).collect()
    }
}

fn text(path: &Path) -> Result<String> {
    let text = path.to_str().with_context(|| format!("{} is no UTF-8", path.display()))?;
    Ok(text.to_owned())
}
