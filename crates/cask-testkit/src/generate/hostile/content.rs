//! Images and indexes whose parts do not fit together.

use std::io::Write as _;

use bytes::Bytes;
use cask_image::{Algorithm, Descriptor, Hasher, MediaType, Platform};

use super::case::{Case, Fault};
use crate::generate::content::{Blob, Content};
use crate::generate::image::{Image, ImageSpec};
use crate::generate::index::IndexSpec;
use crate::generate::layer::{Compression, LayerSpec, compress, gzip};

/// Images and indexes of which at least one part is not what was told. Small, but for a bomb that
/// unpacks to 16 MiB.
pub fn contents(seed: u64) -> Vec<Case<Content>> {
    let mut cases = other_bytes(seed);
    cases.extend(sizes(seed));
    cases.extend(missing(seed));
    cases.extend(too_much(seed));
    cases.extend(configs(seed));
    cases.extend(streams(seed));
    cases.extend(cycles());
    cases
}

/// An image whose gzip layer is about a thousandth of what it unpacks to: a file of zeros.
///
/// Making it takes time in proportion to `unpacked_bytes`, and little memory.
pub fn bomb(seed: u64, unpacked_bytes: u64) -> Image {
    let zeros = [0; 1 << 16];
    let mut header = crate::generate::TarEntry::file("zeros", "");
    let size = format!("{unpacked_bytes:011o}\0");
    header.size_field = size.as_bytes().try_into().ok().or(Some(*b"77777777777\0"));
    let header = crate::generate::Tar::new().entry(&header).unfinished();
    let padding = unpacked_bytes.next_multiple_of(512) - unpacked_bytes + 1024;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let compressed = gzip(|encoder| {
        let mut write = |bytes: &[u8]| {
            hasher.update(bytes);
            encoder.write_all(bytes)
        };
        write(&header)?;
        let mut rest = unpacked_bytes + padding;
        while rest > 0 {
            let size = rest.min(zeros.len() as u64);
            write(&zeros[..usize::try_from(size).unwrap_or(zeros.len())])?;
            rest -= size;
        }
        Ok(())
    });
    let diff_id = hasher.finish();
    let mut image = ImageSpec::new(seed).layer(LayerSpec::new(seed)).build();
    let honest = image.layers[0].diff_id.clone();
    let layer = &mut image.layers[0];
    layer.blob = Blob::new(layer.blob.descriptor.media_type.clone(), compressed);
    layer.tar = Bytes::new();
    layer.diff_id = diff_id.clone();
    let config = text(&image.config.bytes).replace(honest.as_str(), diff_id.as_str());
    image.config = Blob::new(MediaType::OciConfig, config);
    relinked(&image)
}

/// An index in an index in an index, so many levels deep, with an image at the bottom.
pub fn deep_index(seed: u64, levels: usize) -> Content {
    let bottom = IndexSpec::new().image(&ImageSpec::new(seed).build()).build();
    let level = |inner: Content, _| IndexSpec::new().content(&inner).build();
    (1..levels.max(1)).fold(bottom, level)
}

/// An index that lists the level below it twice, and so on: two to the power of `levels` paths
/// lead to the one image at the bottom.
pub fn doubling_index(seed: u64, levels: usize) -> Content {
    let image = ImageSpec::new(seed).build();
    let bottom = IndexSpec::new().image(&image).image(&image).build();
    let level = |inner: Content, _| IndexSpec::new().content(&inner).content(&inner).build();
    (1..levels.max(1)).fold(bottom, level)
}

fn other_bytes(seed: u64) -> Vec<Case<Content>> {
    let case = |name: &str, content| Case::new(name, Fault::Digest, content);
    let image = ImageSpec::new(seed).build();
    let index = IndexSpec::new().image(&image).build();
    let flip = |blob: &mut Blob| {
        let mut bytes = blob.bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        blob.bytes = bytes.into();
    };
    let flip_blob = |mut content: Content, index: usize| {
        flip(&mut content.blobs[index]);
        content
    };
    let flip_manifest = |mut content: Content| {
        flip(&mut content.manifests[0]);
        content
    };
    vec![
        case("config of other bytes", flip_blob(image.content(), 0)),
        case("layer of other bytes", flip_blob(image.content(), 1)),
        case("last layer of other bytes", flip_blob(image.content(), 2)),
        Case::new("manifest of other bytes", Fault::Top, flip_manifest(image.content())),
        Case::new("manifest with a blank added", Fault::Top, padded(image.content(), 1)),
        case("instance of other bytes", flip_manifest(index)),
    ]
}

