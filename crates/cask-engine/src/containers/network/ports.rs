//! Ports of this machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use super::super::PortMapping;
use crate::{Error, ErrorKind, Result};

/// How often a row of free ports is looked for.
const TRIES: usize = 20;

/// A port that nobody else can have meanwhile. Connections to it go where the rules say, never here, unless it is
/// [forwarded](super::forward).
pub(super) struct Reserved {
    pub(super) held: Held,
    /// The port of the container.
    pub(super) inner: u16,
}

pub(super) enum Held {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

fn address(mapping: &PortMapping, port: u16) -> SocketAddr {
    let any = IpAddr::from(Ipv4Addr::UNSPECIFIED);
    SocketAddr::new(mapping.host_ip.parse().unwrap_or(any), port)
}

fn hold(mapping: &PortMapping, port: u16) -> std::io::Result<Option<Held>> {
    let address = address(mapping, port);
    Ok(match mapping.protocol.as_str() {
        "tcp" => Some(Held::Tcp(TcpListener::bind(address)?)),
        "udp" => Some(Held::Udp(UdpSocket::bind(address)?)),
        // The kernel need not know the protocol.
        _ => None,
    })
}

/// Reserves every port, or fails where another program has one.
pub(super) fn reserve(ports: &[PortMapping]) -> Result<Vec<Reserved>> {
    let mut held = Vec::new();
    for mapping in ports {
        for offset in 0..mapping.range.max(1) {
            let port = mapping.host_port.saturating_add(offset);
            let one = hold(mapping, port).map_err(|error| {
                let protocol = &mapping.protocol;
                let at = address(mapping, port);
                let words = format!(
                    "cannot listen on the {} port: listen {protocol} {at}",
                    protocol.to_uppercase()
                );
                Error::new(ErrorKind::NotStarted, words, "").with_source(error)
            })?;
            let inner = mapping.container_port.saturating_add(offset);
            held.extend(one.map(|held| Reserved { held, inner }));
        }
    }
    Ok(held)
}

/// Chooses ports that are free for mappings that name none.
pub(super) fn choose(ports: &mut [PortMapping]) -> Result<()> {
    let mut held = Vec::new();
    for mapping in ports.iter_mut().filter(|mapping| mapping.host_port == 0) {
        let (port, row) = (0..TRIES).find_map(|_| row(mapping)).ok_or_else(|| {
            let count = mapping.range;
            Error::new(
                ErrorKind::NotStarted,
                format!("no {count} free ports in a row were found"),
                "",
            )
        })?;
        mapping.host_port = port;
        // Until all have one, so that none is chosen twice.
        held.extend(row);
    }
    Ok(())
}

/// A row of ports that are free at this moment.
fn row(mapping: &PortMapping) -> Option<(u16, Vec<Held>)> {
    let tcp = PortMapping { protocol: "tcp".to_owned(), ..mapping.clone() };
    let mapping = if mapping.protocol == "udp" { mapping } else { &tcp };
    let first = hold(mapping, 0).ok()??;
    let port = match &first {
        Held::Tcp(held) => held.local_addr(),
        Held::Udp(held) => held.local_addr(),
    };
    let port = port.ok()?.port();
    let mut held = vec![first];
    for offset in 1..mapping.range {
        held.push(hold(mapping, port.checked_add(offset)?).ok()??);
    }
    Some((port, held))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(range: u16, protocol: &str) -> PortMapping {
        PortMapping {
            host_ip: "127.0.0.1".to_owned(),
            container_port: 80,
            host_port: 0,
            range,
            protocol: protocol.to_owned(),
        }
    }

    #[test]
    fn chosen_ports_are_free_and_held_ones_are_not() {
        let mut ports =
            [mapping(1, "tcp"), mapping(3, "tcp"), mapping(2, "udp"), mapping(1, "sctp")];
        choose(&mut ports).unwrap();
        assert!(ports.iter().all(|port| port.host_port > 0));
        let held = reserve(&ports[..3]).unwrap();
        assert_eq!(held.len(), 6);
        let error = reserve(&ports[..1]).err().unwrap();
        assert!(
            error.to_string().contains("cannot listen on the TCP port: listen tcp 127.0.0.1:"),
            "{error}"
        );
    }
}
