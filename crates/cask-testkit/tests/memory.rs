//! The transport in memory keeps the promises of the seam, and breaks them when it is told to.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use cask_image::{Digest, Hasher, MediaType};
use cask_testkit::conformance::{self, BytesBody, Interrupted, Place, write, write_until};
use cask_testkit::generate::{
    ArtifactSpec, Compression, Content, Format, ImageSpec, IndexSpec, LayerSpec,
};
use cask_testkit::memory::{Call, Failure, Lie, MemoryStore, MemoryTransport, Writing};
use cask_transport::{
    BlobKind, BlobReader, BlobSpec, Body, Capabilities, ErrorKind, Have, LayerForm, Measured,
    Selector, Transports, WriteOptions,
};
use tokio::sync::Notify;

/// A place of a `docker save` file's abilities.
fn archive() -> Capabilities {
    let mut capabilities = MemoryStore::everything();
    capabilities.manifest_types = &[MediaType::DockerManifest];
    capabilities.index_types = &[];
    capabilities.keeps_manifests = false;
    capabilities.nested_indexes = false;
    capabilities.artifacts = false;
    capabilities.signatures = false;
    capabilities.foreign_layers = false;
    capabilities.layer_form = LayerForm::Uncompressed;
    capabilities.concurrent_blobs = NonZeroUsize::MIN;
    capabilities
}

async fn check_conformance(store: MemoryStore, cases: usize) {
    let transports = Transports::new().with(MemoryTransport(store.clone()));
    let text = |path: &Path, name: Option<&str>| match name {
        Some(name) => format!("memory:{}:{name}", path.display()),
        None => format!("memory:{}", path.display()),
    };
    let litter = move || store.visible().into_iter().map(PathBuf::from).collect();
    let place = Place::new(transports, Path::new("place"), text).with_litter(litter);
    assert_eq!(conformance::run(&place).await, cases);
}

#[tokio::test]
async fn a_store_that_can_do_everything_keeps_the_promises_of_the_seam() {
    check_conformance(MemoryStore::new(), 24).await;
}

#[tokio::test]
async fn a_store_that_can_do_little_keeps_the_promises_of_the_seam() {
    check_conformance(MemoryStore::with_capabilities(archive()), 21).await;
    let mut nothing = archive();
    nothing.collection = Default::default();
    check_conformance(MemoryStore::with_capabilities(nothing), 19).await;
}

#[tokio::test]
async fn however_it_reads_and_writes_it_keeps_the_promises_of_the_seam() {
    for is_async in [false, true] {
        for writing in [Writing::Once, Writing::Measured, Writing::Resumed] {
            let store = MemoryStore::new();
            store.behave(|behaviour| {
                behaviour.is_async = is_async;
                behaviour.chunk_bytes = 1000;
                behaviour.writing = writing;
            });
            check_conformance(store, 24).await;
        }
    }
}

fn image() -> Content {
    ImageSpec::new(1).layer(LayerSpec::new(1).size_bytes(100_000)).build().content()
}

async fn read_kind(store: &MemoryStore, content: &Content) -> Option<ErrorKind> {
    let source = store.location("memory:a").source().await.expect("it is there");
    match source.blob_bytes(&content.blobs[1].descriptor, 1 << 30).await {
        Ok(read) => {
            assert_eq!(read, content.blobs[1].bytes);
            None
        }
        Err(error) => Some(error.kind()),
    }
}

#[tokio::test]
async fn every_lie_about_a_blob_is_found_by_who_reads_it() {
    let content = image();
    let layer = content.blobs[1].digest().clone();
    for (lie, expected) in [
        (None, None),
        (Some(Lie::OtherBytes), Some(ErrorKind::DigestMismatch)),
        (Some(Lie::Truncated(10)), Some(ErrorKind::SizeMismatch)),
        (Some(Lie::Truncated(0)), Some(ErrorKind::SizeMismatch)),
        (Some(Lie::Longer), Some(ErrorKind::SizeMismatch)),
        (Some(Lie::Endless), Some(ErrorKind::SizeMismatch)),
        (Some(Lie::Missing), Some(ErrorKind::Missing)),
        (Some(Lie::Breaks), Some(ErrorKind::Network)),
    ] {
        for is_async in [false, true] {
            let store = MemoryStore::new();
            store.insert("memory:a", &content);
            store.behave(|behaviour| {
                behaviour.is_async = is_async;
                behaviour.lies.extend(lie.map(|lie| (layer.clone(), lie)));
            });
            assert_eq!(read_kind(&store, &content).await, expected, "{lie:?}, {is_async}");
        }
    }
}

