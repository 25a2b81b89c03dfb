//! Where a secret belongs, and where it may go.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// How a connection is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

/// Scheme, host and port: what a secret is bound to.
///
/// Hosts are compared as URLs spell them: lower case, IP addresses normalised.
///
/// Source: RFC 6454, section 4.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: Scheme,
    host: Host<String>,
    port: u16,
}

/// A URL that is of neither `http` nor `https`, or has no host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidOrigin(String);

/// What is about to travel.
#[derive(Clone, Copy, Debug)]
pub enum Sending<'a> {
    /// The request alone: no credential, no token, no client certificate, no custom header.
    Request,
    /// What belongs to the origin only: tokens, passwords, cookies, custom headers, client
    /// certificates.
    Carried,
    /// The user's credential, to a token service that the registry at the origin names.
    TokenCredential {
        /// Hosts besides those of the registry's own site that the user trusts with it.
        trusted_hosts: &'a [String],
    },
}

/// Why something may not travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// From TLS to a connection in the clear.
    Downgrade,
    /// To an address of this machine or of its link, named by a host that is neither.
    LocalAddress,
    /// The secret belongs to another origin.
    OtherOrigin,
    /// The token service is of another site than the registry, and is not trusted.
    OtherSite,
}

impl Origin {
    /// The origin of a URL.
    ///
    /// # Errors
    /// If the URL is of neither `http` nor `https`.
    pub fn of(url: &Url) -> Result<Self, InvalidOrigin> {
        let invalid = || InvalidOrigin(crate::redact_url(url));
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(invalid()),
        };
        let host = url.host().ok_or_else(invalid)?.to_owned();
        let host = match host {
            // A trailing dot names the same host, and must not make it another.
            Host::Domain(name) => Host::Domain(name.trim_end_matches('.').to_owned()),
            address => address,
        };
        Ok(Self { scheme, host, port: url.port_or_known_default().ok_or_else(invalid)? })
    }

    /// How connections are made.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether connections are made over TLS.
    pub fn is_secure(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// The host, IPv6 addresses in brackets.
    pub fn host(&self) -> String {
        self.host.to_string()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the host is this machine itself, or an address that is of its link only.
    pub fn is_local(&self) -> bool {
        match &self.host {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(address) => is_local(IpAddr::V4(*address)),
            Host::Ipv6(address) => is_local(IpAddr::V6(*address)),
        }
    }

    fn same_site(&self, other: &Self) -> bool {
        match (&self.host, &other.host) {
            (Host::Domain(one), Host::Domain(two)) => one == two || site(one) == site(two),
            (one, two) => one == two,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = match self.scheme {
            Scheme::Http => ("http", 80),
            Scheme::Https => ("https", 443),
        };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == usual { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self})")
    }
}

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is neither an http nor an https URL with a host", self.0)
    }
}

impl std::error::Error for InvalidOrigin {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Downgrade => "it leads from https to http",
            Self::LocalAddress => "it leads to a loopback or link-local address",
            Self::OtherOrigin => "it is bound to another origin",
            Self::OtherSite => "the token service is of another site than the registry",
        })
    }
}

impl std::error::Error for Refusal {}

/// The one decision on whether something that is bound to the origin `from`, or was caused by an
/// answer from there, may go to the origin `to`. Redirects, upload locations, page links, token
/// services and the URLs of foreign layers all ask here.
///
/// | sending | same origin | another origin |
/// |---|---|---|
/// | [`Request`](Sending::Request) | yes | not from https to http; not to loopback or link-local addresses unless `from` is one |
/// | [`Carried`](Sending::Carried) | yes | never |
/// | [`TokenCredential`](Sending::TokenCredential) | yes | as a request, and only within one site or to a trusted host |
///
/// Two hosts are of one site if the last two labels of their names are equal, or the last three
/// where the last two look like a country's public suffix (`co.uk`, `com.au`). Addresses are of
/// one site only if they are equal. `danger_insecure` allows the way from https to http, for hosts
/// that the user declared insecure; carried secrets do not take it even then.
///
/// Names are not resolved here: a name that resolves to a local address is not noticed.
///
/// # Errors
/// Why not.
pub fn may_send(
    sending: Sending<'_>,
    from: &Origin,
    to: &Origin,
    danger_insecure: bool,
) -> Result<(), Refusal> {
    if from == to {
        return Ok(());
    }
    if matches!(sending, Sending::Carried) {
        return Err(Refusal::OtherOrigin);
    }
    if from.is_secure() && !to.is_secure() && !danger_insecure {
        return Err(Refusal::Downgrade);
    }
    if to.is_local() && !from.is_local() {
        return Err(Refusal::LocalAddress);
    }
    if let Sending::TokenCredential { trusted_hosts } = sending {
        let host = to.host();
        let trusted = trusted_hosts.iter().any(|trusted| trusted.eq_ignore_ascii_case(&host));
        if !trusted && !from.same_site(to) {
            return Err(Refusal::OtherSite);
        }
    }
    Ok(())
}

