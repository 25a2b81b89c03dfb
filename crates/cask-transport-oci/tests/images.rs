//! Images through the seam: written, listed, read, refused.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cask_image::{
    Algorithm, Descriptor, Hasher, ImageFormat, ImageManifest, Index, LayerCompression, MediaType,
    RawManifest,
};
use cask_transport::{
    BlobKind, BlobReader, BlobSpec, Body, Collection, ErrorKind, Have, Location, ManifestRole,
    Measured, Result, Selector, Transaction, Transport as _, WriteOptions,
};
use cask_transport_oci::{OciOptions, OciTransport};
use futures_util::TryStreamExt as _;

/// Bytes that can be opened again.
struct Memory(Bytes);

#[async_trait]
impl Body for Memory {
    async fn open(&self) -> Result<BlobReader> {
        Ok(BlobReader::measured(std::io::Cursor::new(self.0.clone()), Algorithm::Sha256))
    }
}

/// A body that fails half way.
struct Broken;

#[async_trait]
impl Body for Broken {
    async fn open(&self) -> Result<BlobReader> {
        struct Half(bool);
        impl std::io::Read for Half {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(std::io::Error::other("the line is dead"));
                }
                buffer[..3].copy_from_slice(b"abc");
                Ok(3)
            }
        }
        Ok(BlobReader::measured(Half(false), Algorithm::Sha256))
    }
}

struct Image {
    manifest: RawManifest,
    blobs: Vec<(BlobSpec, Bytes)>,
}

fn describe(media_type: MediaType, bytes: &[u8]) -> Descriptor {
    let digest = Hasher::digest(Algorithm::Sha256, bytes);
    Descriptor::new(media_type, digest, bytes.len() as u64)
}

fn image(seed: &str, subject: Option<&RawManifest>) -> Image {
    let config = Bytes::from(format!(r#"{{"architecture":"amd64","os":"linux","x":"{seed}"}}"#));
    let layer = Bytes::from(format!("layer of {seed}\n").repeat(50_000));
    let config_of = describe(MediaType::OciConfig, &config);
    let layer_of = describe(MediaType::OciLayer(LayerCompression::None), &layer);
    let spec = |kind, of: &Descriptor| BlobSpec {
        kind,
        media_type: of.media_type.clone(),
        measured: Some(Measured::from(of)),
    };
    let blobs = vec![
        (spec(BlobKind::Config, &config_of), config),
        (spec(BlobKind::Layer { diff_id: None }, &layer_of), layer),
    ];
    let mut manifest = ImageManifest::new(ImageFormat::Oci, config_of, vec![layer_of]);
    manifest.subject = subject.map(RawManifest::descriptor);
    manifest.artifact_type = subject.map(|_| "application/x-signature".into());
    Image { manifest: manifest.encode(), blobs }
}

fn location(path: &Path, image: &str) -> Box<dyn Location> {
    OciTransport::default().parse(&format!("{}{image}", path.display())).unwrap()
}

async fn begin(path: &Path, image: &str) -> Box<dyn Transaction> {
    location(path, image).begin(&WriteOptions::default()).await.unwrap()
}

async fn put(transaction: &dyn Transaction, image: &Image, role: ManifestRole) {
    for (spec, bytes) in &image.blobs {
        let body = Arc::new(Memory(bytes.clone()));
        let measured = transaction.write_blob(spec, body).await.unwrap();
        assert_eq!(Some(measured), spec.measured);
    }
    transaction.write_manifest(&image.manifest, &role).await.unwrap();
}

async fn write(path: &Path, name: &str, image: &Image) {
    let transaction = begin(path, name).await;
    put(&*transaction, image, ManifestRole::Top).await;
    transaction.commit().await.unwrap();
}

async fn names(collection: &dyn Collection) -> Vec<String> {
    let entries: Vec<_> = collection.entries().try_collect().await.unwrap();
    for (position, entry) in entries.iter().enumerate() {
        assert_eq!(entry.position, Some(position));
        assert!(entry.descriptor.is_some());
    }
    entries.into_iter().map(|entry| entry.names.join("+")).collect()
}

#[tokio::test]
async fn what_was_written_is_read() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("layout");
    assert_eq!(location(&path, "").source().await.unwrap_err().kind(), ErrorKind::NotFound);
    let one = image("one", None);
    write(&path, ":v1", &one).await;
    write(&path, ":v2", &one).await;
    write(&path, "", &image("two", None)).await;
    for (image, expected) in [(":v1", &one), (":v2", &one), (":@0", &one)] {
        let source = location(&path, image).source().await.unwrap();
        let top = source.resolve(&Selector::Chosen).await.unwrap();
        assert_eq!(source.manifest(&top).await.unwrap(), expected.manifest);
        for (spec, bytes) in &expected.blobs {
            let digest = spec.measured.as_ref().unwrap().digest.clone();
            let of = Descriptor::new(spec.media_type.clone(), digest, bytes.len() as u64);
            assert_eq!(source.blob_bytes(&of, 10 << 20).await.unwrap(), *bytes);
            let mut prefix = Hasher::new(Algorithm::Sha256);
            prefix.update(&bytes[..10]);
            let rest = source.blob_after(&of, &prefix).await.unwrap();
            assert_eq!(rest.read_all(10 << 20).await.unwrap(), bytes[10..]);
        }
    }
    let source = location(&path, "").source().await.unwrap();
    let error = source.resolve(&Selector::Chosen).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidLocation);
    assert!(error.to_string().ends_with("more than one image in oci, choose an image"), "{error}");
    assert_eq!(error.hint(), Some("there are v1, v2, @2"));
    let error = source.resolve(&Selector::Name("nope".into())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().ends_with("no descriptor found for reference \"nope\""), "{error}");
    let by_digest = Selector::Digest(one.manifest.digest().clone());
    source.resolve(&by_digest).await.unwrap();
    source.resolve(&Selector::Position(2)).await.unwrap();
}

