//! `cellar version`

use anyhow::Result;
use cask_program::output;
use cask_program::version::CELLAR;
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

/// What templates name: older scripts name the client's fields alone, others ask for the server too, which is this
/// program.
///
/// Source: podman, `cmd/podman/system/version.go`.
#[derive(Serialize)]
struct Named<'r> {
    #[serde(rename = "Client")]
    client: &'r Version,
    #[serde(rename = "Server")]
    server: &'r Version,
    #[serde(rename = "APIVersion")]
    api_version: &'static str,
    #[serde(rename = "Version")]
    version: &'static str,
    #[serde(rename = "OsArch")]
    platform: &'r str,
    #[serde(rename = "Os")]
    os: &'static str,
}

#[derive(Serialize)]
#[serde(rename = "define.Version")]
struct Version {
    #[serde(rename = "APIVersion")]
    api_version: &'static str,
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
        api_version: CELLAR.version(),
        version: CELLAR.version(),
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
        Some(format) if is_json_format(format) => show::json(&report, JsonStyle::compact()),
        Some(template) => {
            let format = Format::parse("version", template, Origin::Value)?;
            let client = &report.client;
            let named = Named {
                client,
                server: client,
                api_version: client.api_version,
                version: client.version,
                platform: &client.platform,
                os: client.os,
            };
            output::bytes(&format.render(None, &Value::of(&named)?)?)
        }
    }
}
