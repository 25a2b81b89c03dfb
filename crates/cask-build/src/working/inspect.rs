//! What a working container, or an image as one, says of itself.

use cask_image::{PlatformWanted, Timestamp};
use cask_json::base64;
use cask_storage::Image;
use serde_json::{Map, Value, json};

use super::create::{finish_image, take_image};
use super::state::State;
use super::{WorkingContainer, WorkingContainers};
use crate::Result;

/// What a working container says of itself, under the names that buildah's `inspect` has.
///
/// Source: buildah, `buildah.go`, `BuilderInfo`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkingDetails {
    /// The fields in their order.
    pub fields: Vec<(&'static str, Value)>,
}

/// The fields, and what they are called in the state.
const FIELDS: [(&str, &str); 23] = [
    ("Type", "type"),
    ("FromImage", "image"),
    ("FromImageID", "image-id"),
    ("FromImageDigest", "image-digest"),
    ("Config", "config"),
    ("Manifest", "manifest"),
    ("Container", "container-name"),
    ("ContainerID", "container-id"),
    ("MountPoint", "mountpoint"),
    ("ProcessLabel", "process-label"),
    ("MountLabel", "mount-label"),
    ("ImageAnnotations", "annotations"),
    ("ImageCreatedBy", "created-by"),
    ("OCIv1", "ociv1"),
    ("Docker", "docker"),
    ("DefaultMountsFilePath", "defaultMountsFilePath"),
    ("Isolation", "Isolation"),
    ("NamespaceOptions", "NamespaceOptions"),
    ("Capabilities", "Capabilities"),
    ("ConfigureNetwork", "ConfigureNetwork"),
    ("CNIPluginPath", "CNIPluginPath"),
    ("CNIConfigDir", "CNIConfigDir"),
    ("IDMappingOptions", "IDMappingOptions"),
];

impl WorkingContainer {
    /// What it says of itself.
    pub fn details(&self) -> WorkingDetails {
        details(&self.state)
    }
}

/// What an image says of itself, as a container made from it would.
///
/// # Errors
/// Those of reading the image.
pub fn image_details(
    containers: &WorkingContainers,
    image: &Image,
    reference: &str,
) -> Result<WorkingDetails> {
    let mut state = State::new();
    take_image(containers, &mut state, image, reference)?;
    let created = Timestamp::from_unix(0, 0).unwrap_or(Timestamp::GO_ZERO);
    finish_image(&mut state, &PlatformWanted::of_this_build(), created);
    Ok(details(&state))
}

fn details(state: &State) -> WorkingDetails {
    let read = |key: &str| state.value(key).cloned();
    let blob = |key: &str| {
        let bytes = base64::decode(state.text(key)).unwrap_or_default();
        json!(String::from_utf8_lossy(&bytes))
    };
    let mut fields: Vec<(&'static str, Value)> = Vec::with_capacity(FIELDS.len() + 2);
    for (name, key) in FIELDS {
        let value = match key {
            "config" | "manifest" => blob(key),
            "Isolation" => json!(isolation(state)),
            "ConfigureNetwork" => json!(network(state)),
            "annotations" => read(key).unwrap_or_else(|| json!({})),
            "ociv1" => read(key).unwrap_or_else(|| Value::Object(Map::new())),
            "docker" => docker(read(key)),
            "NamespaceOptions" | "Capabilities" | "IDMappingOptions" => {
                read(key).unwrap_or(Value::Null)
            }
            _ => json!(state.text(key)),
        };
        fields.push((name, value));
    }
    let history = state.value("ociv1").and_then(|image| image.get("history")).cloned();
    fields.push(("History", history.unwrap_or(Value::Null)));
    fields.push(("Devices", read("Devices").unwrap_or(Value::Null)));
    WorkingDetails { fields }
}

/// Docker's image; what the container that it was made from said is what it says itself.
fn docker(image: Option<Value>) -> Value {
    let mut image = image.unwrap_or_else(|| Value::Object(Map::new()));
    if let Some(config) = image.get("config").cloned() {
        image["container_config"] = config;
    }
    image
}

fn isolation(state: &State) -> &'static str {
    match state.value("Isolation").and_then(Value::as_i64) {
        Some(1) => "oci",
        Some(2) => "chroot",
        Some(3) => "rootless",
        _ => "",
    }
}

fn network(state: &State) -> &'static str {
    match state.value("ConfigureNetwork").and_then(Value::as_i64) {
        Some(1) => "NetworkDisabled",
        Some(2) => "NetworkEnabled",
        _ => "NetworkDefault",
    }
}
