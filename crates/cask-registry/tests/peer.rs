//! Against a real registry: Debian's `docker-registry` on loopback, plain, with passwords, over TLS.
//!
//! Where it is not installed, these tests fail if `CI` is set, and are left out otherwise.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failure in a helper fails its test; whoever runs them is told what is left out"
)]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cask_auth::{Credential, Fixed};
use cask_image::{Descriptor, Hasher, ImageFormat, ImageManifest, MediaType, RawManifest};
use cask_reference::{Algorithm, Digest, Repository as Name, Tag};
use cask_registry::{
    BodyStream, BoxError, Client, ClientOptions, ErrorKind, HostSettings, Mount, Repository,
    Selector, SubjectLink, UploadBody, UploadOptions, UploadSession,
};

const USER: &str = "user";
const PASSWORD: &str = "pa:ss wörd";

struct Registry {
    child: Child,
    address: String,
    directory: tempfile::TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Access {
    Plain,
    Password,
    Tls,
    /// TLS, for whoever shows the registry's own certificate.
    Certificate,
}

impl Registry {
    fn start(access: Access) -> Option<Self> {
        if !Path::new("/usr/bin/docker-registry").exists() {
            assert!(std::env::var_os("CI").is_none(), "docker-registry must be installed");
            eprintln!("docker-registry is not installed: not tested");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        let address = free_address();
        let mut http = format!("addr: {address}");
        let mut more = String::new();
        if access == Access::Password {
            let hash = bcrypt::hash(PASSWORD, 4).unwrap();
            fs::write(at("htpasswd"), format!("{USER}:{hash}\n")).unwrap();
            more = format!("auth: {{htpasswd: {{realm: it, path: {:?}}}}}\n", at("htpasswd"));
        }
        if matches!(access, Access::Tls | Access::Certificate) {
            let made = Command::new("openssl")
                .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
                .args(["-nodes", "-days", "2", "-subj", "/CN=it", "-keyout", &at("key.pem")])
                .args(["-addext", "subjectAltName=IP:127.0.0.1", "-out", &at("cert.pem")])
                .output()
                .unwrap();
            assert!(made.status.success(), "{made:?}");
            http = format!(
                "{http}, tls: {{certificate: {:?}, key: {:?}{}}}",
                at("cert.pem"),
                at("key.pem"),
                match access {
                    Access::Certificate => format!(", clientcas: [{:?}]", at("cert.pem")),
                    _ => String::new(),
                }
            );
        }
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {:?}}}, \
             delete: {{enabled: true}}}}\nhttp: {{{http}}}\n{more}",
            at("data")
        );
        fs::write(at("config.yml"), config).unwrap();
        let child = Command::new("/usr/bin/docker-registry")
            .args(["serve", &at("config.yml")])
            .stdin(Stdio::null())
            .stdout(fs::File::create(at("log")).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self { child, address, directory };
        for _ in 0..500 {
            if TcpStream::connect(&registry.address).is_ok() {
                return Some(registry);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("docker-registry is silent");
    }

    /// The requests so far.
    fn requests(&self) -> Vec<String> {
        // It answers first and then writes: what grows no more is what there is.
        let read = || fs::read_to_string(self.directory.path().join("log")).unwrap();
        let mut log = read();
        loop {
            std::thread::sleep(Duration::from_millis(150));
            let longer = read();
            if longer.len() == log.len() {
                break;
            }
            log = longer;
        }
        log.lines()
            .filter_map(|line| {
                let mut parts = line.split('"').skip(1);
                let asked = parts.next()?.rsplit_once(" HTTP/")?.0.to_owned();
                let status = parts.next()?.split_whitespace().next()?.to_owned();
                Some(format!("{asked} {status}"))
            })
            .collect()
    }

    fn client(&self, keychain: Option<Credential>) -> Client {
        let mut options = ClientOptions::default();
        if let Some(credential) = keychain {
            options.keychain = Arc::new(Fixed::new(credential));
        }
        options.hosts = Arc::new(|_| {
            let mut settings = HostSettings::default();
            settings.danger_http = true;
            Ok(settings)
        });
        Client::new(options)
    }

    fn name(&self, path: &str) -> Name {
        Name::new(&self.address, path).unwrap()
    }

    fn repository(&self, path: &str) -> Repository {
        self.client(None).repository(&self.name(path)).for_writing()
    }
}

/// An address on loopback that nobody listens at, nor is about to: each process of tests has ports of its own, below
/// those that the kernel gives away.
fn free_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = 10_000 + std::process::id() % 340 * 64;
    let ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed) % 64);
    let mut addresses = ports.take(64).map(|port| format!("127.0.0.1:{port}"));
    let free = addresses.find(|address| TcpListener::bind(address).is_ok());
    free.expect("loopback has a free port")
}

