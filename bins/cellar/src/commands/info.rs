//! `cellar info`

mod machine;
mod registered;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use cask_engine::{LOG_DRIVERS, Status};
use cask_program::containers_conf::{self, EngineConf};
use cask_program::version::CELLAR;
use cask_program::{events, output, registries, rootless, storage};
use cask_runtime::{CapabilitySet, Cgroup};
use cask_terminal::template::{Format, Origin, is_json_format};
use cask_terminal::value::{JsonStyle, Value, to_json};
use clap::Args;
use serde::Serialize;

use self::machine::{Distribution, IdMappings, Memory, Processors};
use self::registered::Registered;
use super::containers::RuntimeArguments;
use crate::context::Context;
use crate::show;

/// What this program is part of, as far as packages go.
const PACKAGE: &str = concat!("cask ", env!("CARGO_PKG_VERSION"));
/// The storage.conf of whoever wrote none.
const USUAL_CONFIGURATION: &str = "/usr/share/containers/storage.conf";

/// Show where the store is, what is in it, and what machine this is
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Print JSON, or what a Go template says
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

/// The part of podman's report that is true of us, under its names.
///
/// Source: podman, `libpod/define/info.go`.
#[derive(Serialize)]
#[serde(rename = "define.Info")]
struct Info {
    #[serde(rename = "Host json:host")]
    host: Host,
    #[serde(rename = "Plugins json:plugins")]
    plugins: Plugins,
    #[serde(rename = "Registries json:registries")]
    registries: BTreeMap<String, Registered>,
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
    #[serde(rename = "BuildahVersion json:buildahVersion")]
    builder_version: &'static str,
    #[serde(rename = "CgroupManager json:cgroupManager")]
    cgroup_manager: &'static str,
    #[serde(rename = "CgroupsVersion json:cgroupVersion")]
    cgroup_version: &'static str,
    #[serde(rename = "CgroupControllers json:cgroupControllers")]
    controllers: Vec<String>,
    #[serde(rename = "Conmon json:conmon")]
    monitor: Monitor,
    #[serde(rename = "CPUUtilization json:cpuUtilization")]
    utilization: Processors,
    #[serde(rename = "CPUs json:cpus")]
    processors: usize,
    #[serde(rename = "Distribution json:distribution")]
    distribution: Distribution,
    #[serde(rename = "EventLogger json:eventLogger")]
    event_logger: &'static str,
    #[serde(rename = "Hostname json:hostname")]
    hostname: String,
    #[serde(rename = "IDMappings json:idMappings")]
    users: IdMappings,
    #[serde(rename = "Kernel json:kernel")]
    kernel: String,
    #[serde(rename = "LogDriver json:logDriver")]
    log_driver: &'static str,
    #[serde(rename = "MemFree json:memFree")]
    memory_free: u64,
    #[serde(rename = "MemTotal json:memTotal")]
    memory_total: u64,
    #[serde(rename = "NetworkBackend json:networkBackend")]
    network_backend: &'static str,
    #[serde(rename = "OCIRuntime json:ociRuntime")]
    runtime: Runtime,
    #[serde(rename = "OS json:os")]
    os: &'static str,
    #[serde(rename = "Security json:security")]
    security: Security,
    #[serde(rename = "ServiceIsRemote json:serviceIsRemote")]
    is_remote: bool,
    #[serde(rename = "SwapFree json:swapFree")]
    swap_free: u64,
    #[serde(rename = "SwapTotal json:swapTotal")]
    swap_total: u64,
    #[serde(rename = "Uptime json:uptime")]
    uptime: String,
}

/// What watches containers: this program.
#[derive(Serialize)]
#[serde(rename = "define.ConmonInfo")]
struct Monitor {
    #[serde(rename = "Package json:package")]
    package: &'static str,
    #[serde(rename = "Path json:path")]
    path: String,
    #[serde(rename = "Version json:version")]
    version: &'static str,
}

/// What runs containers: the name is `cask` where it is our own.
#[derive(Serialize)]
#[serde(rename = "define.OCIRuntimeInfo")]
struct Runtime {
    #[serde(rename = "Name json:name")]
    name: String,
    #[serde(rename = "Package json:package")]
    package: &'static str,
    #[serde(rename = "Path json:path")]
    path: String,
    #[serde(rename = "Version json:version")]
    version: String,
}

