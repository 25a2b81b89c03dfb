//! `cargo xtask bench`

mod building;
mod corpus;
mod ground;
mod machine;
mod measure;
mod registry;
mod report;
mod rows;
mod run;
mod running;
mod storage;

pub(crate) use run::{BenchOptions, run};
