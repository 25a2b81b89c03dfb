//! What names stand for in a command: `/etc/hosts` and `/etc/resolv.conf`.

use std::fmt::{Display, Write as _};

use crate::build::{BuildNetwork, HostNames};

/// The text of `/etc/hosts`.
pub(super) fn hosts(names: &HostNames, network: BuildNetwork) -> String {
    let mut text =
        String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    let _ = writeln!(text, "127.0.1.1\t{}", names.host_name);
    if network == BuildNetwork::Host {
        // The machine itself, by the names that peers give it.
        text.push_str("127.0.0.1\thost.containers.internal host.docker.internal\n");
    }
    for (name, address) in &names.hosts {
        let _ = writeln!(text, "{address}\t{name}");
    }
    text
}

/// The text of `/etc/resolv.conf`: the machine's, with what the caller wants instead.
pub(super) fn resolv_conf(names: &HostNames) -> String {
    let HostNames { resolv_conf, servers, search, options, .. } = names;
    replaced_resolv_conf(resolv_conf, servers, search, options)
}

/// The text of a machine's `/etc/resolv.conf` with these servers, domains and options instead of its
/// own, as far as there are any.
pub(crate) fn replaced_resolv_conf(
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
        assert_eq!(resolv_conf(&names), names.resolv_conf);
        names.servers = vec!["1.1.1.1".parse().unwrap(), "::2".parse().unwrap()];
        names.search = vec![".".to_owned()];
        names.options = vec!["rotate".to_owned()];
        let expected = "# x\nnameserver 1.1.1.1\nnameserver ::2\noptions rotate\n";
        assert_eq!(resolv_conf(&names), expected);
    }

    #[test]
    fn hosts_are_those_of_the_caller() {
        let mut names = HostNames::default();
        names.hosts.push(("db".to_owned(), "10.1.2.3".parse().unwrap()));
        let text = hosts(&names, BuildNetwork::None);
        assert!(text.ends_with("10.1.2.3\tdb\n") && !text.contains("host.docker.internal"));
        assert!(hosts(&names, BuildNetwork::Host).contains("host.docker.internal"));
    }
}
