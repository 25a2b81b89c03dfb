#![doc = include_str!("../README.md")]

pub mod fault;
mod let_go;
mod lock;
mod open;

pub use let_go::let_go;
pub use lock::{Held, LockKind, Locked, lock, lock_now, try_lock, unlock};
pub use open::{Identity, describe, identity, is_same, open_beneath};
