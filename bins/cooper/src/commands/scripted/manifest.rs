//! `cooper manifest`: lists of images for several platforms.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use cask::copy::Instances;
use cask_engine::{Entries, EntryChange, ErrorKind, ImageList, Images, Removal};
use cask_image::{Digest, ImageFormat, PlatformWanted};
use cask_program::output;
use cask_program::progress::ProgressChoice;
use cask_terminal::output::Output;
use cask_terminal::value::JsonStyle;
use clap::{Args, Subcommand};

use super::remove::Failures;
use crate::context::Context;
use cask_program::moving::{self, RegistryArguments};

/// Make and push lists of images for several platforms
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Create(CreateArguments),
    Add(AddArguments),
    Annotate(AnnotateArguments),
    Inspect(InspectArguments),
    Push(PushArguments),
    Remove(RemoveArguments),
    Rm(RmArguments),
    Exists(ExistsArguments),
}

/// Make a list, and put images of the store into it
#[derive(Args, Debug)]
pub(crate) struct CreateArguments {
    /// The name of the list
    list: String,
    /// The images
    images: Vec<String>,
    /// Of an image that is a list itself, put in all that is in it
    #[arg(long)]
    all: bool,
    /// Where the list is there already, add to it
    #[arg(short, long)]
    amend: bool,
}

/// Put an image of the store into a list
#[derive(Args, Debug)]
pub(crate) struct AddArguments {
    /// The list
    list: String,
    /// The image
    image: String,
    /// Of an image that is a list itself, put in all that is in it
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    entry: EntryArguments,
}

/// Change what a list says of an image in it
#[derive(Args, Debug)]
pub(crate) struct AnnotateArguments {
    /// The list
    list: String,
    /// The image: its digest, or its name
    image: String,
    #[command(flatten)]
    entry: EntryArguments,
}

/// What a list says of an image.
#[derive(Args, Debug)]
struct EntryArguments {
    /// The architecture
    #[arg(long)]
    arch: Option<String>,
    /// The operating system
    #[arg(long)]
    os: Option<String>,
    /// The variant of the architecture
    #[arg(long)]
    variant: Option<String>,
    /// The version of the operating system
    #[arg(long, value_name = "VERSION")]
    os_version: Option<String>,
    /// Features of the operating system
    #[arg(long, value_name = "FEATURES", value_delimiter = ',')]
    os_features: Vec<String>,
    /// Features of the processor
    #[arg(long, value_name = "FEATURES", value_delimiter = ',')]
    features: Vec<String>,
    /// An annotation, NAME=VALUE
    #[arg(long, value_name = "ANNOTATION")]
    annotation: Vec<String>,
}

/// Show a list
#[derive(Args, Debug)]
pub(crate) struct InspectArguments {
    /// The list
    list: String,
}

/// Push a list to a registry, or to anywhere else
#[derive(Args, Debug)]
pub(crate) struct PushArguments {
    /// The list, and where to: a name, or TRANSPORT:DETAILS [default: as the list is called]
    #[arg(value_names = ["LIST", "DESTINATION"], required = true, num_args = 1..=2)]
    names: Vec<String>,
    /// Push the images in it too
    #[arg(long)]
    all: bool,
    /// Write the digest of the list to this file
    #[arg(long, value_name = "FILE")]
    digestfile: Option<PathBuf>,
    /// Write lists in this format: oci or v2s2
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Do not push signatures
    #[arg(long)]
    remove_signatures: bool,
    /// Remove the list from the store afterwards
    #[arg(short, long, visible_alias = "purge", short_alias = 'p')]
    rm: bool,
    /// Say nothing
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    registry: RegistryArguments,
}

/// Take an image out of a list
#[derive(Args, Debug)]
pub(crate) struct RemoveArguments {
    /// The list
    list: String,
    /// The digest of the image
    digest: String,
}

/// Remove lists from the store
#[derive(Args, Debug)]
pub(crate) struct RmArguments {
    /// The lists
    #[arg(required = true)]
    lists: Vec<String>,
}

/// Tell by the exit code whether there is a list
#[derive(Args, Debug)]
pub(crate) struct ExistsArguments {
    /// The list
    list: String,
}

