//! Putting an image in the place of another, file by file, and still at one moment.
//!
//! Most files are named by their content, so those of two images can lie side by side; which
//! image it is, one file decides: `manifest.json`. Everything else that the new image needs comes
//! before it is renamed, and everything that only the old one needed goes after that.
//!
//! The signatures of the top are the exception: they are numbered. The new ones first stand behind
//! the old ones, so that at no moment one is missing. A signature of another manifest proves
//! nothing and does no harm: whoever verifies passes over it.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::fs::File;
use std::io::Write as _;

use cask_files::{LockKind, Locked, try_lock};
use cask_transport::{Error, ErrorKind, Result};
use rustix::fs::FileType;

use crate::directory::Directory;
use crate::limits::MAX_SIGNATURE_BYTES;
use crate::names::{self, MANIFEST, VERSION, Version, VersionFault};
use crate::staging;

/// What lies in a directory that is to be overwritten: an image, parts of one, or nothing.
#[derive(Debug)]
pub(crate) struct Contents {
    names: BTreeSet<String>,
    version: Option<Version>,
}

impl Contents {
    /// Looks at what a directory holds.
    ///
    /// # Errors
    /// `AlreadyExists` if that is more than an image; `Unsupported` if it is an image of a
    /// version that is not known.
    pub(crate) fn examine(directory: &Directory) -> Result<Self> {
        let names: BTreeSet<_> =
            directory.names()?.into_iter().filter(|name| !staging::is_hidden(name)).collect();
        if names.is_empty() {
            return Ok(Self { names, version: None });
        }
        let refused = |detail: String| {
            Err(Error::new(ErrorKind::AlreadyExists, "writing to", directory.path().display())
                .with_detail(detail)
                .with_hint("name an empty directory, or one that does not exist yet"))
        };
        let not_ours = "not a containers image directory, don't want to overwrite important data";
        let version = match read_version(directory) {
            Ok(Some(version)) => version,
            Ok(None) => return refused(not_ours.into()),
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::LimitExceeded) => {
                return refused(not_ours.into());
            }
            Err(error) => return Err(error),
        };
        for name in &names {
            let is_directory = directory
                .stat(name)?
                .is_some_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Directory);
            if is_directory || !names::is_of_an_image(name) {
                return refused(format!("{not_ours}: {name:?} is not part of an image"));
            }
        }
        Ok(Self { names, version: Some(version) })
    }

    fn holds(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// How many signatures of the top a reader finds.
    fn signatures(&self) -> usize {
        (1..).take_while(|number| self.holds(&names::signature(None, *number))).count()
    }
}

/// Reads the version; `None` if there is none.
///
/// # Errors
/// `Corrupt` if it is no version, `Unsupported` if it is not a known one, and those of reading.
pub(crate) fn read_version(directory: &Directory) -> Result<Option<Version>> {
    let Some(text) = directory.read(VERSION, names::MAX_VERSION_BYTES)? else { return Ok(None) };
    let fail = |kind, detail: String| {
        let subject = directory.path().join(VERSION);
        Err(Error::new(kind, "reading", subject.display()).with_detail(detail))
    };
    match Version::parse(&text) {
        Ok(version) => Ok(Some(version)),
        Err(VersionFault::Odd) => fail(
            ErrorKind::Corrupt,
            format!("invalid version file content: {:?}", String::from_utf8_lossy(&text)),
        ),
        Err(VersionFault::Unknown(major, minor)) => fail(
            ErrorKind::Unsupported,
            format!("unsupported directory transport version {major}.{minor}, not 1.0 to 1.2"),
        ),
    }
}

/// Moves a complete image from a hidden directory to where one is already, or nothing. Gives what
/// could not be cleaned up after that.
///
/// # Errors
/// Those of [`Contents::examine`] and of the file system. Then the old image is as it was.
pub(crate) fn replace(staging: &Directory, target: &Directory) -> Result<Vec<String>> {
    // Waiting for the disk takes longest: before others have to wait for us.
    let synchronised = target.stat(MANIFEST)?.is_some();
    if synchronised {
        synchronise(staging)?;
    }
    let _lock = target.lock()?;
    let old = Contents::examine(target)?;
    let replaces = old.holds(MANIFEST);
    if replaces && !synchronised {
        synchronise(staging)?;
    }
    let mut replacement = Replacement {
        staging,
        target,
        replaces,
        // Without it nobody can tell whether the old image is being read.
        old_manifest: target.file(MANIFEST).ok().flatten(),
        old_signatures: old.signatures(),
        old,
        new: staging.names()?.into_iter().collect(),
        added: Vec::new(),
    };
    if let Err(error) = replacement.up_to_the_manifest() {
        replacement.undo();
        return Err(error);
    }
    Ok(replacement.clean_up())
}

