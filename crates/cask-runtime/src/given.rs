//! Files of this machine that processes are given copies of.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::ErrorKind as Kind;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, lchown};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags};

use crate::error::{Error, ErrorKind, Result};
use crate::mount::Mount;

/// How deep directories are copied.
const DEEPEST: usize = 64;

/// A file or a directory of this machine, and where processes see a copy of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenFile {
    /// Where it is here. One that is missing is passed over.
    pub source: PathBuf,
    /// Where it is seen: an absolute path.
    pub target: PathBuf,
}

impl GivenFile {
    /// Reads what a mounts.conf says: one `SOURCE[:TARGET]` on each line. Lines that do not begin with a slash are
    /// passed over.
    ///
    /// Source: containers-mounts.conf(5); containers/common, `pkg/subscriptions`, `getMounts`.
    pub fn parse(text: &str) -> Vec<Self> {
        let lines = text.lines().map(str::trim).filter(|line| line.starts_with('/'));
        let parts = lines.map(|line| line.split_once(':').unwrap_or((line, line)));
        parts
            .map(|(source, target)| Self { source: source.into(), target: target.into() })
            .collect()
    }

    /// Copies it below a directory of the caller's, unless that was done before, and gives a mount of the copy, which
    /// can be written to; `None` where there is nothing to copy. The copy belongs to `owner`: a user and a group.
    /// Links are followed, and those that lead nowhere are left out.
    ///
    /// Source: containers/common, `pkg/subscriptions`, `addSubscriptionsFromMountsFile`.
    ///
    /// # Errors
    /// `InvalidSpec` for what is neither a file nor a directory, and for a target that is no absolute path; `Denied` and
    /// `Io`.
    pub fn mount(&self, directory: &Path, owner: (u32, u32)) -> Result<Option<Mount>> {
        let Self { source, target } = self;
        let refused = |why: &'static str| {
            Error::new(ErrorKind::InvalidSpec, "copy the default mount", source.display())
                .with_detail(why)
        };
        let is_plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
        if !target.is_absolute() || !target.components().all(is_plain) {
            return Err(refused("its target is no plain absolute path"));
        }
        let found = match fs::metadata(source) {
            Err(error) if error.kind() == Kind::NotFound => return Ok(None),
            other => other.map_err(|error| failed(error, source))?,
        };
        // Beside the others, never in one of them: into that a process writes what it likes, links too.
        let name = target.to_string_lossy().replace('%', "%25").replace('/', "%2F");
        let copy = directory.join(name);
        if fs::symlink_metadata(&copy).is_err() {
            if !found.is_dir() && !found.is_file() {
                return Err(refused("it is neither a file nor a directory"));
            }
            let made = DirBuilder::new().recursive(true).mode(0o755).create(directory);
            made.map_err(|error| failed(error, directory))?;
            copy_to(source, &copy, owner, 0)?;
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(CWD, &copy, flags, Mode::empty());
        let opened = opened.map_err(|error| failed(error.into(), &copy))?;
        Ok(Some(Mount::bind(Arc::new(opened), target)))
    }
}

fn failed(error: std::io::Error, path: &Path) -> Error {
    Error::io(error, "copy the default mount", path.display())
}

/// Copies a file, or a directory with all that is in it.
fn copy_to(source: &Path, copy: &Path, (uid, gid): (u32, u32), depth: usize) -> Result<()> {
    let of_source = |error| failed(error, source);
    let of_copy = |error| failed(error, copy);
    let found = fs::metadata(source).map_err(of_source)?;
    if found.is_dir() {
        if depth > DEEPEST {
            return Err(Error::new(
                ErrorKind::InvalidSpec,
                "copy the default mount",
                source.display(),
            )
            .with_detail("directories are nested too deeply"));
        }
        fs::create_dir(copy).map_err(of_copy)?;
        for entry in fs::read_dir(source).map_err(of_source)? {
            let name = entry.map_err(of_source)?.file_name();
            let from = source.join(&name);
            // A link may lead nowhere.
            match fs::metadata(&from) {
                Err(error) if error.kind() == Kind::NotFound => {}
                Ok(found) if found.is_dir() || found.is_file() => {
                    copy_to(&from, &copy.join(&name), (uid, gid), depth + 1)?;
                }
                Ok(_) => {}
                Err(error) => return Err(failed(error, &from)),
            }
        }
    } else {
        let mut from = fs::File::open(source).map_err(of_source)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut to = options.open(copy).map_err(of_copy)?;
        std::io::copy(&mut from, &mut to).map_err(of_copy)?;
    }
    if (uid, gid) != (0, 0) {
        lchown(copy, Some(uid), Some(gid)).map_err(of_copy)?;
    }
    let mode = fs::Permissions::from_mode(found.permissions().mode() & 0o7777);
    fs::set_permissions(copy, mode).map_err(of_copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sources_and_perhaps_targets() {
        let text = "# a comment\n/a:/b\n  /c  \nrelative:/d\n\n/e:/f/g\n";
        let shown: Vec<_> = GivenFile::parse(text)
            .into_iter()
            .map(|one| format!("{} {}", one.source.display(), one.target.display()))
            .collect();
        assert_eq!(shown, ["/a /b", "/c /c", "/e /f/g"]);
    }

    #[test]
    fn a_directory_is_copied_once_with_what_its_links_lead_to() {
        let place = tempfile::tempdir().unwrap();
        let (source, copies) = (place.path().join("source"), place.path().join("copies"));
        fs::create_dir_all(source.join("deep")).unwrap();
        fs::write(source.join("deep/file"), "text").unwrap();
        fs::set_permissions(source.join("deep/file"), fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("deep/file", source.join("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", source.join("broken")).unwrap();
        let given = GivenFile { source: source.clone(), target: "/run/secrets".into() };
        let mount = given.mount(&copies, (0, 0)).unwrap().unwrap();
        assert_eq!(mount.target, Path::new("/run/secrets"));
        let copy = copies.join("%2Frun%2Fsecrets");
        assert_eq!(fs::read_to_string(copy.join("link")).unwrap(), "text");
        assert!(fs::symlink_metadata(copy.join("link")).unwrap().is_file());
        assert!(!copy.join("broken").exists());
        let mode = fs::metadata(copy.join("deep/file")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o640);
        // What a process wrote there stays.
        fs::write(copy.join("deep/file"), "changed").unwrap();
        given.mount(&copies, (0, 0)).unwrap();
        assert_eq!(fs::read_to_string(copy.join("deep/file")).unwrap(), "changed");
        let one = GivenFile { source: source.join("deep/file"), target: "/etc/one".into() };
        one.mount(&copies, (0, 0)).unwrap();
        assert_eq!(fs::read_to_string(copies.join("%2Fetc%2Fone")).unwrap(), "text");
        let missing = GivenFile { source: "/no/such".into(), target: "/x".into() };
        assert!(missing.mount(&copies, (0, 0)).unwrap().is_none());
        for target in ["x", "/../x", "/a/../../x"] {
            let outside = GivenFile { source: source.clone(), target: target.into() };
            outside.mount(&copies, (0, 0)).unwrap_err();
        }
    }
}
