#![doc = include_str!("../README.md")]

mod apply;
mod chunked;
mod compression;
mod diff;
mod error;
mod export;
mod hash;
mod members;
mod pipeline;
mod tar_split;
mod unpack;

pub use apply::{
    Applied, ApplyError, ApplyErrorKind, ApplyLimits, ApplyOptions, ApplyWarning, IdMaps, IdRange,
    MemberCounts, Whiteouts, apply,
};
pub use chunked::{Chunked, zstd_chunked};
pub use compression::{
    CompressWriter, Compression, DecompressLimits, DecompressReader, DetectedReader, Level,
    compress, decompress, detect_reader,
};
pub use diff::{
    DiffError, DiffErrorKind, DiffOptions, Diffed, FileTimes, MemberWriter, NewMember,
    diff_changes, diff_tree, diff_upper,
};
pub use error::{Error, ErrorKind, Limit, Operation};
pub use export::{ExportError, ExportOptions, Exported, export};
pub use hash::{MeasuredRead, Mismatch, VerifiedReader, verified};
pub use members::{
    Entry, Fragment, Member, MemberKind, MemberLimits, Members, Observe, Payload, TarError,
    TarErrorKind, Timestamp,
};
pub use pipeline::{PipelinedReader, pipelined};
pub use tar_split::{
    Assemble, Crc64, Files, Scratch, TarSplitEntry, TarSplitError, TarSplitErrorKind,
    TarSplitReader, TarSplitRecorder, TarSplitSummary, TarSplitWriter, assemble, member_path,
    summarize,
};
pub use unpack::{UnpackError, UnpackOptions, Unpacked, unpack, unpack_measured};
