//! `dray sync`

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Result, bail};
use cask::copy::sync_sets;
use cask_program::access::{BothArguments, DestinationArguments, SourceArguments};
use cask_program::progress::ProgressChoice;
use cask_program::{report, transports};
use clap::Args;

use crate::context::Context;
use crate::options;
use crate::options::signing::SigningArguments;
use crate::synced::{self, ReportChoice};

/// Bring many images up to date: a repository, a tree, a layout, an archive or a list in YAML
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The transport of the source: docker, dir, oci, oci-archive, docker-archive, docker-daemon,
    /// containers-storage or yaml
    #[arg(short, long, value_name = "TRANSPORT", default_value = "", hide_default_value = true)]
    pub(crate) src: String,
    /// The transport of the destination: docker, dir, oci, oci-archive, docker-archive,
    /// docker-daemon or containers-storage
    #[arg(short, long, value_name = "TRANSPORT", default_value = "", hide_default_value = true)]
    pub(crate) dest: String,
    /// Where the images are, without the transport: a repository or an image, a directory of
    /// images or of layouts, an archive, a YAML file
    pub(crate) source: String,
    /// Where they go, without the transport: the beginning of their names, a directory, an archive,
    /// a store in brackets
    pub(crate) destination: String,
    /// Keep the whole of the images' names
    #[arg(long)]
    pub(crate) scoped: bool,
    /// Put this behind the images' tags
    #[arg(long, value_name = "SUFFIX", default_value = "", hide_default_value = true)]
    pub(crate) append_suffix: String,
    /// Copy every image of a list, and the list
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Take away the tags that the source no longer has
    #[arg(long)]
    pub(crate) prune: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Go on after an image that cannot be copied
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Fail rather than change a manifest
    #[arg(long)]
    pub(crate) preserve_digests: bool,
    /// Write manifests in this format: oci or v2s2
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// Do not copy signatures
    #[arg(long)]
    pub(crate) remove_signatures: bool,
    /// Write the digests of the images, and where they are, to this file
    #[arg(long, value_name = "FILE")]
    digestfile: Option<PathBuf>,
    /// How many images are looked at and copied at once [default: 4]
    #[arg(long, value_name = "N")]
    pub(crate) parallel_images: Option<NonZeroUsize>,
    /// How many blobs of an image are copied at once [default: 6]
    #[arg(long, value_name = "N")]
    pub(crate) image_parallel_copies: Option<usize>,
    /// Where the source's layouts share their blobs
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) src_shared_blob_dir: Option<PathBuf>,
    /// Where the destination's layouts share their blobs
    #[arg(long, value_name = "DIRECTORY")]
    dest_shared_blob_dir: Option<PathBuf>,
    /// Use the source's Docker daemon here [default: unix:///var/run/docker.sock]
    #[arg(long, value_name = "HOST")]
    pub(crate) src_daemon_host: Option<String>,
    /// Use the destination's Docker daemon here
    #[arg(long, value_name = "HOST")]
    dest_daemon_host: Option<String>,
    /// How to report at the end what was done
    #[arg(long, value_enum, default_value_t = ReportChoice::Text, value_name = "HOW")]
    report: ReportChoice,
    /// Say nothing while copying
    #[arg(short, long)]
    quiet: bool,
    /// How to show progress
    #[arg(long, value_enum, default_value_t = ProgressChoice::Auto, value_name = "HOW")]
    progress: ProgressChoice,
    #[command(flatten)]
    pub(crate) signing: SigningArguments,
    #[command(flatten)]
    both: BothArguments,
    #[command(flatten)]
    access: SourceArguments,
    #[command(flatten)]
    destination_access: DestinationArguments,
}

/// Brings up to date.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    options::sync::check(&arguments)?;
    let settings = &context.settings;
    let mut there = transports::options(settings, arguments.dest_shared_blob_dir.as_deref());
    // All images go into one archive.
    there.extend_archives = true;
    let host = arguments.dest_daemon_host.as_deref();
    transports::set_daemon(&mut there, "--dest-daemon-host", host)?;
    let access = arguments.destination_access.resolve(&arguments.both, settings).await?;
    transports::set_access(&mut there, &access, settings);
    let target = options::sync::target(&arguments, cask::transports(&there));
    let access = arguments.access.resolve(&arguments.both, settings).await?;
    let progress = arguments.progress.start(arguments.quiet);
    let sync = options::sync::resolve(&arguments, context, progress.sink("Copying"))?;
    let sets = options::sync::sets(&arguments, &access, context).await?;
    if arguments.dry_run {
        report::note("Running in dry-run mode");
    }
    let done = sync_sets(
        &sets,
        &target,
        &sync,
        synced::teller(&progress, sync.on_failure, arguments.quiet),
    )
    .await?;
    progress.finish();
    if done.images.is_empty() && done.unlisted.is_empty() && arguments.src != "yaml" {
        bail!("No images to sync found in {:?}", arguments.source);
    }
    if let Some(file) = arguments.digestfile.as_ref().filter(|_| !arguments.dry_run) {
        synced::write_digests(file, &done)?;
    }
    arguments.report.print(&done, arguments.dry_run)?;
    synced::result(done, sync.on_failure)
}
