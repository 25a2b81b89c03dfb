//! How old a context is.

use std::fs::File;
use std::io::{BufReader, Seek as _};

use cask_layer::{DecompressLimits, MemberKind, MemberLimits, Members, decompress, detect_reader};
use cask_rootfs::{Directory, Kind, Order};

use super::{Context, Origin};
use crate::Result;

impl Context {
    /// When what came from elsewhere changed last, in seconds since 1970: a repository was committed, a file changed
    /// by its server's word, or the newest file of an archive was written. `None` for a directory of this machine,
    /// whose times say when somebody copied it, and for what has no files.
    ///
    /// Source: BuildKit, `SOURCE_DATE_EPOCH=context`.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the files of an archive cannot be looked at.
    pub fn date(&self) -> Result<Option<i64>> {
        if let Origin::Repository { seconds } = self.origin {
            return Ok(Some(seconds));
        }
        let unpacked = self.view.one_root().filter(|_| self.temporary.is_some());
        match (self.last_modified, unpacked) {
            (Some(seconds), _) => Ok(Some(seconds)),
            (None, None) => Ok(None),
            (None, Some(root)) => {
                let mut left = vec![root.directory("").map_err(crate::view::failed)?];
                let mut newest = None;
                while let Some(directory) = left.pop() {
                    let found = look(&directory, &mut left).map_err(crate::view::failed)?;
                    newest = newest.max(found);
                }
                Ok(newest)
            }
        }
    }
}

/// The newest regular file of a directory; those below are added to what is left.
fn look(directory: &Directory, left: &mut Vec<Directory>) -> cask_rootfs::Result<Option<i64>> {
    let mut newest = None;
    for entry in directory.entries(Order::Any)? {
        let metadata = directory.metadata(&entry.name)?;
        match metadata.kind {
            Kind::Directory => left.push(directory.open_dir(&entry.name)?),
            Kind::File => newest = newest.max(Some(metadata.modified.seconds)),
            _ => {}
        }
    }
    Ok(newest)
}

/// When the newest regular file of an archive was written; `None` for a file that is none.
pub(crate) fn newest_member(mut file: File) -> Option<i64> {
    file.rewind().ok()?;
    let (compression, stream) = detect_reader(file).ok()?;
    let stream = decompress(stream, compression, DecompressLimits::default());
    let mut members = Members::new(BufReader::new(stream), MemberLimits::default());
    let mut newest = None;
    while let Some(entry) = members.next_member().ok()? {
        if entry.member.kind == MemberKind::File {
            newest = newest.max(Some(entry.member.modified.seconds));
        }
    }
    newest
}
