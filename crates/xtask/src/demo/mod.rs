//! The main job, end to end, on what every machine has.

mod image;
mod registry;
mod run;

pub(crate) use run::run;
