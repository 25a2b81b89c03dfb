//! One block of a gzip stream, compressed without knowing the others' output.

use flate2::Crc;
use libdeflater::{CompressionLvl, Compressor};

use super::last_block::{self, LastBlock};
use super::pool::Job;

/// How many plain bytes make a block. Part of what decides the output's bytes.
pub(super) const BLOCK_BYTES: usize = 256 * 1024;

/// An empty stored block after its three bits of header: what makes deflate data end on a byte
/// boundary without ending the stream.
const EMPTY_STORED: [u8; 4] = [0, 0, 0xff, 0xff];

/// Room for one block's input and output, used again and again.
pub(super) struct Block {
    data: Vec<u8>,
    output: Vec<u8>,
    last: bool,
    crc: Crc,
}

impl Block {
    pub(super) fn new() -> Self {
        Self {
            data: Vec::with_capacity(BLOCK_BYTES),
            output: Vec::new(),
            last: false,
            crc: Crc::new(),
        }
    }

    /// Empties this block.
    pub(super) fn clear(&mut self) {
        self.data.clear();
        self.output.clear();
        self.last = false;
    }

    /// Takes as much of `data` as fits; returns how much that was.
    pub(super) fn fill(&mut self, data: &[u8]) -> usize {
        let count = data.len().min(BLOCK_BYTES - self.data.len());
        self.data.extend_from_slice(&data[..count]);
        count
    }

    pub(super) fn is_full(&self) -> bool {
        self.data.len() == BLOCK_BYTES
    }

    /// Makes this the block that ends the stream.
    pub(super) fn set_last(&mut self) {
        self.last = true;
    }

    /// The compressed bytes, after [`Deflate::block`].
    pub(super) fn output(&self) -> &[u8] {
        &self.output
    }

    /// The checksum and length of the plain bytes, after [`Deflate::block`].
    pub(super) fn crc(&self) -> &Crc {
        &self.crc
    }
}

impl Job for Block {
    type Tool = Deflate;

    const THREAD: &'static str = "cask-gzip";

    fn tool(level: i32) -> Deflate {
        Deflate::new(level)
    }

    fn work(&mut self, tool: &mut Deflate) {
        tool.block(self);
    }
}

/// Compresses blocks; what it makes of one does not depend on those before.
pub(super) struct Deflate(Compressor);

impl Deflate {
    /// # Panics
    /// If `level` is not one of gzip's, 1 to 9.
    pub(super) fn new(level: i32) -> Self {
        let level = CompressionLvl::new(level).ok();
        Self(Compressor::new(level.expect("the levels of gzip are levels of libdeflate")))
    }

    /// Compresses a block to deflate data that ends on a byte boundary.
    pub(super) fn block(&mut self, block: &mut Block) {
        block.output.resize(self.0.deflate_compress_bound(block.data.len()), 0);
        let length = self
            .0
            .deflate_compress(&block.data, &mut block.output)
            .expect("the output holds the worst case");
        block.output.truncate(length);
        if !block.last {
            reopen(&mut block.output);
        }
        block.crc.reset();
        block.crc.update(&block.data);
    }
}

/// Turns a whole stream into the beginning of one, which ends on a byte boundary.
///
/// The library only makes whole streams. Concatenated, each would have to be a gzip member of its
/// own, and readers that stop after the first are not rare.
fn reopen(stream: &mut Vec<u8>) {
    let LastBlock { header, end } =
        last_block::find(stream).expect("what was just made is a valid stream");
    stream[header / 8] &= !(1 << (header % 8));
    // The header of the stored block is zeros, as is what fills the last byte.
    stream.resize((end + 3).div_ceil(8), 0);
    stream.extend_from_slice(&EMPTY_STORED);
}
