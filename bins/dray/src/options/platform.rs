//! For which platform images are chosen.

use anyhow::{Context as _, Result};
use cask::image::PlatformWanted;

use crate::cli::GlobalArguments;

/// The running platform, as far as nothing else was asked for.
pub(crate) fn wanted(global: &GlobalArguments) -> PlatformWanted {
    let mut wanted = PlatformWanted::of_this_build();
    if let Some(os) = &global.override_os {
        wanted.os.clone_from(os);
    }
    if let Some(architecture) = &global.override_arch {
        wanted.architecture.clone_from(architecture);
        wanted.variant = None;
    }
    if let Some(variant) = &global.override_variant {
        wanted.variant = Some(variant.clone());
    }
    wanted
}

/// A list such as `linux/amd64,linux/arm64/v8`.
pub(crate) fn list(texts: &[String]) -> Result<Vec<PlatformWanted>> {
    texts
        .iter()
        .map(|text| PlatformWanted::parse(text).with_context(|| format!("platform {text:?}")))
        .collect()
}
