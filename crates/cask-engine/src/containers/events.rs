//! What was done, and when: one file that grows.
//!
//! ```text
//! GRAPH ROOT/cask/events.log     a JSON document on each line, as podman's
//! ```
//!
//! Whoever does something adds one line, under the lock of the file. It never has more than 4 MiB: above, the older
//! half goes.

mod filter;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cask_image::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Containers, record};
use crate::{Error, ErrorKind, Result};
pub use filter::EventFilter;

/// The most bytes that the file has.
const MOST: u64 = 4 << 20;
/// The longest line that is read.
const LONGEST: u64 = 1 << 20;
/// How often it is looked whether the file grew.
const PAUSE: Duration = Duration::from_millis(100);

/// Something that was done to a container, an image, a volume or a network. The names are podman's.
///
/// Written are, of containers: attach, cleanup, commit, create, died, exec, exec_died, export, health_status, init,
/// kill, mount, pause, remove, rename, restart, start, stop, unmount, unpause; of images: build, loadfromarchive,
/// mount, pull, push, remove, save, tag, unmount, untag; of volumes: create, prune, remove; of networks: connect,
/// disconnect.
///
/// Source: podman, `libpod/events/config.go`, `Event`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Event {
    /// The exit code of a container that died, if it is not 0.
    #[serde(rename = "ContainerExitCode", skip_serializing_if = "is_zero")]
    pub exit_code: i32,
    /// Whose: the ID.
    #[serde(rename = "ID", skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The image of a container.
    #[serde(rename = "Image", skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// What it is called; of a network, the container.
    #[serde(rename = "Name", skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The network.
    #[serde(rename = "network", skip_serializing_if = "String::is_empty")]
    pub network: String,
    /// What was done.
    #[serde(rename = "Status")]
    pub status: String,
    /// When, in RFC 3339 with nanoseconds.
    #[serde(rename = "Time")]
    pub time: String,
    /// `container`, `image`, `volume` or `network`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// Labels of a container.
    #[serde(rename = "Attributes")]
    pub attributes: Option<BTreeMap<String, String>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(code: &i32) -> bool {
    *code == 0
}

/// Which events are told.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct EventOptions {
    /// From then on.
    pub since: Option<Timestamp>,
    /// Up to then.
    pub until: Option<Timestamp>,
    /// Of filters of one name one has to fit; of those of several names one of each.
    pub filters: Vec<EventFilter>,
    /// What is done from now on is told too, until `until`.
    pub follow: bool,
}

impl Event {
    fn of(kind: &str, status: &str) -> Self {
        let (kind, status) = (kind.to_owned(), status.to_owned());
        Self { kind, status, time: record::now(), ..Self::default() }
    }

    /// Something that was done to a container.
    pub(crate) fn of_container(status: &str, config: &super::ContainerConfig) -> Self {
        let mut event = Self::of("container", status);
        event.id.clone_from(&config.id);
        event.image.clone_from(&config.image_name);
        event.name.clone_from(&config.name);
        event.attributes = Some(config.labels.clone());
        event
    }

    /// Something that was done to an image.
    pub(crate) fn of_image(status: &str, id: &str, name: &str) -> Self {
        let mut event = Self::of("image", status);
        id.clone_into(&mut event.id);
        name.clone_into(&mut event.name);
        event
    }

    /// Something that was done to a volume.
    pub(crate) fn of_volume(status: &str, name: &str) -> Self {
        let mut event = Self::of("volume", status);
        name.clone_into(&mut event.name);
        event
    }

    /// That a container was connected to a network, or is no more.
    pub(crate) fn of_network(status: &str, network: &str, config: &super::ContainerConfig) -> Self {
        let mut event = Self::of("network", status);
        event.id.clone_from(&config.id);
        event.name.clone_from(&config.name);
        network.clone_into(&mut event.network);
        event
    }

    #[must_use]
    pub(crate) fn with_exit_code(mut self, code: i32) -> Self {
        self.exit_code = code;
        self
    }

    fn moment(&self) -> (i64, u32) {
        self.time.parse().map_or((0, 0), moment)
    }

