//! Values as Go's reflection would see them: what templates look into and JSON is written from.

mod duration;
mod json;
mod model;
pub mod nil;
mod serialize;
mod time;

pub use duration::Duration;
pub(crate) use duration::go_duration;
pub(crate) use json::push_json;
pub use json::{JsonStyle, to_json};
pub use model::Value;
pub(crate) use model::{Record, Repr};
pub use serialize::ValueError;
pub(crate) use serialize::{LOOKUP, METHOD};
pub use time::Time;
