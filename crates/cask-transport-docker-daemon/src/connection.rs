//! One connection to a daemon.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use cask_transport::{Error, ErrorKind, Result, blocking};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::address::At;
use crate::{DaemonAddress, DockerDaemonOptions, tls};

/// Whatever bytes go both ways over.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

/// Connects, within the time that the options allow.
pub(crate) async fn connect(
    operation: &'static str,
    options: &DockerDaemonOptions,
) -> Result<Pin<Box<dyn Duplex>>> {
    match tokio::time::timeout(options.connect_timeout, open(operation, options)).await {
        Ok(result) => result,
        Err(_) => {
            let seconds = options.connect_timeout.as_secs_f64();
            let why = io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no connection after {seconds} seconds"),
            );
            Err(unreachable(operation, &options.address, why))
        }
    }
}

async fn open(
    operation: &'static str,
    options: &DockerDaemonOptions,
) -> Result<Pin<Box<dyn Duplex>>> {
    let address = &options.address;
    let failed = |error| unreachable(operation, address, error);
    match &address.at {
        At::Unix(path) => Ok(Box::pin(UnixStream::connect(path).await.map_err(failed)?)),
        At::Network { host, port, tls, .. } => {
            let stream = TcpStream::connect((&**host, *port)).await.map_err(failed)?;
            // Requests are small, and answers awaited.
            stream.set_nodelay(true).map_err(failed)?;
            if !tls {
                return Ok(Box::pin(stream));
            }
            let options = options.clone();
            // Reading the authorities of the system takes milliseconds.
            let config = blocking(move || tls::config(&options)).await?;
            let name = ServerName::try_from(host.to_string())
                .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
            let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
            Ok(Box::pin(stream.map_err(|error| no_tls(address, error))?))
        }
    }
}

/// The words of Docker's client.
fn unreachable(operation: &'static str, address: &DaemonAddress, error: io::Error) -> Error {
    let (kind, detail, hint) = match error.kind() {
        io::ErrorKind::PermissionDenied => (
            ErrorKind::Denied,
            format!(
                "permission denied while trying to connect to the Docker daemon socket at {address}"
            ),
            "only root and members of the socket's group, usually docker, may use it",
        ),
        _ => (
            ErrorKind::Network,
            format!(
                "Cannot connect to the Docker daemon at {address}. Is the docker daemon running?"
            ),
            "start it, or name another one by --daemon-host, --src-daemon-host, --dest-daemon-host",
        ),
    };
    Error::new(kind, operation, "").with_detail(detail).with_hint(hint).with_source(error)
}

fn no_tls(address: &DaemonAddress, error: io::Error) -> Error {
    Error::new(ErrorKind::Network, "negotiating TLS with the Docker daemon at", address)
        .with_hint(
            "http:// is for daemons without TLS; for TLS, the certificates are in a directory",
        )
        .with_source(error)
}
