//! `cooper commit`

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use cask::copy::{LayersWanted, copy};
use cask::layer::Compression;
use cask_build::{AddedFile, CommitOptions, CommittedImage, ConfigChange, WorkingContainers};
use cask_engine::{Images, NewEntry, SamePlatform};
use cask_image::{ImageFormat, Manifest, PlatformWanted, RawManifest, Timestamp};
use cask_program::access;
use cask_program::compression::CompressionArguments;
use cask_program::progress::ProgressChoice;
use cask_program::{output, override_config, report};
use clap::Args;
use serde_json::json;

use super::create::change_of;
use super::refused::OfCommit;
use crate::context::{Context, format, now};
use cask_program::moving::{self, RegistryArguments};
use cask_program::refused::Refused;

/// The annotation that says when an image was made.
const CREATED: &str = "org.opencontainers.image.created";

/// Make an image of a working container
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The container, and where the image goes: a name, or TRANSPORT:DETAILS [default: the store, without a name]
    #[arg(value_names = ["CONTAINER", "IMAGE"])]
    names: Vec<String>,
    #[command(flatten)]
    refused: Refused<OfCommit>,
    /// The format of the image: oci or docker [default: $BUILDAH_FORMAT, else oci]
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Make one layer of all files, those of the base included
    #[arg(long)]
    squash: bool,
    /// Leave the history out
    #[arg(long)]
    omit_history: bool,
    /// Write the ID of the image to this file, with sha256: before it
    #[arg(long, value_name = "FILE")]
    iidfile: Option<PathBuf>,
    /// Write what became of it to this file, as JSON
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
    /// Put the image into this list, which is made where there is none
    #[arg(long, value_name = "LIST")]
    manifest: Option<String>,
    /// Remove the container afterwards
    #[arg(long)]
    rm: bool,
    /// Say nothing but the ID
    #[arg(short, long)]
    quiet: bool,
    /// Do not compress layers [default: true, unless a compression is named]
    #[arg(short = 'D', long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    disable_compression: Option<String>,
    #[command(flatten)]
    compression: CompressionArguments,
    #[command(flatten)]
    dates: DateArguments,
    #[command(flatten)]
    says: SaysArguments,
    #[command(flatten)]
    registry: RegistryArguments,
}

/// What dates the image has.
#[derive(Args, Debug)]
struct DateArguments {
    /// The date of the image, of its history and of the files of the new layer, in seconds since 1970
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    timestamp: Option<i64>,
    /// The same, of a file
    #[arg(long, value_name = "FILE", hide = true)]
    reference_time: Option<PathBuf>,
    /// The same, and 1970
    #[arg(long, hide = true)]
    omit_timestamp: bool,
    /// The date of the image and of its history, in seconds since 1970 [default: $SOURCE_DATE_EPOCH]
    #[arg(long, value_name = "SECONDS")]
    source_date_epoch: Option<i64>,
    /// With that date, no file of the new layer is newer than the image
    #[arg(long)]
    rewrite_timestamp: bool,
}

/// What the image says otherwise than the container.
#[derive(Args, Debug)]
struct SaysArguments {
    /// Say in a label what made the image [default: true, but where a date is given]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    identity_label: Option<String>,
    /// An annotation, NAME=VALUE
    #[arg(long, value_name = "ANNOTATION")]
    annotation: Vec<String>,
    /// Say in an annotation when the image was made [default: false]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    created_annotation: Option<String>,
    /// Take an annotation away
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    unsetannotation: Vec<String>,
    /// Take a variable away
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    unsetenv: Vec<String>,
    /// An instruction, as in a Containerfile: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// A config of Docker's as JSON, which comes over what the container says
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Add a file of this machine to the image, in a layer of its own
    #[arg(long, value_name = "FILE[:PATH]")]
    add_file: Vec<String>,
}

