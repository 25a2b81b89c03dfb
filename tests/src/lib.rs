//! What the tests of the programs share: runs of programs, real images, places, scratch space.

mod debian;
mod fixtures;
mod peer;
mod place;
mod program;
mod registry;
mod relay;
mod scratch;
mod served;
mod store;
mod tree;
mod user;

pub use debian::debian;
pub use fixtures::{Daemon, Fixtures, daemon, fixtures};
pub use peer::{has, is_root};
pub use place::{Identity, Transport, digest, identity, layers};
pub use program::{
    Outcome, again, cellar_built, command, cooper_built, dray, dray_built, dray_with, run, skopeo,
    skopeo_with, tool,
};
pub use registry::{Access, PASSWORD, Registry, USER};
pub use relay::Relay;
pub use scratch::{Scratch, scratch, session};
pub use served::Served;
pub use store::PeerStore;
pub use tree::{Tree, tree};
pub use user::{RANGES, UID, User};
