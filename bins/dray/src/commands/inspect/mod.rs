//! `dray inspect`

mod command;
mod config;
mod indent;
mod index;
mod manifest;
mod show;
mod summary;

pub(crate) use command::{Arguments, run};
