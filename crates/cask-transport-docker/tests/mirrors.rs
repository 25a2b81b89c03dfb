//! Mirrors, and where pushes go.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use std::sync::Arc;

use cask_config::registries::RegistriesConf;
use cask_image::{Algorithm, Descriptor, Hasher, ImageFormat, ImageManifest, MediaType};
use cask_registry::{Client, ClientOptions, HostSettings, Selector};
use cask_testkit::registry::{Failure, Fault, Registry};
use cask_transfer::{TransferOptions, Transfers};
use cask_transport::{ErrorKind, ManifestRole, Transports, WriteOptions};
use cask_transport_docker::{DockerOptions, DockerTransport};

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

fn transports(conf: &str) -> Transports {
    process(conf, None)
}

fn process(conf: &str, transfers: Option<Transfers>) -> Transports {
    let conf = Arc::new(RegistriesConf::parse(conf, "r.conf").unwrap());
    let options = DockerOptions {
        client: client(),
        client_elsewhere: client(),
        registries: Arc::new(move || Ok(Arc::clone(&conf))),
        transfers,
        ..Default::default()
    };
    Transports::new().with(DockerTransport::new(options))
}

/// Puts an image there under a tag.
async fn put(registry: &Registry, repository: &str) {
    let repository =
        client().repository(&format!("{}/{repository}", registry.host()).parse().unwrap());
    let digest = Hasher::digest(Algorithm::Sha256, b"{}");
    repository.upload_bytes(&digest, b"{}".as_slice().into()).await.unwrap();
    let config = Descriptor::new(MediaType::OciConfig, digest, 2);
    let manifest = ImageManifest::new(ImageFormat::Oci, config, Vec::new()).encode();
    let tag: cask_reference::Tag = "1".parse().unwrap();
    repository.put_manifest(&Selector::from(tag), &manifest).await.unwrap();
    registry.take_requests();
}

fn manifests_asked(registry: &Registry) -> usize {
    let asked = registry.take_requests();
    asked.iter().filter(|seen| seen.path.contains("/manifests/")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_does_not_answer_is_not_asked_for_a_while() {
    let (mirror, main) = (Registry::start().await, Registry::start().await);
    put(&main, "a/b").await;
    put(&mirror, "m/a/b").await;
    let conf = format!(
        "[[registry]]\nlocation = '{}'\n[[registry.mirror]]\nlocation = '{}/m'",
        main.host(),
        mirror.host()
    );
    let transports = transports(&conf);
    let read = async || {
        let location = transports.parse(&format!("docker://{}/a/b:1", main.host())).unwrap();
        location.source().await.unwrap().resolve(&cask_transport::Selector::Chosen).await
    };
    // Not found there is an answer.
    mirror.fail(Fault::new(Failure::Status(404)).path("/manifests/").once());
    for expected in [(1, 1), (1, 0)] {
        read().await.unwrap();
        assert_eq!((manifests_asked(&mirror), manifests_asked(&main)), expected);
    }
    // Out of order.
    mirror.fail(Fault::new(Failure::Status(503)).path("/manifests/").once());
    for expected in [(1, 1), (0, 1), (0, 1)] {
        read().await.unwrap();
        assert_eq!((manifests_asked(&mirror), manifests_asked(&main)), expected);
    }
    // The registry itself is asked whatever happened.
    main.fail(Fault::new(Failure::Disconnect).path("/manifests/").times(2));
    for _ in 0..2 {
        let error = read().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network);
        assert!(error.to_string().contains("not asked again"), "{error}");
    }
    read().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_did_not_answer_one_process_is_not_asked_by_the_next() {
    let (mirror, main) = (Registry::start().await, Registry::start().await);
    put(&main, "a/b").await;
    put(&mirror, "m/a/b").await;
    let (host, mirrored) = (main.host(), mirror.host());
    let conf = format!(
        "[[registry]]\nlocation = '{host}'\n[[registry.mirror]]\nlocation = '{mirrored}/m'"
    );
    let kept = tempfile::tempdir().unwrap();
    let read = async || {
        let transfers = Transfers::new(kept.path(), TransferOptions::default());
        let transports = process(&conf, Some(transfers));
        let location = transports.parse(&format!("docker://{}/a/b:1", main.host())).unwrap();
        location.source().await.unwrap().resolve(&cask_transport::Selector::Chosen).await.unwrap();
        (manifests_asked(&mirror), manifests_asked(&main))
    };
    assert_eq!(read().await, (1, 0));
    mirror.fail(Fault::new(Failure::Status(503)).path("/manifests/").once());
    assert_eq!(read().await, (1, 1));
    assert_eq!(read().await, (0, 1), "another process");
    // After a minute it is asked again.
    let note = std::fs::read_dir(kept.path().join("silent")).unwrap().next().unwrap().unwrap();
    let past = std::time::SystemTime::now() - std::time::Duration::from_secs(61);
    std::fs::File::open(note.path()).unwrap().set_modified(past).unwrap();
    assert_eq!(read().await, (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_goes_where_the_configuration_says_and_never_to_a_mirror() {
    let (mirror, cache, main) =
        (Registry::start().await, Registry::start().await, Registry::start().await);
    let conf = format!(
        "[[registry]]\nprefix = 'a.example/team'\nlocation = '{}/cache'\npush-to = '{}/main'\n\
         [[registry.mirror]]\nlocation = '{}'",
        cache.host(),
        main.host(),
        mirror.host()
    );
    let transports = transports(&conf);
    let location = transports.parse("docker://a.example/team/x:1").unwrap();
    let transaction = location.begin(&WriteOptions::default()).await.unwrap();
    let config = Descriptor::new(MediaType::OciConfig, Hasher::digest(Algorithm::Sha256, b"{}"), 2);
    put(&main, "main/x").await;
    let manifest = ImageManifest::new(ImageFormat::Oci, config, Vec::new()).encode();
    transaction.write_manifest(&manifest, &ManifestRole::Top).await.unwrap();
    location.collection().await.unwrap().tag(&manifest.descriptor(), "2").await.unwrap();
    assert_eq!((manifests_asked(&mirror), manifests_asked(&cache)), (0, 0));
    let asked: Vec<_> = main.take_requests().iter().map(|seen| seen.path.clone()).collect();
    assert!(asked.contains(&"/v2/main/x/manifests/2".to_owned()), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn registries_are_told_the_algorithm_of_what_is_uploaded() {
    let registry = Registry::start().await;
    let repository = client().repository(&format!("{}/a/b", registry.host()).parse().unwrap());
    for (algorithm, expected) in
        [(Algorithm::Sha256, ""), (Algorithm::Sha512, "digest-algorithm=sha512")]
    {
        let digest = Hasher::digest(algorithm, b"some bytes");
        repository.upload_bytes(&digest, b"some bytes".as_slice().into()).await.unwrap();
        let asked = registry.take_requests();
        let begun = asked.iter().find(|seen| seen.method == "POST").unwrap();
        assert_eq!(begun.query, expected);
        assert_eq!(repository.blob_size(&digest).await.unwrap(), Some(10));
    }
}
