//! A whole tree, and one layer of an overlay mount.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

use cask_rootfs::{Directory, Kind, Metadata, Order, Parents, Root};

use super::write::Archive;
use super::{DiffError, DiffOptions, Diffed};

/// Writes all of a tree as a layer, and gives what came of it and `output` back.
///
/// The members come sorted by name, directories before what is in them; the root itself is no member.
/// The bytes are those that the field's tools write for the same tree: USTAR where that suffices, else
/// PAX; whole seconds; numbers instead of owners' names; the bits of the file type in the mode. Of the
/// extended attributes `security.capability`, `security.ima` and `user.*` go along, overlay's own
/// excepted. Sockets are left out, as are names that would be read as whiteouts.
///
/// ```
/// use cask_layer::{DiffOptions, diff_tree};
/// use cask_rootfs::Root;
///
/// let directory = tempfile::tempdir()?;
/// std::fs::write(directory.path().join("hostname"), "cask\n")?;
/// let root = Root::open(directory.path())?;
/// let (diffed, tar) = diff_tree(&root, Vec::new(), &DiffOptions::default())?;
/// assert_eq!(diffed.members, 1);
/// assert!(tar.starts_with(b"hostname\0"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: containers/storage, `pkg/archive`, `TarWithOptions`.
///
/// # Errors
///
/// [`DiffErrorKind`](crate::DiffErrorKind) by kind.
pub fn diff_tree<W: Write>(
    tree: &Root,
    output: W,
    options: &DiffOptions,
) -> Result<(Diffed, W), DiffError> {
    walk(tree, &Contents::Tree, output, options)
}

/// Writes the upper directory of an overlay mount, or a layer's own, as a layer.
///
/// As [`diff_tree`], and character devices 0:0 become whiteouts; opaque directories become
/// `.wh..wh..opq` where one of `lowers`, the older layers from the newest on, has the directory.
/// Names that begin with `.wh.` are whiteouts already and are written as they are.
///
/// Source: containers/storage, `overlayWhiteoutConverter.ConvertWrite`.
///
/// # Errors
///
/// As [`diff_tree`].
pub fn diff_upper<W: Write>(
    upper: &Root,
    lowers: &[Root],
    output: W,
    options: &DiffOptions,
) -> Result<(Diffed, W), DiffError> {
    walk(upper, &Contents::Upper(lowers), output, options)
}

/// What the entries of a tree mean.
enum Contents<'a> {
    Tree,
    Upper(&'a [Root]),
}

fn walk<W: Write>(
    tree: &Root,
    contents: &Contents<'_>,
    output: W,
    options: &DiffOptions,
) -> Result<(Diffed, W), DiffError> {
    let mut archive = Archive::new(output, options);
    let mut parents = Parents::new(tree);
    let mut levels = vec![(Vec::new(), names(&mut parents, b"")?)];
    while let Some((parent, left)) = levels.last_mut() {
        let Some(name) = left.pop() else {
            levels.pop();
            continue;
        };
        let path = join(parent, &name);
        match next(&mut archive, contents, &mut parents, (parent, &name, &path)) {
            Ok(None) => {}
            Ok(Some(inside)) => levels.push((path, inside)),
            // Gone since it was listed: as if it had never been.
            Err(error) if error.is_of_missing() => {}
            Err(error) => return Err(error),
        }
    }
    archive.finish()
}

/// Writes an entry; gives the names in a directory, whose entries come next.
fn next<W: Write>(
    archive: &mut Archive<'_, W>,
    contents: &Contents<'_>,
    parents: &mut Parents<'_>,
    (parent, name, path): (&[u8], &OsStr, &[u8]),
) -> Result<Option<Vec<OsString>>, DiffError> {
    let directory =
        parents.directory(OsStr::from_bytes(parent)).map_err(|e| DiffError::read(path, e))?;
    let Some(found) = look(directory, name, path)? else { return Ok(None) };
    match entry(archive, contents, directory, name, path, &found)? {
        true => names(parents, path).map(Some),
        false => Ok(None),
    }
}

/// Writes an entry; true for a directory, whose entries come next.
fn entry<W: Write>(
    archive: &mut Archive<'_, W>,
    contents: &Contents<'_>,
    directory: &Directory,
    name: &OsStr,
    path: &[u8],
    found: &Metadata,
) -> Result<bool, DiffError> {
    let Contents::Upper(lowers) = contents else {
        if name.as_bytes().starts_with(b".wh.") {
            archive.outcome.leave_out(path);
            return Ok(false);
        }
        archive.entry(directory, name, path, found)?;
        return Ok(found.is_directory());
    };
    if is_whiteout(found) {
        archive.whiteout(path, Some(found))?;
        return Ok(false);
    }
    archive.entry(directory, name, path, found)?;
    if !found.is_directory() {
        return Ok(false);
    }
    let fail = |error| DiffError::read(path, error);
    for attribute in ["trusted.overlay.opaque", "user.overlay.opaque"] {
        let value = directory.attribute(name, attribute).map_err(fail)?;
        if value.as_deref() == Some(b"y") {
            if is_inherited(lowers, path) {
                archive.opaque(path, found)?;
            }
            break;
        }
    }
    Ok(true)
}

/// Whether an older layer has a directory that would show through.
fn is_inherited(lowers: &[Root], path: &[u8]) -> bool {
    for lower in lowers {
        let look = |path: &[u8]| lower.metadata(OsStr::from_bytes(path)).ok();
        if let Some(found) = look(path) {
            return !is_whiteout(&found);
        }
        let mut parent = path;
        while let Some(slash) = parent.iter().rposition(|byte| *byte == b'/') {
            parent = &parent[..slash];
            if look(parent).is_some_and(|found| is_whiteout(&found)) {
                return false;
            }
        }
    }
    false
}

fn is_whiteout(found: &Metadata) -> bool {
    found.kind == Kind::CharDevice && (found.device_major, found.device_minor) == (0, 0)
}

/// The names in a directory, the first one last.
pub(super) fn names(parents: &mut Parents<'_>, path: &[u8]) -> Result<Vec<OsString>, DiffError> {
    let listed = parents
        .directory(OsStr::from_bytes(path))
        .and_then(|directory| directory.entries(Order::Name))
        .map_err(|error| DiffError::read(path, error))?;
    Ok(listed.into_iter().rev().map(|entry| entry.name).collect())
}

/// Describes an entry; `None` where it is gone.
pub(super) fn look(
    directory: &Directory,
    name: &OsStr,
    path: &[u8],
) -> Result<Option<Metadata>, DiffError> {
    match directory.metadata(name) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == cask_rootfs::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DiffError::read(path, error)),
    }
}

pub(super) fn join(parent: &[u8], name: &OsStr) -> Vec<u8> {
    let slash: &[u8] = if parent.is_empty() { b"" } else { b"/" };
    [parent, slash, name.as_bytes()].concat()
}
