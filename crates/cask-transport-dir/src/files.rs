//! The names of the files, and opening them without being led away.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use cask_image::{Algorithm, Digest};
use cask_transport::{Error, ErrorKind, Result};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

/// The file that says that the directory is ours.
pub(crate) const VERSION: &str = "version";
/// The top manifest or index.
pub(crate) const MANIFEST: &str = "manifest.json";
/// What every version file starts with.
const VERSION_PREFIX: &str = "Directory Transport Version: ";

/// The version file's text for what is written.
pub(crate) fn version_text(only_sha256: bool) -> String {
    format!("{VERSION_PREFIX}{}\n", if only_sha256 { "1.1" } else { "1.2" })
}

/// The file of a blob.
pub(crate) fn blob_name(digest: &Digest) -> String {
    match digest.algorithm() {
        Algorithm::Sha256 => digest.hex().to_owned(),
        algorithm => format!("{algorithm}-{}", digest.hex()),
    }
}

/// The file of a manifest that the top lists.
pub(crate) fn child_name(digest: &Digest) -> String {
    format!("{}.{MANIFEST}", blob_name(digest))
}

/// The file of a signature; `instance` is `None` for the top.
pub(crate) fn signature_name(instance: Option<&Digest>, number: usize) -> String {
    match instance {
        None => format!("signature-{number}"),
        Some(digest) => format!("{}.signature-{number}", blob_name(digest)),
    }
}

/// Opens the directory itself.
pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| Error::from_io(error.into(), "opening directory", path.display()))
}

/// Opens a regular file of the directory, and nothing else: no link, no pipe, no device.
pub(crate) fn open_file(directory: impl AsFd, path: &Path, name: &str) -> Result<File> {
    let subject = path.join(name);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let file = match rustix::fs::openat2(directory, name, flags, Mode::empty(), resolve) {
        Ok(file) => file,
        Err(rustix::io::Errno::LOOP) => {
            return Err(Error::new(ErrorKind::Corrupt, "opening", subject.display())
                .with_detail("it is a symbolic link, which could lead anywhere")
                .with_hint("replace the link by the file it points to"));
        }
        Err(error) => {
            return Err(Error::from_io(error.into(), "opening", subject.display()));
        }
    };
    let stat = rustix::fs::fstat(&file)
        .map_err(|error| Error::from_io(error.into(), "reading", subject.display()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::new(ErrorKind::Corrupt, "opening", subject.display())
            .with_detail("it is not a regular file"));
    }
    Ok(File::from(file))
}

/// Reads a small file of the directory.
pub(crate) fn read_file(
    directory: impl AsFd,
    path: &Path,
    name: &str,
    limit_bytes: u64,
) -> Result<Vec<u8>> {
    let file = open_file(directory, path, name)?;
    let mut bytes = Vec::new();
    file.take(limit_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::from_io(error, "reading", path.join(name).display()))?;
    if bytes.len() as u64 > limit_bytes {
        return Err(Error::new(ErrorKind::LimitExceeded, "reading", path.join(name).display())
            .with_detail(format!("exceeded maximum allowed size of {limit_bytes} bytes")));
    }
    Ok(bytes)
}

/// Checks that the directory holds an image in a version that we understand.
///
/// A directory without the file is taken for an image of the first version, as containers/image
/// does: its manifest decides.
pub(crate) fn check_version(directory: impl AsFd, path: &Path) -> Result<()> {
    let text = match read_file(directory, path, VERSION, 256) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let text = String::from_utf8_lossy(&text);
    let version = text
        .strip_prefix(VERSION_PREFIX)
        .map(str::trim_end)
        .and_then(|version| version.split_once('.'))
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let unsupported = |detail: String| {
        Error::new(ErrorKind::Unsupported, "reading", path.join(VERSION).display())
            .with_detail(detail)
    };
    match version {
        Some((1_u32, 0_u32..=2)) => Ok(()),
        Some((major, minor)) => Err(unsupported(format!(
            "unsupported directory transport version {major}.{minor}, not one of 1.0 to 1.2"
        ))),
        None => Err(unsupported("it does not hold a directory transport version".into())),
    }
}
