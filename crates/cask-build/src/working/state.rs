//! What buildah writes down of a working container: `buildah.json`. It is kept as the document that
//! it is, so that whatever another release knows survives.

use cask_image::{ImageFormat, Timestamp};
use cask_json::base64;
use serde_json::{Map, Value, json};

use super::json::{OCI_EXECUTION, Shape, encode};
use crate::{Error, ErrorKind, Result};

/// What the state says of whose it is.
///
/// Source: buildah, `buildah.go`, `containerType`.
pub(super) const TYPE: &str = "buildah 0.0.1";

/// The name of the file.
pub(super) const FILE: &str = "buildah.json";

/// The fields of a config that both structs have.
const BOTH: [&str; 9] = [
    "created",
    "author",
    "architecture",
    "variant",
    "os",
    "os.version",
    "os.features",
    "rootfs",
    "history",
];

/// What is written down of a working container.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State(Map<String, Value>);

/// Which of the two configs that a state has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Oci,
    Docker,
}

pub(super) const BOTH_KINDS: [Kind; 2] = [Kind::Oci, Kind::Docker];

impl Kind {
    const fn key(self) -> &'static str {
        match self {
            Self::Oci => "ociv1",
            Self::Docker => "docker",
        }
    }
}

impl State {
    /// A state of which nothing is said but whose it is.
    pub(super) fn new() -> Self {
        let mut state = Self(Map::new());
        state.set("type", json!(TYPE));
        state
    }

