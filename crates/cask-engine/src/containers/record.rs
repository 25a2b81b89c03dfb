//! A container on the disk: one file that is replaced as a whole, and two locks.
//!
//! ```text
//! GRAPH ROOT/cask/containers/<id>/
//!   container.json    what it was made with, and its state
//!   first.json        the same when it was made: on the disk before anybody was told of the container
//!   lock              held while its state is changed; while it begins, by its monitor too
//!   monitor           held by its monitor as long as that lives
//!   ctr.log           its output
//! RUN ROOT/cask/containers/<id>/
//!   attach            the monitor's socket
//!   hosts  hosts.joined  hostname  resolv.conf  .containerenv
//! ```

mod read;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use cask_image::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::ContainerConfig;
use crate::{Error, ErrorKind, Result};

pub(crate) use read::{ids, load_all};

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
    /// Somebody asked it to end, and waits for that.
    pub stopping: bool,
    /// Its monitor makes what it needs; what that is must be taken back where the monitor is gone.
    pub beginning: bool,
    /// Its control group.
    pub cgroup: Option<String>,
    /// The mount points of its volumes that must be unmounted.
    pub mounted: u32,
    /// What differs from what was asked for.
    pub notes: Vec<String>,
    /// Its file was damaged: what is known is what it was made with, not what became of it. Whatever is done to it
    /// next writes a whole file again.
    #[serde(skip)]
    pub recovered: bool,
}

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// It never ran.
    #[default]
    Created,
    /// Everything that it needs is made, and its first process waits before its command.
    Initialized,
    /// It runs.
    Running,
    /// All of its processes stand.
    Paused,
    /// It has ended.
    Exited,
    /// It is being removed.
    Removing,
}

impl ContainerState {
    /// What it is while it does not run.
    pub(super) fn before_its_life(&self) -> Status {
        if self.started_at.is_empty() { Status::Created } else { Status::Exited }
    }

    /// Whether it runs, and of what runs only its monitor knows: its record was damaged meanwhile.
    pub(super) fn is_lost(&self) -> bool {
        self.status.is_up() && self.pid == 0
    }

    /// The word of `ps` and `inspect`: of one that runs, and was asked to end, that it is stopping.
    ///
    /// Source: podman, `libpod/define/containerstate.go`.
    pub fn word(&self) -> &'static str {
        match self.status {
            Status::Running if self.stopping => "stopping",
            status => status.as_str(),
        }
    }
}

impl Status {
    /// Its word. [`ContainerState::word`] knows more.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Initialized => "initialized",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Exited => "exited",
            Self::Removing => "removing",
        }
    }

    /// Whether it runs, or was paused while it did.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }

    /// Whether it has a process, be it one that waits.
    pub fn has_process(self) -> bool {
        self.is_up() || self == Self::Initialized
    }
}

/// The text of the file. What is not set is left out: lists of many containers read it all.
fn text(config: &ContainerConfig, state: &ContainerState) -> serde_json::Result<Vec<u8>> {
    static UNSET: OnceLock<Value> = OnceLock::new();
    let value = |config: &ContainerConfig, state: &ContainerState| -> serde_json::Result<Value> {
        let (config, state) = (serde_json::to_value(config)?, serde_json::to_value(state)?);
        Ok(serde_json::json!({ "version": VERSION, "config": config, "state": state }))
    };
    let unset = || value(&ContainerConfig::default(), &ContainerState::default());
    let mut whole = value(config, state)?;
    leave_out(&mut whole, UNSET.get_or_init(|| unset().unwrap_or_default()));
    serde_json::to_vec(&whole)
}

