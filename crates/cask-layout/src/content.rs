//! What holds the index and the manifests of a layout.

use cask_image::{Descriptor, Digest, RawManifest};

use crate::graph::{self, Reached, walk};
use crate::{Entry, Error, ErrorKind, Layout, ManifestCache, Selector, select};

/// A place with the content of a layout: a [directory](Layout), or an archive of one.
///
/// The first methods are what an implementer supplies; those after them follow, and are the same
/// for all.
pub trait Content {
    /// What goes wrong in this place.
    type Error;

    /// What messages call the place: a path.
    fn place(&self) -> String;

    /// What `index.json` lists, in its order.
    ///
    /// # Errors
    /// If there is no index, or no right one.
    fn list(&self) -> Result<Vec<Entry>, Self::Error>;

    /// A manifest whose bytes have the digest, whatever the descriptor says of their size.
    ///
    /// # Errors
    /// If it is not there, is larger than [`MAX_MANIFEST_BYTES`](cask_image::MAX_MANIFEST_BYTES),
    /// or has another digest.
    fn manifest(&self, descriptor: &Descriptor) -> Result<RawManifest, Self::Error>;

    /// The size of a blob in bytes; `None` if it is not there.
    ///
    /// # Errors
    /// If nobody can say.
    fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Self::Error>;

    /// Says what an error of this crate is in this place.
    fn explain(&self, error: Error) -> Self::Error;

    /// What an error of [`manifest`](Self::manifest) or [`blob_size`](Self::blob_size) means for
    /// who asks about more than that one manifest.
    fn finding(error: &Self::Error) -> Finding;

    /// Where what manifests say is remembered, if anywhere.
    fn cache(&self) -> Option<&ManifestCache> {
        None
    }

    /// Finds an image.
    ///
    /// By name it is, of what has a type that holds images (OCI's and Docker's manifests and
    /// indexes): the first entry of `index.json` with that name; else the first with that name in
    /// containerd's annotation; else the same in the indexes below, the nearest first. By digest:
    /// the first entry of `index.json`, else what an index below lists.
    ///
    /// Source: containers/image, `oci/layout/oci_transport.go`, `getManifestDescriptor`, which
    /// stops after the first step.
    ///
    /// # Errors
    /// As [`list`](Self::list); `NotFound` if there is no such image; `Ambiguous` if only one
    /// was expected; `Unsupported` if the name is that of something else than an image.
    fn resolve(&self, selector: Selector<'_>) -> Result<Entry, Self::Error> {
        select::resolve(self, selector)
    }

    /// Lists the manifests and indexes whose `subject` is the given one, found anywhere below
    /// `index.json`: directly, or in an index such as the one of a fallback tag.
    ///
    /// Descriptors have what the referrers API of a registry gives: type, digest, size, the
    /// artifact type (or else the type of the config) and the manifest's annotations. Manifests
    /// that are missing or cannot be read are left out: nobody knows what they refer to.
    ///
    /// Source: OCI distribution specification, "Listing Referrers".
    ///
    /// # Errors
    /// As [`list`](Self::list); `LimitExceeded` above 100 000 manifests; those of the system.
    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Self::Error> {
        graph::referrers(self, subject)
    }

    /// Lists everything that some entries need: what their indexes list, configs and layers.
    ///
    /// # Errors
    /// `LimitExceeded` above 100 000 manifests; those of the system.
    fn needed(&self, entries: Vec<Entry>) -> Result<Reached<Self::Error>, Self::Error> {
        walk(self, entries, |_| true, |_| ())
    }
}

/// What it means that a manifest could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is not there, as in sparse layouts.
    Missing,
    /// It is larger than any manifest.
    TooLarge,
    /// It is damaged, and nothing else is.
    Damaged,
    /// The system failed: others cannot be read either.
    System,
}

impl Content for Layout {
    type Error = Error;

    fn place(&self) -> String {
        self.path().display().to_string()
    }

    fn list(&self) -> Result<Vec<Entry>, Error> {
        self.list()
    }

    fn manifest(&self, descriptor: &Descriptor) -> Result<RawManifest, Error> {
        self.read_manifest(descriptor, None)
    }

    fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        self.blob_size(digest)
    }

    fn explain(&self, error: Error) -> Error {
        error
    }

    fn finding(error: &Error) -> Finding {
        match error.kind() {
            ErrorKind::NotFound => Finding::Missing,
            ErrorKind::LimitExceeded => Finding::TooLarge,
            ErrorKind::Io | ErrorKind::Denied => Finding::System,
            _ => Finding::Damaged,
        }
    }

    fn cache(&self) -> Option<&ManifestCache> {
        self.options().manifest_cache.as_ref()
    }
}
