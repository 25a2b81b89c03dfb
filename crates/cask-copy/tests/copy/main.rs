//! Copies between places in memory, which can do what a test says and notice what is wrong.

mod added;
mod attached;
mod clobber;
mod equivalents;
mod events;
mod explain;
mod failing;
mod fixed;
mod formats;
mod hostile;
mod index;
mod inspect;
mod layers;
mod named;
mod refused;
mod runtimes;
mod schema1;
mod support;
mod sync;
mod there;
mod validate;
