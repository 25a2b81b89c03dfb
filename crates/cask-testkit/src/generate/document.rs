//! The documents of images, with their keys in the order in which the common tools write them.
//!
//! Written here once more, so that tests do not read with the code that wrote.

use std::collections::BTreeMap;

use bytes::Bytes;
use cask_image::{Descriptor, Platform};
use serde::Serialize;

pub(super) type Map = BTreeMap<String, String>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest<'a> {
    pub(super) schema_version: u8,
    pub(super) media_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) artifact_type: Option<&'a str>,
    pub(super) config: Link<'a>,
    pub(super) layers: Vec<Link<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<Link<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: &'a Map,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index<'a> {
    pub(super) schema_version: u8,
    pub(super) media_type: &'a str,
    pub(super) manifests: Vec<Link<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<Link<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: &'a Map,
}

/// A descriptor as it stands in a document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Link<'a> {
    media_type: &'a str,
    digest: &'a str,
    size: u64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    urls: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a Map,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Runs<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a str>,
}

impl<'a> From<&'a Descriptor> for Link<'a> {
    fn from(descriptor: &'a Descriptor) -> Self {
        Self {
            media_type: descriptor.media_type.as_str(),
            digest: descriptor.digest.as_str(),
            size: descriptor.size,
            urls: &descriptor.urls,
            annotations: &descriptor.annotations,
            platform: descriptor.platform.as_ref().map(Runs::from),
            artifact_type: descriptor.artifact_type.as_ref().map(|kind| kind.as_str()),
        }
    }
}

/// A platform as it stands in a document.
#[derive(Serialize)]
pub(super) struct Runs<'a> {
    architecture: &'a str,
    os: &'a str,
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    os_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
}

impl<'a> From<&'a Platform> for Runs<'a> {
    fn from(platform: &'a Platform) -> Self {
        Self {
            architecture: &platform.architecture,
            os: &platform.os,
            os_version: platform.os_version.as_deref(),
            variant: platform.variant.as_deref(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Config<'a> {
    pub(super) created: &'a str,
    #[serde(flatten)]
    pub(super) platform: Runs<'a>,
    pub(super) config: Execution<'a>,
    pub(super) rootfs: RootFilesystem<'a>,
    pub(super) history: Vec<Step>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Execution<'a> {
    pub(super) env: &'a [&'a str],
    pub(super) cmd: &'a [&'a str],
    pub(super) working_dir: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) labels: &'a Map,
}

#[derive(Serialize)]
pub(super) struct RootFilesystem<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) diff_ids: Vec<&'a str>,
}

#[derive(Serialize)]
pub(super) struct Step {
    pub(super) created: &'static str,
    pub(super) created_by: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) empty_layer: bool,
}

/// When all images were made.
pub(super) const CREATED: &str = "2024-05-06T07:08:09Z";

/// Writes a document without white space.
pub(super) fn to_bytes(document: &impl Serialize) -> Bytes {
    serde_json::to_vec(document).expect("these documents have string keys only").into()
}
