//! What was done, and when.
//!
//! ```text
//! GRAPH ROOT/cask/events.log     a JSON document on each line, as podman's
//! ```
//!
//! Whoever does something adds one line, under the lock of the file. It never has more than 4 MiB: above, the older
//! half goes. Another file, or the journal of the machine, can be in its place: see [`EventLog`].

mod filter;
mod journald;
mod log;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cask_image::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Containers, health, record};
use crate::{Error, ErrorKind, Result};
pub use filter::EventFilter;
pub use log::EventLog;
use log::{Position, Reader};

/// How often it is looked whether there is more.
const PAUSE: Duration = Duration::from_millis(100);

/// Something that was done to a container, a pod, an image, a volume or a network. The names are podman's.
///
/// Written are, of containers: attach, cleanup, commit, create, died, exec, exec_died, export, health_status, init,
/// kill, mount, pause, remove, rename, restart, start, stop, unmount, unpause; of images: build, loadfromarchive,
/// mount, pull, push, remove, save, tag, unmount, untag; of pods: create, kill, pause, remove, restart, start, stop,
/// unpause; of volumes: create, prune, remove; of networks: connect,
/// disconnect; and `log-rotation` of the file itself.
///
/// Source: podman, `libpod/events/config.go`, `Event`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Event {
    /// The exit code of a container that died, if it is not 0.
    #[serde(rename = "ContainerExitCode", skip_serializing_if = "is_zero")]
    pub exit_code: i32,
    /// Of a container that died, whether the kernel killed it for lack of memory.
    #[serde(rename = "OOMKilled", skip_serializing_if = "Option::is_none")]
    pub oom_killed: Option<bool>,
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
    /// `container`, `pod`, `image`, `volume`, `network` or `system`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// What a check of a container's health said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub health_status: String,
    /// The last result of it, in JSON, where somebody wants to have those here.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub health_log: String,
    /// How many checks failed in a row.
    #[serde(skip_serializing_if = "is_zero")]
    pub health_failing_streak: i32,
    /// Everything about a container that was made, where somebody wants to have that here.
    #[serde(rename = "ContainerInspectData", skip_serializing_if = "String::is_empty")]
    pub inspect_data: String,
    /// The pod that a container is in: the ID.
    #[serde(rename = "PodID", skip_serializing_if = "String::is_empty")]
    pub pod_id: String,
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
        event.pod_id.clone_from(&config.pod.id);
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

    /// Something that was done to a pod.
    pub(crate) fn of_pod(status: &str, config: &crate::PodConfig) -> Self {
        let mut event = Self::of("pod", status);
        event.id.clone_from(&config.id);
        event.name.clone_from(&config.name);
        event.attributes = Some(config.labels.clone());
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

    /// That the older half of a file of events is forgotten: where what is kept begins, or ends.
    fn of_rotation(path: &Path, place: &str) -> Self {
        let mut event = Self::of("system", "log-rotation");
        event.name = path.display().to_string();
        let mark = ("io.podman.event.rotate".to_owned(), place.to_owned());
        event.attributes = Some(BTreeMap::from([mark]));
        event
    }

    #[must_use]
    pub(crate) fn with_exit_code(mut self, code: i32) -> Self {
        self.exit_code = code;
        self
    }

    /// When, in seconds since 1970, and nanoseconds.
    pub fn moment(&self) -> (i64, u32) {
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
            "system" if name.is_empty() => format!("{time} {kind} {status}"),
            "volume" | "system" => format!("{time} {kind} {status} {name}"),
            "network" => format!("{time} {kind} {status} {id} (container={id}, name={network})"),
            _ => {
                let labels: String = self
                    .attributes
                    .iter()
                    .flatten()
                    .map(|(name, value)| format!(", {name}={value}"))
                    .collect();
                let health = match status.as_str() {
                    "health_status" => format!(
                        ", health_status={}, health_failing_streak={}, health_log={}",
                        self.health_status, self.health_failing_streak, self.health_log
                    ),
                    _ => String::new(),
                };
                let pod = match self.pod_id.as_str() {
                    "" => String::new(),
                    id => format!(", pod_id={id}"),
                };
                format!(
                    "{time} {kind} {status} {id} (image={image}, name={name}{pod}{health}{labels})"
                )
            }
        }
    }

    /// When, as Go prints it.
    pub fn go_time(&self) -> String {
        self.time.replace('T', " ").replace('Z', " +0000 UTC")
    }
}

impl Containers {
    pub(crate) fn tell_all(&self, events: &[Event]) {
        self.images().event_log().tell(self.store().graph_root(), events);
    }

