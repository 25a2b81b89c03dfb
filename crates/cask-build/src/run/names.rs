//! What names stand for in a command: `/etc/hosts` and `/etc/resolv.conf`.

use std::fmt::{Display, Write as _};
use std::net::{IpAddr, Ipv4Addr};

use crate::build::{BuildNetwork, HostNames, StageNetwork};

/// Servers that only the machine itself reaches begin so.
const LOCAL_RESOLVERS: [&str; 2] = ["127.", "::1"];

/// Who is asked where nobody else is known. Source: podman, `libnetwork/resolvconf`.
const DEFAULT_SERVERS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)), IpAddr::V4(Ipv4Addr::new(8, 8, 4, 4))];

/// The text of `/etc/hosts`; `own` is the network that commands have for themselves.
pub(super) fn hosts(
    names: &HostNames,
    network: BuildNetwork,
    own: Option<&StageNetwork>,
) -> String {
    let mut text =
        String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    match own.map(|own| own.addresses.as_slice()).unwrap_or_default() {
        [] => drop(writeln!(text, "127.0.1.1\t{}", names.host_name)),
        addresses => addresses.iter().for_each(|address| {
            let _ = writeln!(text, "{address}\t{}", names.host_name);
        }),
    }
    let machine = match network {
        BuildNetwork::Host => Some(Ipv4Addr::LOCALHOST.into()),
        BuildNetwork::Private => own.and_then(|own| own.gateway),
        BuildNetwork::None => None,
    };
    if let Some(machine) = machine {
        // The machine itself, by the names that peers give it.
        let _ = writeln!(text, "{machine}\thost.containers.internal host.docker.internal");
        for name in &names.gateway_names {
            let _ = writeln!(text, "{machine}\t{name}");
        }
    }
    for (name, address) in &names.hosts {
        let _ = writeln!(text, "{address}\t{name}");
    }
    text
}

/// The text of `/etc/resolv.conf`: the machine's, with what the caller wants instead; in a network of its own,
/// nobody is asked whom only the machine reaches.
pub(crate) fn resolv_conf(names: &HostNames, own: Option<&StageNetwork>) -> String {
    let HostNames { resolv_conf, servers, search, options, .. } = names;
    let Some(own) = own.filter(|_| !resolv_conf.is_empty()) else {
        return replaced_resolv_conf(resolv_conf, servers, search, options);
    };
    let is_local = |line: &str| {
        let mut words = line.split_whitespace();
        words.next() == Some("nameserver")
            && words.next().is_none_or(|it| LOCAL_RESOLVERS.iter().any(|own| it.starts_with(own)))
    };
    let kept: Vec<&str> = resolv_conf.lines().filter(|line| !is_local(line)).collect();
    let machine = kept.join("\n");
    let of_machine = kept
        .iter()
        .filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse::<IpAddr>().ok());
    let mut known = servers.clone();
    if known.is_empty() {
        known.extend(own.servers.iter().copied().chain(of_machine));
    }
    if known.is_empty() {
        known.extend(DEFAULT_SERVERS);
    }
    let mut domains = search.clone();
    if domains.is_empty() && !own.search.is_empty() {
        domains.clone_from(&own.search);
    }
    replaced_resolv_conf(&machine, &known, &domains, options)
}

/// The text of a machine's `/etc/resolv.conf` with these servers, domains and options instead of its
/// own, as far as there are any.
fn replaced_resolv_conf(
    machine: &str,
    servers: &[impl Display],
    search: &[String],
    options: &[String],
) -> String {
    let mut text = String::new();
    for line in machine.lines() {
        let word = line.split_whitespace().next().unwrap_or_default();
        let is_replaced = match word {
            "nameserver" => !servers.is_empty(),
            "search" | "domain" => !search.is_empty(),
            "options" => !options.is_empty(),
            _ => false,
        };
        if !is_replaced {
            text.push_str(line);
            text.push('\n');
        }
    }
    // A lone dot means that there are none.
    if !search.is_empty() && search != ["."] {
        let _ = writeln!(text, "search {}", search.join(" "));
    }
    for server in servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    if !options.is_empty() {
        let _ = writeln!(text, "options {}", options.join(" "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_caller_wants_replaces_the_machine() {
        let text = "# x\nnameserver 10.0.0.1\nsearch a b\noptions ndots:2\n".to_owned();
        let mut names = HostNames { resolv_conf: text, ..HostNames::default() };
        assert_eq!(resolv_conf(&names, None), names.resolv_conf);
        names.servers = vec!["1.1.1.1".parse().unwrap(), "::2".parse().unwrap()];
        names.search = vec![".".to_owned()];
        names.options = vec!["rotate".to_owned()];
        let expected = "# x\nnameserver 1.1.1.1\nnameserver ::2\noptions rotate\n";
        assert_eq!(resolv_conf(&names, None), expected);
    }

    #[test]
    fn hosts_are_those_of_the_caller() {
        let mut names = HostNames::default();
        names.hosts.push(("db".to_owned(), "10.1.2.3".parse().unwrap()));
        let text = hosts(&names, BuildNetwork::None, None);
        assert!(text.ends_with("10.1.2.3\tdb\n") && !text.contains("host.docker.internal"));
        assert!(hosts(&names, BuildNetwork::Host, None).contains("host.docker.internal"));
    }

    #[test]
    fn a_network_of_their_own_has_servers_that_can_be_reached() {
        let namespace = std::fs::File::open("/proc/self/ns/net").unwrap();
        let mut own = StageNetwork::new(namespace.into(), ());
        own.addresses = vec!["10.88.0.9".parse().unwrap()];
        own.gateway = Some("10.88.0.1".parse().unwrap());
        let gateway_names = vec!["db".to_owned()];
        let names = HostNames { gateway_names, ..HostNames::default() };
        let text = hosts(&names, BuildNetwork::Private, Some(&own));
        assert!(text.contains("10.88.0.9\tbuildkitsandbox\n") && text.contains("10.88.0.1\tdb\n"));
        let check = |machine: &str, servers: &[&str], expected: &str| {
            let mut own =
                StageNetwork::new(std::fs::File::open("/proc/self/ns/net").unwrap().into(), ());
            own.servers = servers.iter().map(|text| text.parse().unwrap()).collect();
            let names = HostNames { resolv_conf: machine.to_owned(), ..HostNames::default() };
            assert_eq!(resolv_conf(&names, Some(&own)), expected, "{machine}");
        };
        check(
            "nameserver 127.0.0.53\noptions a\n",
            &[],
            "options a\nnameserver 8.8.8.8\nnameserver 8.8.4.4\n",
        );
        check("nameserver 10.0.0.1\n", &[], "nameserver 10.0.0.1\n");
        check(
            "search x\nnameserver 10.0.0.1\n",
            &["169.254.1.1"],
            "search x\nnameserver 169.254.1.1\nnameserver 10.0.0.1\n",
        );
        check("", &["169.254.1.1"], "");
    }
}
