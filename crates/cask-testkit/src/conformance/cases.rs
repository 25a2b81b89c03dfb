//! The cases that every transport has: write, read, interrupt, replace.

use cask_image::{Descriptor, Digest, Hasher, Manifest, MediaType};
use cask_transport::{
    Capabilities, ErrorKind, LayerForm, Location, Selector, Signature, VerifiedSource,
};

use super::held::held;
use super::place::Place;
use super::write::{Interrupted, write, write_signed, write_until};
use crate::generate::{
    ArtifactSpec, Compression, Content, Format, ImageSpec, IndexSpec, LayerSpec, platforms_index,
};

pub(super) async fn run(place: &Place) -> usize {
    let capabilities = place.location("probe", None).capabilities();
    let mut ran = 0;
    names_are_their_own_inverse(place);
    missing_places_are_not_found(place).await;
    ran += 2;
    if !capabilities.write {
        return ran;
    }
    for (case, content) in contents(&capabilities) {
        what_was_written_is_read(place, case, &content).await;
        ran += 1;
    }
    for (case, content) in refused_contents(&capabilities) {
        what_cannot_be_held_is_refused(place, case, &content).await;
        ran += 1;
    }
    for stop in [
        Interrupted::Begun,
        Interrupted::BlobsWritten,
        Interrupted::ManifestsWritten,
        Interrupted::BlobFailed,
    ] {
        if stop == Interrupted::ManifestsWritten && capabilities.visible_with_top {
            continue;
        }
        an_interrupted_write_leaves_nothing(place, stop, &capabilities).await;
        an_interrupted_write_leaves_the_old_image(place, stop, &capabilities).await;
        ran += 2;
    }
    a_second_write_replaces_the_first(place, &capabilities).await;
    a_blob_is_read_from_an_offset(place, &capabilities).await;
    readers_do_not_disturb_each_other(place, &capabilities).await;
    signatures_are_kept_or_refused(place, &capabilities).await;
    ran + 4
}

/// One image that the place can hold.
fn image(seed: u64, capabilities: &Capabilities) -> Content {
    let format = if capabilities.manifest_types.contains(&MediaType::OciManifest) {
        Format::Oci
    } else {
        Format::Docker
    };
    ImageSpec::new(seed)
        .format(format)
        .layer(layer(seed, capabilities).size_bytes(300_000))
        .layer(layer(seed + 1000, capabilities))
        .build()
        .content()
}

fn layer(seed: u64, capabilities: &Capabilities) -> LayerSpec {
    // A place that makes its manifests gives layers in its own form: plain ones come back as such.
    let plain = capabilities.layer_form == LayerForm::Uncompressed || !capabilities.keeps_manifests;
    let compression = if plain { Compression::None } else { Compression::Gzip };
    LayerSpec::new(seed).compression(compression)
}

/// What the place says it can hold.
fn contents(capabilities: &Capabilities) -> Vec<(&'static str, Content)> {
    let mut contents = vec![("image", image(1, capabilities))];
    let one_layer =
        |format| ImageSpec::new(2).format(format).layer(layer(3, capabilities)).build().content();
    for (case, format, media_type) in [
        ("oci-image", Format::Oci, MediaType::OciManifest),
        ("docker-image", Format::Docker, MediaType::DockerManifest),
    ] {
        if capabilities.manifest_types.contains(&media_type) {
            contents.push((case, one_layer(format)));
        }
    }
    for (case, format, media_type) in [
        ("oci-index", Format::Oci, MediaType::OciIndex),
        ("docker-list", Format::Docker, MediaType::DockerManifestList),
    ] {
        if capabilities.index_types.contains(&media_type) {
            contents.push((case, platforms_index(4, format)));
        }
    }
    if capabilities.nested_indexes && capabilities.index_types.contains(&MediaType::OciIndex) {
        let inner = platforms_index(5, Format::Oci);
        contents.push(("nested-index", IndexSpec::new().content(&inner).build()));
    }
    if capabilities.artifacts {
        contents.push(("artifact", artifact()));
    }
    contents
}

fn artifact() -> Content {
    ArtifactSpec::new(6, "application/spdx+json").build()
}

