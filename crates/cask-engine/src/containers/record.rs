//! A container on the disk: one file that is replaced as a whole, and two locks.
//!
//! ```text
//! GRAPH ROOT/cask/containers/<id>/
//!   container.json    what it was made with, and its state
//!   lock              held while its state is changed; while it begins, by its monitor too
//!   monitor           held by its monitor as long as that lives
//!   ctr.log           its output
//! RUN ROOT/cask/containers/<id>/
//!   attach            the monitor's socket
//!   hosts  hostname  resolv.conf  .containerenv
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use cask_image::Timestamp;
use cask_storage::Id;
use serde::{Deserialize, Serialize};

use super::config::ContainerConfig;
use crate::{Error, ErrorKind, Result};

/// The most that is read of a container's file.
const LONGEST: u64 = 16 << 20;
/// More than most files of containers have, in bytes.
const USUAL: usize = 8 << 10;
/// The version of the file. Newer ones are refused.
const VERSION: u32 = 1;

/// What became of a container so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ContainerState {
    /// Where it is in its life.
    pub status: Status,
    /// The number of its first process; 0 where it does not run.
    pub pid: u32,
    /// When that began, in ticks of the machine.
    pub pid_started: u64,
    /// The number of its monitor.
    pub monitor_pid: u32,
    /// Which start of the machine this is about.
    pub boot: String,
    /// Its exit code.
    pub exit_code: i32,
    /// When it began last, in RFC 3339; empty where it never did.
    pub started_at: String,
    /// When it ended last.
    pub finished_at: String,
    /// The kernel killed one of its processes for lack of memory.
    pub oom_killed: bool,
    /// How often it began again by itself.
    pub restarts: u32,
    /// Why it did not begin.
    pub error: String,
    /// Somebody stopped it: it shall not begin again by itself.
    pub stopped: bool,
    /// Its monitor makes what it needs; what that is must be taken back where the monitor is gone.
    pub beginning: bool,
    /// Its control group.
    pub cgroup: Option<String>,
    /// The mount points of its volumes that must be unmounted.
    pub mounted: u32,
    /// What differs from what was asked for.
    pub notes: Vec<String>,
}

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// It never ran.
    #[default]
    Created,
    /// It runs.
    Running,
    /// All of its processes stand.
    Paused,
    /// It has ended.
    Exited,
    /// It is being removed.
    Removing,
}

impl Status {
    /// The word of `ps` and `inspect`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Exited => "exited",
            Self::Removing => "removing",
        }
    }

    /// Whether it has processes.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

#[derive(Serialize, Deserialize)]
struct File1 {
    version: u32,
    config: ContainerConfig,
    state: ContainerState,
}

/// Where the files of one container are.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) kept: PathBuf,
    pub(crate) run: PathBuf,
}

/// The lock of a container: released when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    file: File,
}

impl Held {
    pub(crate) fn new(file: File) -> Self {
        Self { file }
    }

    /// The same lock for another process: it is held until both have let go of it.
    pub(crate) fn share(&self) -> std::io::Result<File> {
        self.file.try_clone()
    }
}

pub(crate) fn io(error: std::io::Error, doing: &str, path: &Path) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => ErrorKind::ContainerNotKnown,
        _ => ErrorKind::Io,
    };
    Error::new(kind, path.display(), doing).with_source(error)
}

impl Place {
    pub(crate) fn file(&self) -> PathBuf {
        self.kept.join("container.json")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.kept.join("ctr.log")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.run.join("attach")
    }

    /// Makes both directories.
    pub(crate) fn make(&self) -> Result<()> {
        for path in [&self.kept, &self.run] {
            let made = loop {
                match DirBuilder::new().recursive(true).mode(0o700).create(path) {
                    // It was removed between two looks at it.
                    Err(error)
                        if error.kind() == std::io::ErrorKind::AlreadyExists
                            && (!path.exists() || path.is_dir()) => {}
                    made => break made,
                }
            };
            made.map_err(|error| io(error, "making the directory", path))?;
        }
        Ok(())
    }

    /// Makes the directories of a container that is about to be made, and takes its lock.
    pub(crate) fn begin(&self) -> Result<Held> {
        let path = self.kept.join("lock");
        loop {
            self.make()?;
            let file = match open_lock(&path) {
                Err(error) if error.kind() == ErrorKind::ContainerNotKnown => continue,
                other => other?,
            };
            file.lock().map_err(|error| io(error, "locking", &path))?;
            // Before it was locked it looked like what a killed command leaves: perhaps somebody removed that.
            if is_at(&file, &path) {
                self.make()?;
                return Ok(Held::new(file));
            }
        }
    }

    /// Takes the lock of a container that has no file, where nobody else has it.
    pub(crate) fn abandoned(&self) -> Option<Held> {
        // Whoever made the directory may have been killed before it made the lock.
        let path = self.kept.join("lock");
        let file = open_lock(&path).ok()?;
        file.try_lock().ok()?;
        (is_at(&file, &path) && !self.file().exists()).then(|| Held::new(file))
    }