/// Makes an image and prints its ID.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    arguments.refused.check()?;
    let (name, wanted) = match arguments.names.as_slice() {
        [] => bail!("container ID must be specified"),
        [name] => (name, None),
        [name, wanted] => (name, Some(wanted.as_str()).filter(|wanted| !wanted.is_empty())),
        _ => bail!("too many arguments specified"),
    };
    let images = context.images()?;
    let containers = WorkingContainers::new(images.store().clone());
    let container =
        containers.find(name).with_context(|| format!("reading build container {name:?}"))?;
    let mut options = arguments.options()?;
    if arguments.compression.are_given() && arguments.is_plain()? == Some(true) {
        bail!("can't specify both --disable-compression and --compression-format");
    }
    let transports = arguments.registry.transports(&images, &context.settings).await?;
    let elsewhere = wanted.filter(|wanted| match wanted.split_once(':') {
        // Another store than this one.
        Some(("containers-storage", rest)) => rest.starts_with('['),
        Some((scheme, _)) => transports.find(scheme).is_some(),
        None => false,
    });
    if let Some(wanted) = wanted
        && elsewhere.is_none()
    {
        options.names.push(store_name(wanted)?);
    }
    let worker = container.clone();
    let failed = || {
        format!("committing container {:?} to {:?}", container.name(), wanted.unwrap_or_default())
    };
    // Whatever may fail afterwards needs the container.
    let removes = arguments.rm && elsewhere.is_none() && arguments.manifest.is_none();
    let committed = tokio::task::spawn_blocking(move || match removes {
        true => worker.commit_and_remove(&options),
        false => worker.commit(&options),
    });
    let committed = committed.await?;
    let committed = committed.with_context(failed)?;
    committed.warnings.iter().for_each(|warning| report::note(warning));
    let mut manifest = committed.manifest.clone();
    if let Some(wanted) = elsewhere {
        let sent = send(&committed, wanted, &arguments, &transports, context).await;
        // A list needs it.
        if arguments.manifest.is_none() || sent.is_err() {
            forget(&committed, &images)?;
        }
        manifest = sent.with_context(failed)?;
    }
    if let Some(file) = &arguments.metadata_file {
        let text = metadata(&manifest)?;
        std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
    }
    if let Some(list) = &arguments.manifest {
        let entry = NewEntry {
            id: committed.id.clone(),
            manifest: committed.manifest.clone(),
            platform: committed.platform.clone(),
        };
        let list = std::slice::from_ref(list);
        images
            .put_in_list(list, &[entry], SamePlatform::Stays, ImageFormat::Oci)
            .context("adding the image to the list")?;
    }
    match &arguments.iidfile {
        Some(file) => std::fs::write(file, format!("sha256:{}", committed.id))
            .with_context(|| format!("writing {}", file.display()))?,
        // What is not in the store has no ID there.
        None if elsewhere.is_some() => {}
        None => output::line(committed.id.as_str())?,
    }
    if arguments.rm && !removes {
        containers.remove(&container)?;
    }
    Context::warn(images.store());
    Ok(())
}

/// The whole name of an image of the store.
fn store_name(wanted: &str) -> Result<String> {
    let bare = wanted.strip_prefix("containers-storage:").unwrap_or(wanted);
    cask_engine::whole_name(bare)
        .map(|name| name.to_string())
        .with_context(|| format!("parsing target image name {wanted:?}"))
}

/// Copies the image to where it is wanted.
async fn send(
    committed: &CommittedImage,
    wanted: &str,
    arguments: &Arguments,
    transports: &cask::transport::Transports,
    context: &Context,
) -> Result<RawManifest> {
    let to = transports.parse(wanted)?;
    let from = transports.parse(&format!("containers-storage:@{}", committed.id))?;
    let progress = ProgressChoice::Auto.start(arguments.quiet);
    let platform = PlatformWanted::of_this_build();
    let mut options =
        moving::copy_options(&context.settings, platform, &progress, arguments.quiet)?;
    if !arguments.compression.apply(&mut options)? {
        options.layers.wanted = match arguments.is_plain()? {
            Some(false) => LayersWanted::CompressPlain(Compression::Gzip),
            // Registries get compressed layers always.
            _ if to.scheme() == "docker" => LayersWanted::AsDestinationWants,
            _ => LayersWanted::Keep,
        };
    }
    let report = copy(&*from, &*to, &options).await?;
    progress.finish();
    Ok(report.manifest)
}

/// What came of it, under the keys of BuildKit.
///
/// Source: buildah 1.42, `internal/metadata`, `Build`.
fn metadata(manifest: &RawManifest) -> Result<String> {
    let mut keys = serde_json::Map::new();
    if let Manifest::Image(image) = manifest.parse()? {
        let digest = image.config.digest.as_str().into();
        keys.insert("containerimage.config.digest".to_owned(), digest);
    }
    let of = manifest.descriptor();
    let (kind, digest) = (of.media_type.to_string(), of.digest.as_str());
    let descriptor = json!({"mediaType": kind, "digest": digest, "size": of.size});
    keys.insert("containerimage.descriptor".to_owned(), descriptor);
    keys.insert("containerimage.digest".to_owned(), digest.into());
    Ok(serde_json::to_string(&keys)?)
}