/// Takes out the fields that have what they would have if they were not there, which is nothing: were it something, a
/// later release might think otherwise.
fn leave_out(fields: &mut Value, unset: &Value) {
    let (Value::Object(fields), Value::Object(unset)) = (fields, unset) else { return };
    let is_nothing = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_u64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    };
    fields.retain(|name, value| {
        let Some(unset) = unset.get(name) else { return true };
        if value == unset && is_nothing(value) {
            return false;
        }
        leave_out(value, unset);
        true
    });
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

    /// The same when it was made.
    fn first(&self) -> PathBuf {
        self.kept.join("first.json")
    }

    /// Whether there is a container, and not what is left of one that was never whole.
    pub(crate) fn is_whole(&self) -> bool {
        self.file().exists() || self.first().exists()
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
        (is_at(&file, &path) && !self.is_whole()).then(|| Held::new(file))
    }

    /// Removes both. What is gone already is no error.
    pub(crate) fn remove(&self) -> Result<()> {
        // Before the file that it stands for: what is half removed is none.
        let _ = fs::remove_file(self.first());
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

    /// Whether nobody has a lock of it: no monitor lives, and no command changes it.
    pub(crate) fn is_idle(&self) -> bool {
        let is_free = |name: &str| match File::open(self.kept.join(name)) {
            Ok(file) => file.try_lock_shared().is_ok(),
            Err(_) => true,
        };
        is_free("monitor") && is_free("lock")
    }

    /// A container whose monitor is gone has ended with it; one of another start of the machine long ago.
    fn settle(&self, state: &mut ContainerState) {
        let rebooted = state.boot != boot();
        if !rebooted && self.has_monitor() {
            return;
        }
        let written = fs::metadata(self.file()).and_then(|found| found.modified());
        state.pid = 0;
        if state.status == Status::Initialized {
            // It never began: it is what it was before, and what was made for it is taken back.
            state.status = state.before_its_life();
            return;
        }
        state.status = Status::Exited;
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

    /// As [`save`](Self::save), where the configuration is new: also writes what stands for the file where that is
    /// damaged, which is on the disk when this comes back. What goes with its first life is not missed, and has none.
    pub(crate) fn save_lasting(
        &self,
        config: &ContainerConfig,
        state: &ContainerState,
    ) -> Result<()> {
        self.save(config, state)?;
        if config.lifecycle.auto_remove {
            return Ok(());
        }
        let first = self.first();
        // The first one is synced with its name; those that follow may be the one before instead.
        let written = match first.exists() {
            true => write(&self.temporary("first"), config, &ContainerState::default(), true)
                .and_then(|()| fs::rename(self.temporary("first"), &first)),
            false => write(&first, config, &ContainerState::default(), true),
        };
        written.map_err(|error| {
            let _ = fs::remove_file(self.temporary("first"));
            io(error, "writing", &first)
        })
    }

    /// Replaces the file. Nobody waits until that is on the disk: where power is lost soon, what is there may be the
    /// file of before, or an empty one.
    pub(crate) fn save(&self, config: &ContainerConfig, state: &ContainerState) -> Result<()> {
        let (path, new) = (self.file(), self.temporary("container"));
        let replace = || -> std::io::Result<()> {
            write(&new, config, state, false)?;
            let old = File::open(&path);
            fs::rename(&new, &path)?;
            let _ = old.map(cask_files::let_go);
            Ok(())
        };
        replace().map_err(|error| {
            let _ = fs::remove_file(&new);
            io(error, "writing", &path)
        })
    }

    fn temporary(&self, name: &str) -> PathBuf {
        self.kept.join(format!(".{name}.json.{}", std::process::id()))
    }
}

fn write(
    path: &Path,
    config: &ContainerConfig,
    state: &ContainerState,
    lasting: bool,
) -> std::io::Result<()> {
    let bytes = text(config, state).expect("texts and numbers can be written");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(&bytes)?;
    if lasting { file.sync_all() } else { Ok(()) }
}

pub(crate) fn open_lock(path: &Path) -> Result<File> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    opened.map_err(|error| io_of_container(error, "opening", path))
}

