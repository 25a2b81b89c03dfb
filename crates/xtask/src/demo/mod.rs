//! The main job, end to end, on what every machine has.

mod build;
mod image;
mod registry;
mod run;
mod store;

pub(crate) use run::run;