    /// As one line, in podman's words.
    ///
    /// Source: podman, `libpod/events/events.go`, `ToHumanReadable`.
    pub fn line(&self, truncated: bool) -> String {
        let Self { kind, status, name, image, network, .. } = self;
        let id = match truncated {
            true => self.id.chars().take(12).collect(),
            false => self.id.clone(),
        };
        let time = self.go_time();
        match kind.as_str() {
            "image" => format!("{time} {kind} {status} {id} {name}"),
            "volume" => format!("{time} {kind} {status} {name}"),
            "network" => format!("{time} {kind} {status} {id} (container={id}, name={network})"),
            _ => {
                let labels: String = self
                    .attributes
                    .iter()
                    .flatten()
                    .map(|(name, value)| format!(", {name}={value}"))
                    .collect();
                format!("{time} {kind} {status} {id} (image={image}, name={name}{labels})")
            }
        }
    }

    /// When, as Go prints it.
    pub fn go_time(&self) -> String {
        self.time.replace('T', " ").replace('Z', " +0000 UTC")
    }
}

/// The file of a store.
fn path(graph_root: &Path) -> PathBuf {
    graph_root.join("cask/events.log")
}

/// Adds a line. That it cannot be written is no reason not to do what it tells of.
pub(crate) fn tell(graph_root: &Path, event: &Event) {
    tell_all(graph_root, std::slice::from_ref(event));
}

/// The same of several things, between which nothing else is told.
fn tell_all(graph_root: &Path, events: &[Event]) {
    let _ = append(&path(graph_root), events, MOST);
}

fn append(path: &Path, events: &[Event], most: u64) -> io::Result<()> {
    let mut lines = Vec::new();
    for event in events {
        serde_json::to_writer(&mut lines, event)?;
        lines.push(b'\n');
    }
    let open = || OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path);
    let mut file = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::create_dir_all(path.parent().unwrap_or(path))?;
            open()?
        }
        other => other?,
    };
    file.lock()?;
    if file.metadata()?.len() + lines.len() as u64 > most {
        halve(&mut file, most)?;
    }
    file.write_all(&lines)
}

/// Forgets the older half.
fn halve(file: &mut File, most: u64) -> io::Result<()> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most / 2)))?;
    let mut kept = Vec::new();
    file.take(most).read_to_end(&mut kept)?;
    let whole = kept.iter().position(|byte| *byte == b'\n').map_or(kept.len(), |end| end + 1);
    file.set_len(0)?;
    file.write_all(&kept[whole..])
}

impl Containers {
    /// Tells of something that was done to a container.
    pub(super) fn tell(&self, status: &str, config: &super::ContainerConfig) {
        tell(self.store().graph_root(), &Event::of_container(status, config));
    }

    /// Tells of several things that were done to a container, in their order.
    pub(super) fn tell_each(&self, statuses: &[&str], config: &super::ContainerConfig) {
        let events: Vec<Event> =
            statuses.iter().map(|status| Event::of_container(status, config)).collect();
        tell_all(self.store().graph_root(), &events);
    }

    /// Tells that a container was connected to a network, or is no more.
    pub(super) fn tell_network(
        &self,
        status: &str,
        network: &str,
        config: &super::ContainerConfig,
    ) {
        tell(self.store().graph_root(), &Event::of_network(status, network, config));
    }

    /// Tells of the end of a container.
    pub(super) fn tell_end(&self, code: i32, config: &super::ContainerConfig) {
        let event = Event::of_container("died", config).with_exit_code(code);
        tell(self.store().graph_root(), &event);
    }

    /// Has others hear of something that was done to a container by other means than this crate's, such as
    /// `commit`.
    pub fn note(&self, container: &super::Container, status: &str) {
        self.tell(status, &container.config);
    }

    /// The same of a command in a container that has ended.
    pub fn note_exec_died(&self, container: &super::Container, code: i32) {
        let event = Event::of_container("exec_died", &container.config).with_exit_code(code);
        tell(self.store().graph_root(), &event);
    }

