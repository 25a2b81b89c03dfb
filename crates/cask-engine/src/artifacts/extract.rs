//! Files out of artifacts.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use cask_image::{Descriptor, Digest, Hasher, ImageManifest};
use cask_layout::Layout;
use cask_storage::Id;

use super::{StoredArtifacts, failed, of_layout};
use crate::images::artifacts::TITLE;
use crate::{Error, ErrorKind, Result};

/// How many bytes are copied at a time.
const PIECE: usize = 256 << 10;

/// Which files of an artifact are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlobChoice<'c> {
    /// All.
    #[default]
    All,
    /// The one of this title.
    Title(&'c str),
    /// The one of this digest.
    Digest(&'c str),
}

/// A file that is written beside where it goes. It is gone if this is dropped.
struct Unfinished {
    file: Option<PathBuf>,
    to: PathBuf,
}

impl StoredArtifacts {
    /// Writes files of an artifact: into a directory under their titles or digests, or one to a path. Every digest is
    /// checked before any file is there; a file that is in the way is replaced, and a link to elsewhere too.
    ///
    /// Source: containers/common, `libartifact/store`, `Extract`.
    ///
    /// # Errors
    /// As [`find`](Self::find); [`ErrorKind::Invalid`] where more or fewer files are meant than can be written, and for
    /// titles that are no names of files; [`ErrorKind::Io`]; [`ErrorKind::Storage`] for damaged files.
    pub fn extract(&self, name: &str, target: &Path, choice: BlobChoice<'_>) -> Result<()> {
        // Nobody removes it meanwhile.
        let _held = if self.directory.is_dir() { Some(self.hold(false)?) } else { None };
        let found = self.find(name)?;
        let manifest = found.manifest?;
        if manifest.layers.is_empty() {
            return Err(invalid("the artifact has no blobs, nothing to extract"));
        }
        let layout = self.layout()?;
        let chosen = chosen(&manifest, choice)?;
        if !target.is_dir() {
            let [blob] = chosen.as_slice() else {
                return Err(invalid(format!(
                    "the artifact consists of several blobs and the target {:?} is not a directory and neither digest or title was specified to only copy a single blob",
                    target.display()
                )));
            };
            return to_path(&layout, blob, target);
        }
        let names = names(&chosen, choice)?;
        let staged =
            chosen.iter().zip(names).map(|(blob, name)| stage(&layout, blob, &target.join(name)));
        let staged: Vec<Unfinished> = staged.collect::<Result<_>>()?;
        staged.into_iter().try_for_each(Unfinished::finish)
    }
}

fn invalid(words: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, "", words)
}

fn chosen<'m>(manifest: &'m ImageManifest, choice: BlobChoice<'_>) -> Result<Vec<&'m Descriptor>> {
    let all = manifest.layers.iter();
    let (found, what): (Vec<_>, _) = match choice {
        BlobChoice::All => return Ok(all.collect()),
        BlobChoice::Title(title) => {
            let is_it =
                |blob: &&Descriptor| blob.annotations.get(TITLE).is_some_and(|it| it == title);
            (all.filter(is_it).collect(), format!("the title {title:?}"))
        }
        BlobChoice::Digest(digest) => {
            let is_it = |blob: &&Descriptor| blob.digest.as_str() == digest;
            (all.filter(is_it).collect(), format!("the digest {digest:?}"))
        }
    };
    match found.len() {
        0 => Err(invalid(format!("no blob with {what}"))),
        1 => Ok(found),
        _ => Err(invalid(format!("more than one match for {what}"))),
    }
}

