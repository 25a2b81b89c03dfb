//! How registries are talked to.

use std::sync::Arc;

use anyhow::Result;
use cask_auth::{Credential, Fixed};
use cask_config::certs;
use cask_config::registries::RegistriesConf;
use cask_http::{BoxError, ClientIdentity, HttpOptions, Proxies};
use cask_registry::{Client, ClientOptions, ErrorKind, HostSettings};

use crate::options::access::{Access, Tls};
use crate::options::registries;

/// What a registry thinks of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    Refused,
}

/// Shows a credential to a registry.
///
/// Source: containers/image, `CheckAuth`.
pub(crate) async fn check(registry: &str, credential: &Credential, tls: &Tls) -> Result<Verdict> {
    let keychain = Arc::new(Fixed::new(credential.clone()));
    let access = Access { keychain, tls: tls.clone() };
    let client = Client::new(client_options(&access)?);
    match client.registry(registry).ping().await {
        Ok(()) => Ok(Verdict::Accepted),
        Err(error) if error.kind() == ErrorKind::Unauthorized => Ok(Verdict::Refused),
        Err(error) => Err(error.into()),
    }
}

/// The options of a client that has this access.
pub(crate) fn client_options(access: &Access) -> Result<ClientOptions> {
    let mut options = ClientOptions::default();
    options.keychain = Arc::clone(&access.keychain);
    let conf = registries::read()?;
    let tls = access.tls.clone();
    options.hosts = Arc::new(move |host| host_settings(host, &tls, &conf));
    let mut http = HttpOptions::default();
    http.user_agent = concat!("dray/", env!("CARGO_PKG_VERSION")).to_owned();
    http.proxies = proxies();
    options.http = http;
    Ok(options)
}

/// What arguments and files say of a registry.
fn host_settings(host: &str, tls: &Tls, conf: &RegistriesConf) -> Result<HostSettings, BoxError> {
    let certificates = match &tls.certificate_directory {
        Some(directory) => certs::load_directory(directory)?,
        None => certs::load(&certs::directories(&registries::environment()), host)?,
    };
    let configured = conf.find(host).is_some_and(|registry| registry.is_insecure());
    let is_insecure = tls.verify.map_or(configured, |verify| !verify);
    let mut settings = HostSettings::default();
    settings.danger_http = is_insecure;
    settings.danger_accept_invalid_certificates = is_insecure;
    settings.authorities_pem =
        certificates.authorities().iter().map(|file| file.bytes.clone()).collect();
    if let Some(client) = certificates.clients().first() {
        let identity =
            ClientIdentity::from_pem(&client.certificate.bytes, client.key.secret_bytes());
        let path = client.certificate.path.display();
        settings.identity = Some(identity.map_err(|error| format!("{path}: {error}"))?);
    }
    Ok(settings)
}

/// The proxies of the environment.
///
/// Source: Go, `httpproxy.FromEnvironment`: upper case first.
fn proxies() -> Proxies {
    let variable = |upper: &str| {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        set(upper).or_else(|| set(&upper.to_lowercase()))
    };
    let mut proxies = Proxies::default();
    proxies.http = variable("HTTP_PROXY");
    proxies.https = variable("HTTPS_PROXY");
    proxies.except = variable("NO_PROXY");
    proxies
}
