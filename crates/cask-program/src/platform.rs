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

/// A list such as `linux/amd64,linux/arm64/v8`. What is left out of one is as in the running platform: `windows/`, `/arm`,
/// `arm64`.
pub fn list(texts: &[String]) -> Result<Vec<PlatformWanted>> {
    texts
        .iter()
        .map(|text| {
            PlatformWanted::parse(&whole(text)).with_context(|| format!("platform {text:?}"))
        })
        .collect()
}

/// Source: buildah, `parse.Platform`.
fn whole(text: &str) -> String {
    let running = PlatformWanted::of_this_build();
    let or = |part: &str, usual: &str| if part.is_empty() { usual } else { part }.to_owned();
    match text.split('/').collect::<Vec<_>>()[..] {
        [""] => String::new(),
        [os @ ("linux" | "windows" | "darwin" | "freebsd")] => {
            format!("{os}/{}", running.architecture)
        }
        [architecture] => format!("{}/{architecture}", running.os),
        [os, architecture] | [os, architecture, ""] => {
            format!("{}/{}", or(os, &running.os), or(architecture, &running.architecture))
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_of_a_platform_is_as_here() {
        let PlatformWanted { os, architecture, .. } = PlatformWanted::of_this_build();
        let check = |text: &str, expected: &str| {
            let found = list(&[text.to_owned()]).unwrap();
            let [PlatformWanted { os, architecture, .. }] = &found[..] else { panic!("{text}") };
            assert_eq!(format!("{os}/{architecture}"), expected, "{text}");
        };
        check("windows/", &format!("windows/{architecture}"));
        check("windows", &format!("windows/{architecture}"));
        check("/arm", &format!("{os}/arm"));
        check("arm64", &format!("{os}/arm64"));
        check("linux/s390x/", "linux/s390x");
        assert!(list(&[String::new()]).is_err());
    }
}
