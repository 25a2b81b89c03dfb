//! What containers.conf says where no flag does.

use std::path::PathBuf;

use crate::containers_conf::ContainersConf;

use super::RunArguments;

impl RunArguments {
    /// Fills in what no flag says.
    ///
    /// Source: buildah, `pkg/cli/common.go`, `GetFromAndBudFlags`; `run_common.go`, `DefaultNamespaceOptions`.
    pub(in crate::build) fn fill(&mut self, conf: &ContainersConf) {
        let lists = &conf.lists;
        self.namespaces_of(conf);
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
        self.usual.devices = lists.devices.iter().flatten().cloned().collect();
        // What a flag says of a limit counts.
        let name = |limit: &str| limit.split('=').next().unwrap_or_default().to_owned();
        let given: Vec<String> = self.ulimit.iter().map(|limit| name(limit)).collect();
        let usual = lists.limits.iter().flatten().filter(|limit| !given.contains(&name(limit)));
        self.ulimit.splice(0..0, usual.cloned());
        self.shm_size = self.shm_size.take().or_else(|| conf.shm_size.clone());
        self.usual.capabilities.clone_from(&lists.capabilities);
        self.usual.sysctls = lists.sysctls.clone().unwrap_or_default();
        let proxy = conf.switches.http_proxy.map(|passes| passes.to_string());
        self.http_proxy = self.http_proxy.take().or(proxy);
        self.seccomp(conf);
        self.runtime_of(conf);
    }

    /// Which calls of the kernel may be made. The usual files have what our own profile has.
    fn seccomp(&mut self, conf: &ContainersConf) {
        let is_usual = |file: &&str| {
            matches!(*file, "/usr/share/containers/seccomp.json" | "/etc/containers/seccomp.json")
        };
        let file = conf.seccomp_profile.as_deref();
        let file = file.filter(|file| !file.is_empty() && !is_usual(file));
        if let Some(file) = file
            && !self.security_opt.iter().any(|option| option.starts_with("seccomp"))
        {
            self.security_opt.push(format!("seccomp={file}"));
        }
    }

    /// What commands have for themselves: what the file does not call `host`.
    fn namespaces_of(&mut self, conf: &ContainersConf) {
        let modes = &conf.modes;
        if super::super::executor::isolation(self).as_deref() == Some("chroot") {
            return;
        }
        for (own, usual) in [
            (&mut self.ipc, &modes.ipc),
            (&mut self.pid, &modes.pid),
            (&mut self.uts, &modes.uts),
            (&mut self.cgroupns, &modes.control_groups),
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
        self.network = self.network.take().or(network.map(str::to_owned));
    }

    fn runtime_of(&mut self, conf: &ContainersConf) {
        let engine = &conf.engine;
        self.usual.runtime = engine.runtime.as_ref().map(PathBuf::from);
        let mut listed =
            engine.runtime.iter().filter_map(|name| engine.runtimes.get(name)).flatten();
        let found = listed.find(|path| path.is_file()).cloned();
        self.usual.runtime = found.or(self.usual.runtime.take());
    }
}
