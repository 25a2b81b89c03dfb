//! For which platform images are chosen.

use anyhow::{Context as _, Result};
use cask::image::PlatformWanted;

use crate::settings::Settings;

/// The running platform, as far as nothing else was asked for.
pub fn wanted(settings: &Settings) -> PlatformWanted {
    let mut wanted = PlatformWanted::of_this_build();
    if let Some(os) = &settings.platform.os {
        wanted.os.clone_from(os);
    }
    if let Some(architecture) = &settings.platform.architecture {
        wanted.architecture.clone_from(architecture);
        wanted.variant = None;
    }
    if let Some(variant) = &settings.platform.variant {
        wanted.variant = Some(variant.clone());
    }
    wanted
}

/// A list such as `linux/amd64,linux/arm64/v8`.
pub fn list(texts: &[String]) -> Result<Vec<PlatformWanted>> {
    texts
        .iter()
        .map(|text| PlatformWanted::parse(text).with_context(|| format!("platform {text:?}")))
        .collect()
}
