//! Shows what an image says of itself. Its layers are not read.
//!
//! `cargo run -p examples --example inspect_image -- oci:layout:app`

use std::error::Error;
use std::fmt::Write as _;

use cask::copy::{Description, inspect};
use cask::image::PlatformWanted;
use cask::trust::Policy;

/// A few lines about an image.
pub async fn inspect_image(image: &str) -> Result<String, Box<dyn Error>> {
    let transports = cask::transports(&cask::TransportOptions::default());
    let location = transports.parse(image)?;
    let inspected = inspect(&*location, &Policy::danger_accept_anything(), false).await?;

    let mut text = format!("{} {}\n", inspected.top().media_type(), inspected.top().digest());
    // Of an index, the image for this machine.
    match inspected.describe_for(&PlatformWanted::of_this_build()).await? {
        Description::Image { manifest, config, .. } => {
            writeln!(text, "{} with {} layers", config.platform(), manifest.layers.len())?;
            if let Some(command) = &config.config.cmd {
                writeln!(text, "runs {command:?}")?;
            }
        }
        Description::Artifact(artifact) => {
            writeln!(text, "an artifact of {} blobs", artifact.layers.len())?;
        }
        other => writeln!(text, "{other:?}")?,
    }
    Ok(text)
}

#[tokio::main]
#[allow(dead_code, reason = "the tests call the function above")]
#[allow(clippy::print_stdout, reason = "an example may print")]
async fn main() -> Result<(), Box<dyn Error>> {
    let image = std::env::args().nth(1).ok_or("usage: inspect_image TRANSPORT:DETAILS")?;
    print!("{}", inspect_image(&image).await?);
    Ok(())
}
