//! A list in an image layout whose images are there.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use cask::image::{Descriptor, ImageFormat, Index, Manifest, Platform, RawManifest};
use serde_json::{Value, json};

/// The annotation that an image's name in a layout is in.
const NAME: &str = "org.opencontainers.image.ref.name";

/// Makes a list of the images that are called 0, 1 and so on, which is called `list`.
pub(super) fn add_list(
    directory: &Path,
    platforms: &[Platform],
    format: ImageFormat,
) -> Result<()> {
    let path = directory.join("index.json");
    let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let Manifest::Index(top) = RawManifest::guess(text.clone())?.parse()? else {
        bail!("{} is no index", path.display())
    };
    let mut entries: Vec<Descriptor> = Vec::new();
    for (number, platform) in platforms.iter().enumerate() {
        let is_it = |entry: &&Descriptor| entry.annotations.get(NAME) == Some(&number.to_string());
        let mut entry = top.manifests.iter().find(is_it).context("the image is there")?.clone();
        entry.annotations.clear();
        entry.platform = Some(platform.clone());
        entries.push(entry);
    }
    let list = Index::new(format, entries).encode();
    let blob = directory.join("blobs/sha256").join(list.digest().hex());
    std::fs::write(&blob, list.bytes()).with_context(|| format!("writing {}", blob.display()))?;
    let mut document: Value = serde_json::from_slice(&text)?;
    let entry = json!({
        "mediaType": list.media_type().as_str(),
        "digest": list.digest().as_str(),
        "size": list.bytes().len(),
        "annotations": {NAME: "list"},
    });
    let all = document["manifests"].as_array_mut().context("an index has manifests")?;
    all.push(entry);
    std::fs::write(&path, document.to_string())
        .with_context(|| format!("writing {}", path.display()))
}
