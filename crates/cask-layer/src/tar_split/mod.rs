//! tar-split: a tar stream without its payloads, and back.

mod assemble;
mod crc;
mod entry;
mod error;
mod lines;
mod reader;
mod recorder;
mod summary;
mod tree;
mod writer;

pub use assemble::{Assemble, Files, assemble};
pub use crc::Crc64;
pub use entry::TarSplitEntry;
pub use error::{TarSplitError, TarSplitErrorKind};
pub(crate) use lines::{Lines, SEGMENT_BYTES};
pub use reader::TarSplitReader;
pub use recorder::{Scratch, TarSplitRecorder};
pub use summary::{TarSplitSummary, summarize};
pub(crate) use tree::Tree;
pub use tree::member_path;
pub use writer::TarSplitWriter;
