//! Signatures of sigstore as everything but a registry stores them.

use std::collections::BTreeMap;

use cask_json::{Fields, Rules, Writer, base64};

/// With what the stored form begins.
///
/// Source: containers/image, `internal/signature`, `SigstoreFormat`.
const MAGIC: &[u8] = b"\0sigstore-json\n";

/// A signature of sigstore: what is signed, and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attached {
    pub(super) media_type: String,
    pub(super) payload: Vec<u8>,
    pub(super) annotations: BTreeMap<String, String>,
}

impl Attached {
    /// Reads the stored form; `None` if it is that of another kind of signature.
    pub(super) fn decode(bytes: &[u8]) -> Option<Result<Self, cask_json::Error>> {
        bytes.strip_prefix(MAGIC).map(|json| {
            let document = cask_json::parse(json, Rules::new(super::MAX_BYTES))?;
            let fields = Fields::of(document.root())?;
            let payload = fields.require("payload")?;
            Ok(Self {
                media_type: fields.require("mimeType")?.as_str()?.to_owned(),
                payload: base64::decode(payload.as_str()?).map_err(|error| {
                    payload.error(cask_json::ErrorKind::InvalidValue, error.to_string())
                })?,
                annotations: fields.string_map("annotations")?,
            })
        })
    }

    /// The stored form, byte for byte as containers/image writes it.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.object(|w| {
            w.key("mimeType").string(&self.media_type);
            w.key("payload").string(&base64::encode(&self.payload));
            w.key("annotations").string_map(&self.annotations);
        });
        [MAGIC, &writer.finish()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_comes_back_and_others_are_left_alone() {
        let attached = Attached {
            media_type: "application/vnd.dev.cosign.simplesigning.v1+json".to_owned(),
            payload: b"{}".to_vec(),
            annotations: BTreeMap::from([("a".to_owned(), "<b>".to_owned())]),
        };
        let stored = attached.encode();
        let expected = "\0sigstore-json\n{\"mimeType\":\"application/vnd.dev.cosign.simplesigning.\
                        v1+json\",\"payload\":\"e30=\",\"annotations\":{\"a\":\"\\u003cb\\u003e\"}}";
        assert_eq!(String::from_utf8_lossy(&stored), expected);
        assert_eq!(Attached::decode(&stored).unwrap().unwrap(), attached);
        assert!(Attached::decode(b"\x90 OpenPGP").is_none());
        for broken in ["", "{}", "[]", "{\"mimeType\":\"a\",\"payload\":\"!\"}"] {
            let bytes = [MAGIC, broken.as_bytes()].concat();
            assert!(Attached::decode(&bytes).unwrap().is_err(), "{broken}");
        }
    }
}
