//! `dray list-tags`

use anyhow::{Result, bail};
use cask::copy::name_within;
use cask::transport::Location;
use clap::Args;
use futures_util::TryStreamExt as _;
use serde::Serialize;

use crate::context::Context;
use crate::options::place::PlaceArguments;

/// List the names of the images in a place
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The place, as TRANSPORT:DETAILS
    source_image: String,
    #[command(flatten)]
    place: PlaceArguments,
}

#[derive(Serialize)]
struct Listed {
    #[serde(rename = "Repository", skip_serializing_if = "Option::is_none")]
    repository: Option<String>,
    #[serde(rename = "Tags")]
    tags: Vec<String>,
}

/// Lists.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    let place =
        context.image(&arguments.source_image, &context.transports_of(&arguments.place).await?)?;
    if !place.capabilities().collection.list {
        bail!(
            "Unsupported transport '{}' for tag listing. Only supported: docker, docker-archive, \
             oci, oci-archive, containers-storage",
            place.scheme()
        );
    }
    let repository = repository(&arguments.source_image, &*place)?;
    let collection = place.collection().await?;
    let mut entries = collection.entries();
    let mut tags = Vec::new();
    while let Some(entry) = entries.try_next().await? {
        match entry.position {
            // An image without a name is shown by the place it can be had at.
            Some(position) if entry.names.is_empty() => tags.push(format!("@{position}")),
            _ => {
                let within = entry.names.iter().filter_map(|name| name_within(&*place, name));
                tags.extend(within.map(str::to_owned));
            }
        }
    }
    cask_program::output::json(&Listed { repository, tags })?;
    Ok(())
}

/// The repository whose tags are listed, where the place is one; the words are skopeo's.
fn repository(text: &str, place: &dyn Location) -> Result<Option<String>> {
    let is_repository = matches!(place.scheme(), "docker" | "containers-storage");
    let Some(reference) = place.reference().filter(|_| is_repository) else { return Ok(None) };
    let bare = reference.repository().familiar();
    let last = text.rsplit('/').next().unwrap_or(text);
    if last.contains([':', '@']) && !text.ends_with(bare) {
        bail!("Error parsing reference: No tag or digest allowed in reference");
    }
    Ok(Some(reference.name().to_owned()))
}
