//! The suite that every transport passes, and archives that must not be read as they are.

#![cfg(test)]

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use cask_image::{Digest, Manifest};
use cask_testkit::conformance::{self, BytesBody, Place, write};
use cask_testkit::generate::hostile::{Fault, oci_archives};
use cask_testkit::generate::{
    ArtifactSpec, Compression, Content, ImageSpec, LayerSpec, SaveForm, docker_archive,
    oci_archive, platforms_index,
};
use cask_transport::{
    BlobKind, BlobSpec, ErrorKind, Have, Location, ManifestRole, Result, Selector, Transport as _,
    Transports,
};
use cask_transport_oci_archive::{ExistingArchive, OciArchiveOptions, OciArchiveTransport};
use futures_util::TryStreamExt as _;

fn transport(existing: ExistingArchive) -> OciArchiveTransport {
    let mut options = OciArchiveOptions::default();
    options.existing = existing;
    OciArchiveTransport::new(options)
}

#[tokio::test]
async fn oci_archive_keeps_the_promises_of_the_seam() {
    let directory = tempfile::tempdir().unwrap();
    let transports = Transports::new().with(transport(ExistingArchive::Extended));
    let place = Place::new(transports, directory.path(), |path, name| match name {
        Some(name) => format!("oci-archive:{}:{name}", path.display()),
        None => format!("oci-archive:{}", path.display()),
    });
    assert_eq!(conformance::run(&place).await, 22);
}

fn parse(path: &Path, image: &str) -> Box<dyn Location> {
    OciArchiveTransport::default().parse(&format!("{}{image}", path.display())).unwrap()
}

/// Reads everything that an image or an index has.
async fn read_all(location: &dyn Location) -> Result<Digest> {
    let source = location.source().await?;
    let top = source.resolve(&Selector::Chosen).await?;
    let mut manifests = vec![top.clone()];
    while let Some(descriptor) = manifests.pop() {
        match source.manifest(&descriptor).await?.parse() {
            Ok(Manifest::Image(image)) => {
                for blob in std::iter::once(&image.config).chain(&image.layers) {
                    source.blob(blob).await?.drain().await?;
                    assert_eq!(source.blob_size(&blob.digest).await?, blob.size);
                }
            }
            Ok(Manifest::Index(index)) => manifests.extend(index.manifests),
            other => panic!("{other:?}"),
        }
    }
    Ok(top.digest)
}

#[tokio::test]
async fn hostile_archives_are_refused() {
    let cases = oci_archives(1);
    assert_eq!(cases.len(), 15);
    for case in cases {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&case.value).unwrap();
        let error = read_all(&*parse(file.path(), "")).await.unwrap_err();
        let expected = match (case.fault, &*case.name) {
            // The other bytes are fewer.
            (Fault::Digest, _) => ErrorKind::SizeMismatch,
            (_, "layer missing") => ErrorKind::Missing,
            _ => ErrorKind::Corrupt,
        };
        assert_eq!(error.kind(), expected, "{}: {error:?}", case.name);
    }
}

fn image(seed: u64) -> Content {
    let layer = |seed| LayerSpec::new(seed).size_bytes(100_000);
    ImageSpec::new(seed).layer(layer(7)).layer(layer(seed + 100)).build().content()
}

