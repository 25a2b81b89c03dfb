//! Blobs that are kept beside the layers that came as them, and several who want the same ones.

#![allow(missing_docs, reason = "tests")]
#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cask_image::{Algorithm, ImageConfig, Manifest, MediaType, RawManifest};
use cask_storage::{CheckOptions, DriverKind, Durability, Store, StoreOptions};
use cask_testkit::conformance::write;
use cask_testkit::generate::{Compression, Content, Format, ImageSpec, LayerSpec};
use cask_transport::{
    BlobKind, BlobReader, BlobSpec, Body, ErrorKind, Have, Location, ManifestRole, Measured,
    Result, Selector, Transports, WriteOptions,
};
use cask_transport_containers_storage::{
    ContainersStorageOptions, ContainersStorageTransport, StoreUse,
};

fn options(directory: &Path) -> StoreOptions {
    let mut options = StoreOptions::new(directory.join("root"), directory.join("run"));
    options.durability = Durability::None;
    options
}

fn location(directory: &Path, name: &str) -> Box<dyn Location> {
    location_with(directory, name, None)
}

fn location_with(directory: &Path, name: &str, driver: Option<DriverKind>) -> Box<dyn Location> {
    let at = directory.to_owned();
    let mut settings = ContainersStorageOptions::default();
    settings.store = Arc::new(move |_, used| {
        let mut options = options(&at);
        options.read_only = used == StoreUse::Read;
        options.driver = driver;
        Ok(Store::open(options)?)
    });
    let transports = Transports::new().with(ContainersStorageTransport::new(settings));
    transports.parse(&format!("containers-storage:{name}")).unwrap()
}

fn image(seed: u64) -> Content {
    let layer =
        |seed, compression| LayerSpec::new(seed).size_bytes(300_000).compression(compression);
    ImageSpec::new(seed)
        .format(Format::Oci)
        .layer(layer(1, Compression::Gzip))
        .layer(layer(2, Compression::Zstd))
        .layer(layer(3, Compression::None))
        .build()
        .content()
}

#[tokio::test]
async fn an_image_may_have_a_layer_several_times() {
    for driver in DriverKind::ALL {
        let directory = tempfile::tempdir().unwrap();
        let layer = |seed| LayerSpec::new(seed).size_bytes(10_000).compression(Compression::Gzip);
        let image = [1, 2, 1, 1, 2]
            .into_iter()
            .fold(ImageSpec::new(7), |image, seed| image.layer(layer(seed)));
        let content = image.format(Format::Oci).build().content();
        let mut options = options(directory.path());
        options.driver = Some(driver);
        let store = Store::open(options).unwrap();
        let location = location_with(directory.path(), "x", Some(driver));
        write(&*location, &content).await.unwrap();
        let source = location.source().await.unwrap();
        for blob in &content.blobs {
            assert_eq!(source.blob_bytes(&blob.descriptor, 1 << 30).await.unwrap(), blob.bytes);
        }
        store.delete_kept_blobs().unwrap();
        assert_eq!(store.layers().unwrap().len(), 5, "{driver}");
        let mut options = CheckOptions::default();
        (options.verify_data, options.verify_layers) = (true, true);
        assert_eq!(store.check(&options).unwrap(), [], "{driver}");
    }
}

#[tokio::test]
async fn an_image_comes_out_as_it_went_in() {
    let directory = tempfile::tempdir().unwrap();
    let (content, location) = (image(1), location(directory.path(), "x"));
    write(&*location, &content).await.unwrap();
    let source = location.source().await.unwrap();
    let top = source.resolve(&Selector::Chosen).await.unwrap();
    assert_eq!(source.held_layers(&top).await.unwrap(), None, "the manifest names what is there");
    for blob in &content.blobs {
        assert_eq!(source.blob_bytes(&blob.descriptor, 1 << 30).await.unwrap(), blob.bytes);
    }
    // Who planned with them reads them also when they are gone.
    let store = Store::open(options(directory.path())).unwrap();
    assert_eq!(store.kept_blobs().len(), 2, "a plain layer is not kept twice");
    assert!(store.delete_kept_blobs().unwrap() > 0);
    for blob in &content.blobs {
        assert_eq!(source.blob_bytes(&blob.descriptor, 1 << 30).await.unwrap(), blob.bytes);
    }
    // Who comes later is told that the layers are plain, and gets them.
    let source = location.source().await.unwrap();
    let held = source.held_layers(&top).await.unwrap().unwrap();
    assert_eq!(held.len(), 3);
    assert_ne!(held[0].size, content.blobs[1].descriptor.size);
}