/// What the place says it cannot hold.
fn refused_contents(capabilities: &Capabilities) -> Vec<(&'static str, Content)> {
    let mut contents = Vec::new();
    if capabilities.index_types.is_empty() {
        contents.push(("refused-index", platforms_index(7, Format::Oci)));
    }
    if !capabilities.artifacts {
        contents.push(("refused-artifact", artifact()));
    }
    contents
}

fn names_are_their_own_inverse(place: &Place) {
    for name in [None, Some("name")] {
        let location = place.location("inverse", name);
        let text = location.to_string();
        assert!(text.starts_with(&format!("{}:", location.scheme())), "{text} has its scheme");
        assert_eq!(place.parse(&text).to_string(), text, "parsing what is printed");
    }
}

async fn missing_places_are_not_found(place: &Place) {
    let location = place.location("missing", None);
    let before = place.litter();
    let kind = match location.source().await {
        Err(error) => error.kind(),
        Ok(source) => source.resolve(&Selector::Chosen).await.expect_err("nothing is there").kind(),
    };
    assert_eq!(kind, ErrorKind::NotFound, "{location} is not there");
    assert_eq!(place.litter(), before, "looking for {location} left something behind");
}

async fn what_was_written_is_read(place: &Place, case: &str, content: &Content) {
    let location = place.location(case, Some("name"));
    write(&*location, content)
        .await
        .unwrap_or_else(|error| panic!("{case}: writing {location}: {error:?}"));
    let location = place.parse(&location.to_string());
    expect_content(&*location, content, case).await;
}

/// Reads everything back and compares.
async fn expect_content(location: &dyn Location, content: &Content, case: &str) {
    let source = open(location, case).await;
    let top = source.resolve(&Selector::Chosen).await.expect("what was committed is found");
    if location.capabilities().keeps_manifests {
        assert_eq!(top.digest, content.top.digest, "{case}: the digest of the top");
        assert_eq!(top.size, content.top.size, "{case}: the size of the top");
        for manifest in &content.manifests {
            let read = source.manifest(&manifest.descriptor).await;
            let read = read.unwrap_or_else(|error| panic!("{case}: {error:?}"));
            assert_eq!(read.bytes(), &manifest.bytes, "{case}: a manifest");
        }
    } else {
        let made = source.manifest(&top).await.expect("the made manifest is readable");
        let Ok(Manifest::Image(made)) = made.parse() else { panic!("{case}: no image was made") };
        let named = std::iter::once(&made.config).chain(&made.layers);
        for descriptor in named {
            assert!(content.blob(&descriptor.digest).is_some(), "{case}: {descriptor:?} is known");
        }
    }
    for blob in &held(&source, content, case).await {
        let read = source.blob_bytes(&blob.descriptor, 1 << 30).await;
        let read = read.unwrap_or_else(|error| panic!("{case}: {error:?}"));
        assert_eq!(read, blob.bytes, "{case}: a blob");
    }
    let absent = Digest::from_hash(cask_image::Algorithm::Sha256, &[7; 32]);
    let absent = Descriptor::new(MediaType::OciConfig, absent, 1);
    let kind = match source.blob(&absent).await {
        Ok(reader) => reader.drain().await.expect_err("nothing is there").kind(),
        Err(error) => error.kind(),
    };
    assert_eq!(kind, ErrorKind::Missing, "{case}: a blob that is not there");
}

async fn open(location: &dyn Location, case: &str) -> VerifiedSource {
    location.source().await.unwrap_or_else(|error| panic!("{case}: opening {location}: {error:?}"))
}

async fn what_cannot_be_held_is_refused(place: &Place, case: &str, content: &Content) {
    let location = place.location(case, Some("name"));
    let before = place.litter();
    let error = write(&*location, content).await.expect_err("the place said that it cannot");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{case}: {error:?}");
    assert_eq!(place.litter(), before, "{case} left something behind");
}

async fn an_interrupted_write_leaves_nothing(
    place: &Place,
    stop: Interrupted,
    capabilities: &Capabilities,
) {
    let location = place.location(&format!("interrupted-{stop:?}"), Some("name"));
    let before = place.litter();
    let result = write_until(&*location, &image(10, capabilities), stop).await;
    assert_eq!(result.is_err(), stop == Interrupted::BlobFailed, "{stop:?}: {result:?}");
    if let Err(error) = result {
        assert_eq!(error.kind(), ErrorKind::DigestMismatch, "the body's own error: {error:?}");
    }
    let found = match location.source().await {
        Ok(source) => source.resolve(&Selector::Chosen).await.map(drop),
        Err(error) => Err(error),
    };
    assert!(found.is_err(), "{stop:?}: nothing can be seen");
    assert_eq!(place.litter(), before, "{stop:?} left something behind");
}

