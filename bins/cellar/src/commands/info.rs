//! `cellar info`

use anyhow::Result;
use cask_program::output;
use cask_terminal::template::{Format, Origin, is_json_format};
use cask_terminal::value::{JsonStyle, Value};
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::show;

/// Show where the store is, what is in it, and what machine this is
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Print JSON, or what a Go template says
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

/// The part of podman's report that does not depend on a runtime, under its names.
#[derive(Serialize)]
#[serde(rename = "define.Info")]
struct Info {
    #[serde(rename = "Host json:host")]
    host: Host,
    #[serde(rename = "Store json:store")]
    store: StoreInfo,
    #[serde(rename = "Version json:version")]
    version: Version,
}

#[derive(Serialize)]
#[serde(rename = "define.HostInfo")]
struct Host {
    #[serde(rename = "Arch json:arch")]
    architecture: String,
    #[serde(rename = "CPUs json:cpus")]
    processors: usize,
    #[serde(rename = "Hostname json:hostname")]
    hostname: String,
    #[serde(rename = "Kernel json:kernel")]
    kernel: String,
    #[serde(rename = "OS json:os")]
    os: &'static str,
}

#[derive(Serialize)]
#[serde(rename = "define.StoreInfo")]
struct StoreInfo {
    #[serde(rename = "ContainerStore json:containerStore")]
    containers: Count,
    #[serde(rename = "GraphDriverName json:graphDriverName")]
    driver: String,
    #[serde(rename = "GraphRoot json:graphRoot")]
    graph_root: String,
    #[serde(rename = "GraphRootAllocated json:graphRootAllocated")]
    allocated: u64,
    #[serde(rename = "GraphRootUsed json:graphRootUsed")]
    used: u64,
    #[serde(rename = "ImageStore json:imageStore")]
    images: Count,
    #[serde(rename = "RunRoot json:runRoot")]
    run_root: String,
}

#[derive(Serialize)]
struct Count {
    #[serde(rename = "Number json:number")]
    number: usize,
}

#[derive(Serialize)]
#[serde(rename = "define.Version")]
struct Version {
    #[serde(rename = "Version")]
    version: &'static str,
    #[serde(rename = "OsArch")]
    platform: String,
}

/// Shows.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let images = context.images()?;
    let store = images.store();
    let system = rustix::system::uname();
    let space = rustix::fs::statvfs(store.graph_root())?;
    let architecture = cask_image::PlatformWanted::of_this_build().architecture;
    let info = Info {
        host: Host {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            hostname: system.nodename().to_string_lossy().into_owned(),
            kernel: system.release().to_string_lossy().into_owned(),
            os: "linux",
            architecture: architecture.clone(),
        },
        store: StoreInfo {
            containers: Count { number: store.containers()?.len() },
            driver: store.driver().to_string(),
            graph_root: store.graph_root().display().to_string(),
            allocated: space.f_blocks * space.f_frsize,
            used: (space.f_blocks - space.f_bfree) * space.f_frsize,
            images: Count { number: store.images()?.len() },
            run_root: store.run_root().display().to_string(),
        },
        version: Version {
            version: env!("CARGO_PKG_VERSION"),
            platform: format!("linux/{architecture}"),
        },
    };
    Context::warn(store);
    match arguments.format.as_deref() {
        None => output::bytes(yaml(&info).as_bytes()),
        Some(format) if is_json_format(format) => show::json(&info, JsonStyle::indented(2)),
        Some(template) => {
            let format = Format::parse("info", template, Origin::Value)?;
            output::bytes(&format.render(None, &Value::of(&info)?)?)
        }
    }
}

/// The report as podman prints it: YAML, keys sorted.
fn yaml(info: &Info) -> String {
    let Info { host, store, version } = info;
    format!(
        "host:\n  arch: {}\n  cpus: {}\n  hostname: {}\n  kernel: {}\n  os: {}\n\
         store:\n  containerStore:\n    number: {}\n  graphDriverName: {}\n  graphRoot: {}\n  \
         graphRootAllocated: {}\n  graphRootUsed: {}\n  imageStore:\n    number: {}\n  runRoot: {}\n\
         version:\n  OsArch: {}\n  Version: {}\n",
        host.architecture,
        host.processors,
        host.hostname,
        host.kernel,
        host.os,
        store.containers.number,
        store.driver,
        store.graph_root,
        store.allocated,
        store.used,
        store.images.number,
        store.run_root,
        version.platform,
        version.version,
    )
}
