//! `cellar artifact`

mod show;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use cask::copy::CopyOptions;
use cask::transport::Transports;
use cask_engine::{
    AddArtifactOptions, ArtifactsToRemove, BlobChoice, ExistingArtifact, StoredArtifacts,
};
use cask_program::moving::{self, RegistryArguments};
use cask_program::progress::{Progress, ProgressChoice};
use cask_program::refused::{Refused, RefusedFlag, RefusedFlags};
use cask_program::{output, platform};
use clap::{Args, Subcommand};

use super::push::SigningArguments;
use crate::context::Context;
use crate::moment;

/// Manage files that are kept, pulled and pushed as images are
#[derive(Debug, Subcommand)]
pub(crate) enum ArtifactCommand {
    Add(AddArguments),
    Extract(ExtractArguments),
    Inspect(show::InspectArguments),
    #[command(name = "ls", visible_alias = "list")]
    List(show::ListArguments),
    Pull(PullArguments),
    Push(PushArguments),
    #[command(name = "rm", visible_alias = "remove")]
    Remove(RemoveArguments),
}

/// Make an artifact of files
#[derive(Args, Debug)]
pub(crate) struct AddArguments {
    /// Its name, and the files
    #[arg(value_names = ["ARTIFACT", "PATH"])]
    words: Vec<OsString>,
    /// Say this of the artifact and of its files
    #[arg(long, value_name = "NAME=VALUE")]
    annotation: Vec<String>,
    /// Bring the files to an artifact that is there
    #[arg(short, long)]
    append: bool,
    /// What the files are, a media type [default: what their beginning looks like]
    #[arg(long, value_name = "TYPE")]
    file_type: Option<String>,
    /// Forget the one that has this name
    #[arg(long)]
    replace: bool,
    /// What kind of artifact it is, a media type
    #[arg(long = "type", value_name = "TYPE")]
    artifact_type: Option<String>,
}

/// Write the files of an artifact
#[derive(Args, Debug)]
pub(crate) struct ExtractArguments {
    /// The artifact, and where to: a directory, or a path for one file
    #[arg(value_names = ["ARTIFACT", "PATH"])]
    words: Vec<OsString>,
    /// Only the file of this digest
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// Only the file of this title
    #[arg(long, value_name = "TITLE")]
    title: Option<String>,
}

/// Pull an artifact from a registry
#[derive(Args, Debug)]
pub(crate) struct PullArguments {
    /// The artifact
    #[arg(value_name = "ARTIFACT")]
    words: Vec<String>,
    /// Say nothing
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    registry: RegistryArguments,
    #[command(flatten)]
    refused: Refused<OfPull>,
}

/// Flags that are not here.
pub(crate) struct OfPull;

impl RefusedFlags for OfPull {
    const FLAGS: &'static [RefusedFlag] =
        &[("decryption-key", &[], "encrypted artifacts cannot be read")];
}

/// Push an artifact to the registry that its name names
#[derive(Args, Debug)]
pub(crate) struct PushArguments {
    /// The artifact
    #[arg(value_name = "ARTIFACT")]
    words: Vec<String>,
    /// Write the digest of the pushed artifact to this file
    #[arg(long, value_name = "FILE")]
    digestfile: Option<PathBuf>,
    /// Say nothing
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    registry: RegistryArguments,
    #[command(flatten)]
    signing: SigningArguments,
}

/// Remove artifacts
#[derive(Args, Debug)]
pub(crate) struct RemoveArguments {
    /// The artifacts
    #[arg(value_name = "ARTIFACT")]
    words: Vec<String>,
    /// All artifacts
    #[arg(short, long)]
    all: bool,
    /// Do not fail where there is no such artifact
    #[arg(short, long)]
    ignore: bool,
}

