//! RUN in a stage.

use std::ffi::OsString;

use cask_containerfile::instruction::{Network as NetworkWord, Run, Security};
use cask_containerfile::{Behavior, Variables as _, is_predefined};
use cask_runtime::{CapabilitySet, Privileges, Seccomp};

use super::command::Command;
use super::execute::{Execution, execute};
use super::mounts;
use crate::build::{BuildNetwork, Ground, Layered, StageRun, Unmask};
use crate::key::KeyParts;
use crate::working::WorkingNamespaces;
use crate::{Error, ErrorKind, Result, config, history};

impl StageRun<'_> {
    /// RUN.
    pub(crate) fn run(&mut self, run: &Run) -> Result<Layered> {
        let command = Command::new(run, &config::shell(&self.state.config.config));
        if command.arguments.iter().all(String::is_empty) {
            return Err(Error::new(ErrorKind::Invalid, "RUN", "there is no command"));
        }
        self.check_devices(run)?;
        let network = self.network(run)?;
        let privileges = self.privileges(run)?;
        let mut parts = self.run_key(&command, network, &privileges);
        let mut flags = run.mounts.clone();
        flags.extend(self.engine.request.run.mounts.iter().cloned().map(|mut flag| {
            flag.span = self.plan.at;
            flag
        }));
        let plans = mounts::plan(self, &flags, &mut parts)?;
        let execution = Execution {
            environment: self.environment(&plans.environment),
            network,
            privileges,
            masks_kernel: run.security != Some(Security::Insecure),
            command: &command,
            plans: &plans,
        };
        let layered = self.layered(&parts, Ground::Stage, |stage| execute(stage, &execution))?;
        self.note_run(&command);
        Ok(layered)
    }

    fn check_devices(&self, run: &Run) -> Result<()> {
        for device in &run.devices {
            let detail =
                "a device of a vendor is given to all commands, with --device of the build";
            if device.is_required {
                return Err(Error::new(ErrorKind::Invalid, &device.name, detail));
            }
            self.engine.warn(Some(&self.step), format!("{}: {detail}", device.name));
        }
        Ok(())
    }

    fn network(&self, run: &Run) -> Result<BuildNetwork> {
        let own = self.engine.request.run.network;
        match run.network {
            Some(NetworkWord::None) => Ok(BuildNetwork::None),
            Some(NetworkWord::Host) if own == BuildNetwork::None => {
                let detail = "the build was asked to have no network";
                Err(Error::new(ErrorKind::Invalid, "RUN --network=host", detail)
                    .with_hint("allow it with --network=host for the build"))
            }
            Some(NetworkWord::Host)
                if own == BuildNetwork::Private
                    && !self.engine.request.run.privileges.danger_allow_host_network =>
            {
                let detail = "network.host is not allowed";
                Err(Error::new(ErrorKind::Invalid, "RUN --network=host", detail)
                    .with_hint("allow it with --allow network.host"))
            }
            Some(NetworkWord::Host) => Ok(BuildNetwork::Host),
            _ => Ok(own),
        }
    }

    fn privileges(&self, run: &Run) -> Result<Privileges> {
        let wanted = &self.engine.request.run.privileges;
        let mut privileges = Privileges::default();
        if run.security == Some(Security::Insecure) {
            if !wanted.danger_allow_insecure {
                let detail = "security.insecure is not allowed";
                return Err(Error::new(ErrorKind::Invalid, "RUN --security=insecure", detail)
                    .with_hint("allow it with --allow security.insecure"));
            }
            privileges.capabilities = CapabilitySet::all();
            privileges.seccomp = Seccomp::DangerUnconfined;
            return Ok(privileges);
        }
        if let Some(usual) = &wanted.usual {
            privileges.capabilities = usual.iter().copied().collect();
        }
        for capability in &wanted.add {
            privileges.capabilities = privileges.capabilities.with(*capability);
        }
        for capability in &wanted.drop {
            privileges.capabilities = privileges.capabilities.without(*capability);
        }
        privileges.seccomp = wanted.seccomp;
        privileges.seccomp_profile.clone_from(&wanted.seccomp_profile);
        privileges.no_new_privileges = wanted.no_new_privileges;
        Ok(privileges)
    }

    /// All that can change the result of a command but its mounts.
    fn run_key(
        &self,
        command: &Command,
        network: BuildNetwork,
        privileges: &Privileges,
    ) -> KeyParts {
        let mut parts = self.key_parts("RUN");
        let config = &self.state.config.config;
        for argument in &command.arguments {
            parts.add("command", argument);
        }
        if let Some((path, script)) = &command.script {
            parts.add(format!("script {path}"), script);
        }
        for (name, value) in self.state.scope.visible() {
            let is_variable = self.state.scope.environment().iter().any(|(own, _)| own == name);
            let kind = if is_variable { "variable" } else { "argument" };
            parts.add(format!("{kind} {name}"), value);
        }
        parts.add("user", &config.user);
        parts.add("working directory", &config.working_dir);
        parts.add("platform", &self.step.platform);
        parts.add("network", network.as_str());
        parts.add("privileges", format!("{privileges:?}"));
        let options = &self.engine.request.run;
        for (name, address) in &options.names.hosts {
            parts.add(format!("host {name}"), address.to_string());
        }
        for name in &options.names.gateway_names {
            parts.add(format!("host {name}"), "host-gateway");
        }
        parts.add("host name", &options.names.host_name);
        if options.names.keep_host_name_file {
            parts.add("host name file", "the image's");
        }
        if !options.sysctls.is_empty() {
            parts.add("settings", options.sysctls.join(" "));
        }
        let hidden = &options.privileges;
        if !hidden.mask.is_empty() || hidden.unmask != Unmask::Nothing {
            parts.add("hidden", format!("{:?} but {:?}", hidden.mask, hidden.unmask));
        }
        parts.add("shared memory", options.shared_memory_bytes.to_string());
        for limit in &options.limits {
            parts.add("limit", format!("{limit:?}"));
        }
        for device in &options.devices {
            parts.add(
                "device",
                format!("{} {}:{}", device.path.display(), device.major, device.minor),
            );
        }
        for name in &options.described_devices.names {
            parts.add("device", name);
        }
        for file in &options.given_files {
            parts
                .add(format!("given {}", file.target.display()), file.source.display().to_string());
        }
        for group in &options.groups {
            parts.add("group", group);
        }
        if options.input {
            parts.add("input", "that of the builder");
        }
        if let Some(users) = options.users.key() {
            parts.add("users", users);
        }
        if options.keep_groups {
            parts.add("group", "those of whoever builds");
        }
        if options.keeps_volumes && !self.state.config.config.volumes.is_empty() {
            parts.add("volumes", "as they were");
        }
        if options.namespaces != WorkingNamespaces::default() {
            parts.add("namespaces", format!("{:?}", options.namespaces));
        }
        for volume in &options.volumes {
            let from = volume.source.display();
            parts.add(format!("volume {}", volume.target.display()), from.to_string());
        }
        parts
    }

    /// What the command sees: the image's variables, the arguments, proxies, and what mounts bring.
    fn environment(&self, more: &[(OsString, OsString)]) -> Vec<(OsString, OsString)> {
        let scope = &self.state.scope;
        let mut all: Vec<(OsString, OsString)> = Vec::new();
        let proxies =
            self.engine.request.run.proxies.iter().filter(|(name, _)| is_predefined(name));
        let given = self.engine.request.arguments.iter().filter(|(name, _)| is_predefined(name));
        all.extend(proxies.chain(given).map(|(name, value)| (name.into(), value.into())));
        all.extend(scope.visible().map(|(name, value)| (name.into(), value.into())));
        all.extend(more.iter().cloned());
        all
    }

    fn note_run(&mut self, command: &Command) {
        let scope = &self.state.scope;
        let seen = |name: &str| scope.value(name).unwrap_or_default().to_owned();
        let created_by = match self.dialect().does(Behavior::HistoryHasMarker) {
            true => {
                let arguments: Vec<(String, String)> =
                    scope.arguments().map(|(name, _)| (name.to_owned(), seen(name))).collect();
                history::buildkit_run(&arguments, &command.arguments)
            }
            false => {
                let statement = &self.plan.statement;
                let text = statement.text().trim_end();
                let mut text = text.get(3..).unwrap_or_default().trim_start().to_owned();
                for heredoc in statement.heredocs() {
                    text.push_str(&format!("\n{}{}", heredoc.text, heredoc.name));
                }
                history::buildah_run(&self.valued_arguments(), &text)
            }
        };
        self.note_as(created_by, true);
    }
}
