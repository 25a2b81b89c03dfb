//! `cooper version`

use anyhow::Result;
use cask_program::output;
use cask_program::version::COOPER;
use clap::Args;
use serde::Serialize;

/// Print the version
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The names of the fields are buildah's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    version: &'static str,
    image_spec: &'static str,
    runtime_spec: &'static str,
    #[serde(rename = "osArch")]
    platform: String,
    build_platform: String,
}

/// The specifications of images and of runtimes, as far as they are kept.
const IMAGE_SPEC: &str = "1.1.1";
const RUNTIME_SPEC: &str = "1.0.2";

/// Prints.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let platform = cask_image::PlatformWanted::of_this_build().to_string();
    let version = Version {
        version: COOPER.version(),
        image_spec: IMAGE_SPEC,
        runtime_spec: RUNTIME_SPEC,
        platform: platform.clone(),
        build_platform: platform,
    };
    if arguments.json {
        return output::json(&version);
    }
    let lines = [
        ("Version", version.version),
        ("Image Spec", version.image_spec),
        ("Runtime Spec", version.runtime_spec),
        ("OS/Arch", &version.platform),
        ("BuildPlatform", &version.build_platform),
    ];
    let text: String =
        lines.iter().map(|(name, value)| format!("{:<17}{value}\n", format!("{name}:"))).collect();
    output::bytes(text.as_bytes())
}