fn sizes(seed: u64) -> Vec<Case<Content>> {
    let case = |name: &str, content| Case::new(name, Fault::Size, content);
    let image = ImageSpec::new(seed).build();
    let cut = |index: usize, keep: fn(usize) -> usize| {
        let mut content = image.content();
        let bytes = &mut content.blobs[index].bytes;
        *bytes = bytes.slice(..keep(bytes.len()));
        content
    };
    let told = |change: fn(&mut Image)| {
        let mut image = image.clone();
        change(&mut image);
        relinked(&image).content()
    };
    let mut longer = image.content();
    longer.blobs[1].bytes = [&longer.blobs[1].bytes[..], b"more"].concat().into();
    let mut top = image.content();
    top.top.size += 1;
    let mut small_top = image.content();
    small_top.top.size = 1;
    vec![
        case("layer cut short by a byte", cut(1, |size| size - 1)),
        case("layer cut in half", cut(2, |size| size / 2)),
        case("layer without bytes", cut(1, |_| 0)),
        case("config cut short", cut(0, |size| size - 1)),
        case("layer with bytes after its end", longer),
        case("layer smaller than told", told(|i| i.layers[0].blob.descriptor.size += 1)),
        case("layer larger than told", told(|i| i.layers[0].blob.descriptor.size -= 1)),
        case("layer said to be empty", told(|i| i.layers[1].blob.descriptor.size = 0)),
        case(
            "layer said to be immense",
            told(|i| i.layers[1].blob.descriptor.size = i64::MAX as u64),
        ),
        case("config larger than told", told(|i| i.config.descriptor.size -= 1)),
        Case::new("manifest smaller than told", Fault::Top, top),
        Case::new("manifest larger than told", Fault::Top, small_top),
    ]
}

fn missing(seed: u64) -> Vec<Case<Content>> {
    let image = ImageSpec::new(seed).build();
    let without = |index: usize| {
        let mut content = image.content();
        content.blobs.remove(index);
        content
    };
    let mut index = IndexSpec::new().image(&image).build();
    index.manifests.remove(0);
    let case = |name: &str, content| Case::new(name, Fault::Missing, content);
    vec![
        case("config missing", without(0)),
        case("layer missing", without(1)),
        case("instance missing", index),
    ]
}

fn too_much(seed: u64) -> Vec<Case<Content>> {
    let image = ImageSpec::new(seed).build();
    let honest = |top: Blob| Content::new(top, Vec::new(), image.content().blobs);
    let manifest = padding(&image.manifest.bytes, 4 << 20);
    let index = IndexSpec::new().image(&image).build();
    let big_index = Content::new(
        Blob::new(MediaType::OciIndex, padding(index.top_bytes(), 4 << 20)),
        index.manifests[..1].to_vec(),
        index.blobs,
    );
    let mut big_config = image.clone();
    big_config.config = Blob::new(MediaType::OciConfig, padding(&image.config.bytes, 4 << 20));
    let case = |name: &str, content| Case::new(name, Fault::Limit, content);
    vec![
        case("manifest of more than 4 MiB", honest(Blob::new(MediaType::OciManifest, manifest))),
        case("index of more than 4 MiB", big_index),
        case("config of more than 4 MiB", relinked(&big_config).content()),
        case("index of 100 levels", deep_index(seed, 100)),
        case("index that doubles 40 times", doubling_index(seed, 40)),
        case("layer that unpacks to a thousand times its size", bomb(seed, 16 << 20).content()),
    ]
}

fn configs(seed: u64) -> Vec<Case<Content>> {
    let image = ImageSpec::new(seed).build();
    let [first, second] = [&image.layers[0].diff_id, &image.layers[1].diff_id];
    let swapped = |from: String, to: String| {
        let mut image = image.clone();
        image.config =
            Blob::new(MediaType::OciConfig, text(&image.config.bytes).replace(&from, &to));
        relinked(&image).content()
    };
    let both = format!("\"{first}\",\"{second}\"");
    vec![
        Case::new(
            "diff ID of other bytes",
            Fault::Digest,
            swapped(second.to_string(), first.to_string()),
        ),
        Case::new(
            "diff IDs in another order",
            Fault::Digest,
            swapped(both.clone(), format!("\"{second}\",\"{first}\"")),
        ),
        Case::new(
            "one diff ID too few",
            Fault::Malformed,
            swapped(both.clone(), format!("\"{first}\"")),
        ),
        Case::new(
            "one diff ID too many",
            Fault::Malformed,
            swapped(both.clone(), format!("{both},\"{first}\"")),
        ),
        Case::new("no diff IDs", Fault::Malformed, swapped(both, String::new())),
    ]
}

