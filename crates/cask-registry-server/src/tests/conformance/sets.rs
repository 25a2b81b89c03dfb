//! Sets of content that belongs together.

use cask_image::{Algorithm, Digest};
use serde_json::{Value, json};

use super::suite::digest;

pub(super) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";
const ELSEWHERE: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";

/// Content that is pushed, found, pulled and deleted as a whole.
pub(super) struct Set {
    pub(super) name: &'static str,
    algorithm: Algorithm,
    pub(super) blobs: Vec<(Digest, Vec<u8>)>,
    /// Children before who lists them.
    pub(super) documents: Vec<Document>,
}

/// A manifest or an index.
pub(super) struct Document {
    pub(super) bytes: Vec<u8>,
    pub(super) media_type: &'static str,
    pub(super) digest: Digest,
    pub(super) tag: Option<&'static str>,
    pub(super) subject: Option<String>,
    /// What referrers are told apart by.
    pub(super) artifact_type: Option<String>,
}

impl Set {
    fn new(name: &'static str, algorithm: Algorithm) -> Self {
        Self { name, algorithm, blobs: Vec::new(), documents: Vec::new() }
    }

    /// Adds a blob; its descriptor.
    fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let named = digest(self.algorithm, bytes);
        if self.blobs.iter().all(|(known, _)| *known != named) {
            self.blobs.push((named.clone(), bytes.to_vec()));
        }
        json!({"mediaType": media_type, "digest": named.as_str(), "size": bytes.len()})
    }

    /// Adds a document; its descriptor.
    fn document(&mut self, kind: &'static str, tag: Option<&'static str>, value: Value) -> Value {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let bytes = value.to_string().into_bytes();
        let named = digest(self.algorithm, &bytes);
        let described = json!({"mediaType": kind, "digest": named.as_str(), "size": bytes.len()});
        let own_type = text(&value["artifactType"]);
        self.documents.push(Document {
            bytes,
            media_type: kind,
            digest: named,
            tag,
            subject: text(&value["subject"]["digest"]),
            artifact_type: own_type.or(text(&value["config"]["mediaType"])),
        });
        described
    }

    /// An image with so many layers, and whatever more.
    fn image(&mut self, tag: Option<&'static str>, layers: &[(&str, &str)], more: &Value) -> Value {
        let id = format!("{layers:?}");
        let config = json!({"architecture": "amd64", "os": "linux", "id": id}).to_string();
        let config = self.blob(CONFIG, config.as_bytes());
        let layers: Vec<_> =
            layers.iter().map(|(kind, text)| self.blob(kind, text.as_bytes())).collect();
        let value = json!({
            "schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": layers,
        });
        self.document(IMAGE, tag, merged(value, more))
    }

    fn artifact(
        &mut self,
        tag: Option<&'static str>,
        kind: &str,
        subject: Option<&Value>,
    ) -> Value {
        let empty = self.blob(EMPTY, b"{}");
        let layer = self.blob("application/vnd.it.data", kind.as_bytes());
        let mut value = json!({
            "schemaVersion": 2, "mediaType": IMAGE, "artifactType": kind, "config": empty,
            "layers": [layer],
        });
        if let Some(subject) = subject {
            value["subject"] = subject.clone();
        }
        self.document(IMAGE, tag, value)
    }

    fn index(&mut self, tag: Option<&'static str>, children: &[Value], more: &Value) -> Value {
        let value = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children});
        self.document(INDEX, tag, merged(value, more))
    }
}

fn merged(mut value: Value, more: &Value) -> Value {
    for (key, more) in more.as_object().into_iter().flatten() {
        value[key] = more.clone();
    }
    value
}

