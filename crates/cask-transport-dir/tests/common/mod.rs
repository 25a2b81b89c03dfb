//! What the tests share.

mod image;

#[allow(unused_imports, reason = "every test uses a part of it")]
pub(crate) use image::{files, image, location, names, parse, read, read_below, write};
