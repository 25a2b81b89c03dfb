//! The commands behind `manifest`: lists of images for several platforms.

mod artifact;
mod media_type;
mod shown;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use cask::copy::{Instances, inspect};
use cask_engine::{Entries, EntryChange, ErrorKind, FoundEntries, ImageList, Images, Removal};
use cask_image::{Digest, PlatformWanted, RawManifest};
use clap::{Args, Subcommand};

use crate::compression::CompressionArguments;
use crate::moving::{self, RegistryArguments};
use crate::progress::ProgressChoice;
use crate::refused::{NO_SIGNING, Refused, RefusedFlag, RefusedFlags};
use crate::settings::Settings;
use crate::{containers_conf, output, policy, report, stop};
use artifact::ArtifactArguments;

/// Whose words are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Buildah's: changes are told with the digest of the image; a list is pushed alone.
    Buildah,
    /// Podman's: changes are told by the list's ID; a list is pushed with its images.
    Podman,
}

/// Flags of `push` that are not here.
#[derive(Debug)]
struct OfLists;

impl RefusedFlags for OfLists {
    const FLAGS: &'static [RefusedFlag] = &[
        ("sign-by", &[], NO_SIGNING),
        ("sign-by-sigstore", &[], NO_SIGNING),
        ("sign-by-sigstore-private-key", &[], NO_SIGNING),
        ("sign-by-sq-fingerprint", &[], NO_SIGNING),
        ("sign-passphrase-file", &[], NO_SIGNING),
    ];
}

/// Make and push lists of images for several platforms
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a list, and put images into it
    Create(CreateArguments),
    /// Put an image or files into a list
    Add(Box<AddArguments>),
    /// Change what a list says of an image in it
    Annotate(AnnotateArguments),
    /// Show a list
    Inspect(InspectArguments),
    /// Push a list to a registry, or to anywhere else
    Push(Box<PushArguments>),
    /// Take an image out of a list
    Remove(RemoveArguments),
    /// Remove lists from the store
    Rm(RmArguments),
    /// Tell by the exit code whether there is a list
    Exists(ExistsArguments),
}

/// Make a list, and put images into it
#[derive(Args, Debug)]
pub struct CreateArguments {
    /// The name of the list
    list: String,
    /// The images: of the store, or else of a registry
    images: Vec<String>,
    /// Of an image that is a list itself, put in all that is in it
    #[arg(long)]
    all: bool,
    /// Where the list is there already, add to it
    #[arg(short, long)]
    amend: bool,
    /// Take the name away from what has it
    #[arg(long, conflicts_with = "amend")]
    replace: bool,
    /// Say something of the list, NAME=VALUE
    #[arg(long, value_name = "ANNOTATION")]
    annotation: Vec<String>,
    #[command(flatten)]
    registry: RegistryArguments,
}

/// Put an image or files into a list
#[derive(Args, Debug)]
pub struct AddArguments {
    /// The list
    list: String,
    /// The image: of the store, or else of a registry; with --artifact, files
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// Of an image that is a list itself, put in all that is in it
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    artifact: ArtifactArguments,
    #[command(flatten)]
    entry: EntryArguments,
    #[command(flatten)]
    registry: RegistryArguments,
}

