//! `cellar version`

use anyhow::Result;
use cask_program::output;
use cask_terminal::template::{Format, Origin, is_json_format};
use cask_terminal::value::{JsonStyle, Value};
use clap::Args;
use serde::Serialize;

use crate::show;

/// Print the version
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Print JSON, or what a Go template says
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

#[derive(Serialize)]
struct Report {
    #[serde(rename = "Client")]
    client: Version,
}

#[derive(Serialize)]
#[serde(rename = "define.Version")]
struct Version {
    #[serde(rename = "Version")]
    version: &'static str,
    #[serde(rename = "OsArch")]
    platform: String,
    #[serde(rename = "Os")]
    os: &'static str,
}

/// Prints.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let architecture = cask_image::PlatformWanted::of_this_build().architecture;
    let client = Version {
        version: env!("CARGO_PKG_VERSION"),
        platform: format!("linux/{architecture}"),
        os: "linux",
    };
    let report = Report { client };
    match arguments.format.as_deref() {
        None => output::bytes(
            format!(
                "Client:       Cask Engine\nVersion:      {}\nOS/Arch:      {}\n",
                report.client.version, report.client.platform
            )
            .as_bytes(),
        ),
        Some(format) if is_json_format(format) => show::json(&report, JsonStyle::pretty()),
        Some(template) => {
            let format = Format::parse("version", template, Origin::Value)?;
            output::bytes(&format.render(None, &Value::of(&report)?)?)
        }
    }
}
