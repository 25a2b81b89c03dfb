//! One entry of `layers.json`, `images.json` or `containers.json`.
//!
//! What is read is written again as Go's `encoding/json` would write it: the fields in the order
//! of the Go structures, omitted as there, with the same escapes. Fields that are not known here
//! are kept, behind the others.

mod container;
mod fields;
mod image;
mod layer;
mod value;

pub use container::ContainerRecord;
pub(crate) use fields::Record;
pub use image::ImageRecord;
pub use layer::LayerRecord;
pub(crate) use value::write_text;
pub use value::{Flags, IdMap};
