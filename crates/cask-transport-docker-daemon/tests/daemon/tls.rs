//! Daemons behind TCP, with and without TLS.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use cask_testkit::conformance::write;
use cask_transport::{ErrorKind, Transport as _};
use cask_transport_docker_daemon::{DaemonAddress, DockerDaemonOptions, DockerDaemonTransport};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::fake::Fake;
use crate::{content, read_all, whole};

/// Makes an authority, and by it certificates for a server and a client: Docker's file names.
fn certify(directory: &Path) {
    let script = r#"set -e; cd "$0"; umask 077
        key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        openssl req -x509 $key -days 2 -subj /CN=ca -keyout ca-key.pem -out ca.pem
        openssl req $key -subj /CN=server -keyout server-key.pem -out server.csr
        openssl req $key -subj /CN=client -keyout key.pem -out client.csr
        printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' > server.ext
        printf 'extendedKeyUsage=clientAuth\n' > client.ext
        sign="openssl x509 -req -days 2 -CA ca.pem -CAkey ca-key.pem -CAcreateserial"
        $sign -in server.csr -extfile server.ext -out server-cert.pem
        $sign -in client.csr -extfile client.ext -out cert.pem"#;
    let made = Command::new("sh").args(["-c", script]).arg(directory).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Listens on loopback as `dockerd --tlsverify` does; gives the port.
async fn listen(fake: &Fake, certificates: &Path) -> u16 {
    let pem = |name: &str| std::fs::read(certificates.join(name)).unwrap();
    let chain = |name: &str| -> Vec<_> {
        CertificateDer::pem_slice_iter(&pem(name)).collect::<Result<_, _>>().unwrap()
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(chain("ca.pem"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            chain("server-cert.pem"),
            PrivateKeyDer::from_pem_slice(&pem("server-key.pem")).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let fake = fake.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, fake) = (acceptor.clone(), fake.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    fake.serve(stream).await;
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn tls_shows_a_certificate_and_wants_one() {
    let directory = tempfile::tempdir().unwrap();
    certify(directory.path());
    let port = listen(&Fake::default(), directory.path()).await;
    let mut options = DockerDaemonOptions::default();
    options.address = DaemonAddress::parse(&format!("tcp://127.0.0.1:{port}")).unwrap();
    options.certificates = Some(directory.path().to_owned());
    let at = |options: &DockerDaemonOptions| {
        DockerDaemonTransport::new(options.clone()).parse("it:1").unwrap()
    };
    write(&*at(&options), &content(3_000_000)).await.unwrap();
    read_all(&*at(&options)).await.unwrap();

    let refused = async |options: &DockerDaemonOptions, kind, expected: &str| {
        let error = at(options).source().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(whole(&error).contains(expected), "{}", whole(&error));
    };
    // Unknown to the system.
    options.certificates = None;
    refused(&options, ErrorKind::Network, "UnknownIssuer").await;
    // Taken for what it says, but then it asks for a certificate.
    options.danger_accept_any_certificate = true;
    refused(&options, ErrorKind::Network, "docker").await;
    options.certificates = Some(directory.path().to_owned());
    read_all(&*at(&options)).await.unwrap();
}

#[tokio::test]
async fn certificates_that_are_none_are_named() {
    let directory = tempfile::tempdir().unwrap();
    certify(directory.path());
    let port = listen(&Fake::default(), directory.path()).await;
    let folder = tempfile::tempdir().unwrap();
    let mut options = DockerDaemonOptions::default();
    options.address = DaemonAddress::parse(&format!("tcp://127.0.0.1:{port}")).unwrap();
    options.certificates = Some(folder.path().to_owned());
    let check = async |kind, expected: &str| {
        let location = DockerDaemonTransport::new(options.clone()).parse("it:1").unwrap();
        let error = location.source().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(whole(&error).contains(expected), "{}", whole(&error));
    };
    check(ErrorKind::Missing, "it has no ca.pem, and no cert.pem with key.pem").await;
    let copy = |name: &str| {
        std::fs::copy(directory.path().join(name), folder.path().join(name)).unwrap();
    };
    copy("cert.pem");
    check(ErrorKind::Missing, "key.pem: there is no such file, but its other half, cert.pem").await;
    std::fs::write(folder.path().join("key.pem"), "no key").unwrap();
    check(ErrorKind::Corrupt, "key.pem").await;
    std::fs::write(folder.path().join("ca.pem"), "no certificate").unwrap();
    check(ErrorKind::Corrupt, "ca.pem: no certificate in PEM").await;
}

#[tokio::test]
async fn http_has_a_path_that_the_api_is_below() {
    let fake = Fake::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = fake.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(served.clone().serve(stream));
        }
    });
    let mut options = DockerDaemonOptions::default();
    options.address = DaemonAddress::parse(&format!("http://127.0.0.1:{port}/base")).unwrap();
    let location = DockerDaemonTransport::new(options.clone()).parse("it:1").unwrap();
    write(&*location, &content(1000)).await.unwrap();
    read_all(&*location).await.unwrap();
    assert_eq!(fake.requests.lock().unwrap()[0], "GET /base/_ping");

    // TLS to who does not speak it.
    options.address = DaemonAddress::parse(&format!("tcp://127.0.0.1:{port}")).unwrap();
    let location = DockerDaemonTransport::new(options).parse("it:1").unwrap();
    let error = location.source().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.hint().unwrap().starts_with("http:// is for daemons without TLS"));
}
