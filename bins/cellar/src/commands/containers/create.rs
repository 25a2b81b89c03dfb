//! `cellar create`

use std::io::{IsTerminal as _, Write as _, stderr, stdin, stdout};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use cask_engine::{Container, Containers, ErrorKind, Found, Images, PullPolicy, RemoveOptions};
use cask_program::containers_conf::{self, EngineConf};
use cask_program::output;
use cask_program::progress::ProgressChoice;
use clap::Args;
use std::sync::Arc;

use super::inspect;
use super::options::{ContainerArguments, RuntimeArguments};
use crate::context::Context;
use cask_program::moving::{self, PlatformArguments, RegistryArguments};

/// Make a container, and do not start it
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// Of run: taken, as podman takes it; start says itself what it attaches to
    #[arg(short, long, value_name = "STREAM", value_delimiter = ',', hide = true)]
    attach: Vec<String>,
    #[command(flatten)]
    pub(super) making: Making,
}

/// The image, the words for it, and every flag.
#[derive(Args, Debug)]
pub(crate) struct Making {
    /// The image, or with --rootfs a directory
    pub(super) image: String,
    /// The command and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(super) command: Vec<String>,
    #[command(flatten)]
    pub(super) container: ContainerArguments,
    #[command(flatten)]
    runtime: RuntimeArguments,
    /// When to pull the image: always, missing, newer or never
    #[arg(long, value_name = "POLICY")]
    pull: Option<String>,
    /// Print nothing about pulling
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    platform: PlatformArguments,
    #[command(flatten)]
    registry: RegistryArguments,
}

/// Makes it.
pub(crate) fn run(arguments: Arguments, context: &Context) -> Result<ExitCode> {
    for stream in &arguments.attach {
        if !["stdin", "stdout", "stderr"].contains(&stream.to_ascii_lowercase().as_str()) {
            bail!(
                "invalid stream {stream:?} for --attach - must be one of stdin, stdout, or stderr: invalid argument"
            );
        }
    }
    let containers = context.containers()?;
    let made = arguments.making.make(&containers, context)?;
    // Its output is what stands there, and nothing else.
    if !made.passes_through() {
        output::line(made.id())?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Making {
    /// Makes the container, from an image that is pulled where it is missing.
    pub(super) fn make(&self, containers: &Containers, context: &Context) -> Result<Container> {
        let mut cidfile = self.container.cidfile().map(open_new).transpose()?;
        let conf = containers_conf::load()?;
        let mut options = self.container.resolve(&self.command, containers, &conf)?;
        if options.config.log.driver == "passthrough" {
            refuse_terminals()?;
        }
        options.config.runtime = self.runtime.resolve(&context.global, &conf.engine)?;
        let found = if self.container.has_own_root() {
            let root = std::fs::canonicalize(&self.image)
                .with_context(|| format!("stat {}", self.image))?;
            options.config.rootfs = Some(root);
            None
        } else {
            Some(self.image(containers.images(), context, &conf.engine)?)
        };
        let mut made = containers.create(found.as_ref(), options)?;
        if let Some(template) = made.config.log.tag.clone().filter(|tag| tag.contains("{{")) {
            made = tagged(containers, &made, &template)?;
        }
        if let Some(file) = &mut cidfile {
            file.write_all(made.id().as_bytes()).context("writing the file for the ID")?;
        }
        Ok(made)
    }

    fn image(&self, images: &Images, context: &Context, conf: &EngineConf) -> Result<Found> {
        let policy = self.pull.as_ref().or(conf.pull_policy.as_ref());
        let policy: PullPolicy = policy.map_or("missing", String::as_str).parse()?;
        let here = images.find(&self.image);
        let asks_nobody = matches!(policy, PullPolicy::Never | PullPolicy::Missing);
        match here {
            Ok(found) if asks_nobody && self.fits(&found, images, context)? => {
                // Podman asks its images to be pulled where they are missing, and tells that it did.
                images.note("pull", "", &self.image);
                return Ok(found);
            }
            Err(error)
                if error.kind() != ErrorKind::ImageNotKnown || policy == PullPolicy::Never =>
            {
                return Err(error.into());
            }
            _ => {}
        }
        crate::run::wait(self.pull(images, policy, context))
    }

    /// Whether an image is of the platform that was asked for, if any was.
    fn fits(&self, found: &Found, images: &Images, context: &Context) -> Result<bool> {
        if !self.platform.is_asked() {
            return Ok(true);
        }
        let wanted = self.platform.wanted(&context.settings)?;
        let Some(config) = images.config(&found.image)? else { return Ok(true) };
        let variant = wanted.variant.is_none() || wanted.variant == config.variant;
        let same = wanted.architecture == config.architecture;
        Ok(variant && same && wanted.os == config.os)
    }

    async fn pull(&self, images: &Images, policy: PullPolicy, context: &Context) -> Result<Found> {
        let platform = self.platform.wanted(&context.settings)?;
        let transports = self.registry.transports(images, &context.settings).await?;
        let progress = Arc::new(ProgressChoice::Auto.start(self.quiet));
        let copy = moving::copy_options(&context.settings, platform, &progress, self.quiet)?;
        let mut options = moving::pull_options(copy, policy, &progress);
        options.platform_asked = self.platform.is_asked();
        let pulled = images.pull(&self.image, &transports, &options).await?;
        images.note("pull", "", &self.image);
        let Some(arrived) = pulled.first() else { bail!("{}: nothing was pulled", self.image) };
        let mut found = images.find(arrived.id.as_ref())?;
        if let Ok(named) = images.find(&self.image) {
            found.name = named.name;
        }
        Ok(found)
    }
}

/// A container that has a terminal of somebody else could type there.
fn refuse_terminals() -> Result<()> {
    let ends = [stdin().is_terminal(), stdout().is_terminal(), stderr().is_terminal()];
    match ends.contains(&true) {
        true => bail!("the '--log-driver passthrough' option cannot be used on a TTY"),
        false => Ok(()),
    }
}

/// Fills in the template of a tag with what `inspect` says of the container, which goes where that cannot be.
fn tagged(containers: &Containers, made: &Container, template: &str) -> Result<Container> {
    let text = inspect::text(containers, made, template);
    let tagged = text.and_then(|text| Ok(containers.set_log_tag(made, &text)?));
    if tagged.is_err() {
        let mut options = RemoveOptions::default();
        options.force = true;
        containers.remove(made, &options)?;
    }
    tagged.context("the tag of its log")
}

fn open_new(path: &std::path::Path) -> Result<std::fs::File> {
    match std::fs::OpenOptions::new().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!(
                "container id file exists. Ensure another container is not using it or delete {}",
                path.display()
            )
        }
        other => other.with_context(|| format!("opening cidfile {}", path.display())),
    }
}
