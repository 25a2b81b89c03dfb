//! Content as files: an OCI layout, and a `dir:` directory.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use bytes::Bytes;
use cask_image::{Algorithm, Digest};

use super::content::Content;
use super::document::{Index, Link, Map, to_bytes};

/// The annotation of a layout's entry that names it.
const NAME: &str = "org.opencontainers.image.ref.name";

/// The files of an OCI layout that holds some contents, by their paths in it. Entries that have no
/// name get none; referrers are entries without a name.
///
/// Hostile content is written as it is: a blob stands under the digest that it is said to have.
///
/// Source: OCI image specification, `image-layout.md`.
pub fn oci_layout_files(entries: &[(Option<&str>, &Content)]) -> BTreeMap<String, Bytes> {
    let mut files = BTreeMap::new();
    let mut tops = Vec::new();
    for (name, content) in entries {
        for blob in content.manifests.iter().chain(&content.blobs) {
            let digest = blob.digest();
            let path = format!("blobs/{}/{}", digest.algorithm(), digest.hex());
            files.entry(path).or_insert_with(|| blob.bytes.clone());
        }
        let mut top = content.top.clone();
        top.annotations.extend(name.map(|name| (NAME.into(), name.into())));
        tops.push(top);
    }
    let index = to_bytes(&Index {
        schema_version: 2,
        media_type: "application/vnd.oci.image.index.v1+json",
        manifests: tops.iter().map(Link::from).collect(),
        subject: None,
        annotations: &Map::new(),
    });
    files.insert("index.json".into(), index);
    files.insert("oci-layout".into(), r#"{"imageLayoutVersion":"1.0.0"}"#.into());
    files
}

/// The files of a `dir:` directory that holds one content.
///
/// Hostile content is written as it is: a blob stands under the digest that it is said to have.
///
/// # Panics
/// If the content does not hold its top.
///
/// Source: containers/image, `directory/directory_transport.go`.
pub fn dir_files(content: &Content) -> BTreeMap<String, Bytes> {
    let name = |digest: &Digest| match digest.algorithm() {
        Algorithm::Sha256 => digest.hex().to_owned(),
        algorithm => format!("{algorithm}-{}", digest.hex()),
    };
    let all = || content.manifests.iter().chain(&content.blobs);
    let plain = all().all(|blob| blob.digest().algorithm() == Algorithm::Sha256);
    let version = if plain { "1.1" } else { "1.2" };
    let mut files: BTreeMap<_, _> =
        content.blobs.iter().map(|blob| (name(blob.digest()), blob.bytes.clone())).collect();
    let instances =
        content.manifests.iter().filter(|manifest| *manifest.digest() != content.top.digest);
    files.extend(
        instances
            .map(|blob| (format!("{}.manifest.json", name(blob.digest())), blob.bytes.clone())),
    );
    files.insert("manifest.json".into(), content.top_bytes().clone());
    files.insert("version".into(), format!("Directory Transport Version: {version}\n").into());
    files
}

/// Writes an OCI layout: see [`oci_layout_files`].
///
/// # Errors
/// Whatever the file system says.
pub fn write_oci_layout(directory: &Path, entries: &[(Option<&str>, &Content)]) -> io::Result<()> {
    write_files(directory, &oci_layout_files(entries))?;
    fs::create_dir_all(directory.join("blobs/sha256"))
}

/// Writes a `dir:` directory: see [`dir_files`].
///
/// # Errors
/// Whatever the file system says.
///
/// # Panics
/// If the content does not hold its top.
pub fn write_dir(directory: &Path, content: &Content) -> io::Result<()> {
    write_files(directory, &dir_files(content))
}

/// Writes files below a directory, and makes the directories that they need. Files that are there
/// already are replaced, others stay.
///
/// # Errors
/// Whatever the file system says.
pub fn write_files(directory: &Path, files: &BTreeMap<String, Bytes>) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for (path, bytes) in files {
        let path = directory.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, bytes)?;
    }
    Ok(())
}
