//! `cooper version`

use anyhow::Result;
use cask_program::output;
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
    #[serde(rename = "osArch")]
    platform: String,
}

/// Prints.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let version = Version {
        version: env!("CARGO_PKG_VERSION"),
        platform: cask_image::PlatformWanted::of_this_build().to_string(),
    };
    if arguments.json {
        return output::json(&version);
    }
    let text =
        format!("Version:         {}\nOS/Arch:         {}\n", version.version, version.platform);
    output::bytes(text.as_bytes())
}
