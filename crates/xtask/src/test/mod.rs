//! `cargo xtask test`

mod deny;
mod listing;
mod packages;
mod patience;
mod run;
mod several;
mod summary;

pub(crate) use listing::{NoteOptions, note};
pub(crate) use run::{TestOptions, run};
