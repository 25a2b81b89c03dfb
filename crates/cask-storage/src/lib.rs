#![doc = include_str!("../README.md")]
#![expect(dead_code, reason = "staging and mounting, which use the rest, are being written")]

mod big_data;
mod book;
mod cache;
mod check;
mod commit;
mod containers;
mod delete;
mod driver;
mod error;
mod fault;
mod file;
mod id;
mod images;
mod layers;
mod lock;
mod mount;
mod mount_points;
mod names;
mod new_container;
mod new_image;
mod options;
mod order;
mod place;
mod prune;
mod random;
mod read;
mod rebuild;
mod record;
mod reference;
mod reserve;
mod staged;
mod store;
mod table;
mod temp;
#[cfg(test)]
mod tests;
mod view;
mod warning;

pub use check::{CheckOptions, Problem, ProblemKind};
pub use delete::Deleted;
pub use error::{Error, ErrorKind, Result};
pub use id::Id;
pub use mount::MountOptions;
pub use mount_points::Mounted;
pub use new_container::NewContainer;
pub use new_image::{NewImage, NewLayer};
pub use options::{DriverKind, Durability, StoreOptions};
pub use prune::{PruneOptions, Pruned};
pub use read::LayerReader;
pub use record::{ContainerRecord, Flags, IdMap, ImageRecord, LayerRecord};
pub use reference::{ImageName, StorageReference, StoreSpecifier};
pub use staged::StagedLayer;
pub use store::Store;
pub use view::{Container, Image, Layer};
pub use warning::Warning;
