//! A transport that keeps everything in memory: for tests of whoever copies, and the model of how
//! to write a transport of one's own.
//!
//! A [`MemoryStore`] is a value; its clones share what it holds. It is a set of shelves, each with
//! images of its own, as a registry is a set of repositories: `memory:SHELF:NAME` is an image,
//! `memory:SHELF` the only image of a shelf, or one without a name. Where the name is a reference
//! with a digest, `memory:SHELF:example.com/app@sha256:…`, that digest is asked for.
//!
//! What it can do is a value too: tests set its [`Capabilities`](cask_transport::Capabilities), and
//! it refuses whatever they exclude. It refuses to commit what is not complete, and it notices when
//! the order of calls is not the promised one. [`Behaviour`] has it lie, fail, or answer otherwise
//! than usual, and [`MemoryStore::calls`] tells what it was asked.
//!
//! ```
//! use cask_testkit::generate::ImageSpec;
//! use cask_testkit::memory::{Call, MemoryStore};
//! use cask_transport::Selector;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let store = MemoryStore::new();
//! let image = ImageSpec::new(1).build();
//! store.insert("memory:app:1", &image.content());
//!
//! let source = store.location("memory:app:1").source().await?;
//! let top = source.resolve(&Selector::Chosen).await?;
//! assert_eq!(top.digest, *image.digest());
//! assert_eq!(store.calls(), [Call::Open, Call::Resolve]);
//! # Ok::<(), cask_transport::Error>(())
//! # }).unwrap();
//! ```

mod behaviour;
mod bytes;
mod call;
mod collection;
mod location;
mod shelf;
mod source;
mod store;
mod transaction;
mod writing;

pub use behaviour::{Behaviour, Failure, Lie, Reuse, Writing};
pub use call::Call;
pub use location::MemoryTransport;
pub use store::MemoryStore;
