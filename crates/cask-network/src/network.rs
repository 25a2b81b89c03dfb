//! A network, as its file says it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Defaults, Error, Prefix, Result};

/// The ID of the network that is there without a file, whatever it is called: the SHA-256 of `podman`, as those of
/// podman's networks of CNI.
const DEFAULT_ID: &str = "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9";

/// A network. Its JSON is podman's and netavark's.
///
/// Source: containers/common, `libnetwork/types/network.go`, `Network`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Network {
    /// Its name.
    pub name: String,
    /// 64 hexadecimal digits.
    pub id: String,
    /// `bridge`, `macvlan` or `ipvlan`.
    pub driver: String,
    /// The bridge, or the interface of this machine that it is above.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub network_interface: String,
    /// When it was made, in RFC 3339.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created: String,
    /// Its addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_null")]
    pub subnets: Vec<Subnet>,
    /// Routes besides the usual one. Podman has them since 4.4, netavark since 1.7.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_null")]
    pub routes: Vec<Route>,
    /// It has addresses of version 6.
    #[serde(default)]
    pub ipv6_enabled: bool,
    /// It leads nowhere else.
    #[serde(default)]
    pub internal: bool,
    /// Names of containers are known on it.
    #[serde(default)]
    pub dns_enabled: bool,
    /// Servers that are asked for other names. Podman has them since 4.4, netavark since 1.5.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_null")]
    pub network_dns_servers: Vec<IpAddr>,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_null")]
    pub labels: BTreeMap<String, String>,
    /// Options of the driver.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_null")]
    pub options: BTreeMap<String, String>,
    /// Who gives addresses: `driver` is `host-local` or `none`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_null")]
    pub ipam_options: BTreeMap<String, String>,
}

/// Addresses of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Subnet {
    /// All of them.
    pub subnet: Prefix,
    /// This machine's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Those that containers get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_range: Option<LeaseRange>,
}

/// From which address to which.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LeaseRange {
    /// The first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ip: Option<IpAddr>,
    /// The last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_ip: Option<IpAddr>,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Route {
    /// Where to.
    pub destination: Prefix,
    /// Through whom.
    pub gateway: IpAddr,
    /// Of several routes, the one with the lowest number is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
}

impl Route {
    /// Reads `DESTINATION,GATEWAY[,METRIC]`. The words are podman's.
    ///
    /// Source: podman, `cmd/podman/networks/create.go`, `parseRoute`; containers/common, `ValidateRoute`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid).
    pub fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split(',').collect();
        let (to, through, metric) = match parts.as_slice() {
            [to, through] => (*to, *through, None),
            [to, through, metric] => (*to, *through, Some(*metric)),
            _ => {
                return Err(Error::invalid(format!("invalid route: {text}"))
                    .with_hint("it is DESTINATION/BITS,GATEWAY[,METRIC]"));
            }
        };
        let wrong = |what: &str, text: &str| Error::invalid(format!("invalid route {what} {text}"));
        let destination: Prefix = to.parse().map_err(|_| wrong("destination", to))?;
        let gateway = through.parse().map_err(|_| wrong("gateway", through))?;
        let read = |metric: &str| metric.parse().map_err(|_| wrong("metric", metric));
        let metric = metric.map(read).transpose()?;
        // It is the block's own address, and not one that is in it.
        let own = to.split_once('/').and_then(|(address, _)| address.parse().ok());
        if own != Some(destination.address()) {
            return Err(Error::invalid("route destination invalid")
                .with_hint("it is the first address of a block, such as 10.1.0.0/16"));
        }
        Ok(Self { destination, gateway, metric })
    }
}

/// Go writes what is empty as `null`.
fn or_null<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Whether a text is the name of a network, and so of a file. Source: containers/common, `NameRegex`.
pub fn is_name(text: &str) -> bool {
    let other = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.bytes().all(other)
        && text.len() <= 200
}

