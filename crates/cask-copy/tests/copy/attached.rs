//! Artifacts, and what refers to an image.

use cask_copy::LayersWanted;
use cask_image::{ImageFormat, MediaType};
use cask_testkit::generate::{
    ArtifactSpec, Blob, Compression, Content, Format, Image, ImageSpec, IndexSpec, LayerSpec,
    platforms_index,
};
use cask_testkit::memory::Call;
use cask_transport::{ErrorKind, LayerForm, ManifestRole};

use crate::support::{FROM, Pair, TO, all_with, options, with};

const SBOM: &str = "application/spdx+json";

fn artifact() -> Content {
    ArtifactSpec::new(1, SBOM).blob("text/plain", "hello").annotation("a", "b").build()
}

#[tokio::test]
async fn an_artifact_is_copied_as_it_is() {
    let content = artifact();
    for wish in [LayersWanted::AsDestinationWants, LayersWanted::Decompress] {
        let pair = Pair::to_place(&content, |place| place.layer_form = LayerForm::Compressed);
        let copied = pair.copied(&with(|options| options.layers.wanted = wish)).await;
        assert_eq!(copied.top.digest, content.top.digest);
    }
}

#[tokio::test]
async fn an_artifact_is_refused_where_it_cannot_be_held() {
    let able = Pair::to_place(&artifact(), |place| place.artifacts = false);
    let docker = Pair::to_place(&artifact(), |place| {
        place.manifest_types = &[MediaType::DockerManifest];
    });
    for pair in [able, docker] {
        let error = pair.refused(&options()).await;
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let words = format!("it is an artifact ({SBOM}), which memory cannot hold");
        assert!(error.to_string().ends_with(&words), "{error}");
    }
}

/// An artifact that says by its config's type that it is an image, as older signatures do.
fn borrowed(part: &str) -> Content {
    let config = Blob::new(MediaType::OciConfig, "{}");
    let layer = Blob::new(part.into(), "{\"critical\":{}}");
    let link = |blob: &Blob| {
        let (media_type, digest) = (&blob.descriptor.media_type, blob.digest());
        let size = blob.bytes.len();
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
    };
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}}"#,
        MediaType::OciManifest,
        link(&config),
        link(&layer)
    );
    Content::new(Blob::new(MediaType::OciManifest, text), vec![], vec![config, layer])
}

#[tokio::test]
async fn an_artifact_with_a_borrowed_config_is_copied_as_it_is() {
    let parts = [
        "application/vnd.dev.cosign.simplesigning.v1+json",
        // Other tools call every file a layer.
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+gzip",
    ];
    for content in parts.map(borrowed) {
        let pair = Pair::new(&content);
        pair.copy(&options()).await.expect("it is copied");
        assert_eq!(pair.to.content(TO).top.digest, content.top.digest);
        let pair = Pair::to_place(&content, |place| place.artifacts = false);
        assert_eq!(pair.refused(&options()).await.kind(), ErrorKind::Unsupported);
    }
}

/// An image, what refers to it, and what refers to that.
fn referred() -> (Image, [Content; 3]) {
    let layer = LayerSpec::new(1).compression(Compression::None);
    let image = ImageSpec::new(1).layer(layer).build();
    let sbom = ArtifactSpec::new(2, SBOM).subject(&image.manifest.descriptor).build();
    let signature = ArtifactSpec::new(3, "application/sig").subject(&sbom.top).build();
    let index = IndexSpec::new()
        .subject(image.manifest.descriptor.clone())
        .content(&ArtifactSpec::new(4, "application/other").build())
        .build();
    (image, [sbom, signature, index])
}

fn pair() -> (Pair, Image, [Content; 3]) {
    let (image, referrers) = referred();
    let pair = Pair::new(&image.content());
    for (number, referrer) in referrers.iter().enumerate() {
        pair.from.insert(&format!("memory:a:{number}"), referrer);
    }
    (pair, image, referrers)
}

fn referring() -> cask_copy::CopyOptions {
    with(|options| options.attached.referrers = true)
}

