//! `cooper info`

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use cask_program::{output, rootless};
use cask_terminal::output::Output;
use cask_terminal::template::{Format, Origin};
use cask_terminal::value::{JsonStyle, Value};
use clap::Args;
use serde_json::{Value as Json, json};

use crate::context::Context;

/// Show the machine and the store
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Print what a Go template says
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Shows.
///
/// Source: buildah, `info.go`.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let all = json!({"host": host(), "store": store(context)?});
    match &arguments.format {
        None => {
            let mut output = Output::stdout();
            output.json(&all, JsonStyle::indented(4))?;
            Ok(output.finish()?)
        }
        Some(template) if template.contains("{{") => {
            let format = Format::parse("info", template, Origin::Value)?;
            output::bytes(&format.render(None, &Value::of(&all)?)?)
        }
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
        "SwapFree": bytes("SwapFree"),
        "SwapTotal": bytes("SwapTotal"),
        "arch": this.architecture,
        "cpus": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        "hostname": names.nodename().to_string_lossy(),
        "kernel": names.release().to_string_lossy(),
        "network": "host (builds have no network of their own yet)",
        "os": this.os,
        "rootless": rootless::is_rootless(),
        "variant": this.variant.unwrap_or_default(),
    })
}

fn store(context: &Context) -> Result<Json> {
    let store = context.store()?;
    let all: BTreeMap<&str, Json> = [
        ("ContainerStore", json!({"number": store.containers()?.len()})),
        ("GraphDriverName", json!(store.driver().as_str())),
        ("GraphOptions", json!([])),
        ("GraphRoot", json!(store.graph_root().display().to_string())),
        ("ImageStore", json!({"number": store.images()?.len()})),
        ("RunRoot", json!(store.run_root().display().to_string())),
    ]
    .into();
    Ok(json!(all))
}
