//! `dray referrers`

use anyhow::{Result, bail};
use cask::image::Descriptor;
use cask_program::output;
use cask_terminal::table::{Layout, Table};
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::options::place::PlaceArguments;

/// List what refers to an image: signatures, attestations and the like
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image, as TRANSPORT:DETAILS
    image: String,
    /// List those of this type only
    #[arg(long, value_name = "TYPE")]
    artifact_type: Option<String>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArguments,
}

#[derive(Serialize)]
struct Listed {
    #[serde(rename = "Subject")]
    subject: String,
    #[serde(rename = "Referrers")]
    referrers: Vec<Referrer>,
}

#[derive(Serialize)]
struct Referrer {
    #[serde(rename = "ArtifactType")]
    artifact_type: String,
    #[serde(rename = "Digest")]
    digest: String,
    #[serde(rename = "Size")]
    size: u64,
    #[serde(rename = "MediaType")]
    media_type: String,
}

/// Lists.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<()> {
    let image = context.image(&arguments.image, &context.transports_of(&arguments.place).await?)?;
    if !image.capabilities().referrers {
        bail!("Listing referrers not implemented for {}: images: they keep none", image.scheme());
    }
    cask::copy::check_policy(&*context.policy()?, &*image, context.global.require_signed)?;
    let source = image.source().await?;
    let subject = source.look_up().await?.digest;
    let all = source.referrers(&subject).await?;
    let is_wanted = |referrer: &Referrer| {
        arguments.artifact_type.as_ref().is_none_or(|wanted| *wanted == referrer.artifact_type)
    };
    let referrers = all.iter().map(referrer).filter(is_wanted).collect();
    if arguments.json {
        return output::json(&Listed { subject: subject.to_string(), referrers });
    }
    let mut table = Table::new(["ARTIFACT TYPE", "DIGEST", "SIZE"]);
    for Referrer { artifact_type, digest, size, .. } in referrers {
        table.row([artifact_type, digest, size.to_string()]);
    }
    output::bytes(table.render(Layout::PODMAN).as_bytes())
}

fn referrer(descriptor: &Descriptor) -> Referrer {
    Referrer {
        artifact_type: descriptor
            .artifact_type
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        digest: descriptor.digest.to_string(),
        size: descriptor.size,
        media_type: descriptor.media_type.to_string(),
    }
}