impl Subnet {
    /// A subnet whose gateway is its first address.
    pub fn new(subnet: Prefix) -> Self {
        Self { subnet, gateway: Some(subnet.first()), lease_range: None }
    }
}

impl Network {
    /// The network that is there without a file.
    pub(crate) fn usual(created: String, defaults: &Defaults) -> Self {
        Self {
            name: defaults.network.clone(),
            id: DEFAULT_ID.to_owned(),
            driver: "bridge".to_owned(),
            network_interface: "podman0".to_owned(),
            created,
            subnets: vec![Subnet::new(defaults.subnet)],
            ipam_options: BTreeMap::from([("driver".to_owned(), "host-local".to_owned())]),
            ..Self::default()
        }
    }

    /// Whether its addresses are given from a list, rather than by nobody.
    pub fn has_leases(&self) -> bool {
        let driver = self.ipam_options.get("driver").map_or("", String::as_str);
        matches!(driver, "" | "host-local") && !self.subnets.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As podman 4.3.1 wrote it.
    const PODMANS: &str = r#"{"name":"n2","id":"73132b587be5482dd3bcccb6ab5501f0eec178becd829240dae6c26d04dbc0d1","driver":"bridge","network_interface":"podman2","created":"2026-11-21T13:08:17.675476705Z","subnets":[{"subnet":"10.77.0.0/24","gateway":"10.77.0.5","lease_range":{"start_ip":"10.77.0.129","end_ip":"10.77.0.255"}}],"ipv6_enabled":false,"internal":false,"dns_enabled":true,"labels":{"a":"b"},"options":{"isolate":"true","mtu":"1400"},"ipam_options":{"driver":"host-local"}}"#;

    #[test]
    fn podmans_files_are_read_and_written_again() {
        let network: Network = serde_json::from_str(PODMANS).unwrap();
        assert_eq!(serde_json::to_string(&network).unwrap(), PODMANS);
        assert!(network.has_leases());
        let least: Network =
            serde_json::from_str(r#"{"name":"a","id":"b","driver":"bridge","subnets":null}"#)
                .unwrap();
        assert!(!least.has_leases());
    }

    #[test]
    fn routes_have_a_destination_a_gateway_and_perhaps_a_metric() {
        let read = |text: &str| {
            Route::parse(text)
                .map(|route| serde_json::to_string(&route).unwrap())
                .map_err(|error| error.to_string())
        };
        let whole = r#"{"destination":"10.1.0.0/16","gateway":"10.2.0.9","metric":7}"#;
        assert_eq!(read("10.1.0.0/16,10.2.0.9,7").unwrap(), whole);
        assert!(read("fd00::/64,fd01::1").is_ok());
        for (text, words) in [
            ("10.1.0.0/16", "invalid route: 10.1.0.0/16"),
            ("10.1.0.0/16,10.2.0.9,7,8", "invalid route: "),
            ("10.1.0.0/33,10.2.0.9", "invalid route destination 10.1.0.0/33"),
            ("10.1.0.0,10.2.0.9", "invalid route destination 10.1.0.0"),
            ("10.1.0.0/16,10.2.0", "invalid route gateway 10.2.0"),
            ("10.1.0.0/16,10.2.0.9,-1", "invalid route metric -1"),
            ("10.1.0.1/16,10.2.0.9", "route destination invalid"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.starts_with(words), "{text}: {said}");
        }
    }

    #[test]
    fn names_are_names_of_files() {
        for right in ["a", "web", "a.b-c_d", "0"] {
            assert!(is_name(right), "{right}");
        }
        for wrong in ["", ".", "..", "a/b", "-a", "a b", "ä", "a\0"] {
            assert!(!is_name(wrong), "{wrong}");
        }
        assert_eq!(
            Network::usual(String::new(), &Defaults::default()).subnets[0]
                .gateway
                .unwrap()
                .to_string(),
            "10.88.0.1"
        );
    }
}
