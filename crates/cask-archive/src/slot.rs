//! One member that is being written.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex};

use crate::error::{ErrorKind, Result};
use crate::file;
use crate::queue::{Shared, locked};

/// What waits for its place in the archive stays in memory up to this many bytes.
const MAX_MEMORY_BYTES: usize = 64 << 10;

/// A member of an archive that is being written. Several may be written at once: their order in
/// the archive is that in which they were begun.
///
/// Data goes to its final place where that is known: everywhere in a file, unless a member before
/// it, whose size is not known yet, is still being written. Otherwise it waits in a file without a
/// name.
///
/// A slot that is dropped before it was finished is left out of the archive if that is still
/// possible. If not, no archive comes of it.
#[derive(Debug)]
pub struct Slot {
    shared: Arc<Shared>,
    body: Arc<Mutex<Body>>,
    ticket: u64,
    size: Option<u64>,
    finished: bool,
}

/// The data of a member, wherever it is.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) place: Place,
    pub(crate) name: Option<String>,
    pub(crate) written: u64,
    pub(crate) finished: bool,
}

/// Where a member's data is.
#[derive(Debug)]
pub(crate) enum Place {
    /// In the archive's file.
    Settled { header_offset: u64, data_offset: u64 },
    /// In the stream, and gone.
    Streamed,
    /// Waiting, and small.
    Memory(Vec<u8>),
    /// Waiting, in a file of its own.
    Spooled(File),
}

impl Slot {
    pub(crate) fn new(
        shared: Arc<Shared>,
        body: Arc<Mutex<Body>>,
        ticket: u64,
        size: Option<u64>,
    ) -> Self {
        Self { shared, body, ticket, size, finished: false }
    }

    /// How many bytes were written so far.
    pub fn written_bytes(&self) -> u64 {
        locked(&self.body).written
    }

    /// Forgets what was written, to begin again.
    ///
    /// # Errors
    /// `Unsupported` if bytes went to a stream already: they cannot be taken back. `Io`.
    pub fn restart(&mut self) -> Result<()> {
        let body = &mut *locked(&self.body);
        match &mut body.place {
            _ if body.written == 0 => {}
            Place::Settled { .. } => {}
            Place::Memory(bytes) => bytes.clear(),
            Place::Spooled(file) => file.set_len(0).map_err(|error| self.shared.io(error))?,
            Place::Streamed => {
                let detail = "what went to a stream cannot be written again";
                return Err(self.shared.error(ErrorKind::Unsupported, detail));
            }
        }
        body.written = 0;
        Ok(())
    }

    /// Completes the member, which got its name when it was begun.
    ///
    /// # Errors
    /// `WrongSize` if not exactly the announced number of bytes was written; `Unfinished` if the
    /// member has no name; `Io`.
    pub fn finish(mut self) -> Result<()> {
        self.shared.complete(&self.body, self.ticket, self.size, None)?;
        self.finished = true;
        Ok(())
    }

    /// Completes the member under a name that is known only now.
    ///
    /// # Errors
    /// As [`Slot::finish`]; `Duplicate` and `UnsafeName` for the name.
    pub fn finish_as(mut self, name: &str) -> Result<()> {
        self.shared.complete(&self.body, self.ticket, self.size, Some(name))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.finished {
            self.shared.abandon(&self.body, self.ticket, self.size);
        }
    }
}

impl Write for Slot {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut body = locked(&self.body);
        if let Some(size) = self.size
            && bytes.len() as u64 > size - body.written
        {
            let detail = format!("more data than the {size} bytes that were announced");
            return Err(self.shared.member_error(ErrorKind::WrongSize, &body, detail).into_io());
        }
        let result = body.write_all(bytes, &self.shared);
        result.map_err(|error| self.shared.member_io(&body, error).into_io())?;
        body.written += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Body {
    fn write_all(&mut self, bytes: &[u8], shared: &Shared) -> io::Result<()> {
        match &mut self.place {
            Place::Settled { data_offset, .. } => {
                shared.sink.file().write_all_at(bytes, *data_offset + self.written)
            }
            Place::Streamed => shared.sink.stream().write_all(bytes),
            Place::Spooled(file) => file.write_all_at(bytes, self.written),
            Place::Memory(held) if held.len() + bytes.len() <= MAX_MEMORY_BYTES => {
                held.extend_from_slice(bytes);
                Ok(())
            }
            Place::Memory(held) => {
                let file = file::unnamed(&shared.spool_directory)?;
                file.write_all_at(held, 0)?;
                file.write_all_at(bytes, self.written)?;
                self.place = Place::Spooled(file);
                Ok(())
            }
        }
    }

    /// Moves data that waited to its place in the archive's file.
    pub(crate) fn settle(
        &mut self,
        archive: &File,
        header_offset: u64,
        data_offset: u64,
    ) -> io::Result<()> {
        match &self.place {
            Place::Memory(bytes) => archive.write_all_at(bytes, data_offset)?,
            Place::Spooled(spool) => {
                file::copy_range(spool, 0, archive, data_offset, self.written)?;
            }
            Place::Settled { .. } | Place::Streamed => {}
        }
        self.place = Place::Settled { header_offset, data_offset };
        Ok(())
    }

    /// Moves data that waited into the stream.
    pub(crate) fn stream_to(&mut self, stream: &mut (dyn Write + Send)) -> io::Result<()> {
        match &self.place {
            Place::Memory(bytes) => stream.write_all(bytes)?,
            Place::Spooled(spool) => {
                let mut buffer = vec![0; file::COPY_BYTES];
                let mut offset = 0;
                while offset < self.written {
                    let chunk = (self.written - offset).min(file::COPY_BYTES as u64) as usize;
                    spool.read_exact_at(&mut buffer[..chunk], offset)?;
                    stream.write_all(&buffer[..chunk])?;
                    offset += chunk as u64;
                }
            }
            Place::Settled { .. } | Place::Streamed => {}
        }
        self.place = Place::Streamed;
        Ok(())
    }
}
