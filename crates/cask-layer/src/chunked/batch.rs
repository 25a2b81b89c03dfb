//! Pieces of a blob that are compressed together, each to a frame of its own.

use cask_image::{Algorithm, Digest, Hasher};
use zstd::zstd_safe::{CCtx, CParameter, SafeResult, compress_bound, get_error_name};

use super::row::Row;
use crate::compression::{Compression, Job};
use crate::{Error, ErrorKind};

/// The most plain bytes of one frame. Part of what decides the output's bytes.
pub(super) const PIECE_BYTES: usize = 256 * 1024;

/// A batch with so many plain bytes takes no further piece.
const BATCH_BYTES: usize = 256 * 1024;

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Headers and padding.
    Between,
    /// Contents of a file.
    Data,
    /// Contents of a file that are zeros only.
    Zeros,
}

/// What becomes one frame.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) role: Role,
    /// It belongs to the same chunk as the piece before.
    pub(super) continues: bool,
    /// Its digest is wanted.
    pub(super) hash: bool,
    pub(super) plain_bytes: usize,
    /// How long the frame is.
    pub(super) frame_bytes: usize,
    pub(super) digest: Option<Digest>,
}

impl Piece {
    /// One of nothing.
    pub(super) fn new(role: Role) -> Self {
        Self { role, continues: false, hash: false, plain_bytes: 0, frame_bytes: 0, digest: None }
    }
}

/// What is known at a place between two pieces.
#[derive(Debug)]
pub(super) enum Mark {
    /// A member begins.
    Begin(Box<Row>),
    /// The chunk before, of several pieces, has this digest.
    Chunk(Digest),
    /// The contents of a file end. Their digest is that of their only piece if it is not here.
    End(Option<Digest>),
}

/// Pieces in order.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) plain: Vec<u8>,
    pub(super) pieces: Vec<Piece>,
    /// Each with the number of pieces before it.
    pub(super) marks: Vec<(usize, Mark)>,
    /// The frames, one after the other.
    pub(super) output: Vec<u8>,
    pub(super) failure: Option<Error>,
}

impl Batch {
    pub(super) fn is_full(&self) -> bool {
        self.plain.len() >= BATCH_BYTES
    }

    pub(super) fn clear(&mut self) {
        self.plain.clear();
        self.pieces.clear();
        self.marks.clear();
        self.output.clear();
        self.failure = None;
    }

    fn compress(&mut self, context: &mut CCtx<'static>) -> Result<(), Error> {
        let mut at = 0;
        for piece in &mut self.pieces {
            let plain = &self.plain[at..at + piece.plain_bytes];
            at += piece.plain_bytes;
            let start = self.output.len();
            self.output.resize(start + compress_bound(plain.len()), 0);
            piece.frame_bytes = check(context.compress2(&mut self.output[start..], plain))?;
            self.output.truncate(start + piece.frame_bytes);
            if piece.hash {
                piece.digest = Some(Hasher::digest(Algorithm::Sha256, plain));
            }
        }
        Ok(())
    }
}

impl Job for Batch {
    type Tool = Result<CCtx<'static>, Error>;

    const THREAD: &'static str = "cask-chunked";

    fn tool(level: i32) -> Self::Tool {
        let mut context = CCtx::try_create().ok_or_else(|| {
            let detail = "not enough memory for zstd's state";
            Error::compress(ErrorKind::OutOfMemory, Compression::Zstd, detail)
        })?;
        check(context.set_parameter(CParameter::CompressionLevel(level)))?;
        check(context.set_parameter(CParameter::ChecksumFlag(true)))?;
        Ok(context)
    }

    fn work(&mut self, tool: &mut Self::Tool) {
        let done = match tool {
            Ok(context) => self.compress(context),
            Err(error) => Err(error.clone()),
        };
        self.failure = done.err();
    }
}

fn check(result: SafeResult) -> Result<usize, Error> {
    result.map_err(|code| {
        let detail = format!("cannot compress to zstd: {}", get_error_name(code).to_lowercase());
        Error::compress(ErrorKind::OutOfMemory, Compression::Zstd, detail)
    })
}
