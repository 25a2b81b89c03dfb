//! Images, and the seam in one line each.

#![allow(dead_code, reason = "every test uses a part of it")]

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use cask_image::{Descriptor, Digest, Manifest};
use cask_testkit::conformance;
use cask_testkit::generate::{Content, ImageSpec, LayerSpec};
use cask_transport::{
    Committed, Error, ErrorKind, Location, Result, Selector, Transport as _, VerifiedSource,
};
use cask_transport_dir::DirTransport;

pub(crate) fn parse(text: &str) -> Box<dyn Location> {
    DirTransport.parse(text).unwrap_or_else(|error| panic!("{text:?}: {error:?}"))
}

pub(crate) fn location(path: &Path) -> Box<dyn Location> {
    parse(path.to_str().unwrap())
}

/// An image with a layer of its own and one that all have.
pub(crate) fn image(seed: u64) -> Content {
    ImageSpec::new(seed)
        .layer(LayerSpec::new(1_000_000).size_bytes(20_000))
        .layer(LayerSpec::new(seed).size_bytes(20_000))
        .build()
        .content()
}

pub(crate) async fn write(path: &Path, content: &Content) -> Result<Committed> {
    conformance::write(&*location(path), content).await
}

/// Everything below the top of an image is read and checked. Gives the digest of the top.
pub(crate) async fn read(path: &Path) -> Result<Digest> {
    let source = location(path).source().await?;
    let top = source.resolve(&Selector::Chosen).await?;
    read_below(&source, &top).await?;
    Ok(top.digest)
}

/// Reads a manifest and everything below it.
pub(crate) async fn read_below(source: &VerifiedSource, top: &Descriptor) -> Result<()> {
    let mut pending = vec![top.clone()];
    while let Some(descriptor) = pending.pop() {
        let manifest = source.manifest(&descriptor).await?;
        let parsed = manifest.parse().map_err(|error| {
            Error::new(ErrorKind::Corrupt, "parsing", &descriptor.digest).with_source(error)
        })?;
        match parsed {
            Manifest::Index(index) => {
                pending.extend(index.manifests.iter().cloned());
            }
            Manifest::Image(image) => {
                for blob in std::iter::once(&image.config).chain(&image.layers) {
                    source.blob(blob).await?.drain().await?;
                }
            }
            other => panic!("{other:?} is not written by these tests"),
        }
    }
    Ok(())
}

/// What lies in a directory, and what is in the files.
pub(crate) fn files(directory: &Path) -> BTreeMap<String, Bytes> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let is_file = entry.file_type().unwrap().is_file();
        let bytes = if is_file { std::fs::read(entry.path()).unwrap() } else { Vec::new() };
        files.insert(entry.file_name().to_string_lossy().into_owned(), bytes.into());
    }
    files
}

/// The names in a directory.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    files(directory).into_keys().collect()
}
