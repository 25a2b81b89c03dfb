//! What containers.conf says where no flag does.

use crate::build::executor;
use crate::containers_conf::{
    ContainersConf, usual_limits, usual_namespace, usual_network, usual_seccomp,
};

use super::RunArguments;

impl RunArguments {
    /// Fills in what no flag says.
    ///
    /// Source: buildah, `pkg/cli/common.go`, `GetFromAndBudFlags`.
    pub(in crate::build) fn fill(&mut self, conf: &ContainersConf) {
        let lists = &conf.lists;
        self.usual_namespaces(conf);
        let asks_nobody = self.network.as_deref() == Some("none") || self.dns == ["none"];
        for (own, usual) in [
            (&mut self.dns, &lists.dns_servers),
            (&mut self.dns_search, &lists.dns_searches),
            (&mut self.dns_option, &lists.dns_options),
        ] {
            if own.is_empty() && !asks_nobody {
                own.extend(usual.iter().flatten().cloned());
            }
        }
        self.volume.splice(0..0, lists.volumes.iter().flatten().cloned());
        self.ulimit.splice(0..0, usual_limits(conf, &self.ulimit));
        self.shm_size = self.shm_size.take().or_else(|| conf.shm_size.clone());
        self.security_opt.extend(usual_seccomp(conf, &self.security_opt));
        let proxy = conf.switches.http_proxy.map(|passes| passes.to_string());
        self.http_proxy = self.http_proxy.take().or(proxy);
        self.usual.devices = lists.devices.iter().flatten().cloned().collect();
        self.usual.capabilities.clone_from(&lists.capabilities);
        self.usual.hooks = conf.engine.hooks.clone();
        self.usual.sysctls = lists.sysctls.clone().unwrap_or_default();
        let runtime =
            |name: &String| conf.engine.find_runtime(name).unwrap_or(name.as_ref()).into();
        self.usual.runtime = conf.engine.runtime.as_ref().map(runtime);
    }

    /// What commands share with the machine, where they are contained at all.
    fn usual_namespaces(&mut self, conf: &ContainersConf) {
        if executor::isolation(self).as_deref() == Some("chroot") {
            return;
        }
        for (own, usual) in [
            (&mut self.ipc, &conf.modes.ipc),
            (&mut self.pid, &conf.modes.pid),
            (&mut self.uts, &conf.modes.uts),
            (&mut self.cgroupns, &conf.modes.control_groups),
        ] {
            *own = own.take().or_else(|| usual_namespace(usual.as_deref()));
        }
        self.network = self.network.take().or_else(|| usual_network(conf));
    }
}
