//! `cellar create`

use std::io::{IsTerminal as _, Write as _, stderr, stdin, stdout};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use cask_engine::{Container, Containers, Found, Images, RemoveOptions};
use cask_program::containers_conf::{self, EngineConf};
use cask_program::moving::{PlatformArguments, RegistryArguments};
use cask_program::{output, report};
use clap::Args;

use super::inspect;
use super::options::{ContainerArguments, RuntimeArguments};
use super::wanted::Wanted;
use crate::context::Context;

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
    /// The image, or with --rootfs a directory, of which with :O behind it a copy is changed; then the command and its
    /// arguments, all of which is the container's
    #[arg(trailing_var_arg = true, required = true, value_name = "IMAGE COMMAND")]
    words: Vec<String>,
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
        self.registry.access.check_authfile()?;
        let mut cidfile = self.container.cidfile().map(open_new).transpose()?;
        let conf = containers_conf::load()?;
        let mut options = self.container.resolve(self.command(), containers, conf)?;
        if options.config.log.driver == "passthrough" {
            refuse_terminals()?;
        }
        options.config.runtime = self.runtime.resolve(&context.global, &conf.engine)?;
        let found = if self.container.has_own_root() {
            let (root, overlay) = match self.image().strip_suffix(":O") {
                Some(root) => (root, true),
                None => (self.image(), false),
            };
            let root = std::fs::canonicalize(root).with_context(|| format!("stat {root}"))?;
            options.config.rootfs_overlay = overlay;
            options.config.rootfs = Some(root);
            None
        } else {
            Some(self.find(containers.images(), context, &conf.engine)?)
        };
        self.container.join(&mut options, containers, context)?;
        let mut made = containers.create(found.as_ref(), options)?;
        containers.device_warnings(&made).iter().for_each(|warning| report::note(warning));
        if let Some(template) = made.config.log.tag.clone().filter(|tag| tag.contains("{{")) {
            made = tagged(containers, &made, &template)?;
        }
        if let Some(file) = &mut cidfile {
            file.write_all(made.id().as_bytes()).context("writing the file for the ID")?;
        }
        Ok(made)
    }

    /// The image, as it is said, or with --rootfs a directory.
    pub(super) fn image(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    fn command(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    fn find(&self, images: &Images, context: &Context, conf: &EngineConf) -> Result<Found> {
        let policy = self.pull.as_ref().or(conf.pull_policy.as_ref());
        let wanted = Wanted {
            name: self.image(),
            policy: policy.map_or("missing", String::as_str).parse()?,
            quiet: self.quiet,
            platform: &self.platform,
            registry: &self.registry,
        };
        wanted.find(images, context)
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

pub(super) fn open_new(path: &std::path::Path) -> Result<std::fs::File> {
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