/// Layers whose compressed stream is wrong, though digest and size are right.
fn streams(seed: u64) -> Vec<Case<Content>> {
    let image = ImageSpec::new(seed).build();
    let with = |bytes: Bytes| {
        let mut image = image.clone();
        let blob = &mut image.layers[1].blob;
        *blob = Blob::new(blob.descriptor.media_type.clone(), bytes);
        relinked(&image).content()
    };
    let layer = &image.layers[1];
    let gzip = &layer.blob.bytes;
    let mut checksum = gzip.to_vec();
    let at = checksum.len() - 8;
    checksum[at] ^= 1;
    let case = |name: &str, bytes| Case::new(name, Fault::Malformed, with(bytes));
    vec![
        case("gzip stream cut short", gzip.slice(..gzip.len() - 9)),
        case("gzip stream with a wrong checksum", checksum.into()),
        case("bytes after the end of the gzip stream", [&gzip[..], b"more"].concat().into()),
        case("plain tar that is said to be gzip", layer.tar.clone()),
        case("zstd that is said to be gzip", compress(&layer.tar, Compression::Zstd)),
        case("layer that is no tar", Bytes::from_static(b"this is no tar")),
    ]
}

/// Indexes that contain themselves. No hash function allows that, so that their digests are wrong;
/// whoever does not check digests does not come to an end.
fn cycles() -> Vec<Case<Content>> {
    let digest = |name: &str| Hasher::digest(Algorithm::Sha256, name.as_bytes());
    let link = |name: &str| Descriptor::new(MediaType::OciIndex, digest(name), 1000);
    let index = |name: &str, of: &str| {
        let mut document = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{}","size":1000}}]}}"#,
            digest(of)
        );
        document.push_str(&" ".repeat(1000 - document.len()));
        Blob { descriptor: link(name), bytes: document.into() }
    };
    let referrer = |name: &str, of: &str| {
        let image = ImageSpec::new(1).subject(link(of)).platform(Platform::new("a", "b")).build();
        let mut bytes = image.manifest.bytes.to_vec();
        bytes.resize(1000, b' ');
        let mut descriptor = link(name);
        descriptor.media_type = MediaType::OciManifest;
        (Blob { descriptor, bytes: bytes.into() }, image.content().blobs)
    };
    let (top, blobs) = referrer("x", "x");
    let case = |name: &str, content| Case::new(name, Fault::Digest, content);
    vec![
        case("index that contains itself", Content::new(index("a", "a"), vec![], vec![])),
        case(
            "two indexes that contain each other",
            Content::new(index("a", "b"), vec![index("b", "a")], vec![]),
        ),
        Case::new("manifest that is its own subject", Fault::Top, Content::new(top, vec![], blobs)),
    ]
}

/// The image with a manifest that tells the descriptors of its config and layers as they are now.
fn relinked(image: &Image) -> Image {
    let mut image = image.clone();
    let mut document: serde_json::Value =
        serde_json::from_slice(&image.manifest.bytes).expect("a generated manifest is JSON");
    let link = |document: &mut serde_json::Value, descriptor: &Descriptor| {
        document["digest"] = descriptor.digest.as_str().into();
        document["size"] = descriptor.size.into();
    };
    link(&mut document["config"], &image.config.descriptor);
    for (index, layer) in image.layers.iter().enumerate() {
        link(&mut document["layers"][index], &layer.blob.descriptor);
    }
    image.manifest = Blob::new(image.manifest.descriptor.media_type.clone(), document.to_string());
    image
}

/// The content with blanks after its top manifest, which keeps its digest and tells the new size.
fn padded(mut content: Content, blanks: usize) -> Content {
    let top = content.manifests.last_mut().expect("content holds its top");
    top.bytes = padding(&top.bytes, blanks);
    top.descriptor.size += blanks as u64;
    content.top.size += blanks as u64;
    content
}

/// A document with blanks after it.
fn padding(document: &Bytes, blanks: usize) -> Bytes {
    let mut bytes = document.to_vec();
    bytes.resize(bytes.len() + blanks, b' ');
    bytes.into()
}

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).expect("a generated document is text")
}
