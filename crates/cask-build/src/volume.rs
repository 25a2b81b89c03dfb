//! Files of this machine that commands see: `-v`.

use std::fmt;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cask_runtime::{Mount, MountOptions, MountSource, Overlay, Propagation, give_files};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::{Error, ErrorKind, Result};

/// A directory or a file of the machine in every command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Volume {
    /// Where it is on the machine.
    pub source: PathBuf,
    /// Where commands see it.
    pub target: PathBuf,
    /// How it is mounted.
    pub options: MountOptions,
    /// What becomes of changes.
    pub changes: VolumeChanges,
    /// Whether it, with all in it, is given to the command's user first.
    pub gives: bool,
}

/// What becomes of what a command changes of a [`Volume`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum VolumeChanges {
    /// It is changed.
    #[default]
    Written,
    /// They go when the command ends.
    Dropped,
    /// They are kept elsewhere, and what is there already is seen.
    Kept {
        /// Where.
        upper: PathBuf,
        /// An empty directory for the kernel, on the same file system.
        work: PathBuf,
    },
}

/// Options of which a volume has one at most, and how buildah calls them.
const GROUPS: [(&[&str], &str); 8] = [
    (&["noexec", "exec"], "'noexec' or 'exec'"),
    (&["nodev", "dev"], "'nodev' or 'dev'"),
    (&["nosuid", "suid"], "'nosuid' or 'suid'"),
    (&["rw", "ro"], "'rw' or 'ro'"),
    (&["z", "Z", "O"], "'z', 'Z', or 'O'"),
    (&["U"], "'U'"),
    (
        &["private", "rprivate", "shared", "rshared", "slave", "rslave"],
        "'[r]shared', '[r]private', '[r]slave' or '[r]unbindable'",
    ),
    (&["bind", "rbind"], "'[r]bind'"),
];

impl Volume {
    /// A writable volume.
    pub fn new(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self {
            source: source.into(),
            target: target.into(),
            options: MountOptions::default(),
            changes: VolumeChanges::default(),
            gives: false,
        }
    }

