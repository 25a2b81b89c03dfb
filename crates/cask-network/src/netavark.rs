//! Netavark's protocol: JSON on its input, and the path of a network namespace.
//!
//! Source: netavark, `src/network/types.rs`; containers/common, `libnetwork/netavark/run.go`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::networks::PROGRAMS;
use crate::{Error, ErrorKind, Network, Networks, Result, helper};

/// A container on networks: what netavark is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The container's ID.
    pub container_id: String,
    /// Its name, which is known on networks with names.
    pub container_name: String,
    /// Ports of this machine that lead to its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub port_mappings: Vec<PortMapping>,
    /// How it is on each network.
    pub networks: BTreeMap<String, Attachment>,
    /// Each of these networks.
    pub network_info: BTreeMap<String, Network>,
}

/// How a container is on a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub static_ips: Vec<IpAddr>,
    /// Its other names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Its hardware address; `None` is one of chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub static_mac: Option<String>,
    /// The name of its interface.
    pub interface_name: String,
}

/// Ports of this machine that lead to a container's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    /// The address of this machine; empty is every one.
    pub host_ip: String,
    /// The first port of the container.
    pub container_port: u16,
    /// The first port of this machine.
    pub host_port: u16,
    /// How many ports in a row.
    pub range: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

/// What became of a container on a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Domains in which names are looked for.
    #[serde(default)]
    pub dns_search_domains: Vec<String>,
    /// Who answers for names.
    #[serde(default)]
    pub dns_server_ips: Vec<IpAddr>,
    /// Its interfaces, by name.
    #[serde(default)]
    pub interfaces: BTreeMap<String, Interface>,
}

/// An interface of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its hardware address.
    #[serde(default)]
    pub mac_address: String,
    /// Its addresses.
    #[serde(default)]
    pub subnets: Vec<InterfaceSubnet>,
}

/// An address of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceSubnet {
    /// Through whom the rest of the world is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// The address, and how many of its bits all on the network have: `10.88.0.2/16`.
    pub ipnet: String,
}

impl InterfaceSubnet {
    /// The address alone, with its bits.
    pub fn address(&self) -> Option<(IpAddr, u8)> {
        let (address, bits) = self.ipnet.split_once('/')?;
        Some((address.parse().ok()?, bits.parse().ok()?))
    }
}

/// What iptables says where another store's networks, or another program, made the same chain meanwhile.
const MADE_MEANWHILE: &str = "Chain already exists";

/// How often a network namespace is connected once more then: there are a few chains.
const MOST_TRIES: u32 = 8;

impl Networks {
    /// Connects a network namespace.
    ///
    /// Nothing is left behind where it fails: what was done of it is undone.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] where netavark, or aardvark-dns for a network with names, is not installed, or too old
    /// for what a network has; [`ErrorKind::Helper`] with what it said.
    pub fn connect(
        &self,
        namespace: &Path,
        connection: &Connection,
    ) -> Result<BTreeMap<String, Status>> {
        self.check_version(connection)?;
        self.set_up(namespace, connection)
    }

    fn set_up(
        &self,
        namespace: &Path,
        connection: &Connection,
    ) -> Result<BTreeMap<String, Status>> {
        let mut tries = 1..=MOST_TRIES;
        let answer = loop {
            match self.netavark("setup", namespace, connection) {
                Err(error) if error.kind() == ErrorKind::Helper => {
                    // Some rules may be there already.
                    let _ = self.netavark("teardown", namespace, connection);
                    if !error.to_string().contains(MADE_MEANWHILE) || tries.next().is_none() {
                        return Err(error);
                    }
                }
                other => break other?,
            }
        };
        serde_json::from_slice(&answer).map_err(|error| {
            let words =
                format!("netavark: its answer is not understood: {}", helper::plain(&answer));
            Error::new(ErrorKind::Helper, words).with_source(error)
        })
    }

    /// Refuses networks with something that the netavark which is installed would pass over.
    fn check_version(&self, connection: &Connection) -> Result<()> {
        let mut needed = connection.network_info.values().filter_map(needed_version);
        let Some((name, what, least)) = needed.next() else { return Ok(()) };
        let program = self.places().program("netavark")?;
        let mut command = Command::new(&program);
        command.arg("--version");
        let said = helper::run(command, b"")?;
        let said = String::from_utf8_lossy(&said);
        let version = said.trim().rsplit(' ').next().unwrap_or_default();
        if version_numbers(version) >= least.to_vec() {
            return Ok(());
        }
        let least = least.map(|number| number.to_string()).join(".");
        let words = format!(
            "network {name} has {what}, for which netavark {least} is needed: {} is {version}",
            program.display()
        );
        Err(Error::new(ErrorKind::Missing, words)
            .with_hint("install a newer netavark, or name one's directory in helper_binaries_dir of containers.conf"))
    }

