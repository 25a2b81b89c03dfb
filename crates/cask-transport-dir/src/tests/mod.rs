//! Tests of the inside as a whole. Those of one module stand in it, those of the crate beside it.

mod crash;
mod image;
mod staging;
