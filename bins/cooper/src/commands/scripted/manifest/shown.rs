//! How a list of the store is shown: as one of Docker's, in whatever format it is kept.

use std::collections::BTreeMap;

use anyhow::Result;
use cask_image::{Descriptor, Index, Manifest, Platform, RawManifest};
use cask_terminal::output::Output;
use cask_terminal::value::JsonStyle;
use serde::Serialize;

/// Source: containers/image, `manifest/docker_schema2_list.go`, `Schema2List`. What is said of a list
/// itself comes behind it: Docker's has no place for that.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'l> {
    schema_version: u32,
    media_type: &'static str,
    manifests: Option<Vec<Entry<'l>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Entry<'l>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'l BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'l> {
    media_type: &'l str,
    size: u64,
    digest: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Shown<'l>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'l str, &'l str>,
}

#[derive(Serialize)]
struct Shown<'l> {
    architecture: &'l str,
    os: &'l str,
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    os_version: Option<&'l str>,
    #[serde(rename = "os.features", skip_serializing_if = "<[_]>::is_empty")]
    os_features: &'l [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'l str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    features: &'l [String],
}

/// Prints a list.
pub(super) fn list(raw: &RawManifest) -> Result<()> {
    let Manifest::Index(index) = raw.parse()? else {
        anyhow::bail!("manifest is of type {} (not a list type)", raw.media_type());
    };
    let mut output = Output::stdout();
    output.json(&shown(&index), JsonStyle::indented(4))?;
    Ok(output.finish()?)
}

fn shown(index: &Index) -> List<'_> {
    List {
        schema_version: 2,
        media_type: "application/vnd.docker.distribution.manifest.list.v2+json",
        // As Go prints a list that was never made.
        manifests: (!index.manifests.is_empty())
            .then(|| index.manifests.iter().map(entry).collect()),
        subject: index.subject.as_ref().map(entry),
        annotations: &index.annotations,
    }
}

fn entry(descriptor: &Descriptor) -> Entry<'_> {
    Entry {
        media_type: descriptor.media_type.as_str(),
        size: descriptor.size,
        digest: descriptor.digest.as_str(),
        platform: descriptor.platform.as_ref().map(platform),
        annotations: descriptor
            .annotations
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect(),
    }
}

fn platform(platform: &Platform) -> Shown<'_> {
    Shown {
        architecture: &platform.architecture,
        os: &platform.os,
        os_version: platform.os_version.as_deref(),
        os_features: &platform.os_features,
        variant: platform.variant.as_deref(),
        features: &platform.features,
    }
}
