//! certs.d: the certificate authorities and client certificates of one registry.
//!
//! ```text
//! certs.d/
//! └── registry.example:5000/   the host as it is written in references, with its port if it has one
//!     ├── ca.crt               an authority to trust besides those of the system
//!     ├── client.cert          a certificate to show
//!     └── client.key           and its key
//! ```
//!
//! [`directories`] says where such trees are, [`find`] takes the first that has the host, and
//! [`load`] reads what is in it. What the files hold is not looked at: that is for the TLS library.
//!
//! Source: containers-certs.d(5); containers/image, `dockerCertDir` and `tlsclientconfig`.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use cask_json::quoted_as_go;

use crate::{Environment, Error, ErrorKind, file};

/// The most certificates and keys that one directory may have.
pub const MAX_FILES: usize = 256;

/// The longest host with its port, in bytes.
const MAX_HOST_BYTES: usize = 300;

const READING: &str = "reading certificates";

/// What the directory of one registry holds.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    authorities: Vec<CertificateFile>,
    clients: Vec<ClientFiles>,
}

/// A file of certificates, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// A client certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientFiles {
    /// The certificate, and those of the authorities between it and the root.
    pub certificate: CertificateFile,
    /// The key.
    pub key: KeyFile,
}

/// A file of a private key, in PEM. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyFile {
    /// Where it is.
    pub path: PathBuf,
    bytes: Vec<u8>,
}

impl Certificates {
    /// The authorities to trust besides those of the system, ordered by name.
    pub fn authorities(&self) -> &[CertificateFile] {
        &self.authorities
    }

    /// The client certificates, ordered by name.
    pub fn clients(&self) -> &[ClientFiles] {
        &self.clients
    }

    /// Whether there are none at all.
    pub fn is_empty(&self) -> bool {
        self.authorities.is_empty() && self.clients.is_empty()
    }
}

impl KeyFile {
    /// What it holds.
    pub fn secret_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The directories that hold one directory per host, the most important first: the user's, the
/// administrator's, the vendor's, Docker's.
///
/// Within `/etc/containers` and `/usr/share/containers` these are `certs.rootless.d/UID`,
/// `certs.rootless.d` (or `certs.rootful.d`), and `certs.d`.
///
/// Source: containers/storage, `configfile`, of 2026.
pub fn directories(environment: &Environment) -> Vec<PathBuf> {
    let mut directories = environment.drop_in_directories("certs", "");
    directories.reverse();
    directories.push(environment.system("/etc/docker/certs.d"));
    directories
}

/// The directory of a host, which may have a port: the first that exists, and that one alone.
///
/// A directory that the user may not look into is passed over, and so is what is not a directory.
/// The host is compared as it is written, port and case included.
///
/// # Errors
/// [`ErrorKind::InvalidName`] if it is no host, whatever the directories have; [`ErrorKind::Io`]
/// if a directory cannot be looked at for another reason.
pub fn find(directories: &[PathBuf], host: &str) -> Result<Option<PathBuf>, Error> {
    check_host(host)?;
    for directory in directories {
        let path = directory.join(host);
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => return Ok(Some(path)),
            Ok(_) => {}
            Err(error) if is_passed_over(&error) => {}
            Err(error) => return Err(Error::io(READING, &path, error)),
        }
    }
    Ok(None)
}

/// Reads the certificates of a host, as [`find`] finds them and [`load_directory`] reads them; none
/// for a host without a directory.
///
/// # Errors
/// Those of [`find`] and [`load_directory`].
pub fn load(directories: &[PathBuf], host: &str) -> Result<Certificates, Error> {
    match find(directories, host)? {
        Some(directory) => load_directory(&directory),
        None => Ok(Certificates::default()),
    }
}

/// Reads the certificates of a directory: what `--cert-dir` names. One that does not exist, or
/// that the user may not list, has none.
///
/// `*.crt` are authorities; each `*.cert` has its `*.key`, and each `*.key` its `*.cert`. All else
/// is passed over. Files may be symbolic links to regular files, and have at most
/// [`MAX_FILE_BYTES`](crate::MAX_FILE_BYTES).
///
/// # Errors
/// [`ErrorKind::IncompletePair`]: `missing key a.key for client certificate a.cert. Note that CA
/// certificates should use the extension .crt`, or `missing client certificate a.cert for key
/// a.key`; [`ErrorKind::TooLarge`] beyond [`MAX_FILES`] files or [`MAX_FILE_BYTES`] in one of them;
/// [`ErrorKind::Io`].
///
/// [`MAX_FILE_BYTES`]: crate::MAX_FILE_BYTES
pub fn load_directory(directory: &Path) -> Result<Certificates, Error> {
    let names = list(directory)?;
    let mut certificates = Certificates::default();
    for name in &names {
        if name.ends_with(".crt") {
            certificates.authorities.extend(read_certificate(&directory.join(name))?);
        } else if let Some(stem) = name.strip_suffix(".cert") {
            let key = format!("{stem}.key");
            check_pair(&names, &key, "key", name, "client certificate")?;
            let certificate = directory.join(name);
            let certificate = CertificateFile { bytes: read(&certificate)?, path: certificate };
            let key = directory.join(key);
            let key = KeyFile { bytes: read(&key)?, path: key };
            certificates.clients.push(ClientFiles { certificate, key });
        } else if let Some(stem) = name.strip_suffix(".key") {
            check_pair(&names, &format!("{stem}.cert"), "client certificate", name, "key")?;
        }
    }
    Ok(certificates)
}

