//! What a list remembers of the artifacts in it that were made of files.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

/// What a list of images knows of artifacts in it: their manifests, and where their parts are. It is kept beside the
/// list, under [`KEY`](Self::KEY). Digests are as they are written.
///
/// Source: containers/common, `libimage/manifests/manifests.go`, `artifactsDetails`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListArtifacts {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    manifests: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    files: BTreeMap<String, Option<Vec<String>>>,
    #[serde(rename = "config", skip_serializing_if = "BTreeMap::is_empty")]
    configs: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    layers: BTreeMap<String, Option<Vec<String>>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    detached: BTreeMap<String, String>,
    /// As base64.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    blobs: BTreeMap<String, Option<String>>,
}

/// Where a part of an artifact is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArtifactPart {
    /// It is the file of this path, which may have changed since.
    File(String),
    /// It is kept with the list.
    Bytes(Vec<u8>),
}

impl ListArtifacts {
    /// The name under which it is kept with a list.
    pub const KEY: &'static str = "artifacts.json";

    /// Reads it; of what is no such thing, nothing.
    pub fn parse(json: &[u8]) -> Self {
        serde_json::from_slice(json).unwrap_or_default()
    }

    /// Writes it.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("maps of texts are JSON")
    }

    /// The manifest of an artifact.
    pub fn manifest(&self, digest: &str) -> Option<&str> {
        self.manifests.get(digest).map(String::as_str)
    }

    /// Where a part is: a config, or what manifests call a layer.
    pub fn part(&self, digest: &str) -> Option<ArtifactPart> {
        if let Some(file) = self.detached.get(digest) {
            return Some(ArtifactPart::File(file.clone()));
        }
        let text = self.blobs.get(digest)?.as_deref().unwrap_or_default();
        cask_json::base64::decode(text).ok().map(ArtifactPart::Bytes)
    }

    /// The files of which an artifact was made.
    pub fn files(&self, digest: &str) -> &[String] {
        self.files.get(digest).and_then(Option::as_deref).unwrap_or_default()
    }

    /// The artifact of which this file is a part.
    pub fn of_file(&self, file: &str) -> Option<&str> {
        let found = self.files.keys().find(|digest| self.files(digest).iter().any(|f| f == file));
        found.map(String::as_str)
    }

    /// Remembers an artifact: the digest and the text of its manifest, its config and its layers.
    pub fn insert(
        &mut self,
        (digest, manifest): (&str, &str),
        (config, config_part): (&str, ArtifactPart),
        layers: Vec<(String, ArtifactPart)>,
    ) {
        self.forget(digest);
        self.manifests.insert(digest.to_owned(), manifest.to_owned());
        self.configs.insert(digest.to_owned(), config.to_owned());
        let names = layers.iter().map(|(layer, _)| layer.clone()).collect();
        self.layers.insert(digest.to_owned(), Some(names));
        let mut files = Vec::new();
        for (part, place) in [(config.to_owned(), config_part)].into_iter().chain(layers) {
            match place {
                ArtifactPart::File(file) => {
                    self.detached.insert(part, file.clone());
                    files.push(file);
                }
                ArtifactPart::Bytes(bytes) => {
                    self.blobs.insert(part, Some(cask_json::base64::encode(&bytes)));
                }
            }
        }
        if !files.is_empty() {
            self.files.insert(digest.to_owned(), Some(files));
        }
    }

    /// Remembers an artifact of another list, if that knows it.
    pub fn take(&mut self, other: &Self, digest: &str) {
        let (Some(manifest), Some(config)) = (other.manifest(digest), other.configs.get(digest))
        else {
            return;
        };
        let layers = other.layers.get(digest).and_then(Option::as_ref).into_iter().flatten();
        let layers = layers.map(|layer| Some((layer.clone(), other.part(layer)?)));
        if let (Some(part), Some(layers)) = (other.part(config), layers.collect()) {
            self.insert((digest, manifest), (config, part), layers);
        }
    }

    /// Forgets all artifacts but those that are listed still, and the parts of which nobody knows any more.
    pub fn keep(&mut self, is_listed: impl Fn(&str) -> bool) {
        let gone: Vec<String> =
            self.manifests.keys().filter(|digest| !is_listed(digest)).cloned().collect();
        gone.iter().for_each(|digest| self.forget(digest));
    }

    fn forget(&mut self, digest: &str) {
        if self.manifests.remove(digest).is_none() {
            return;
        }
        self.files.remove(digest);
        self.configs.remove(digest);
        self.layers.remove(digest);
        let layers = self.layers.values().flatten().flatten();
        let used: HashSet<&String> = self.configs.values().chain(layers).collect();
        self.detached.retain(|part, _| used.contains(part));
        self.blobs.retain(|part, _| used.contains(part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As buildah 1.43 writes one: an empty config, a file, and an artifact of nothing.
    const THEIRS: &str = r#"{
        "manifests": {"sha256:a": "{}", "sha256:b": "{ }"},
        "files": {"sha256:a": ["/tmp/file"]},
        "config": {"sha256:a": "sha256:e", "sha256:b": "sha256:e"},
        "layers": {"sha256:a": ["sha256:f"], "sha256:b": null},
        "detached": {"sha256:f": "/tmp/file"},
        "blobs": {"sha256:e": "e30=", "sha256:n": null}
    }"#;

    #[test]
    fn what_the_peers_wrote_is_read() {
        let read = ListArtifacts::parse(THEIRS.as_bytes());
        assert_eq!(read.manifest("sha256:a"), Some("{}"));
        assert_eq!(read.manifest("sha256:c"), None);
        let file = "/tmp/file";
        assert_eq!(read.part("sha256:f"), Some(ArtifactPart::File(file.to_owned())));
        assert_eq!(read.part("sha256:e"), Some(ArtifactPart::Bytes(b"{}".to_vec())));
        assert_eq!(read.part("sha256:n"), Some(ArtifactPart::Bytes(Vec::new())));
        assert_eq!(read.part("sha256:a"), None);
        assert_eq!(read.of_file(file), Some("sha256:a"));
        assert_eq!(read.files("sha256:b"), [] as [String; 0]);
        assert_eq!(ListArtifacts::parse(&read.encode()), read);
    }

    #[test]
    fn what_is_no_such_thing_is_nothing() {
        for text in ["", "{", "[]", "{\"manifests\": 1}", "{}"] {
            assert_eq!(ListArtifacts::parse(text.as_bytes()), ListArtifacts::default(), "{text}");
        }
        assert_eq!(ListArtifacts::default().encode(), b"{}");
    }

    #[test]
    fn parts_stay_as_long_as_an_artifact_has_them() {
        let mut artifacts = ListArtifacts::default();
        let file = |name: &str| ArtifactPart::File(name.to_owned());
        let empty = || ("e", ArtifactPart::Bytes(b"{}".to_vec()));
        artifacts.insert(("a", "{}"), empty(), vec![("f".to_owned(), file("/f"))]);
        artifacts.insert(("b", "{ }"), empty(), vec![("g".to_owned(), file("/g"))]);
        artifacts.keep(|digest| digest == "b");
        assert_eq!((artifacts.manifest("a"), artifacts.part("f")), (None, None));
        assert_eq!(artifacts.files("a").len(), 0);
        assert_eq!(artifacts.part("e"), Some(ArtifactPart::Bytes(b"{}".to_vec())));
        assert_eq!(artifacts.part("g"), Some(file("/g")));
        let mut other = ListArtifacts::default();
        other.take(&artifacts, "b");
        assert_eq!(other, artifacts);
        other.take(&artifacts, "a");
        assert_eq!(other, artifacts);
        artifacts.keep(|_| false);
        assert_eq!(artifacts, ListArtifacts::default());
    }
}
