//! `cellar save`

use std::fs::File;
use std::io::{self, IsTerminal as _};

use anyhow::{Context as _, Result, bail};
use cask_engine::{SaveFormat, SaveOptions};
use cask_program::progress::ProgressChoice;
use cask_program::{containers_conf, moving, platform};
use clap::Args;

use crate::context::Context;

/// Save images to an archive or a directory
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image, and more names for it; with --multi-image-archive, images
    images: Vec<String>,
    /// What to write: docker-archive, oci-archive, oci-dir or docker-dir
    #[arg(long, value_name = "FORMAT", default_value = "docker-archive")]
    format: String,
    /// Write here instead of to standard output
    #[arg(short, long, value_name = "PATH")]
    output: Option<String>,
    /// Save several images, instead of one under several names (archives only)
    #[arg(short, long)]
    multi_image_archive: bool,
    /// Compress layers (docker-dir only)
    #[arg(long)]
    compress: bool,
    /// Leave layers plain (oci-archive and oci-dir only)
    #[arg(long)]
    uncompressed: bool,
    /// Say nothing
    #[arg(short, long)]
    quiet: bool,
}

impl Arguments {
    /// Those that save one image into a file that is there, and say nothing.
    pub(super) fn quiet(image: &str, format: &str, output: String) -> Self {
        Self {
            images: vec![image.to_owned()],
            format: format.to_owned(),
            output: Some(output),
            multi_image_archive: false,
            compress: false,
            uncompressed: false,
            quiet: true,
        }
    }
}

/// Saves.
pub(crate) async fn run(mut arguments: Arguments, context: &Context) -> Result<()> {
    if arguments.images.is_empty() {
        bail!("need at least 1 argument");
    }
    let format: SaveFormat = arguments.format.parse()?;
    let output = arguments.output.as_deref().filter(|path| !path.is_empty());
    if output.is_none() {
        check_stdout(format, &arguments)?;
    }
    let all_are_images = arguments.multi_image_archive
        || containers_conf::load()?.engine.multi_image_archive.unwrap_or_default();
    let more = match all_are_images {
        true => Vec::new(),
        false => arguments.images.split_off(1),
    };
    let images = context.images()?;
    let mut transports = moving::transport_options(&images, &context.settings);
    let first = cask::transports(&transports);
    transports.extend_archives = true;
    let is_quiet = arguments.quiet || output.is_none();
    let progress = ProgressChoice::Auto.start(is_quiet);
    let wanted = platform::wanted(&context.settings);
    // Of what Docker's formats have no place for podman says nothing: most images have annotations.
    let is_docker = matches!(format, SaveFormat::DockerArchive | SaveFormat::DockerDirectory);
    let copy = moving::copy_options(&context.settings, wanted, &progress, is_quiet || is_docker)?;
    let mut options = SaveOptions::new(copy, cask::transports(&transports));
    options.format = format;
    options.additional_names = more;
    options.compress = arguments.compress;
    options.uncompressed = arguments.uncompressed;
    match (output, arguments.images.len()) {
        (Some(path), _) => images.save(&arguments.images, path, &first, &options).await?,
        (None, 1) => images.save(&arguments.images, "-", &first, &options).await?,
        (None, _) => {
            // Nothing can be added to what has gone.
            let directory = transports.temporary_directory.clone();
            let file = tempfile::NamedTempFile::new_in(&directory)
                .with_context(|| format!("writing to {}", directory.display()))?;
            let path = file.path().to_str().context("the temporary directory is no text")?;
            images.save(&arguments.images, path, &first, &options).await?;
            print(path)?;
        }
    }
    progress.finish();
    Ok(())
}

fn check_stdout(format: SaveFormat, arguments: &Arguments) -> Result<()> {
    if io::stdout().is_terminal() {
        bail!("refusing to save to terminal. Use -o flag or redirect");
    }
    if !format.is_archive() {
        bail!("{} is a directory: use -o flag to say where", arguments.format);
    }
    Ok(())
}

fn print(path: &str) -> Result<()> {
    let mut file = File::open(path).with_context(|| format!("reading {path}"))?;
    match io::copy(&mut file, &mut io::stdout().lock()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        copied => copied.map(drop).context("writing to standard output"),
    }
}
