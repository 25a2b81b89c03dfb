//! An artifact: what its manifest says.

use std::collections::BTreeMap;

use anyhow::Result;
use cask::copy::Inspected;
use cask::image::{Descriptor, ImageManifest};
use cask_terminal::value::nil;
use serde::Serialize;

use super::show::show as print;

/// What there is to say about something that is no image.
#[derive(Serialize)]
#[serde(rename = "dray.Artifact")]
struct Artifact {
    #[serde(rename = "Digest")]
    digest: String,
    #[serde(rename = "MediaType")]
    media_type: String,
    #[serde(rename = "ArtifactType")]
    artifact_type: String,
    #[serde(rename = "Subject json:Subject,omitempty")]
    subject: String,
    #[serde(rename = "Annotations", serialize_with = "nil::map")]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(rename = "Blobs")]
    blobs: Vec<Blob>,
}

#[derive(Serialize)]
#[serde(rename = "dray.Blob")]
struct Blob {
    #[serde(rename = "MIMEType")]
    media_type: String,
    #[serde(rename = "Digest")]
    digest: String,
    #[serde(rename = "Size")]
    size: u64,
    #[serde(rename = "Annotations", serialize_with = "nil::map")]
    annotations: Option<BTreeMap<String, String>>,
}

/// Shows an artifact.
pub(crate) fn show(
    inspected: &Inspected,
    artifact: &ImageManifest,
    template: Option<&str>,
) -> Result<()> {
    // Without an artifact type, the type of the config says what it is.
    let kind = artifact.artifact_type.as_ref().unwrap_or(&artifact.config.media_type);
    let shown = Artifact {
        digest: inspected.top().digest().to_string(),
        media_type: inspected.top().media_type().to_string(),
        artifact_type: kind.to_string(),
        subject: artifact.subject.as_ref().map(|it| it.digest.to_string()).unwrap_or_default(),
        annotations: some(&artifact.annotations),
        blobs: artifact.layers.iter().map(blob).collect(),
    };
    print(&shown, template)
}

fn blob(descriptor: &Descriptor) -> Blob {
    Blob {
        media_type: descriptor.media_type.to_string(),
        digest: descriptor.digest.to_string(),
        size: descriptor.size,
        annotations: some(&descriptor.annotations),
    }
}

fn some(map: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    Some(map.clone()).filter(|map| !map.is_empty())
}
