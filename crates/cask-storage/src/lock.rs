//! Locks of the store, in one domain with those of podman, buildah and skopeo.
//!
//! The peers lock with POSIX record locks (`fcntl`), which `flock` does not see and which end as
//! soon as any descriptor of the file is closed in the process. Here they are open file
//! description locks: they conflict with those of the peers and with one another, threads
//! included, since every lock is a file that was opened for it alone.
//!
//! Source: containers/storage, `pkg/lockfile`.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cask_files::fault;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::file::is_missing;
use crate::{Error, ErrorKind, Result, random};

/// How long to ask again and again before a thread of its own waits: most locks are held for less.
const EAGER: Duration = Duration::from_millis(2);

/// How often who waits looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The length of what the last writer leaves in a lock file.
pub(crate) const TOKEN_BYTES: usize = 64;

/// Whom a lock keeps out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Those who want to write.
    Read,
    /// Everybody.
    Write,
}

/// How long a lock is waited for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience<'w> {
    /// No longer than this; `None` is for ever.
    pub(crate) most: Option<Duration>,
    /// No longer than until this is set.
    pub(crate) given_up: Option<&'w AtomicBool>,
}

impl From<Option<Duration>> for Patience<'_> {
    fn from(most: Option<Duration>) -> Self {
        Self { most, given_up: None }
    }
}

impl Patience<'_> {
    /// How much of it is left, for who looks again after that; `None` where nobody has to.
    fn left(&self, since: Instant) -> Option<Duration> {
        if self.given_up.is_some_and(|given_up| given_up.load(Ordering::Relaxed)) {
            return Some(Duration::ZERO);
        }
        let left = self.most.map(|most| most.saturating_sub(since.elapsed()));
        match self.given_up {
            None => left,
            Some(_) => Some(left.map_or(LOOK_EVERY, |left| left.min(LOOK_EVERY))),
        }
    }
}

/// A lock, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Locks a file, which is made where it does not exist; waits as long as said.
    pub(crate) fn acquire<'w>(
        path: &Path,
        mode: Mode,
        patience: impl Into<Patience<'w>>,
    ) -> Result<Self> {
        let (file, patience) = (open(path, mode)?, patience.into());
        let locked = wait_patiently(&file, mode, patience);
        match locked {
            Ok(()) => Ok(Self { file, path: path.to_owned() }),
            Err(Errno::EAGAIN | Errno::EACCES) => Err(taken(&file, path, mode, patience)),
            Err(error) => Err(Error::io(error, "locking", path)),
        }
    }

    /// Locks a file for writing if nobody has it.
    pub(crate) fn try_acquire(path: &Path) -> Result<Option<Self>> {
        let file = open(path, Mode::Write)?;
        match try_lock(&file, Mode::Write) {
            Ok(()) => Ok(Some(Self { file, path: path.to_owned() })),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
            Err(error) => Err(Error::io(error, "locking", path)),
        }
    }

    /// Whether the locked file is still the one with this name.
    pub(crate) fn is_current(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let (Ok(own), Ok(named)) = (self.file.metadata(), std::fs::metadata(&self.path)) else {
            return false;
        };
        (own.dev(), own.ino()) == (named.dev(), named.ino())
    }

    /// Says to everybody that something is about to change: to be called under a write lock,
    /// before what it guards is changed.
    pub(crate) fn write_token(&self) -> Result<()> {
        let written = fault::step().and_then(|()| self.file.write_all_at(&token(), 0));
        written.map_err(|error| Error::io(error, "writing", &self.path))
    }

    /// Says that the holder is at work.
    pub(crate) fn touch(&self) -> std::io::Result<()> {
        self.set_modified(SystemTime::now())
    }

    pub(crate) fn set_modified(&self, time: SystemTime) -> std::io::Result<()> {
        self.file.set_modified(time)
    }

    /// Whether somebody wrote a token.
    pub(crate) fn has_token(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.len() >= TOKEN_BYTES as u64)
    }
}

fn open(path: &Path, mode: Mode) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o644);
    match options.open(path) {
        Err(error) if mode == Mode::Read && !is_missing(&error) => {
            File::open(path).map_err(|error| Error::io(error, "opening", path))
        }
        opened => opened.map_err(|error| Error::io(error, "opening", path)),
    }
}

fn request(mode: Mode) -> libc::flock {
    let kind = match mode {
        Mode::Read => libc::F_RDLCK,
        Mode::Write => libc::F_WRLCK,
    };
    // The whole file, however long it gets.
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

fn try_lock(file: &File, mode: Mode) -> Result<(), Errno> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&request(mode))).map(|_| ())
}

