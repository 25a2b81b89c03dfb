#![doc = include_str!("../README.md")]

mod compression;
mod error;
mod members;
mod pipeline;
mod tar_split;

pub use compression::{
    CompressWriter, Compression, DecompressLimits, DecompressReader, DetectedReader, Level,
    compress, decompress, detect_reader,
};
pub use error::{Error, ErrorKind, Limit, Operation};
pub use members::{
    Entry, Fragment, Member, MemberKind, MemberLimits, Members, Observe, Payload, TarError,
    TarErrorKind, Timestamp,
};
pub use pipeline::{PipelinedReader, pipelined};
pub use tar_split::{
    Assemble, Crc64, Files, Scratch, TarSplitEntry, TarSplitError, TarSplitErrorKind,
    TarSplitReader, TarSplitRecorder, TarSplitWriter, assemble,
};
