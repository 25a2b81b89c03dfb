//! What `index.json` lists, and changes to it.

use cask_image::{Descriptor, Index};
use cask_layout::ReferenceName;
use cask_transport::{Error, ErrorKind, Result};

/// The name of an image, as the OCI specification has it.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The full name, as containerd and BuildKit have it.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// An image that `index.json` lists, itself or through an index.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) descriptor: Descriptor,
    /// Where it stands in `index.json`; of one below, where the entry stands that leads there.
    pub(crate) position: usize,
    /// Through how many indexes it was found.
    pub(crate) depth: usize,
}

impl Entry {
    pub(crate) fn listed(position: usize, descriptor: Descriptor) -> Self {
        Self { descriptor, position, depth: 0 }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        name(&self.descriptor)
    }

    pub(crate) fn containerd_name(&self) -> Option<&str> {
        containerd_name(&self.descriptor)
    }
}

pub(crate) fn name(descriptor: &Descriptor) -> Option<&str> {
    annotation(descriptor, REF_NAME)
}

pub(crate) fn containerd_name(descriptor: &Descriptor) -> Option<&str> {
    annotation(descriptor, CONTAINERD_NAME)
}

fn annotation<'a>(descriptor: &'a Descriptor, key: &str) -> Option<&'a str> {
    descriptor.annotations.get(key).map(String::as_str).filter(|value| !value.is_empty())
}

/// An index that can be written again without losing anything.
///
/// # Errors
/// `Unsupported` if it has fields that nobody here knows.
pub(crate) fn editable(index: &Index) -> Result<Index> {
    match index.unknown_fields.first() {
        None => Ok(index.clone()),
        Some(field) => Err(Error::new(ErrorKind::Unsupported, "changing", "index.json")
            .with_detail(format!("its field {field} would be lost"))
            .with_hint("copy the images to a new archive")),
    }
}

/// Adds an entry. The first one that has the name loses it and stays; one of the same digest
/// without a name becomes the new one.
///
/// Source: containers/image, `oci/layout/oci_dest.go`, `addManifest`.
pub(crate) fn add(index: &mut Index, mut entry: Descriptor, new_name: Option<&ReferenceName>) {
    entry.annotations.remove(REF_NAME);
    if let Some(new_name) = new_name {
        let named = |old: &&mut Descriptor| name(old) == Some(new_name.as_str());
        if let Some(old) = index.manifests.iter_mut().find(named) {
            old.annotations.remove(REF_NAME);
        }
        entry.annotations.insert(REF_NAME.to_owned(), new_name.as_str().to_owned());
    }
    let same = |old: &&mut Descriptor| old.digest == entry.digest && name(old).is_none();
    match index.manifests.iter_mut().find(same) {
        Some(old) => {
            old.media_type = entry.media_type;
            old.size = entry.size;
            old.artifact_type = entry.artifact_type.or(old.artifact_type.take());
            old.annotations.extend(entry.annotations);
        }
        None => index.manifests.push(entry),
    }
}

/// Takes a name away wherever it is. An entry that has none then goes if another one is of the
/// same digest. False if there is no such name.
pub(crate) fn remove_name(index: &mut Index, old_name: &str) -> bool {
    let mut found = false;
    while let Some(position) = index.manifests.iter().position(|at| name(at) == Some(old_name)) {
        found = true;
        index.manifests[position].annotations.remove(REF_NAME);
        let digest = index.manifests[position].digest.clone();
        if index.manifests.iter().filter(|other| other.digest == digest).count() > 1 {
            index.manifests.remove(position);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use cask_image::{Algorithm, Digest, Hasher, ImageFormat, MediaType};

    use super::*;

    fn digest(content: &str) -> Digest {
        Hasher::digest(Algorithm::Sha256, content.as_bytes())
    }

    /// Digest and name of every entry; the digest as the content it was made of.
    fn listed(index: &Index) -> String {
        let entries = index.manifests.iter().map(|entry| {
            let content = ["a", "b"].into_iter().find(|c| digest(c) == entry.digest).unwrap();
            format!("{content}:{}", name(entry).unwrap_or("-"))
        });
        entries.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn entries_come_and_go_as_in_containers_image() {
        let mut index = Index::new(ImageFormat::Oci, Vec::new());
        let mut check = |content: &str, new: &str, expected: &str| {
            let entry = Descriptor::new(MediaType::OciManifest, digest(content), 7);
            let new = (new != "-").then(|| ReferenceName::parse(new).unwrap());
            add(&mut index, entry, new.as_ref());
            assert_eq!(listed(&index), expected, "after {content}:{new:?}");
        };
        check("a", "v1", "a:v1");
        check("a", "v2", "a:v1 a:v2");
        check("a", "-", "a:v1 a:v2 a:-");
        check("a", "v1", "a:v1 a:v2 a:-");
        check("a", "v3", "a:v1 a:v2 a:v3");
        check("b", "v1", "a:- a:v2 a:v3 b:v1");
        check("b", "-", "a:- a:v2 a:v3 b:v1 b:-");
        let mut check = |old: &str, found: bool, expected: &str| {
            assert_eq!(remove_name(&mut index, old), found, "{old}");
            assert_eq!(listed(&index), expected, "{old}");
        };
        check("v2", true, "a:- a:v3 b:v1 b:-");
        check("v2", false, "a:- a:v3 b:v1 b:-");
        check("v1", true, "a:- a:v3 b:-");
    }
}
