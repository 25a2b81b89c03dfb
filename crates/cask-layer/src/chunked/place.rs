//! Where compressed pieces go, in order, and what the table says of them.

use std::collections::BTreeMap;
use std::io::{self, Write};

use cask_image::Digest;

use super::batch::{Batch, Mark, Piece, Role};
use super::row::Row;
use super::table::{Hidden, Table};

/// The blob as far as it is written.
pub(super) struct Place<W> {
    writer: W,
    written: u64,
    /// Nothing where the layer cannot have one.
    table: Option<Table>,
    current: Option<Current>,
}

/// A member whose pieces are not all written.
struct Current {
    row: Row,
    chunks: Vec<Chunk>,
}

/// A piece of a file as readers see it: one frame or several.
struct Chunk {
    offset: u64,
    plain_bytes: u64,
    digest: Option<Digest>,
    is_zeros: bool,
}

impl<W: Write> Place<W> {
    pub(super) fn new(writer: W) -> io::Result<Self> {
        Ok(Self { writer, written: 0, table: Some(Table::new()?), current: None })
    }

    /// There will be no table.
    pub(super) fn forget(&mut self) {
        self.table = None;
        self.current = None;
    }

    /// Writes the frames of a batch; tells whether readers will still take the table, if there is
    /// one.
    pub(super) fn put(&mut self, batch: &mut Batch) -> io::Result<bool> {
        if let Some(error) = batch.failure.take() {
            return Err(error.into());
        }
        let mut fits = true;
        let mut marks = batch.marks.drain(..).peekable();
        let mut start = 0;
        for (index, piece) in batch.pieces.iter_mut().enumerate() {
            while let Some((_, mark)) = marks.next_if(|(at, _)| *at <= index) {
                fits &= self.mark(mark)?;
            }
            self.piece(piece);
            self.writer.write_all(&batch.output[start..start + piece.frame_bytes])?;
            start += piece.frame_bytes;
            self.written += piece.frame_bytes as u64;
        }
        for (_, mark) in marks {
            fits &= self.mark(mark)?;
        }
        Ok(fits)
    }

    /// Ends the blob. With a tar-split it gets the table, and annotations that say so.
    pub(super) fn finish(
        mut self,
        tar_split: Option<Hidden>,
    ) -> io::Result<(W, BTreeMap<String, String>)> {
        self.flush()?;
        let annotations = match (self.table, tar_split) {
            (Some(table), Some(tar_split)) => {
                table.write(tar_split, self.written, &mut self.writer)?
            }
            _ => BTreeMap::new(),
        };
        Ok((self.writer, annotations))
    }

    /// Whether nothing was written.
    pub(super) fn is_empty(&self) -> bool {
        self.written == 0
    }

    /// Whether there is a table still.
    pub(super) fn has_table(&self) -> bool {
        self.table.is_some()
    }

    fn mark(&mut self, mark: Mark) -> io::Result<bool> {
        match mark {
            Mark::Begin(row) => {
                let fits = self.flush()?;
                self.current = Some(Current { row: *row, chunks: Vec::new() });
                return Ok(fits);
            }
            Mark::Chunk(digest) => {
                let chunks = self.current.as_mut().map(|current| &mut current.chunks);
                if let Some(chunk) = chunks.and_then(|chunks| chunks.last_mut()) {
                    chunk.digest = Some(digest);
                }
            }
            Mark::End(digest) => {
                if let Some(Current { row, chunks }) = &mut self.current {
                    let only = chunks.first().and_then(|chunk| chunk.digest.as_ref());
                    row.digest = digest.as_ref().or(only).map(Digest::to_string);
                    row.end_offset = self.written;
                }
                return self.flush();
            }
        }
        Ok(true)
    }

    fn piece(&mut self, piece: &mut Piece) {
        let Some(current) = &mut self.current else { return };
        let plain_bytes = piece.plain_bytes as u64;
        match (piece.role, piece.continues, current.chunks.last_mut()) {
            (Role::Between, ..) => {}
            (_, true, Some(chunk)) => chunk.plain_bytes += plain_bytes,
            (role, ..) => current.chunks.push(Chunk {
                offset: self.written,
                plain_bytes,
                digest: piece.digest.take(),
                is_zeros: role == Role::Zeros,
            }),
        }
    }

    /// Adds the member to the table.
    fn flush(&mut self) -> io::Result<bool> {
        let (Some(mut current), Some(table)) = (self.current.take(), &mut self.table) else {
            return Ok(true);
        };
        let row = &mut current.row;
        row.offset = current.chunks.first().map_or(0, |chunk| chunk.offset);
        if current.chunks.len() < 2 {
            return table.add(row);
        }
        let name = row.name.clone();
        let mut row = Some(std::mem::take(row));
        let (mut fits, mut chunk_offset) = (true, 0);
        for chunk in current.chunks {
            let mut row = row.take().unwrap_or_else(|| Row::chunk(&name));
            row.offset = chunk.offset;
            row.chunk_offset = chunk_offset;
            row.chunk_size = chunk.plain_bytes;
            row.chunk_digest = chunk.digest.as_ref().map(Digest::to_string);
            row.chunk_type = if chunk.is_zeros { "zeros" } else { "" };
            chunk_offset += chunk.plain_bytes;
            fits &= table.add(&row)?;
        }
        Ok(fits)
    }
}