#[tokio::test]
async fn every_lie_about_a_manifest_is_found_by_who_reads_it() {
    let content = image();
    for (lie, expected) in [
        (Lie::OtherBytes, ErrorKind::DigestMismatch),
        (Lie::Truncated(9), ErrorKind::DigestMismatch),
        (Lie::Longer, ErrorKind::DigestMismatch),
        (Lie::Endless, ErrorKind::LimitExceeded),
        (Lie::Missing, ErrorKind::NotFound),
    ] {
        let store = MemoryStore::new();
        store.insert("memory:a", &content);
        store.behave(|behaviour| {
            behaviour.lies.insert(content.top.digest.clone(), lie);
        });
        let source = store.location("memory:a").source().await.unwrap();
        let error = source.manifest(&content.top).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{lie:?}");
    }
}

#[tokio::test]
async fn whatever_fails_leaves_nothing_and_fails_once() {
    for failure in [
        Failure::Begin,
        Failure::Have,
        Failure::Blob(0),
        Failure::Blob(1),
        Failure::Manifest(0),
        Failure::Commit,
    ] {
        let store = MemoryStore::new();
        store.behave(|behaviour| behaviour.failure = Some(failure));
        let location = store.location("memory:a:b");
        let error = write(&*location, &image()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{failure:?}");
        assert_eq!(store.visible(), [""; 0], "{failure:?}");
        write(&*location, &image()).await.unwrap();
        assert_eq!(store.content("memory:a:b").top, image().top);
    }
    let store = MemoryStore::new();
    store.insert("memory:a", &image());
    store.behave(|behaviour| behaviour.failure = Some(Failure::Open));
    assert_eq!(store.location("memory:a").source().await.unwrap_err().kind(), ErrorKind::Io);
    store.location("memory:a").source().await.unwrap();
}

#[tokio::test]
async fn what_is_not_complete_is_not_committed() {
    let mut content = image();
    content.blobs.pop();
    let store = MemoryStore::new();
    let error = write(&*store.location("memory:a"), &content).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("which was not written"), "{error}");
    let foreign = ImageSpec::new(1).layer(LayerSpec::new(1).foreign("https://a.example")).build();
    let mut content = foreign.content();
    content.blobs.pop();
    write(&*store.location("memory:a"), &content).await.unwrap();
    store.set_capabilities(|capabilities| capabilities.foreign_layers = false);
    write(&*store.location("memory:b"), &content).await.unwrap_err();
}

#[tokio::test]
async fn what_cannot_be_held_is_refused() {
    let images = IndexSpec::new().image(&ImageSpec::new(1).build()).build();
    let nested = IndexSpec::new().content(&images).build();
    let plain = ImageSpec::new(1).layer(LayerSpec::new(1).compression(Compression::None)).build();
    type Change = fn(&mut Capabilities);
    let cases: [(&str, Change, &Content); 6] = [
        ("writing", |c| c.write = false, &image()),
        ("type", |c| c.manifest_types = &[MediaType::DockerManifest], &image()),
        ("index", |c| c.index_types = &[MediaType::DockerManifestList], &images),
        ("nested", |c| c.nested_indexes = false, &nested),
        ("artifact", |c| c.artifacts = false, &ArtifactSpec::new(1, "a/b").build()),
        ("form", |c| c.layer_form = LayerForm::Uncompressed, &image()),
    ];
    for (case, change, content) in cases {
        let store = MemoryStore::new();
        store.set_capabilities(change);
        let error = write(&*store.location("memory:a"), content).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{case}: {error}");
        assert_eq!(store.visible(), [""; 0], "{case}");
    }
    let store = MemoryStore::with_capabilities(archive());
    let error = write(&*store.location("memory:a"), &plain.content()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "an OCI manifest: {error}");
}

