//! Whom to take for the daemon, and as whom to appear.

use std::io;
use std::path::Path;

use cask_http::{ClientIdentity, TlsOptions};
use cask_transport::{Error, ErrorKind, Result};
use rustls::ClientConfig;

use crate::DockerDaemonOptions;

/// The most bytes of a file of certificates.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Reads the certificates that the options name.
pub(crate) fn config(options: &DockerDaemonOptions) -> Result<ClientConfig> {
    let mut tls = TlsOptions::default();
    tls.system_roots = options.system_roots.clone();
    tls.danger_accept_invalid_certificates = options.danger_accept_any_certificate;
    let folder = options.certificates.as_deref();
    if let Some(folder) = folder {
        let path = folder.join("ca.pem");
        if let Some(pem) = read(&path)? {
            cask_http::check_certificates(&pem).map_err(|why| malformed(&path, why))?;
            tls.authorities_pem.push(pem);
        }
        tls.identities.extend(identity(folder)?);
    }
    tls.client_config().map_err(|why| {
        let folder = folder.map(|folder| folder.display().to_string()).unwrap_or_default();
        Error::new(ErrorKind::InvalidLocation, "preparing TLS", folder).with_detail(why)
    })
}

/// The certificate to show, and its key; neither if there is neither.
fn identity(folder: &Path) -> Result<Option<ClientIdentity>> {
    let (certificate_path, key_path) = (folder.join("cert.pem"), folder.join("key.pem"));
    let (certificate, key) = (read(&certificate_path)?, read(&key_path)?);
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) if folder.join("ca.pem").exists() => return Ok(None),
        (None, None) => {
            return Err(Error::new(ErrorKind::Missing, "reading", folder.display())
                .with_detail("it has no ca.pem, and no cert.pem with key.pem"));
        }
        (Some(_), None) => return Err(missing(&key_path, "cert.pem")),
        (None, Some(_)) => return Err(missing(&certificate_path, "key.pem")),
    };
    cask_http::check_certificates(&certificate).map_err(|why| malformed(&certificate_path, why))?;
    let identity = ClientIdentity::from_pem(&certificate, &key);
    identity.map(Some).map_err(|why| malformed(&key_path, why))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let failed = |error| Error::from_io(error, "reading", path.display());
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, MAX_FILE_BYTES + 1), &mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Error::new(ErrorKind::LimitExceeded, "reading", path.display())
            .with_detail(format!("it has more than {MAX_FILE_BYTES} bytes")));
    }
    Ok(Some(bytes))
}

fn malformed(path: &Path, why: String) -> Error {
    Error::new(ErrorKind::Corrupt, "reading", path.display()).with_detail(why)
}

fn missing(path: &Path, other: &str) -> Error {
    Error::new(ErrorKind::Missing, "reading", path.display())
        .with_detail(format!("there is no such file, but its other half, {other}"))
}
