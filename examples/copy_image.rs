//! Copies an image from one place to another.
//!
//! `cargo run -p examples --example copy_image -- docker-archive:app.tar oci:layout:app`

use std::error::Error;
use std::sync::Arc;

use cask::copy::{CopyOptions, copy};
use cask::image::PlatformWanted;
use cask::trust::Policy;

/// Copies, and tells the digest of what was written.
pub async fn copy_image(from: &str, to: &str) -> Result<String, Box<dyn Error>> {
    let transports = cask::transports(&cask::TransportOptions::default());
    let from = transports.parse(from)?;
    let to = transports.parse(to)?;

    // A program that runs images reads the policy of its user instead.
    let policy = Arc::new(Policy::danger_accept_anything());
    let options = CopyOptions::new(policy, PlatformWanted::of_this_build());

    let report = copy(&*from, &*to, &options).await?;
    Ok(report.manifest.digest().to_string())
}

#[tokio::main]
#[allow(dead_code, reason = "the tests call the function above")]
#[allow(clippy::print_stdout, reason = "an example may print")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("usage: copy_image FROM TO, each as TRANSPORT:DETAILS".into());
    };
    println!("{}", copy_image(&from, &to).await?);
    Ok(())
}
