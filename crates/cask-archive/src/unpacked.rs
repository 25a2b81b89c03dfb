//! Members that are compressed within the archive.

use std::io::{self, Read, Seek, SeekFrom};

use cask_layer::{Compression, DecompressLimits, DecompressReader, decompress, detect_reader};

use crate::error::{Error, Result};
use crate::member::Member;
use crate::reader::{ArchiveReader, MemberReader};
use crate::spool::kind_of;

/// The data of one file in an archive, decompressed if it is compressed (gzip, zstd, xz or bzip2,
/// by its content).
///
/// The end is reached only after everything was decoded and every checksum matched. Decompressing
/// is limited by [`DecompressLimits`]. An [`io::Error`] that it gives has an [`Error`] inside.
#[derive(Debug)]
pub struct UnpackedReader(Form);

#[derive(Debug)]
enum Form {
    Stored(MemberReader),
    Packed { reader: Box<DecompressReader<MemberReader>>, archive: ArchiveReader, member: Member },
}

impl ArchiveReader {
    /// Opens the file that a name stands for, decompressed.
    ///
    /// # Errors
    /// As [`ArchiveReader::open_member`]; `Io` if the file's first bytes cannot be read.
    pub fn open_unpacked(&self, name: impl AsRef<[u8]>) -> Result<UnpackedReader> {
        let mut reader = self.open_member(name)?;
        let member = reader.member().clone();
        let (compression, _) = detect_reader(&mut reader).map_err(|error| {
            let error = Error::io("reading", self.path(), error);
            error.member(member.name()).at(member.data_offset())
        })?;
        reader.rewind().expect("every member has a beginning");
        if compression == Compression::None {
            return Ok(UnpackedReader(Form::Stored(reader)));
        }
        let reader = Box::new(decompress(reader, compression, DecompressLimits::default()));
        Ok(UnpackedReader(Form::Packed { reader, archive: self.clone(), member }))
    }
}

impl UnpackedReader {
    /// The member whose data it is: where a link was followed, the file that it leads to.
    pub fn member(&self) -> &Member {
        match &self.0 {
            Form::Stored(reader) => reader.member(),
            Form::Packed { member, .. } => member,
        }
    }

    /// Whether the data is compressed in the archive.
    pub fn is_compressed(&self) -> bool {
        matches!(self.0, Form::Packed { .. })
    }

    /// How many bytes the decompressed data has, if that is known without reading all of it.
    pub fn size_bytes(&self) -> Option<u64> {
        match &self.0 {
            Form::Stored(reader) => Some(reader.size_bytes()),
            Form::Packed { .. } => None,
        }
    }

    /// Leaves out the next bytes, or all that are left if there are fewer. Of compressed data
    /// they have to be decompressed.
    ///
    /// # Errors
    /// As for reading.
    pub fn skip(&mut self, bytes: u64) -> io::Result<()> {
        match &mut self.0 {
            Form::Stored(reader) => {
                let position = reader.stream_position()?.saturating_add(bytes);
                reader.seek(SeekFrom::Start(position)).map(drop)
            }
            Form::Packed { .. } => {
                let mut buffer = vec![0; crate::file::COPY_BYTES];
                let mut left = bytes;
                while left > 0 {
                    let wanted = left.min(buffer.len() as u64) as usize;
                    match self.read(&mut buffer[..wanted])? {
                        0 => break,
                        read => left -= read as u64,
                    }
                }
                Ok(())
            }
        }
    }
}

impl Read for UnpackedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Form::Stored(reader) => reader.read(buffer),
            Form::Packed { reader, archive, member } => {
                reader.read(buffer).map_err(|error| damaged(archive, member, error))
            }
        }
    }
}

/// Says which member an error of the decompressor is about.
fn damaged(archive: &ArchiveReader, member: &Member, error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::Interrupted {
        return error;
    }
    match error.downcast::<Error>() {
        Ok(own) => own.into_io(),
        Err(error) => {
            let detail = "its data cannot be unpacked";
            let own = Error::new(kind_of(&error), "reading", archive.path(), detail);
            own.member(member.name()).at(member.data_offset()).caused_by(error).into_io()
        }
    }
}
