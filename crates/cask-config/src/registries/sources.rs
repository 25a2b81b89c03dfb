//! Hosts that a program may get images from and send them to.

use cask_json::{Fields, Rules, parse};
use cask_reference::Reference;

use crate::{Error, ErrorKind};

/// What the caller of a program allows beside what the files say: hosts, with their ports.
///
/// Source: containers/common, `libimage`, `checkRegistrySourcesAllows`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistrySources {
    /// The only hosts that may be used; where there are none, all that are not blocked.
    pub allowed: Vec<String>,
    /// Hosts that may not be used.
    pub blocked: Vec<String>,
    /// Hosts that may be spoken to without verified TLS.
    pub insecure: Vec<String>,
}

impl RegistrySources {
    /// Reads the JSON object that `$BUILD_REGISTRY_SOURCES` has: `allowedRegistries`,
    /// `blockedRegistries` and `insecureRegistries`.
    ///
    /// # Errors
    /// [`ErrorKind::Syntax`] for what is not JSON; [`ErrorKind::Invalid`] for lists that are none.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |kind, error: cask_json::Error| {
            Error::new(kind, format!("parsing $BUILD_REGISTRY_SOURCES ({text:?}) as JSON: {error}"))
        };
        let document = parse(text.as_bytes(), Rules::new(1 << 20));
        let document = document.map_err(|error| wrong(ErrorKind::Syntax, error))?;
        let read = || -> Result<Self, cask_json::Error> {
            let fields = Fields::of(document.root())?;
            Ok(Self {
                allowed: fields.strings("allowedRegistries")?,
                blocked: fields.strings("blockedRegistries")?,
                insecure: fields.strings("insecureRegistries")?,
            })
        };
        read().map_err(|error| wrong(ErrorKind::Invalid, error))
    }

    /// # Errors
    /// [`ErrorKind::Blocked`] where the host is not to be used.
    pub(crate) fn check(&self, reference: &Reference) -> Result<(), Error> {
        let host = reference.domain();
        let is_in = |hosts: &[String]| hosts.iter().any(|known| known == host);
        let why = match () {
            () if is_in(&self.blocked) => "it is in the blocked registries list",
            () if !self.allowed.is_empty() && !is_in(&self.allowed) => {
                "not in allowed registries list"
            }
            () => return Ok(()),
        };
        Err(Error::new(ErrorKind::Blocked, format!("registry {host:?} denied by policy: {why}")))
    }

    pub(crate) fn is_insecure(&self, host: &str) -> bool {
        self.insecure.iter().any(|known| known == host)
    }
}

#[cfg(test)]
mod tests {
    use crate::registries::{Access, RegistriesConf, RegistrySources};

    #[test]
    fn hosts_that_the_caller_does_not_allow_are_denied() {
        let check = |allowed: &[&str], blocked: &[&str], name: &str, expected: &str| {
            let text = format!(
                "{{\"allowedRegistries\": {allowed:?}, \"blockedRegistries\": {blocked:?}}}"
            );
            let sources = RegistrySources::parse(&text).expect("it is right");
            let conf = RegistriesConf::default().with_sources(sources);
            for access in [Access::Read, Access::Write] {
                let found = conf.resolve(&name.parse().expect("it is a name"), access);
                let said = found.map_or_else(|error| error.to_string(), |_| String::new());
                assert_eq!(said, expected, "{name}");
            }
        };
        let blocked =
            "registry \"docker.io\" denied by policy: it is in the blocked registries list";
        check(&[], &["docker.io"], "docker.io/library/x:1", blocked);
        check(&["docker.io"], &["docker.io"], "docker.io/library/x:1", blocked);
        check(&[], &["docker.io"], "quay.io/x:1", "");
        check(&["quay.io"], &[], "quay.io/x:1", "");
        let other = "registry \"quay.io:1\" denied by policy: not in allowed registries list";
        check(&["quay.io"], &[], "quay.io:1/x:1", other);
        check(&[], &[], "quay.io/x:1", "");
    }

    #[test]
    fn hosts_that_the_caller_calls_insecure_are() {
        let sources = RegistrySources::parse("{\"insecureRegistries\": [\"here:1\"]}");
        let sources = sources.expect("it is right");
        let conf = RegistriesConf::default().with_sources(sources);
        let is_insecure = |name: &str| {
            let found = conf.resolve(&name.parse().expect("it is a name"), Access::Write);
            found.expect("it is allowed").endpoints()[0].is_insecure()
        };
        assert!(is_insecure("here:1/x:1"));
        assert!(!is_insecure("here/x:1"));
        assert!(conf.is_insecure_host("here:1"));
        assert!(!conf.is_insecure_host("here"));
    }

    #[test]
    fn what_is_no_list_of_hosts_is_an_error() {
        for text in ["", "[]", "{", "{\"blockedRegistries\": \"docker.io\"}"] {
            let error = RegistrySources::parse(text).expect_err(text).to_string();
            assert!(error.starts_with("parsing $BUILD_REGISTRY_SOURCES"), "{error}");
        }
    }
}
