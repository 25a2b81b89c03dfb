//! The files of an image, in a tar archive or a directory.

use std::io::{self, BufReader, BufWriter, PipeReader, PipeWriter, Write};
use std::path::Path;
use std::thread;

use cask_layer::{ApplyErrorKind, ApplyOptions, Whiteouts, apply};
use cask_rootfs::Root;
use cask_storage::Store;

use crate::build::{BuiltImage, write_tree};
use crate::{Error, ErrorKind, Result, View};

/// How much goes between writing an archive and reading it at once.
const BUFFER_BYTES: usize = 256 << 10;

/// What files say of themselves outside of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileOptions {
    /// Whose they are, instead of their own: for a user, who may own nothing else.
    pub owner: Option<(u32, u32)>,
    /// When all of them changed last, in seconds since 1970, instead of when they did.
    pub date: Option<i64>,
}

impl FileOptions {
    /// Files of this owner and this date, as far as they are given.
    pub fn new(owner: Option<(u32, u32)>, date: Option<i64>) -> Self {
        Self { owner, date }
    }
}

/// Writes the files of an image as a tar archive: sorted, without whiteouts, the same bytes for the
/// same files.
///
/// # Errors
/// [`ErrorKind::Io`] where `output` fails; [`ErrorKind::Storage`].
///
/// Source: BuildKit, the exporter `tar`; buildah, `--output type=tar`.
pub fn write_tar(
    image: &BuiltImage,
    store: &Store,
    options: FileOptions,
    output: &mut dyn Write,
) -> Result<()> {
    let view = View::of_store(store, image.layers.last())?;
    let mut output = BufWriter::with_capacity(BUFFER_BYTES, output);
    write_tree(&view, options, &mut output)?;
    output.flush().map_err(|error| {
        Error::new(ErrorKind::Io, "the archive", "cannot be written").with_source(error)
    })
}

/// Writes the files of an image to a directory, which is made if it is not there. What is there
/// stays, but for what has the name of a file of the image. Links in the directory lead nowhere but
/// into it.
///
/// # Errors
/// [`ErrorKind::Io`] where it cannot be written; [`ErrorKind::Storage`].
///
/// Source: BuildKit, the exporter `local`; buildah, `--output type=local`.
pub fn write_directory(
    image: &BuiltImage,
    store: &Store,
    options: FileOptions,
    directory: &Path,
) -> Result<()> {
    std::fs::create_dir_all(directory)
        .map_err(|error| Error::io(error, "cannot be made", directory))?;
    let root = Root::open(directory).map_err(crate::view::failed)?;
    let view = View::of_store(store, image.layers.last())?;
    let pipe = io::pipe().map_err(|error| Error::io(error, "no pipe can be made", directory))?;
    let (reader, writer) = pipe;
    thread::scope(|scope| {
        let writing = scope.spawn(move || send(&view, options, writer));
        let read = receive(reader, &root, options.owner.is_some(), directory);
        let written = writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // What the reader does not take, the writer cannot write: the reader's reason is the reason.
        read.and(written)
    })
}

fn send(view: &View, options: FileOptions, writer: PipeWriter) -> Result<()> {
    let mut writer = BufWriter::with_capacity(BUFFER_BYTES, writer);
    write_tree(view, options, &mut writer)?;
    writer.flush().map_err(|error| {
        Error::new(ErrorKind::Io, "the files", "cannot be written").with_source(error)
    })
}

fn receive(reader: PipeReader, root: &Root, of_user: bool, directory: &Path) -> Result<()> {
    let mut options = ApplyOptions::default();
    options.whiteouts = Whiteouts::Keep;
    options.user_namespace = of_user;
    options.ignore_chown_errors = of_user;
    options.limits.max_members = u64::MAX;
    options.limits.max_bytes = u64::MAX;
    let reader = BufReader::with_capacity(BUFFER_BYTES, reader);
    let applied = apply(reader, root, &options, ());
    applied.map(drop).map_err(|error| {
        let kind = match error.kind() {
            ApplyErrorKind::LimitExceeded => ErrorKind::Limit,
            _ => ErrorKind::Io,
        };
        Error::new(kind, directory.display(), "cannot be written").with_source(error)
    })
}