fn wait(file: &File, mode: Mode) -> Result<(), Errno> {
    loop {
        match fcntl(file, FcntlArg::F_OFD_SETLKW(&request(mode))) {
            Err(Errno::EINTR) => {}
            result => return result.map(|_| ()),
        }
    }
}

/// Waits in the kernel, which wakes whoever is next at once, but no longer than said.
fn wait_patiently(file: &File, mode: Mode, patience: Patience<'_>) -> Result<(), Errno> {
    let start = Instant::now();
    if patience.left(start).is_none() {
        return wait(file, mode);
    }
    let mut pause = Duration::from_micros(50);
    loop {
        match try_lock(file, mode) {
            Err(Errno::EAGAIN | Errno::EACCES | Errno::EINTR) => {}
            result => return result,
        }
        let left = patience.left(start).unwrap_or(LOOK_EVERY);
        if left.is_zero() {
            return Err(Errno::EAGAIN);
        }
        if start.elapsed() >= EAGER
            && let Some(result) = wait_on_thread(file, mode, &|| patience.left(start))
        {
            return result;
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(EAGER);
    }
}

/// Has a thread wait: nothing but a signal ends a wait in the kernel, and signals are the program's. Who has lost
/// patience leaves the thread behind, which gives the lock back as soon as it has it. `None` if there can be no thread.
fn wait_on_thread(
    file: &File,
    mode: Mode,
    left: &dyn Fn() -> Option<Duration>,
) -> Option<Result<(), Errno>> {
    // The lock belongs to what both are open on.
    let own = file.try_clone().ok()?;
    let (sender, receiver) = sync_channel(0);
    // Where nobody waits any more, the lock goes with the file.
    let waiting = move || {
        let _ = sender.send(wait(&own, mode));
    };
    std::thread::Builder::new().name("lock".to_owned()).spawn(waiting).ok()?;
    loop {
        let left = left().unwrap_or(LOOK_EVERY);
        match receiver.recv_timeout(left) {
            Ok(result) => return Some(result),
            Err(RecvTimeoutError::Timeout) if !left.is_zero() => {}
            Err(_) => return Some(Err(Errno::EAGAIN)),
        }
    }
}

/// The error for a lock that others have.
fn taken(file: &File, path: &Path, mode: Mode, patience: Patience<'_>) -> Error {
    let mut held = request(mode);
    let asked = fcntl(file, FcntlArg::F_OFD_GETLK(&mut held));
    let by = match asked {
        // Locks of open file descriptions name nobody.
        Ok(_) if held.l_pid > 0 => format!("process {} holds it", held.l_pid),
        _ => match last_writer(file) {
            Some(process) => format!("others hold it; process {process} was the last to write"),
            None => "others hold it".to_owned(),
        },
    };
    let error = Error::new(ErrorKind::Locked, "locking", path.display());
    if patience.given_up.is_some_and(|given_up| given_up.load(Ordering::Relaxed)) {
        return error.with_detail(format!("{by}, and it is waited for no longer"));
    }
    let waited = patience.most.unwrap_or_default();
    error
        .with_detail(format!("{by}, and {waited:?} have passed"))
        .with_hint("wait for it, or end it if it hangs")
}

/// The process that the last token is from.
fn last_writer(file: &File) -> Option<u32> {
    let mut process = [0; 4];
    file.read_exact_at(&mut process, 16).ok()?;
    // Tokens of releases before 1.42 are hexadecimal digits.
    let is_number = file.metadata().ok()?.len() == TOKEN_BYTES as u64;
    (is_number && !process.iter().all(u8::is_ascii_hexdigit)).then(|| u32::from_le_bytes(process))
}

/// What the last writer leaves: the time, a counter, the process, and random bytes.
///
/// Source: containers/storage, `pkg/lockfile/lastwrite.go`.
pub(crate) fn token() -> [u8; TOKEN_BYTES] {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut token = [0; TOKEN_BYTES];
    token[..8].copy_from_slice(&(now.as_nanos() as u64).to_le_bytes());
    token[8..16].copy_from_slice(&COUNTER.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    token[16..20].copy_from_slice(&std::process::id().to_le_bytes());
    random::fill(&mut token[20..]);
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Option<Duration> = Some(Duration::from_millis(30));

    fn path() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.lock");
        (directory, path)
    }

    #[test]
    fn readers_share_and_writers_do_not() {
        let (_directory, path) = path();
        let one = Lock::acquire(&path, Mode::Read, SHORT).unwrap();
        let two = Lock::acquire(&path, Mode::Read, SHORT).unwrap();
        let error = Lock::acquire(&path, Mode::Write, SHORT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked);
        assert!(Lock::try_acquire(&path).unwrap().is_none());
        drop((one, two));
        // Whoever lost patience may still be about to give the lock back.
        let write = Lock::acquire(&path, Mode::Write, None).unwrap();
        assert!(Lock::acquire(&path, Mode::Read, SHORT).is_err());
        drop(write);
        Lock::acquire(&path, Mode::Read, None).unwrap();
    }

    #[test]
    fn who_waits_has_the_lock_as_soon_as_it_is_free() {
        let (_directory, path) = path();
        let held = Lock::acquire(&path, Mode::Write, None).unwrap();
        // Who has lost patience leaves nothing locked behind.
        assert!(Lock::acquire(&path, Mode::Write, SHORT).is_err());
        assert!(Lock::acquire(&path, Mode::Read, SHORT).is_err());
        let patience = Some(Duration::from_secs(60));
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| drop(Lock::acquire(&path, Mode::Write, patience).unwrap())))
                .collect();
            drop(held);
            waiting.into_iter().for_each(|one| one.join().unwrap());
        });
        Lock::acquire(&path, Mode::Write, patience).unwrap();
    }

    #[test]
    fn who_is_not_wanted_any_more_waits_no_longer() {
        let (_directory, path) = path();
        let held = Lock::acquire(&path, Mode::Write, None).unwrap();
        let given_up = AtomicBool::new(false);
        for most in [None, Some(Duration::from_secs(600))] {
            given_up.store(false, Ordering::Relaxed);
            let patience = Patience { most, given_up: Some(&given_up) };
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| Lock::acquire(&path, Mode::Write, patience));
                given_up.store(true, Ordering::Relaxed);
                let error = waiting.join().unwrap().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Locked);
                assert!(error.to_string().contains("no longer"), "{error}");
            });
        }
        drop(held);
        given_up.store(false, Ordering::Relaxed);
        let patience = Patience { most: None, given_up: Some(&given_up) };
        drop(Lock::acquire(&path, Mode::Write, patience).unwrap());
    }

    /// Not a test of its own: what holds a lock as the peers do, which are other processes.
    #[test]
    fn child() {
        let Some(path) = std::env::var_os("CASK_STORAGE_TEST_LOCK") else { return };
        let file = open(Path::new(&path), Mode::Write).unwrap();
        fcntl(&file, FcntlArg::F_SETLKW(&request(Mode::Write))).unwrap();
        println!("locked");
        std::io::Read::read(&mut std::io::stdin(), &mut [0]).unwrap();
    }

    #[test]
    fn the_message_names_the_peer_that_holds_it() {
        use std::io::BufRead as _;
        use std::process::{Command, Stdio};
        let (_directory, path) = path();
        let mut peer = Command::new(std::env::current_exe().unwrap());
        peer.args(["--exact", "--nocapture", "lock::tests::child"]);
        peer.env("CASK_STORAGE_TEST_LOCK", &path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut peer = peer.spawn().unwrap();
        let mut lines = std::io::BufReader::new(peer.stdout.take().unwrap()).lines();
        assert!(lines.by_ref().map(Result::unwrap).any(|line| line.ends_with("locked")));
        let error = Lock::acquire(&path, Mode::Read, SHORT).unwrap_err().to_string();
        assert!(error.contains(&format!("process {} holds it", peer.id())), "{error}");
        drop(peer.stdin.take());
        assert!(peer.wait().unwrap().success());
        Lock::acquire(&path, Mode::Read, None).unwrap();
    }

    #[test]
    fn the_message_names_the_last_writer() {
        let (_directory, path) = path();
        let held = Lock::acquire(&path, Mode::Write, None).unwrap();
        assert!(!held.has_token());
        held.write_token().unwrap();
        assert!(held.has_token());
        let error = Lock::acquire(&path, Mode::Write, SHORT).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        assert_eq!(std::fs::read(&path).unwrap().len(), TOKEN_BYTES);
    }

    #[test]
    fn a_lock_of_a_deleted_file_is_not_current() {
        let (_directory, path) = path();
        let held = Lock::try_acquire(&path).unwrap().unwrap();
        assert!(held.is_current());
        std::fs::remove_file(&path).unwrap();
        assert!(!held.is_current());
    }

    #[test]
    fn tokens_differ() {
        assert_ne!(token(), token());
    }
}