    /// Tells what was done, the oldest first, as long as `hear` gives `true`. Lines that make no sense are passed
    /// over.
    ///
    /// # Errors
    /// [`ErrorKind::Io`]; those of `hear`.
    pub fn events(
        &self,
        options: &EventOptions,
        hear: &mut dyn FnMut(&Event) -> Result<bool>,
    ) -> Result<()> {
        let path = path(self.store().graph_root());
        let failed =
            |error| Error::new(ErrorKind::Io, path.display(), "reading").with_source(error);
        let begun = now();
        // Without a word about the past, only what is to come is followed.
        let since = options.since.map(moment);
        let until = options.until.map(moment);
        let since = since.or((options.follow && options.until.is_none()).then_some(begun));
        let mut at = Position::default();
        if options.since.is_none() && options.follow && options.until.is_none() {
            at.skip_to_end(&path).map_err(failed)?;
        }
        loop {
            // What is written while this reads is read in the next turn.
            let over = until.is_some_and(|until| now() > until);
            for event in at.read(&path).map_err(failed)? {
                let time = event.moment();
                let in_time = since.is_none_or(|since| time >= since)
                    && until.is_none_or(|until| time <= until);
                if in_time && filter::fits(&options.filters, &event) && !hear(&event)? {
                    return Ok(());
                }
            }
            if over || !options.follow {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// How far the file was read.
#[derive(Default)]
struct Position {
    offset: u64,
    /// The last line that was read: what stands before the offset, unless the file was halved.
    last: Vec<u8>,
}

impl Position {
    fn skip_to_end(&mut self, path: &Path) -> io::Result<()> {
        self.read(path).map(drop)
    }

    /// Reads the events behind what was read.
    fn read(&mut self, path: &Path) -> io::Result<Vec<Event>> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        if file.metadata()?.size() == self.offset {
            return Ok(Vec::new());
        }
        file.lock_shared()?;
        let moved = !self.follows(&mut file)?;
        file.seek(SeekFrom::Start(if moved { 0 } else { self.offset }))?;
        let mut reader = BufReader::new(file);
        let mut found = Vec::new();
        let mut passed = !moved || self.last.is_empty();
        let mut offset = if moved { 0 } else { self.offset };
        loop {
            let mut line = Vec::new();
            let count = reader.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
            if !line.ends_with(b"\n") {
                break;
            }
            offset += count as u64;
            if passed {
                found.extend(serde_json::from_slice::<Event>(&line).ok());
                self.last = line;
            } else {
                passed = line == self.last;
            }
        }
        self.offset = offset;
        Ok(found)
    }

    /// Whether what was read is still where it was.
    fn follows(&self, file: &mut File) -> io::Result<bool> {
        let length = self.last.len() as u64;
        let Some(start) = self.offset.checked_sub(length) else { return Ok(false) };
        file.seek(SeekFrom::Start(start))?;
        let mut before = Vec::new();
        file.take(length).read_to_end(&mut before)?;
        Ok(before == self.last)
    }
}

/// A moment, to be compared: seconds since 1970, and nanoseconds.
fn moment(time: Timestamp) -> (i64, u32) {
    (time.unix_seconds(), time.nanoseconds())
}

fn now() -> (i64, u32) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(number: u32) -> Event {
        Event::of_image("tag", &format!("{number:064}"), "x")
    }

    fn numbers(events: &[Event]) -> Vec<u32> {
        events.iter().map(|event| event.id.parse().unwrap()).collect()
    }

    #[test]
    fn what_was_told_is_read_once_also_when_the_older_half_went() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cask/events.log");
        let mut at = Position::default();
        assert!(at.read(&path).unwrap().is_empty());
        let mut heard = Vec::new();
        for number in 0..40 {
            append(&path, &[numbered(number)], 2000).unwrap();
            if number % 3 == 0 {
                heard.extend(numbers(&at.read(&path).unwrap()));
            }
        }
        assert_eq!(heard, (0..40).collect::<Vec<_>>());
        assert!(std::fs::metadata(&path).unwrap().len() <= 2000);
    }

    #[test]
    fn lines_are_podmans() {
        let mut event = numbered(7);
        event.time = "2026-11-21T12:58:22.5Z".to_owned();
        event.id.truncate(4);
        let json = r#"{"ID":"0000","Name":"x","Status":"tag","Time":"2026-11-21T12:58:22.5Z","Type":"image","Attributes":null}"#;
        assert_eq!(serde_json::to_string(&event).unwrap(), json);
        assert_eq!(event.line(false), "2026-11-21 12:58:22.5 +0000 UTC image tag 0000 x");
        event.kind = "container".to_owned();
        event.image = "i".to_owned();
        let expected = "2026-11-21 12:58:22.5 +0000 UTC container tag 0000 (image=i, name=x)";
        assert_eq!(event.line(true), expected);
    }
}
