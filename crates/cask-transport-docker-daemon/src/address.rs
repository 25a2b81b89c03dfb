//! Where a daemon listens.

use std::fmt;
use std::path::{Path, PathBuf};

use cask_transport::{Error, ErrorKind, Result};

/// The socket of a daemon that nobody moved.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// Where a daemon listens: a socket, or a host and port.
///
/// ```
/// use cask_transport_docker_daemon::DaemonAddress;
///
/// assert_eq!(DaemonAddress::default().to_string(), "unix:///var/run/docker.sock");
/// let address = DaemonAddress::parse("tcp://build.example:2376")?;
/// assert_eq!(address.to_string(), "tcp://build.example:2376");
/// assert!(DaemonAddress::parse("ssh://build.example").is_err());
/// # Ok::<(), cask_transport::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DaemonAddress {
    pub(crate) at: At,
    text: Box<str>,
}

/// What an address means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum At {
    Unix(PathBuf),
    Network { host: Box<str>, port: u16, base: Box<str>, tls: bool },
}

impl DaemonAddress {
    /// The socket at an absolute path.
    ///
    /// # Errors
    /// `InvalidLocation` if the path is not absolute, or longer than the system's limit of 107
    /// bytes.
    pub fn unix(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = format!("unix://{}", path.display());
        if !path.is_absolute() {
            return Err(invalid(&text, "the path of a socket begins with a slash"));
        }
        if path.as_os_str().len() > 107 {
            return Err(invalid(&text, "the path of a socket has at most 107 bytes"));
        }
        Ok(Self { at: At::Unix(path.to_owned()), text: text.into() })
    }

    /// Parses an address as `--src-daemon-host` and `DOCKER_HOST` have it: `unix:///path`;
    /// `tcp://host:port` and `https://host:port`, over TLS; `http://host:port`, in the clear.
    /// The ports are 2376 and 2375 unless given. Behind the port may be a path that the API is
    /// below.
    ///
    /// Source: moby/moby, `client.ParseHostURL`; containers/image, `newDockerClient`.
    ///
    /// # Errors
    /// `InvalidLocation` for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(invalid(
                text,
                "an address begins with unix://, tcp://, https:// or http://",
            ));
        };
        let tls = match scheme {
            "unix" => return Self::unix(rest),
            "tcp" | "https" => true,
            "http" => false,
            _ => {
                let detail = format!(
                    "{scheme}:// is not supported: the schemes are unix, tcp, https and http"
                );
                return Err(invalid(text, detail));
            }
        };
        let (authority, base) = match rest.split_once('/') {
            Some((authority, base)) => (authority, base.trim_matches('/')),
            None => (rest, ""),
        };
        let (host, port) = host_and_port(authority, if tls { 2376 } else { 2375 })
            .ok_or_else(|| invalid(text, "what follows the scheme is no host and port"))?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
        if !base.chars().all(is_plain) {
            return Err(invalid(text, "a path has letters, digits and -._~/ only"));
        }
        let base = if base.is_empty() { String::new() } else { format!("/{base}") };
        let at = At::Network { host: host.into(), port, base: base.into(), tls };
        Ok(Self { at, text: text.into() })
    }

    /// What the path of every request begins with.
    pub(crate) fn base(&self) -> &str {
        match &self.at {
            At::Unix(_) => "",
            At::Network { base, .. } => base,
        }
    }

    /// What the `Host` header says.
    pub(crate) fn host_header(&self) -> String {
        match &self.at {
            At::Unix(_) => "localhost".to_owned(),
            At::Network { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            At::Network { host, port, .. } => format!("{host}:{port}"),
        }
    }
}

/// Splits `host`, `host:port`, `[v6]` and `[v6]:port`.
fn host_and_port(authority: &str, default: u16) -> Option<(&str, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port)
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let (host, port) = authority.split_at(end);
            let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            (!host.is_empty() && host.chars().all(is_name)).then_some(())?;
            (host, port)
        }
    };
    match port.strip_prefix(':') {
        None if port.is_empty() => Some((host, default)),
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            Some((host, digits.parse().ok().filter(|port| *port > 0)?))
        }
        _ => None,
    }
}

fn invalid(text: &str, detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    let subject = format!("{text:?}");
    Error::new(ErrorKind::InvalidLocation, "unable to parse docker host", subject)
        .with_detail(detail)
}

impl Default for DaemonAddress {
    /// `unix:///var/run/docker.sock`
    fn default() -> Self {
        Self {
            at: At::Unix(DEFAULT_SOCKET.into()),
            text: format!("unix://{DEFAULT_SOCKET}").into(),
        }
    }
}

impl fmt::Display for DaemonAddress {
    /// As it was given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed_or_refused() {
        let network = |host: &str, port, base: &str, tls| {
            Some(At::Network { host: host.into(), port, base: base.into(), tls })
        };
        let check = |text: &str, expected: Option<At>| {
            let parsed = DaemonAddress::parse(text);
            assert_eq!(
                parsed.as_ref().ok().map(|address| &address.at),
                expected.as_ref(),
                "{text}"
            );
            if let Ok(address) = parsed {
                assert_eq!(address.to_string(), text);
            }
        };
        check("unix:///run/docker.sock", Some(At::Unix("/run/docker.sock".into())));
        check("tcp://h.example:1", network("h.example", 1, "", true));
        check("tcp://h.example", network("h.example", 2376, "", true));
        check("https://10.0.0.1:2/api/", network("10.0.0.1", 2, "/api", true));
        check("http://[::1]:3/", network("::1", 3, "", false));
        check("http://[::1]", network("::1", 2375, "", false));
        for text in [
            "",
            "/var/run/docker.sock",
            "unix://relative",
            "ssh://h",
            "npipe:////./pipe/docker",
            "tcp://",
            "tcp://:2376",
            "tcp://h:",
            "tcp://h:0",
            "tcp://h:65536",
            "tcp://h:+1",
            "tcp://user@h:1",
            "tcp://::1:2",
            "tcp://[::1",
            "tcp://[x]:1",
            "tcp://h:1/a b",
            "tcp://h:1/a?b",
            "tcp://h:1/a\r\nX: y",
        ] {
            check(text, None);
        }
        check(&format!("unix:///{}", "a".repeat(107)), None);
        check(
            &format!("unix:///{}", "a".repeat(106)),
            Some(At::Unix(format!("/{}", "a".repeat(106)).into())),
        );
    }
}
