//! What is so about networks where nobody says otherwise.

use serde::{Deserialize, Serialize};

use crate::{Error, Prefix, Result};

/// Source: containers/common, `DefaultNetworkName`.
const NETWORK: &str = "podman";
/// Source: containers/common, `DefaultSubnet`.
const SUBNET: &str = "10.88.0.0/16";
/// Source: containers/common, `DefaultSubnetPools`.
const POOLS: [(&str, u8); 6] = [
    ("10.89.0.0/16", 24),
    ("10.90.0.0/15", 24),
    ("10.92.0.0/14", 24),
    ("10.96.0.0/11", 24),
    ("10.128.0.0/9", 24),
    ("192.168.0.0/16", 24),
];

/// What is so about networks where nobody says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Defaults {
    /// The name of the network that is there without a file.
    pub network: String,
    /// Its addresses.
    pub subnet: Prefix,
    /// Where the addresses of networks are taken from that are made without any.
    pub pools: Vec<SubnetPool>,
    /// The port of those who answer for names; `None` is 53.
    pub dns_port: Option<u16>,
    /// What netavark makes its rules with, such as `nftables`; `None` leaves that to netavark.
    pub firewall: Option<String>,
}

/// A block of addresses of version 4, in pieces of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetPool {
    base: Prefix,
    bits: u8,
}

impl Default for Defaults {
    fn default() -> Self {
        let parse = |text: &str| text.parse().expect("a constant that tests read");
        let pools = POOLS.iter().map(|(base, bits)| SubnetPool { base: parse(base), bits: *bits });
        Self {
            network: NETWORK.to_owned(),
            subnet: parse(SUBNET),
            pools: pools.collect(),
            dns_port: None,
            firewall: None,
        }
    }
}

impl SubnetPool {
    /// Pieces of a block: `bits` of their addresses are those of all on one of them.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), in podman's words.
    pub fn new(base: Prefix, bits: u8) -> Result<Self> {
        let refused = |words: String| Err(Error::invalid(words));
        if !base.address().is_ipv4() {
            return refused(format!("invalid subnet pool ip {}", base.address()));
        }
        if bits > 32 {
            return refused("invalid subnet pool size, must be between 0-32".to_owned());
        }
        if bits < base.bits() {
            return refused(format!("subnet pool size {bits} is larger than the base {base}"));
        }
        Ok(Self { base, bits })
    }

    /// The first piece that overlaps none of these.
    pub(crate) fn free(self, used: &[Prefix]) -> Option<Prefix> {
        let mut one = Prefix::new(self.base.address(), self.bits)?;
        while self.base.contains(one.address()) {
            if !used.iter().any(|other| other.overlaps(one)) {
                return Some(one);
            }
            one = one.next()?;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_pools_are_gone_through_until_one_has_a_piece() {
        let free = |used: &str| {
            let pools = Defaults::default().pools;
            pools.iter().find_map(|pool| pool.free(&[used.parse().unwrap()]))
        };
        assert_eq!(free("10.0.0.0/8").unwrap().to_string(), "192.168.0.0/24");
        assert_eq!(free("0.0.0.0/0"), None);
    }

    #[test]
    fn pools_have_pieces_of_a_size_that_fits() {
        let check = |base: &str, bits: u8, used: &str, expected: &str| {
            let made = SubnetPool::new(base.parse().unwrap(), bits);
            let free = made.map(|pool| pool.free(&[used.parse().unwrap()]));
            let shown = match free {
                Ok(Some(free)) => free.to_string(),
                Ok(None) => "full".to_owned(),
                Err(error) => error.to_string(),
            };
            assert_eq!(shown, expected, "{base} {bits}");
        };
        check("172.16.0.0/12", 20, "10.0.0.0/8", "172.16.0.0/20");
        check("172.16.0.0/12", 20, "172.16.5.0/24", "172.16.16.0/20");
        check("172.16.0.0/20", 20, "172.16.5.0/24", "full");
        check(
            "172.16.0.0/20",
            19,
            "10.0.0.0/8",
            "subnet pool size 19 is larger than the base 172.16.0.0/20",
        );
        check("172.16.0.0/20", 33, "10.0.0.0/8", "invalid subnet pool size, must be between 0-32");
        check("fd00::/8", 64, "10.0.0.0/8", "invalid subnet pool ip fd00::");
    }
}