/// Change what a list says of an image in it
#[derive(Args, Debug)]
pub struct AnnotateArguments {
    /// The list
    list: String,
    /// The image or the artifact: its digest, its name, or a file of it
    image: Option<String>,
    /// Change what is said of the list itself
    #[arg(long)]
    index: bool,
    /// The image that the list is about: of the store, or else of a registry
    #[arg(long, value_name = "IMAGE")]
    subject: Option<String>,
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
pub struct InspectArguments {
    /// The list: of the store, or else of a registry
    list: String,
    #[command(flatten)]
    registry: RegistryArguments,
    /// Docker's word for --tls-verify=false
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    insecure: Option<bool>,
}

/// Push a list to a registry, or to anywhere else
#[derive(Args, Debug)]
pub struct PushArguments {
    /// The list, and where to: a name, or TRANSPORT:DETAILS [default: as the list is called]
    #[arg(value_names = ["LIST", "DESTINATION"], required = true, num_args = 1..=2)]
    names: Vec<String>,
    #[command(flatten)]
    refused: Refused<OfLists>,
    /// Push the images in it too
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    all: Option<bool>,
    /// Write the digest of the list to this file
    #[arg(long, value_name = "FILE")]
    digestfile: Option<PathBuf>,
    /// Write lists in this format: oci or v2s2
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    #[command(flatten)]
    compression: CompressionArguments,
    /// Push the images in these compressions too: gzip, zstd or zstd:chunked
    #[arg(long, value_name = "FORMAT", value_delimiter = ',')]
    add_compression: Option<Vec<String>>,
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
pub struct RemoveArguments {
    /// The list
    list: String,
    /// The image or the artifact: its digest, its name, or a file of it
    #[arg(value_name = "DIGEST")]
    instance: String,
}

/// Remove lists from the store
#[derive(Args, Debug)]
pub struct RmArguments {
    /// The lists
    #[arg(required = true)]
    lists: Vec<String>,
    /// Do not fail where there is no such list
    #[arg(short, long)]
    ignore: bool,
}

/// Tell by the exit code whether there is a list
#[derive(Args, Debug)]
pub struct ExistsArguments {
    /// The list
    list: String,
}

/// Carries a command out; an error of a list ends the program as podman's and buildah's end it.
pub fn run(
    command: Command,
    images: &Images,
    settings: &Settings,
    manner: Manner,
) -> Result<ExitCode> {
    match command {
        Command::Create(arguments) => wait(create(&arguments, images, settings, manner))?,
        Command::Add(arguments) => wait(add(&arguments, images, settings, manner))?,
        Command::Annotate(arguments) => wait(annotate(&arguments, images, settings, manner))?,
        Command::Inspect(arguments) => {
            let mut settings = settings.clone();
            settings.tls_verify = arguments.insecure.map(|is| !is).or(settings.tls_verify);
            wait(inspect_list(&arguments.list, &arguments.registry, images, &settings))?;
        }
        Command::Push(arguments) => wait(push(*arguments, images, settings, manner))?,
        Command::Remove(arguments) => wait(remove(&arguments, images, settings, manner))?,
        Command::Rm(arguments) => return remove_lists(&arguments, images, manner),
        Command::Exists(arguments) => {
            return match images.find_list(&arguments.list) {
                Ok(_) => Ok(ExitCode::SUCCESS),
                Err(error) if error.kind() == ErrorKind::ImageNotKnown => Ok(ExitCode::from(1)),
                Err(error) if error.kind() == ErrorKind::Invalid => Err(error)
                    .with_context(|| format!("{}: image is not a manifest list", arguments.list)),
                Err(error) => Err(error.into()),
            };
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    stop::run(runtime, None, work)
}

async fn create(
    arguments: &CreateArguments,
    images: &Images,
    settings: &Settings,
    manner: Manner,
) -> Result<()> {
    let mut found = Vec::new();
    for name in &arguments.images {
        found.push(elsewhere(name, &arguments.registry, images, settings).await?);
    }
    let wanted = entries(arguments.all, None);
    let annotations = pairs(&arguments.annotation, manner)?;
    let fill = |list: &mut ImageList| {
        for (name, found) in arguments.images.iter().zip(&found) {
            match found {
                Some(found) => list.add_found(found, &wanted)?,
                None => images.add_to_list(list, name, &wanted)?,
            };
        }
        list.index.annotations.extend(annotations);
        Ok(())
    };
    let id = if arguments.amend && images.find_list(&arguments.list).is_ok() {
        images.change_list(&arguments.list, fill)?.0.image.id.clone()
    } else {
        images.create_list(&arguments.list, arguments.replace, fill)?
    };
    output::line(id.as_str())
}

async fn add(
    arguments: &AddArguments,
    images: &Images,
    settings: &Settings,
    manner: Manner,
) -> Result<()> {
    images.find_list(&arguments.list)?;
    if arguments.artifact.are_given()? {
        return artifact::add(arguments, images, settings, manner).await;
    }
    if manner == Manner::Buildah && arguments.images.len() > 1 {
        bail!("too many arguments: expected list and image add to list");
    }
    let mut found = Vec::new();
    for name in &arguments.images {
        found.push(elsewhere(name, &arguments.registry, images, settings).await?);
    }
    let change = arguments.entry.change(manner)?;
    let wanted = entries(arguments.all, Some(&arguments.entry));
    let (list, digests) = images.change_list(&arguments.list, |list| {
        let mut digests = Vec::new();
        for (name, found) in arguments.images.iter().zip(&found) {
            digests.extend(match found {
                Some(found) => list.add_found(found, &wanted)?,
                None => images.add_to_list(list, name, &wanted)?,
            });
        }
        for digest in &digests {
            // What was said of the platform of a list chose among its images.
            list.change(digest, &change)?;
        }
        Ok(digests)
    })?;
    said(&list, Some(digests.last().context("nothing was added")?), manner)
}

/// What an image says that is not in the store; nothing where it is.
async fn elsewhere(
    name: &str,
    registry: &RegistryArguments,
    images: &Images,
    settings: &Settings,
) -> Result<Option<FoundEntries>> {
    let not_here = match images.find(name) {
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == ErrorKind::ImageNotKnown => error,
        Err(error) => return Err(error.into()),
    };
    let transports = registry.transports(images, settings).await?;
    let location =
        transports.parse(name).or_else(|_| transports.parse(&format!("docker://{name}")));
    let Ok(location) = location else { return Err(not_here.into()) };
    let progress = ProgressChoice::Auto.start(true);
    let platform = PlatformWanted::of_this_build();
    let options = moving::copy_options(settings, platform, &progress, true)?;
    let found = images.find_for_list(&*location, &options).await;
    let found = found.with_context(|| {
        format!(
            "{name} is not in the store: reading manifest and configuration from {:?}",
            location.to_string()
        )
    })?;
    Ok(Some(found))
}

async fn annotate(
    arguments: &AnnotateArguments,
    images: &Images,
    settings: &Settings,
    manner: Manner,
) -> Result<()> {
    let change = arguments.entry.change(manner)?;
    if arguments.index || arguments.subject.is_some() {
        return annotate_list(arguments, &change, images, settings, manner).await;
    }
    let Some(image) = &arguments.image else {
        bail!("expected an instance digest, image name, or artifact name");
    };
    let digest = artifact::instance(&arguments.list, image, images, settings).await?;
    let (list, ()) = images.change_list(&arguments.list, |list| list.change(&digest, &change))?;
    said(&list, Some(&digest), manner)
}

/// Changes what is said of the list itself.
async fn annotate_list(
    arguments: &AnnotateArguments,
    change: &EntryChange,
    images: &Images,
    settings: &Settings,
    manner: Manner,
) -> Result<()> {
    if let Some(image) = &arguments.image {
        bail!(
            "did not expect image or artifact name {image:?} when modifying the entire index: --index and --subject \
             are about the list"
        );
    }
    if change.is_of_platform() {
        bail!("--index and --subject are about the list: give no platform with them");
    }
    let subject = match &arguments.subject {
        Some(name) => {
            let registry = RegistryArguments::default();
            Some(artifact::subject(name, &registry, images, settings).await?)
        }
        None => None,
    };
    let (list, ()) = images.change_list(&arguments.list, |list| {
        list.index.annotations.extend(change.annotations.iter().cloned());
        if subject.is_some() {
            list.index.subject = subject;
        }
        Ok(())
    })?;
    said(&list, None, manner)
}

async fn remove(
    arguments: &RemoveArguments,
    images: &Images,
    settings: &Settings,
    manner: Manner,
) -> Result<()> {
    let digest = artifact::instance(&arguments.list, &arguments.instance, images, settings).await?;
    let (list, ()) = images.change_list(&arguments.list, |list| list.remove(&digest))?;
    said(&list, Some(&digest), manner)
}

/// Source: buildah, `cmd/buildah/manifest.go`; podman, `cmd/podman/manifest`.
fn said(list: &ImageList, digest: Option<&Digest>, manner: Manner) -> Result<()> {
    match (manner, digest) {
        (Manner::Buildah, Some(digest)) => output::line(&format!("{}: {digest}", list.image.id)),
        (Manner::Buildah, None) | (Manner::Podman, _) => output::line(list.image.id.as_str()),
    }
}

/// Shows a list of the store, or of elsewhere.
pub async fn inspect_list(
    name: &str,
    registry: &RegistryArguments,
    images: &Images,
    settings: &Settings,
) -> Result<()> {
    let here = match images.find(name) {
        Ok(found) => Some(images.manifest(&found.image)?.0),
        Err(error) if error.kind() == ErrorKind::ImageNotKnown => None,
        Err(error) => return Err(error.into()),
    };
    let raw = match here {
        Some(raw) if raw.media_type().is_index() => return shown::list(&images.find_list(name)?),
        here => {
            let read = elsewhere_raw(name, registry, images, settings).await;
            match (read, here) {
                (Ok(raw), _) if raw.media_type().is_index() => raw,
                (Ok(raw), _) | (Err(_), Some(raw)) => {
                    bail!("{name}: manifest is of type {} (not a list type)", raw.media_type())
                }
                (Err(error), None) => return Err(error),
            }
        }
    };
    output::bytes(shown::indented(raw.bytes()).as_bytes())
}

async fn elsewhere_raw(
    name: &str,
    registry: &RegistryArguments,
    images: &Images,
    settings: &Settings,
) -> Result<RawManifest> {
    let transports = registry.transports(images, settings).await?;
    let location =
        transports.parse(name).or_else(|_| transports.parse(&format!("docker://{name}")))?;
    let read = inspect(&*location, &*policy::read(settings)?, false).await;
    let read = read.with_context(|| format!("reading image {:?}", location.to_string()))?;
    Ok(read.top().clone())
}

async fn push(
    arguments: PushArguments,
    images: &Images,
    settings: &Settings,
    manner: Manner,
) -> Result<()> {
    arguments.refused.check()?;
    let (name, destination) = match arguments.names.as_slice() {
        [name, destination] => (name, destination),
        [name, ..] => (name, name),
        [] => bail!("requires at least 1 arg(s), only received 0"),
    };
    images.find_list(name)?;
    let transports = arguments.registry.transports(images, settings).await?;
    let progress = ProgressChoice::Auto.start(arguments.quiet);
    let platform = PlatformWanted::of_this_build();
    let mut options = moving::copy_options(settings, platform, &progress, arguments.quiet)?;
    let asked = arguments.add_compression.as_ref();
    let all = arguments.all.unwrap_or(manner == Manner::Podman || asked.is_some());
    options.instances = if all { Instances::All } else { Instances::IndexOnly };
    options.attached.remove_signatures = arguments.remove_signatures;
    options.format = moving::format(arguments.format.as_deref())?;
    let conf = &containers_conf::load()?.engine.compression;
    match manner {
        Manner::Buildah => arguments.compression.apply(&mut options)?,
        Manner::Podman => arguments.compression.apply_or(&mut options, conf)?,
    };
    let added = asked.or_else(|| conf.added.as_ref().filter(|_| all));
    let added = added.into_iter().flatten().map(String::as_str).map(moving::compression);
    options.added_compressions = added.collect::<Result<_>>()?;
    let report = images.push(name, destination, &transports, &options).await?;
    progress.finish();
    if let Some(file) = &arguments.digestfile {
        std::fs::write(file, report.manifest.digest().as_str())
            .with_context(|| format!("failed to write digest to file {:?}", file.display()))?;
    }
    if arguments.rm {
        images.remove(&images.find(name)?, Removal::default())?;
    }
    Ok(())
}

/// Removes as many as can be: 1 where some are not known, as podman's `rmi` ends.
fn remove_lists(arguments: &RmArguments, images: &Images, manner: Manner) -> Result<ExitCode> {
    let is_unknown = |error: &anyhow::Error| {
        let known = error.downcast_ref::<cask_engine::Error>();
        known.is_some_and(|error| error.kind() == ErrorKind::ImageNotKnown)
    };
    let mut errors = Vec::new();
    for name in &arguments.lists {
        match remove_list(images, name, manner) {
            Err(error) if arguments.ignore && is_unknown(&error) => {}
            Err(error) => errors.push(error),
            Ok(()) => {}
        }
    }
    let unknown = manner == Manner::Podman && errors.iter().all(is_unknown);
    let Some(last) = errors.pop() else { return Ok(ExitCode::SUCCESS) };
    errors.iter().for_each(|error| report::engine_failure(error, |_| None));
    if unknown {
        report::engine_failure(&last, |_| None);
        return Ok(ExitCode::from(1));
    }
    Err(last)
}

fn remove_list(images: &Images, name: &str, manner: Manner) -> Result<()> {
    images.find_list(name)?;
    let removed = images.remove(&images.find(name)?, Removal::default())?;
    let (untag, delete) = match manner {
        Manner::Buildah => ("untagged: ", ""),
        Manner::Podman => ("Untagged: ", "Deleted: "),
    };
    let untagged = removed.untagged.iter().map(|name| format!("{untag}{name}\n"));
    let deleted = removed.deleted.iter().map(|id| format!("{delete}{id}\n"));
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
    fn change(&self, manner: Manner) -> Result<EntryChange> {
        let mut change = EntryChange::default();
        change.architecture.clone_from(&self.arch);
        change.os.clone_from(&self.os);
        change.variant.clone_from(&self.variant);
        change.os_version.clone_from(&self.os_version);
        change.os_features.clone_from(&self.os_features);
        change.features.clone_from(&self.features);
        change.annotations = pairs(&self.annotation, manner)?;
        Ok(change)
    }
}

/// Reads annotations, NAME=VALUE; buildah takes several in one.
fn pairs(annotations: &[String], manner: Manner) -> Result<Vec<(String, String)>> {
    let pair = |annotation: &str| match annotation.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => bail!("no value given for annotation {annotation:?}: write NAME=VALUE"),
    };
    let several = |annotation: &String| match manner {
        Manner::Buildah => annotation.split(',').map(str::to_owned).collect(),
        Manner::Podman => vec![annotation.clone()],
    };
    annotations.iter().flat_map(several).map(|annotation| pair(&annotation)).collect()
}