/// The names of the files that matter, ordered. Names that are not Unicode end in no extension
/// that matters.
fn list(directory: &Path) -> Result<BTreeSet<String>, Error> {
    let fail = |error| Error::io(READING, directory, error);
    let listing = match std::fs::read_dir(directory) {
        Err(error) if is_passed_over(&error) => return Ok(BTreeSet::new()),
        listing => listing.map_err(fail)?,
    };
    let mut names = BTreeSet::new();
    for entry in listing {
        let name = entry.map_err(fail)?.file_name();
        let Some(name) = name.to_str() else { continue };
        if [".crt", ".cert", ".key"].iter().any(|extension| name.ends_with(extension)) {
            names.insert(name.to_owned());
        }
        if names.len() > MAX_FILES {
            let message = format!("more than {MAX_FILES} certificates and keys; remove some");
            return Err(Error::new(ErrorKind::TooLarge, message).doing(READING, directory));
        }
    }
    Ok(names)
}

fn check_pair(
    names: &BTreeSet<String>,
    wanted: &str,
    wanted_kind: &str,
    present: &str,
    present_kind: &str,
) -> Result<(), Error> {
    if names.contains(wanted) {
        return Ok(());
    }
    let [wanted, present] = [wanted, present].map(|name| match name.contains(char::is_control) {
        true => quoted_as_go(name),
        false => name.to_owned(),
    });
    let mut message = format!("missing {wanted_kind} {wanted} for {present_kind} {present}");
    if wanted_kind == "key" {
        message += ". Note that CA certificates should use the extension .crt";
    }
    Err(Error::new(ErrorKind::IncompletePair, message))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    file::read(READING, path)
}

/// Reads an authority, unless it was removed since the directory was listed.
fn read_certificate(path: &Path) -> Result<Option<CertificateFile>, Error> {
    match read(path) {
        Ok(bytes) => Ok(Some(CertificateFile { path: path.to_owned(), bytes })),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_passed_over(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied)
}

/// Checks that a host is one, so that it names one directory below another and nothing else.
fn check_host(host: &str) -> Result<(), Error> {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => (Ok(address), None),
        Some((address, rest)) => (Ok(address), Some(rest.strip_prefix(':').unwrap_or_default())),
        None => match host.split_once(':') {
            Some((name, port)) => (Err(name), Some(port)),
            None => (Err(host), None),
        },
    };
    let is_hex = |b: u8| b.is_ascii_hexdigit() || b == b':';
    let is_label = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let is_name = match name {
        Ok(address) => address.contains(':') && address.bytes().all(is_hex),
        Err(name) => name.bytes().all(is_label) && name.bytes().any(|b| b.is_ascii_alphanumeric()),
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if is_name && port.is_none_or(is_port) && host.len() <= MAX_HOST_BYTES {
        return Ok(());
    }
    let message = format!("{} is not a host, or a host and a port", quoted_as_go(host));
    Err(Error::new(ErrorKind::InvalidName, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_are_looked_up() {
        #[track_caller]
        fn check(host: &str, expected: bool) {
            assert_eq!(find(&[], host).is_ok(), expected, "{host}");
        }
        check("registry.example", true);
        check("registry.example:5000", true);
        check("localhost", true);
        check("my_host", true);
        check("[::1]", true);
        check("[2001:db8::1]:5000", true);
        check("", false);
        check(".", false);
        check("..", false);
        check("...", false);
        check("..:1", false);
        check("a/b", false);
        check("../a", false);
        check("a\0", false);
        check("a:", false);
        check("a:b", false);
        check("a:1:2", false);
        check("::1", false);
        check("[]", false);
        check("[..]", false);
        check("[::1/..]", false);
        check("[::1]5000", false);
        check("[::1]:", false);
        check("é.example", false);
        check(&"a".repeat(301), false);
    }
}