    /// Removes both. What is gone already is no error.
    pub(crate) fn remove(&self) -> Result<()> {
        for path in [&self.run, &self.kept] {
            match fs::remove_dir_all(path) {
                // Whoever makes a container there meanwhile goes on with the directory.
                Err(error)
                    if !matches!(
                        error.kind(),
                        std::io::ErrorKind::NotFound | std::io::ErrorKind::DirectoryNotEmpty
                    ) =>
                {
                    return Err(io(error, "removing", path));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes the lock that says that a monitor lives. `None` where another one does.
    pub(crate) fn become_monitor(&self) -> Result<Option<Held>> {
        let path = self.kept.join("monitor");
        let file = open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Held::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(io(error, "locking", &path)),
        }
    }

    /// Whether a monitor lives.
    pub(crate) fn has_monitor(&self) -> bool {
        let Ok(file) = File::open(self.kept.join("monitor")) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Reads the container, and settles what its state says that is no more.
    pub(crate) fn load(&self) -> Result<(ContainerConfig, ContainerState)> {
        let (config, mut state) = self.load_as_written()?;
        if state.status.is_up() {
            self.settle(&mut state);
        }
        Ok((config, state))
    }

    pub(crate) fn load_as_written(&self) -> Result<(ContainerConfig, ContainerState)> {
        let path = self.file();
        let mut bytes = Vec::with_capacity(USUAL);
        File::open(&path)
            .and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes))
            .map_err(|error| io(error, "reading", &path))?;
        if bytes.len() as u64 > LONGEST {
            return Err(Error::new(ErrorKind::Storage, path.display(), "it is longer than 16 MiB"));
        }
        let read: File1 = serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(ErrorKind::Storage, path.display(), "it cannot be read")
                .with_source(error)
                .with_hint("remove the container with rm --force")
        })?;
        if read.version > VERSION {
            let why = "a newer release of the program wrote it";
            return Err(Error::new(ErrorKind::Storage, path.display(), why));
        }
        Ok((read.config, read.state))
    }

    /// A container whose monitor is gone has ended with it; one of another start of the machine long ago.
    fn settle(&self, state: &mut ContainerState) {
        let rebooted = state.boot != boot();
        if !rebooted && self.has_monitor() {
            return;
        }
        let written = fs::metadata(self.file()).and_then(|found| found.modified());
        state.status = Status::Exited;
        state.pid = 0;
        state.finished_at = written.map_or_else(|_| now(), text_of);
        state.exit_code = 137;
        state.error = if rebooted {
            "it ended with the machine".to_owned()
        } else if let Some(code) = self.left_code() {
            state.exit_code = code;
            "its end could not be written down: is the disk full?".to_owned()
        } else {
            "its monitor was killed, and it with that".to_owned()
        };
    }

    /// Where its exit code is left for those who wait, or where the disk of the store takes no more.
    pub(crate) fn exit_path(&self) -> PathBuf {
        let top = self.run.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
        top.join("exits").join(self.run.file_name().unwrap_or_default())
    }

    fn left_code(&self) -> Option<i32> {
        fs::read_to_string(self.exit_path()).ok()?.trim().parse().ok()
    }

    /// Replaces the file.
    pub(crate) fn save(&self, config: &ContainerConfig, state: &ContainerState) -> Result<()> {
        let path = self.file();
        let new = self.kept.join(format!(".container.json.{}", std::process::id()));
        let whole = File1 { version: VERSION, config: config.clone(), state: state.clone() };
        let bytes = serde_json::to_vec(&whole).expect("texts and numbers can be written");
        let write = || -> std::io::Result<()> {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(&bytes)?;
            let old = File::open(&path);
            fs::rename(&new, &path)?;
            let _ = old.map(cask_files::let_go);
            Ok(())
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&new);
            io(error, "writing", &path)
        })
    }
}

pub(crate) fn open_lock(path: &Path) -> Result<File> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    opened.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            let id = path.parent().and_then(Path::file_name).unwrap_or_default();
            Error::no_container(&id.to_string_lossy())
        }
        _ => io(error, "opening", path),
    })
}

/// Whether a file that is open is still the one of that name.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    let open = file.metadata().map(identity);
    open.is_ok_and(|open| fs::metadata(path).map(identity).is_ok_and(|named| named == open))
}

/// Which start of the machine this is.
pub(crate) fn boot() -> String {
    static BOOT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let read = || fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    BOOT.get_or_init(|| read().trim().to_owned()).clone()
}

/// What the clock says, in RFC 3339.
pub(crate) fn now() -> String {
    text_of(SystemTime::now())
}

fn text_of(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_unix(seconds, since.subsec_nanos()).unwrap_or(Timestamp::GO_ZERO).to_string()
}

/// How many threads read the files of many containers: more find nothing to do, since most of the time goes into what
/// the files say.
const READERS: usize = 4;
/// So few files are read sooner than threads are started.
const FEW: usize = 32;

/// What became of reading the file of a container.
pub(crate) type Loaded = Result<(ContainerConfig, ContainerState)>;

