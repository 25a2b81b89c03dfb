//! The transports that this program has.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use cask::TransportOptions;
use cask::docker_daemon::DaemonAddress;
use cask::transport::Transports;

use crate::access::Access;
use crate::registry;
use crate::settings::Settings;

/// What the transports have to know, as far as every command says it. `shared_blobs` is where
/// layouts share their blobs.
pub fn options(settings: &Settings, shared_blobs: Option<&Path>) -> TransportOptions {
    let mut options = TransportOptions::default();
    if let Some(directory) = temporary_directory(settings) {
        options.temporary_directory = directory;
    }
    options.shared_blob_directory = shared_blobs.map(Path::to_owned);
    options.containers_storage.store = settings.store.opener();
    options
}

/// Sets how registries and Docker's daemon are accessed.
pub fn set_access(options: &mut TransportOptions, access: &Access, settings: &Settings) {
    options.docker = registry::docker(access, settings);
    options.docker_daemon.certificates.clone_from(&access.tls.certificate_directory);
    options.docker_daemon.system_roots = registry::system_roots();
    options.docker_daemon.danger_accept_any_certificate = access.tls.verify == Some(false);
}

/// The transports, with this access to registries and daemons.
pub fn with_access(access: &Access, settings: &Settings) -> Transports {
    let mut options = options(settings, None);
    set_access(&mut options, access, settings);
    cask::transports(&options)
}

/// Sets which Docker daemon `docker-daemon:` means, if one was named by a flag.
pub fn set_daemon(
    options: &mut TransportOptions,
    flag: &'static str,
    host: Option<&str>,
) -> Result<()> {
    if let Some(host) = host.filter(|host| !host.is_empty()) {
        options.docker_daemon.address = DaemonAddress::parse(host).context(flag)?;
    }
    Ok(())
}

fn temporary_directory(settings: &Settings) -> Option<PathBuf> {
    let from_environment = || std::env::var_os("TMPDIR").filter(|path| !path.is_empty());
    settings.temporary_directory.clone().or_else(|| from_environment().map(PathBuf::from))
}
