//! A context that comes as a stream.

use std::io::{BufReader, Read};
use std::path::Path;

use cask_layer::{
    ApplyErrorKind, ApplyOptions, Compression, DecompressLimits, MemberLimits, Members,
    TarErrorKind, Whiteouts, apply, decompress, detect_reader,
};
use cask_rootfs::Root;
use tempfile::TempDir;

use super::{Context, IgnoreChoice};
use crate::{Error, ErrorKind, Result};

/// The most bytes that an archive may unpack to.
const MAX_UNPACKED_BYTES: u64 = 256 << 30;

/// The most members of an archive.
const MAX_MEMBERS: u64 = 2_000_000;

/// The most bytes of a Containerfile that comes alone.
const MAX_CONTAINERFILE_BYTES: u64 = 16 << 20;

/// What a stream turned out to be.
#[derive(Debug)]
#[non_exhaustive]
pub enum StreamContext {
    /// An archive with files.
    Context(Context),
    /// The text of a Containerfile, without a context.
    Containerfile(String),
}

impl Context {
    /// Reads a context from a stream: a tar archive, compressed by any of gzip, bzip2, xz and zstd or
    /// not at all, or else the text of a Containerfile. The content decides.
    ///
    /// An archive is unpacked into a private directory in `scratch`. No member of it gets out of that:
    /// names, links and hard links are all resolved in it. Names that begin with `.wh.` are names.
    /// Devices are left out.
    ///
    /// Limits: 2,000,000 members, 256 GiB unpacked, those of
    /// [`DecompressLimits`], and 16 MiB for a Containerfile.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for what is neither, or a damaged archive; [`ErrorKind::Limit`];
    /// [`ErrorKind::Io`] where the stream fails or the directory cannot be written.
    pub fn from_stream(
        name: impl Into<String>,
        stream: impl Read,
        scratch: &Path,
        choice: &IgnoreChoice,
    ) -> Result<StreamContext> {
        let name = name.into();
        let (head, compression, rest) = plain(&name, stream)?;
        let is_tar = begins_tar(head.get_ref()) || is_zero_block(head.get_ref());
        let whole = head.chain(rest);
        if !is_tar {
            if compression != Compression::None {
                let detail = format!("is compressed by {compression}, and no tar archive inside");
                return Err(Error::new(ErrorKind::Invalid, name, detail));
            }
            return containerfile(&name, whole).map(StreamContext::Containerfile);
        }
        let temporary = scratch_directory(scratch)?;
        let root = Root::open(temporary.path()).map_err(crate::view::failed)?;
        unpack(&name, BufReader::with_capacity(256 << 10, whole), &root)?;
        let context = Self::local(name, root, Some(temporary));
        context.with_ignore(choice).map(StreamContext::Context)
    }
}

type Plain<R> = (Head, Compression, cask_layer::DecompressReader<cask_layer::DetectedReader<R>>);

/// The first block of a stream, read again before the rest.
type Head = std::io::Cursor<Vec<u8>>;

/// Undoes the compression, and reads a block.
fn plain<R: Read>(name: &str, stream: R) -> Result<Plain<R>> {
    let fail = |error: std::io::Error| stream_error(name, error);
    let (compression, stream) = detect_reader(stream).map_err(fail)?;
    let mut stream = decompress(stream, compression, DecompressLimits::default());
    let mut head = Vec::with_capacity(512);
    (&mut stream).take(512).read_to_end(&mut head).map_err(fail)?;
    Ok((std::io::Cursor::new(head), compression, stream))
}

fn stream_error(name: &str, error: std::io::Error) -> Error {
    let kind = match cask_layer::Error::of(&error).map(cask_layer::Error::kind) {
        Some(cask_layer::ErrorKind::LimitExceeded { .. }) => ErrorKind::Limit,
        Some(_) => ErrorKind::Invalid,
        None => ErrorKind::Io,
    };
    Error::new(kind, name, "cannot be read").with_source(error)
}

/// Whether these bytes are the first block of a tar archive with something in it.
pub(crate) fn begins_tar(head: &[u8]) -> bool {
    let Some(block) = head.get(..512) else { return false };
    match Members::new(block, MemberLimits::default()).next_member() {
        Ok(found) => found.is_some(),
        // The header is one, of a record that goes on.
        Err(error) => {
            matches!(error.kind(), TarErrorKind::Truncated | TarErrorKind::TooLarge)
        }
    }
}

fn is_zero_block(head: &[u8]) -> bool {
    head.len() == 512 && head.iter().all(|byte| *byte == 0)
}

fn containerfile(name: &str, stream: impl Read) -> Result<String> {
    let mut text = Vec::new();
    stream
        .take(MAX_CONTAINERFILE_BYTES + 1)
        .read_to_end(&mut text)
        .map_err(|error| stream_error(name, error))?;
    if text.len() as u64 > MAX_CONTAINERFILE_BYTES {
        let detail = format!("has more than {MAX_CONTAINERFILE_BYTES} bytes, and is no archive");
        return Err(Error::new(ErrorKind::Limit, name, detail));
    }
    if text.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, name, "is empty")
            .with_hint("send a tar archive with the context, or a Containerfile"));
    }
    String::from_utf8(text).map_err(|error| {
        let detail = "is neither a tar archive nor the text of a Containerfile";
        Error::new(ErrorKind::Invalid, name, detail).with_source(error)
    })
}

fn unpack(name: &str, stream: impl std::io::BufRead, root: &Root) -> Result<()> {
    let mut options = ApplyOptions::default();
    options.whiteouts = Whiteouts::Keep;
    // Owners mean nothing in a context, and devices have no business there.
    options.ignore_chown_errors = true;
    options.user_namespace = true;
    options.limits.max_members = MAX_MEMBERS;
    options.limits.max_bytes = MAX_UNPACKED_BYTES;
    let applied = apply(stream, root, &options, ());
    applied.map(drop).map_err(|error| {
        let kind = match error.kind() {
            ApplyErrorKind::LimitExceeded => ErrorKind::Limit,
            ApplyErrorKind::NoSpace | ApplyErrorKind::Denied | ApplyErrorKind::Io => ErrorKind::Io,
            _ => ErrorKind::Invalid,
        };
        Error::new(kind, name, "cannot be unpacked").with_source(error)
    })
}

/// A directory of one's own.
pub(crate) fn scratch_directory(scratch: &Path) -> Result<TempDir> {
    tempfile::Builder::new().prefix("cask-build-").tempdir_in(scratch).map_err(|error| {
        let detail = "no temporary directory can be made in it";
        Error::new(ErrorKind::Io, scratch.display(), detail).with_source(error)
    })
}
