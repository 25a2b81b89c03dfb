//! The stream as pieces, compressed on several threads.

use std::io::{self, Write};
use std::num::NonZeroUsize;

use cask_image::{Algorithm, Hasher};

use super::batch::{Batch, Mark, PIECE_BYTES, Piece, Role};
use super::place::Place;
use super::split::Pieces;
use crate::compression::Pool;

/// Fills batches, has them compressed, and puts them into their place.
pub(super) struct Filling<W> {
    pub(super) place: Place<W>,
    pool: Pool<Batch>,
    batch: Batch,
    spare: Vec<Batch>,
    /// The piece that is being filled, and where it begins in the batch.
    open: Option<(Role, usize)>,
    /// The next piece belongs to the chunk of the one before.
    continues: bool,
    /// The hash of a chunk that became several pieces.
    chunk: Option<Hasher>,
    file: Option<File>,
}

/// A file whose contents come.
struct File {
    size_bytes: u64,
    /// How much of it is in pieces that ended.
    done_bytes: u64,
    /// Its hash, if it became several pieces.
    hasher: Option<Hasher>,
}

impl<W: Write> Filling<W> {
    pub(super) fn new(writer: W, level: i32, threads: NonZeroUsize) -> io::Result<Self> {
        Ok(Self {
            place: Place::new(writer)?,
            pool: Pool::new(level, threads),
            batch: Batch::default(),
            spare: Vec::new(),
            open: None,
            continues: false,
            chunk: None,
            file: None,
        })
    }

    /// Notes what is known here.
    pub(super) fn mark(&mut self, mark: Mark) {
        self.batch.marks.push((self.batch.pieces.len(), mark));
    }

    /// What is no contents of a file.
    pub(super) fn between(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.fill(Role::Between, bytes)
    }

    /// The contents of a file come next, as [`Pieces`].
    pub(super) fn begin_file(&mut self, size_bytes: u64) {
        self.file = Some(File { size_bytes, done_bytes: 0, hasher: None });
    }

    /// The contents have come.
    pub(super) fn end_file(&mut self) -> io::Result<()> {
        self.cut()?;
        let hasher = self.file.take().and_then(|file| file.hasher);
        self.mark(Mark::End(hasher.map(Hasher::finish)));
        Ok(())
    }

    /// Waits for everything, and gives the place back. There is a frame even if there was nothing.
    pub(super) fn finish(mut self) -> io::Result<Place<W>> {
        self.close(false)?;
        if self.place.is_empty() && self.batch.pieces.is_empty() && self.pool.is_idle() {
            self.batch.pieces.push(Piece::new(Role::Between));
        }
        self.pool.submit_last(self.batch);
        while let Some(mut batch) = self.pool.next() {
            if !self.place.put(&mut batch)? {
                self.place.forget();
            }
        }
        Ok(self.place)
    }

    fn fill(&mut self, role: Role, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let start = match self.open {
                Some((open, start)) if open == role => start,
                _ => {
                    self.close(false)?;
                    self.open = Some((role, self.batch.plain.len()));
                    self.batch.plain.len()
                }
            };
            let room = PIECE_BYTES - (self.batch.plain.len() - start);
            let (part, rest) = bytes.split_at(room.min(bytes.len()));
            self.batch.plain.extend_from_slice(part);
            bytes = rest;
            if part.len() == room {
                self.close(true)?;
            }
        }
        Ok(())
    }

    /// Ends the piece that is being filled, if there is one; its chunk may go on.
    fn close(&mut self, may_go_on: bool) -> io::Result<()> {
        let Some((role, start)) = self.open.take() else { return Ok(()) };
        let plain = &self.batch.plain[start..];
        let mut piece = Piece::new(role);
        piece.plain_bytes = plain.len();
        if role != Role::Between {
            piece.continues = self.continues;
            self.continues = may_go_on;
            match &mut self.chunk {
                Some(hasher) => hasher.update(plain),
                None if may_go_on => {
                    let hasher = self.chunk.insert(Hasher::new(Algorithm::Sha256));
                    hasher.update(plain);
                }
                None => piece.hash = true,
            }
            if let Some(file) = &mut self.file {
                file.done_bytes += plain.len() as u64;
                let is_last = file.done_bytes == file.size_bytes;
                // The digest of an only piece is that of the file.
                if !(piece.hash && is_last && file.hasher.is_none()) {
                    let new = || Hasher::new(Algorithm::Sha256);
                    file.hasher.get_or_insert_with(new).update(plain);
                }
            }
        }
        self.batch.pieces.push(piece);
        if self.batch.is_full() { self.submit() } else { Ok(()) }
    }

    fn submit(&mut self) -> io::Result<()> {
        let next = self.spare.pop().unwrap_or_default();
        self.pool.submit(std::mem::replace(&mut self.batch, next));
        while let Some(mut batch) = self.pool.next_ready() {
            if !self.place.put(&mut batch)? {
                self.place.forget();
            }
            batch.clear();
            self.spare.push(batch);
        }
        Ok(())
    }
}

impl<W: Write> Pieces for Filling<W> {
    type Error = io::Error;

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.fill(Role::Data, bytes)
    }

    fn hole(&mut self, zeros: u64) -> io::Result<()> {
        self.cut()?;
        let mut left = zeros;
        while left > 0 {
            let part = left.min(ZEROS.len() as u64);
            self.fill(Role::Zeros, &ZEROS[..part as usize])?;
            left -= part;
        }
        self.cut()
    }

    fn cut(&mut self) -> io::Result<()> {
        self.close(false)?;
        self.continues = false;
        if let Some(hasher) = self.chunk.take() {
            self.mark(Mark::Chunk(hasher.finish()));
        }
        Ok(())
    }
}

/// Something to copy zeros from.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