/// Takes an image out of the store that was only on its way.
fn forget(committed: &CommittedImage, images: &Images) -> Result<()> {
    if committed.was_there {
        return Ok(());
    }
    let store = images.store();
    match store.image(&committed.id)? {
        // Somebody may have given it a name meanwhile.
        Some(image) if image.names.is_empty() => store.delete_image(&committed.id).map(drop)?,
        _ => {}
    }
    Ok(())
}

impl Arguments {
    /// Whether layers are not to be compressed, where a flag says so.
    fn is_plain(&self) -> Result<Option<bool>> {
        access::boolean("disable-compression", self.disable_compression.as_deref())
    }

    fn options(&self) -> Result<CommitOptions> {
        let mut options = CommitOptions::new(now()?);
        options.format = match &self.format {
            Some(format_name) => Some(format(Some(format_name))?),
            None => None,
        };
        if options.format.is_none() && std::env::var_os("BUILDAH_FORMAT").is_some() {
            options.format = Some(format(None)?);
        }
        options.squash = self.squash;
        options.omit_history = self.omit_history;
        self.dates.set(&mut options)?;
        let pinned = options.dates != cask_build::WorkingDates::default();
        let wants_label = match &self.says.identity_label {
            Some(text) => access::boolean_value("identity-label", text)?,
            None => !pinned,
        };
        if wants_label {
            options.identity_label =
                Some(("io.buildah.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
        }
        options.remove_environment.clone_from(&self.says.unsetenv);
        let says_when = self.says.created_annotation.as_deref();
        if access::boolean("created-annotation", says_when)? == Some(true) {
            let seconds = options.dates.timestamp.or(options.dates.source_date_epoch);
            let given = seconds.and_then(|seconds| Timestamp::from_unix(seconds, 0));
            let text = format!("{CREATED}={}", given.unwrap_or(options.now));
            options.changes.push(ConfigChange::Annotations(vec![text]));
        }
        options.changes.extend(self.says.changes()?);
        options.added = self.says.add_file.iter().map(|text| added(text)).collect();
        Ok(options)
    }
}

impl DateArguments {
    fn set(&self, options: &mut CommitOptions) -> Result<()> {
        let given = [self.timestamp.is_some(), self.reference_time.is_some(), self.omit_timestamp];
        if given.iter().filter(|given| **given).count() > 1 {
            bail!("can not use more then one timestamp option at at time");
        }
        options.dates.timestamp = self.timestamp.or(self.omit_timestamp.then_some(0));
        if let Some(file) = &self.reference_time {
            let found = std::fs::metadata(file)
                .with_context(|| format!("reading timestamp of file {:?}", file.display()))?;
            options.dates.timestamp = Some(found.mtime());
        }
        options.dates.source_date_epoch = match self.source_date_epoch {
            Some(seconds) => Some(seconds),
            None => match std::env::var("SOURCE_DATE_EPOCH") {
                Ok(text) if !text.is_empty() => Some(
                    text.parse().with_context(|| format!("parsing SOURCE_DATE_EPOCH {text:?}"))?,
                ),
                _ => None,
            },
        };
        options.dates.rewrite = self.rewrite_timestamp;
        if self.rewrite_timestamp && options.dates.source_date_epoch.is_none() {
            bail!("--rewrite-timestamp needs a date: give --source-date-epoch");
        }
        Ok(())
    }
}

impl SaysArguments {
    fn changes(&self) -> Result<Vec<ConfigChange>> {
        let mut changes = Vec::new();
        if let Some(file) = &self.config {
            changes.push(ConfigChange::Config(override_config::read(file)?));
        }
        for instruction in &self.change {
            let (word, rest) =
                instruction.trim().split_once(char::is_whitespace).unwrap_or_default();
            let change = change_of(&word.to_ascii_uppercase(), rest.trim());
            changes.push(change.with_context(|| {
                format!(
                    "the change {instruction:?} is no instruction that changes the config alone"
                )
            })?);
        }
        if !self.unsetannotation.is_empty() {
            changes.push(ConfigChange::RemoveAnnotations(self.unsetannotation.clone()));
        }
        if !self.annotation.is_empty() {
            changes.push(ConfigChange::Annotations(self.annotation.clone()));
        }
        Ok(changes)
    }
}

/// `FILE[:PATH]`; without a path it is that of the file.
fn added(text: &str) -> AddedFile {
    let (source, destination) = text.split_once(':').unwrap_or((text, text));
    AddedFile::new(source, destination)
}
