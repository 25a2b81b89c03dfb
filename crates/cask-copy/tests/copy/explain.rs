//! The plan in words, as `--explain` prints it.

use cask_copy::{CopyOptions, Instances, LayersWanted, Plan};
use cask_image::{MediaType, Platform, PlatformWanted};
use cask_testkit::generate::{
    Compression, Content, Format, Image, ImageSpec, IndexSpec, LayerSpec,
};
use cask_transport::{Have, LayerForm};

use crate::support::{Pair, all_with, options, with};

/// The plan's text, with names for digests and without sizes, which depend on the compressor.
fn text(plan: &Plan, names: &[(&str, &cask_image::Digest)]) -> String {
    let mut text = plan.to_string();
    for blob in &plan.blobs {
        text = text.replace(&format!(" ({} bytes)", blob.source.size), "");
    }
    for (name, digest) in names {
        text = text.replace(digest.as_str(), name);
    }
    let totals =
        format!("  {} bytes to move, {} bytes reused\n", plan.moved_bytes(), plan.reused_bytes());
    text.strip_suffix(&totals).expect("the totals come last").replace("sha256:", "?")
}

async fn check(
    pair: &Pair,
    options: &CopyOptions,
    names: &[(&str, &cask_image::Digest)],
    expected: &str,
) {
    let planned = pair.plan(options).await.expect("it can be planned");
    let text = text(planned.plan(), names);
    assert_eq!(text, expected, "\n{text}");
}

fn image(seed: u64) -> Image {
    let foreign = LayerSpec::new(seed + 2).foreign("https://example.com/layer");
    ImageSpec::new(seed)
        .layer(LayerSpec::new(seed))
        .layer(LayerSpec::new(seed + 1).compression(Compression::None))
        .layer(foreign)
        .build()
}

