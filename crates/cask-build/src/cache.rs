//! The results of earlier builds.
//!
//! ```text
//! STATE/                          <graph root>/cask/build
//! ├── records/<2 digits>/<key>    what a step gave, and the parts of its key
//! ├── places/<2 digits>/<key>     the keys that a step at a place had last, to compare with
//! ├── tmp/                        what is being written
//! └── mounts/<key>/               cache mounts: data/ and info
//! ```
//!
//! Every record is a file that is written whole and renamed into its place, with its own digest in
//! its first line. So any number of builds may read and write at the same time, a build that is
//! killed leaves nothing half, and a record that is damaged is none.
//!
//! A key names what a step builds on by the ID of the uppermost layer, and that says what all of its
//! files are. Layers have no time of the clock in them. So a step that is done again and gives the
//! same files gives the same layer, and what follows is found: no second index by contents is needed.

mod explain;
mod manage;
mod record;
mod store;

pub use explain::Miss;
pub use manage::{CacheEntry, CacheEntryKind, CachePrune, CachePruned};
pub(crate) use record::{LayerFact, Record};
pub use store::Cache;
pub(crate) use store::{Found, make_directory};
