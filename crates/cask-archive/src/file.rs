//! Temporary files without a name, and copies between files.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// How much is copied at once where the kernel does not copy by itself.
pub(crate) const COPY_BYTES: usize = 256 << 10;

/// Copies between files that share their blocks must begin and end at multiples of this on the
/// file systems that can do it.
const SHARED_BLOCK_BYTES: u64 = 64 << 10;

/// Makes a file in a directory that has no name, and is gone when it is closed.
pub(crate) fn unnamed(directory: &Path) -> io::Result<File> {
    match without_name(directory, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(file),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT) => {
            let path = directory.join(format!(".{:016x}.partial", random()));
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            fs::remove_file(&path)?;
            Ok(file)
        }
        Err(error) => Err(error.into()),
    }
}

/// Opens a file that gets its name later, or never.
pub(crate) fn without_name(directory: &Path, mode: Mode) -> rustix::io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::open(directory, flags, mode).map(File::from)
}

/// A number that nobody else has, for the name of a temporary file.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Copies a range from one file into another; the kernel does it, and shares the blocks where
/// the file system can.
pub(crate) fn copy_range(
    from: &File,
    from_offset: u64,
    to: &File,
    to_offset: u64,
    bytes: u64,
) -> io::Result<()> {
    // The whole range can be shared only if it ends where a block does: share what can be.
    let aligned = bytes - bytes % SHARED_BLOCK_BYTES;
    let mut done = 0;
    while done < bytes {
        let until = if done < aligned { aligned } else { bytes };
        let (mut source, mut target) = (from_offset + done, to_offset + done);
        let length = usize::try_from(until - done).unwrap_or(usize::MAX).min(1 << 30);
        match rustix::fs::copy_file_range(from, Some(&mut source), to, Some(&mut target), length) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(copied) => done += copied as u64,
            Err(Errno::INTR) => {}
            Err(
                Errno::XDEV
                | Errno::NOSYS
                | Errno::OPNOTSUPP
                | Errno::INVAL
                | Errno::PERM
                | Errno::IO
                | Errno::BADF,
            ) => {
                let (source, target) = (from_offset + done, to_offset + done);
                return copy_by_hand(from, source, to, target, bytes - done);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn copy_by_hand(
    from: &File,
    from_offset: u64,
    to: &File,
    to_offset: u64,
    bytes: u64,
) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut done = 0;
    while done < bytes {
        let chunk = (bytes - done).min(COPY_BYTES as u64) as usize;
        from.read_exact_at(&mut buffer[..chunk], from_offset + done)?;
        to.write_all_at(&buffer[..chunk], to_offset + done)?;
        done += chunk as u64;
    }
    Ok(())
}

/// Moves a range of a file towards its end.
pub(crate) fn shift(file: &File, offset: u64, bytes: u64, by: u64) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut left = bytes;
    // From the back, so that nothing is overwritten before it was read.
    while left > 0 {
        let chunk = left.min(COPY_BYTES as u64);
        left -= chunk;
        file.read_exact_at(&mut buffer[..chunk as usize], offset + left)?;
        file.write_all_at(&buffer[..chunk as usize], offset + left + by)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    fn pattern(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| (at % 251) as u8).collect()
    }

    #[test]
    fn copies_and_shifts_keep_every_byte() {
        let directory = tempfile::tempdir().unwrap();
        let bytes = pattern(3 * COPY_BYTES + 17);
        let from = unnamed(directory.path()).unwrap();
        from.write_all_at(&bytes, 0).unwrap();
        for copy in [copy_range, copy_by_hand] {
            let to = unnamed(directory.path()).unwrap();
            copy(&from, 5, &to, 700, bytes.len() as u64 - 5).unwrap();
            assert_eq!(content(&to)[700..], bytes[5..]);
            assert!(copy(&from, 5, &to, 0, bytes.len() as u64).is_err(), "beyond the end");
        }
        shift(&from, 1, bytes.len() as u64 - 1, 1536).unwrap();
        assert_eq!(content(&from)[1537..], bytes[1..]);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
