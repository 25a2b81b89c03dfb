//! What is written down of a step.

use cask_image::{Algorithm, Digest, Hasher};
use cask_storage::Id;
use serde::{Deserialize, Serialize};

use crate::build::now_seconds;
use crate::key::{Key, KeyParts, Part};

/// What a record begins with; its own digest follows.
const MAGIC: &str = "cask-build-record 1 ";

/// A layer that a step made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LayerFact {
    /// The digest of its tar stream.
    pub(crate) diff_id: Digest,
    /// The size of that, in bytes.
    pub(crate) size_bytes: u64,
}

/// What a step gave, and the parts of its key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) key: Key,
    /// The instruction, on one line.
    pub(crate) text: String,
    /// The stage that it was in.
    pub(crate) stage: String,
    /// Its number there.
    pub(crate) number: usize,
    pub(crate) parts: Vec<Part>,
    pub(crate) details: Vec<Part>,
    #[serde(default)]
    pub(crate) details_left_out: usize,
    /// The layer on top before it; none for `scratch`.
    parent: Option<String>,
    diff_id: Option<String>,
    #[serde(default)]
    size_bytes: u64,
    /// The date of the image after the step.
    pub(crate) date: i64,
    /// When the step was done, in seconds since 1970.
    #[serde(default)]
    pub(crate) made_seconds: u64,
    #[serde(default)]
    pub(crate) wall_milliseconds: u64,
    #[serde(default)]
    pub(crate) cpu_milliseconds: u64,
}

impl Record {
    /// A record of a step whose parts are these.
    pub(crate) fn new(parts: &KeyParts, parent: Option<&Id>, layer: Option<&LayerFact>) -> Self {
        Self {
            key: parts.key(),
            text: String::new(),
            stage: String::new(),
            number: 0,
            parts: parts.parts().to_vec(),
            details: parts.details().to_vec(),
            details_left_out: parts.details_left_out(),
            parent: parent.map(Id::to_string),
            diff_id: layer.map(|layer| layer.diff_id.to_string()),
            size_bytes: layer.map_or(0, |layer| layer.size_bytes),
            date: 0,
            made_seconds: now_seconds(),
            wall_milliseconds: 0,
            cpu_milliseconds: 0,
        }
    }

    /// The layer that the step made; `None` where it made none.
    pub(crate) fn layer(&self) -> Option<LayerFact> {
        let diff_id = self.diff_id.as_ref()?.parse().ok()?;
        Some(LayerFact { diff_id, size_bytes: self.size_bytes })
    }

    /// The ID that the layer has in the store.
    pub(crate) fn layer_id(&self) -> Option<Id> {
        let parent = match &self.parent {
            Some(parent) => Some(Id::parse(parent).ok()?),
            None => None,
        };
        Some(Id::of_layer(parent.as_ref(), &self.layer()?.diff_id))
    }

    /// Writes it with its digest in front.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let body = serde_json::to_vec(self).expect("texts and numbers become JSON");
        seal(&body)
    }

    /// Reads one; `None` for what is damaged, or no record.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let record: Self = serde_json::from_slice(unseal(bytes)?).ok()?;
        let readable = |text: &Option<String>| text.as_ref().is_none_or(|t| Id::parse(t).is_ok());
        let digest = record.diff_id.as_ref().is_none_or(|text| text.parse::<Digest>().is_ok());
        (Key::parse(record.key.as_str()).is_some() && readable(&record.parent) && digest)
            .then_some(record)
    }
}

/// Puts the digest of bytes in front of them.
pub(super) fn seal(body: &[u8]) -> Vec<u8> {
    let digest = Hasher::digest(Algorithm::Sha256, body);
    [MAGIC.as_bytes(), digest.hex().as_bytes(), b"\n", body].concat()
}

/// What the digest is in front of, if it has it.
pub(super) fn unseal(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(MAGIC.as_bytes())?;
    let (hex, body) = (rest.get(..64)?, rest.get(64..)?.strip_prefix(b"\n")?);
    let digest = Hasher::digest(Algorithm::Sha256, body);
    (digest.hex().as_bytes() == hex).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_damaged_is_none() {
        let mut parts = KeyParts::new("RUN");
        parts.add("command", "true");
        let diff_id = Hasher::digest(Algorithm::Sha256, b"x");
        let layer = LayerFact { diff_id: diff_id.clone(), size_bytes: 7 };
        let record = Record::new(&parts, None, Some(&layer));
        let bytes = record.encode();
        let found = Record::decode(&bytes).unwrap();
        assert_eq!((found.key.clone(), found.layer()), (parts.key(), Some(layer)));
        assert_eq!(found.layer_id().unwrap().as_str(), diff_id.hex());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Record::decode(&damaged).is_none(), "byte {at}");
            assert!(Record::decode(&bytes[..at]).is_none(), "cut at {at}");
        }
        // CVE-2024-23650: whole, and whatever it holds.
        for text in ["", "null", "[]", "{}", "{\"key\":1}", "\u{0}", &"[".repeat(100_000)] {
            assert!(Record::decode(&seal(text.as_bytes())).is_none());
        }
        // Whole, but not what it should be.
        let escape = String::from_utf8(bytes[MAGIC.len() + 65..].to_vec()).unwrap();
        let escape = escape.replace(&parts.key().to_string(), "../../etc/passwd");
        assert!(Record::decode(&seal(escape.as_bytes())).is_none());
    }
}
