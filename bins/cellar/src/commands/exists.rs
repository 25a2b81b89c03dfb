//! `cellar image exists`

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::context::Context;
use crate::run::is_not_known;

/// Say by the exit code whether an image is in the store: 0 if it is, 1 if not
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image: a name, or an ID
    image: String,
}

/// Looks.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode> {
    match context.images()?.find(&arguments.image) {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) if is_not_known(&error) => Ok(ExitCode::FAILURE),
        Err(error) => Err(error.into()),
    }
}
