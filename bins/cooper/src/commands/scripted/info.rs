//! `cooper info`

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use cask_program::rootless;
use cask_terminal::output::Output;
use cask_terminal::value::JsonStyle;
use clap::Args;
use serde_json::{Value as Json, json};

use crate::context::Context;
use crate::show;

/// Show the machine and the store
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Show the program too
    #[arg(short, long)]
    debug: bool,
    /// Print what a Go template says
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Shows.
///
/// Source: buildah, `info.go`.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let mut all = json!({"host": host(), "store": store(context)?});
    if arguments.debug {
        all["debug"] = json!({
            "cooper version": env!("CARGO_PKG_VERSION"),
            "git commit": "",
        });
    }
    match &arguments.format {
        None => {
            let mut output = Output::stdout();
            output.json(&all, JsonStyle::indented(4))?;
            Ok(output.finish()?)
        }
        Some(template) if template.contains("{{") => show::value("info", template, &all),
        Some(template) => bail!("invalid format provided: {template}"),
    }
}

fn host() -> Json {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let memory = read("/proc/meminfo");
    let bytes = |name: &str| -> u64 {
        let line = memory.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        number.unwrap_or_default() * 1024
    };
    let release = read("/etc/os-release");
    let field = |name: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or("unknown").trim_matches('"').to_owned()
    };
    let names = rustix::system::uname();
    let this = cask_image::PlatformWanted::of_this_build();
    json!({
        "CgroupVersion": match std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
            true => "v2",
            false => "v1",
        },
        "Distribution": {"distribution": field("ID"), "version": field("VERSION_ID")},
        "MemFree": bytes("MemFree"),
        "MemTotal": bytes("MemTotal"),
        "OCIRuntime": cask_program::build::usual_runtime()
            .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .unwrap_or_default(),
        "SwapFree": bytes("SwapFree"),
        "SwapTotal": bytes("SwapTotal"),
        "arch": this.architecture,
        "cpus": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        "hostname": names.nodename().to_string_lossy(),
        "kernel": names.release().to_string_lossy(),
        "os": this.os,
        "rootless": rootless::is_rootless(),
        "uptime": uptime(&read("/proc/uptime")),
        "variant": this.variant.unwrap_or_default(),
    })
}

/// How long the machine runs: `13h 38m 2.66s (Approximately 0.54 days)`.
///
/// Source: buildah, `info.go`, `getHostInfo`.
fn uptime(text: &str) -> String {
    let seconds: f64 =
        text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0.0);
    let (hours, minutes) = ((seconds / 3600.0).floor(), (seconds % 3600.0 / 60.0).floor());
    let mut shown = String::new();
    if hours > 0.0 {
        shown += &format!("{hours}h ");
    }
    if hours > 0.0 || minutes > 0.0 {
        shown += &format!("{minutes}m ");
    }
    shown += &format!("{}s", (seconds % 60.0 * 100.0).round() / 100.0);
    if hours > 24.0 || hours >= 1.0 {
        shown += &format!(" (Approximately {:.2} days)", seconds / 86400.0);
    }
    shown
}

fn store(context: &Context) -> Result<Json> {
    let store = context.store()?;
    let all: BTreeMap<&str, Json> = [
        ("ContainerStore", json!({"number": store.containers()?.len()})),
        ("GraphDriverName", json!(store.driver().as_str())),
        ("GraphOptions", json!([])),
        ("GraphStatus", graph_status(&store)),
        ("GraphRoot", json!(store.graph_root().display().to_string())),
        ("ImageStore", json!({"number": store.images()?.len()})),
        ("RunRoot", json!(store.run_root().display().to_string())),
    ]
    .into();
    Ok(json!(all))
}

/// What the driver can do here.
fn graph_status(store: &cask_storage::Store) -> Json {
    if store.driver() != cask_storage::DriverKind::Overlay {
        return json!({});
    }
    let kind = rustix::fs::statfs(store.graph_root()).map_or(0, |found| found.f_type);
    let name = match u64::try_from(kind).unwrap_or_default() {
        0xef53 => "extfs",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x0102_1994 => "tmpfs",
        0x794c_7630 => "overlayfs",
        _ => "<unknown>",
    };
    json!({
        "Backing Filesystem": name,
        "Native Overlay Diff": "true",
        "Supports d_type": "true",
        "Using metacopy": "false",
    })
}
