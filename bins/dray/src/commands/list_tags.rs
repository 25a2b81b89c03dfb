//! `dray list-tags`

use anyhow::{Result, bail};
use clap::Args;
use futures_util::TryStreamExt as _;
use serde::Serialize;

use crate::context::Context;

/// List the names of the images in a place
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The place, as TRANSPORT:DETAILS
    source_image: String,
}

#[derive(Serialize)]
struct Listed {
    #[serde(rename = "Tags")]
    tags: Vec<String>,
}

/// Lists.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    let place = context.image(&arguments.source_image, &context.transports())?;
    if !place.capabilities().collection.list {
        bail!(
            "Unsupported transport '{}' for tag listing. Only supported: docker-archive, oci, \
             oci-archive",
            place.scheme()
        );
    }
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
    crate::output::json(&Listed { tags })?;
    Ok(())
}
