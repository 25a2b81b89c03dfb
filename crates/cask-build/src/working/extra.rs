//! Files that an image has besides those of the container that it is made of.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use cask_layer::{DiffOptions, MemberKind, MemberWriter, NewMember, diff_tree};
use cask_rootfs::Root;
use cask_runtime::Cancel;
use cask_storage::StagedLayer;

use super::{CommitOptions, WorkingContainer};
use crate::build::stage_written;
use crate::{Error, ErrorKind, Result};

/// A file of this machine that an image gets: root's, with the permissions 0644, and dated as the image.
///
/// Source: buildah, `commit --add-file`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddedFile {
    /// Where it is on this machine.
    pub source: PathBuf,
    /// Where it is in the image.
    pub destination: String,
}

impl AddedFile {
    /// A file of this machine, and its path in the image.
    pub fn new(source: impl Into<PathBuf>, destination: impl Into<String>) -> Self {
        Self { source: source.into(), destination: destination.into() }
    }

    /// Its path as a layer has it.
    fn member_name(&self) -> Result<Vec<u8>> {
        let parts = self.destination.split('/').filter(|part| !matches!(*part, "" | "."));
        let parts: Vec<&str> = parts.collect();
        if parts.is_empty() || parts.contains(&"..") || self.destination.ends_with('/') {
            let detail = format!("{:?} is no path of a file in an image", self.destination);
            return Err(Error::new(ErrorKind::Invalid, self.source.display(), detail));
        }
        Ok(parts.join("/").into_bytes())
    }

    fn write(&self, date: i64, output: &mut dyn Write) -> Result<()> {
        let failed = |error| Error::io(error, "cannot be read", &self.source);
        let file = File::open(&self.source).map_err(failed)?;
        let status = file.metadata().map_err(failed)?;
        if !status.is_file() {
            let subject = self.source.display();
            return Err(Error::new(ErrorKind::Invalid, subject, "is not a regular file"));
        }
        let mut member = NewMember::default();
        member.name = self.member_name()?;
        member.kind = MemberKind::File;
        member.mode = 0o644;
        member.seconds = date;
        member.size_bytes = status.len();
        let mut padded = Padded { output, written: 0 };
        let mut writer = MemberWriter::new(&mut padded);
        writer.member(&member).map_err(failed)?;
        io::copy(&mut file.take(member.size_bytes), &mut writer).map_err(failed)?;
        drop(writer);
        padded.end().map_err(failed)
    }
}

/// Counts what is written: members are whole blocks.
struct Padded<'o> {
    output: &'o mut dyn Write,
    written: usize,
}

impl Padded<'_> {
    fn end(self) -> io::Result<()> {
        let missing = self.written.next_multiple_of(512) - self.written;
        self.output.write_all(&[0; 512][..missing])
    }
}

impl Write for Padded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.output.write(bytes)?;
        self.written += count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl WorkingContainer {
    /// A layer of the files that an image gets besides; none without them.
    pub(super) fn stage_added(
        &self,
        options: &CommitOptions,
        date: i64,
    ) -> Result<Option<StagedLayer>> {
        if options.added.is_empty() || options.squash {
            return Ok(None);
        }
        let staged = stage_written(&self.store, &self.cancel()?, |output| {
            options.added.iter().try_for_each(|file| file.write(date, output))?;
            output.write_all(&[0; 1024]).map_err(|error| lost(error, self.name()))
        })?;
        Ok(Some(staged))
    }

    /// All files as one layer, with those that the image gets besides before them.
    pub(super) fn stage_all_with(
        &self,
        root: &Root,
        diff: &DiffOptions,
        options: &CommitOptions,
        date: i64,
    ) -> Result<StagedLayer> {
        for file in &options.added {
            let name = String::from_utf8_lossy(&file.member_name()?).into_owned();
            if root.metadata(&name).is_ok() {
                let detail =
                    format!("the container has {:?}: leave --squash out", file.destination);
                return Err(Error::new(ErrorKind::Invalid, file.source.display(), detail));
            }
        }
        stage_written(&self.store, &self.cancel()?, |output| {
            options.added.iter().try_for_each(|file| file.write(date, output))?;
            let walked = diff_tree(root, output, diff);
            walked.map(drop).map_err(|error| {
                Error::new(ErrorKind::Io, self.name(), "its files cannot be read")
                    .with_source(error)
            })
        })
    }

    fn cancel(&self) -> Result<Cancel> {
        Cancel::new().map_err(|error| Error::runtime(error, self.name()))
    }
}

fn lost(error: io::Error, name: &str) -> Error {
    Error::new(ErrorKind::Io, name, "the end of the layer was lost").with_source(error)
}
