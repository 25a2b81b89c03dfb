//! One block of a gzip stream, compressed without knowing the others' output.

use flate2::{Compress, Compression, Crc, FlushCompress};

/// How many plain bytes make a block. Part of what decides the output's bytes.
pub(super) const BLOCK_BYTES: usize = 128 * 1024;

/// How far back deflate refers: what each block sees of the one before it.
pub(super) const WINDOW_BYTES: usize = 32 * 1024;

/// More than any block compresses to: level 1 writes at most 9 bits for a byte, the others fall
/// back to stored blocks. A fixed size, because how much room there is may show in the output.
const OUTPUT_BYTES: usize = BLOCK_BYTES + BLOCK_BYTES / 8 + 1024;

/// Room for one block's input and output, used again and again.
pub(super) struct Block {
    /// The window, then the data.
    input: Vec<u8>,
    window: usize,
    output: Box<[u8]>,
    output_len: usize,
    last: bool,
    crc: Crc,
}

impl Block {
    pub(super) fn new() -> Self {
        Self {
            input: Vec::with_capacity(WINDOW_BYTES + BLOCK_BYTES),
            window: 0,
            output: vec![0; OUTPUT_BYTES].into_boxed_slice(),
            output_len: 0,
            last: false,
            crc: Crc::new(),
        }
    }

    /// Empties this block and gives it the end of `previous` to refer to.
    pub(super) fn begin_after(&mut self, previous: &Self) {
        let data = previous.data();
        self.input.clear();
        self.input.extend_from_slice(&data[data.len().saturating_sub(WINDOW_BYTES)..]);
        self.window = self.input.len();
        self.output_len = 0;
        self.last = false;
    }

    /// Takes as much of `data` as fits; returns how much that was.
    pub(super) fn fill(&mut self, data: &[u8]) -> usize {
        let count = data.len().min(BLOCK_BYTES - self.data().len());
        self.input.extend_from_slice(&data[..count]);
        count
    }

    pub(super) fn is_full(&self) -> bool {
        self.data().len() == BLOCK_BYTES
    }

    /// Makes this the block that ends the stream.
    pub(super) fn set_last(&mut self) {
        self.last = true;
    }

    /// The plain bytes of this block.
    fn data(&self) -> &[u8] {
        &self.input[self.window..]
    }

    /// The compressed bytes, after [`deflate`].
    pub(super) fn output(&self) -> &[u8] {
        &self.output[..self.output_len]
    }

    /// The checksum and length of the plain bytes, after [`deflate`].
    pub(super) fn crc(&self) -> &Crc {
        &self.crc
    }
}

/// Compresses a block to deflate data that ends on a byte boundary.
///
/// Each block gets a compressor of its own: one that is reset keeps old bytes in its window, which
/// zlib-rs 0.6 hashes behind the end of a dictionary, so that the output would depend on which
/// blocks the compressor had seen before.
pub(super) fn deflate(level: u32, block: &mut Block) {
    let mut compress = Compress::new(Compression::new(level), false);
    let (window, data) = block.input.split_at(block.window);
    if !window.is_empty() {
        compress
            .set_dictionary(window)
            .expect("a raw deflate stream takes a dictionary at its beginning");
    }
    let flush = if block.last { FlushCompress::Finish } else { FlushCompress::Sync };
    compress
        .compress(data, &mut block.output, flush)
        .expect("deflate fails only if used in the wrong order");
    block.output_len = compress.total_out() as usize;
    assert!(
        compress.total_in() == data.len() as u64 && block.output_len < block.output.len(),
        "the output buffer holds the worst case"
    );
    block.crc.reset();
    block.crc.update(data);
}
