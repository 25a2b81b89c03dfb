//! Parallel gzip: one member of independent blocks, whose bytes do not depend on the threads.
//!
//! Source: RFC 1952; pigz for the method; Go `compress/gzip` for the header.

use std::io::{self, Write};
use std::mem;
use std::num::NonZeroUsize;

use flate2::Crc;

use super::deflate::Block;
use super::pool::Pool;

/// "Unknown" in RFC 1952, and what Go writes on every system.
const OS_UNKNOWN: u8 = 255;

pub(super) struct GzipWriter<W> {
    sink: Sink<W>,
    pool: Pool<Block>,
    /// What is being filled.
    block: Block,
    spare: Vec<Block>,
}

impl<W: Write> GzipWriter<W> {
    pub(super) fn new(writer: W, level: i32, threads: NonZeroUsize) -> Self {
        Self {
            sink: Sink { writer, level, header_written: false, crc: Crc::new() },
            pool: Pool::new(level, threads),
            block: Block::new(),
            spare: Vec::new(),
        }
    }

    pub(super) fn write(&mut self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let count = self.block.fill(data);
            data = &data[count..];
            if self.block.is_full() {
                let mut next = self.spare.pop().unwrap_or_else(Block::new);
                next.clear();
                self.pool.submit(mem::replace(&mut self.block, next));
                while let Some(block) = self.pool.next_ready() {
                    self.sink.emit(&block)?;
                    self.spare.push(block);
                }
            }
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        while let Some(block) = self.pool.next() {
            self.sink.emit(&block)?;
            self.spare.push(block);
        }
        self.sink.writer.flush()
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.block.set_last();
        self.pool.submit_last(self.block);
        while let Some(block) = self.pool.next() {
            self.sink.emit(&block)?;
        }
        self.sink.end()
    }

    pub(super) fn inner(&self) -> &W {
        &self.sink.writer
    }
}

/// Where compressed blocks go, in order.
struct Sink<W> {
    writer: W,
    level: i32,
    header_written: bool,
    crc: Crc,
}

impl<W: Write> Sink<W> {
    fn emit(&mut self, block: &Block) -> io::Result<()> {
        if !self.header_written {
            self.writer.write_all(&header(self.level))?;
            self.header_written = true;
        }
        self.crc.combine(block.crc());
        self.writer.write_all(block.output())
    }

    fn end(mut self) -> io::Result<W> {
        self.writer.write_all(&self.crc.sum().to_le_bytes())?;
        // RFC 1952 wants the length modulo 2^32.
        self.writer.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.writer)
    }
}

/// The header that Go writes: no name, no time, and a hint at the level.
fn header(level: i32) -> [u8; 10] {
    let extra_flags = match level {
        9 => 2,
        1 => 4,
        _ => 0,
    };
    [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, extra_flags, OS_UNKNOWN]
}