#[tokio::test]
async fn a_type_can_be_refused_although_it_could_be_written() {
    let store = MemoryStore::new();
    store.behave(|behaviour| behaviour.refused_types = vec![MediaType::OciManifest]);
    let error = write(&*store.location("memory:a"), &image()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ManifestRefused);
    let docker = ImageSpec::new(1).format(Format::Docker).build().content();
    write(&*store.location("memory:a"), &docker).await.unwrap();
}

fn spec(content: &Content, blob: usize, diff_id: Option<Digest>) -> BlobSpec {
    let descriptor = &content.blobs[blob].descriptor;
    BlobSpec {
        kind: BlobKind::Layer { diff_id },
        media_type: descriptor.media_type.clone(),
        measured: Some(Measured::from(descriptor)),
    }
}

#[tokio::test]
async fn the_order_of_calls_is_checked() {
    let store = MemoryStore::with_capabilities({
        let mut capabilities = MemoryStore::everything();
        capabilities.concurrent_blobs = NonZeroUsize::MIN;
        capabilities
    });
    let content = ImageSpec::new(1).build().content();
    let [first, second] = [1, 2].map(|blob| spec(&content, blob, None));
    let body = |blob: usize| Arc::new(BytesBody(content.blobs[blob].bytes.clone()));
    let location = store.location("memory:a");
    let begin = || async { location.begin(&WriteOptions::default()).await.unwrap() };

    let transaction = begin().await;
    let early = transaction.write_blob(&first, body(1)).await.unwrap_err();
    assert!(early.to_string().contains("before it was asked"), "{early}");
    transaction.have(std::slice::from_ref(&second)).await.unwrap();
    let unknown = transaction.write_blob(&first, body(1)).await.unwrap_err();
    assert!(unknown.to_string().contains("not asked for"), "{unknown}");
    transaction.have(&[]).await.unwrap_err();

    let transaction = begin().await;
    transaction.have(&[first.clone(), second.clone()]).await.unwrap();
    transaction.write_blob(&second, body(2)).await.unwrap();
    let disorder = transaction.write_blob(&first, body(1)).await.unwrap_err();
    assert!(disorder.to_string().contains("another order"), "{disorder}");

    let transaction = begin().await;
    transaction.have(&[first.clone(), second.clone()]).await.unwrap();
    // The first is held until the second was answered: they overlap on any machine.
    let gate = Arc::new(Notify::new());
    let held = Arc::new(GatedBody { gate: Arc::clone(&gate), body: body(1) });
    let (one, other) = tokio::join!(transaction.write_blob(&first, held), async {
        let answer = transaction.write_blob(&second, body(2)).await;
        gate.notify_one();
        answer
    });
    one.unwrap();
    let crowd = other.unwrap_err();
    assert!(crowd.to_string().contains("more than 1 blobs"), "{crowd}");
    drop(transaction);
    assert_eq!(store.count(|call| *call == Call::Drop), 1);
}

#[tokio::test]
async fn what_is_there_is_told() {
    let layer = LayerSpec::new(1);
    let plain = ImageSpec::new(1).layer(layer.clone().compression(Compression::None)).build();
    let diff_id = plain.layers[0].diff_id.clone();
    let gzip = ImageSpec::new(2).layer(layer).build().content();
    let store = MemoryStore::new();
    store.insert("memory:other", &gzip);
    write(&*store.location("memory:a"), &plain.content()).await.unwrap();
    let ask = |spec: BlobSpec| {
        let location = store.location("memory:a:new");
        async move {
            let transaction = location.begin(&WriteOptions::default()).await.unwrap();
            let [have] = transaction.have(&[spec]).await.unwrap().try_into().unwrap();
            have
        }
    };
    let own = spec(&plain.content(), 1, None);
    let elsewhere = spec(&gzip, 1, Some(diff_id));
    assert_eq!(ask(own.clone()).await, Have::Exact);
    assert_eq!(ask(elsewhere.clone()).await, Have::Missing);
    store.behave(|behaviour| behaviour.reuse.equivalent = true);
    let Have::Equivalent(found) = ask(elsewhere.clone()).await else { panic!("it is equivalent") };
    assert_eq!(found.digest, plain.layers[0].diff_id);
    store.behave(|behaviour| behaviour.reuse.mounted = true);
    assert_eq!(ask(elsewhere.clone()).await, Have::Mountable { from: "other".into() });
    store.behave(|behaviour| behaviour.reuse.exact = false);
    assert_eq!(ask(own.clone()).await, Have::Mountable { from: "a".into() });
    store.behave(|behaviour| {
        let answer = Have::Partial { bytes: 7 };
        behaviour.have.insert(own.measured.clone().unwrap().digest, answer);
    });
    assert_eq!(ask(own).await, Have::Partial { bytes: 7 });

    let location = store.location("memory:a:new");
    let transaction = location.begin(&WriteOptions::default()).await.unwrap();
    transaction.have(std::slice::from_ref(&elsewhere)).await.unwrap();
    assert!(transaction.mount(&elsewhere, "other").await.unwrap());
    store.behave(|behaviour| behaviour.mounts_fail = true);
    assert!(!transaction.mount(&elsewhere, "other").await.unwrap());
}

