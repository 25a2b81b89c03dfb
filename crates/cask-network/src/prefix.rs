//! Addresses of a network: `10.88.0.0/16`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A block of addresses: the first of them, and how many bits they have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Prefix {
    address: IpAddr,
    bits: u8,
}

pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// The address that a number is; of version 4 where `like` is.
pub(crate) fn address(number: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into(),
        IpAddr::V6(_) => Ipv6Addr::from(number).into(),
    }
}

impl Prefix {
    /// The block that an address is in, where `bits` are common to all. `None` for more bits than an address has.
    pub fn new(address: IpAddr, bits: u8) -> Option<Self> {
        let whole = if address.is_ipv4() { 32 } else { 128 };
        if bits > whole {
            return None;
        }
        let hosts = Self { address, bits }.hosts();
        Some(Self { address: self::address(number(address) & !hosts, address), bits })
    }

    /// A number with the bits that the addresses do not have in common.
    fn hosts(self) -> u128 {
        let whole = if self.address.is_ipv4() { 32 } else { 128 };
        match whole - u32::from(self.bits) {
            128 => u128::MAX,
            free => (1 << free) - 1,
        }
    }

    /// The first address, which is the block's own.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// How many bits the addresses have in common.
    pub fn bits(self) -> u8 {
        self.bits
    }

    /// The last address; of version 4 it means all of them.
    pub fn last(self) -> IpAddr {
        address(number(self.address) | self.hosts(), self.address)
    }

    /// The first address that a machine can have.
    pub fn first(self) -> IpAddr {
        address((number(self.address) + 1).min(number(self.last())), self.address)
    }

    /// Whether an address is in it.
    pub fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && Self::new(address, self.bits) == Some(self)
    }

    /// Whether there is an address that is in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    /// The block of the same size that follows.
    pub(crate) fn next(self) -> Option<Self> {
        let next = number(self.last()).checked_add(1)?;
        let limit = if self.address.is_ipv4() { u128::from(u32::MAX) } else { u128::MAX };
        (next <= limit).then(|| Self { address: address(next, self.address), bits: self.bits })
    }
}

impl FromStr for Prefix {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = || Error::invalid(format!("invalid CIDR address: {text}"));
        let (address, bits) = text.split_once('/').ok_or_else(refused)?;
        let address = address.parse().map_err(|_| refused())?;
        Self::new(address, bits.parse().map_err(|_| refused())?).ok_or_else(refused)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.to_string()
    }
}

impl TryFrom<String> for Prefix {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blocks_are_read_and_have_ends() {
        let check = |text: &str, shown: &str, first: &str, last: &str| {
            let prefix: Prefix = text.parse().unwrap();
            let ends = (prefix.to_string(), prefix.first().to_string(), prefix.last().to_string());
            assert_eq!(ends, (shown.to_owned(), first.to_owned(), last.to_owned()), "{text}");
        };
        check("10.88.0.0/16", "10.88.0.0/16", "10.88.0.1", "10.88.255.255");
        check("10.77.0.200/25", "10.77.0.128/25", "10.77.0.129", "10.77.0.255");
        check("0.0.0.0/0", "0.0.0.0/0", "0.0.0.1", "255.255.255.255");
        check("1.2.3.4/32", "1.2.3.4/32", "1.2.3.4", "1.2.3.4");
        check("fd00::/64", "fd00::/64", "fd00::1", "fd00::ffff:ffff:ffff:ffff");
        check("::/0", "::/0", "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
        for wrong in ["", "10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/-1", "fd00::/129", "10.0.0/8"]
        {
            assert!(wrong.parse::<Prefix>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn blocks_overlap_where_one_is_in_the_other() {
        let check = |one: &str, other: &str, expected: bool| {
            let (one, other): (Prefix, Prefix) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!((one.overlaps(other), other.overlaps(one)), (expected, expected));
        };
        check("10.0.0.0/8", "10.1.0.0/16", true);
        check("10.0.0.0/24", "10.0.1.0/24", false);
        check("0.0.0.0/0", "fd00::/8", false);
        let last: Prefix = "255.255.255.0/24".parse().unwrap();
        assert_eq!(last.next(), None);
        let one: Prefix = "10.89.255.0/24".parse().unwrap();
        assert_eq!(one.next().unwrap().to_string(), "10.90.0.0/24");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            if let Ok(prefix) = text.parse::<Prefix>() {
                prop_assert_eq!(prefix.to_string().parse::<Prefix>().unwrap(), prefix);
            }
        }

        #[test]
        fn ends_are_inside(address in any::<[u8; 16]>(), bits in 0..=128_u8) {
            let prefix = Prefix::new(IpAddr::from(address), bits).unwrap();
            prop_assert!(prefix.contains(prefix.first()) && prefix.contains(prefix.last()));
            prop_assert!(prefix.contains(IpAddr::from(address)));
        }
    }
}
