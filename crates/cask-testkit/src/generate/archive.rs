//! Content as archives: `oci-archive:` and `docker-archive:`.

use std::collections::BTreeSet;

use serde::Serialize;

use super::content::Content;
use super::disk::oci_layout_files;
use super::document::to_bytes;
use super::image::Image;
use super::tar::Tar;

/// Which of the forms of `docker save` an archive has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveForm {
    /// A layer is `HEX.tar` by its diff ID, a config `HEX.json`: what skopeo writes.
    Flat,
    /// The layers lie in an OCI layout, as in the images: what Docker writes since version 25.
    Hybrid,
}

/// Makes the archive of an OCI layout that holds some contents: see
/// [`oci_layout_files`].
pub fn oci_archive(entries: &[(Option<&str>, &Content)]) -> Vec<u8> {
    with_layout(Tar::new(), entries).finish()
}

/// Makes a `docker save` archive of some images, each with its tags: `docker.io/library/a:1`.
///
/// Source: containers/image, `docker/internal/tarfile`; moby, `image/tarexport`.
pub fn docker_archive(images: &[(&Image, &[&str])], form: SaveForm) -> Vec<u8> {
    let mut tar = Tar::new();
    let mut items = Vec::new();
    match form {
        SaveForm::Flat => {
            let mut written = BTreeSet::new();
            for (image, _) in images {
                for (path, bytes) in flat_members(image) {
                    if written.insert(path.clone()) {
                        tar = tar.file(path, bytes);
                    }
                }
            }
        }
        SaveForm::Hybrid => {
            let contents: Vec<_> = images.iter().map(|(image, _)| image.content()).collect();
            let entries: Vec<_> = contents.iter().map(|content| (None, content)).collect();
            tar = with_layout(tar, &entries);
        }
    }
    for (image, tags) in images {
        items.push(Item {
            config: config_member(image, form),
            repo_tags: tags,
            layers: image.layers.iter().map(|layer| layer_member(layer, form)).collect(),
        });
    }
    tar.file("manifest.json", to_bytes(&items)).finish()
}

/// One image of `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Item<'a> {
    pub(super) config: String,
    pub(super) repo_tags: &'a [&'a str],
    pub(super) layers: Vec<String>,
}

/// The config and the layers of an image, as members of a flat archive.
pub(super) fn flat_members(image: &Image) -> Vec<(String, bytes::Bytes)> {
    let layers = image.layers.iter();
    let config = (config_member(image, SaveForm::Flat), image.config.bytes.clone());
    let layers = layers.map(|layer| (layer_member(layer, SaveForm::Flat), layer.tar.clone()));
    layers.chain([config]).collect()
}

fn config_member(image: &Image, form: SaveForm) -> String {
    let digest = image.config.digest();
    match form {
        SaveForm::Flat => format!("{}.json", digest.hex()),
        SaveForm::Hybrid => format!("blobs/{}/{}", digest.algorithm(), digest.hex()),
    }
}

fn layer_member(layer: &super::Layer, form: SaveForm) -> String {
    let digest = layer.blob.digest();
    match form {
        SaveForm::Flat => format!("{}.tar", layer.diff_id.hex()),
        SaveForm::Hybrid => format!("blobs/{}/{}", digest.algorithm(), digest.hex()),
    }
}

fn with_layout(tar: Tar, entries: &[(Option<&str>, &Content)]) -> Tar {
    let files = oci_layout_files(entries);
    let parents = files.keys().filter_map(|path| path.rsplit_once('/').map(|(parent, _)| parent));
    let parents: BTreeSet<_> = parents.chain(["blobs/sha256"]).collect();
    let directory = |tar: Tar, path: &str| tar.directory(format!("{path}/"));
    let tar = parents.into_iter().fold(directory(tar, "blobs"), directory);
    files.into_iter().fold(tar, |tar, (path, bytes)| tar.file(path, bytes))
}