/// A body that counts who opens it, and takes its time.
struct SlowBody {
    bytes: Bytes,
    opened: Arc<AtomicUsize>,
    pause: Duration,
}

struct Slow(io::Cursor<Bytes>, Duration);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        std::thread::sleep(self.1);
        let room = buffer.len().min(64 << 10);
        self.0.read(&mut buffer[..room])
    }
}

#[async_trait]
impl Body for SlowBody {
    async fn open(&self) -> Result<BlobReader> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let read = Slow(io::Cursor::new(self.bytes.clone()), self.pause);
        Ok(BlobReader::measured(read, Algorithm::Sha256))
    }
}

fn specs(content: &Content) -> Vec<BlobSpec> {
    let top = content.manifests.last().unwrap();
    let raw = RawManifest::new(top.bytes.clone(), top.descriptor.media_type.clone());
    let Ok(Manifest::Image(manifest)) = raw.parse() else { panic!("it is an image") };
    let config =
        ImageConfig::parse(content.blob(&manifest.config.digest).unwrap().bytes.clone()).unwrap();
    let kind = |digest| match manifest.layers.iter().position(|layer| layer.digest == digest) {
        Some(place) => BlobKind::Layer { diff_id: Some(config.diff_ids[place].clone()) },
        None => BlobKind::Config,
    };
    let spec = |blob: &cask_testkit::generate::Blob| BlobSpec {
        kind: kind(blob.digest().clone()),
        media_type: blob.descriptor.media_type.clone(),
        measured: Some(Measured::from(&blob.descriptor)),
    };
    content.blobs.iter().map(spec).collect()
}