/// Reads many containers, as [`Place::load`] does, in their order.
pub(crate) fn load_all(places: Vec<Place>) -> Vec<(Place, Loaded)> {
    let load = |place: &Place| place.load();
    let loaded: Vec<Loaded> = if places.len() <= FEW {
        places.iter().map(load).collect()
    } else {
        std::thread::scope(|scope| {
            let parts = places.chunks(places.len().div_ceil(READERS));
            let readers: Vec<_> = parts
                .map(|part| scope.spawn(move || part.iter().map(load).collect::<Vec<Loaded>>()))
                .collect();
            let read = readers.into_iter().map(|reader| match reader.join() {
                Ok(loaded) => loaded,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            read.flatten().collect()
        })
    };
    places.into_iter().zip(loaded).collect()
}

/// The IDs of all containers that have a directory.
pub(crate) fn ids(containers: &Path) -> Result<Vec<Id>> {
    let entries = match fs::read_dir(containers) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| io(error, "listing", containers))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| io(error, "listing", containers))?;
        found.extend(entry.file_name().to_str().and_then(|name| Id::parse(name).ok()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(directory: &tempfile::TempDir) -> Place {
        let id = Id::random().to_string();
        let join = |name: &str| directory.path().join(name).join(&id);
        let place = Place { kept: join("kept"), run: join("run") };
        place.make().unwrap();
        place
    }

    fn running(boot: String) -> ContainerState {
        ContainerState { status: Status::Running, pid: 7, boot, ..ContainerState::default() }
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let place = place(&directory);
        let config = ContainerConfig { name: "web".to_owned(), ..ContainerConfig::default() };
        let state = ContainerState { exit_code: 3, status: Status::Exited, ..Default::default() };
        place.save(&config, &state).unwrap();
        let (read, found) = place.load().unwrap();
        assert_eq!((read.name.as_str(), found), ("web", state));
    }

    #[test]
    fn a_container_without_a_monitor_has_ended() {
        let directory = tempfile::tempdir().unwrap();
        let place = place(&directory);
        place.save(&ContainerConfig::default(), &running(boot())).unwrap();
        let (_, state) = place.load().unwrap();
        assert_eq!((state.status, state.exit_code, state.pid), (Status::Exited, 137, 0));
        let monitor = place.become_monitor().unwrap().unwrap();
        assert!(place.become_monitor().unwrap().is_none());
        assert_eq!(place.load().unwrap().1.status, Status::Running);
        drop(monitor);
        assert_eq!(place.load().unwrap().1.status, Status::Exited);
    }

    #[test]
    fn what_was_never_whole_is_abandoned_with_a_lock_or_without() {
        let directory = tempfile::tempdir().unwrap();
        let place = place(&directory);
        // Its maker was killed before it made the lock.
        drop(place.abandoned().unwrap());
        let held = place.begin().unwrap();
        assert!(place.abandoned().is_none());
        drop(held);
        drop(place.abandoned().unwrap());
        place.remove().unwrap();
        assert!(place.abandoned().is_none() && !place.kept.exists());
        // Who makes it waits for the one who removes it, and makes it anew.
        place.make().unwrap();
        let removing = place.abandoned().unwrap();
        let other = place.clone();
        let maker = std::thread::spawn(move || other.begin());
        place.remove().unwrap();
        drop(removing);
        let held = maker.join().unwrap().unwrap();
        assert!(place.abandoned().is_none() && place.kept.join("lock").exists());
        drop(held);
    }

    #[test]
    fn the_state_of_another_start_of_the_machine_is_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let place = place(&directory);
        let _monitor = place.become_monitor().unwrap().unwrap();
        place.save(&ContainerConfig::default(), &running("another".to_owned())).unwrap();
        let (_, state) = place.load().unwrap();
        assert_eq!(state.status, Status::Exited);
        assert!(state.error.contains("machine"));
    }

    #[test]
    fn many_are_read_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        for count in [0, 1, FEW, FEW + 1, 3 * FEW + 1] {
            let at = |number: usize| {
                let kept = directory.path().join(number.to_string());
                Place { run: kept.join("run"), kept }
            };
            let places: Vec<Place> = (0..count).map(at).collect();
            for (number, place) in places.iter().enumerate().filter(|(number, _)| *number != 7) {
                place.make().unwrap();
                let config =
                    ContainerConfig { name: number.to_string(), ..ContainerConfig::default() };
                place.save(&config, &ContainerState::default()).unwrap();
            }
            let found = load_all(places);
            assert_eq!(found.len(), count);
            for (number, (place, loaded)) in found.into_iter().enumerate() {
                assert_eq!(place.kept, at(number).kept);
                match loaded {
                    Ok((config, _)) => assert_eq!(config.name, number.to_string()),
                    Err(error) => {
                        assert_eq!((number, error.kind()), (7, ErrorKind::ContainerNotKnown));
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_damaged_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let place = place(&directory);
        for text in ["", "{", "null", "{\"version\":2,\"config\":{},\"state\":{}}"] {
            fs::write(place.file(), text).unwrap();
            assert_eq!(place.load().unwrap_err().kind(), ErrorKind::Storage, "{text}");
        }
        place.remove().unwrap();
        place.remove().unwrap();
        assert_eq!(place.lock().unwrap_err().kind(), ErrorKind::ContainerNotKnown);
    }
}
