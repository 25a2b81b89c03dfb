//! Images made for tests, in memory: the same from the same seed, honest or hostile.
//!
//! A [`Content`] is what a place holds of one image, index or artifact: blobs and manifests with
//! the descriptors that are said to be theirs. [`ImageSpec`], [`IndexSpec`] and [`ArtifactSpec`]
//! describe honest content; [`hostile`] has content, documents, tars and archives that lie. The
//! forms on disk are computed here too, by code that shares nothing with the crates under test.

mod archive;
mod artifact;
mod content;
mod disk;
mod document;
pub mod hostile;
mod image;
mod index;
mod layer;
mod random;
mod tar;

pub use archive::{SaveForm, docker_archive, oci_archive};
pub use artifact::{ArtifactSpec, attestation};
pub use content::{Blob, Content};
pub use disk::{dir_files, oci_layout_files, write_dir, write_files, write_oci_layout};
pub use image::{Format, Image, ImageSpec};
pub use index::{IndexSpec, platforms_index};
pub use layer::{Compression, Layer, LayerSpec};
pub use random::random_bytes;
pub use tar::{Tar, TarEntry};