/// Does it.
pub(crate) fn run(command: ArtifactCommand, context: &Context) -> Result<ExitCode> {
    match command {
        ArtifactCommand::Add(arguments) => add(&arguments, context)?,
        ArtifactCommand::Extract(arguments) => extract(&arguments, context)?,
        ArtifactCommand::Inspect(arguments) => show::inspect(&arguments, &artifacts(context)?)?,
        ArtifactCommand::List(arguments) => show::list(&arguments, &artifacts(context)?)?,
        ArtifactCommand::Pull(arguments) => crate::run::wait(pull(arguments, context))?,
        ArtifactCommand::Push(arguments) => crate::run::wait(push(arguments, context))?,
        ArtifactCommand::Remove(arguments) => remove(&arguments, context)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn artifacts(context: &Context) -> Result<StoredArtifacts> {
    Ok(StoredArtifacts::new(context.global.store.open()?))
}

/// The one word behind a command.
fn one<T>(words: &[T]) -> Result<&T> {
    match words {
        [word] => Ok(word),
        other => bail!("accepts 1 arg(s), received {}", other.len()),
    }
}

fn text(word: &OsStr) -> Result<&str> {
    word.to_str().with_context(|| format!("{} is no name of an artifact", word.display()))
}

fn add(arguments: &AddArguments, context: &Context) -> Result<()> {
    let (name, files) = match arguments.words.as_slice() {
        [name, files @ ..] if !files.is_empty() => (text(name)?, files),
        other => bail!("requires at least 2 arg(s), only received {}", other.len()),
    };
    let mut options = AddArtifactOptions::new(moment::exactly_now());
    options.existing = match (arguments.append, arguments.replace) {
        (true, true) => bail!("--append and --replace options cannot be used together"),
        (true, false) => ExistingArtifact::Grows,
        (false, true) => ExistingArtifact::Goes,
        (false, false) => ExistingArtifact::IsError,
    };
    options.annotations = annotations(&arguments.annotation)?;
    options.artifact_type = arguments.artifact_type.clone().filter(|given| !given.is_empty());
    options.file_type = arguments.file_type.clone().filter(|given| !given.is_empty());
    let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
    let digest = artifacts(context)?.add(name, &files, &options)?;
    output::line(digest.hex())
}

fn annotations(given: &[String]) -> Result<BTreeMap<String, String>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => bail!("no value given for annotation {text:?}"),
    };
    given.iter().map(pair).collect()
}

fn extract(arguments: &ExtractArguments, context: &Context) -> Result<()> {
    let [name, target] = arguments.words.as_slice() else {
        bail!("accepts 2 arg(s), received {}", arguments.words.len());
    };
    let given = |flag: &'_ Option<String>| flag.clone().filter(|given| !given.is_empty());
    let (digest, title) = (given(&arguments.digest), given(&arguments.title));
    let choice = match (&digest, &title) {
        (Some(_), Some(_)) => bail!("cannot specify both digest and title"),
        (Some(digest), None) => BlobChoice::Digest(digest),
        (None, Some(title)) => BlobChoice::Title(title),
        (None, None) => BlobChoice::All,
    };
    Ok(artifacts(context)?.extract(text(name)?, Path::new(target), choice)?)
}

/// What it takes to pull and to push.
struct Moving {
    artifacts: StoredArtifacts,
    transports: Transports,
    progress: Progress,
    options: CopyOptions,
}

impl Moving {
    async fn begin(registry: &RegistryArguments, quiet: bool, context: &Context) -> Result<Self> {
        let images = context.images()?;
        let transports = registry.transports(&images, &context.settings).await?;
        let progress = ProgressChoice::Auto.start(quiet);
        let wanted = platform::wanted(&context.settings);
        let options = moving::copy_options(&context.settings, wanted, &progress, quiet)?;
        let artifacts = StoredArtifacts::new(images.store().clone());
        Ok(Self { artifacts, transports, progress, options })
    }
}

async fn pull(arguments: PullArguments, context: &Context) -> Result<()> {
    arguments.refused.check()?;
    let name = one(&arguments.words)?;
    let moving = Moving::begin(&arguments.registry, arguments.quiet, context).await?;
    moving.artifacts.pull(name, &moving.transports, &moving.options).await?;
    moving.progress.finish();
    Ok(())
}

async fn push(arguments: PushArguments, context: &Context) -> Result<()> {
    let name = one(&arguments.words)?;
    arguments.signing.check()?;
    let moving = Moving::begin(&arguments.registry, arguments.quiet, context).await?;
    let report = moving.artifacts.push(name, &moving.transports, &moving.options).await?;
    moving.progress.finish();
    if let Some(file) = &arguments.digestfile {
        std::fs::write(file, report.manifest.digest().as_str())
            .with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

fn remove(arguments: &RemoveArguments, context: &Context) -> Result<()> {
    let which = match (arguments.all, arguments.words.as_slice()) {
        (true, []) => ArtifactsToRemove::All,
        (true, _) => {
            bail!("when using the --all switch, you may not pass any artifact names or digests")
        }
        (false, []) => bail!("at least one artifact name or digest must be specified"),
        (false, names) if arguments.ignore => ArtifactsToRemove::IfThere(names),
        (false, names) => ArtifactsToRemove::Named(names),
    };
    let removed = artifacts(context)?.remove(which)?;
    removed.iter().try_for_each(|digest| output::line(digest.hex()))
}
