//! The suite that every transport passes, and archives that must not be read as they are.

#![cfg(test)]

use std::io::Write as _;
use std::path::Path;

use cask_docker_tar::Layout;
use cask_image::{Manifest, MediaType};
use cask_testkit::conformance::{self, Place, write};
use cask_testkit::generate::hostile::{Fault, docker_archives};
use cask_testkit::generate::{Compression, Format, Image, ImageSpec, LayerSpec, SaveForm};
use cask_transport::{ErrorKind, Location, Result, Selector, Transport as _, Transports};
use cask_transport_docker_archive::{
    DockerArchiveOptions, DockerArchiveTransport, ExistingArchive,
};
use futures_util::TryStreamExt as _;

fn transport(existing: ExistingArchive, layout: Layout) -> DockerArchiveTransport {
    let mut options = DockerArchiveOptions::default();
    options.existing = existing;
    options.layout = layout;
    DockerArchiveTransport::new(options)
}

async fn conforms(existing: ExistingArchive) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let transports = Transports::new().with(transport(existing, Layout::Classic));
    let place = Place::new(transports, directory.path(), |path, name| match name {
        Some(name) => format!("docker-archive:{}:example.com/{name}:1", path.display()),
        None => format!("docker-archive:{}", path.display()),
    });
    conformance::run(&place).await
}

#[tokio::test]
async fn docker_archive_keeps_the_promises_of_the_seam() {
    assert_eq!(conforms(ExistingArchive::Replaced).await, 19);
    assert_eq!(conforms(ExistingArchive::Extended).await, 19);
}

fn parse(path: &Path, image: &str) -> Box<dyn Location> {
    let text = format!("{}{image}", path.display());
    DockerArchiveTransport::default().parse(&text).unwrap()
}

/// Reads everything that an image has.
async fn read_all(location: &dyn Location) -> Result<()> {
    let source = location.source().await?;
    let top = source.resolve(&Selector::Chosen).await?;
    let Ok(Manifest::Image(image)) = source.manifest(&top).await?.parse() else {
        panic!("an archive holds images")
    };
    for blob in std::iter::once(&image.config).chain(&image.layers) {
        source.blob(blob).await?.drain().await?;
    }
    Ok(())
}

#[tokio::test]
async fn hostile_archives_are_refused() {
    let cases = docker_archives(1);
    assert_eq!(cases.len(), 27);
    for case in cases {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&case.value).unwrap();
        let error = read_all(&*parse(file.path(), "")).await.unwrap_err();
        let expected = match case.fault {
            Fault::Digest => ErrorKind::DigestMismatch,
            Fault::Limit => ErrorKind::LimitExceeded,
            _ => ErrorKind::Corrupt,
        };
        assert_eq!(error.kind(), expected, "{}: {error:?}", case.name);
    }
}

fn image(seed: u64, compression: Compression) -> Image {
    ImageSpec::new(seed)
        .format(if compression == Compression::None { Format::Docker } else { Format::Oci })
        .layer(LayerSpec::new(7).compression(compression))
        .layer(LayerSpec::new(seed).compression(compression).size_bytes(200_000))
        .build()
}

#[tokio::test]
async fn archives_of_others_are_read() {
    for form in [SaveForm::Flat, SaveForm::Hybrid] {
        let (one, two) = (image(1, Compression::Gzip), image(2, Compression::Zstd));
        let images: [(&Image, &[&str]); 2] = [(&one, &["a:1", "b:1"]), (&two, &[])];
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&cask_testkit::generate::docker_archive(&images, form)).unwrap();
        for (name, image) in [(":a:1", &one), (":b:1", &one), (":@1", &two)] {
            let location = parse(file.path(), name);
            read_all(&*location).await.unwrap();
            let source = location.source().await.unwrap();
            let top = source.resolve(&Selector::Chosen).await.unwrap();
            assert_eq!(top.media_type, MediaType::DockerManifest);
            let by_digest = source.resolve(&Selector::Digest(top.digest.clone())).await.unwrap();
            assert_eq!(by_digest, top);
            let Ok(Manifest::Image(made)) = source.manifest(&top).await.unwrap().parse() else {
                panic!("an image")
            };
            assert_eq!(made.config.digest, *image.config.digest());
            for layer in &made.layers {
                assert_eq!(source.blob_size(&layer.digest).await.unwrap(), layer.size);
            }
        }
        let collection = parse(file.path(), "").collection().await.unwrap();
        let entries: Vec<_> = collection.entries().try_collect().await.unwrap();
        let names: Vec<_> =
            entries.iter().map(|entry| (entry.position, entry.names.clone())).collect();
        let expected = [(Some(0), vec!["a:1".to_owned(), "b:1".to_owned()]), (Some(1), Vec::new())];
        assert_eq!(names, expected);
    }
}

