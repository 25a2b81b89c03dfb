//! `dray copy`

mod tags;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use cask::copy::digest_tags;
use cask_program::access::{BothArguments, DestinationArguments, SourceArguments};
use cask_program::progress::ProgressChoice;
use cask_program::refused::Refused;
use cask_program::transports;
use clap::{Args, ValueEnum};

use super::refused::OfCopy;
use crate::context::Context;
use crate::options;
use crate::options::signing::SigningArguments;

/// Copy an image, or everything in an index, from one place to another
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// What to copy, as TRANSPORT:DETAILS
    source_image: String,
    /// Where to, as TRANSPORT:DETAILS
    destination_image: String,
    /// Copy all images if SOURCE-IMAGE is a list
    #[arg(short, long)]
    pub(crate) all: bool,
    /// What to copy of a list: system, all, index-only, or platforms such as
    /// linux/amd64,linux/arm64
    #[arg(long, value_delimiter = ',', value_name = "CHOICE")]
    pub(crate) multi_arch: Vec<String>,
    /// Copy the list with the images for these platforms
    #[arg(long, value_delimiter = ',', value_name = "OS/ARCH[/VARIANT]", conflicts_with_all = ["all", "multi_arch"])]
    pub(crate) platform: Vec<String>,
    /// What becomes of a list of which only a part is copied
    #[arg(long, value_enum, default_value_t = IndexChoice::Strip, value_name = "CHOICE")]
    pub(crate) index: IndexChoice,
    /// Fail rather than change a manifest
    #[arg(long)]
    pub(crate) preserve_digests: bool,
    /// Copy all images of a repository or layout, each under its tag; both names are without one
    #[arg(long, conflicts_with_all = ["additional_tag", "digest_tags", "dest_append", "explain"])]
    all_tags: bool,
    /// Copy the tags too that begin with a digest of the image: sha256-….sig and the like
    #[arg(long)]
    digest_tags: bool,
    /// Never put another image where the destination has one; with --all-tags, skip its tags
    #[arg(short, long)]
    pub(crate) no_clobber: bool,
    /// Write manifests in this format: oci or v2s2
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// Write the digest of the copied image to this file
    #[arg(long, value_name = "FILE")]
    digestfile: Option<PathBuf>,
    /// Give the image this name too (docker-archive and docker-daemon only)
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) additional_tag: Vec<String>,
    /// Do not copy signatures
    #[arg(long)]
    pub(crate) remove_signatures: bool,
    /// Copy what refers to the image too: signatures, attestations and the like
    #[arg(long)]
    pub(crate) referrers: bool,
    /// Compress plain layers
    #[arg(long, conflicts_with = "dest_decompress")]
    pub(crate) dest_compress: bool,
    /// Decompress layers
    #[arg(long, conflicts_with = "dest_compress_format")]
    pub(crate) dest_decompress: bool,
    /// Compress layers by gzip, zstd or zstd:chunked
    #[arg(long, value_name = "FORMAT")]
    pub(crate) dest_compress_format: Option<String>,
    /// The level of compression: gzip 1 to 9, zstd 1 to 20
    #[arg(long, value_name = "LEVEL", conflicts_with = "dest_decompress")]
    pub(crate) dest_compress_level: Option<i32>,
    /// Never take a layer in another compression for the one that was asked for
    #[arg(long, requires = "dest_compress_format")]
    dest_force_compress_format: bool,
    /// Make changed layers once before they are sent, to send none that the destination has
    #[arg(long)]
    pub(crate) dest_precompute_digests: bool,
    /// Leave plain layers plain (oci and oci-archive only)
    #[arg(long, conflicts_with_all = ["dest_compress", "dest_compress_format", "dest_decompress"])]
    pub(crate) dest_oci_accept_uncompressed_layers: bool,
    /// Add the image to an archive that exists (docker-archive and oci-archive only)
    #[arg(long)]
    dest_append: bool,
    /// Write an archive that is an OCI layout too, as Docker 25 does (docker-archive only)
    #[arg(long)]
    dest_hybrid: bool,
    /// Where the source's layouts share their blobs
    #[arg(long, value_name = "DIRECTORY")]
    src_shared_blob_dir: Option<PathBuf>,
    /// Where the destination's layouts share their blobs
    #[arg(long, value_name = "DIRECTORY")]
    dest_shared_blob_dir: Option<PathBuf>,
    /// Use the source's Docker daemon here [default: unix:///var/run/docker.sock]
    #[arg(long, value_name = "HOST")]
    src_daemon_host: Option<String>,
    /// Use the destination's Docker daemon here
    #[arg(long, value_name = "HOST")]
    dest_daemon_host: Option<String>,
    /// How many blobs are copied at once [default: 6]
    #[arg(long, value_name = "N")]
    pub(crate) image_parallel_copies: Option<usize>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Say what is done with each part, and why
    #[arg(long)]
    explain: bool,
    /// Say nothing while copying
    #[arg(short, long)]
    quiet: bool,
    /// How to show progress
    #[arg(long, value_enum, default_value_t = ProgressChoice::Auto, value_name = "HOW")]
    progress: ProgressChoice,
    #[command(flatten)]
    signing: SigningArguments,
    #[command(flatten)]
    refused: Refused<OfCopy>,
    #[command(flatten)]
    both: BothArguments,
    #[command(flatten)]
    source: SourceArguments,
    #[command(flatten)]
    destination: DestinationArguments,
}