    /// Reads a volume: `SOURCE:TARGET[:OPTION,...]`. A colon of a path has a backslash before it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a text that is none, for options that are not known and for those that do not go
    /// together.
    ///
    /// Source: buildah 1.28, `internal/parse`, `Volume`; containers/common, `pkg/parse`, `ValidateVolumeOpts`.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |detail: &str| invalid(text, detail);
        let parts = split(text);
        let (source, target, options) = match parts.as_slice() {
            [source, target] => (source, target, ""),
            [source, target, options] => (source, target, options.as_str()),
            _ => return Err(wrong("is not SOURCE:TARGET[:OPTIONS]")),
        };
        if !source.starts_with('/') {
            return Err(wrong(
                "its source is no absolute path, and named volumes are not supported",
            ));
        }
        if !target.starts_with('/') {
            return Err(wrong("its target is no absolute path"));
        }
        let mut volume = Self::new(source, target);
        let words: Vec<&str> = options.split(',').filter(|word| !word.is_empty()).collect();
        for (group, shown) in GROUPS {
            if words.iter().filter(|word| group.contains(word)).count() > 1 {
                return Err(wrong(&format!("can only specify 1 {shown} option")));
            }
        }
        let (mut upper, mut work) = (None, None);
        for word in words {
            match word.split_once('=') {
                Some(("upperdir", path)) => place(&mut upper, "upperdir", path, text)?,
                Some(("workdir", path)) => place(&mut work, "workdir", path, text)?,
                _ => volume.option(word, text)?,
            }
        }
        let is_overlay = volume.changes == VolumeChanges::Dropped;
        match (upper, work) {
            (None, None) => {}
            (Some(_), Some(_)) if !is_overlay => {
                return Err(wrong("upperdir and workdir are for an overlay: add the option O"));
            }
            (Some(upper), Some(work)) => volume.changes = VolumeChanges::Kept { upper, work },
            // The words are buildah's.
            _ => {
                return Err(wrong(
                    "if specifying upperdir then workdir must be specified or vice versa",
                ));
            }
        }
        if is_overlay && volume.gives {
            return Err(wrong(
                "O and U do not go together: with O the source stays as it is, its owners included",
            ));
        }
        Ok(volume)
    }

    fn option(&mut self, word: &str, text: &str) -> Result<()> {
        let options = &mut self.options;
        match word {
            // The mount namespace is the command's own, and what a volume is for on other systems is nothing here.
            "rw" | "rbind" | "private" | "rprivate" | "suid" | "dev" | "exec" | "cached"
            | "delegated" => {}
            "ro" => options.access.read_only = true,
            "bind" => options.recursive = false,
            "slave" | "rslave" => options.propagation = Propagation::Slave,
            "shared" | "rshared" => options.propagation = Propagation::DangerShared,
            "nosuid" => options.access.no_setuid = true,
            "nodev" => options.access.no_devices = true,
            "noexec" => options.access.no_execute = true,
            "O" => self.changes = VolumeChanges::Dropped,
            "U" => self.gives = true,
            // Without SELinux there are no labels.
            "z" | "Z" if !cask_runtime::has_selinux() => {}
            "z" | "Z" => {
                return Err(invalid(text, "labels of SELinux are not supported: leave them out"));
            }
            other => return Err(invalid(text, format!("invalid option type {other:?}"))),
        }
        Ok(())
    }

    /// Takes hold of it; `scratch` gives a directory for what becomes of changes that are dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] where there is no source; [`ErrorKind::Io`] and [`ErrorKind::Runtime`].
    pub(crate) fn open(&self, scratch: impl FnOnce() -> Result<PathBuf>) -> Result<Mount> {
        if !self.target.is_absolute() {
            let detail = "where it is mounted must begin with /";
            return Err(Error::new(ErrorKind::Invalid, self.target.display(), detail));
        }
        let source = self.opened(&self.source)?;
        let of_runtime = |error| Error::runtime(error, self.shown());
        let mut mount = match &self.changes {
            VolumeChanges::Written => Mount::bind(source, &self.target),
            VolumeChanges::Dropped => {
                let overlay = Overlay::in_directory(&scratch()?, Arc::new(source));
                Mount::overlay(overlay.map_err(of_runtime)?, &self.target)
            }
            VolumeChanges::Kept { upper, work } => {
                let (lower, upper) = (Arc::new(source), Arc::new(self.opened(upper)?));
                let overlay = Overlay { lower, upper, work: Arc::new(self.opened(work)?) };
                Mount::overlay(overlay, &self.target)
            }
        };
        mount.options = self.options;
        Ok(mount)
    }

    /// Looks whether it can be opened.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn check(&self) -> Result<()> {
        self.opened(&self.source).map(drop)
    }

    fn opened(&self, path: &Path) -> Result<OwnedFd> {
        let opened = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        opened.map_err(|error| {
            let (kind, detail) = match error {
                Errno::NOENT => (ErrorKind::Missing, "no such file or directory"),
                _ => (ErrorKind::Io, "it cannot be opened"),
            };
            let shown = match path == self.source {
                true => self.shown(),
                false => format!("{} of {}", path.display(), self.shown()),
            };
            Error::new(kind, shown, detail).with_source(std::io::Error::from(error))
        })
    }

    fn shown(&self) -> String {
        format!("volume {}", self.source.display())
    }

    /// Gives what it mounts to a user of this machine, where it is to be given.
    ///
    /// # Errors
    /// [`ErrorKind::Runtime`].
    pub(crate) fn give(&self, mount: &Mount, owner: (u32, u32)) -> Result<()> {
        match self.gives {
            true => give(mount, &self.source, owner),
            false => Ok(()),
        }
    }
}

/// Gives what is bound, with all in it, to a user of this machine.
pub(crate) fn give(mount: &Mount, shown: &Path, owner: (u32, u32)) -> Result<()> {
    let MountSource::Bind(opened) = &mount.source else { return Ok(()) };
    give_files(opened.as_fd(), shown, owner).map_err(|error| match error.kind() {
        cask_runtime::ErrorKind::InvalidSpec => {
            Error::new(ErrorKind::Invalid, "", error.to_string())
        }
        _ => Error::new(ErrorKind::Io, shown.display(), "its owner cannot be changed")
            .with_source(error),
    })
}

