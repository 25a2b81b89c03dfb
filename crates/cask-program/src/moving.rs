//! What commands have in common that move images into the store and out of it.

use std::io::IsTerminal as _;
use std::sync::Arc;

use anyhow::{Result, bail};
use cask::TransportOptions;
use cask::copy::{CompressionFormat, CopyOptions};
use cask::image::{ImageFormat, PlatformWanted};
use cask::layer::Compression;
use cask::transport::{Event, Transports};
use cask::trust::Policy;
use cask_config::registries::{Question, recorded_aliases_path};
use cask_engine::{AskShortName, Images, PullEvent, PullOptions, PullPolicy};
use clap::Args;

use crate::access::OneArguments;
use crate::duration::GoDuration;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::{platform, policy, prompt, registries, transports};

/// How a registry is reached.
#[derive(Args, Clone, Debug, Default)]
pub struct RegistryArguments {
    /// Credentials and certificates.
    #[command(flatten)]
    pub access: OneArguments,
    /// Try a request to a registry again so often [default: 4]
    #[arg(long, value_name = "N")]
    retry: Option<u32>,
    /// Wait so long between two tries, such as 2s [default: 1s, then twice as long each time]
    #[arg(long, value_name = "DURATION")]
    retry_delay: Option<GoDuration>,
    /// For the sake of Docker's users; nothing
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, value_name = "true|false")]
    disable_content_trust: Option<Option<bool>>,
}

/// Which image of a list is wanted.
#[derive(Args, Clone, Debug, Default)]
pub struct PlatformArguments {
    /// Choose images for this platform
    #[arg(long, value_name = "OS[/ARCH[/VARIANT]]")]
    platform: Option<String>,
    /// Choose images for this architecture instead of the machine's
    #[arg(long, alias = "override-arch", value_name = "ARCH")]
    arch: Option<String>,
    /// Choose images for this operating system instead of the running one
    #[arg(long, alias = "override-os", value_name = "OS")]
    os: Option<String>,
    /// Choose images for this variant of the architecture
    #[arg(long, alias = "override-variant", value_name = "VARIANT")]
    variant: Option<String>,
}

impl RegistryArguments {
    /// The transports with this access, whose store is that of the images.
    pub async fn transports(&self, images: &Images, settings: &Settings) -> Result<Transports> {
        self.access.check_authfile()?;
        let mut settings = settings.clone();
        settings.retry.times = self.retry;
        settings.retry.delay = self.retry_delay.map(|GoDuration(delay)| delay);
        let access = self.access.resolve(&settings).await?;
        let mut options = transport_options(images, &settings);
        transports::set_access(&mut options, &access, &settings);
        Ok(cask::transports(&options))
    }
}

impl PlatformArguments {
    /// Whether anything was asked for.
    pub fn is_asked(&self) -> bool {
        [&self.platform, &self.arch, &self.os, &self.variant].iter().any(|given| given.is_some())
    }

    /// The platform. The words are podman's.
    pub fn wanted(&self, settings: &Settings) -> Result<PlatformWanted> {
        if let Some(text) = &self.platform {
            if self.arch.is_some() || self.os.is_some() {
                bail!("--platform option can not be specified with --arch or --os");
            }
            let text = std::slice::from_ref(text);
            let wanted = platform::list(text)?.into_iter().next();
            let mut wanted = wanted.unwrap_or_else(PlatformWanted::of_this_build);
            wanted.variant = self.variant.clone().or(wanted.variant);
            return Ok(wanted);
        }
        let mut settings = settings.clone();
        settings.platform.os.clone_from(&self.os);
        settings.platform.architecture.clone_from(&self.arch);
        settings.platform.variant.clone_from(&self.variant);
        let wanted = platform::wanted(&settings);
        // As `aarch64` is called everywhere else; what is no architecture is found nowhere.
        let usual = PlatformWanted::parse(&wanted.to_string()).ok().filter(|_| self.arch.is_some());
        Ok(usual.unwrap_or(wanted))
    }
}

/// What all transports have to know, with the store of these images as the usual one.
pub fn transport_options(images: &Images, settings: &Settings) -> TransportOptions {
    let mut options = transports::options(settings, None);
    let (store, others) = (images.store().clone(), settings.store.opener());
    options.containers_storage.store = Arc::new(move |specifier, used| match specifier {
        None => Ok(store.clone()),
        Some(_) => others(specifier, used),
    });
    options
}