    /// Takes back everything that [`connect`](Self::connect) did.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn disconnect(&self, namespace: &Path, connection: &Connection) -> Result<()> {
        self.netavark("teardown", namespace, connection).map(drop)
    }

    /// Takes back what was done for a container whose network namespace is gone: rules and names.
    ///
    /// `empty` is a namespace that nothing is in: netavark takes back only what it finds, so that the container is
    /// connected there once more before.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn forget(&self, empty: &Path, connection: &Connection) -> Result<()> {
        self.set_up(empty, connection)?;
        self.disconnect(empty, connection)
    }

    /// Has whoever answers for names on a network ask other servers.
    pub(crate) fn update(&self, network: &Network) -> Result<()> {
        let mut command = self.command(network.dns_enabled)?;
        let servers: Vec<String> =
            network.network_dns_servers.iter().map(ToString::to_string).collect();
        command.args(["update", &network.name, "--network-dns-servers", &servers.join(",")]);
        let _held = self.lock()?;
        helper::run(command, b"").map(drop)
    }

    fn netavark(&self, verb: &str, namespace: &Path, connection: &Connection) -> Result<Vec<u8>> {
        let names = connection.network_info.values().any(|network| network.dns_enabled);
        let mut command = self.command(names)?;
        command.arg(verb).arg(namespace);
        let input = serde_json::to_vec(connection).expect("texts and numbers can be written");
        // Two at once would each find chains missing that both then make.
        let _held = self.lock()?;
        helper::run(command, &input)
    }

    /// The program with the options that it always has.
    fn command(&self, names: bool) -> Result<Command> {
        let places = self.places();
        let mut command = Command::new(places.program("netavark")?);
        command.env("PATH", search_path(&places.helpers)?);
        // Source: netavark, `src/commands/setup.rs`; containers/common, `libnetwork/netavark/exec.go`.
        if let Some(port) = places.defaults.dns_port {
            command.env("NETAVARK_DNS_PORT", port.to_string());
        }
        if let Some(firewall) = &places.defaults.firewall {
            command.env("NETAVARK_FW", firewall);
        }
        command.arg("--config").arg(&places.run).arg(format!("--rootless={}", places.rootless));
        match places.program("aardvark-dns") {
            Ok(program) => {
                let mut argument = OsString::from("--aardvark-binary=");
                argument.push(program);
                command.arg(argument);
            }
            Err(error) if names => return Err(error),
            Err(_) => {}
        }
        std::fs::create_dir_all(&places.run)
            .map_err(|error| Error::io(error, "making the directory", &places.run))?;
        Ok(command)
    }
}

/// What a network has that not every netavark knows: its name, what, and since which version.
///
/// Source: netavark, `RELEASE_NOTES.md`.
fn needed_version(network: &Network) -> Option<(&str, &'static str, [u32; 3])> {
    if !network.routes.is_empty() {
        return Some((&network.name, "routes", [1, 7, 0]));
    }
    (network.driver == "ipvlan").then_some((&network.name, "the driver ipvlan", [1, 5, 0]))
}

