//! Cases of our own: compact Containerfiles, and what Debian's buildah 1.28.2 made of them, written down.
//!
//! `CASK_RECORD=1 cargo test -p tests --test build own` has the buildah of this machine build them, and writes down anew
//! what it makes; whoever does looks at what changed in `recorded.json`.

mod case;
mod copies;
mod on_purpose;
mod recorded;
mod stages;
mod words;