#[derive(Serialize)]
#[serde(rename = "define.SecurityInfo")]
struct Security {
    #[serde(rename = "AppArmorEnabled json:apparmorEnabled")]
    apparmor: bool,
    #[serde(rename = "DefaultCapabilities json:capabilities")]
    capabilities: String,
    #[serde(rename = "Rootless json:rootless")]
    rootless: bool,
    #[serde(rename = "SECCOMPEnabled json:seccompEnabled")]
    seccomp: bool,
    #[serde(rename = "SECCOMPProfilePath json:seccompProfilePath")]
    seccomp_profile: String,
    #[serde(rename = "SELinuxEnabled json:selinuxEnabled")]
    selinux: bool,
}

#[derive(Serialize)]
#[serde(rename = "define.Plugins")]
struct Plugins {
    #[serde(rename = "Volume json:volume")]
    volume: [&'static str; 1],
    #[serde(rename = "Network json:network")]
    network: [&'static str; 3],
    #[serde(rename = "Log json:log")]
    log: [&'static str; LOG_DRIVERS.len()],
}

#[derive(Serialize)]
#[serde(rename = "define.StoreInfo")]
struct StoreInfo {
    #[serde(rename = "ConfigFile json:configFile")]
    configuration: String,
    #[serde(rename = "ContainerStore json:containerStore")]
    containers: ContainerCounts,
    #[serde(rename = "GraphDriverName json:graphDriverName")]
    driver: String,
    #[serde(rename = "GraphOptions json:graphOptions")]
    options: BTreeMap<String, String>,
    #[serde(rename = "GraphRoot json:graphRoot")]
    graph_root: String,
    #[serde(rename = "GraphRootAllocated json:graphRootAllocated")]
    allocated: u64,
    #[serde(rename = "GraphRootUsed json:graphRootUsed")]
    used: u64,
    #[serde(rename = "GraphStatus json:graphStatus")]
    status: BTreeMap<&'static str, String>,
    #[serde(rename = "ImageCopyTmpDir json:imageCopyTmpDir")]
    temporary: String,
    #[serde(rename = "ImageStore json:imageStore")]
    images: Count,
    #[serde(rename = "RunRoot json:runRoot")]
    run_root: String,
    #[serde(rename = "TransientStore json:transientStore")]
    transient: bool,
    #[serde(rename = "VolumePath json:volumePath")]
    volumes: String,
}

#[derive(Serialize)]
#[serde(rename = "define.ImageStore")]
struct Count {
    #[serde(rename = "Number json:number")]
    number: usize,
}

#[derive(Default, Serialize)]
#[serde(rename = "define.ContainerStore")]
struct ContainerCounts {
    #[serde(rename = "Number json:number")]
    number: usize,
    #[serde(rename = "Paused json:paused")]
    paused: usize,
    #[serde(rename = "Running json:running")]
    running: usize,
    #[serde(rename = "Stopped json:stopped")]
    stopped: usize,
}

#[derive(Serialize)]
#[serde(rename = "define.Version")]
struct Version {
    #[serde(rename = "APIVersion")]
    api_version: &'static str,
    #[serde(rename = "Version")]
    version: &'static str,
    #[serde(rename = "Os")]
    os: &'static str,
    #[serde(rename = "OsArch")]
    platform: String,
}

/// Shows.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let architecture = cask_image::PlatformWanted::of_this_build().architecture;
    let info = Info {
        host: host(architecture.clone(), context)?,
        plugins: Plugins {
            volume: ["local"],
            network: ["bridge", "macvlan", "ipvlan"],
            log: LOG_DRIVERS,
        },
        registries: registered::all(&registries::read(&context.settings)?),
        store: store(context)?,
        version: Version {
            api_version: CELLAR.version(),
            version: CELLAR.version(),
            os: "linux",
            platform: format!("linux/{architecture}"),
        },
    };
    match arguments.format.as_deref() {
        None => output::bytes(yaml(&info)?.as_bytes()),
        Some(format) if is_json_format(format) => show::json(&info, JsonStyle::indented(2)),
        Some(template) => {
            let format = Format::parse("info", template, Origin::Value)?;
            output::bytes(&format.render(None, &Value::of(&info)?)?)
        }
    }
}

fn yaml(info: &Info) -> Result<String> {
    let json = to_json(&Value::of(info)?, JsonStyle::compact());
    Ok(machine::yaml(&serde_json::from_str(&json)?))
}

fn host(architecture: String, context: &Context) -> Result<Host> {
    let system = rustix::system::uname();
    let memory = Memory::read();
    let this = std::env::current_exe()?.display().to_string();
    let conf = containers_conf::load()?;
    let capabilities: Vec<String> =
        CapabilitySet::default().iter().map(|capability| capability.to_string()).collect();
    Ok(Host {
        architecture,
        builder_version: env!("CARGO_PKG_VERSION"),
        cgroup_manager: if context.services()?.is_some() { "systemd" } else { "cgroupfs" },
        cgroup_version: if Cgroup::is_unified() { "v2" } else { "v1" },
        controllers: machine::controllers(),
        monitor: Monitor { package: PACKAGE, path: this.clone(), version: PACKAGE },
        utilization: Processors::read(),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        distribution: Distribution::read(),
        event_logger: events::log(&context.settings)?.name(),
        hostname: system.nodename().to_string_lossy().into_owned(),
        users: IdMappings::read(),
        kernel: system.release().to_string_lossy().into_owned(),
        log_driver: LOG_DRIVERS[0],
        memory_free: memory.free,
        memory_total: memory.total,
        network_backend: "netavark",
        runtime: runtime(this, &conf.engine, context)?,
        os: "linux",
        security: Security {
            apparmor: false,
            capabilities: capabilities.join(","),
            rootless: rootless::is_rootless(),
            seccomp: true,
            seccomp_profile: conf.seccomp_profile.clone().unwrap_or_default(),
            selinux: false,
        },
        is_remote: false,
        swap_free: memory.swap_free,
        swap_total: memory.swap_total,
        uptime: machine::uptime(),
    })
}

/// What runs a container for which nobody says something else.
fn runtime(this: String, conf: &EngineConf, context: &Context) -> Result<Runtime> {
    let external = RuntimeArguments::default().resolve(&context.global, conf)?;
    Ok(match external {
        Some(runtime) => Runtime {
            name: runtime.name,
            package: "Unknown",
            version: machine::version_of(&runtime.program),
            path: runtime.program.display().to_string(),
        },
        None => Runtime {
            name: "cask".to_owned(),
            package: PACKAGE,
            path: this,
            version: PACKAGE.to_owned(),
        },
    })
}

/// Where large temporary files are put.
fn temporary(context: &Context) -> PathBuf {
    let given = context.settings.temporary_directory.clone();
    let named = || std::env::var_os("TMPDIR").filter(|path| !path.is_empty()).map(PathBuf::from);
    given.or_else(named).unwrap_or_else(|| "/var/tmp".into())
}

fn store(context: &Context) -> Result<StoreInfo> {
    let containers = context.containers()?;
    let store = containers.images().store();
    let space = rustix::fs::statvfs(store.graph_root())?;
    let mut counts = ContainerCounts::default();
    for container in containers.list(&[], |_| ())? {
        counts.number += 1;
        match container.state.status {
            Status::Paused => counts.paused += 1,
            Status::Running => counts.running += 1,
            _ => counts.stopped += 1,
        }
    }
    let options = store.options();
    let configuration = storage::configuration().unwrap_or_else(|| USUAL_CONFIGURATION.into());
    let info = StoreInfo {
        configuration: configuration.display().to_string(),
        containers: counts,
        driver: store.driver().to_string(),
        options: machine::options(options),
        graph_root: store.graph_root().display().to_string(),
        allocated: space.f_blocks * space.f_frsize,
        used: (space.f_blocks - space.f_bfree) * space.f_frsize,
        status: machine::status(store),
        temporary: temporary(context).display().to_string(),
        images: Count { number: store.images()?.len() },
        run_root: store.run_root().display().to_string(),
        transient: options.transient,
        volumes: match context.volume_directory()? {
            Some(directory) => directory.display().to_string(),
            None => store.graph_root().join("volumes").display().to_string(),
        },
    };
    Context::warn(store);
    Ok(info)
}
