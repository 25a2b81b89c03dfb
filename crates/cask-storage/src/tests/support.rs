//! What tests share.

use std::fs;
use std::path::{Path, PathBuf};

use cask_image::{
    Algorithm, Descriptor, Digest, Hasher, ImageConfig, ImageFormat, ImageManifest,
    LayerCompression, MediaType, RawManifest,
};
use cask_layer::Compression;

use crate::staged::{Facts, Staging};
use crate::{
    CheckOptions, Durability, Error, Id, NewImage, NewLayer, ProblemKind, Result, StagedLayer,
    Store, StoreOptions,
};

/// The folder of recorded stores, or `None` where there is none.
pub(super) fn dumps() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("CASK_CASES").map(PathBuf::from) else {
        assert!(std::env::var_os("CI").is_none(), "CASK_CASES must be set where CI is");
        eprintln!("CASK_CASES is not set: the recorded stores are not tested");
        return None;
    };
    Some(folder.join("../store-dumps"))
}

pub(super) fn sha256(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}

/// Options for a store in a directory, for which nothing is synced.
pub(super) fn options(directory: &Path) -> StoreOptions {
    let mut options = StoreOptions::new(directory.join("root"), directory.join("run"));
    options.durability = Durability::None;
    options.rootless = !rustix::process::geteuid().is_root();
    options
}

pub(super) fn open(directory: &Path) -> Store {
    Store::open(options(directory)).unwrap()
}

/// A layer of one file, as if it had been read from a stream.
pub(super) fn stage(store: &Store, name: &str) -> Result<StagedLayer> {
    let staging = Staging::begin(&store.inner)?;
    let files = staging.directory.join("diff");
    let failed = |error| Error::io(error, "staging", &files);
    fs::create_dir_all(&files).map_err(failed)?;
    fs::write(files.join(name), name).map_err(failed)?;
    fs::write(&staging.tar_split, name).map_err(failed)?;
    let digest = sha256(name.as_bytes());
    let facts = Facts {
        blob_digest: digest.clone(),
        blob_size: name.len() as u64,
        diff_digest: digest,
        diff_size: name.len() as u64,
        compression: Compression::None,
        uids: vec![0],
        gids: vec![0],
        warnings: Vec::new(),
    };
    Ok(staging.finish(None, facts))
}

/// An image of layers with one file each; those that are there already are not staged.
pub(super) fn new_image(store: &Store, layers: &[&str], name: &str) -> Result<NewImage> {
    new_image_as(store, layers, name, LayerCompression::None)
}

/// The same with another manifest: as if the layers came compressed.
pub(super) fn new_image_as(
    store: &Store,
    layers: &[&str],
    name: &str,
    compression: LayerCompression,
) -> Result<NewImage> {
    let mut config = ImageConfig::new("linux", "amd64");
    config.diff_ids = layers.iter().map(|layer| sha256(layer.as_bytes())).collect();
    let ids = Id::of_layers(&config.diff_ids);
    let config = config.encode();
    let descriptor =
        |media_type, bytes: &[u8]| Descriptor::new(media_type, sha256(bytes), bytes.len() as u64);
    let blobs =
        layers.iter().map(|layer| descriptor(MediaType::OciLayer(compression), layer.as_bytes()));
    let config_descriptor = descriptor(MediaType::OciConfig, &config);
    let manifest = ImageManifest::new(ImageFormat::Oci, config_descriptor, blobs.collect());
    let mut image = NewImage::of_manifest(&manifest.encode(), &config)?;
    image.names = vec![name.to_owned()];
    for (layer, id) in layers.iter().zip(ids) {
        image.layers.push(match store.layer(&id)? {
            Some(_) => NewLayer::Present(id),
            None => NewLayer::Staged(stage(store, layer)?),
        });
    }
    Ok(image)
}

pub(super) fn put(store: &Store, layers: &[&str], name: &str) -> Result<Id> {
    let image = new_image(store, layers, name)?;
    Ok(store.commit_image(image)?.id.clone())
}

/// Asserts that nothing is wrong and nothing lies about.
pub(super) fn check_clean(directory: &Path, at: &str) {
    let store = open(directory);
    let options = CheckOptions { verify_data: true, ..CheckOptions::default() };
    let problems = store.check(&options).unwrap();
    assert!(problems.is_empty(), "{at}: {problems:?}");
}

/// Asserts that whatever is listed is whole; waste is allowed.
pub(super) fn check_whole(directory: &Path, at: &str) {
    let store = open(directory);
    let options = CheckOptions { verify_data: true, ..CheckOptions::default() };
    let problems = store.check(&options).unwrap();
    let broken: Vec<_> = problems
        .iter()
        .filter(|p| !p.kind.is_waste() && p.kind != ProblemKind::DamagedFile)
        .collect();
    assert!(broken.is_empty(), "{at}: {broken:?}");
    for image in store.images().unwrap() {
        let manifest = RawManifest::guess(store.image_data(&image, "manifest").unwrap()).unwrap();
        assert_eq!(Some(manifest.digest()), image.manifest_digest(), "{at}");
        // Signatures are those of which the record has the sizes.
        let signatures = image.big_data_names.iter().find(|key| key.starts_with("signature-"));
        let bytes = signatures.map(|key| store.image_data(&image, key).unwrap());
        let sizes: u64 = image.signature_sizes(manifest.digest()).iter().sum();
        assert_eq!(bytes.map_or(0, |bytes| bytes.len()) as u64, sizes, "{at}");
    }
}

/// The names of all images.
pub(super) fn names(store: &Store) -> Vec<String> {
    let images = store.images().unwrap();
    let mut names: Vec<String> = images.iter().flat_map(|image| image.names.clone()).collect();
    names.sort();
    names
}
