//! The images that are copied. They are made once, below the target folder, and can be deleted at any time.
//!
//! ```text
//! corpus/
//!   recipe              which version of this code made the rest
//!   NAME/               an OCI layout with one image, tagged `latest`, its layers gzip
//!   python.docker.tar   the same image as `docker save` writes it
//!   python.oci.tar      the same image as an OCI archive
//!   python.plain/       its layers as plain tar files
//!   parts/              layers that several images share, as plain tar files
//! ```

mod folder;
mod kind;
mod layout;
mod parts;
mod synthetic;

pub(crate) use folder::Corpora;
pub(crate) use kind::Corpus;
pub(crate) use layout::Made;
