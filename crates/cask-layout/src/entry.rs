//! What a layout lists.

use cask_image::Descriptor;

use crate::index::REF_NAME;

/// The annotation in which containerd and BuildKit keep the full name of an image.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// An image, artifact or index that `index.json` lists, itself or through an index.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// What names the manifest or index.
    pub descriptor: Descriptor,
    /// Where it stands in `index.json`, from zero; if it was found in another index, where the
    /// entry stands that leads there.
    pub position: usize,
    /// Through how many indexes it was found; zero if `index.json` itself lists it.
    pub depth: usize,
}

impl Entry {
    /// One that `index.json` lists.
    pub(crate) fn listed(position: usize, descriptor: Descriptor) -> Self {
        Self { descriptor, position, depth: 0 }
    }

    /// The name of the image, if it has one: the annotation
    /// `org.opencontainers.image.ref.name`. Not always one that could be written; see
    /// [`ReferenceName`](crate::ReferenceName).
    pub fn name(&self) -> Option<&str> {
        name(&self.descriptor)
    }

    /// The full name that containerd and BuildKit give, if they did: the annotation
    /// `io.containerd.image.name`.
    pub fn containerd_name(&self) -> Option<&str> {
        containerd_name(&self.descriptor)
    }
}

/// What a descriptor says of the name.
pub(crate) fn name(descriptor: &Descriptor) -> Option<&str> {
    annotation(descriptor, REF_NAME)
}

/// What a descriptor says of containerd's name.
pub(crate) fn containerd_name(descriptor: &Descriptor) -> Option<&str> {
    annotation(descriptor, CONTAINERD_NAME)
}

fn annotation<'a>(descriptor: &'a Descriptor, key: &str) -> Option<&'a str> {
    descriptor.annotations.get(key).map(String::as_str).filter(|value| !value.is_empty())
}