#[tokio::test]
async fn a_changed_manifest_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let one = image("one", None);
    write(temp.path(), ":v1", &one).await;
    let blob = temp.path().join("blobs/sha256").join(one.manifest.digest().hex());
    let mut changed = one.manifest.bytes().to_vec();
    changed[30] ^= 1;
    std::fs::write(&blob, changed).unwrap();
    let source = location(temp.path(), ":v1").source().await.unwrap();
    let top = source.resolve(&Selector::Chosen).await.unwrap();
    assert_eq!(source.manifest(&top).await.unwrap_err().kind(), ErrorKind::DigestMismatch);
}

#[tokio::test]
async fn what_is_there_is_told() {
    let temp = tempfile::tempdir().unwrap();
    let one = image("one", None);
    write(temp.path(), ":v1", &one).await;
    let transaction = begin(temp.path(), ":v2").await;
    let mut specs: Vec<BlobSpec> = one.blobs.iter().map(|(spec, _)| spec.clone()).collect();
    specs.push(image("two", None).blobs[0].0.clone());
    specs.push(BlobSpec { measured: None, ..specs[1].clone() });
    let have = transaction.have(&specs).await.unwrap();
    assert_eq!(have, [Have::Exact, Have::Exact, Have::Missing, Have::Missing]);
}

#[tokio::test]
async fn a_blob_that_is_measured_on_the_way_is_named_by_what_it_is() {
    let temp = tempfile::tempdir().unwrap();
    let one = image("one", None);
    let transaction = begin(temp.path(), ":v1").await;
    let (spec, bytes) = &one.blobs[1];
    let unmeasured = BlobSpec { measured: None, ..spec.clone() };
    let body = Arc::new(Memory(bytes.clone()));
    let measured = transaction.write_blob(&unmeasured, body).await.unwrap();
    assert_eq!(Some(measured), spec.measured);
    let other = Arc::new(Memory(Bytes::from_static(b"something else")));
    let error = transaction.write_blob(spec, other).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SizeMismatch);
    let same_size = Arc::new(Memory(vec![0; bytes.len()].into()));
    let error = transaction.write_blob(&image("two", None).blobs[1].0, same_size).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::DigestMismatch);
}

#[tokio::test]
async fn a_dropped_or_failed_transaction_leaves_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("layout");
    let one = image("one", None);
    let transaction = begin(&path, ":v1").await;
    put(&*transaction, &one, ManifestRole::Top).await;
    let error = transaction.write_blob(&one.blobs[0].0, Arc::new(Broken)).await.unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("the line is dead"));
    drop(transaction);
    assert!(!path.exists());

    let transaction = begin(&path, ":v1").await;
    put(&*transaction, &one, ManifestRole::Child).await;
    let error = transaction.commit().await.unwrap_err();
    assert!(error.to_string().contains("no top manifest was written"), "{error}");
    assert!(!path.exists());
}