#[tokio::test]
async fn referrers_are_copied_where_they_are_asked_for() {
    let (pair, image, referrers) = pair();
    let copied = pair.copied(&options()).await;
    assert_eq!(copied.manifests.len(), 1, "nobody asked");
    let (pair, ..) = self::pair();
    let copied = pair.copied(&referring()).await;
    assert_eq!(copied.top.digest, *image.digest());
    for referrer in &referrers {
        assert!(copied.manifest(&referrer.top.digest).is_some());
    }
    assert_eq!(copied.manifests.len(), 5);
    let roles: Vec<_> = pair
        .to
        .calls()
        .into_iter()
        .filter_map(|call| match call {
            Call::WriteManifest { digest, role, .. } => Some((digest, role)),
            _ => None,
        })
        .collect();
    assert_eq!(roles[0], (image.digest().clone(), ManifestRole::Top));
    for (digest, role) in &roles[1..] {
        let is_referrer = referrers.iter().any(|referrer| referrer.top.digest == *digest);
        let expected = if is_referrer { ManifestRole::Referrer } else { ManifestRole::Child };
        assert_eq!(*role, expected);
    }
}

#[tokio::test]
async fn referrers_of_every_instance_are_copied() {
    let content = platforms_index(1, Format::Oci);
    let pair = Pair::new(&content);
    let mut expected = Vec::new();
    for (number, manifest) in content.manifests.iter().enumerate() {
        let referrer = ArtifactSpec::new(number as u64, SBOM).subject(&manifest.descriptor).build();
        pair.from.insert(&format!("memory:a:{number}"), &referrer);
        expected.push(referrer.top.digest);
    }
    let copied = pair.copied(&all_with(|options| options.attached.referrers = true)).await;
    assert!(expected.iter().all(|referrer| copied.manifest(referrer).is_some()));
}

#[tokio::test]
async fn a_place_that_cannot_tell_referrers_is_not_given_any() {
    let (pair, ..) = pair();
    pair.to.set_capabilities(|place| place.referrers = false);
    let error = pair.refused(&referring()).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("memory cannot tell what refers to an image"), "{error}");
    // An image that nobody refers to is no matter.
    let lonely = Pair::to_place(&artifact(), |place| place.referrers = false);
    lonely.copied(&referring()).await;
}

#[tokio::test]
async fn what_refers_to_an_image_that_changes_is_refused() {
    for (form, format) in
        [(LayerForm::Compressed, None), (LayerForm::AsGiven, Some(ImageFormat::Docker))]
    {
        let (pair, ..) = pair();
        pair.to.set_capabilities(|place| place.layer_form = form);
        let options = with(|options| {
            options.attached.referrers = true;
            options.format = format;
        });
        let error = pair.refused(&options).await;
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("refers to a manifest whose digest changes"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("--referrers")));
        assert_eq!(pair.to.calls(), [], "the destination was not even asked");
    }
}

#[tokio::test]
async fn a_referrer_that_would_lose_its_subject_is_refused() {
    let image = ImageSpec::new(1).format(Format::Docker).build();
    let about = ImageSpec::new(2).subject(image.manifest.descriptor.clone()).build();
    let pair = Pair::to_place(&image.content(), |place| {
        place.manifest_types = &[MediaType::DockerManifest];
    });
    pair.from.insert("memory:a:about", &about.content());
    let error = pair.refused(&referring()).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("cannot refer to others"), "{error}");
}

#[tokio::test]
async fn what_only_claims_to_be_listed_as_a_referrer_is_refused() {
    let image = ImageSpec::new(1).build();
    let referrer = ArtifactSpec::new(2, SBOM).subject(&image.manifest.descriptor).build();
    let pair = Pair::new(&image.content());
    pair.from.insert("memory:a:other", &referrer);
    pair.from.list_referrer(FROM, image.digest(), &artifact().top);
    pair.from.insert("memory:a:artifact", &artifact());
    let error = pair.refused(&referring()).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("it does not refer to"), "{error}");
}
