//! Signatures beside a registry, and in it.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use cask_config::lookaside::LookasideConf;
use cask_image::{
    Algorithm, Descriptor, Hasher, ImageFormat, ImageManifest, MediaType, RawManifest,
};
use cask_registry::{Client, ClientOptions, HostSettings, Selector as Which};
use cask_testkit::registry::Registry;
use cask_transport::{
    ErrorKind, ManifestRole, Result, Selector, Signature, Transports, WriteOptions,
};
use cask_transport_docker::{DockerOptions, DockerTransport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn client() -> Client {
    let mut options = ClientOptions::default();
    options.hosts = Arc::new(|_| {
        let mut settings = HostSettings::default();
        settings.danger_http = true;
        Ok(settings)
    });
    options.http.retry.attempts = 1;
    Client::new(options)
}

/// A registry, and a configuration of where its signatures are.
struct Scene {
    registry: Registry,
    transports: Transports,
}

impl Scene {
    /// `conf` is YAML with HOST for the registry.
    async fn new(conf: &str) -> Self {
        let registry = Registry::start().await;
        let conf = conf.replace("HOST", &registry.host());
        let conf = Arc::new(LookasideConf::parse(&conf, "a.yaml").unwrap());
        let mut options = DockerOptions { client: client(), ..DockerOptions::default() };
        options.client_elsewhere = options.client.clone();
        options.lookasides = Arc::new(move || Ok(Arc::clone(&conf)));
        let transports = Transports::new().with(DockerTransport::new(options));
        let scene = Self { registry, transports };
        let repository = client().repository(&scene.repository().parse().unwrap());
        let digest = Hasher::digest(Algorithm::Sha256, b"{}");
        repository.upload_bytes(&digest, b"{}".as_slice().into()).await.unwrap();
        scene
    }

    fn repository(&self) -> String {
        format!("{}/team/app", self.registry.host())
    }

    fn location(&self) -> Box<dyn cask_transport::Location> {
        self.transports.parse(&format!("docker://{}:1", self.repository())).unwrap()
    }

    /// Writes the image with signatures.
    async fn write(&self, signatures: &[Signature]) -> Result<()> {
        let transaction = self.location().begin(&WriteOptions::default()).await.unwrap();
        transaction.write_manifest(&manifest(), &ManifestRole::Top).await?;
        transaction.write_signatures(&manifest(), signatures).await?;
        transaction.commit().await.map(drop)
    }

    async fn read(&self) -> Result<Vec<Signature>> {
        let source = self.location().source().await.unwrap();
        let top = source.resolve(&Selector::Chosen).await?;
        let found = source.signatures(&top).await?;
        assert!(found.is_empty() || source.may_be_signed().await?);
        Ok(found)
    }
}

fn manifest() -> RawManifest {
    let digest = Hasher::digest(Algorithm::Sha256, b"{}");
    let config = Descriptor::new(MediaType::OciConfig, digest, 2);
    ImageManifest::new(ImageFormat::Oci, config, Vec::new()).encode()
}

fn simple(text: &str) -> Signature {
    Signature { bytes: format!("\u{90}{text}").into_bytes().into() }
}

fn sigstore(payload: &str) -> Signature {
    let text = format!(
        "\0sigstore-json\n{{\"mimeType\":\"application/vnd.dev.cosign.simplesigning.v1+json\",\
         \"payload\":\"{payload}\",\"annotations\":{{\"dev.cosignproject.cosign/signature\":\"s\"}}}}"
    );
    Signature { bytes: text.into_bytes().into() }
}

/// Where the manifest's signatures are below a directory.
fn folder(base: &Path) -> std::path::PathBuf {
    base.join(format!("team/app@sha256={}", manifest().digest().hex()))
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_lie_in_numbered_files_and_replace_those_that_were_there() {
    let temp = tempfile::tempdir().unwrap();
    let base = temp.path().join("sig");
    let conf = format!("docker:\n  'HOST/team':\n    lookaside: file://{}\n", base.display());
    let scene = Scene::new(&conf).await;
    assert!(scene.location().capabilities().signatures);
    scene.write(&[simple("1"), simple("2"), simple("3")]).await.unwrap();
    assert_eq!(scene.read().await.unwrap(), [simple("1"), simple("2"), simple("3")]);
    scene.write(&[simple("4")]).await.unwrap();
    assert_eq!(scene.read().await.unwrap(), [simple("4")]);
    let files: Vec<_> = std::fs::read_dir(folder(&base)).unwrap().collect();
    assert_eq!(files.len(), 1, "{files:?}");
    // One that is missing ends them; what is no file is an error.
    std::fs::write(folder(&base).join("signature-3"), "unseen").unwrap();
    assert_eq!(scene.read().await.unwrap().len(), 1);
    std::fs::create_dir(folder(&base).join("signature-2")).unwrap();
    assert_eq!(scene.read().await.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_end_is_not_read() {
    let temp = tempfile::tempdir().unwrap();
    let conf = format!("default-docker:\n  lookaside: file://{}\n", temp.path().display());
    let scene = Scene::new(&conf).await;
    scene.write(&[simple("1")]).await.unwrap();
    let file = folder(temp.path()).join("signature-1");
    let large = std::fs::File::create(&file).unwrap();
    large.set_len((4 << 20) + 1).unwrap();
    assert_eq!(scene.read().await.unwrap_err().kind(), ErrorKind::LimitExceeded);
    for number in 1..=129 {
        std::fs::write(folder(temp.path()).join(format!("signature-{number}")), "x").unwrap();
    }
    assert_eq!(scene.read().await.unwrap_err().kind(), ErrorKind::LimitExceeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_place_there_are_none_and_none_can_be_written() {
    let scene = Scene::new("").await;
    assert!(!scene.location().capabilities().signatures);
    let error = scene.write(&[simple("1")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("no place for signatures"), "{error}");
    assert_eq!(scene.read().await.unwrap(), []);
    assert!(!scene.location().source().await.unwrap().may_be_signed().await.unwrap());
}

/// Answers every GET by what `files` has for its path, and notes what it was asked.
async fn web(files: Vec<(String, Vec<u8>)>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read_exact(&mut byte).await.is_err() {
                    break;
                }
                request.extend(byte);
            }
            let head = String::from_utf8_lossy(&request).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let body = files.iter().find(|(known, _)| *known == path).map(|(_, body)| body);
            let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
            let body = body.cloned().unwrap_or_default();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            seen.lock().unwrap().push(head);
            let _ = stream.write_all(&[answer.as_bytes(), &body].concat()).await;
        }
    });
    (host, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_server_is_read_without_credentials_and_never_written() {
    let place = format!("/s/team/app@sha256={}", manifest().digest().hex());
    let files = (1..=2).map(|n| (format!("{place}/signature-{n}"), vec![0x90, n])).collect();
    let (host, asked) = web(files).await;
    let temp = tempfile::tempdir().unwrap();
    let conf = format!(
        "docker:\n  HOST:\n    lookaside: http://{host}/s/\n    lookaside-staging: file://{}\n",
        temp.path().display()
    );
    let scene = Scene::new(&conf).await;
    scene.write(&[simple("1")]).await.unwrap();
    assert!(folder(temp.path()).join("signature-1").exists());
    let found = scene.read().await.unwrap();
    let expected: [&[u8]; 2] = [&[0x90, 1], &[0x90, 2]];
    assert_eq!(found.iter().map(|one| &one.bytes[..]).collect::<Vec<_>>(), expected);
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(asked.iter().all(|head| !head.to_lowercase().contains("authorization")), "{asked:?}");
    let scene = Scene::new(&format!("default-docker:\n  lookaside: http://{host}/s\n")).await;
    let error = scene.write(&[simple("1")]).await.unwrap_err().to_string();
    assert!(error.contains("Writing directly to a http lookaside http://"), "{error}");
    assert!(error.contains("Configure a lookaside-staging: location"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_of_sigstore_are_attached_in_the_registry_where_that_is_allowed() {
    let temp = tempfile::tempdir().unwrap();
    let lookaside = format!("    lookaside: file://{}\n", temp.path().display());
    let scene = Scene::new(&format!("docker:\n  HOST:\n{lookaside}")).await;
    let error = scene.write(&[sigstore("e30=")]).await.unwrap_err().to_string();
    assert!(error.contains("writing sigstore attachments is disabled by configuration"), "{error}");
    let conf = format!("docker:\n  HOST:\n{lookaside}    use-sigstore-attachments: true\n");
    let scene = Scene::new(&conf).await;
    scene.write(&[sigstore("e30="), simple("1")]).await.unwrap();
    assert_eq!(scene.read().await.unwrap(), [simple("1"), sigstore("e30=")]);
    // They join what is there, once.
    scene.write(&[sigstore("e30="), sigstore("W10=")]).await.unwrap();
    let expected = [simple("1"), sigstore("e30="), sigstore("W10=")];
    assert_eq!(scene.read().await.unwrap(), expected);
    let repository = client().repository(&scene.repository().parse().unwrap());
    let tag = format!("sha256-{}.sig", manifest().digest().hex());
    let tag: cask_reference::Tag = tag.parse().unwrap();
    let attached = repository.manifest(&Which::Tag(tag)).await.unwrap();
    let cask_image::Manifest::Image(attached) = attached.parse().unwrap() else { panic!() };
    assert_eq!(attached.layers.len(), 2);
    let config = repository.blob(&attached.config.digest, None, 0).await.unwrap();
    let config = config.verified().unwrap().read_limited(1 << 20).await.unwrap();
    let expected = format!(
        "{{\"architecture\":\"\",\"os\":\"\",\"config\":{{}},\"rootfs\":{{\"type\":\"layers\",\
         \"diff_ids\":[\"{}\",\"{}\"]}}}}",
        attached.layers[0].digest, attached.layers[1].digest
    );
    assert_eq!(String::from_utf8_lossy(&config), expected);
}
