//! What decides the result of a step, and the name that follows from it.
//!
//! A key is the digest of all that can change the result, each part with its name and its length in
//! front of it, so that no two lists of parts can look alike. The parts are kept with the record of
//! the step: when a key is not found, they say what differs.

use std::fmt;

use cask_image::{Algorithm, Hasher};
use serde::{Deserialize, Serialize};

/// What keys of this kind begin with. To be changed whenever the same parts give another result.
const DOMAIN: &[u8] = b"cask-build step 1";

/// The most details that are kept of one step.
const MAX_DETAILS: usize = 2000;

/// The most bytes of a part that are kept to be shown; the digest counts all of them.
const MAX_SHOWN_BYTES: usize = 4096;

/// The name of a step's result: the digest of all that decides it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Key(String);

impl Key {
    /// 64 hexadecimal digits.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a key; `None` for what is none. A key becomes a part of a path.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let hex = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        hex.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A part of a key, in words for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// The parts of a key.
#[derive(Clone, Debug)]
pub(crate) struct KeyParts {
    hasher: Hasher,
    parts: Vec<Part>,
    details: Vec<Part>,
    details_left_out: usize,
}

impl KeyParts {
    /// Begins with the kind of the step: `RUN`, `COPY`.
    pub(crate) fn new(kind: &str) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        frame(&mut hasher, DOMAIN);
        frame(&mut hasher, kind.as_bytes());
        Self { hasher, parts: Vec::new(), details: Vec::new(), details_left_out: 0 }
    }

    /// Adds a part. Its name says what it is, and may occur more than once.
    pub(crate) fn add(&mut self, name: impl Into<String>, value: impl AsRef<str>) -> &mut Self {
        let (name, value) = (name.into(), value.as_ref());
        frame(&mut self.hasher, name.as_bytes());
        frame(&mut self.hasher, value.as_bytes());
        let end = value.floor_char_boundary(MAX_SHOWN_BYTES.min(value.len()));
        let mut shown = value[..end].to_owned();
        if end < value.len() {
            // Values that differ later on must not look alike.
            let digest = Hasher::digest(Algorithm::Sha256, value.as_bytes());
            shown.push_str(&format!("… ({digest})"));
        }
        self.parts.push(Part { name, value: shown });
        self
    }

    /// Says more about a part whose digest counts already: a file of those that are copied.
    pub(crate) fn detail(&mut self, name: impl Into<String>, value: impl Into<String>) {
        if self.details.len() < MAX_DETAILS {
            self.details.push(Part { name: name.into(), value: value.into() });
        } else {
            self.details_left_out += 1;
        }
    }

    /// The key.
    pub(crate) fn key(&self) -> Key {
        Key(self.hasher.clone().finish().hex().to_owned())
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(crate) fn details(&self) -> &[Part] {
        &self.details
    }

    pub(crate) fn details_left_out(&self) -> usize {
        self.details_left_out
    }
}

/// Adds bytes with their number before them.
fn frame(hasher: &mut Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

/// The key of some texts, in order, for what is no step.
pub(crate) fn key_of(kind: &str, texts: &[&str]) -> Key {
    let mut parts = KeyParts::new(kind);
    for text in texts {
        parts.add("", text);
    }
    parts.key()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &str, parts: &[(&str, &str)]) -> Key {
        let mut all = KeyParts::new(kind);
        for (name, value) in parts {
            all.add(*name, value);
        }
        all.key()
    }

    #[test]
    fn parts_that_run_together_give_other_keys() {
        let all = [
            key("RUN", &[("a", "bc")]),
            key("RUN", &[("ab", "c")]),
            key("RUN", &[("a", "b"), ("c", "")]),
            key("RUN", &[("a", "b"), ("", "c")]),
            key("RUN", &[("", "abc")]),
            key("RUNa", &[("", "bc")]),
            key("RUN", &[]),
            key("COPY", &[("a", "bc")]),
        ];
        let different: std::collections::BTreeSet<&Key> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn details_change_no_key_and_long_parts_do_to_the_end() {
        let mut one = KeyParts::new("COPY");
        one.add("files", "x");
        let before = one.key();
        one.detail("a", "1");
        assert_eq!(one.key(), before);
        let long = "é".repeat(5000);
        let (mut a, mut b) = (KeyParts::new("RUN"), KeyParts::new("RUN"));
        a.add("text", format!("{long}1"));
        b.add("text", format!("{long}2"));
        assert_ne!(a.key(), b.key());
        assert_ne!(a.parts(), b.parts());
    }

    #[test]
    fn only_keys_are_keys() {
        for wrong in ["", "..", "ab", &"g".repeat(64), &"A".repeat(64), &"a".repeat(65)] {
            assert_eq!(Key::parse(wrong), None, "{wrong}");
        }
        assert!(Key::parse(&"a".repeat(64)).is_some());
    }
}