    /// Reads a state.
    pub(super) fn parse(bytes: &[u8], container: &str) -> Result<Self> {
        let broken = |detail: String| {
            let subject = format!("the state of container {container}");
            Err(Error::new(ErrorKind::Storage, subject, detail))
        };
        let mut state = match serde_json::from_slice(bytes) {
            Ok(Value::Object(fields)) => Self(fields),
            Ok(_) => return broken("is not an object".to_owned()),
            Err(error) => return broken(format!("makes no sense: {error}")),
        };
        if state.text("type") != TYPE {
            let found = state.text("type");
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("container {container:?}"),
                format!("is not a buildah container (is a {found:?} container)"),
            ));
        }
        // What the image says comes before what the container that it was made from said.
        let docker = state.image_mut(Kind::Docker);
        if !docker.get("config").is_some_and(Value::is_object) {
            let fallback = docker.get("container_config").cloned().unwrap_or_else(|| json!({}));
            docker.insert("config".to_owned(), fallback);
        }
        Ok(state)
    }

    /// The state as a file.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut whole = self.clone();
        let docker = whole.image_mut(Kind::Docker);
        if let Some(config) = docker.get("config").cloned() {
            docker.insert("container_config".to_owned(), config);
        }
        encode(&Value::Object(whole.0), Shape::Sorted)
    }

    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    pub(super) fn set(&mut self, key: &str, value: Value) {
        self.0.insert(key.to_owned(), value);
    }

    /// A text; empty where there is none.
    pub(super) fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// Sets a text; an empty one goes.
    pub(super) fn set_text(&mut self, key: &str, text: &str) {
        match text {
            "" => drop(self.0.remove(key)),
            text => self.set(key, json!(text)),
        }
    }

    /// A field of what the user said of all builds.
    pub(super) fn common(&self, key: &str) -> Option<&Value> {
        self.0.get("CommonBuildOpts")?.get(key)
    }

    /// Sets a field of what the user said of all builds.
    pub(super) fn set_common(&mut self, key: &str, value: Value) {
        object(&mut self.0, "CommonBuildOpts").insert(key.to_owned(), value);
    }

    pub(super) fn image(&self, kind: Kind) -> Option<&Map<String, Value>> {
        self.0.get(kind.key())?.as_object()
    }

    pub(super) fn image_mut(&mut self, kind: Kind) -> &mut Map<String, Value> {
        object(&mut self.0, kind.key())
    }

    /// How to run the image.
    pub(super) fn execution(&self, kind: Kind) -> Option<&Map<String, Value>> {
        self.image(kind)?.get("config")?.as_object()
    }

    pub(super) fn execution_mut(&mut self, kind: Kind) -> &mut Map<String, Value> {
        object(self.image_mut(kind), "config")
    }

    /// A text of the config that both kinds have.
    pub(super) fn image_text(&self, key: &str) -> &str {
        let find = |kind| self.image(kind)?.get(key)?.as_str();
        find(Kind::Oci).or_else(|| find(Kind::Docker)).unwrap_or_default()
    }

    /// Sets a text of the config in both kinds; an empty one goes.
    pub(super) fn set_image_text(&mut self, key: &str, text: &str) {
        for kind in BOTH_KINDS {
            let image = self.image_mut(kind);
            match text {
                "" => drop(image.remove(key)),
                text => drop(image.insert(key.to_owned(), json!(text))),
            }
        }
    }

    /// A text of how to run the image.
    pub(super) fn execution_text(&self, kind: Kind, key: &str) -> &str {
        self.execution(kind)
            .and_then(|fields| fields.get(key))
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// A list of how to run the image.
    pub(super) fn execution_list(&self, kind: Kind, key: &str) -> Vec<String> {
        texts(self.execution(kind).and_then(|fields| fields.get(key)))
    }

    /// The keys of a map of how to run the image.
    pub(super) fn execution_keys(&self, kind: Kind, key: &str) -> Vec<String> {
        let found = self.execution(kind).and_then(|fields| fields.get(key)?.as_object());
        found.map(|map| map.keys().cloned().collect()).unwrap_or_default()
    }

    /// The annotations of the manifest.
    pub(super) fn annotations(&self) -> Vec<(String, String)> {
        let found = self.0.get("annotations").and_then(Value::as_object);
        let pair =
            |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        found.into_iter().flatten().filter_map(pair).collect()
    }

    pub(super) fn annotations_mut(&mut self) -> &mut Map<String, Value> {
        object(&mut self.0, "annotations")
    }

    /// The format that images of the container have, if nobody says another.
    pub(super) fn format(&self) -> ImageFormat {
        match self.text("Format") == ImageFormat::Docker.manifest_type().as_str() {
            true => ImageFormat::Docker,
            false => ImageFormat::Oci,
        }
    }

    pub(super) fn set_format(&mut self, format: ImageFormat) {
        self.set("Format", json!(format.manifest_type().as_str()));
    }

    /// Adds to the history that comes before the new layer's.
    pub(super) fn add_history(&mut self, created: Timestamp, created_by: &str) {
        let entry =
            json!({"created": created.to_string(), "created_by": created_by, "empty_layer": true});
        let list = self.0.entry("PrependedEmptyLayers").or_insert(Value::Null);
        match list {
            Value::Array(entries) => entries.push(entry),
            other => *other = json!([entry]),
        }
    }

    /// Takes over what an image says: its config, its manifest and what follows from them.
    pub(super) fn take_image(&mut self, config: &[u8], manifest: &[u8]) -> Result<()> {
        let parsed: Value = serde_json::from_slice(config).map_err(|error| {
            let detail = format!("its config makes no sense: {error}");
            Error::new(ErrorKind::Storage, self.text("image"), detail)
        })?;
        let execution = parsed.get("config").and_then(Value::as_object).cloned();
        let execution = execution.unwrap_or_default();
        let (mut oci, mut docker) = (Map::new(), Map::new());
        for (key, value) in BOTH.iter().filter_map(|key| Some((*key, parsed.get(*key)?))) {
            oci.insert(key.to_owned(), value.clone());
            docker.insert(key.to_owned(), value.clone());
        }
        for key in ["comment", "parent", "container", "docker_version"] {
            if let Some(value) = parsed.get(key) {
                docker.insert(key.to_owned(), value.clone());
            }
        }
        let known = |(key, value): (&String, &Value)| {
            let is_known = OCI_EXECUTION.contains(&key.as_str()) && !is_nothing(value);
            is_known.then(|| (key.clone(), value.clone()))
        };
        oci.insert(
            "config".to_owned(),
            Value::Object(execution.iter().filter_map(known).collect()),
        );
        let mut whole = empty_docker_execution();
        let said = execution.into_iter().filter(|(_, value)| !value.is_null());
        whole.extend(said);
        docker.insert("config".to_owned(), Value::Object(whole));
        self.set("ociv1", Value::Object(oci));
        self.set("docker", Value::Object(docker));
        self.set("config", json!(base64::encode(config)));
        self.set("manifest", json!(base64::encode(manifest)));
        Ok(())
    }

    /// Begins with no image.
    pub(super) fn take_nothing(&mut self) {
        self.set("ociv1", json!({"config": {}, "rootfs": {"type": "", "diff_ids": null}}));
        self.set("docker", json!({ "config": empty_docker_execution() }));
    }
}

