//! Events in the journal of the machine, in podman's words: each of both sees what the other did.
//!
//! Source: podman, `libpod/events/journal_linux.go`.

use std::io;

use super::super::journal::{self, JournalEntry, put};
use super::super::{Journal, LogOptions};
use super::Event;
use crate::Result;

/// What podman's entries are called.
const IDENTIFIER: &str = "podman";

/// Whom an event is given to; `false` where no more are wanted.
type Hear<'h> = dyn FnMut(&Event) -> Result<bool> + 'h;

/// Sends events to a journal.
pub(super) fn send(journal: &Journal, events: &[Event]) -> io::Result<()> {
    events.iter().try_for_each(|event| journal.send(&entry(event)?))
}

fn entry(event: &Event) -> io::Result<Vec<u8>> {
    let mut entry = Vec::new();
    let mut set = |name: &str, value: &str| put(&mut entry, name, value.as_bytes());
    set("SYSLOG_IDENTIFIER", IDENTIFIER);
    // LOG_NOTICE and LOG_INFO.
    set("PRIORITY", if event.health_status.is_empty() { "6" } else { "5" });
    set("MESSAGE", &event.line(false));
    set("PODMAN_EVENT", &event.status);
    set("PODMAN_TYPE", &event.kind);
    set("PODMAN_TIME", &event.time);
    let exit_code = match event.exit_code {
        0 if event.status != "died" => String::new(),
        code => code.to_string(),
    };
    let oom_killed = event.oom_killed.map(|killed| killed.to_string()).unwrap_or_default();
    let labels = event.attributes.as_ref().filter(|labels| !labels.is_empty());
    let labels = labels.map(serde_json::to_string).transpose()?.unwrap_or_default();
    let streak = match event.status.as_str() {
        "health_status" => event.health_failing_streak.to_string(),
        _ => String::new(),
    };
    for (name, value) in [
        ("PODMAN_NAME", &event.name),
        ("PODMAN_ID", &event.id),
        ("PODMAN_IMAGE", &event.image),
        ("PODMAN_NETWORK_NAME", &event.network),
        ("PODMAN_EXIT_CODE", &exit_code),
        ("PODMAN_OOM_KILLED", &oom_killed),
        ("PODMAN_CONTAINER_INSPECT_DATA", &event.inspect_data),
        ("PODMAN_POD_ID", &event.pod_id),
        ("PODMAN_LABELS", &labels),
        ("PODMAN_HEALTH_STATUS", &event.health_status),
        ("PODMAN_HEALTH_LOG", &event.health_log),
        ("PODMAN_HEALTH_FAILING_STREAK", &streak),
    ] {
        if !value.is_empty() {
            set(name, value);
        }
    }
    Ok(entry)
}

/// The event that an entry is; `None` for one that is none.
fn event(entry: &JournalEntry) -> Option<Event> {
    let field = |name: &str| entry.field(name).unwrap_or_default().to_owned();
    let event = Event {
        exit_code: field("PODMAN_EXIT_CODE").parse().unwrap_or_default(),
        oom_killed: field("PODMAN_OOM_KILLED").parse().ok(),
        id: field("PODMAN_ID"),
        image: field("PODMAN_IMAGE"),
        name: field("PODMAN_NAME"),
        network: field("PODMAN_NETWORK_NAME"),
        status: field("PODMAN_EVENT"),
        time: field("PODMAN_TIME"),
        kind: field("PODMAN_TYPE"),
        health_status: field("PODMAN_HEALTH_STATUS"),
        health_log: field("PODMAN_HEALTH_LOG"),
        health_failing_streak: field("PODMAN_HEALTH_FAILING_STREAK").parse().unwrap_or_default(),
        inspect_data: field("PODMAN_CONTAINER_INSPECT_DATA"),
        pod_id: field("PODMAN_POD_ID"),
        attributes: serde_json::from_str(&field("PODMAN_LABELS")).ok(),
    };
    (!event.kind.is_empty() && !event.status.is_empty()).then_some(event)
}

/// Gives the events of this user that a journal has, and those that come where they are followed, until it is over.
pub(super) fn read(
    journal: &Journal,
    since: Option<i64>,
    follow: bool,
    is_over: &dyn Fn() -> bool,
    hear: &mut Hear<'_>,
) -> Result<()> {
    let options = LogOptions { since, ..LogOptions::default() };
    let matches = [format!("SYSLOG_IDENTIFIER={IDENTIFIER}"), format!("_UID={}", journal::user())];
    let mut reader = journal.reader("events", matches.to_vec(), &options)?;
    let mut give = |entry: JournalEntry| event(&entry).map_or(Ok(true), |event| hear(&event));
    let mut goes_on = reader.some(&mut give)?;
    while follow && goes_on && !is_over() {
        goes_on = reader.follow(&|| !is_over(), &mut give)?;
        // A reader that ended by itself is begun again, not at once.
        std::thread::sleep(super::PAUSE);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::journal::Entries;
    use super::*;

    #[test]
    fn what_is_sent_is_what_is_read() {
        let mut sent = Event::of("container", "health_status");
        sent.id = "a".repeat(64);
        sent.image = "box:1".to_owned();
        sent.name = "c".to_owned();
        sent.health_status = "unhealthy".to_owned();
        sent.health_failing_streak = 3;
        sent.pod_id = "b".repeat(64);
        sent.health_log = "{\"Output\":\"a\\nb\"}".to_owned();
        let labels = [("one".to_owned(), "1\n2".to_owned())];
        sent.attributes = Some(labels.into());
        let mut died = Event::of("container", "died").with_exit_code(7);
        died.name = "c".to_owned();
        died.oom_killed = Some(true);
        died.inspect_data = "{\n}".to_owned();
        let mut entries = Entries::default();
        for one in [&sent, &died] {
            entries.push(&entry(one).unwrap());
            entries.push(b"\n");
        }
        entries.push(b"MESSAGE=podman says something else\n\n");
        let mut found = Vec::new();
        while let Some(entry) = entries.next_entry().unwrap() {
            found.push(event(&entry));
        }
        assert_eq!(found, [Some(sent), Some(died), None]);
    }
}
