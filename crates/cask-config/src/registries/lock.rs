//! Changing a file that other processes change too.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::{Error, ErrorKind};

const WAIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);
const RECORDING: &str = "recording short-name alias in";

/// Takes the lock of a file, and makes its directory if need be. The lock ends with the value.
///
/// It is a lock on the open file description, so that threads of one process wait for each other
/// too; record locks of other processes conflict with it.
pub(crate) fn exclusive(path: &Path) -> Result<File, Error> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(directory) = directory {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|source| Error::io(RECORDING, path, source))?;
    }
    let path = beside(path, ".lock");
    let fail = |source| Error::io("locking", &path, source);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.custom_flags(libc::O_NOFOLLOW).open(&path).map_err(fail)?;
    let deadline = Instant::now() + WAIT;
    loop {
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file())) {
            Ok(_) => return Ok(file),
            Err(Errno::EAGAIN | Errno::EACCES) if Instant::now() < deadline => {
                std::thread::sleep(PAUSE);
            }
            Err(Errno::EAGAIN | Errno::EACCES) => {
                let message = format!("another process has held it for {} seconds", WAIT.as_secs());
                return Err(Error::new(ErrorKind::Locked, message).doing("locking", &path));
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(fail(errno.into())),
        }
    }
}

fn whole_file() -> libc::flock {
    let kind = i16::try_from(libc::F_WRLCK).expect("the constants of locks are small");
    let whence = i16::try_from(libc::SEEK_SET).expect("the constants of seeking are small");
    libc::flock { l_type: kind, l_whence: whence, l_start: 0, l_len: 0, l_pid: 0 }
}

/// The new content of a file, which appears at once or not at all.
pub(crate) struct Replacement<'a> {
    pub(crate) path: &'a Path,
    pub(crate) text: &'a str,
}

impl Replacement<'_> {
    /// Writes the text to `PATH.new`, which the lock protects, and renames it.
    pub(crate) fn write(&self) -> Result<(), Error> {
        let fail = |source| Error::io(RECORDING, self.path, source);
        let target = match std::fs::canonicalize(self.path) {
            Ok(target) => target,
            Err(_) => self.path.to_owned(),
        };
        let temporary = beside(&target, ".new");
        // Left by a process that was killed.
        match std::fs::remove_file(&temporary) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(&temporary);
        let written = opened.and_then(|mut file| {
            file.write_all(self.text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&temporary, &target)
        });
        written.map_err(|error| {
            // What it would have said is lost either way.
            let _ = std::fs::remove_file(&temporary);
            fail(error)
        })
    }
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(extension);
    name.into()
}