fn invalid(text: &str, detail: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Invalid, format!("volume {text:?}"), detail.to_string())
}

fn place(known: &mut Option<PathBuf>, name: &str, path: &str, text: &str) -> Result<()> {
    if !path.starts_with('/') {
        return Err(invalid(text, format!("{name} is no absolute path")));
    }
    match known.replace(path.into()) {
        None => Ok(()),
        Some(_) => Err(invalid(text, format!("can only specify 1 {name} per overlay"))),
    }
}

/// The parts between colons that no backslash is before.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let last = parts.len() - 1;
        match letter {
            '\\' if letters.peek() == Some(&':') => {
                parts[last].push(':');
                letters.next();
            }
            ':' => parts.push(String::new()),
            letter => parts[last].push(letter),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_name_two_absolute_paths_and_options_that_go_together() {
        fn check(text: &str, expected: &str) {
            let found = match Volume::parse(text) {
                Ok(volume) => {
                    let (source, target) = (volume.source.display(), volume.target.display());
                    let mut found = format!("{source} {target}");
                    let Volume { options, changes, gives, .. } = &volume;
                    let access = options.access;
                    let flags = [
                        (access.read_only, "ro"),
                        (access.no_setuid, "nosuid"),
                        (access.no_devices, "nodev"),
                        (access.no_execute, "noexec"),
                        (!options.recursive, "bind"),
                        (options.propagation == Propagation::Slave, "slave"),
                        (options.propagation == Propagation::DangerShared, "shared"),
                        (*changes == VolumeChanges::Dropped, "O"),
                        (*gives, "U"),
                    ];
                    for (_, name) in flags.into_iter().filter(|(is_set, _)| *is_set) {
                        found += &format!(" {name}");
                    }
                    if let VolumeChanges::Kept { upper, work } = changes {
                        found += &format!(" {} {}", upper.display(), work.display());
                    }
                    found
                }
                Err(error) => error.to_string().split_once("\": ").unwrap().1.to_owned(),
            };
            assert!(found.starts_with(expected), "{text}: {found}");
        }
        check("/a:/b", "/a /b");
        check("/a:/b:rw,rbind,rprivate,delegated", "/a /b");
        check("/a:/b:ro,nosuid,nodev,noexec,bind,slave", "/a /b ro nosuid nodev noexec bind slave");
        check("/a:/b:rshared", "/a /b shared");
        check("/a:/b:U", "/a /b U");
        check("/a:/b:O", "/a /b O");
        check("/a:/b:O,upperdir=/u,workdir=/w", "/a /b /u /w");
        check("/a:/b:workdir=/w,O,upperdir=/u", "/a /b /u /w");
        check("/a\\:x:/b", "/a:x /b");
        check("/a:/b\\:x:ro", "/a /b:x ro");
        check("/a", "is not SOURCE:TARGET");
        check("/a:/b:ro:x", "is not SOURCE:TARGET");
        check("a:/b", "its source is no absolute path, and named volumes are not supported");
        check("/a:b", "its target is no absolute path");
        check("/a:/b:ro,rw", "can only specify 1 'rw' or 'ro' option");
        check("/a:/b:O,Z", "can only specify 1 'z', 'Z', or 'O' option");
        check("/a:/b:U,U", "can only specify 1 'U' option");
        check("/a:/b:O,U", "O and U do not go together");
        check("/a:/b:O,upperdir=/u", "if specifying upperdir then workdir must be");
        check("/a:/b:O,upperdir=u,workdir=/w", "upperdir is no absolute path");
        check("/a:/b:O,upperdir=/u,upperdir=/v,workdir=/w", "can only specify 1 upperdir");
        check("/a:/b:upperdir=/u,workdir=/w", "upperdir and workdir are for an overlay");
        check("/a:/b:bind-propagation=rshared", "invalid option type");
        check("/a:/b:nocopy", "invalid option type \"nocopy\"");
    }
}
