//! What a place can hold and do.

use std::num::NonZeroUsize;

use cask_image::MediaType;

/// In which form a place wants layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerForm {
    /// As they are.
    AsGiven,
    /// Compressed; a plain layer is compressed on the way unless the caller says otherwise.
    Compressed,
    /// Plain tars, always.
    Uncompressed,
}

/// What a collection can be asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CollectionCapabilities {
    /// List its entries.
    pub list: bool,
    /// Give an entry another name, or take a name away.
    pub tag: bool,
    /// Delete an entry.
    pub delete: bool,
}

/// What a location can hold and do. Code reads this instead of trying.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Images can be read.
    pub read: bool,
    /// Images can be written.
    pub write: bool,
    /// Blobs are read from files of this machine: what is done with them, and not waiting for them,
    /// takes the time.
    pub reads_files: bool,
    /// What can be done with the set of images.
    pub collection: CollectionCapabilities,
    /// The manifests that can be written, the preferred first.
    pub manifest_types: &'static [MediaType],
    /// The indexes that can be written, the preferred first; empty if only single images fit.
    pub index_types: &'static [MediaType],
    /// Manifests are kept byte for byte. Where not, they are made anew from config and layers.
    pub keeps_manifests: bool,
    /// An index may list indexes.
    pub nested_indexes: bool,
    /// Manifests whose config is not an image's can be written.
    pub artifacts: bool,
    /// Manifests with a `subject` can be found from their subject.
    pub referrers: bool,
    /// Writing the top manifest makes the image visible, not the commit: the place says whether it
    /// takes a manifest only by taking it.
    pub visible_with_top: bool,
    /// Signatures are stored beside manifests.
    pub signatures: bool,
    /// Layers that have URLs need not be stored.
    pub foreign_layers: bool,
    /// In which form layers are wanted.
    pub layer_form: LayerForm,
    /// A layer is unpacked while it is written, and refused if it is not the plain layer that it is
    /// said to be.
    pub compares_layers: bool,
    /// What is there of blobs can be asked as often as anybody likes, and costs little: asking
    /// neither reserves room nor changes anything.
    pub tells_freely: bool,
    /// How many blobs may be written at once. With one, they come in the order of
    /// [`Transaction::have`](crate::Transaction::have).
    pub concurrent_blobs: NonZeroUsize,
    /// More names than the location's own can be given to what is written.
    pub additional_names: bool,
    /// The index that an image was chosen from is kept beside it, so that the digest of either is a
    /// digest of the image.
    pub keeps_chosen_from: bool,
    /// Deleting an image by a name leaves its other names, and everything that other images need.
    pub deletes_by_name: bool,
}

impl Capabilities {
    /// A place that can do nothing yet: implementers switch on what they have.
    pub const fn none() -> Self {
        Self {
            read: false,
            write: false,
            reads_files: false,
            collection: CollectionCapabilities { list: false, tag: false, delete: false },
            manifest_types: &[],
            index_types: &[],
            keeps_manifests: true,
            nested_indexes: false,
            artifacts: false,
            referrers: false,
            visible_with_top: false,
            signatures: false,
            foreign_layers: false,
            layer_form: LayerForm::AsGiven,
            compares_layers: false,
            tells_freely: false,
            concurrent_blobs: NonZeroUsize::MIN,
            additional_names: false,
            keeps_chosen_from: false,
            deletes_by_name: false,
        }
    }
}
