//! Tests of the crate as a whole. Those of one module stand in it.

mod crash;
mod hostile;
mod reading;
mod registry;
mod removing;
mod support;
mod writing;
