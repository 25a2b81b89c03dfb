//! Networks of commands in working containers.

use std::fmt::Write as _;
use std::sync::Arc;

use cask_runtime::{Executor, Namespaces, Network};
use serde_json::{Value, json};

use super::WorkingContainer;
use super::confine::WorkingNamespace;
use super::run::{WorkingRun, host};
use super::state::{State, texts};
use crate::build::{HostNames, StageNetwork};
use crate::run::resolv_conf;
use crate::{Error, ErrorKind, Result};

/// The network of commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkingNetwork {
    /// The machine's, as long as nothing else is said.
    #[default]
    Default,
    /// None but a loopback interface.
    None,
    /// The machine's.
    Host,
    /// Another one, as `--network` says it: `private`, the names of networks, `ns:PATH`. Whoever runs a command
    /// [makes](WorkingRun::own_network) it.
    Other(String),
}

impl WorkingNetwork {
    /// Writes it down as buildah does: in a list of namespaces, and a number.
    ///
    /// Source: buildah, `define/types.go`, `NetworkConfigurationPolicy`; `pkg/parse`, `NamespaceOptions`.
    pub(super) fn remember(&self, state: &mut State) -> Option<WorkingNamespace> {
        let (policy, namespace) = match self {
            Self::Default => (0, None),
            Self::None => (1, None),
            Self::Host => (0, Some(WorkingNamespace::Host)),
            Self::Other(text) => {
                let path = match text.as_str() {
                    "private" => "",
                    text => text.strip_prefix("ns:").unwrap_or(text),
                };
                (2, Some(WorkingNamespace::Path(path.to_owned())))
            }
        };
        state.set("ConfigureNetwork", json!(policy));
        namespace
    }
}

/// Those of the usual settings of the kernel that are of something that a command has for itself.
pub(super) fn sysctls(
    usual: &[String],
    spaces: &Namespaces,
    network: &WorkingNetwork,
) -> Result<Vec<(String, String)>> {
    let has_network = match network {
        WorkingNetwork::Other(text) => !text.trim_start_matches("ns:").starts_with('/'),
        _ => false,
    };
    crate::run::sysctls(usual, spaces, has_network)
}

impl WorkingContainer {
    /// The network that commands have where nothing is said for them.
    pub fn network(&self) -> WorkingNetwork {
        let policy = self.state.value("ConfigureNetwork").and_then(Value::as_i64);
        if policy == Some(1) {
            return WorkingNetwork::None;
        }
        let listed = self.state.value("NamespaceOptions").and_then(Value::as_array);
        let mut entries = listed.into_iter().flatten();
        let Some(entry) = entries.find(|entry| entry["Name"] == "network") else {
            return WorkingNetwork::Default;
        };
        match (entry["Host"].as_bool(), entry["Path"].as_str().unwrap_or_default()) {
            (Some(true), _) => WorkingNetwork::Host,
            (_, "") if policy == Some(2) => WorkingNetwork::Other("private".to_owned()),
            (_, "") => WorkingNetwork::Default,
            (_, path) if path.starts_with('/') => WorkingNetwork::Other(format!("ns:{path}")),
            (_, names) => WorkingNetwork::Other(names.to_owned()),
        }
    }

    /// The network of a command, as the executor has it.
    pub(super) fn network_of(
        &self,
        network: &WorkingNetwork,
        run: &WorkingRun,
        executor: &dyn Executor,
    ) -> Result<Network> {
        let refuse = |text: &str, detail: &str| {
            Err(Error::new(ErrorKind::Invalid, format!("--network={text}"), detail))
        };
        match (network, &run.own_network) {
            (WorkingNetwork::None, _) => Ok(Network::None),
            (WorkingNetwork::Default | WorkingNetwork::Host, _) => Ok(Network::Host),
            (WorkingNetwork::Other(text), _) if !executor.capabilities().networks => {
                refuse(text, "what runs the command has no networks of its own")
            }
            (WorkingNetwork::Other(_), Some(own)) => Ok(Network::Join(Arc::clone(&own.namespace))),
            (WorkingNetwork::Other(text), None) => {
                refuse(text, "there is nothing to make networks with")
            }
        }
    }

    /// The text of `/etc/hosts`.
    pub(super) fn hosts(&self, host_name: &str, own: Option<&StageNetwork>) -> Result<String> {
        let mut text =
            String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
        let name = self.name();
        match own.map(|own| own.addresses.as_slice()).unwrap_or_default() {
            [] => drop(writeln!(text, "127.0.1.1\t{host_name} {name}")),
            addresses => addresses.iter().for_each(|address| {
                let _ = writeln!(text, "{address}\t{host_name} {name}");
            }),
        }
        let machine = match own {
            Some(own) => own.gateway.map(|gateway| gateway.to_string()),
            None => Some("127.0.0.1".to_owned()),
        };
        if let Some(machine) = machine {
            let _ = writeln!(text, "{machine}\thost.containers.internal host.docker.internal");
        }
        for entry in texts(self.state.common("AddHost")) {
            let (name, address) = host(&entry)?;
            let _ = writeln!(text, "{address}\t{name}");
        }
        Ok(text)
    }

    /// The text of `/etc/resolv.conf`.
    pub(super) fn resolv_conf(&self, machine: &str, own: Option<&StageNetwork>) -> Result<String> {
        let mut names = HostNames::default();
        machine.clone_into(&mut names.resolv_conf);
        for text in texts(self.state.common("DNSServers")) {
            names.servers.push(text.parse().map_err(|_| {
                Error::new(ErrorKind::Invalid, format!("server {text:?}"), "is no address")
            })?);
        }
        names.search = texts(self.state.common("DNSSearch"));
        names.options = texts(self.state.common("DNSOptions"));
        Ok(resolv_conf(&names, own))
    }
}

#[cfg(test)]
mod tests {
    use cask_runtime::Namespace;

    use super::*;

    #[test]
    fn settings_are_of_what_a_command_has_for_itself() {
        let usual = ["net.a=1", "fs.mqueue.b=2", "kernel/hostname=c", "kernel.shmmax=5"];
        let usual = usual.map(str::to_owned);
        let check = |spaces: &Namespaces, network: &WorkingNetwork, expected: &[&str]| {
            let found = sysctls(&usual, spaces, network).unwrap();
            let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, expected);
        };
        let other = |text: &str| WorkingNetwork::Other(text.to_owned());
        let own = Namespaces::default();
        check(&own, &other("private"), &["net.a", "fs.mqueue.b", "kernel/hostname"]);
        check(&own, &other("ns:/run/netns/x"), &["fs.mqueue.b", "kernel/hostname"]);
        let mut shared = Namespaces::default();
        (shared.names, shared.communication) = (Namespace::Host, Namespace::Host);
        check(&shared, &WorkingNetwork::Host, &[]);
        assert!(sysctls(&["x".to_owned()], &own, &WorkingNetwork::None).is_err());
    }
}
