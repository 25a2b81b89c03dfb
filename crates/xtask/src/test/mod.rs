//! `cargo xtask test`

mod deny;
mod packages;
mod patience;
mod run;
mod summary;

pub(crate) use run::{TestOptions, run};
