//! What this machine has already, as the kernel shows it to this process's own network namespace.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Prefix;

/// The addresses that this machine reaches directly.
pub(crate) fn subnets() -> Vec<Prefix> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/self/net/{name}"));
    let mut found = routes(&read("route").unwrap_or_default());
    found.extend(addresses(&read("if_inet6").unwrap_or_default()));
    found
}

/// The names of its interfaces.
pub(crate) fn interfaces() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    let names = text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
    names.collect()
}

/// Which start of the machine this is.
pub(crate) fn boot() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    read.trim().to_owned()
}

/// Lines of `/proc/net/route`: interface, destination, gateway, flags, three numbers, mask; all in hexadecimal and in
/// the byte order of the machine.
fn routes(text: &str) -> Vec<Prefix> {
    let one = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |index: usize| u32::from_str_radix(words.get(index)?, 16).ok();
        let (to, mask) = (number(1)?, number(7)?);
        let address = IpAddr::from(Ipv4Addr::from(to.to_ne_bytes()));
        Prefix::new(address, u8::try_from(mask.count_ones()).ok()?)
    };
    // The way to everywhere else is nobody's.
    text.lines().skip(1).filter_map(one).filter(|prefix| prefix.bits() > 0).collect()
}

/// Lines of `/proc/net/if_inet6`: address, number of the interface, bits, and more; all in hexadecimal.
fn addresses(text: &str) -> Vec<Prefix> {
    let one = |line: &str| {
        let mut words = line.split_whitespace();
        let address = u128::from_str_radix(words.next()?, 16).ok()?;
        let bits = u8::from_str_radix(words.nth(1)?, 16).ok()?;
        Prefix::new(Ipv6Addr::from(address).into(), bits)
    };
    text.lines().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_and_addresses_are_read() {
        let text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n\
                    eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                    eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\nnonsense\n";
        let shown: Vec<_> = routes(text).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["192.0.2.0/24"]);
        let text = "fd000000000000000000000000000002 04 40 00 82     eth0\nx\n";
        let shown: Vec<_> = addresses(text).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["fd00::/64"]);
        assert!(interfaces().iter().any(|name| name == "lo"));
        assert!(!boot().is_empty());
    }
}