async fn an_interrupted_write_leaves_the_old_image(
    place: &Place,
    stop: Interrupted,
    capabilities: &Capabilities,
) {
    let case = format!("kept-{stop:?}");
    let location = place.location(&case, Some("name"));
    let old = image(11, capabilities);
    write(&*location, &old).await.expect("the old image can be written");
    let before = place.litter();
    let _ = write_until(&*location, &image(12, capabilities), stop).await;
    expect_content(&*location, &old, &case).await;
    assert_eq!(place.litter(), before, "{case} left something behind");
}

async fn a_second_write_replaces_the_first(place: &Place, capabilities: &Capabilities) {
    let location = place.location("replaced", Some("name"));
    write(&*location, &image(13, capabilities)).await.expect("the first can be written");
    let second = image(14, capabilities);
    write(&*location, &second).await.expect("the second can be written");
    expect_content(&*location, &second, "replaced").await;
}

async fn a_blob_is_read_from_an_offset(place: &Place, capabilities: &Capabilities) {
    let location = place.location("offset", Some("name"));
    let content = image(15, capabilities);
    write(&*location, &content).await.expect("the image can be written");
    let source = open(&*location, "offset").await;
    let blobs = held(&source, &content, "offset").await;
    let blob = blobs.iter().max_by_key(|blob| blob.bytes.len()).expect("there are blobs");
    for offset in [0, 1, blob.bytes.len() / 2, blob.bytes.len()] {
        let mut prefix = Hasher::new(blob.digest().algorithm());
        prefix.update(&blob.bytes[..offset]);
        let reader = source.blob_after(&blob.descriptor, &prefix).await.expect("it is there");
        let rest = reader.read_all(1 << 30).await.expect("prefix and rest have the digest");
        assert_eq!(rest, blob.bytes.slice(offset..), "from offset {offset}");
    }
    let mut wrong = Hasher::new(blob.digest().algorithm());
    wrong.update(b"x");
    let reader = source.blob_after(&blob.descriptor, &wrong).await.expect("it is there");
    let error = reader.drain().await.expect_err("another prefix is another blob");
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
}

async fn signatures_are_kept_or_refused(place: &Place, capabilities: &Capabilities) {
    let location = place.location("signed", Some("name"));
    let (content, unsigned) = (image(18, capabilities), image(19, capabilities));
    let signature = |text: &'static [u8]| Signature { bytes: text.into() };
    let signatures = [signature(b"\x90one"), signature(b"\x90another")];
    let written = write_signed(&*location, &content, &signatures).await;
    if !capabilities.signatures {
        let error = written.expect_err("the place said that it cannot");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "signed: {error:?}");
        return;
    }
    written.expect("the place said that it can");
    let read = async |case: &str| {
        let source = open(&*location, case).await;
        let top = source.resolve(&Selector::Chosen).await.expect("it was committed");
        let found = source.signatures(&top).await.expect("they can be read");
        let may_be_signed = source.may_be_signed().await.expect("it can tell");
        assert!(may_be_signed || found.is_empty(), "{case}: there are some");
        found
    };
    assert_eq!(read("signed").await, signatures, "signatures come back in their order");
    write(&*location, &unsigned).await.expect("another image can be written");
    assert_eq!(read("unsigned").await, [], "they are not those of another image");
}

async fn readers_do_not_disturb_each_other(place: &Place, capabilities: &Capabilities) {
    let location = place.location("readers", Some("name"));
    let content = image(16, capabilities);
    write(&*location, &content).await.expect("the image can be written");
    let source = open(&*location, "readers").await;
    let blobs = held(&source, &content, "readers").await;
    let reads = blobs.iter().chain(&blobs).map(|blob| async {
        let mut reader = source.blob(&blob.descriptor).await.expect("it is there");
        let mut read = Vec::new();
        while let Some(chunk) = reader.next().await.expect("it is whole") {
            read.extend_from_slice(&chunk);
            tokio::task::yield_now().await;
        }
        assert_eq!(read, blob.bytes);
    });
    futures_util::future::join_all(reads).await;
}
