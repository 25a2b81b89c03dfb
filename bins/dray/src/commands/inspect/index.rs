//! A list as its table.

use anyhow::Result;
use cask::copy::Inspected;
use cask::image::{Descriptor, Index};
use cask_terminal::table::{Layout, Table};
use serde::Serialize;

use super::show::show as print;

#[derive(Serialize)]
#[serde(rename = "dray.Entry")]
struct Entry {
    #[serde(rename = "Platform")]
    platform: String,
    #[serde(rename = "Kind")]
    kind: &'static str,
    #[serde(rename = "Digest")]
    digest: String,
    #[serde(rename = "Size")]
    size: u64,
    #[serde(rename = "MediaType")]
    media_type: String,
}

#[derive(Serialize)]
#[serde(rename = "dray.Index")]
struct Listed {
    #[serde(rename = "Digest")]
    digest: String,
    #[serde(rename = "MediaType")]
    media_type: String,
    #[serde(rename = "Manifests")]
    manifests: Vec<Entry>,
}

/// Shows a list: as a table, or through a template.
pub(crate) fn show(inspected: &Inspected, index: &Index, template: Option<&str>) -> Result<()> {
    let listed = Listed {
        digest: inspected.top().digest().to_string(),
        media_type: inspected.top().media_type().to_string(),
        manifests: index.manifests.iter().map(entry).collect(),
    };
    if template.is_some() {
        return print(&listed, template);
    }
    let mut table = Table::new(["PLATFORM", "KIND", "DIGEST", "SIZE"]);
    for entry in listed.manifests {
        table.row([entry.platform, entry.kind.into(), entry.digest, entry.size.to_string()]);
    }
    cask_program::output::bytes(table.render(Layout::PODMAN).as_bytes())?;
    Ok(())
}

fn entry(descriptor: &Descriptor) -> Entry {
    let kind = if descriptor.is_attestation() {
        "attestation"
    } else if descriptor.media_type.is_index() {
        "index"
    } else if descriptor.media_type.is_image_manifest() {
        "image"
    } else {
        "blob"
    };
    Entry {
        platform: descriptor.platform.as_ref().map(ToString::to_string).unwrap_or_default(),
        kind,
        digest: descriptor.digest.to_string(),
        size: descriptor.size,
        media_type: descriptor.media_type.to_string(),
    }
}
