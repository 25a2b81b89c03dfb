//! What one process leaves, another uses.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use cask_image::{Descriptor, Hasher, LayerCompression, MediaType};
use cask_reference::{Algorithm, Digest};
use cask_registry::{Client, ClientOptions, HostSettings};
use cask_testkit::conformance::{self, Place};
use cask_testkit::generate::random_bytes;
use cask_testkit::registry::{Failure, Fault, Registry, Vendor};
use cask_transfer::{Hint, TransferOptions, Transfers};
use cask_transport::{
    BlobBody, BlobKind, BlobReader, BlobSpec, Body, ErrorKind, Have, Measured, Result, Transaction,
    Transports, WriteOptions,
};
use cask_transport_docker::{DockerOptions, DockerTransport};

/// The transport of a process of its own.
fn process(kept: &Path) -> Transports {
    let mut client = ClientOptions::default();
    client.hosts = Arc::new(|_| {
        let mut settings = HostSettings::default();
        settings.danger_http = true;
        Ok(settings)
    });
    client.http.retry.first_delay = std::time::Duration::from_millis(1);
    let transfers = Some(Transfers::new(kept, TransferOptions::default()));
    let options = DockerOptions { client: Client::new(client), transfers, ..Default::default() };
    Transports::new().with(DockerTransport::new(options))
}

struct Whole(Vec<u8>);

#[async_trait]
impl Body for Whole {
    async fn open(&self) -> Result<BlobReader> {
        Ok(BlobReader::measured(Cursor::new(self.0.clone()), Algorithm::Sha256))
    }
}

fn spec(bytes: &[u8]) -> BlobSpec {
    let digest = Hasher::digest(Algorithm::Sha256, bytes);
    let measured = Some(Measured { digest, size: bytes.len() as u64 });
    let media_type = MediaType::OciLayer(LayerCompression::Gzip);
    BlobSpec { kind: BlobKind::Layer { diff_id: None }, media_type, measured }
}

fn digest(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}

async fn begin(kept: &Path, registry: &Registry, repository: &str) -> Box<dyn Transaction> {
    let location = process(kept).parse(&format!("docker://{}/{repository}:1", registry.host()));
    location.unwrap().begin(&WriteOptions::default()).await.unwrap()
}

/// Writes a blob as a copier does; how it came there.
async fn write(kept: &Path, registry: &Registry, repository: &str, bytes: &[u8]) -> Have {
    let transaction = begin(kept, registry, repository).await;
    let spec = spec(bytes);
    let have = transaction.have(std::slice::from_ref(&spec)).await.unwrap().remove(0);
    let is_there = match &have {
        Have::Exact => true,
        Have::Mountable { from } => transaction.mount(&spec, from).await.unwrap(),
        _ => false,
    };
    if !is_there {
        let body: BlobBody = Arc::new(Whole(bytes.to_vec()));
        transaction.write_blob(&spec, body).await.unwrap();
    }
    have
}

fn asked(registry: &Registry) -> Vec<String> {
    let asked = registry.take_requests().into_iter().filter(|seen| seen.path != "/v2/");
    asked.map(|seen| format!("{} {}", seen.method, seen.status.unwrap_or_default())).collect()
}

async fn read(kept: &Path, registry: &Registry, repository: &str, bytes: &[u8]) -> Result<usize> {
    let location = process(kept).parse(&format!("docker://{}/{repository}:1", registry.host()));
    let source = location.unwrap().source().await?;
    let descriptor = Descriptor::new(MediaType::OciConfig, digest(bytes), bytes.len() as u64);
    source.blob_bytes(&descriptor, 1 << 30).await.map(|read| read.len())
}