fn stored(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

#[tokio::test]
async fn images_are_chosen_by_name_and_position() {
    let (one, two, three) =
        (image(1), image(2), platforms_index(3, cask_testkit::generate::Format::Oci));
    let entries: [(Option<&str>, &Content); 3] =
        [(Some("one"), &one), (Some("docker.io/library/two:2"), &two), (None, &three)];
    let file = stored(&oci_archive(&entries));
    for (choice, content) in [
        (":one", &one),
        (":@0", &one),
        (":docker.io/library/two:2", &two),
        (":@1", &two),
        (":@2", &three),
    ] {
        let digest = read_all(&*parse(file.path(), choice)).await.unwrap();
        assert_eq!(digest, content.top.digest, "{choice}");
    }
    let check = async |choice: &str, kind, text: &str| {
        let source = parse(file.path(), choice).source().await.unwrap();
        let error = source.resolve(&Selector::Chosen).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().ends_with(text), "{error}");
    };
    let several = "more than one image in oci, choose an image";
    check("", ErrorKind::InvalidLocation, several).await;
    let name = "no descriptor found for reference \"nope\"";
    check(":nope", ErrorKind::NotFound, name).await;
    let position = "index 3 is too large, only 3 entries available";
    check(":@3", ErrorKind::NotFound, position).await;

    let collection = parse(file.path(), "").collection().await.unwrap();
    let listed: Vec<_> = collection.entries().try_collect().await.unwrap();
    let names: Vec<_> = listed.iter().map(|entry| entry.names.join(" ")).collect();
    assert_eq!(names, ["one", "docker.io/library/two:2", ""]);
    assert_eq!(listed[2].position, Some(2));
    assert_eq!(listed[1].descriptor.as_ref().unwrap().digest, two.top.digest);
}

#[tokio::test]
async fn an_image_with_its_referrers_is_one_image() {
    let image = image(1);
    let referrer = ArtifactSpec::new(2, "application/spdx+json").subject(&image.top).build();
    let file = stored(&oci_archive(&[(None, &image), (None, &referrer)]));
    let location = parse(file.path(), "");
    assert_eq!(read_all(&*location).await.unwrap(), image.top.digest);
    let source = location.source().await.unwrap();
    let referrers = source.referrers(&image.top.digest).await.unwrap();
    assert_eq!(referrers.len(), 1);
    assert_eq!(referrers[0].digest, referrer.top.digest);
    let artifact_type = referrers[0].artifact_type.as_ref().unwrap();
    assert_eq!(artifact_type.as_str(), "application/spdx+json");
}