/// Pulls the image; tells how often blobs of layers were opened.
async fn pull(directory: &Path, name: &str, content: &Content, opened: &Arc<AtomicUsize>) {
    let location = location(directory, name);
    let transaction = location.begin(&WriteOptions::default()).await.unwrap();
    let specs = specs(content);
    let have = transaction.have(&specs).await.unwrap();
    for ((spec, blob), have) in specs.iter().zip(&content.blobs).zip(have) {
        let is_layer = matches!(spec.kind, BlobKind::Layer { .. });
        if have == Have::Exact {
            continue;
        }
        let opened = if is_layer { Arc::clone(opened) } else { Arc::default() };
        let pause = Duration::from_millis(if is_layer { 5 } else { 0 });
        let body = SlowBody { bytes: blob.bytes.clone(), opened, pause };
        transaction.write_blob(spec, Arc::new(body)).await.unwrap();
    }
    let top = content.manifests.last().unwrap();
    let raw = RawManifest::new(top.bytes.clone(), top.descriptor.media_type.clone());
    transaction.write_manifest(&raw, &ManifestRole::Top).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_pull_the_same_image_read_each_blob_once() {
    let directory = tempfile::tempdir().unwrap();
    let content = ImageSpec::new(5)
        .layer(LayerSpec::new(1).size_bytes(500_000).compression(Compression::Gzip))
        .layer(LayerSpec::new(2).size_bytes(500_000).compression(Compression::Gzip))
        .build()
        .content();
    assert!(content.top.media_type == MediaType::OciManifest);
    let opened = Arc::new(AtomicUsize::new(0));
    let names: Vec<String> = (0..8).map(|number| format!("image{number}")).collect();
    let pulls = names.iter().map(|name| pull(directory.path(), name, &content, &opened));
    futures_util::future::join_all(pulls).await;
    assert_eq!(opened.load(Ordering::SeqCst), 2, "two layers");
    let store = Store::open(options(directory.path())).unwrap();
    let images = store.images().unwrap();
    assert_eq!((images.len(), images[0].names.len()), (1, 8));
    assert_eq!(store.layers().unwrap().len(), 2);
    assert_eq!(std::fs::read_dir(directory.path().join("run/overlay-locks")).unwrap().count(), 0);
}

#[tokio::test]
async fn whoever_deletes_meanwhile_what_was_there_is_told_of() {
    let directory = tempfile::tempdir().unwrap();
    let (content, opened) = (image(9), Arc::default());
    let store = Store::open(options(directory.path())).unwrap();
    // Of the same layers on the same ones, and on others.
    let layer = |seed| LayerSpec::new(seed).size_bytes(300_000).compression(Compression::Gzip);
    let other = ImageSpec::new(10).layer(layer(4)).layer(layer(1)).build().content();
    for present in [&content, &other] {
        pull(directory.path(), "present", present, &opened).await;
        let location = location(directory.path(), "wanted");
        let transaction = location.begin(&WriteOptions::default()).await.unwrap();
        let specs = specs(&content);
        let have = transaction.have(&specs).await.unwrap();
        assert!(have.contains(&Have::Exact));
        for ((spec, blob), _) in
            specs.iter().zip(&content.blobs).zip(have).filter(|(_, have)| *have == Have::Missing)
        {
            let (opened, pause) = (Arc::default(), Duration::ZERO);
            let body = SlowBody { bytes: blob.bytes.clone(), opened, pause };
            transaction.write_blob(spec, Arc::new(body)).await.unwrap();
        }
        let top = content.manifests.last().unwrap();
        let raw = RawManifest::new(top.bytes.clone(), top.descriptor.media_type.clone());
        transaction.write_manifest(&raw, &ManifestRole::Top).await.unwrap();
        let id = store.images().unwrap()[0].id.clone();
        store.delete_image(&id).unwrap();
        let error = transaction.commit().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Changed, "{error:?}");
        assert!(store.images().unwrap().is_empty() && store.layers().unwrap().is_empty());
        pull(directory.path(), "wanted", &content, &opened).await;
        store.delete_image(&store.images().unwrap()[0].id).unwrap();
    }
}

#[tokio::test]
async fn a_kept_blob_that_is_damaged_is_read_again_from_where_it_comes() {
    let directory = tempfile::tempdir().unwrap();
    let content = image(1);
    let opened = Arc::new(AtomicUsize::new(0));
    let store = Store::open(options(directory.path())).unwrap();
    let layer = content.blobs.iter().find(|blob| blob.bytes.starts_with(b"\x1f\x8b")).unwrap();
    let kept = directory.path().join("root/cask/blobs/sha256").join(layer.digest().hex());
    std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
    std::fs::write(&kept, b"\x1f\x8bnothing").unwrap();
    pull(directory.path(), "x", &content, &opened).await;
    assert_eq!(opened.load(Ordering::SeqCst), 3);
    assert_eq!(std::fs::read(&kept).unwrap(), layer.bytes);
    drop(store);
}

#[tokio::test]
async fn what_cannot_fit_is_refused_before_anything_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let location = location(directory.path(), "x");
    let transaction = location.begin(&WriteOptions::default()).await.unwrap();
    let mut specs = specs(&image(1));
    let layer = specs.iter_mut().find(|spec| matches!(spec.kind, BlobKind::Layer { .. })).unwrap();
    layer.measured.as_mut().unwrap().size = 1 << 60;
    let error = transaction.have(&specs).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("no space left on device") && text.contains("are available"), "{text}");
    assert!(error.hint().is_some_and(|hint| hint.contains("prune")));
}