/// What files are called in a directory. A title is what a stranger wrote.
fn names(blobs: &[&Descriptor], choice: BlobChoice<'_>) -> Result<Vec<String>> {
    let mut names: Vec<(String, &Digest)> = Vec::with_capacity(blobs.len());
    for blob in blobs {
        let title = blob.annotations.get(TITLE).filter(|title| !title.is_empty());
        let name = match (choice, title) {
            (BlobChoice::All | BlobChoice::Title(_), Some(title)) => title.clone(),
            _ => blob.digest.as_str().replace(':', "-"),
        };
        if let Some(wrong) = name.chars().find(|character| matches!(character, '/' | '\0')) {
            return Err(invalid(format!(
                "invalid name: {name:?} cannot contain {wrong}: artifact blob title invalid"
            )));
        }
        if matches!(name.as_str(), "." | "..") {
            return Err(invalid(format!("invalid name: {name:?}: artifact blob title invalid")));
        }
        if names.iter().any(|(other, digest)| *other == name && **digest != blob.digest) {
            return Err(invalid(format!(
                "more than one match for the title {name:?}: choose one with --digest"
            )));
        }
        names.push((name, &blob.digest));
    }
    Ok(names.into_iter().map(|(name, _)| name).collect())
}

/// Writes one to where the user says: through a link, and into what is no file, too.
fn to_path(layout: &Layout, blob: &Descriptor, target: &Path) -> Result<()> {
    let target = match fs::metadata(target) {
        Ok(found) if !found.is_file() => {
            let opened = OpenOptions::new().write(true).open(target);
            let mut file = opened.map_err(|error| failed(error, CREATING, target))?;
            return write(layout, blob, &mut file, target);
        }
        Ok(_) => fs::canonicalize(target).map_err(|error| failed(error, CREATING, target))?,
        Err(_) => target.to_owned(),
    };
    stage(layout, blob, &target)?.finish()
}

const CREATING: &str = "failed to create target file: open";

/// Writes one beside where it goes.
fn stage(layout: &Layout, blob: &Descriptor, to: &Path) -> Result<Unfinished> {
    let there = fs::symlink_metadata(to).ok();
    if there.as_ref().is_some_and(fs::Metadata::is_dir) {
        let error = std::io::Error::from_raw_os_error(rustix::io::Errno::ISDIR.raw_os_error());
        return Err(failed(error, CREATING, to));
    }
    let random = Id::random().to_string();
    let path = to.with_file_name(format!(".cask-unfinished-{}", &random[..16]));
    let opened = OpenOptions::new().write(true).create_new(true).open(&path);
    let mut file = opened.map_err(|error| failed(error, CREATING, to))?;
    let unfinished = Unfinished { file: Some(path), to: to.to_owned() };
    write(layout, blob, &mut file, to)?;
    if let Some(there) = there.filter(fs::Metadata::is_file) {
        let mode = fs::Permissions::from_mode(there.permissions().mode() & 0o777);
        file.set_permissions(mode).map_err(|error| failed(error, CREATING, to))?;
    }
    Ok(unfinished)
}

/// Copies one, and checks it.
fn write(layout: &Layout, blob: &Descriptor, to: &mut File, path: &Path) -> Result<()> {
    let (mut from, _) = layout.open_blob(&blob.digest).map_err(of_layout)?;
    let mut hasher = Hasher::new(blob.digest.algorithm());
    let mut piece = vec![0; PIECE];
    loop {
        let read = match from.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let words = "failed to get artifact file";
                return Err(Error::new(ErrorKind::Io, words, "").with_source(error));
            }
        };
        hasher.update(&piece[..read]);
        to.write_all(&piece[..read]).map_err(|error| failed(error, "write", path))?;
    }
    let size = hasher.len();
    let digest = hasher.finish();
    if (size, &digest) != (blob.size, &blob.digest) {
        let words = format!("the store has {size} bytes with the digest {digest} in its place");
        return Err(Error::new(ErrorKind::Storage, &blob.digest, words)
            .with_hint("the file is damaged: remove the artifact, and pull or add it again"));
    }
    Ok(())
}

impl Unfinished {
    fn finish(mut self) -> Result<()> {
        if let Some(file) = &self.file {
            fs::rename(file, &self.to).map_err(|error| failed(error, CREATING, &self.to))?;
        }
        self.file = None;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // What failed before is what is told.
            let _ = fs::remove_file(file);
        }
    }
}