#[tokio::test]
async fn what_cannot_be_chosen_is_said_in_the_words_of_containers_image() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let (one, two) = (image(1, Compression::Gzip), image(2, Compression::Gzip));
    let images: [(&Image, &[&str]); 2] = [(&one, &["a:1"]), (&two, &[])];
    file.write_all(&cask_testkit::generate::docker_archive(&images, SaveForm::Flat)).unwrap();
    let check = async |image: &str, kind, text: &str| {
        let source = parse(file.path(), image).source().await.unwrap();
        let error = source.resolve(&Selector::Chosen).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().ends_with(text), "{error}");
    };
    let only = "Unexpected tar manifest.json: expected 1 item, got 2";
    check("", ErrorKind::InvalidLocation, only).await;
    let tag = "Tag \"docker.io/library/zzz:latest\" not found";
    check(":zzz", ErrorKind::NotFound, tag).await;
    let position = "Invalid source index @9, only 2 manifest items available";
    check(":@9", ErrorKind::NotFound, position).await;

    let error = parse(file.path(), ":x").begin(&Default::default()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let text = "docker-archive doesn't support modifying existing images";
    assert!(error.to_string().ends_with(text), "{error}");
    let error = parse(file.path(), ":@0").begin(&Default::default()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn images_are_added_and_layers_shared() {
    for layout in [Layout::Classic, Layout::Hybrid] {
        let compression =
            if layout == Layout::Hybrid { Compression::Gzip } else { Compression::None };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("images.tar");
        let transport = transport(ExistingArchive::Extended, layout);
        for (seed, name) in [(1, "one:1"), (2, "two:1"), (3, "one:1")] {
            let location = transport.parse(&format!("{}:{name}", path.display())).unwrap();
            write(&*location, &image(seed, compression).content()).await.unwrap();
        }
        for (seed, name) in [(3, ":one:1"), (2, ":two:1"), (1, ":@0")] {
            let location = parse(&path, name);
            read_all(&*location).await.unwrap();
            let source = location.source().await.unwrap();
            let top = source.resolve(&Selector::Chosen).await.unwrap();
            let Ok(Manifest::Image(made)) = source.manifest(&top).await.unwrap().parse() else {
                panic!("an image")
            };
            let image = image(seed, compression);
            assert_eq!(made.config.digest, *image.config.digest());
        }
        let reader = cask_archive::ArchiveReader::open(&path, &Default::default()).unwrap();
        let members = reader.members().iter().map(|member| member.display_name());
        let (count, expected) = match layout {
            // Four layers, and three configs and manifests.
            Layout::Hybrid => {
                (members.filter(|name| name.starts_with("blobs/sha256/")).count(), 10)
            }
            _ => (members.filter(|name| !name.contains('/') && name.ends_with(".tar")).count(), 4),
        };
        assert_eq!(count, expected, "{layout:?}");
    }
}

#[tokio::test]
async fn a_classic_archive_is_not_extended_as_a_hybrid() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("images.tar");
    let classic = transport(ExistingArchive::Extended, Layout::Classic);
    let location = classic.parse(&format!("{}:a:1", path.display())).unwrap();
    write(&*location, &image(1, Compression::None).content()).await.unwrap();
    let before = std::fs::read(&path).unwrap();
    let hybrid = transport(ExistingArchive::Extended, Layout::Hybrid);
    let location = hybrid.parse(&format!("{}:b:1", path.display())).unwrap();
    let error = location.begin(&Default::default()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(std::fs::read(&path).unwrap() == before);
}

#[tokio::test]
async fn the_bytes_do_not_depend_on_who_is_first() {
    let content = image(1, Compression::None).content();
    let mut archives = Vec::new();
    for _ in 0..4 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("images.tar");
        write(&*parse(&path, ":a:1"), &content).await.unwrap();
        archives.push(std::fs::read(path).unwrap());
    }
    assert!(archives.iter().all(|archive| *archive == archives[0]));
}
