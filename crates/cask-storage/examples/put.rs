//! Puts an image of an OCI layout into a store: to measure how long that takes.
//!
//! `put LAYOUT ROOT RUN NAME`

use std::fs::File;
use std::path::Path;
use std::sync::Mutex;

use cask_image::{Index, Manifest, MediaType, RawManifest};
use cask_storage::{NewImage, NewLayer, StageOptions, StagedLayer, Store, StoreOptions};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn blob(layout: &Path, digest: &cask_image::Digest) -> std::path::PathBuf {
    layout.join("blobs").join(digest.algorithm().as_str()).join(digest.hex())
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [layout, root, run, name] = arguments.as_slice() else {
        return Err("put LAYOUT ROOT RUN NAME".into());
    };
    let layout = Path::new(layout);
    let index = RawManifest::new(std::fs::read(layout.join("index.json"))?, MediaType::OciIndex);
    let Manifest::Index(Index { manifests, .. }) = index.parse()? else {
        return Err("no index".into());
    };
    let first = manifests.first().ok_or("no image")?;
    let raw =
        RawManifest::new(std::fs::read(blob(layout, &first.digest))?, first.media_type.clone());
    let Manifest::Image(manifest) = raw.parse()? else { return Err("no image".into()) };
    let config = std::fs::read(blob(layout, &manifest.config.digest))?;
    let store = Store::open(StoreOptions::new(root, run))?;
    let mut image = NewImage::of_manifest(&raw, &config)?;
    image.names = vec![name.clone()];
    let next = Mutex::new(0..manifest.layers.len());
    let staged: Mutex<Vec<(usize, StagedLayer)>> = Mutex::default();
    let work = || -> Result<(), Failure> {
        loop {
            let Some(number) = next.lock().map_err(|_| "poisoned")?.next() else { return Ok(()) };
            let layer = &manifest.layers[number];
            let mut options = StageOptions::default();
            options.blob_digest = Some(layer.digest.clone());
            options.blob_size_bytes = Some(layer.size);
            let layer = store.stage_layer(File::open(blob(layout, &layer.digest))?, &options)?;
            staged.lock().map_err(|_| "poisoned")?.push((number, layer));
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a panic")?)
    })?;
    let mut staged = staged.into_inner().map_err(|_| "poisoned")?;
    staged.sort_by_key(|(number, _)| *number);
    image.layers = staged.into_iter().map(|(_, layer)| NewLayer::Staged(layer)).collect();
    store.commit_image(image)?;
    Ok(())
}