    /// Tells of something that was done to a container.
    pub(super) fn tell(&self, status: &str, config: &super::ContainerConfig) {
        self.tell_all(&[Event::of_container(status, config)]);
    }

    /// Tells of several things that were done to a container, in their order.
    pub(super) fn tell_each(&self, statuses: &[&str], config: &super::ContainerConfig) {
        let events: Vec<Event> =
            statuses.iter().map(|status| Event::of_container(status, config)).collect();
        self.tell_all(&events);
    }

    /// Tells that a container was connected to a network, or is no more.
    pub(super) fn tell_network(
        &self,
        status: &str,
        network: &str,
        config: &super::ContainerConfig,
    ) {
        self.tell_all(&[Event::of_network(status, network, config)]);
    }

    /// Tells that a container was made.
    pub(super) fn tell_created(&self, container: &super::Container) {
        let mut event = Event::of_container("create", &container.config);
        if let Some(describe) = self.describe {
            event.inspect_data = describe(self, container).unwrap_or_default();
        }
        self.tell_all(&[event]);
    }

    /// Tells of the end of a container.
    pub(super) fn tell_end(&self, code: i32, oom_killed: bool, config: &super::ContainerConfig) {
        let mut event = Event::of_container("died", config).with_exit_code(code);
        event.oom_killed = Some(oom_killed);
        self.tell_all(&[event]);
    }

    /// Tells what a check of a container's health said.
    pub(super) fn tell_health(&self, health: &health::Health, config: &super::ContainerConfig) {
        let mut event = Event::of_container("health_status", config);
        event.health_status.clone_from(&health.status);
        event.health_failing_streak = i32::try_from(health.failing).unwrap_or(i32::MAX);
        if config.health.log.place == health::HealthLogPlace::Events {
            event.health_log = health.last_result();
        }
        self.tell_all(&[event]);
    }

    /// Has others hear of something that was done to a container by other means than this crate's, such as
    /// `commit`.
    pub fn note(&self, container: &super::Container, status: &str) {
        self.tell(status, &container.config);
    }

    /// The same of a command in a container that has ended.
    pub fn note_exec_died(&self, container: &super::Container, code: i32) {
        self.tell_all(&[Event::of_container("exec_died", &container.config).with_exit_code(code)]);
    }

    /// Tells what was done, the oldest first, as long as `hear` gives `true`. What makes no sense is passed over.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where events are written nowhere; [`ErrorKind::Unsupported`] where they are in the
    /// journal, and nothing reads that; [`ErrorKind::Io`]; those of `hear`.
    pub fn events(
        &self,
        options: &EventOptions,
        hear: &mut dyn FnMut(&Event) -> Result<bool>,
    ) -> Result<()> {
        let begun = now();
        // Without a word about the past, only what is to come is followed.
        let only_new = options.since.is_none() && options.follow && options.until.is_none();
        let since = options.since.map(moment).or(only_new.then_some(begun));
        let until = options.until.map(moment);
        let mut hear = |event: &Event| {
            let time = event.moment();
            let in_time =
                since.is_none_or(|since| time >= since) && until.is_none_or(|until| time <= until);
            if in_time && filter::fits(&options.filters, event) { hear(event) } else { Ok(true) }
        };
        let path = match self.images().event_log().reader(self.store().graph_root())? {
            Reader::File(path) => path,
            Reader::Journal(journal) => {
                let is_over = || until.is_some_and(|until| now() > until);
                let since = since.map(|(seconds, _)| seconds);
                return journald::read(journal, since, options.follow, &is_over, &mut hear);
            }
        };
        let failed =
            |error| Error::new(ErrorKind::Io, path.display(), "reading").with_source(error);
        let mut at = Position::default();
        if only_new {
            at.skip_to_end(&path).map_err(failed)?;
        }
        loop {
            // What is written while this reads is read in the next turn.
            let over = until.is_some_and(|until| now() > until);
            for event in at.read(&path).map_err(failed)? {
                if !hear(&event)? {
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
        event.status = "health_status".to_owned();
        event.health_status = "healthy".to_owned();
        let expected = "2026-11-21 12:58:22.5 +0000 UTC container health_status 0000 (image=i, name=x, health_status=healthy, health_failing_streak=0, health_log=)";
        assert_eq!(event.line(true), expected);
        let json = serde_json::to_string(&event).unwrap();
        assert!(json.contains(r#""Type":"container","health_status":"healthy","Attributes""#));
        (event.kind, event.status) = ("system".to_owned(), "refresh".to_owned());
        event.name.clear();
        assert_eq!(event.line(true), "2026-11-21 12:58:22.5 +0000 UTC system refresh");
    }
}