fn digest(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}

fn noise(len: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

/// A body of unknown size, in pieces.
struct Stream(Bytes);

#[async_trait::async_trait]
impl UploadBody for Stream {
    fn size(&self) -> Option<u64> {
        None
    }
    async fn open(&self, offset: u64) -> Result<BodyStream, BoxError> {
        let rest = self.0.slice(usize::try_from(offset)?..);
        let pieces: Vec<Result<Bytes, BoxError>> =
            rest.chunks(7000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        Ok(Box::pin(futures_util::stream::iter(pieces)))
    }
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

/// Uploads an image of some layers, and gives its manifest.
async fn push(repository: &Repository, layers: usize, seed: u64) -> RawManifest {
    let config = Bytes::from(format!(r#"{{"architecture":"amd64","os":"linux","s":{seed}}}"#));
    let mut all = Vec::new();
    for layer in 0..layers {
        let bytes = noise(3000, seed + layer as u64);
        let (named, size) = (digest(&bytes), bytes.len() as u64);
        if repository.blob_size(&named).await.unwrap().is_none() {
            repository.upload_bytes(&named, bytes).await.unwrap();
        }
        all.push(Descriptor::new(
            MediaType::from("application/vnd.oci.image.layer.v1.tar+gzip"),
            named,
            size,
        ));
    }
    let descriptor = Descriptor::new(MediaType::OciConfig, digest(&config), config.len() as u64);
    if repository.blob_size(&descriptor.digest).await.unwrap().is_none() {
        repository.upload_bytes(&descriptor.digest, config).await.unwrap();
    }
    ImageManifest::new(ImageFormat::Oci, descriptor, all).encode()
}

#[tokio::test]
async fn an_image_goes_there_and_comes_back() {
    let Some(registry) = Registry::start(Access::Plain) else { return };
    let repository = registry.repository("a/b");
    let manifest = push(&repository, 4, 1).await;
    let stored = repository.put_manifest(&tag("x").into(), &manifest).await.unwrap();
    assert_eq!((&stored.digest, stored.subject), (manifest.digest(), SubjectLink::None));
    let found = repository.resolve(&tag("x").into()).await.unwrap();
    assert_eq!(found, manifest.descriptor());
    let read = repository.manifest(&Selector::from(&found.digest)).await.unwrap();
    assert_eq!(read.bytes(), manifest.bytes());
    let layer = noise(3000, 1);
    let named = digest(&layer);
    let blob = repository.blob(&named, Some(3000), 0).await.unwrap().verified().unwrap();
    assert_eq!(blob.read_limited(3000).await.unwrap(), layer);
    let mut part = repository.blob(&named, Some(3000), 2990).await.unwrap();
    assert_eq!(part.chunk().await.unwrap().unwrap(), layer.slice(2990..));
    assert_eq!(part.chunk().await.unwrap(), None);
    assert_eq!(repository.tags().all().await.unwrap(), ["x"]);
    let whole = registry.client(None).registry(&registry.address);
    whole.ping().await.unwrap();
    assert_eq!(whole.catalog().all().await.unwrap(), ["a/b"]);
}

#[tokio::test]
async fn what_is_not_there_is_said_in_known_words() {
    let Some(registry) = Registry::start(Access::Plain) else { return };
    let repository = registry.repository("a/b");
    let name = format!("{}/a/b", registry.address);
    let error = repository.resolve(&tag("nope").into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.to_string(), format!("reading manifest nope in {name}: manifest unknown"));
    assert_eq!(repository.resolve_existing(&tag("nope").into()).await.unwrap(), None);
    let error = repository.tags().next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("name unknown"), "{error}");
    let absent = digest(b"absent");
    assert_eq!(repository.blob_size(&absent).await.unwrap(), None);
    let error = repository.blob(&absent, None, 0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn five_blobs_and_a_manifest_are_pushed_by_seventeen_requests() {
    let Some(registry) = Registry::start(Access::Password) else { return };
    let client = registry.client(Some(Credential::basic(USER, PASSWORD)));
    let repository = client.repository(&registry.name("a/b")).for_writing();
    let manifest = push(&repository, 4, 1).await;
    repository.put_manifest(&tag("x").into(), &manifest).await.unwrap();
    let requests = registry.requests();
    assert_eq!(requests.len(), 17, "{requests:#?}");
    let client = registry.client(Some(Credential::basic(USER, PASSWORD)));
    client.repository(&registry.name("a/b")).resolve(&tag("x").into()).await.unwrap();
    let requests = registry.requests();
    assert_eq!(requests.len(), 19, "{requests:#?}");
}

#[tokio::test]
async fn passwords_are_checked() {
    let Some(registry) = Registry::start(Access::Password) else { return };
    let ask = async |credential| {
        let error = registry.client(credential).registry(&registry.address).ping().await;
        error.unwrap_err()
    };
    for credential in [None, Some(Credential::basic(USER, "wrong"))] {
        let error = ask(credential).await;
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
        assert!(error.to_string().contains("unauthorized: authentication required"), "{error}");
    }
    let right = registry.client(Some(Credential::basic(USER, PASSWORD)));
    right.registry(&registry.address).ping().await.unwrap();
}

#[tokio::test]
async fn streams_pieces_and_empty_blobs_arrive() {
    let Some(registry) = Registry::start(Access::Plain) else { return };
    let repository = registry.repository("a/b");
    let bytes = noise(300_000, 7);
    let uploaded = repository
        .upload_stream(Arc::new(Stream(bytes.clone())), UploadOptions::default())
        .await
        .unwrap();
    assert_eq!((uploaded.digest, uploaded.size_bytes), (digest(&bytes), 300_000));
    let empty = Bytes::new();
    repository.upload_bytes(&digest(&empty), empty.clone()).await.unwrap();
    let stream = Arc::new(Stream(empty.clone()));
    let uploaded = repository.upload_stream(stream, UploadOptions::default()).await.unwrap();
    assert_eq!((uploaded.digest, uploaded.size_bytes), (digest(&empty), 0));
    assert_eq!(repository.blob_size(&digest(&empty)).await.unwrap(), Some(0));

    let mut options = ClientOptions::default();
    options.chunk_bytes = 100_000;
    options.hosts = Arc::new(|_| {
        let mut settings = HostSettings::default();
        settings.danger_http = true;
        Ok(settings)
    });
    let chunked = Client::new(options).repository(&registry.name("a/b")).for_writing();
    let mut in_chunks = UploadOptions::default();
    in_chunks.in_chunks = true;
    for seed in [8, 9] {
        let bytes = noise(250_001, seed);
        let body: Arc<dyn UploadBody> =
            if seed == 8 { Arc::new(bytes.clone()) } else { Arc::new(Stream(bytes.clone())) };
        if seed == 8 {
            chunked.upload(&digest(&bytes), body, in_chunks.clone()).await.unwrap();
        } else {
            chunked.upload_stream(body, in_chunks.clone()).await.unwrap();
        }
        let size = repository.blob_size(&digest(&bytes)).await.unwrap();
        assert_eq!(size, Some(250_001));
    }
    let patches = registry.requests().iter().filter(|r| r.starts_with("PATCH")).count();
    assert_eq!(patches, 1 + 1 + 3 + 3);
}

#[tokio::test]
async fn an_upload_is_gone_on_with_by_another_process() {
    let Some(registry) = Registry::start(Access::Plain) else { return };
    let bytes = noise(250_000, 3);
    let mut client = ClientOptions::default();
    client.chunk_bytes = 100_000;
    client.http.retry = {
        let mut retry = client.http.retry.clone();
        retry.attempts = 1;
        retry
    };
    client.hosts = Arc::new(|_| {
        let mut settings = HostSettings::default();
        settings.danger_http = true;
        Ok(settings)
    });
    let repository = Client::new(client).repository(&registry.name("a/b")).for_writing();
    let kept: Arc<Mutex<Option<String>>> = Arc::default();
    let mut options = UploadOptions::default();
    options.in_chunks = true;
    let keeper = Arc::clone(&kept);
    options.session_sink = Some(Arc::new(move |session| {
        *keeper.lock().unwrap() = Some(serde_json::to_string(session).unwrap());
    }));
    /// A source that breaks after 150,000 bytes.
    struct Breaks(Bytes);
    #[async_trait::async_trait]
    impl UploadBody for Breaks {
        fn size(&self) -> Option<u64> {
            Some(self.0.len() as u64)
        }
        async fn open(&self, offset: u64) -> Result<BodyStream, BoxError> {
            let start = usize::try_from(offset)?;
            let whole: Result<Bytes, BoxError> = Ok(self.0.slice(start..150_000.max(start)));
            let broken: Result<Bytes, BoxError> = Err("the disk is on fire".into());
            Ok(Box::pin(futures_util::stream::iter([whole, broken])))
        }
    }
    let named = digest(&bytes);
    let broken = Arc::new(Breaks(bytes.clone()));
    let error = repository.upload(&named, broken, options.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Body);
    assert_eq!(error.into_source().unwrap().to_string(), "the disk is on fire");

    let session: UploadSession =
        serde_json::from_str(&kept.lock().unwrap().take().unwrap()).unwrap();
    assert_eq!(session.received_bytes(), 100_000);
    options.session = Some(session);
    let other = registry.repository("a/b");
    other.upload(&named, Arc::new(bytes), options).await.unwrap();
    assert_eq!(other.blob_size(&named).await.unwrap(), Some(250_000));
    // A session that is over is no error, either.
}

#[tokio::test]
async fn blobs_are_mounted_or_their_session_is_used() {
    let Some(registry) = Registry::start(Access::Plain) else { return };
    let (one, two) = (registry.repository("a/one"), registry.repository("a/two"));
    let bytes = noise(1000, 5);
    let named = digest(&bytes);
    let mounted = two.mount(&named, one.name()).await.unwrap();
    let Mount::Session(session) = mounted else { panic!("{mounted:?}") };
    two.cancel_upload(&session).await.unwrap();
    assert_eq!(two.upload_status(&session).await.unwrap(), None);
    one.upload_bytes(&named, bytes.clone()).await.unwrap();
    assert_eq!(two.mount(&named, one.name()).await.unwrap(), Mount::Mounted);
    let mounted = two.mount(&digest(b"x"), one.name()).await.unwrap();
    let Mount::Session(session) = mounted else { panic!("{mounted:?}") };
    let before = registry.requests().len();
    let mut options = UploadOptions::default();
    options.session = Some(session);
    two.upload(&digest(b"x"), Arc::new(Bytes::from_static(b"x")), options).await.unwrap();
    assert_eq!(registry.requests().len(), before + 1);
}

#[tokio::test]
async fn manifests_are_deleted_and_tags_without_their_images() {
    let Some(registry) = Registry::start(Access::Plain) else { return };
    let repository = registry.repository("a/b");
    let manifest = push(&repository, 1, 1).await;
    for name in ["x", "y"] {
        repository.put_manifest(&tag(name).into(), &manifest).await.unwrap();
    }
    repository.untag(&tag("x")).await.unwrap();
    assert_eq!(repository.tags().all().await.unwrap(), ["y"]);
    assert_eq!(repository.resolve(&tag("y").into()).await.unwrap(), manifest.descriptor());
    let error = repository.untag(&tag("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    repository.delete_manifest(manifest.digest()).await.unwrap();
    assert_eq!(repository.tags().all().await.unwrap(), [""; 0]);
    let error = repository.delete_manifest(manifest.digest()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn referrers_are_kept_under_the_fallback_tag() {
    let Some(registry) = Registry::start(Access::Plain) else { return };
    let repository = registry.repository("a/b");
    let subject = push(&repository, 1, 1).await;
    repository.put_manifest(&tag("x").into(), &subject).await.unwrap();
    assert_eq!(repository.referrers(subject.digest(), None).await.unwrap(), []);
    let empty = Bytes::from_static(b"{}");
    repository.upload_bytes(&digest(&empty), empty.clone()).await.unwrap();
    for kind in ["application/vnd.one", "application/vnd.two", "application/vnd.two"] {
        let config = Descriptor::new(MediaType::OciEmpty, digest(&empty), 2);
        let mut artifact = ImageManifest::new(ImageFormat::Oci, config.clone(), vec![config]);
        artifact.subject = Some(subject.descriptor());
        artifact.artifact_type = Some(MediaType::from(kind));
        let artifact = artifact.encode();
        let selector = Selector::from(artifact.digest());
        let stored = repository.put_manifest(&selector, &artifact).await.unwrap();
        assert_eq!(stored.subject, SubjectLink::FallbackTag);
    }
    let all = repository.referrers(subject.digest(), None).await.unwrap();
    assert_eq!(all.len(), 2);
    let wanted = MediaType::from("application/vnd.two");
    let two = repository.referrers(subject.digest(), Some(&wanted)).await.unwrap();
    assert_eq!(two.len(), 1);
    assert_eq!(two[0].artifact_type, Some(wanted));
}

#[tokio::test]
async fn certificates_are_checked() {
    let Some(registry) = Registry::start(Access::Tls) else { return };
    let ping = async |settings: HostSettings| {
        let mut options = ClientOptions::default();
        options.hosts = Arc::new(move |_| Ok(settings.clone()));
        Client::new(options).registry(&registry.address).ping().await
    };
    let error = ping(HostSettings::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    let phrase =
        format!("pinging container registry {0}: Get \"https://{0}/v2/\": tls: ", registry.address);
    assert!(error.to_string().starts_with(&phrase), "{error}");
    assert!(error.hint().is_some());
    let mut trusting = HostSettings::default();
    let certificate = fs::read(registry.directory.path().join("cert.pem")).unwrap();
    trusting.authorities_pem.push(certificate);
    ping(trusting).await.unwrap();
    let mut insecure = HostSettings::default();
    insecure.danger_accept_invalid_certificates = true;
    insecure.danger_http = true;
    ping(insecure).await.unwrap();
}

#[tokio::test]
async fn client_certificates_are_shown() {
    let Some(registry) = Registry::start(Access::Certificate) else { return };
    let read = |name: &str| fs::read(registry.directory.path().join(name)).unwrap();
    let (certificate, key) = (read("cert.pem"), read("key.pem"));
    let ping = async |identities: &[cask_http::ClientIdentity]| {
        let mut settings = HostSettings::default();
        settings.authorities_pem.push(certificate.clone());
        settings.identities = identities.to_vec();
        let mut options = ClientOptions::default();
        options.http.retry = cask_http::RetryOptions::never();
        options.hosts = Arc::new(move |_| Ok(settings.clone()));
        Client::new(options).registry(&registry.address).ping().await
    };
    assert_eq!(ping(&[]).await.unwrap_err().kind(), ErrorKind::Network);
    let identity = cask_http::ClientIdentity::from_pem(&certificate, &key).unwrap();
    assert!(!format!("{identity:?}").contains("PRIVATE"));
    ping(std::slice::from_ref(&identity)).await.unwrap();

    // Of several, the one that was signed by whom the registry names.
    let stranger = rcgen::generate_simple_self_signed(["stranger".to_owned()]).unwrap();
    let stranger = cask_http::ClientIdentity::from_pem(
        stranger.cert.pem().as_bytes(),
        stranger.signing_key.serialize_pem().as_bytes(),
    )
    .unwrap();
    assert!(ping(std::slice::from_ref(&stranger)).await.is_err());
    ping(&[stranger, identity]).await.unwrap();
}

#[tokio::test]
async fn large_blobs_go_both_ways_over_tls_and_http_2() {
    let Some(registry) = Registry::start(Access::Tls) else { return };
    let certificate = fs::read(registry.directory.path().join("cert.pem")).unwrap();
    let mut options = ClientOptions::default();
    options.hosts = Arc::new(move |_| {
        let mut settings = HostSettings::default();
        settings.authorities_pem.push(certificate.clone());
        Ok(settings)
    });
    let repository = Client::new(options).repository(&registry.name("a/b")).for_writing();
    let bytes = noise(20_000_000, 11);
    let named = digest(&bytes);
    repository.upload(&named, Arc::new(bytes.clone()), UploadOptions::default()).await.unwrap();
    let streamed = repository
        .upload_stream(Arc::new(Stream(bytes.slice(1..))), UploadOptions::default())
        .await
        .unwrap();
    assert_eq!(streamed.size_bytes, 19_999_999);
    let blob = repository.blob(&named, Some(20_000_000), 0).await.unwrap().verified().unwrap();
    assert_eq!(blob.read_limited(20_000_000).await.unwrap(), bytes);
}

#[tokio::test]
async fn nobody_there_is_told_with_the_address() {
    let address = free_address();
    for (insecure, scheme) in [(false, "https"), (true, "http")] {
        let mut options = ClientOptions::default();
        options.hosts = Arc::new(move |_| {
            let mut settings = HostSettings::default();
            settings.danger_http = insecure;
            Ok(settings)
        });
        let repository = Client::new(options).repository(&Name::new(&address, "a/b").unwrap());
        let error = repository.resolve(&tag("x").into()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "pinging container registry {address}: Get \"{scheme}://{address}/v2/\": dial \
                 tcp: connect: connection refused"
            )
        );
    }
}