#[tokio::test]
async fn an_index_and_its_referrers_are_one_image() {
    let temp = tempfile::tempdir().unwrap();
    let one = image("one", None);
    let index = Index::new(ImageFormat::Oci, vec![one.manifest.descriptor()]).encode();
    let signature = image("signature", Some(&index));
    let transaction = begin(temp.path(), "").await;
    put(&*transaction, &one, ManifestRole::Child).await;
    transaction.write_manifest(&index, &ManifestRole::Top).await.unwrap();
    put(&*transaction, &signature, ManifestRole::Referrer).await;
    transaction.commit().await.unwrap();

    let source = location(temp.path(), "").source().await.unwrap();
    let top = source.resolve(&Selector::Chosen).await.unwrap();
    assert_eq!(top.digest, *index.digest());
    let referrers = source.referrers(index.digest()).await.unwrap();
    assert_eq!(referrers.len(), 1);
    assert_eq!(referrers[0].digest, *signature.manifest.digest());
    assert_eq!(referrers[0].artifact_type, Some("application/x-signature".into()));
    assert!(source.referrers(one.manifest.digest()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_collection_is_listed_and_changed() {
    let temp = tempfile::tempdir().unwrap();
    let (one, two) = (image("one", None), image("two", None));
    write(temp.path(), ":v1", &one).await;
    write(temp.path(), "", &two).await;
    let collection = location(temp.path(), ":v1").collection().await.unwrap();
    assert_eq!(names(&*collection).await, ["v1", ""]);
    collection.tag(&two.manifest.descriptor(), "v1").await.unwrap();
    assert_eq!(names(&*collection).await, ["", "v1"]);
    let error = collection.tag(&two.manifest.descriptor(), "a b").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidLocation);
    collection.untag("v1").await.unwrap();
    assert_eq!(collection.untag("v1").await.unwrap_err().kind(), ErrorKind::NotFound);
    collection.tag(&one.manifest.descriptor(), "v1").await.unwrap();
    collection.delete(&Selector::Chosen).await.unwrap();
    assert_eq!(names(&*collection).await, [""]);
    assert_eq!(collection.delete(&Selector::Chosen).await.unwrap_err().kind(), ErrorKind::NotFound);
    collection.delete(&Selector::Position(0)).await.unwrap();
    assert!(std::fs::read_dir(temp.path().join("blobs/sha256")).unwrap().next().is_none());
}

#[tokio::test]
async fn what_a_layout_cannot_hold_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let transaction = begin(temp.path(), ":v1").await;
    let docker = Index::new(ImageFormat::Docker, Vec::new()).encode();
    let error = transaction.write_manifest(&docker, &ManifestRole::Top).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ManifestRefused);
    let oci = image("one", None).manifest;
    let error = transaction.write_signatures(&oci, &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    drop(transaction);

    let positioned = location(temp.path(), ":@2");
    assert!(!positioned.capabilities().write);
    let error = positioned.begin(&WriteOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let words = "Destination reference must not contain a manifest index @2";
    assert!(error.to_string().ends_with(words), "{error}");
}

#[tokio::test]
async fn shared_blobs_are_an_option() {
    let temp = tempfile::tempdir().unwrap();
    let mut options = OciOptions::default();
    options.layout.shared_blob_dir = Some(temp.path().join("shared"));
    options.accept_uncompressed_layers = true;
    let transport = OciTransport::new(options);
    let place = format!("{}:v1", temp.path().join("layout").display());
    let location = transport.parse(&place).unwrap();
    assert_eq!(location.capabilities().layer_form, cask_transport::LayerForm::AsGiven);
    let one = image("one", None);
    let transaction = location.begin(&WriteOptions::default()).await.unwrap();
    put(&*transaction, &one, ManifestRole::Top).await;
    transaction.commit().await.unwrap();
    assert!(temp.path().join("shared/sha256").join(one.manifest.digest().hex()).exists());
    let source = location.source().await.unwrap();
    let top = source.resolve(&Selector::Chosen).await.unwrap();
    assert_eq!(source.manifest(&top).await.unwrap(), one.manifest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_are_written_at_once() {
    let temp = tempfile::tempdir().unwrap();
    let images: Vec<Image> = (0..20).map(|n| image(&n.to_string(), None)).collect();
    let transaction = begin(temp.path(), ":all").await;
    let writes = images.iter().flat_map(|image| &image.blobs).map(|(spec, bytes)| {
        let body = Arc::new(Memory(bytes.clone()));
        transaction.write_blob(spec, body)
    });
    futures_util::future::try_join_all(writes).await.unwrap();
    for image in &images {
        transaction.write_manifest(&image.manifest, &ManifestRole::Child).await.unwrap();
    }
    let entries = images.iter().map(|image| image.manifest.descriptor()).collect();
    let index = Index::new(ImageFormat::Oci, entries).encode();
    transaction.write_manifest(&index, &ManifestRole::Top).await.unwrap();
    transaction.commit().await.unwrap();
    let blobs = std::fs::read_dir(temp.path().join("blobs/sha256")).unwrap().count();
    assert_eq!(blobs, 20 * 3 + 1);
}