/// How images are copied, and shown in the display. With `quiet` what a format cannot hold is not
/// worth a word.
pub fn copy_options(
    settings: &Settings,
    platform: PlatformWanted,
    progress: &Progress,
    quiet: bool,
) -> Result<CopyOptions> {
    // What the own store has was judged when it came.
    let policy = Policy::clone(&*policy::read(settings)?).danger_accepting("containers-storage");
    let mut options = CopyOptions::new(Arc::new(policy), platform);
    let shown = progress.sink("Copying");
    options.events = match quiet {
        false => shown,
        true => Arc::new(move |event| match event {
            Event::Warning { .. } => {}
            event => shown.send(event),
        }),
    };
    Ok(options)
}

/// How images are pulled, with lines about it in the display.
pub fn pull_options(
    copy: CopyOptions,
    policy: PullPolicy,
    progress: &Arc<Progress>,
) -> PullOptions {
    let mut options = PullOptions::new(copy);
    options.policy = policy;
    options.recorded_aliases = recorded_aliases_path(&registries::environment());
    options.ask = ask();
    let progress = Arc::clone(progress);
    options.told = Arc::new(move |event| match event {
        PullEvent::Resolved(description) => progress.message(&description),
        PullEvent::Trying(image) => progress.message(&format!("Trying to pull {image}...")),
        PullEvent::NotRecorded(why) => {
            progress.warn(&format!("the choice cannot be remembered: {why}"));
        }
        _ => {}
    });
    options
}

/// Has answers about short names kept in the file that a flag names, if one does.
pub fn keep_answers(settings: &Settings, options: &mut PullOptions) {
    if let Some(file) = &settings.short_name_aliases {
        options.recorded_aliases = Some(file.clone());
    }
}

/// Asks at the terminal which image is meant, if there is one.
fn ask() -> Option<AskShortName> {
    if !(prompt::is_possible() && std::io::stdout().is_terminal()) {
        return None;
    }
    Some(Arc::new(|question: Question| {
        Box::pin(async move {
            let numbered = question.candidates().iter().enumerate();
            let lines: String =
                numbered.map(|(index, image)| format!("  {}  {image}\n", index + 1)).collect();
            let answer = prompt::line(&format!("{lines}Please select an image: ")).await.ok()?;
            answer.trim().parse::<usize>().ok()?.checked_sub(1)
        })
    }))
}

/// The format of manifests that a flag names. The words are podman's.
///
/// # Errors
/// For a word that is none of them, and for `v2s1`, which nobody writes any more.
pub fn format(format: Option<&str>) -> Result<Option<ImageFormat>> {
    match format {
        None => Ok(None),
        Some("oci") => Ok(Some(ImageFormat::Oci)),
        Some("v2s2" | "docker") => Ok(Some(ImageFormat::Docker)),
        Some("v2s1") => bail!("format v2s1 can only be read: choose 'oci' or 'v2s2'"),
        Some(other) => {
            bail!("unknown format {other:?}. Choose one of the supported formats: 'oci', or 'v2s2'")
        }
    }
}

/// The compression that a flag names.
///
/// # Errors
/// For a word that is none, and for `estargz`, which nobody writes here.
pub fn compression(format: &str) -> Result<CompressionFormat> {
    match format {
        "gzip" => Ok(Compression::Gzip.into()),
        "zstd" => Ok(Compression::Zstd.into()),
        "zstd:chunked" => {
            Ok(CompressionFormat { compression: Compression::Zstd, zstd_chunked: true })
        }
        // Its table is a file of the layer, so that layers and configs would become other ones.
        "estargz" => bail!("estargz cannot be written: choose zstd:chunked, gzip or zstd"),
        other => bail!("unknown compression format {other:?}: choose gzip, zstd or zstd:chunked"),
    }
}

/// Tells where an image is for another platform than is wanted: of a registry that has one image alone, that one comes,
/// and whoever says none wants that of this machine. The words are podman's.
///
/// # Errors
/// Where its config cannot be read.
pub fn check_platform(
    images: &Images,
    image: &cask_storage::Image,
    wanted: &PlatformWanted,
) -> Result<()> {
    let Some(found) = images.config(image)?.map(|config| config.platform()) else { return Ok(()) };
    let is_said = !found.os.is_empty() && !found.architecture.is_empty();
    if is_said && !wanted.accepts(&found) {
        crate::report::note(&format!(
            "image platform ({found}) does not match the expected platform ({wanted})"
        ));
    }
    Ok(())
}
