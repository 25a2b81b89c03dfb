//! `cellar import`

use std::fs::File;
use std::io::{self, Read};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use cask::image::Timestamp;
use cask_engine::{ImportOptions, config_of_changes};
use cask_program::progress::ProgressChoice;
use cask_program::{background, download, output, platform};
use clap::Args;
use url::Url;

use crate::context::Context;

/// Make an image of a tarball
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The tarball: a path, a URL, or - for standard input; and what the image shall be called
    #[arg(value_names = ["PATH", "NAME"])]
    what: Vec<String>,
    /// Change the config, such as CMD=/bin/sh, ENV=A=b or 'LABEL a=b'
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// What the history shall say about it
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// The architecture
    #[arg(long, value_name = "ARCH")]
    arch: Option<String>,
    /// The operating system
    #[arg(long, value_name = "OS")]
    os: Option<String>,
    /// The variant of the architecture
    #[arg(long, value_name = "VARIANT")]
    variant: Option<String>,
    /// Print nothing but the ID
    #[arg(short, long)]
    quiet: bool,
}

/// Imports.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    let (path, name) = match arguments.what.as_slice() {
        [path] => (path, None),
        [path, name] => (path, Some(name.clone())),
        other => bail!("accepts between 1 and 2 arg(s), received {}", other.len()),
    };
    let config = config_of_changes(&arguments.change)?;
    let progress = ProgressChoice::Auto.start(arguments.quiet);
    let (stream, changed) = open(path, context, |text| progress.message(text)).await?;
    let mut settings = context.settings.clone();
    settings.platform.os = arguments.os;
    settings.platform.architecture = arguments.arch;
    settings.platform.variant = arguments.variant;
    let wanted = platform::wanted(&settings);
    let mut options = ImportOptions::new(changed, wanted.os, wanted.architecture);
    options.variant = settings.platform.variant;
    options.config = config;
    options.message = arguments.message.unwrap_or_default();
    options.name = name;
    let images = context.images()?;
    progress.message(&format!("Importing {path}"));
    let importing = images.clone();
    let id = background::run(move || importing.import(stream, &options)).await??;
    progress.finish();
    output::line(&format!("sha256:{id}"))?;
    Context::warn(images.store());
    Ok(())
}

/// Opens a tarball, and tells when it was changed last: now, if nobody knows.
async fn open(
    path: &str,
    context: &Context,
    tell: impl Fn(&str),
) -> Result<(Box<dyn Read + Send>, Timestamp)> {
    if path == "-" {
        return Ok((Box::new(io::stdin()), timestamp(SystemTime::now())));
    }
    if let Ok(url) = Url::parse(path) {
        if !matches!(url.scheme(), "http" | "https") {
            bail!("cannot download from {path:?}: only http and https can be");
        }
        tell(&format!("Downloading from {path:?}"));
        let stream = download::open(&url, &context.settings).await?;
        return Ok((Box::new(stream), timestamp(SystemTime::now())));
    }
    // The words are podman's.
    let file = File::open(path).with_context(|| format!("error opening {path:?}: open {path}"))?;
    let changed = file.metadata().and_then(|metadata| metadata.modified());
    let changed = changed.with_context(|| format!("error opening {path:?}: stat {path}"))?;
    Ok((Box::new(file), timestamp(changed)))
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
    Timestamp::from_unix(seconds, since.subsec_nanos()).unwrap_or(Timestamp::GO_ZERO)
}
