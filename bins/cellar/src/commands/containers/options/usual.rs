//! What containers.conf says where no flag does.

use anyhow::{Context as _, Result};

use cask_engine::{ContainerConfig, MountConfig, NetworkMode, SpaceMode};
use cask_program::containers_conf::ContainersConf;

use super::{ContainerArguments, security, size};

/// Fills in what no flag said. The environment is below that of the image, everything else above it.
pub(super) fn fill(
    arguments: &ContainerArguments,
    conf: &ContainersConf,
    config: &mut ContainerConfig,
) -> Result<()> {
    of_process(arguments, conf, config);
    of_files(arguments, conf, config)?;
    let lists = &conf.lists;
    let network = &mut config.network;
    if matches!(network.mode, NetworkMode::Pasta(_)) {
        network.pasta_options.extend(conf.network.pasta_options.iter().flatten().cloned());
    }
    for (own, usual) in [
        (&mut network.dns, &lists.dns_servers),
        (&mut network.dns_search, &lists.dns_searches),
        (&mut network.dns_options, &lists.dns_options),
    ] {
        if own.is_empty() {
            own.extend(usual.iter().flatten().cloned());
        }
    }
    if arguments.resources.limits.pids_limit.is_none() && conf.pids_limit.is_some() {
        config.resources.usual_pids = conf.pids_limit;
    }
    let security = &mut config.security;
    security.usual.extend(lists.capabilities.iter().flatten().cloned());
    if !security.options.iter().any(|option| option.starts_with("seccomp")) {
        match conf.seccomp_profile.as_deref() {
            None => {}
            Some("unconfined") => security.seccomp_unconfined = true,
            Some(path) => security.seccomp_profile = security::profile(path)?,
        }
    }
    of_life(conf, config);
    sysctls(conf, config);
    Ok(())
}

fn of_process(arguments: &ContainerArguments, conf: &ContainersConf, config: &mut ContainerConfig) {
    let (given, process) = (&arguments.process, &mut config.process);
    let of_conf = conf.lists.environment.iter().flatten().cloned();
    process.default_environment.splice(0..0, of_conf);
    if let Some(limits) = conf.lists.limits.as_ref().filter(|_| given.ulimit.is_empty()) {
        process.limits.clone_from(limits);
    }
    if process.oom_score.is_none() {
        process.oom_score = conf.oom_score.and_then(|score| i16::try_from(score).ok());
    }
    process.init |= conf.switches.init.unwrap_or_default();
    process.time_zone = process.time_zone.take().or_else(|| conf.time_zone.clone());
    if given.umask.is_none()
        && let Some(umask) = &conf.umask
    {
        process.umask = u32::from_str_radix(umask, 8).ok().filter(|mask| *mask <= 0o777);
    }
}

fn of_files(
    arguments: &ContainerArguments,
    conf: &ContainersConf,
    config: &mut ContainerConfig,
) -> Result<()> {
    let files = &mut config.files;
    for text in conf.lists.volumes.iter().flatten() {
        let mount = MountConfig::of_volume(text, std::path::Path::new("/"))
            .context("volumes of containers.conf")?;
        if !files.mounts.iter().any(|known| known.target == mount.target) {
            files.mounts.push(mount);
        }
    }
    for text in conf.lists.mounts.iter().flatten() {
        let mounts = MountConfig::of_mounts(text, std::path::Path::new("/"))
            .context("parsing containers.conf mounts")?;
        for mount in mounts {
            if !files.mounts.iter().any(|known| known.target == mount.target) {
                files.mounts.push(mount);
            }
        }
    }
    if files.image_volumes.is_empty()
        && let Some(kind) = &conf.engine.image_volumes
    {
        files.image_volumes.clone_from(kind);
    }
    files.devices.extend(conf.lists.devices.iter().flatten().cloned());
    if files.shm_bytes.is_none()
        && let Some(text) = &conf.shm_size
    {
        files.shm_bytes = Some(size("shm-size", text).context("shm_size of containers.conf")?);
    }
    if arguments.files.read_only.is_none() {
        files.read_only = conf.switches.read_only.unwrap_or_default();
    }
    // Who adds names wants the file.
    let adds = arguments.network.has_hosts();
    files.no_hosts |= conf.switches.no_hosts.unwrap_or_default() && !adds;
    Ok(())
}

fn of_life(conf: &ContainersConf, config: &mut ContainerConfig) {
    let log = &mut config.log;
    if log.driver.is_empty() {
        log.driver.clone_from(conf.log_driver.as_ref().unwrap_or(&String::new()));
    }
    let most = conf.log_size_max.and_then(|bytes| u64::try_from(bytes).ok());
    // For containers that have such a log.
    let most =
        most.filter(|bytes| *bytes > 0 && !matches!(&*log.driver, "journald" | "passthrough"));
    log.max_size_bytes = log.max_size_bytes.or(most);
    if log.driver == "journald" {
        log.tag = log.tag.take().or_else(|| conf.log_tag.clone());
    }
    let seconds = conf.stop_timeout.and_then(|seconds| u32::try_from(seconds).ok());
    config.lifecycle.stop_timeout = config.lifecycle.stop_timeout.or(seconds);
    for (name, value) in super::pairs(conf.lists.annotations.as_deref().unwrap_or_default()) {
        config.annotations.entry(name).or_insert(value);
    }
}

/// Settings of namespaces that the container has for itself, and that no flag sets.
///
/// Source: podman, `pkg/specgen/generate/namespaces.go`.
fn sysctls(conf: &ContainersConf, config: &mut ContainerConfig) {
    let own_network = matches!(
        config.network.mode,
        NetworkMode::None | NetworkMode::Bridge(_) | NetworkMode::Pasta(_)
    );
    let own_ipc = matches!(config.namespaces.ipc, SpaceMode::Private | SpaceMode::None);
    for setting in conf.lists.sysctls.iter().flatten() {
        let name = setting.split('=').next().unwrap_or_default();
        let fits = if name.starts_with("net.") {
            own_network
        } else if name.starts_with("kernel.") || name.starts_with("fs.mqueue.") {
            own_ipc
        } else {
            true
        };
        let is_given = |given: &String| given.split('=').next() == Some(name);
        if fits && !config.files.sysctls.iter().any(is_given) {
            config.files.sysctls.push(setting.clone());
        }
    }
}
