//! What commands have to know of the one place that they are about.

use std::path::PathBuf;

use cask_program::access::OneArguments;
use clap::Args;

/// How the place of an image is reached.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PlaceArguments {
    /// Where layouts share their blobs
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) shared_blob_dir: Option<PathBuf>,
    /// Use Docker's daemon here [default: unix:///var/run/docker.sock]
    #[arg(long, value_name = "HOST")]
    pub(crate) daemon_host: Option<String>,
    #[command(flatten)]
    pub(crate) access: OneArguments,
}
