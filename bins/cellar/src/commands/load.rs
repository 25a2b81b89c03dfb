//! `cellar load`

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IsTerminal as _, Seek as _};
use std::os::fd::AsFd as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use cask_engine::{LoadInput, LoadOptions};
use cask_program::progress::ProgressChoice;
use cask_program::{background, download, moving, output, platform, transports};
use clap::Args;
use url::Url;

use crate::context::Context;

/// Load images from an archive or a directory
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Read from here, a path or a URL, instead of from standard input
    #[arg(short, long, value_name = "PATH")]
    input: Option<OsString>,
    /// Print nothing but the names
    #[arg(short, long)]
    quiet: bool,
    #[arg(hide = true)]
    rest: Vec<String>,
}

/// Loads.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    if !arguments.rest.is_empty() {
        bail!("`cellar load` takes no arguments");
    }
    let input = match arguments.input.filter(|path| !path.is_empty()) {
        Some(path) => match url(&path) {
            Some(url) => {
                let progress = ProgressChoice::Auto.start(arguments.quiet);
                progress.message(&format!("Downloading from {:?}", url.as_str()));
                let directory = transports::options(&context.settings, None).temporary_directory;
                let input = downloaded(&url, &directory, context).await?;
                progress.finish();
                input
            }
            None => LoadInput::Path(path.into()),
        },
        None => standard_input()?,
    };
    load(input, arguments.quiet, context).await
}

/// Loads what there is, and prints the names.
pub(super) async fn load(input: LoadInput, quiet: bool, context: &Context) -> Result<()> {
    let images = context.images()?;
    let transports = moving::transport_options(&images, &context.settings);
    let progress = ProgressChoice::Auto.start(quiet);
    let wanted = platform::wanted(&context.settings);
    let copy = moving::copy_options(&context.settings, wanted, &progress, quiet)?;
    let mut options = LoadOptions::new(copy);
    options.read.spool_directory = transports.temporary_directory.clone();
    let loaded = images.load(input, &cask::transports(&transports), &options).await?;
    progress.finish();
    let lines = loaded.iter().flat_map(|image| match image.names.as_slice() {
        [] => vec![format!("Loaded image: sha256:{}\n", image.id)],
        names => names.iter().map(|name| format!("Loaded image: {name}\n")).collect(),
    });
    output::bytes(lines.collect::<String>().as_bytes())?;
    Context::warn(images.store());
    Ok(())
}

/// What is on the web, not on the disk.
fn url(path: &OsStr) -> Option<Url> {
    let url = Url::parse(path.to_str()?).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(url)
}

/// An archive of the web, in a file that has no name.
async fn downloaded(url: &Url, directory: &Path, context: &Context) -> Result<LoadInput> {
    let mut stream = download::open(url, &context.settings).await?;
    let mut file = tempfile::tempfile_in(directory)
        .with_context(|| format!("writing to {}", directory.display()))?;
    let copying = background::run(move || {
        io::copy(&mut stream, &mut file)?;
        file.rewind()?;
        Ok::<_, io::Error>(file)
    });
    let file = copying.await?.context("downloading the archive")?;
    Ok(LoadInput::File { file, name: "(downloaded archive)".into() })
}

fn standard_input() -> Result<LoadInput> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        bail!("cannot read from terminal, use command-line redirection or the --input flag");
    }
    let file = stdin.as_fd().try_clone_to_owned().map(File::from);
    let file = file.context("reading standard input")?;
    Ok(LoadInput::File { file, name: "(standard input)".into() })
}