fn version_numbers(version: &str) -> Vec<u32> {
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    plain.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

/// Where netavark looks for `nft` and `iptables`: also where users, whose programs they are not, do not.
fn search_path(helpers: &[PathBuf]) -> Result<OsString> {
    let usual = PROGRAMS.map(PathBuf::from);
    std::env::join_paths(helpers.iter().chain(&usual)).map_err(|error| {
        Error::new(ErrorKind::Helper, "the directories of helpers").with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Places;

    /// As podman 4.3.1 told netavark 1.4.0, and was answered.
    const TOLD: &str = r#"{"container_id":"1609","container_name":"c2","port_mappings":[{"host_ip":"","container_port":80,"host_port":8080,"range":1,"protocol":"tcp"}],"networks":{"podman":{"static_ips":["10.88.0.2"],"aliases":["1609072acdd5"],"interface_name":"eth0"}},"network_info":{"podman":{"name":"podman","id":"2f25","driver":"bridge","network_interface":"podman0","created":"2026-11-21T13:11:35.700804233Z","subnets":[{"subnet":"10.88.0.0/16","gateway":"10.88.0.1"}],"ipv6_enabled":false,"internal":false,"dns_enabled":false,"ipam_options":{"driver":"host-local"}}}}"#;
    const ANSWERED: &str = r#"{"podman":{"dns_search_domains":[],"dns_server_ips":[],"interfaces":{"eth0":{"mac_address":"a6:c9:d8:a9:a0:23","subnets":[{"gateway":"10.88.0.1","ipnet":"10.88.0.2/16"}]}}}}"#;

    /// Networks with a stand-in for netavark.
    fn networks(directory: &Path, script: &str) -> Networks {
        let program = directory.join("netavark");
        crate::helper::tests::script(&program, script);
        let mut places = Places::new(directory, directory.join("run"));
        places.helpers = vec![directory.to_owned()];
        Networks::new(places)
    }

    #[test]
    fn the_words_are_podmans() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().display();
        let script = format!(
            "echo \"$@\" >>{place}/arguments; echo \"$PATH\" >{place}/path; cat >{place}/input; echo '{ANSWERED}'"
        );
        let networks = networks(directory.path(), &script);
        let connection: Connection = serde_json::from_str(TOLD).unwrap();
        let namespace = Path::new("/proc/1/ns/net");
        let status = networks.connect(namespace, &connection).unwrap();
        let eth0 = &status["podman"].interfaces["eth0"];
        assert_eq!(eth0.subnets[0].address().unwrap(), ("10.88.0.2".parse().unwrap(), 16));
        networks.disconnect(namespace, &connection).unwrap();
        let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!(read("input"), TOLD);
        assert!(read("path").ends_with(":/usr/sbin:/usr/bin:/sbin:/bin\n"));
        let expected =
            |verb: &str| format!("--config {place}/run --rootless=false {verb} /proc/1/ns/net\n");
        assert_eq!(read("arguments"), expected("setup") + &expected("teardown"));
    }

    #[test]
    fn one_that_would_pass_over_routes_is_too_old() {
        let directory = tempfile::tempdir().unwrap();
        let with = |version: &str, network: &str| {
            let script = format!(
                "test \"$1\" = --version && echo netavark {version} && exit; echo '{ANSWERED}'"
            );
            let networks = networks(directory.path(), &script);
            let mut connection: Connection = serde_json::from_str(TOLD).unwrap();
            let info = serde_json::from_str(network).unwrap();
            connection.network_info.insert("n".to_owned(), info);
            networks.connect(Path::new("/x"), &connection)
        };
        let routes = r#"{"name":"n","id":"1","driver":"bridge","routes":[{"destination":"10.1.0.0/16","gateway":"10.88.0.9"}]}"#;
        let error = with("1.4.0", routes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Missing);
        let said = error.to_string();
        assert!(said.contains("network n has routes, for which netavark 1.7.0"), "{said}");
        with("1.17.2", routes).unwrap();
        with("1.7.0-dev", routes).unwrap();
        with("1.4.0", r#"{"name":"n","id":"1","driver":"ipvlan"}"#).unwrap_err();
        with("1.4.0", r#"{"name":"n","id":"1","driver":"bridge"}"#).unwrap();
    }

    #[test]
    fn what_it_says_of_a_failure_is_told_and_undone() {
        let directory = tempfile::tempdir().unwrap();
        let script = format!(
            "echo $4 >>{}/verbs; echo '{{\"error\":\"no iptables\"}}'; exit 1",
            directory.path().display()
        );
        let networks = networks(directory.path(), &script);
        let connection: Connection = serde_json::from_str(TOLD).unwrap();
        let error = networks.connect(Path::new("/x"), &connection).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::Helper, "netavark: no iptables")
        );
        let verbs = std::fs::read_to_string(directory.path().join("verbs")).unwrap();
        assert_eq!(verbs, "setup\nteardown\n");
    }

    #[test]
    fn many_at_once_take_turns() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().display();
        let script = format!("mkdir {place}/busy || exit 1; echo '{ANSWERED}'; rmdir {place}/busy");
        let networks = networks(directory.path(), &script);
        let connection: Connection = serde_json::from_str(TOLD).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| networks.connect(Path::new("/x"), &connection).unwrap());
            }
        });
    }

    #[test]
    fn a_chain_that_another_program_made_meanwhile_is_no_failure() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().display();
        let script = format!(
            "test -e {place}/chain && echo '{ANSWERED}' && exit; touch {place}/chain; \
             echo '{{\"error\":\"code: 1, msg: iptables: Chain already exists.\"}}'; exit 1"
        );
        let connection: Connection = serde_json::from_str(TOLD).unwrap();
        let connected = networks(directory.path(), &script).connect(Path::new("/x"), &connection);
        assert!(connected.unwrap().contains_key("podman"));
    }

    #[test]
    fn a_missing_program_says_which_package_has_it() {
        let mut places = Places::new("/nowhere", "/nowhere");
        places.helpers.clear();
        let networks = Networks::new(places);
        let connection: Connection = serde_json::from_str(TOLD).unwrap();
        let error = networks.connect(Path::new("/x"), &connection).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Missing);
        assert!(error.hint().unwrap().contains("install netavark"));
    }
}