/// Gives the repository an image, so that something can be read from there.
async fn tag(kept: &Path, registry: &Registry, repository: &str) {
    let transaction = begin(kept, registry, repository).await;
    let config = b"{}".to_vec();
    transaction.write_blob(&spec(&config), Arc::new(Whole(config.clone()))).await.unwrap();
    let config = Descriptor::new(MediaType::OciConfig, digest(&config), 2);
    let manifest =
        cask_image::ImageManifest::new(cask_image::ImageFormat::Oci, config, Vec::new()).encode();
    transaction.write_manifest(&manifest, &cask_transport::ManifestRole::Top).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_keeps_the_promises_of_the_seam_when_it_keeps_blobs() {
    let registry = Registry::start().await;
    let host = registry.host();
    let directory = tempfile::tempdir().unwrap();
    let transports = process(&directory.path().join("kept"));
    let place = Place::new(transports, directory.path(), move |path, name| {
        let repository = path.file_name().unwrap().to_str().unwrap().to_lowercase();
        format!("docker://{host}/{repository}:{}", name.unwrap_or("latest"))
    });
    assert_eq!(conformance::run(&place.with_litter(Vec::new)).await, 22);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_was_pushed_or_pulled_is_mounted_by_the_next_process() {
    let registry = Registry::start().await;
    let kept = tempfile::tempdir().unwrap();
    let bytes = random_bytes(1, 100_000);
    assert_eq!(write(kept.path(), &registry, "a/one", &bytes).await, Have::Missing);
    asked(&registry);
    let from = format!("{}/a/one", registry.host());
    let have = write(kept.path(), &registry, "b/two", &bytes).await;
    assert_eq!(have, Have::Mountable { from });
    assert_eq!(asked(&registry), ["POST 201"]);
    // Now it is there, and known to be.
    assert_eq!(write(kept.path(), &registry, "b/two", &bytes).await, Have::Exact);
    assert_eq!(asked(&registry), ["HEAD 200"]);

    // And if it is not any more, it is known where else it is.
    let path = registry.root().join("b/two/blobs/sha256").join(digest(&bytes).hex());
    std::fs::remove_file(path).unwrap();
    let from = format!("{}/a/one", registry.host());
    let have = write(kept.path(), &registry, "b/two", &bytes).await;
    assert_eq!(have, Have::Mountable { from });
    assert_eq!(asked(&registry), ["HEAD 404", "POST 201"]);

    let other = tempfile::tempdir().unwrap();
    tag(other.path(), &registry, "b/two").await;
    assert_eq!(read(other.path(), &registry, "b/two", &bytes).await.unwrap(), bytes.len());
    let have = write(other.path(), &registry, "c/three", &bytes).await;
    assert_eq!(have, Have::Mountable { from: format!("{}/b/two", registry.host()) });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_hint_costs_a_question_and_is_forgotten() {
    let registry = Registry::start().await;
    let kept = tempfile::tempdir().unwrap();
    let bytes = random_bytes(2, 100_000);
    let place = |name: &str| Hint::Place {
        digest: digest(&bytes),
        repository: format!("{}/{name}", registry.host()).parse().unwrap(),
    };
    let elsewhere =
        Hint::Place { digest: digest(&bytes), repository: "a.example/x".parse().unwrap() };
    let transfers = Transfers::new(kept.path(), TransferOptions::default());
    transfers.remember(&[place("a/lie"), place("b/lie"), elsewhere]);
    write(kept.path(), &registry, "c/true", &bytes).await;
    // The second session is given up; the first one is used for the upload.
    let questions = ["POST 202", "POST 202", "DELETE 204", "HEAD 404", "PUT 201"];
    assert_eq!(asked(&registry), questions);
    let have = write(kept.path(), &registry, "d/next", &bytes).await;
    assert_eq!(have, Have::Mountable { from: format!("{}/c/true", registry.host()) });
    assert_eq!(asked(&registry), ["POST 201"]);
}

/// A layer that is compressed on the way.
struct Compressed(Vec<u8>, Digest);

#[async_trait]
impl Body for Compressed {
    async fn open(&self) -> Result<BlobReader> {
        let reader = BlobReader::measured(Cursor::new(self.0.clone()), Algorithm::Sha256);
        Ok(reader.with_unpacked(self.1.clone(), LayerCompression::Gzip))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_was_compressed_once_is_not_compressed_again() {
    let registry = Registry::start().await;
    let kept = tempfile::tempdir().unwrap();
    let (bytes, diff_id) = (random_bytes(9, 100_000), digest(b"the plain layer"));
    let kind = BlobKind::Layer { diff_id: Some(diff_id.clone()) };
    let media_type = MediaType::OciLayer(LayerCompression::None);
    let made = BlobSpec { kind, media_type, measured: None };
    let ask = async |repository: &str| {
        let transaction = begin(kept.path(), &registry, repository).await;
        transaction.have(std::slice::from_ref(&made)).await.unwrap().remove(0)
    };
    assert_eq!(ask("a/one").await, Have::Missing);
    let transaction = begin(kept.path(), &registry, "a/one").await;
    let body: BlobBody = Arc::new(Compressed(bytes.clone(), diff_id));
    let measured = transaction.write_blob(&made, body).await.unwrap();
    drop(transaction);
    let gzip = MediaType::OciLayer(LayerCompression::Gzip);
    let form = Descriptor::new(gzip, measured.digest, measured.size);
    let form = Box::new(form);
    assert_eq!(ask("a/one").await, Have::Equivalent(form.clone()));
    // Elsewhere it is not, and can be had from here.
    let from = format!("{}/a/one", registry.host());
    let other = Have::MountableEquivalent { other: form.clone(), from: from.clone() };
    assert_eq!(ask("b/two").await, other);
    let transaction = begin(kept.path(), &registry, "b/two").await;
    let mut there = made.clone();
    there.measured = Some(Measured { digest: form.digest.clone(), size: form.size });
    assert!(transaction.mount(&there, &from).await.unwrap());
    drop(transaction);
    assert_eq!(ask("b/two").await, Have::Equivalent(form));
    // What nobody has compared is not remembered.
    let mut other = made.clone();
    other.kind = BlobKind::Layer { diff_id: Some(digest(b"another layer")) };
    let transaction = begin(kept.path(), &registry, "a/one").await;
    transaction.write_blob(&other, Arc::new(Whole(bytes))).await.unwrap();
    drop(transaction);
    let transaction = begin(kept.path(), &registry, "a/one").await;
    assert_eq!(transaction.have(&[other]).await.unwrap(), [Have::Missing]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_does_not_mount_gets_the_blob() {
    let registry = Registry::builder().vendor(Vendor::Ecr).start().await;
    let kept = tempfile::tempdir().unwrap();
    let bytes = random_bytes(3, 100_000);
    write(kept.path(), &registry, "a/one", &bytes).await;
    write(kept.path(), &registry, "b/two", &bytes).await;
    assert_eq!(write(kept.path(), &registry, "b/two", &bytes).await, Have::Exact);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_of_another_blob_is_found_out_and_thrown_away() {
    let registry = Registry::start().await;
    let kept = tempfile::tempdir().unwrap();
    let bytes = random_bytes(4, 5 << 20);
    write(kept.path(), &registry, "a/one", &bytes).await;
    tag(kept.path(), &registry, "a/one").await;
    let spoil = |pieces: usize| {
        let transfers = Transfers::new(kept.path(), TransferOptions::default());
        let mut partial = transfers.begin_partial(&digest(&bytes), bytes.len() as u64).unwrap();
        (0..pieces).for_each(|_| partial.append(&[vec![7; 1 << 20].into()]).unwrap());
    };
    // All of it: that is seen before anything is asked.
    spoil(5);
    assert_eq!(read(kept.path(), &registry, "a/one", &bytes).await.unwrap(), bytes.len());
    // A part of it: that is seen at the end.
    spoil(2);
    let error = read(kept.path(), &registry, "a/one", &bytes).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    assert_eq!(read(kept.path(), &registry, "a/one", &bytes).await.unwrap(), bytes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_is_not_asked_for_again() {
    let registry = Registry::start().await;
    let kept = tempfile::tempdir().unwrap();
    let bytes = random_bytes(5, (5 << 20) + 77);
    write(kept.path(), &registry, "a/one", &bytes).await;
    tag(kept.path(), &registry, "a/one").await;
    let transfers = Transfers::new(kept.path(), TransferOptions::default());
    for pieces in [1, 5, 6] {
        let mut partial = transfers.begin_partial(&digest(&bytes), bytes.len() as u64).unwrap();
        for piece in bytes.chunks(1 << 20).take(pieces) {
            partial.append(&[piece.to_vec().into()]).unwrap();
        }
        drop(partial);
        registry.take_requests();
        assert_eq!(read(kept.path(), &registry, "a/one", &bytes).await.unwrap(), bytes.len());
        let ranges: Vec<_> = registry
            .take_requests()
            .iter()
            .filter(|seen| seen.path.contains("/blobs/"))
            .map(|seen| seen.header("range").unwrap_or("all").to_owned())
            .collect();
        let expected: &[String] =
            if pieces == 6 { &[] } else { &[format!("bytes={}-", pieces << 20)] };
        assert_eq!(ranges, expected, "{pieces}");
        assert!(transfers.partial(&digest(&bytes), bytes.len() as u64).is_none(), "it is done");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_was_pulled_and_unpacked_need_not_be_compressed_to_be_pushed() {
    let registry = Registry::start().await;
    for (magic, is_known) in [(&[0x1f_u8, 0x8b, 8][..], true), (b"plain", false)] {
        let kept = tempfile::tempdir().unwrap();
        let bytes = [magic, &random_bytes(9, 70_000)].concat();
        let diff_id = digest(&[magic, b"the plain layer"].concat());
        let pushed = tempfile::tempdir().unwrap();
        write(pushed.path(), &registry, "a/one", &bytes).await;
        tag(pushed.path(), &registry, "a/one").await;
        let location = process(kept.path()).parse(&format!("docker://{}/a/one:1", registry.host()));
        let source = location.unwrap().source().await.unwrap();
        let media_type = MediaType::OciLayer(LayerCompression::Gzip);
        let layer = Descriptor::new(media_type, digest(&bytes), bytes.len() as u64);
        source.blob_bytes(&layer, 1 << 30).await.unwrap();
        source.learn_unpacked(&layer, &diff_id);
        drop(source);
        let kind = BlobKind::Layer { diff_id: Some(diff_id) };
        let spec = BlobSpec { kind, media_type: layer.media_type.clone(), measured: None };
        let transaction = begin(kept.path(), &registry, "a/one").await;
        let have = transaction.have(&[spec]).await.unwrap().remove(0);
        let expected = if is_known { Have::Equivalent(Box::new(layer)) } else { Have::Missing };
        assert_eq!(have, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_of_a_blob_goes_once_others_have_brought_it() {
    let registry = Registry::start().await;
    let kept = tempfile::tempdir().unwrap();
    let bytes = random_bytes(11, 5 << 20);
    write(kept.path(), &registry, "a/one", &bytes).await;
    tag(kept.path(), &registry, "a/one").await;
    let transfers = Transfers::new(kept.path(), TransferOptions::default());
    let begin = || {
        let mut partial = transfers.begin_partial(&digest(&bytes), bytes.len() as u64).unwrap();
        partial.append(&[bytes[..1 << 20].to_vec().into()]).unwrap();
        partial
    };
    let settle = async || {
        let location = process(kept.path()).parse(&format!("docker://{}/a/one:1", registry.host()));
        let source = location.unwrap().source().await.unwrap();
        let media_type = MediaType::OciLayer(LayerCompression::Gzip);
        source.settle(&Descriptor::new(media_type, digest(&bytes), bytes.len() as u64));
    };
    let partial = begin();
    settle().await;
    drop(partial);
    let found = transfers.partial(&digest(&bytes), bytes.len() as u64);
    assert!(found.is_some(), "somebody else was at it");
    drop(found);
    settle().await;
    assert!(transfers.partial(&digest(&bytes), bytes.len() as u64).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_fails_keeps_what_came_and_what_was_whole() {
    let registry = Registry::start().await;
    let kept = tempfile::tempdir().unwrap();
    let bytes = random_bytes(6, (5 << 20) + 77);
    write(kept.path(), &registry, "a/one", &bytes).await;
    tag(kept.path(), &registry, "a/one").await;
    let transfers = Transfers::new(kept.path(), TransferOptions::default());
    drop(transfers.begin_partial(&digest(&bytes), bytes.len() as u64).unwrap());
    let cut = Failure::CutAnswer { after_bytes: 3 << 20 };
    registry.fail(Fault::new(cut).path("/blobs/").once());
    registry.fail(Fault::new(Failure::Status(500)).path("/blobs/"));
    read(kept.path(), &registry, "a/one", &bytes).await.unwrap_err();
    registry.heal();
    let mut partial = transfers.partial(&digest(&bytes), bytes.len() as u64).unwrap();
    while partial.next().is_some() {}
    assert!((2 << 20..=3 << 20).contains(&partial.position()), "{}", partial.position());
    drop(partial);
    assert_eq!(read(kept.path(), &registry, "a/one", &bytes).await.unwrap(), bytes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_broke_off_goes_on_in_the_next_process() {
    let registry = Registry::start().await;
    let kept = tempfile::tempdir().unwrap();
    let bytes = random_bytes(7, 6 << 20);
    registry.fail(Fault::new(Failure::CutRequest { after_bytes: 2 << 20 }).method("PUT").once());
    registry.fail(Fault::new(Failure::Status(503)).path("/uploads/").after(2));
    let transaction = begin(kept.path(), &registry, "a/one").await;
    let spec = spec(&bytes);
    transaction.have(std::slice::from_ref(&spec)).await.unwrap();
    let body: BlobBody = Arc::new(Whole(bytes.clone()));
    transaction.write_blob(&spec, body).await.unwrap_err();
    drop(transaction);
    registry.heal();
    registry.take_requests();
    let have = write(kept.path(), &registry, "a/one", &bytes).await;
    assert_eq!(have, Have::Partial { bytes: 2 << 20 });
    let requests = registry.take_requests();
    let patch = requests.iter().find(|seen| seen.method == "PATCH").unwrap();
    let rest = format!("{}-{}", 2 << 20, (6 << 20) - 1);
    assert_eq!(patch.header("content-range"), Some(rest.as_str()));
    assert_eq!(write(kept.path(), &registry, "a/one", &bytes).await, Have::Exact);
    // A session that is not known any more is no obstacle.
    let other = random_bytes(8, 6 << 20);
    let upload = Transfers::new(kept.path(), TransferOptions::default())
        .upload(&format!("{}/a/one", registry.host()).parse().unwrap(), &digest(&other));
    let gone = format!("http://{}/v2/a/one/blobs/uploads/gone", registry.host());
    let text = format!("{{\"location\":\"{gone}\",\"received_bytes\":5}}");
    upload.unwrap().write(text.as_bytes());
    assert_eq!(write(kept.path(), &registry, "a/one", &other).await, Have::Missing);
}
