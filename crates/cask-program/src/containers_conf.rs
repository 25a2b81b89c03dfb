//! What the user's and the system's files say of containers.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail};
use cask_config::containers::ContainersPaths;

pub use cask_config::containers::{CompressionConf, ContainerModes, ContainersConf, EngineConf};

use crate::registries;

/// Files that were asked for by name.
static MODULES: OnceLock<Vec<PathBuf>> = OnceLock::new();

/// Has [`load`] read these modules too: names or paths, the later ones more important. To be said before the files are
/// read.
pub fn use_modules(modules: Vec<PathBuf>) {
    // Only who says it twice is too late.
    let _ = MODULES.set(modules);
}

/// What containers.conf, its drop-ins and modules say, as `$CONTAINERS_CONF` and `$CONTAINERS_CONF_OVERRIDE` have it. They are read
/// once, however many parts of a command ask.
///
/// # Errors
/// Those of the files.
pub fn load() -> Result<&'static ContainersConf> {
    static LOADED: OnceLock<ContainersConf> = OnceLock::new();
    if let Some(conf) = LOADED.get() {
        return Ok(conf);
    }
    let variable = |name| std::env::var_os(name).map(Into::into);
    let environment = registries::environment();
    let mut paths = ContainersPaths::new(
        &environment,
        variable("CONTAINERS_CONF"),
        variable("CONTAINERS_CONF_OVERRIDE"),
    );
    for module in MODULES.get().into_iter().flatten() {
        paths.add_module(&environment, module)?;
    }
    let conf = ContainersConf::load(&paths)?;
    Ok(LOADED.get_or_init(|| conf))
}

/// Has the variables that the files give to engines, but those that somebody has set already: this program begins again
/// with them. To be called before anything is done.
///
/// Source: podman, `cmd/podman/root.go`; buildah, `cmd/buildah/main.go`.
///
/// # Errors
/// Those of the files; for what is no variable; where the program cannot begin again.
pub fn take_environment() -> Result<()> {
    let mut missing = Vec::new();
    for variable in load()?.engine.environment.iter().flatten() {
        let Some((name, value)) = variable.split_once('=').filter(|(name, _)| !name.is_empty())
        else {
            bail!(
                "invalid environment variable for engine {variable}, valid configuration is KEY=value pair"
            );
        };
        if std::env::var_os(name).is_none() {
            missing.push((name, value));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let mut arguments = std::env::args_os();
    let mut again = Command::new("/proc/self/exe");
    again.arg0(arguments.next().unwrap_or_default()).args(arguments).envs(missing);
    Err(again.exec()).context("beginning again with the variables of containers.conf")
}

/// What the commands of a build share with the machine where no flag says: `host` or `private`; nothing where the file
/// is silent too. It is one of [`ContainerModes`], but for the network.
///
/// Source: buildah, `run_common.go`, `DefaultNamespaceOptions`.
#[must_use]
pub fn usual_namespace(mode: Option<&str>) -> Option<String> {
    let mode = mode.filter(|mode| !mode.is_empty())?;
    Some(if mode == "host" { mode } else { "private" }.to_owned())
}

/// The network of the commands of a build where no flag says: `host`, `none` or `private`, since what other networks are
/// called is podman's alone.
#[must_use]
pub fn usual_network(conf: &ContainersConf) -> Option<String> {
    match conf.modes.network.as_deref() {
        Some("none") => Some("none".to_owned()),
        mode => usual_namespace(mode),
    }
}

/// The limits that flags (`NAME=SOFT:HARD`) do not speak of.
#[must_use]
pub fn usual_limits(conf: &ContainersConf, flags: &[String]) -> Vec<String> {
    let name = |limit: &str| limit.split('=').next().unwrap_or_default().to_owned();
    let given: Vec<_> = flags.iter().map(|limit| name(limit)).collect();
    let usual = conf.lists.limits.iter().flatten();
    usual.filter(|limit| !given.contains(&name(limit))).cloned().collect()
}

/// The security option for the file of calls that may be made, where no option speaks of it. Files that distributions
/// bring have what our own profile has.
#[must_use]
pub fn usual_seccomp(conf: &ContainersConf, options: &[String]) -> Option<String> {
    let file = conf.seccomp_profile.as_deref().filter(|file| !file.is_empty())?;
    let is_ours =
        matches!(file, "/usr/share/containers/seccomp.json" | "/etc/containers/seccomp.json");
    let is_given = options.iter().any(|option| option.starts_with("seccomp"));
    (!is_ours && !is_given).then(|| format!("seccomp={file}"))
}
