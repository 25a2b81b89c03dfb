//! A daemon that is well, and daemons that are not.

#![cfg(test)]

mod fake;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cask_image::Manifest;
use cask_testkit::conformance::{self, BytesBody, Interrupted, Place, write, write_until};
use cask_testkit::generate::{Compression, Content, Format, ImageSpec, LayerSpec};
use cask_transport::{
    BlobKind, BlobSpec, ErrorKind, Location, ManifestRole, Measured, Result, Selector,
    Transport as _, Transports,
};
use cask_transport_docker_daemon::{DaemonAddress, DockerDaemonOptions, DockerDaemonTransport};

use fake::{Fake, Fault};

/// A fake that listens, and how to reach it.
struct Running {
    fake: Fake,
    options: DockerDaemonOptions,
    _directory: tempfile::TempDir,
}

fn run(fake: Fake) -> Running {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    fake.listen(&socket);
    let mut options = DockerDaemonOptions::default();
    options.address = DaemonAddress::unix(&socket).unwrap();
    options.read.spool_directory = directory.path().to_owned();
    options.spool_directory = Some(directory.path().to_owned());
    Running { fake, options, _directory: directory }
}

impl Running {
    fn location(&self, image: &str) -> Box<dyn Location> {
        DockerDaemonTransport::new(self.options.clone()).parse(image).unwrap()
    }
}

fn content(layer_bytes: u64) -> Content {
    let layer = |seed| LayerSpec::new(seed).compression(Compression::None);
    ImageSpec::new(1)
        .format(Format::Docker)
        .layer(layer(1).size_bytes(layer_bytes.try_into().unwrap()))
        .layer(layer(2))
        .build()
        .content()
}

/// Reads everything that an image has.
async fn read_all(location: &dyn Location) -> Result<()> {
    let source = location.source().await?;
    let top = source.resolve(&Selector::Chosen).await?;
    let Ok(Manifest::Image(image)) = source.manifest(&top).await?.parse() else {
        panic!("a daemon holds images")
    };
    for blob in std::iter::once(&image.config).chain(&image.layers) {
        source.blob(blob).await?.drain().await?;
    }
    Ok(())
}

/// What an error says, its causes included.
fn whole(error: &cask_transport::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[tokio::test]
async fn docker_daemon_keeps_the_promises_of_the_seam() {
    let running = run(Fake::default());
    let directory = tempfile::tempdir().unwrap();
    let transports = Transports::new().with(DockerDaemonTransport::new(running.options.clone()));
    let place = Place::new(transports, directory.path(), |path, name| {
        let case = path.file_name().unwrap().to_str().unwrap().to_lowercase();
        format!("docker-daemon:example.com/{case}:{}", name.unwrap_or("latest"))
    });
    let images = running.fake.images.clone();
    let place =
        place.with_litter(move || images.lock().unwrap().keys().map(PathBuf::from).collect());
    assert_eq!(conformance::run(&place).await, 19);
}

#[tokio::test]
async fn an_image_goes_over_once_each_way_and_leaves_no_file() {
    let running = run(Fake::default());
    write(&*running.location("it:1"), &content(3_000_000)).await.unwrap();
    let location = running.location("it:1");
    let source = location.source().await.unwrap();
    let top = source.resolve(&Selector::Chosen).await.unwrap();
    let Ok(Manifest::Image(image)) = source.manifest(&top).await.unwrap().parse() else {
        panic!("an image")
    };
    for blob in image.layers.iter().chain([&image.config]).chain(&image.layers) {
        source.blob(blob).await.unwrap().drain().await.unwrap();
    }
    let names: Vec<_> = std::fs::read_dir(running._directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["socket"]);
    let id = format!("{}", image.config.digest);
    read_all(&*running.location(&id)).await.unwrap();
    let expected = [
        "GET /_ping".to_owned(),
        "POST /images/load?quiet=1".to_owned(),
        "GET /images/it:1/get".to_owned(),
        format!("GET /images/{id}/get"),
    ];
    assert_eq!(*running.fake.requests.lock().unwrap(), expected);
}

#[tokio::test]
async fn compressed_layers_go_over_as_they_are_and_wait_nowhere() {
    let mut running = run(Fake::default());
    running.options.spool_directory = Some("/nonexistent".into());
    let layer = LayerSpec::new(1).compression(Compression::Gzip).size_bytes(3_000_000);
    let image = ImageSpec::new(1)
        .format(Format::Docker)
        .layer(layer.clone())
        .layer(LayerSpec::new(2).compression(Compression::Gzip))
        .layer(layer)
        .build();
    let location = running.location("it:1");
    write(&*location, &image.content()).await.unwrap();
    assert_eq!(running.fake.compressed.load(Ordering::Relaxed), 2, "one of them once");
    let source = location.source().await.unwrap();
    let top = source.resolve(&Selector::Chosen).await.unwrap();
    let Ok(Manifest::Image(made)) = source.manifest(&top).await.unwrap().parse() else {
        panic!("an image")
    };
    assert_eq!(made.config.digest, *image.config.digest());
    assert_eq!(made.layers.len(), 3);
    read_all(&*location).await.unwrap();
}

#[tokio::test]
async fn layers_that_are_not_those_of_the_config_are_refused() {
    let running = run(Fake::default());
    let image = |seed| {
        let layer = LayerSpec::new(seed).compression(Compression::Gzip);
        ImageSpec::new(1).format(Format::Docker).layer(layer).build()
    };
    let (one, two) = (image(1), image(2));
    let location = running.location("it:1");
    let transaction = location.begin(&Default::default()).await.unwrap();
    let layer = &one.layers[0].blob;
    let spec = |kind, blob: &cask_testkit::generate::Blob| BlobSpec {
        kind,
        media_type: blob.descriptor.media_type.clone(),
        measured: Some(Measured::from(&blob.descriptor)),
    };
    // What the layer is said to be is another one's.
    let diff_id = Some(one.layers[0].diff_id.clone());
    let blobs = [spec(BlobKind::Layer { diff_id }, layer), spec(BlobKind::Config, &two.config)];
    transaction.have(&blobs).await.unwrap();
    for (spec, blob) in blobs.iter().zip([layer, &two.config]) {
        let body = Arc::new(BytesBody(blob.bytes.clone()));
        transaction.write_blob(spec, body).await.unwrap();
    }
    let error =
        transaction.write_manifest(&two.content().raw_top(), &ManifestRole::Top).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().ends_with("the manifest's layers are not those of the config"));
}