/// A name, and what fills the set.
type Maker = (&'static str, fn(&mut Set));

/// All sets, with digests by one algorithm.
pub(super) fn all(algorithm: Algorithm) -> Vec<Set> {
    let makers: [Maker; 17] = [
        ("image", |set| drop(set.image(Some("image"), &[(LAYER, "a"), (LAYER, "b")], &json!({})))),
        ("image without compression", |set| {
            set.image(Some("plain"), &[(PLAIN, "a")], &json!({}));
        }),
        ("no layers", |set| drop(set.image(Some("none"), &[], &json!({})))),
        ("index", index),
        ("empty index", |set| drop(set.index(Some("empty"), &[], &json!({})))),
        ("nested index", nested),
        ("artifact", |set| drop(set.artifact(Some("artifact"), "application/vnd.it.a", None))),
        ("artifact without layers", |set| {
            let empty = set.blob(EMPTY, b"{}");
            let value = json!({"schemaVersion": 2, "mediaType": IMAGE, "config": empty,
                "artifactType": "application/vnd.it.none", "layers": [empty]});
            set.document(IMAGE, Some("bare"), value);
        }),
        ("artifact index", |set| {
            let child = set.artifact(None, "application/vnd.it.a", None);
            let more = json!({"artifactType": "application/vnd.it.index"});
            set.index(Some("artifacts"), &[child], &more);
        }),
        ("artifacts with subject", with_subject),
        ("index with subject", index_with_subject),
        ("missing subject", |set| {
            let named = digest(set.algorithm, b"nobody has this");
            let subject = json!({"mediaType": IMAGE, "digest": named.as_str(), "size": 15});
            set.artifact(Some("early"), "application/vnd.it.a", Some(&subject));
        }),
        ("data field", |set| {
            let mut layer = set.blob("application/vnd.it.data", b"hello");
            layer["data"] = json!("aGVsbG8=");
            let mut config = set.blob(EMPTY, b"{}");
            config["data"] = json!("e30=");
            let value = json!({"schemaVersion": 2, "mediaType": IMAGE, "config": config,
                "artifactType": "application/vnd.it.data", "layers": [layer]});
            set.document(IMAGE, Some("data"), value);
        }),
        ("layers that are elsewhere", |set| {
            let config = set.blob(CONFIG, b"{\"os\":\"windows\"}");
            let named = digest(set.algorithm, b"nobody has this");
            let layer = json!({"mediaType": ELSEWHERE, "digest": named.as_str(), "size": 15,
                "urls": ["https://a.example/layer"]});
            let value = json!({"schemaVersion": 2, "mediaType": IMAGE, "config": config,
                "layers": [layer]});
            set.document(IMAGE, Some("elsewhere"), value);
        }),
        ("custom fields", |set| {
            let more =
                json!({"org.example.extra": {"a": [1, 2.5, null]}, "annotations": {"x": "y"}});
            let child = set.image(None, &[(LAYER, "a")], &more);
            set.index(Some("custom"), &[child], &more);
        }),
        ("large manifest", |set| {
            let more = json!({"annotations": {"large": "x".repeat((4 << 20) - 2000)}});
            set.image(Some("large"), &[(LAYER, "a")], &more);
        }),
        ("by digest alone", |set| drop(set.image(None, &[(LAYER, "a")], &json!({})))),
    ];
    let make = |(name, fill): Maker| {
        let mut set = Set::new(name, algorithm);
        fill(&mut set);
        set
    };
    makers.into_iter().map(make).collect()
}

fn index(set: &mut Set) {
    let mut children = Vec::new();
    for (architecture, layer) in [("amd64", "a"), ("arm64", "b")] {
        let mut child = set.image(None, &[(LAYER, layer)], &json!({}));
        child["platform"] = json!({"os": "linux", "architecture": architecture});
        children.push(child);
    }
    set.index(Some("index"), &children, &json!({}));
}

fn nested(set: &mut Set) {
    index(set);
    let first = set.documents.last_mut().expect("there is an index");
    first.tag = None;
    let inner = json!({
        "mediaType": INDEX, "digest": first.digest.as_str(), "size": first.bytes.len(),
    });
    let child = set.artifact(None, "application/vnd.it.a", None);
    let middle = set.index(None, &[inner, child], &json!({}));
    set.index(Some("nested"), &[middle], &json!({}));
}

fn with_subject(set: &mut Set) {
    let subject = set.image(Some("subject"), &[(LAYER, "a")], &json!({}));
    set.artifact(Some("about"), "application/vnd.it.a", Some(&subject));
    set.artifact(None, "application/vnd.it.b", Some(&subject));
    // What has no type of its own has its config's.
    set.image(None, &[(LAYER, "b")], &json!({"subject": subject}));
}

fn index_with_subject(set: &mut Set) {
    index(set);
    let last = set.documents.last().expect("there is an index");
    let subject =
        json!({"mediaType": INDEX, "digest": last.digest.as_str(), "size": last.bytes.len()});
    let child = set.artifact(None, "application/vnd.it.a", Some(&subject));
    let more = json!({"subject": subject, "artifactType": "application/vnd.it.index"});
    set.index(Some("about"), &[child], &more);
}
