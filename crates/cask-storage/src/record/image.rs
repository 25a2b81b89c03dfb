//! Entries of `images.json`.

use std::collections::{BTreeMap, BTreeSet};

use cask_image::{Digest, Timestamp};

use super::fields::records_of;
use super::value::Flags;
use crate::Id;

records_of! {
    /// What the store knows of an image.
    ///
    /// Source: containers/storage, `images.go`, `Image`.
    pub struct ImageRecord {
        /// The digest of a manifest of the image: the first that was known. For lists that
        /// podman made it is that of the empty list; see [`manifest_digest`](Self::manifest_digest).
        digest: Option<Digest> = "digest";
        /// Names with a tag or a digest, unique over all images.
        names: Vec<String> = "names";
        /// Names that it had at any time, the newest first.
        names_history: Vec<String> = "names-history";
        /// The layer on top; `None` for lists and artifacts.
        top_layer: Option<Id> = "layer";
        /// Layers with the content of the top one and other owners.
        mapped_layers: Vec<String> = "mapped-layers";
        /// Free text: JSON about signatures.
        metadata: String = "metadata";
        /// The names of the image's files, in the order in which they came.
        big_data_names: Vec<String> = "big-data-names";
        /// The sizes of these files in bytes.
        big_data_sizes: BTreeMap<String, i64> = "big-data-sizes";
        /// The digests of these files; for manifests, the manifest's digest.
        big_data_digests: BTreeMap<String, Digest> = "big-data-digests";
        /// When the image was made, as its config says.
        created: Option<Timestamp> = "created";
        /// Flags.
        flags: Flags = "flags";
    }
}

impl ImageRecord {
    /// The digest of the manifest that is stored under the name `manifest`.
    pub fn manifest_digest(&self) -> Option<&Digest> {
        self.big_data_digests.get("manifest").or(self.digest.as_ref())
    }

    /// Every digest by which the image can be asked for: of its manifests and lists.
    pub fn digests(&self) -> BTreeSet<&Digest> {
        let stored = self.big_data_digests.iter();
        let manifests = stored.filter(|(name, _)| name.starts_with("manifest"));
        self.digest.iter().chain(manifests.map(|(_, digest)| digest)).collect()
    }

    /// The sizes in bytes of the signatures of a manifest, one behind the other in its file.
    ///
    /// Source: containers/image, `storage_src.go`, `signature-sizes` and `signatures-sizes`.
    pub fn signature_sizes(&self, manifest: &Digest) -> Vec<u64> {
        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct Metadata {
            #[serde(rename = "signature-sizes")]
            of_image: Vec<u64>,
            #[serde(rename = "signatures-sizes")]
            of_manifests: BTreeMap<String, Vec<u64>>,
        }
        let metadata: Metadata = serde_json::from_str(&self.metadata).unwrap_or_default();
        let own = metadata.of_manifests.get(manifest.as_str()).cloned();
        own.unwrap_or(metadata.of_image)
    }

    /// Puts a name in front of the names history.
    pub(crate) fn remember_name(&mut self, name: &str) {
        self.names_history.retain(|old| old != name);
        self.names_history.insert(0, name.to_owned());
    }
}
