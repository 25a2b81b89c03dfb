//! A list in an image layout whose images are there, and statements about them.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use cask::image::{
    Algorithm, Descriptor, Hasher, ImageFormat, ImageManifest, Index, Manifest, MediaType,
    Platform, RawManifest,
};
use serde_json::{Value, json};

use super::provenance::PREDICATE;

/// The annotation that an image's name in a layout is in.
const NAME: &str = "org.opencontainers.image.ref.name";

/// What says that an entry of a list is about another one, and about which.
///
/// Source: BuildKit, `docs/attestations/attestation-storage.md`.
const ABOUT_KIND: &str = "vnd.docker.reference.type";
const ABOUT: &str = "vnd.docker.reference.digest";
const STATEMENT: &str = "application/vnd.in-toto+json";
const STATEMENT_KIND: &str = "in-toto.io/predicate-type";

/// Makes the statement about an image: its number, and its manifest in the layout.
pub(super) type Attest<'a> = &'a (dyn Fn(usize, &Descriptor) -> Value + Sync);

/// Makes a list of the images that are called 0, 1 and so on, which is called `list`; behind them
/// stand the statements about them.
pub(super) fn add_list(
    directory: &Path,
    platforms: &[Platform],
    format: ImageFormat,
    attest: Option<Attest<'_>>,
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
    if let Some(attest) = attest {
        for number in 0..platforms.len() {
            let statement = attest(number, &entries[number]);
            let about = entries[number].digest.to_string();
            entries.push(add_statement(directory, &statement, about)?);
        }
    }
    let list = Index::new(format, entries).encode();
    write(directory, list.media_type().clone(), list.bytes())?;
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

/// Writes a statement as an image that no machine can run.
fn add_statement(directory: &Path, statement: &Value, about: String) -> Result<Descriptor> {
    let mut layer = write(directory, MediaType::from(STATEMENT), statement.to_string().as_bytes())?;
    layer.annotations.insert(STATEMENT_KIND.to_owned(), PREDICATE.to_owned());
    let config = json!({
        "architecture": "unknown",
        "os": "unknown",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest.as_str()]},
    });
    let config = write(directory, ImageFormat::Oci.config_type(), config.to_string().as_bytes())?;
    let manifest = ImageManifest::new(ImageFormat::Oci, config, vec![layer]).encode();
    let mut entry = write(directory, manifest.media_type().clone(), manifest.bytes())?;
    entry.annotations.insert(ABOUT_KIND.to_owned(), "attestation-manifest".to_owned());
    entry.annotations.insert(ABOUT.to_owned(), about);
    entry.platform = Some(Platform::new("unknown", "unknown"));
    Ok(entry)
}

fn write(directory: &Path, media_type: MediaType, bytes: &[u8]) -> Result<Descriptor> {
    let digest = Hasher::digest(Algorithm::Sha256, bytes);
    let blob = directory.join("blobs/sha256").join(digest.hex());
    std::fs::write(&blob, bytes).with_context(|| format!("writing {}", blob.display()))?;
    Ok(Descriptor::new(media_type, digest, bytes.len() as u64))
}
