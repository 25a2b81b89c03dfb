//! What containers.conf says where no flag does.

use cask_program::containers_conf::{ContainerModes, ContainersConf};

use super::RunArguments;

/// Fills in what no flag says.
///
/// Source: buildah, `cmd/buildah/from.go`, `fromCmd`, and `pkg/cli/common.go`, `GetFromAndBudFlags`.
pub(super) fn fill(run: &mut RunArguments, conf: &ContainersConf) {
    let lists = &conf.lists;
    for (own, usual) in [
        (&mut run.dns, &lists.dns_servers),
        (&mut run.dns_search, &lists.dns_searches),
        (&mut run.dns_option, &lists.dns_options),
        (&mut run.volume, &lists.volumes),
    ] {
        if own.is_empty() {
            own.extend(usual.iter().flatten().cloned());
        }
    }
    let device = &mut run.confinement.device;
    device.splice(0..0, lists.devices.iter().flatten().cloned());
    // What a flag says of a limit counts.
    let name = |limit: &str| limit.split('=').next().unwrap_or_default().to_owned();
    let given: Vec<String> = run.ulimit.iter().map(|limit| name(limit)).collect();
    let usual = lists.limits.iter().flatten().filter(|limit| !given.contains(&name(limit)));
    run.ulimit.splice(0..0, usual.cloned());
    run.shm_size = run.shm_size.take().or_else(|| conf.shm_size.clone());
    run.usual_capabilities.clone_from(&lists.capabilities);
    seccomp(run, conf);
    namespaces(run, &conf.modes);
}

/// What commands have for themselves: where the file has no `host`, they have it.
///
/// Source: buildah, `run_common.go`, `DefaultNamespaceOptions`.
fn namespaces(run: &mut RunArguments, modes: &ContainerModes) {
    let apart = &mut run.confinement;
    for (own, usual) in [
        (&mut apart.ipc, &modes.ipc),
        (&mut apart.pid, &modes.pid),
        (&mut apart.uts, &modes.uts),
        (&mut apart.cgroupns, &modes.control_groups),
    ] {
        let usual = usual.as_deref().filter(|mode| !mode.is_empty());
        let mode = usual.map(|mode| if mode == "host" { mode } else { "private" });
        *own = own.take().or(mode.map(str::to_owned));
    }
    let network = modes.network.as_deref().filter(|mode| !mode.is_empty());
    // What other networks are called is podman's alone.
    let network = network.map(|mode| match mode {
        "host" | "none" => mode,
        _ => "private",
    });
    run.network = run.network.take().or(network.map(str::to_owned));
}

/// Which calls of the kernel may be made. The usual files have what our own profile has.
fn seccomp(run: &mut RunArguments, conf: &ContainersConf) {
    let options = &mut run.confinement.security_opt;
    let is_usual = |file: &&str| {
        matches!(*file, "/usr/share/containers/seccomp.json" | "/etc/containers/seccomp.json")
    };
    let file = conf.seccomp_profile.as_deref().filter(|file| !file.is_empty() && !is_usual(file));
    if let Some(file) = file
        && !options.iter().any(|option| option.starts_with("seccomp"))
    {
        options.push(format!("seccomp={file}"));
    }
}
