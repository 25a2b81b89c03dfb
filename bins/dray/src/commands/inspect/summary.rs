//! What skopeo shows of an image.

use std::collections::BTreeMap;

use anyhow::Result;
use cask::copy::Inspected;
use cask::image::{Descriptor, ImageConfig};
use cask::transport::Location;
use cask_terminal::value::{Time, nil};
use serde::Serialize;

use super::show::show as print;

/// Field by field what skopeo has, under Go's names.
///
/// Source: skopeo, `cmd/skopeo/inspect/output.go`.
#[derive(Serialize)]
#[serde(rename = "inspect.Output")]
struct Summary {
    #[serde(rename = "Name json:Name,omitempty")]
    name: String,
    #[serde(rename = "Tag json:Tag,omitempty")]
    tag: String,
    #[serde(rename = "Digest")]
    digest: String,
    #[serde(rename = "RepoTags")]
    repo_tags: Vec<String>,
    #[serde(rename = "Created")]
    created: Option<Time>,
    #[serde(rename = "DockerVersion")]
    docker_version: String,
    #[serde(rename = "Labels", serialize_with = "nil::map")]
    labels: Option<BTreeMap<String, String>>,
    #[serde(rename = "Architecture")]
    architecture: String,
    #[serde(rename = "Os")]
    os: String,
    #[serde(rename = "Layers")]
    layers: Vec<String>,
    #[serde(rename = "LayersData")]
    layers_data: Vec<Layer>,
    #[serde(rename = "Env", serialize_with = "nil::list")]
    env: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename = "types.ImageInspectLayer")]
struct Layer {
    #[serde(rename = "MIMEType")]
    media_type: String,
    #[serde(rename = "Digest")]
    digest: String,
    #[serde(rename = "Size")]
    size: u64,
    #[serde(rename = "Annotations", serialize_with = "nil::map")]
    annotations: Option<BTreeMap<String, String>>,
}

/// Shows an image.
pub(crate) fn show(
    image: &dyn Location,
    inspected: &Inspected,
    repo_tags: Vec<String>,
    layers: &[Descriptor],
    config: &ImageConfig,
    config_bytes: &[u8],
    template: Option<&str>,
) -> Result<()> {
    let reference = image.reference();
    let summary = Summary {
        name: reference.map(|reference| reference.name().to_owned()).unwrap_or_default(),
        tag: reference
            .filter(|_| image.scheme() == "docker")
            .and_then(|reference| reference.tag())
            .map(|tag| tag.as_str().to_owned())
            .unwrap_or_default(),
        digest: inspected.top().digest().to_string(),
        repo_tags,
        created: config.created.as_ref().map(|created| Time(created.to_string())),
        docker_version: docker_version(config_bytes),
        labels: Some(config.config.labels.clone()).filter(|labels| !labels.is_empty()),
        architecture: config.architecture.clone(),
        os: config.os.clone(),
        layers: layers.iter().map(|layer| layer.digest.to_string()).collect(),
        layers_data: layers.iter().map(layer).collect(),
        env: Some(config.config.env.clone()).filter(|env| !env.is_empty()),
    };
    print(&summary, template)
}

fn layer(descriptor: &Descriptor) -> Layer {
    Layer {
        media_type: descriptor.media_type.to_string(),
        digest: descriptor.digest.to_string(),
        size: descriptor.size,
        annotations: Some(descriptor.annotations.clone()).filter(|map| !map.is_empty()),
    }
}

/// The version of Docker that made the image, a field that OCI configs do not have.
fn docker_version(config: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Made {
        docker_version: String,
    }
    serde_json::from_slice(config).map_or_else(|_| String::new(), |made: Made| made.docker_version)
}