fn synchronise(staging: &Directory) -> Result<()> {
    for name in staging.names()? {
        staging.sync_file(&name)?;
    }
    Ok(())
}

struct Replacement<'a> {
    staging: &'a Directory,
    target: &'a Directory,
    /// There was an image before.
    replaces: bool,
    /// To ask whether somebody reads the old image.
    old_manifest: Option<File>,
    old_signatures: usize,
    old: Contents,
    new: BTreeSet<String>,
    /// What is in the target now and was not before.
    added: Vec<String>,
}

impl Replacement<'_> {
    /// Everything that the new image needs, and then the file that makes it the image.
    fn up_to_the_manifest(&mut self) -> Result<()> {
        if self.new_version()? > self.old.version {
            self.bring(VERSION)?;
        }
        let by_content: Vec<_> = self.new.iter().filter(|name| is_by_content(name)).collect();
        for name in by_content.into_iter().cloned().collect::<Vec<_>>() {
            self.bring(&name)?;
        }
        for number in 1..=self.new_signatures() {
            if self.old_signatures == 0 {
                self.bring(&names::signature(None, number))?;
            } else {
                self.append_signature(number)?;
            }
        }
        if self.replaces {
            self.target.sync()?;
        }
        self.bring(MANIFEST)
    }

    fn new_version(&self) -> Result<Option<Version>> {
        read_version(self.staging)
    }

    fn new_signatures(&self) -> usize {
        (1..).take_while(|number| self.new.contains(&names::signature(None, *number))).count()
    }

    /// Moves a file to the target.
    fn bring(&mut self, name: &str) -> Result<()> {
        let fail = |error| self.target.fail("replacing", name, error);
        self.staging.rename(name, self.target, name).map_err(fail)?;
        if !self.old.holds(name) {
            self.added.push(name.to_owned());
        }
        Ok(())
    }

    /// Puts a copy of a new signature behind the old ones and those before it.
    fn append_signature(&mut self, number: usize) -> Result<()> {
        let own = names::signature(None, number);
        let name = names::signature(None, self.old_signatures + number);
        let fail = |error| self.target.fail("writing", &name, error);
        let bytes = self.staging.read(&own, MAX_SIGNATURE_BYTES)?.unwrap_or_default();
        let copy = format!("{}signature", staging::PART);
        self.staging
            .create(&copy)
            .and_then(|mut file| file.write_all(&bytes))
            .and_then(|()| self.staging.rename(&copy, self.target, &name))
            .map_err(fail)?;
        if !self.old.holds(&name) {
            self.added.push(name);
        }
        Ok(())
    }

    /// Removes what came before something failed.
    fn undo(&self) {
        for name in &self.added {
            // What stays is removed by whoever writes next.
            let _ = self.target.unlink(name);
        }
    }

    /// Removes what only the old image needed. The new one is there, whatever happens now.
    fn clean_up(mut self) -> Vec<String> {
        match self.try_clean_up() {
            Ok(None) => Vec::new(),
            Ok(Some(warning)) => vec![warning],
            Err(error) => {
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                vec![format!(
                    "the image was written, but cleaning up after the one before failed: {error}{cause}"
                )]
            }
        }
    }

    fn try_clean_up(&mut self) -> Result<Option<String>> {
        if self.replaces {
            self.target.sync()?;
        }
        self.order_signatures()?;
        if self.staging.stat(VERSION)?.is_some() {
            self.bring(VERSION)?;
        }
        let old_ones: Vec<_> = self.old.names.difference(&self.new).collect();
        if old_ones.is_empty() {
            return Ok(None);
        }
        let is_locked = |file: &File| try_lock(file, LockKind::Exclusive) == Locked::No;
        let being_read = self.old_manifest.as_ref().is_some_and(is_locked);
        if being_read {
            return Ok(Some(format!(
                "files of the image that {} held before are still being read; they stay there \
                 until it is written again",
                self.target.path().display()
            )));
        }
        for name in old_ones {
            self.remove(name)?;
        }
        Ok(None)
    }

    /// Gives the new signatures their numbers, and takes away all others, the last first.
    fn order_signatures(&mut self) -> Result<()> {
        let count = self.new_signatures();
        if self.old_signatures > 0 {
            for number in 1..=count {
                self.bring(&names::signature(None, number))?;
            }
        }
        let present = self.old.names.iter().chain(&self.added);
        let mut others: Vec<_> = present
            .filter_map(|name| names::top_signature(name))
            .filter(|number| *number > count)
            .collect();
        others.sort_unstable();
        for number in others.into_iter().rev() {
            self.remove(&names::signature(None, number))?;
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.target.unlink(name).map_err(|error| self.target.fail("removing", name, error))
    }
}

/// Whether the name of a file of a new image says what is in it.
fn is_by_content(name: &str) -> bool {
    !matches!(name, VERSION | MANIFEST) && names::top_signature(name).is_none()
}