#[tokio::test]
async fn an_interrupted_upload_is_seen_as_such() {
    let running = run(Fake::default());
    let location = running.location("it:1");
    write_until(&*location, &content(3_000_000), Interrupted::BlobsWritten).await.unwrap();
    // The fake would have stored it.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(running.fake.images.lock().unwrap().is_empty());
    assert_eq!(running.fake.requests.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn refusals_are_told_in_the_words_of_the_daemon() {
    let no_space = r#"{"message":"no space left on device"}"#;
    let check = async |fault: Fault, kind: ErrorKind, expected: &str| {
        let running = run(Fake::with_fault(fault.clone()));
        let error = write(&*running.location("it:1"), &content(3_000_000)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{fault:?}: {error:?}");
        assert_eq!(whole(&error), expected, "{fault:?}");
    };
    check(
        Fault::Says(
            "{\"stream\":\"x\"}\n{\"errorDetail\":{\"message\":\"bad layer\"},\"error\":\"x\"}",
        ),
        ErrorKind::Io,
        "loading image to docker engine: docker engine reported: \"bad layer\"",
    )
    .await;
    check(
        Fault::Says("<html>"),
        ErrorKind::Corrupt,
        "parsing docker load progress: expected a value (line 1, column 1)",
    )
    .await;
    for fault in [Fault::Hasty(500), Fault::Status(500, no_space)] {
        check(
            fault,
            ErrorKind::Io,
            "loading image to docker engine: Error response from daemon: no space left on device",
        )
        .await;
    }
    check(
        Fault::Hasty(200),
        ErrorKind::Network,
        "loading image to docker engine: the Docker daemon answered before it had the whole image",
    )
    .await;
}

#[tokio::test]
async fn reading_what_is_not_there_or_not_given_fails() {
    let check = async |fault: Fault, kind: ErrorKind, expected: &str| {
        let mut running = run(Fake::default());
        write(&*running.location("it:1"), &content(300_000)).await.unwrap();
        let mut broken = running.fake.clone();
        broken.fault = fault.clone();
        let socket = running._directory.path().join("broken");
        broken.listen(&socket);
        running.options.address = DaemonAddress::unix(&socket).unwrap();
        running.options.read.max_spooled_bytes = 2_000_000;
        let error = read_all(&*running.location("it:1")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{fault:?}: {error:?}");
        assert!(whole(&error).contains(expected), "{fault:?}: {}", whole(&error));
    };
    let refused = "loading image from docker engine: Error response from daemon: no";
    check(Fault::Status(403, r#"{"message":"no"}"#), ErrorKind::Denied, refused).await;
    let broke = "loading image from docker engine: the connection to the Docker daemon broke";
    check(Fault::Short, ErrorKind::Network, broke).await;
    check(Fault::Endless, ErrorKind::LimitExceeded, "more than the 2000000 bytes allowed").await;

    let running = run(Fake::default());
    let error = read_all(&*running.location("no:1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let expected =
        "loading image from docker engine: Error response from daemon: No such image: no:1";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_silent_daemon_is_given_up() {
    let mut running = run(Fake::with_fault(Fault::Silent));
    running.options.silence_timeout = Duration::from_millis(300);
    let expected = "the Docker daemon was silent for 0.3 seconds";
    let location = running.location("it:1");
    let error = read_all(&*location).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().ends_with(expected), "{error}");
    // More than the sockets hold, and less.
    for bytes in [20_000_000, 1000] {
        let error = write(&*location, &content(bytes)).await.unwrap_err();
        assert!(error.to_string().ends_with(expected), "{error}");
    }
}

#[tokio::test]
async fn no_daemon_is_said_at_once() {
    let mut options = DockerDaemonOptions::default();
    options.address = DaemonAddress::unix("/nonexistent/socket").unwrap();
    let location = DockerDaemonTransport::new(options).parse("it:1").unwrap();
    let expected = "Cannot connect to the Docker daemon at unix:///nonexistent/socket. \
                    Is the docker daemon running?";
    let error = location.source().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert_eq!(error.to_string(), format!("loading image from docker engine: {expected}"));
    let error = location.begin(&Default::default()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert_eq!(error.to_string(), format!("loading image to docker engine: {expected}"));
}

#[tokio::test]
async fn only_a_tagged_name_can_be_written() {
    let running = run(Fake::default());
    for digest in ["sha256:", "it@sha256:"] {
        let location = running.location(&format!("{digest}{}", "0".repeat(64)));
        let error = location.begin(&Default::default()).await.map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().ends_with("a destination must be a name:tag"), "{error}");
        assert!(error.hint().unwrap().contains("docker-daemon:NAME:TAG"));
    }
    assert!(running.fake.requests.lock().unwrap().is_empty());
}