/// What becomes of a list of which only a part is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IndexChoice {
    /// It lists what was copied; its digest changes
    Strip,
    /// It stays as it is, and lists what is not there
    Keep,
}

/// Copies.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    arguments.signing.check()?;
    arguments.refused.check()?;
    let settings = &context.settings;
    let mut here = transports::options(settings, arguments.src_shared_blob_dir.as_deref());
    let host = arguments.src_daemon_host.as_deref();
    transports::set_daemon(&mut here, "--src-daemon-host", host)?;
    let access = arguments.source.resolve(&arguments.both, settings).await?;
    transports::set_access(&mut here, &access, settings);
    let sources = cask::transports(&here);
    let mut there = transports::options(settings, arguments.dest_shared_blob_dir.as_deref());
    there.extend_archives = arguments.dest_append || arguments.all_tags;
    there.hybrid_docker_archives = arguments.dest_hybrid;
    let host = arguments.dest_daemon_host.as_deref();
    transports::set_daemon(&mut there, "--dest-daemon-host", host)?;
    let access = arguments.destination.resolve(&arguments.both, settings).await?;
    transports::set_access(&mut there, &access, settings);
    let destinations = cask::transports(&there);
    if arguments.all_tags {
        return tags::all(&arguments, context, &sources, &destinations).await;
    }
    let from = sources
        .parse(&arguments.source_image)
        .with_context(|| format!("Invalid source name {}", arguments.source_image))?;
    let to = destinations
        .parse(&arguments.destination_image)
        .with_context(|| format!("Invalid destination name {}", arguments.destination_image))?;
    if arguments.dest_append && !matches!(to.scheme(), "docker-archive" | "oci-archive") {
        bail!("--dest-append is for docker-archive: and oci-archive: only");
    }
    if arguments.dest_hybrid && to.scheme() != "docker-archive" {
        bail!("--dest-hybrid is for docker-archive: only");
    }
    let progress = arguments.progress.start(arguments.quiet || arguments.dry_run);
    let options =
        options::copy::resolve(&arguments, context, to.scheme(), progress.sink("Copying"))?;
    let planned = cask::copy::plan(&*from, &*to, &options).await?;
    tracing::debug!("{}", planned.plan());
    if arguments.dry_run || arguments.explain {
        progress.print(&planned.plan().to_string());
    }
    let beside = match arguments.digest_tags {
        true => digest_tags(&*from, &planned).await?,
        false => Vec::new(),
    };
    if arguments.dry_run {
        return Ok(());
    }
    let report = planned.execute().await?;
    tags::beside(beside, (&*from, &sources), (&*to, &destinations), &options).await?;
    progress.finish();
    if let Some(file) = &arguments.digestfile {
        std::fs::write(file, report.manifest.digest().as_str())
            .with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}
