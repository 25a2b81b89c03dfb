//! `cargo xtask bench`

mod corpus;
mod machine;
mod measure;
mod registry;
mod report;
mod rows;
mod run;
mod storage;

pub(crate) use run::{BenchOptions, run};
