#![doc = include_str!("../README.md")]

mod hints;
mod locked;
mod options;
mod partial;
mod transfers;
mod upload;

pub use hints::{Compressed, Hint};
pub use options::TransferOptions;
pub use partial::{PIECE_BYTES, Partial};
pub use transfers::Transfers;
pub use upload::KeptUpload;