/// The texts of a list.
pub(super) fn texts(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// An object in a field, made where there is none.
fn object<'m>(map: &'m mut Map<String, Value>, key: &str) -> &'m mut Map<String, Value> {
    let value = map.entry(key.to_owned()).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(fields) => fields,
        _ => unreachable!("it was just made an object"),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(_) => false,
    }
}

/// The fields that Docker's struct always has.
fn empty_docker_execution() -> Map<String, Value> {
    let empty = json!({
        "Hostname": "", "Domainname": "", "User": "",
        "AttachStdin": false, "AttachStdout": false, "AttachStderr": false,
        "Tty": false, "OpenStdin": false, "StdinOnce": false,
        "Env": null, "Cmd": null, "Image": "", "Volumes": null, "WorkingDir": "",
        "Entrypoint": null, "OnBuild": [], "Labels": null,
    });
    match empty {
        Value::Object(fields) => fields,
        _ => unreachable!("it is an object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_survives() {
        let text = br#"{"type":"buildah 0.0.1","Next":{"x":[1]},"docker":{"container_config":{"Env":["A=1"]},"Other":1}}"#;
        let state = State::parse(text, "c").unwrap();
        let again: Value = serde_json::from_slice(&state.encode()).unwrap();
        assert_eq!(again["Next"], json!({"x": [1]}));
        assert_eq!(again["docker"]["Other"], json!(1));
        assert_eq!(again["docker"]["config"], json!({"Env": ["A=1"]}));
        assert_eq!(state.execution_list(Kind::Docker, "Env"), ["A=1"]);
    }

    #[test]
    fn containers_of_others_are_refused() {
        let check = |text: &str, expected: &str| {
            let error = State::parse(text.as_bytes(), "c").unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        };
        check(r#"{"type":"other 1"}"#, r#"is not a buildah container (is a "other 1" container)"#);
        check("[]", "is not an object");
        check("{", "makes no sense");
    }

    #[test]
    fn an_image_is_taken_over_in_both_formats() {
        let config = br#"{"created":"1970-01-01T00:00:00Z","architecture":"amd64","os":"linux","config":{"Env":["A=1"],"Shell":["sh"],"Labels":null},"rootfs":{"type":"layers","diff_ids":[]}}"#;
        let mut state = State::new();
        state.take_image(config, b"{}").unwrap();
        let oci = state.execution(Kind::Oci).unwrap();
        assert_eq!(Value::Object(oci.clone()), json!({"Env": ["A=1"]}));
        assert_eq!(state.execution_list(Kind::Docker, "Shell"), ["sh"]);
        assert_eq!(state.execution(Kind::Docker).unwrap()["Labels"], Value::Null);
        assert_eq!(state.image_text("architecture"), "amd64");
        assert_eq!(base64::decode(state.text("config")).unwrap(), config);
    }
}
