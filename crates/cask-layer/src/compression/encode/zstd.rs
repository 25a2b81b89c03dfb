//! zstd in jobs of a fixed size, whose bytes do not depend on the workers.
//!
//! Source: `zstd.h`, "Advanced compression API"; `zstdmt_compress.c` for the memory.

use std::io::{self, Write};
use std::num::NonZeroUsize;

use zstd::zstd_safe::zstd_sys::{ZSTD_EndDirective, ZSTD_ErrorCode};
use zstd::zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, SafeResult, get_error_name};

use crate::compression::Compression;
use crate::{Error, ErrorKind};

const OUTPUT_BYTES: usize = 128 * 1024;
const MIB: u32 = 1 << 20;

/// The largest window that RFC 8878 asks every decoder to accept: 8 MiB.
const MAX_WINDOW_LOG: u32 = 23;

/// The library's own limit where pointers have 32 bits; on others it would take more.
const MAX_WORKERS: usize = 64;

pub(super) struct ZstdWriter<W> {
    writer: W,
    context: CCtx<'static>,
    output: Box<[u8]>,
}

impl<W: Write> ZstdWriter<W> {
    pub(super) fn new(writer: W, level: i32, threads: NonZeroUsize) -> Result<Self, Error> {
        let mut context = CCtx::try_create().ok_or_else(|| {
            let detail = "not enough memory for zstd's state";
            Error::compress(ErrorKind::OutOfMemory, Compression::Zstd, detail)
        })?;
        for parameter in parameters(level, threads) {
            check(context.set_parameter(parameter))?;
        }
        Ok(Self { writer, context, output: vec![0; OUTPUT_BYTES].into_boxed_slice() })
    }

    pub(super) fn write(&mut self, data: &[u8]) -> io::Result<()> {
        let mut input = InBuffer::around(data);
        while input.pos() < data.len() {
            self.step(&mut input, ZSTD_EndDirective::ZSTD_e_continue)?;
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        while self.step(&mut InBuffer::around(&[]), ZSTD_EndDirective::ZSTD_e_end)? > 0 {}
        Ok(self.writer)
    }

    pub(super) fn inner(&self) -> &W {
        &self.writer
    }

    /// One call of the library: returns how much is left to flush.
    fn step(&mut self, input: &mut InBuffer<'_>, end: ZSTD_EndDirective) -> io::Result<usize> {
        let mut output = OutBuffer::around(&mut self.output[..]);
        let left = check(self.context.compress_stream2(&mut output, input, end))?;
        let produced = output.pos();
        self.writer.write_all(&self.output[..produced])?;
        Ok(left)
    }
}

fn parameters(level: i32, threads: NonZeroUsize) -> Vec<CParameter> {
    let workers = threads.get().min(MAX_WORKERS) as u32;
    // Without a size of our own, jobs are four windows large: 41 MiB of buffers for two workers
    // at level 3. With these, and half a window of overlap, the output grows by 0.4 %.
    let job_bytes = match level {
        ..=8 => MIB * 3 / 2,
        9..=16 => 4 * MIB,
        _ => 8 * MIB,
    };
    let mut parameters = vec![
        CParameter::CompressionLevel(level),
        // Never 0: the library's output without workers is another one.
        CParameter::NbWorkers(workers),
        CParameter::JobSize(job_bytes),
        CParameter::OverlapSizeLog(8),
        CParameter::ChecksumFlag(true),
    ];
    if level > 19 {
        parameters.push(CParameter::WindowLog(MAX_WINDOW_LOG));
    }
    parameters
}

fn check(result: SafeResult) -> Result<usize, Error> {
    result.map_err(|code| {
        // zstd returns its error numbers negated.
        let out_of_memory = ZSTD_ErrorCode::ZSTD_error_memory_allocation as usize;
        let kind = if code.wrapping_neg() == out_of_memory {
            ErrorKind::OutOfMemory
        } else {
            ErrorKind::Unsupported
        };
        let detail = format!("cannot compress to zstd: {}", get_error_name(code).to_lowercase());
        Error::compress(kind, Compression::Zstd, detail)
    })
}