/// Carries a command out.
pub(super) fn run(command: Command, context: &Context) -> Result<ExitCode> {
    let images = context.images()?;
    match command {
        Command::Create(arguments) => create(&arguments, &images)?,
        Command::Add(arguments) => add(&arguments, &images)?,
        Command::Annotate(arguments) => annotate(&arguments, &images)?,
        Command::Inspect(arguments) => inspect(&arguments, &images)?,
        Command::Push(arguments) => super::wait(push(arguments, &images, context))?,
        Command::Remove(arguments) => remove(&arguments, &images)?,
        Command::Rm(arguments) => {
            let mut failures = Failures::default();
            for name in &arguments.lists {
                if let Err(error) = remove_list(&images, name) {
                    failures.add(error);
                }
            }
            failures.finish()?;
        }
        Command::Exists(arguments) => {
            return match images.find_list(&arguments.list) {
                Ok(_) => Ok(ExitCode::SUCCESS),
                Err(error)
                    if matches!(error.kind(), ErrorKind::ImageNotKnown | ErrorKind::Invalid) =>
                {
                    Ok(ExitCode::from(1))
                }
                Err(error) => Err(error.into()),
            };
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn create(arguments: &CreateArguments, images: &Images) -> Result<()> {
    let there = arguments.amend && images.find_list(&arguments.list).is_ok();
    if !there {
        images
            .create_list(std::slice::from_ref(&arguments.list))
            .context("creating image to hold manifest list")?;
    }
    let mut list = images.find_list(&arguments.list)?;
    for name in &arguments.images {
        images.add_to_list(&mut list, name, &entries(arguments.all, None))?;
    }
    images.save_list(&list)?;
    output::line(list.image.id.as_str())
}

fn add(arguments: &AddArguments, images: &Images) -> Result<()> {
    let mut list = images.find_list(&arguments.list)?;
    let change = arguments.entry.change()?;
    let wanted = entries(arguments.all, Some(&arguments.entry));
    let digests = images.add_to_list(&mut list, &arguments.image, &wanted)?;
    for digest in &digests {
        // What was said of the platform of a list chose among its images.
        list.change(digest, &change)?;
    }
    images.save_list(&list)?;
    let digest = digests.last().context("nothing was added")?;
    said(&list, digest)
}

fn annotate(arguments: &AnnotateArguments, images: &Images) -> Result<()> {
    let mut list = images.find_list(&arguments.list)?;
    let digest = match arguments.image.parse::<Digest>() {
        Ok(digest) => digest,
        Err(_) => {
            let found = images.find(&arguments.image)?;
            let (raw, _) = images.manifest(&found.image)?;
            raw.digest().clone()
        }
    };
    list.change(&digest, &arguments.entry.change()?)?;
    images.save_list(&list)?;
    said(&list, &digest)
}

fn remove(arguments: &RemoveArguments, images: &Images) -> Result<()> {
    let mut list = images.find_list(&arguments.list)?;
    let digest: Digest = arguments
        .digest
        .parse()
        .with_context(|| format!("invalid image digest {:?}", arguments.digest))?;
    list.remove(&digest)?;
    images.save_list(&list)?;
    said(&list, &digest)
}

/// Source: buildah, `cmd/buildah/manifest.go`.
fn said(list: &ImageList, digest: &Digest) -> Result<()> {
    output::line(&format!("{}: {digest}", list.image.id))
}

fn inspect(arguments: &InspectArguments, images: &Images) -> Result<()> {
    let list = images.find_list(&arguments.list)?;
    let (raw, _) = images.manifest(&list.image)?;
    let value: serde_json::Value = serde_json::from_slice(raw.bytes())?;
    let mut output = Output::stdout();
    output.json(&value, JsonStyle::indented(4))?;
    Ok(output.finish()?)
}

async fn push(arguments: PushArguments, images: &Images, context: &Context) -> Result<()> {
    let (name, destination) = match arguments.names.as_slice() {
        [name, destination] => (name, destination),
        [name, ..] => (name, name),
        [] => bail!("requires at least 1 arg(s), only received 0"),
    };
    images.find_list(name)?;
    let transports = arguments.registry.transports(images, &context.settings).await?;
    let progress = ProgressChoice::Auto.start(arguments.quiet);
    let platform = PlatformWanted::of_this_build();
    let mut options =
        moving::copy_options(&context.settings, platform, &progress, arguments.quiet)?;
    options.instances = if arguments.all { Instances::All } else { Instances::IndexOnly };
    options.attached.remove_signatures = arguments.remove_signatures;
    options.format = match arguments.format.as_deref() {
        None => None,
        Some("oci") => Some(ImageFormat::Oci),
        Some("v2s2" | "docker") => Some(ImageFormat::Docker),
        Some(other) => {
            bail!("unknown format {other:?}. Choose on of the supported formats: 'oci' or 'v2s2'")
        }
    };
    let report = images.push(name, destination, &transports, &options).await?;
    progress.finish();
    if let Some(file) = &arguments.digestfile {
        std::fs::write(file, report.manifest.digest().as_str())
            .with_context(|| format!("failed to write digest to file {:?}", file.display()))?;
    }
    if arguments.rm {
        remove_list(images, name)?;
    }
    Ok(())
}

fn remove_list(images: &Images, name: &str) -> Result<()> {
    images.find_list(name)?;
    let removed = images.remove(&images.find(name)?, Removal::default())?;
    let untagged = removed.untagged.iter().map(|name| format!("untagged: {name}\n"));
    let deleted = removed.deleted.iter().map(|id| format!("{id}\n"));
    output::bytes(untagged.chain(deleted).collect::<String>().as_bytes())
}

/// Which images of a list come.
fn entries(all: bool, entry: Option<&EntryArguments>) -> Entries {
    if all {
        return Entries::All;
    }
    let mut wanted = PlatformWanted::of_this_build();
    if let Some(entry) = entry {
        if let Some(os) = &entry.os {
            wanted.os.clone_from(os);
        }
        if let Some(architecture) = &entry.arch {
            wanted.architecture.clone_from(architecture);
            wanted.variant.clone_from(&entry.variant);
        }
    }
    Entries::One(wanted)
}

impl EntryArguments {
    fn change(&self) -> Result<EntryChange> {
        let mut change = EntryChange::default();
        change.architecture.clone_from(&self.arch);
        change.os.clone_from(&self.os);
        change.variant.clone_from(&self.variant);
        change.os_version.clone_from(&self.os_version);
        change.os_features.clone_from(&self.os_features);
        change.features.clone_from(&self.features);
        for annotation in &self.annotation {
            let Some((name, value)) = annotation.split_once('=') else {
                bail!("no value given for annotation {annotation:?}");
            };
            change.annotations.push((name.to_owned(), value.to_owned()));
        }
        Ok(change)
    }
}
