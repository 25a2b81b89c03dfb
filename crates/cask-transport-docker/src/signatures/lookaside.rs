//! Signatures in a directory, or on a web server that was filled from one.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind as IoErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use cask_config::lookaside::Lookaside;
use cask_image::Digest;
use cask_registry::Client;
use cask_transport::{Error, ErrorKind, Result, Signature, blocking};
use rustix::fs::OFlags;

use super::{MAX_BYTES, MOST, too_many};
use crate::error::of_registry;

/// Whether there may be a signature of any manifest of the repository that a place is of.
pub(super) fn may_hold(base: &Lookaside) -> bool {
    let Lookaside::Directory(path) = base else { return true };
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return true };
    let name = name.as_encoded_bytes();
    match std::fs::read_dir(parent) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.file_name())).any(|entry| {
            let rest = entry.as_encoded_bytes().strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(b"@"))
        }),
        Err(error) => error.kind() != IoErrorKind::NotFound,
    }
}

/// Reads the signatures of a manifest: from the first, until one is missing.
pub(super) async fn read(
    base: &Lookaside,
    manifest: &Digest,
    client: &Client,
) -> Result<Vec<Signature>> {
    let mut found = Vec::new();
    for number in 1.. {
        let bytes = match base.signature(manifest, number) {
            Lookaside::Directory(path) => blocking(move || read_file(&path)).await?.map(Into::into),
            Lookaside::Web(url) => client.document(&url, MAX_BYTES).await.map_err(of_registry)?,
            _ => None,
        };
        let Some(bytes) = bytes else { break };
        if number > MOST {
            return Err(too_many(manifest));
        }
        found.push(Signature { bytes });
    }
    Ok(found)
}

fn read_file(path: &Path) -> Result<Option<Vec<u8>>> {
    let fail = |error| Error::from_io(error, "reading", path.display());
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    if !file.metadata().map_err(fail)?.is_file() {
        return Err(Error::new(ErrorKind::Corrupt, "reading", path.display())
            .with_detail("a signature is a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::new(ErrorKind::LimitExceeded, "reading", path.display())
            .with_detail(format!("exceeded maximum allowed size of {MAX_BYTES} bytes")));
    }
    Ok(Some(bytes))
}

/// Makes these the signatures of a manifest, instead of those that are there.
pub(super) async fn write(
    base: &Lookaside,
    manifest: &Digest,
    signatures: Vec<Signature>,
) -> Result<()> {
    let mut files = Vec::new();
    // One number more than there are signatures: readers stop where one is missing.
    for number in 1..=signatures.len() + 1 {
        match base.signature(manifest, number) {
            Lookaside::Directory(path) => files.push(path),
            Lookaside::Web(url) => {
                // The words of containers/image.
                let (scheme, url) = (url.scheme().to_owned(), url.to_string());
                return Err(Error::new(ErrorKind::Unsupported, "", "")
                    .with_detail(format!(
                        "Writing directly to a {scheme} lookaside {url} is not supported. Configure \
                         a lookaside-staging: location"
                    ))
                    .with_hint("--remove-signatures copies the image without them"));
            }
            _ => {}
        }
    }
    blocking(move || write_files(&files, &signatures)).await
}

/// Writes each signature to its file, removes the file after the last, and all that follow it.
fn write_files(files: &[PathBuf], signatures: &[Signature]) -> Result<()> {
    for (path, signature) in files.iter().zip(signatures) {
        let fail = |error| Error::from_io(error, "writing", path.display());
        let directory = path.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(fail)?;
        write_file(directory, path, &signature.bytes).map_err(fail)?;
    }
    let Some(last) = files.get(signatures.len()) else { return Ok(()) };
    for number in signatures.len() + 1.. {
        let path = last.with_file_name(format!("signature-{number}"));
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == IoErrorKind::NotFound => break,
            Err(error) => return Err(Error::from_io(error, "removing", path.display())),
        }
    }
    Ok(())
}

/// Writes a file under a name that nobody reads, and gives it its own: whoever reads meanwhile
/// finds all of the old or all of the new.
fn write_file(directory: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = directory.join(format!(".part-{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o644);
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    let written = options.open(&part).and_then(|mut file: File| {
        file.write_all(bytes)?;
        std::fs::rename(&part, path)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written
}
