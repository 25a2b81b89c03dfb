//! How registries are talked to.

use std::sync::{Arc, LazyLock};

use anyhow::Result;
use cask::docker::{DockerOptions, Registries};
use cask_auth::{Credential, Fixed, Keychain};
use cask_config::certs;
use cask_http::{BoxError, ClientIdentity, Proxies, SystemRoots};
use cask_registry::{Client, ClientOptions, ErrorKind, Event, HostSettings};
use cask_transfer::{TransferOptions, Transfers};

use crate::access::{Access, Tls};
use crate::credentials::variable_path;
use crate::registries::{self, environment};
use crate::report;
use crate::settings::Settings;

/// What a registry thinks of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It lets in whoever has it.
    Accepted,
    /// It does not know it.
    Refused,
}

/// Shows a credential to a registry.
///
/// Source: containers/image, `CheckAuth`.
pub async fn check(
    registry: &str,
    credential: &Credential,
    tls: &Tls,
    settings: &Settings,
) -> Result<Verdict> {
    registries::read(settings)?.check_not_blocked(registry)?;
    let keychain = Arc::new(Fixed::new(credential.clone()));
    let client = client(keychain, tls, registries::lazily(settings), settings);
    match client.registry(registry).ping().await {
        Ok(()) => Ok(Verdict::Accepted),
        Err(error) if error.kind() == ErrorKind::Unauthorized => Ok(Verdict::Refused),
        Err(error) => Err(error.into()),
    }
}

/// What `docker:` has to know, with this access.
pub fn docker(access: &Access, settings: &Settings) -> DockerOptions {
    let registries = registries::lazily(settings);
    let client = |keychain| client(keychain, &access.tls, Arc::clone(&registries), settings);
    DockerOptions {
        client: client(Arc::clone(&access.keychain)),
        client_elsewhere: client(Arc::clone(&access.keychain_elsewhere)),
        registries: Arc::clone(&registries),
        lookasides: registries::lookasides_lazily(settings),
        transfers: transfers(),
    }
}

/// Where transfers leave what the next process can go on with: `$XDG_CACHE_HOME/cask`, or
/// `~/.cache/cask`; nowhere without either.
fn transfers() -> Option<Transfers> {
    let absolute = |name| variable_path(name).filter(|path| path.is_absolute());
    let caches =
        absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(Transfers::new(caches.join("cask"), TransferOptions::default()))
}

/// A client of registries. It reads files when it first needs them.
fn client(
    keychain: Arc<dyn Keychain>,
    tls: &Tls,
    registries: Registries,
    settings: &Settings,
) -> Client {
    let mut options = ClientOptions::default();
    options.keychain = keychain;
    let tls = tls.clone();
    let limits = settings.limits.of_host();
    options.hosts = Arc::new(move |host| {
        let mut settings = host_settings(host, &tls, &registries)?;
        settings.limits = limits;
        Ok(settings)
    });
    options.client_id = settings.program.to_owned();
    options.events = Some(Arc::new(tell));
    options.http.user_agent = format!("{}/{}", settings.program, env!("CARGO_PKG_VERSION"));
    options.http.proxies = proxies();
    options.http.tls.system_roots = system_roots();
    if let Some(times) = settings.retry.times {
        options.http.retry.attempts = times.saturating_add(1);
    }
    if let Some(delay) = settings.retry.delay {
        options.http.retry.first_delay = delay;
        options.http.retry.max_delay = delay;
    }
    Client::new(options)
}

fn tell(event: &Event) {
    match event {
        Event::Retry(retry) => report::note(&retry.to_string()),
        Event::Warning { registry, text } => report::note(&format!("{registry} says: {text}")),
        _ => {}
    }
}

/// What arguments and files say of a registry.
fn host_settings(host: &str, tls: &Tls, registries: &Registries) -> Result<HostSettings, BoxError> {
    let certificates = match &tls.certificate_directory {
        Some(directory) => certs::load_directory(directory)?,
        None => certs::load(&certs::directories(&environment()), host)?,
    };
    let is_insecure = match tls.verify {
        Some(verify) => !verify,
        None => registries()?.is_insecure_host(host),
    };
    let mut settings = HostSettings::default();
    settings.danger_http = is_insecure;
    settings.danger_accept_invalid_certificates = is_insecure;
    settings.authorities_pem =
        certificates.authorities().iter().map(|file| file.bytes.clone()).collect();
    for client in certificates.clients() {
        let identity =
            ClientIdentity::from_pem(&client.certificate.bytes, client.key.secret_bytes());
        let path = client.certificate.path.display();
        settings.identities.push(identity.map_err(|error| format!("{path}: {error}"))?);
    }
    Ok(settings)
}

/// The authorities that the system trusts, read once: those that the environment names, or else the
/// usual ones.
///
/// Source: OpenSSL and Go, `crypto/x509`.
pub fn system_roots() -> SystemRoots {
    static ROOTS: LazyLock<SystemRoots> = LazyLock::new(|| {
        SystemRoots::at(variable_path("SSL_CERT_FILE"), variable_path("SSL_CERT_DIR"))
    });
    ROOTS.clone()
}

/// The proxies of the environment.
///
/// Source: Go, `httpproxy.FromEnvironment`: upper case first.
pub fn proxies() -> Proxies {
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
