//! Which events are told.

use super::Event;
use crate::{Error, ErrorKind, Result};

/// What an event has to be: `container=NAME`, `event=STATUS`, `image=NAME`, `label=NAME[=VALUE]`, `type=TYPE`,
/// `volume=NAME`, which may be the beginning of one, `network=NAME` or `pod=NAME`.
///
/// Source: podman, `libpod/events/filters.go`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFilter {
    key: Key,
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Container,
    Status,
    Image,
    Label,
    Kind,
    Volume,
    Network,
    Pod,
}

impl EventFilter {
    /// Reads one.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], in podman's words.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid =
            |text: &str| Error::new(ErrorKind::Invalid, "", format!("{text} is an invalid filter"));
        let (key, value) = text.split_once('=').ok_or_else(|| invalid(text))?;
        let key = match key.to_ascii_lowercase().as_str() {
            "container" => Key::Container,
            "event" | "status" => Key::Status,
            "image" => Key::Image,
            "label" => Key::Label,
            "type" => Key::Kind,
            "volume" => Key::Volume,
            "network" => Key::Network,
            "pod" => Key::Pod,
            _ => return Err(invalid(key)),
        };
        Ok(Self { key, value: value.to_owned() })
    }

    fn fits(&self, event: &Event) -> bool {
        let value = self.value.as_str();
        let is = |kind: &str| event.kind == kind;
        let begins = || !value.is_empty() && event.id.starts_with(value);
        match self.key {
            Key::Container => is("container") && (event.name == value || begins()),
            Key::Pod => is("pod") && (event.name == value || begins()),
            // Docker's word for it.
            Key::Status if value == "die" => event.status == "died",
            Key::Status => event.status == value,
            Key::Image => is("image") && (event.name == value || begins()) || event.image == value,
            Key::Volume => is("volume") && event.name.starts_with(value),
            Key::Network => is("network") && event.network == value,
            Key::Kind => event.kind == value,
            Key::Label => {
                let (name, value) = match value.split_once('=') {
                    Some((name, value)) => (name, Some(value)),
                    None => (value, None),
                };
                let found = event.attributes.as_ref().and_then(|labels| labels.get(name));
                found.is_some_and(|found| value.is_none_or(|value| found == value))
            }
        }
    }
}

/// Of filters of one name one has to fit.
pub(super) fn fits(filters: &[EventFilter], event: &Event) -> bool {
    filters.iter().all(|filter| {
        let mut alike = filters.iter().filter(|other| other.key == filter.key);
        alike.any(|filter| filter.fits(event))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_one_name_are_alternatives() {
        let event = Event::of_volume("create", "v");
        let check = |texts: &[&str], expected: bool| {
            let filters = texts.iter().map(|text| EventFilter::parse(text).unwrap());
            assert_eq!(fits(&filters.collect::<Vec<_>>(), &event), expected, "{texts:?}");
        };
        check(&[], true);
        check(&["volume=v"], true);
        check(&["volume=v", "event=die"], false);
        check(&["volume=w", "volume=v"], true);
        check(&["volume=v", "event=remove"], false);
        check(&["type=container"], false);
        check(&["label=x"], false);
        for wrong in ["x", "x=y"] {
            assert_eq!(
                EventFilter::parse(wrong).unwrap_err().to_string(),
                "x is an invalid filter"
            );
        }
    }
}