/// As [`io`], of a file in the directory of a container: without it there is none.
fn io_of_container(error: std::io::Error, doing: &str, path: &Path) -> Error {
    if error.kind() != std::io::ErrorKind::NotFound {
        return io(error, doing, path);
    }
    let id = path.parent().and_then(Path::file_name).unwrap_or_default();
    Error::no_container(&id.to_string_lossy())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn place(directory: &tempfile::TempDir) -> Place {
        let id = cask_storage::Id::random().to_string();
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
    fn a_file_is_replaced_as_a_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let place = place(&directory);
        let mut config = ContainerConfig { name: "old".to_owned(), ..Default::default() };
        let state = ContainerState::default();
        place.save_lasting(&config, &state).unwrap();
        let read = |file: &File| {
            let mut bytes = vec![0; 64 << 10];
            let length = std::os::unix::fs::FileExt::read_at(file, &mut bytes, 0).unwrap();
            bytes.truncate(length);
            String::from_utf8(bytes).unwrap()
        };
        for path in [place.file(), place.first()] {
            // Whoever reads while it is written reads all of the one or all of the other.
            let open = File::open(&path).unwrap();
            let before = read(&open);
            config.name.push_str("er");
            place.save_lasting(&config, &state).unwrap();
            assert_eq!(read(&open), before, "{}", path.display());
            assert!(!is_at(&open, &path), "{} is written in place", path.display());
            assert!(read(&File::open(&path).unwrap()).contains(&config.name));
        }
        // Where the new one cannot be written, the old one stays.
        fs::create_dir(place.temporary("container")).unwrap();
        let lost = ContainerConfig { name: "lost".to_owned(), ..Default::default() };
        assert!(place.save(&lost, &state).is_err());
        assert_eq!(place.load().unwrap().0.name, config.name);
    }

    #[test]
    fn what_is_not_set_is_left_out_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let place = place(&directory);
        let mut config = ContainerConfig::default();
        let short = text(&config, &ContainerState::default()).unwrap().len();
        assert!(short < 700, "{short}");
        // What is empty is not the same as what is not set.
        config.process.entrypoint = Some(Vec::new());
        config.process.user = Some(String::new());
        config.process.umask = Some(0);
        config.process.environment = vec![String::new()];
        config.files.shm_bytes = Some(0);
        config.health.interval = Some(std::time::Duration::ZERO);
        config.labels.insert("empty".to_owned(), String::new());
        config.network.mode = "host".parse().unwrap();
        config.lifecycle.auto_remove = true;
        let state =
            ContainerState { exit_code: -1, cgroup: Some(String::new()), ..running(boot()) };
        place.save(&config, &state).unwrap();
        let (read, found) = place.load_as_written().unwrap();
        let value = |config: &ContainerConfig| serde_json::to_value(config).unwrap();
        assert_eq!((value(&read), found), (value(&config), state));
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
        for count in [0, 1, read::FEW, read::FEW + 1, 3 * read::FEW + 1] {
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
            let found = load_all::<ContainerConfig>(&places);
            assert_eq!(found.len(), count);
            for (number, loaded) in found.into_iter().enumerate() {
                match loaded {
                    Ok((config, _)) => assert_eq!(config.name, number.to_string()),
                    Err(error) => {
                        assert_eq!((number, error.kind()), (7, ErrorKind::ContainerNotKnown));
                    }
                }
            }
        }
    }

    /// What a loss of power leaves of a file that was not on the disk yet, and worse.
    fn damage(path: &Path, how: &str) {
        let text = fs::read(path).unwrap();
        match how {
            "gone" => fs::remove_file(path).unwrap(),
            "empty" => fs::write(path, "").unwrap(),
            "half" => fs::write(path, &text[..text.len() / 2]).unwrap(),
            "zeros" => fs::write(path, vec![0; text.len()]).unwrap(),
            _ => fs::write(path, vec![b' '; (16 << 20) + 1]).unwrap(),
        }
    }

    #[test]
    fn what_is_damaged_is_what_it_was_made_with() {
        for how in ["gone", "empty", "half", "zeros", "endless"] {
            let directory = tempfile::tempdir().unwrap();
            let place = place(&directory);
            let mut config = ContainerConfig { name: "web".to_owned(), ..Default::default() };
            place.save_lasting(&config, &ContainerState::default()).unwrap();
            assert!(!place.load().unwrap().1.recovered);
            config.name = "renamed".to_owned();
            place.save(&config, &running(boot())).unwrap();
            assert_eq!(place.load().unwrap().0.name, "renamed");
            damage(&place.file(), how);
            assert_eq!(place.load().unwrap().0.name, "web", "{how}");
            place.save_lasting(&config, &running(boot())).unwrap();
            damage(&place.file(), how);
            let (config, state) = place.load().unwrap();
            let found = (config.name.as_str(), state.status);
            assert_eq!(found, ("renamed", Status::Created), "{how}");
            assert!(state.recovered && state.error.contains("damaged"), "{how}");
            drop(place.lock().unwrap());
            assert!(place.abandoned().is_none());
            // One that ran has ended, and what it had is taken back.
            drop(place.become_monitor().unwrap());
            let (config, state) = place.load().unwrap();
            assert_eq!((state.status, state.exit_code), (Status::Exited, 137), "{how}");
            assert!(state.beginning && !state.finished_at.is_empty(), "{how}");
            // Whatever is written next is whole.
            place.save(&config, &state).unwrap();
            assert!(!place.load().unwrap().1.recovered);
            damage(&place.file(), how);
            damage(&place.first(), "half");
            assert!(place.load().is_err(), "{how}");
        }
    }

    #[test]
    fn long_records_are_read_whole() {
        let directory = tempfile::tempdir().unwrap();
        let place = place(&directory);
        // Around the length that is asked for at once.
        let rest = text(&ContainerConfig::default(), &ContainerState::default()).unwrap().len();
        let beside = |length: usize| length - rest - 12;
        for length in [1, beside(8191), beside(8192), beside(8193), 8_192, 100_000] {
            let config = ContainerConfig { name: "n".repeat(length), ..Default::default() };
            place.save(&config, &ContainerState::default()).unwrap();
            assert_eq!(place.load().unwrap().0.name.len(), length);
        }
        let text = fs::read_to_string(place.file()).unwrap();
        fs::write(place.file(), format!("{text}{}", " ".repeat(10_000))).unwrap();
        assert_eq!(place.load().unwrap().0.name.len(), 100_000);
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
