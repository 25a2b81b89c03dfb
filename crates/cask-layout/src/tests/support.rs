//! Images to write, and what must hold of a layout at any time.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use cask_image::{
    Algorithm, Descriptor, Digest, Hasher, ImageFormat, ImageManifest, Index, LayerCompression,
    MediaType, RawManifest,
};

use crate::graph::walk;
use crate::{
    Durability, Layout, LayoutOptions, LayoutTransaction, NewEntry, ReferenceName, Result,
};

/// An image in memory.
pub(super) struct Image {
    pub(super) manifest: RawManifest,
    pub(super) blobs: Vec<Vec<u8>>,
}

pub(super) fn digest(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}

pub(super) fn describe(media_type: MediaType, bytes: &[u8]) -> Descriptor {
    Descriptor::new(media_type, digest(bytes), bytes.len() as u64)
}

/// An image whose blobs depend on the seed alone; its first layer has some 100 kB.
pub(super) fn image(seed: &str, layers: usize) -> Image {
    image_with_subject(seed, layers, None)
}

pub(super) fn image_with_subject(
    seed: &str,
    layers: usize,
    subject: Option<&RawManifest>,
) -> Image {
    let config = format!(r#"{{"architecture":"amd64","os":"linux","seed":"{seed}"}}"#).into_bytes();
    let mut blobs = vec![config];
    for number in 0..layers {
        let line = format!("layer {number} of {seed}\n");
        blobs.push(line.repeat(if number == 0 { 5_000 } else { 10 }).into_bytes());
    }
    let layer = |bytes: &Vec<u8>| describe(MediaType::OciLayer(LayerCompression::None), bytes);
    let config = describe(MediaType::OciConfig, &blobs[0]);
    let layers = blobs[1..].iter().map(layer).collect();
    let mut manifest = ImageManifest::new(ImageFormat::Oci, config, layers);
    manifest.subject = subject.map(RawManifest::descriptor);
    Image { manifest: manifest.encode(), blobs }
}

pub(super) fn index_of(manifests: &[&RawManifest]) -> RawManifest {
    let entries = manifests.iter().map(|manifest| manifest.descriptor()).collect();
    Index::new(ImageFormat::Oci, entries).encode()
}

pub(super) fn name(text: &str) -> ReferenceName {
    ReferenceName::parse(text).unwrap()
}

pub(super) fn options(change: impl FnOnce(&mut LayoutOptions)) -> LayoutOptions {
    // Tests that do not look at it should not wait for the disk.
    let mut options = LayoutOptions { durability: Durability::Process, ..Default::default() };
    change(&mut options);
    options
}

pub(super) fn quick() -> LayoutOptions {
    options(|_| ())
}

pub(super) fn new_layout(temp: &tempfile::TempDir) -> Layout {
    Layout::create_or_open(temp.path().join("layout"), quick()).unwrap()
}

/// Writes the blobs and manifest of an image through writers, in small pieces.
pub(super) fn put(transaction: &LayoutTransaction, image: &Image) -> Result<()> {
    for blob in &image.blobs {
        let mut writer = transaction.blob_writer()?;
        for piece in blob.chunks(40_000) {
            writer.write_all(piece).map_err(|e| crate::Error::io(e, "writing", "a test's blob"))?;
        }
        writer.finish(&describe(MediaType::OciConfig, blob))?;
    }
    transaction.write_manifest(&image.manifest)
}

pub(super) fn entry(manifest: &RawManifest, name_text: Option<&str>) -> NewEntry {
    NewEntry { descriptor: manifest.descriptor(), name: name_text.map(name) }
}

/// Writes a whole image.
pub(super) fn write(layout: &Layout, image: &Image, name_text: Option<&str>) -> Result<()> {
    let transaction = layout.begin()?;
    put(&transaction, image)?;
    transaction.commit(&[entry(&image.manifest, name_text)])
}

/// Writes images and an index of them.
pub(super) fn write_index(layout: &Layout, images: &[&Image], name_text: &str) -> RawManifest {
    let transaction = layout.begin().unwrap();
    images.iter().for_each(|image| put(&transaction, image).unwrap());
    let index = index_of(&images.iter().map(|image| &image.manifest).collect::<Vec<_>>());
    transaction.write_manifest(&index).unwrap();
    transaction.commit(&[entry(&index, Some(name_text))]).unwrap();
    index
}

/// `name`, or `@position`, of every entry.
pub(super) fn names(layout: &Layout) -> Vec<String> {
    let entries = layout.list().unwrap();
    let name =
        |e: &crate::Entry| e.name().map_or_else(|| format!("@{}", e.position), str::to_owned);
    entries.iter().map(name).collect()
}

/// Every file below a directory, by its path from there.
pub(super) fn files(path: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(path.join(&folder)) else { continue };
        for entry in entries {
            let entry = entry.unwrap();
            let inner = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(inner);
            } else {
                found.insert(inner.to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// Asserts what must hold after every commit, whatever happened: `index.json` is whole, everything
/// that it needs is there, and every blob has the digest that it is named by. Returns the files
/// that belong to no image.
pub(super) fn check_whole(path: &Path) -> Vec<String> {
    let layout = Layout::open(path, quick()).unwrap();
    let reached = walk(&layout, layout.list().unwrap(), |_| true, |_| ()).unwrap();
    assert!(reached.unreadable.is_empty(), "{:?}", reached.unreadable);
    for needed in &reached.digests {
        assert!(layout.blob_size(needed).unwrap().is_some(), "{needed} is missing");
    }
    let mut strange = Vec::new();
    for file in files(path) {
        let blob = file.strip_prefix("blobs/").map(|blob| blob.replace('/', ":"));
        match blob.and_then(|blob| blob.parse::<Digest>().ok()) {
            Some(named) => {
                let bytes = std::fs::read(path.join(&file)).unwrap();
                assert_eq!(Hasher::digest(named.algorithm(), &bytes), named, "{file}");
                if !reached.digests.contains(&named) {
                    strange.push(file);
                }
            }
            None if file == "index.json" || file == "oci-layout" => {}
            None => strange.push(file),
        }
    }
    strange
}

/// Asserts that a layout is whole and holds nothing that no image needs.
#[track_caller]
pub(super) fn check_clean(path: &Path) {
    assert_eq!(check_whole(path), Vec::<String>::new());
}