#[tokio::test]
async fn referrers_and_signatures_are_found_where_the_store_can() {
    let content = image();
    let referrer = ArtifactSpec::new(2, "a/b").subject(&content.top).build();
    let store = MemoryStore::new();
    store.insert("memory:a:1", &content);
    store.insert("memory:a:2", &referrer);
    store.sign("memory:a", &content.top.digest, "signed");
    let source = store.location("memory:a:1").source().await.unwrap();
    let found = source.referrers(&content.top.digest).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&referrer.top));
    assert_eq!(source.signatures(&content.top).await.unwrap().len(), 1);
    assert_eq!(store.signatures("memory:a", &content.top.digest), ["signed"]);
    assert_eq!(store.content("memory:a:1").manifests.len(), 2);
    store.set_capabilities(|capabilities| capabilities.referrers = false);
    assert!(source.referrers(&content.top.digest).await.unwrap().is_empty());
}

#[tokio::test]
async fn locations_are_parsed_and_found() {
    let store = MemoryStore::new();
    let transports = Transports::new().with(MemoryTransport(store.clone()));
    for text in ["memory:", "memory::a", "memory:a:", "memory:a:b@c"] {
        let error = transports.parse(text).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidLocation, "{text}");
    }
    store.insert("memory:a:1", &image());
    store.insert("memory:a:2", &ImageSpec::new(2).build().content());
    let kind = |text: &str| {
        let location = store.location(text);
        async move {
            let source = location.source().await.map_err(|error| error.kind())?;
            source.resolve(&Selector::Chosen).await.map_err(|error| error.kind())
        }
    };
    assert_eq!(kind("memory:a:1").await.unwrap(), image().top);
    assert_eq!(kind("memory:a").await, Err(ErrorKind::InvalidLocation));
    assert_eq!(kind("memory:a:3").await, Err(ErrorKind::NotFound));
    assert_eq!(kind("memory:b").await, Err(ErrorKind::NotFound));
    let by_digest = format!("memory:a:example.com/x@{}", image().top.digest);
    assert_eq!(kind(&by_digest).await.unwrap(), image().top);
    let other = Hasher::digest(image().top.digest.algorithm(), b"");
    assert_eq!(kind(&format!("memory:a:example.com/x@{other}")).await, Err(ErrorKind::NotFound));
}

#[tokio::test]
async fn calls_are_counted() {
    let store = MemoryStore::new();
    let content = image();
    write_until(&*store.location("memory:a"), &content, Interrupted::Begun).await.unwrap();
    assert_eq!(store.calls(), [Call::Begin, Call::Drop]);
    store.forget_calls();
    write(&*store.location("memory:a"), &content).await.unwrap();
    let blobs: Vec<_> = content.blobs.iter().map(|blob| Some(blob.digest().clone())).collect();
    assert_eq!(store.calls()[..2], [Call::Begin, Call::Have(2)]);
    assert_eq!(store.count(|call| matches!(call, Call::WriteBlob(d) if blobs.contains(d))), 2);
    assert_eq!(store.calls().last(), Some(&Call::Commit));
}

/// A body that opens once the gate does.
struct GatedBody {
    gate: Arc<Notify>,
    body: Arc<BytesBody>,
}

#[async_trait]
impl Body for GatedBody {
    async fn open(&self) -> cask_transport::Result<BlobReader> {
        self.gate.notified().await;
        self.body.open().await
    }
}
