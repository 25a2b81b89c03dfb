//! Lists the images of a layout or an archive.
//!
//! `cargo run -p examples --example list_images -- oci:layout`

use std::error::Error;

use futures_util::TryStreamExt as _;

/// The names in a place, and the digests that they stand for where the place tells.
pub async fn list_images(place: &str) -> Result<Vec<(String, Option<String>)>, Box<dyn Error>> {
    let transports = cask::transports(&cask::TransportOptions::default());
    let location = transports.parse(place)?;

    // What a place cannot do is known before it is tried.
    if !location.capabilities().collection.list {
        return Err(format!("{location} holds one image").into());
    }
    let collection = location.collection().await?;
    let mut images = Vec::new();
    let mut entries = collection.entries();
    while let Some(entry) = entries.try_next().await? {
        let digest = entry.descriptor.map(|descriptor| descriptor.digest.to_string());
        images.extend(entry.names.into_iter().map(|name| (name, digest.clone())));
    }
    Ok(images)
}

#[tokio::main]
#[allow(dead_code, reason = "the tests call the function above")]
#[allow(clippy::print_stdout, reason = "an example may print")]
async fn main() -> Result<(), Box<dyn Error>> {
    let place = std::env::args().nth(1).ok_or("usage: list_images TRANSPORT:DETAILS")?;
    for (name, digest) in list_images(&place).await? {
        println!("{name} {}", digest.unwrap_or_default());
    }
    Ok(())
}