#[tokio::test]
async fn a_new_archive_replaces_the_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.tar");
    for (seed, name) in [(1, ":one"), (2, ":two")] {
        write(&*parse(&path, name), &image(seed)).await.unwrap();
    }
    let collection = parse(&path, "").collection().await.unwrap();
    let listed: Vec<_> = collection.entries().try_collect().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].names, ["two"]);

    let refusing = transport(ExistingArchive::Refused);
    let location = refusing.parse(&path.display().to_string()).unwrap();
    let error = location.begin(&Default::default()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let error = parse(&path, ":@0").begin(&Default::default()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn images_are_added_and_blobs_shared() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.tar");
    let extending = transport(ExistingArchive::Extended);
    for (seed, name) in [(1, "one"), (2, "two"), (1, "again")] {
        let location = extending.parse(&format!("{}:{name}", path.display())).unwrap();
        write(&*location, &image(seed)).await.unwrap();
    }
    for (name, seed) in [(":one", 1), (":two", 2), (":again", 1)] {
        let digest = read_all(&*parse(&path, name)).await.unwrap();
        assert_eq!(digest, image(seed).top.digest);
    }
    let reader = cask_archive::ArchiveReader::open(&path, &Default::default()).unwrap();
    let names: Vec<_> = reader.members().iter().map(|member| member.display_name()).collect();
    let blobs = names.iter().filter(|name| name.starts_with("blobs/sha256/")).count();
    // Three layers, and two configs and manifests.
    assert_eq!(blobs, 7, "{names:?}");
    assert_eq!(names[..2], ["blobs", "blobs/sha256"]);
}

#[tokio::test]
async fn a_damaged_blob_is_not_used_again() {
    let mut bytes = oci_archive(&[(Some("one"), &image(1))]);
    let layer = image(1).blobs.iter().max_by_key(|blob| blob.bytes.len()).unwrap().bytes.clone();
    let at = bytes.windows(layer.len()).position(|window| *window == *layer).unwrap();
    bytes[at + 50] ^= 1;
    let file = stored(&bytes);
    let extending = transport(ExistingArchive::Extended);
    let location = extending.parse(&format!("{}:two", file.path().display())).unwrap();
    let error = write(&*location, &image(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    assert!(error.to_string().contains("is damaged"), "{error}");
    assert!(std::fs::read(file.path()).unwrap() == bytes);
}

#[tokio::test]
async fn archives_of_docker_are_read_and_not_changed_by_halves() {
    let image = ImageSpec::new(1).layer(LayerSpec::new(1)).build();
    let bytes = docker_archive(&[(&image, &["a:1"])], SaveForm::Hybrid);
    let file = stored(&bytes);
    let digest = read_all(&*parse(file.path(), "")).await.unwrap();
    assert_eq!(digest, *image.digest());
    let extending = transport(ExistingArchive::Extended);
    let location = extending.parse(&file.path().display().to_string()).unwrap();
    let error = location.begin(&Default::default()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.hint().unwrap().contains("docker-archive:"));

    let flat = stored(&docker_archive(&[(&image, &["a:1"])], SaveForm::Flat));
    let error = parse(flat.path(), "").source().await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.hint().unwrap().contains("docker-archive:"));
}

#[tokio::test]
async fn the_bytes_do_not_depend_on_who_is_first() {
    let content = image(1);
    let mut archives = Vec::new();
    for _ in 0..4 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tar");
        write(&*parse(&path, ":x"), &content).await.unwrap();
        archives.push(std::fs::read(path).unwrap());
    }
    assert!(archives.iter().all(|archive| *archive == archives[0]));
}

#[tokio::test]
async fn blobs_of_an_unknown_size_find_their_places() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.tar");
    let content = image(1);
    let location = parse(&path, ":x");
    let transaction = location.begin(&Default::default()).await.unwrap();
    let specs: Vec<BlobSpec> = content
        .blobs
        .iter()
        .map(|blob| BlobSpec {
            kind: BlobKind::Other,
            media_type: blob.descriptor.media_type.clone(),
            measured: None,
        })
        .collect();
    assert!(transaction.have(&specs).await.unwrap().iter().all(|have| *have == Have::Missing));
    for (spec, blob) in specs.iter().zip(&content.blobs).rev() {
        let body = Arc::new(BytesBody(blob.bytes.clone()));
        let measured = transaction.write_blob(spec, body).await.unwrap();
        assert_eq!(measured.digest, *blob.digest());
    }
    for manifest in &content.manifests {
        let raw = cask_image::RawManifest::new(
            manifest.bytes.clone(),
            manifest.descriptor.media_type.clone(),
        );
        transaction.write_manifest(&raw, &ManifestRole::Top).await.unwrap();
    }
    transaction.commit().await.unwrap();
    assert_eq!(read_all(&*location).await.unwrap(), content.top.digest);
}

#[tokio::test]
async fn a_blob_that_was_announced_has_to_come() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.tar");
    let content = image(1);
    let location = parse(&path, ":x");
    let transaction = location.begin(&Default::default()).await.unwrap();
    let blob = &content.blobs[0];
    let spec = BlobSpec {
        kind: BlobKind::Other,
        media_type: blob.descriptor.media_type.clone(),
        measured: Some((&blob.descriptor).into()),
    };
    transaction.have(&[spec]).await.unwrap();
    let manifest = content.manifests.last().unwrap();
    let media_type = manifest.descriptor.media_type.clone();
    let raw = cask_image::RawManifest::new(manifest.bytes.clone(), media_type);
    transaction.write_manifest(&raw, &ManifestRole::Top).await.unwrap();
    let error = transaction.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(!path.exists());
}

#[tokio::test]
async fn docker_layers_in_a_plain_form_are_asked_for_compressed() {
    use cask_transport::LayerForm;
    let mut options = OciArchiveOptions::default();
    let form = |options: &OciArchiveOptions| {
        let transport = OciArchiveTransport::new(options.clone());
        transport.parse("x").unwrap().capabilities().layer_form
    };
    assert_eq!(form(&options), LayerForm::Compressed);
    options.accept_uncompressed_layers = true;
    assert_eq!(form(&options), LayerForm::AsGiven);
    let plain = LayerSpec::new(1).compression(Compression::None);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.tar");
    write(&*parse(&path, ""), &ImageSpec::new(1).layer(plain).build().content()).await.unwrap();
    read_all(&*parse(&path, "")).await.unwrap();
}
