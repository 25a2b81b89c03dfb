//! What containers.conf says where no flag does.

use cask_program::containers_conf::{
    ContainersConf, usual_limits, usual_namespace, usual_network, usual_seccomp,
};

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
    run.ulimit.splice(0..0, usual_limits(conf, &run.ulimit));
    run.shm_size = run.shm_size.take().or_else(|| conf.shm_size.clone());
    run.usual_capabilities.clone_from(&lists.capabilities);
    run.network = run.network.take().or_else(|| usual_network(conf));
    let apart = &mut run.confinement;
    apart.device.splice(0..0, lists.devices.iter().flatten().cloned());
    apart.security_opt.extend(usual_seccomp(conf, &apart.security_opt));
    for (own, usual) in [
        (&mut apart.ipc, &conf.modes.ipc),
        (&mut apart.pid, &conf.modes.pid),
        (&mut apart.uts, &conf.modes.uts),
        (&mut apart.cgroupns, &conf.modes.control_groups),
    ] {
        *own = own.take().or_else(|| usual_namespace(usual.as_deref()));
    }
}