/// The part of a name that one owner has registered, as well as that can be told without a list.
fn site(name: &str) -> &str {
    const PUBLIC: [&str; 9] = ["ac", "co", "com", "edu", "gob", "gov", "net", "ne", "org"];
    let labels: Vec<&str> = name.rsplit('.').collect();
    let count = match labels.as_slice() {
        [top, second, ..] if top.len() == 2 && PUBLIC.contains(second) => 3,
        _ => 2,
    };
    let kept = labels.iter().take(count);
    let len = kept.clone().map(|label| label.len()).sum::<usize>() + kept.len().saturating_sub(1);
    &name[name.len() - len..]
}

fn is_local(address: IpAddr) -> bool {
    fn v4(address: Ipv4Addr) -> bool {
        // All of 0.0.0.0/8 reaches this machine on common systems.
        address.is_loopback() || address.is_link_local() || address.octets()[0] == 0
    }
    fn v6(address: Ipv6Addr) -> bool {
        // The address at which a large cloud serves instance metadata over IPv6.
        const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
        address.is_loopback()
            || address.is_unspecified()
            || address.is_unicast_link_local()
            || address == METADATA
    }
    match address.to_canonical() {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => {
            address.to_ipv4().map_or_else(|| v6(address), |old| v4(old) || v6(address))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin::of(&Url::parse(url).unwrap()).unwrap()
    }

    #[test]
    fn secrets_stay_at_their_origin_and_requests_do_not_leave_tls() {
        let (d, l, o, s) = (
            Some(Refusal::Downgrade),
            Some(Refusal::LocalAddress),
            Some(Refusal::OtherOrigin),
            Some(Refusal::OtherSite),
        );
        // from, to, a request, a carried secret, a token credential
        let rows = [
            ("https://r.io/a", "https://r.io:443/b", None, None, None),
            ("https://r.io", "https://R.IO./", None, None, None),
            ("https://r.io", "https://r.io:444", None, o, None),
            ("https://r.io", "http://r.io", d, o, d),
            ("http://r.io", "https://r.io", None, o, None),
            ("https://reg.r.io", "https://auth.r.io", None, o, None),
            ("https://reg.r.io", "https://r.evil", None, o, s),
            ("https://reg.shop.co.uk", "https://evil.co.uk", None, o, s),
            ("https://reg.shop.co.uk", "https://auth.shop.co.uk", None, o, None),
            ("https://r.io", "https://trusted.example", None, o, None),
            ("https://r.io", "https://127.0.0.1", l, o, l),
            ("https://r.io", "https://localhost", l, o, l),
            ("https://r.io", "https://a.localhost:5000", l, o, l),
            ("https://r.io", "https://169.254.169.254", l, o, l),
            ("https://r.io", "https://2852039166", l, o, l),
            ("https://r.io", "https://0xa9fea9fe", l, o, l),
            ("https://r.io", "https://[::1]", l, o, l),
            ("https://r.io", "https://[fe80::1]", l, o, l),
            ("https://r.io", "https://[::ffff:127.0.0.1]", l, o, l),
            ("https://r.io", "https://[fd00:ec2::254]", l, o, l),
            ("https://r.io", "https://0.0.0.0", l, o, l),
            ("http://127.0.0.1:1", "http://127.0.0.1:2", None, o, None),
            ("http://127.0.0.1:1", "http://localhost:2", None, o, s),
            ("https://[::1]:5000", "https://[::1]:5000", None, None, None),
        ];
        let trusted_hosts = ["trusted.example".to_owned()];
        for (from, to, request, carried, token) in rows {
            let (from, to) = (origin(from), origin(to));
            let check = |sending| may_send(sending, &from, &to, false).err();
            let token_credential = Sending::TokenCredential { trusted_hosts: &trusted_hosts };
            assert_eq!(check(Sending::Request), request, "{from} {to}");
            assert_eq!(check(Sending::Carried), carried, "{from} {to}");
            assert_eq!(check(token_credential), token, "{from} {to}");
        }
    }

    #[test]
    fn insecure_hosts_may_lead_from_https_to_http_without_their_secrets() {
        let (from, to) = (origin("https://r.io"), origin("http://r.io"));
        assert_eq!(may_send(Sending::Request, &from, &to, true), Ok(()));
        assert_eq!(may_send(Sending::Carried, &from, &to, true), Err(Refusal::OtherOrigin));
    }

    #[test]
    fn other_schemes_have_no_origin() {
        for url in ["file:///etc/passwd", "ftp://h/", "data:,x", "unix:/run/x"] {
            assert!(Origin::of(&Url::parse(url).unwrap()).is_err(), "{url}");
        }
        assert_eq!(origin("https://[::1]:5000/v2/").to_string(), "https://[::1]:5000");
        assert_eq!(origin("http://h:80/").to_string(), "http://h");
    }
}