fn names(image: &Image) -> [(&'static str, &cask_image::Digest); 5] {
    [
        ("GZIP", image.layers[0].blob.digest()),
        ("PLAIN", image.layers[1].blob.digest()),
        ("FOREIGN", image.layers[2].blob.digest()),
        ("CONFIG", image.config.digest()),
        ("MANIFEST", image.digest()),
    ]
}

#[tokio::test]
async fn a_copy_that_changes_nothing() {
    let image = image(1);
    check(
        &Pair::new(&image.content()),
        &options(),
        &names(&image),
        "\
copy memory:a:app to memory:b:app
  layer GZIP: copy
  layer PLAIN: copy
  layer FOREIGN: leave at its URLs, because it is not to be distributed
  config CONFIG: copy
  manifest MANIFEST: write unchanged
",
    )
    .await;
}

#[tokio::test]
async fn a_copy_to_a_place_that_wants_compressed_layers() {
    let image = image(1);
    let pair = Pair::to_place(&image.content(), |place| place.layer_form = LayerForm::Compressed);
    check(
        &pair,
        &options(),
        &names(&image),
        "\
copy memory:a:app to memory:b:app
  layer GZIP: copy
  layer PLAIN: compress by gzip, because memory wants compressed layers
  layer FOREIGN: leave at its URLs, because it is not to be distributed
  config CONFIG: copy
  manifest MANIFEST: its digest changes, because memory wants compressed layers
",
    )
    .await;
}

#[tokio::test]
async fn a_copy_to_a_docker_archive() {
    let image = image(1);
    let pair = Pair::to_place(&image.content(), |place| {
        place.manifest_types = &[MediaType::DockerManifest];
        place.index_types = &[];
        place.keeps_manifests = false;
        place.foreign_layers = false;
        place.layer_form = LayerForm::Uncompressed;
    });
    check(
        &pair,
        &options(),
        &names(&image),
        "\
copy memory:a:app to memory:b:app
  layer GZIP: decompress, because memory holds plain layers only
  layer PLAIN: copy
  layer FOREIGN: decompress, because memory holds plain layers only
  config CONFIG: copy
  manifest MANIFEST: its digest changes, because memory cannot hold \
application/vnd.oci.image.manifest.v1+json; memory holds plain layers only; memory makes its \
manifests anew
",
    )
    .await;
}

#[tokio::test]
async fn a_copy_whose_parts_are_there_partly() {
    let image = image(1);
    let pair = Pair::new(&image.content());
    pair.to.behave(|behaviour| {
        let [gzip, plain, foreign] = [0, 1, 2].map(|place| image.layers[place].blob.digest());
        let zstd = LayerSpec::new(1).compression(Compression::Zstd);
        let zstd = zstd.build(Format::Oci, cask_image::Algorithm::Sha256).blob.descriptor;
        behaviour.have.insert(gzip.clone(), Have::Equivalent(Box::new(zstd)));
        behaviour.have.insert(plain.clone(), Have::Partial { bytes: 100 });
        behaviour.have.insert(foreign.clone(), Have::Exact);
        let from = Have::Mountable { from: "other".into() };
        behaviour.have.insert(image.config.digest().clone(), from);
    });
    pair.to.set_capabilities(|place| place.foreign_layers = false);
    let zstd = LayerSpec::new(1).compression(Compression::Zstd);
    let zstd = zstd.build(Format::Oci, cask_image::Algorithm::Sha256).blob;
    let mut names = names(&image).to_vec();
    names.push(("ZSTD", zstd.digest()));
    check(
        &pair,
        &options(),
        &names,
        "\
copy memory:a:app to memory:b:app
  layer GZIP: reuse: the destination has it as ZSTD (application/vnd.oci.image.layer.v1.tar+zstd)
  layer PLAIN: copy from byte 100 on
  layer FOREIGN: reuse: the destination has it
  config CONFIG: mount from other
  manifest MANIFEST: its digest changes, because the destination has GZIP as ZSTD
",
    )
    .await;
}

#[tokio::test]
async fn a_copy_in_another_format_with_what_is_lost() {
    let layer = LayerSpec::new(1);
    let image = ImageSpec::new(1).layer(layer).annotation("org.example", "said").build();
    let options = with(|options| options.format = Some(cask_image::ImageFormat::Docker));
    check(
        &Pair::new(&image.content()),
        &options,
        &[
            ("LAYER", image.layers[0].blob.digest()),
            ("CONFIG", image.config.digest()),
            ("MANIFEST", image.digest()),
        ],
        "\
copy memory:a:app to memory:b:app
  layer LAYER: copy
  config CONFIG: copy
  manifest MANIFEST: its digest changes, because --format asks for it
  note: application/vnd.docker.distribution.manifest.v2+json has no place for annotations
",
    )
    .await;
    let image = ImageSpec::new(1).format(Format::Docker).layer(LayerSpec::new(1)).build();
    let options = with(|options| {
        options.layers.wanted = LayersWanted::Compress(cask_layer::Compression::Zstd);
    });
    let pair = Pair::new(&image.content());
    let planned = pair.plan(&options).await.expect("it can be planned");
    let made = planned.plan().blobs[1].source.digest.clone();
    let names =
        [("LAYER", image.layers[0].blob.digest()), ("CONFIG", &made), ("MANIFEST", image.digest())];
    assert_eq!(
        text(planned.plan(), &names),
        "\
copy memory:a:app to memory:b:app
  layer LAYER: compress by zstd, because zstd is asked for
  config CONFIG: make, because the config is written in another format
  manifest MANIFEST: its digest changes, because Docker manifests cannot hold zstd layers; zstd is \
asked for
"
    );
}

fn on(seed: u64, architecture: &str) -> Image {
    let platform = Platform::new("linux", architecture);
    ImageSpec::new(seed).platform(platform).layer(LayerSpec::new(7)).build()
}

fn two() -> (Image, Image, Content) {
    let (amd64, arm64) = (on(1, "amd64"), on(2, "arm64"));
    let index = IndexSpec::new().image(&amd64).image(&arm64).build();
    (amd64, arm64, index)
}

#[tokio::test]
async fn a_copy_of_an_index() {
    let (amd64, arm64, index) = two();
    let names = [
        ("LAYER", amd64.layers[0].blob.digest()),
        ("CONFIG-1", amd64.config.digest()),
        ("CONFIG-2", arm64.config.digest()),
        ("AMD64", amd64.digest()),
        ("ARM64", arm64.digest()),
        ("INDEX", &index.top.digest),
    ];
    check(
        &Pair::new(&index),
        &all_with(|_| {}),
        &names,
        "\
copy memory:a:app to memory:b:app
  layer LAYER: copy
  config CONFIG-1: copy
  config CONFIG-2: copy
  manifest AMD64 (linux/amd64): write unchanged
  manifest ARM64 (linux/arm64): write unchanged
  index INDEX: write unchanged
",
    )
    .await;
    check(
        &Pair::new(&index),
        &all_with(|options| options.layers.wanted = LayersWanted::Decompress),
        &names,
        "\
copy memory:a:app to memory:b:app
  layer LAYER: decompress, because plain layers are asked for
  config CONFIG-1: copy
  config CONFIG-2: copy
  manifest AMD64 (linux/amd64): its digest changes, because plain layers are asked for
  manifest ARM64 (linux/arm64): its digest changes, because plain layers are asked for
  index INDEX: its digest changes, because AMD64 changes; ARM64 changes
",
    )
    .await;
    let amd64_only = with(|options| {
        options.instances = Instances::Platforms(vec![PlatformWanted::new("linux", "amd64")]);
    });
    check(
        &Pair::new(&index),
        &amd64_only,
        &names,
        "\
copy memory:a:app to memory:b:app
  layer LAYER: copy
  config CONFIG-1: copy
  manifest AMD64 (linux/amd64): write unchanged
  index INDEX: its digest changes, because 1 of 2 entries are left out
",
    )
    .await;
    check(
        &Pair::new(&index),
        &options(),
        &names,
        "\
copy memory:a:app to memory:b:app
  layer LAYER: copy
  config CONFIG-1: copy
  manifest AMD64 (linux/amd64): write unchanged
",
    )
    .await;
}

#[tokio::test]
async fn totals_are_what_moves_and_what_is_there() {
    let image = image(1);
    let content = image.content();
    let size = |blob: &cask_testkit::generate::Blob| blob.bytes.len() as u64;
    let foreign = size(&image.layers[2].blob);
    let all = content.blobs.iter().map(size).sum::<u64>() - foreign;
    let pair = Pair::new(&content);
    let planned = pair.plan(&options()).await.expect("it can be planned");
    assert_eq!((planned.plan().moved_bytes(), planned.plan().reused_bytes()), (all, 0));
    assert!(planned.plan().keeps_digests());
    planned.execute().await.expect("it can be copied");
    let planned = pair.plan(&options()).await.expect("it can be planned");
    assert_eq!((planned.plan().moved_bytes(), planned.plan().reused_bytes()), (0, all));
    let text = planned.plan().to_string();
    assert!(text.ends_with(&format!("  0 bytes to move, {all} bytes reused\n")), "{text}");
}
