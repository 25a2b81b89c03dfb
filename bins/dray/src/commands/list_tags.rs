//! `dray list-tags`

use anyhow::{Result, bail};
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
             oci, oci-archive",
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
            _ => tags.extend(entry.names),
        }
    }
    cask_program::output::json(&Listed { repository, tags })?;
    Ok(())
}

/// The repository of a registry whose tags are listed; the words are skopeo's.
fn repository(text: &str, place: &dyn Location) -> Result<Option<String>> {
    let Some(reference) = place.reference().filter(|_| place.scheme() == "docker") else {
        return Ok(None);
    };
    let bare = reference.repository().familiar();
    let last = text.rsplit('/').next().unwrap_or(text);
    if last.contains([':', '@']) && !text.ends_with(bare) {
        bail!("Error parsing reference: No tag or digest allowed in reference");
    }
    Ok(Some(reference.name().to_owned()))
}
