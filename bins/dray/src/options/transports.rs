//! The transports that this program has.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use cask::TransportOptions;
use cask::docker_daemon::DaemonAddress;

use crate::cli::GlobalArguments;
use crate::options::access::Access;
use crate::options::registry;

/// What the transports have to know, as far as every command says it. `shared_blobs` is where
/// layouts share their blobs.
pub(crate) fn options(global: &GlobalArguments, shared_blobs: Option<&Path>) -> TransportOptions {
    let mut options = TransportOptions::default();
    if let Some(directory) = temporary_directory(global) {
        options.temporary_directory = directory;
    }
    options.shared_blob_directory = shared_blobs.map(Path::to_owned);
    options
}

/// Sets how registries and Docker's daemon are accessed.
pub(crate) fn set_access(
    options: &mut TransportOptions,
    access: &Access,
    global: &GlobalArguments,
) {
    options.docker = registry::docker(access, global);
    options.docker_daemon.certificates.clone_from(&access.tls.certificate_directory);
    options.docker_daemon.danger_accept_any_certificate = access.tls.verify == Some(false);
}

/// Sets which Docker daemon `docker-daemon:` means, if one was named by a flag.
pub(crate) fn set_daemon(
    options: &mut TransportOptions,
    flag: &'static str,
    host: Option<&str>,
) -> Result<()> {
    if let Some(host) = host.filter(|host| !host.is_empty()) {
        options.docker_daemon.address = DaemonAddress::parse(host).context(flag)?;
    }
    Ok(())
}

fn temporary_directory(global: &GlobalArguments) -> Option<PathBuf> {
    let from_environment = || std::env::var_os("TMPDIR").filter(|path| !path.is_empty());
    global.tmpdir.clone().or_else(|| from_environment().map(PathBuf::from))
}
