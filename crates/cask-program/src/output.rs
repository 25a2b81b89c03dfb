//! Data for standard output.

use anyhow::Result;
use cask_terminal::output::Output;
use cask_terminal::value::JsonStyle;
use serde::Serialize;

/// Prints bytes as they are.
pub fn bytes(bytes: &[u8]) -> Result<()> {
    let mut output = Output::stdout();
    output.bytes(bytes)?;
    Ok(output.finish()?)
}

/// Prints a line.
pub fn line(text: &str) -> Result<()> {
    bytes(format!("{text}\n").as_bytes())
}

/// Prints data as JSON, as skopeo indents it.
pub fn json(data: &impl Serialize) -> Result<()> {
    let mut output = Output::stdout();
    output.json(data, JsonStyle::pretty())?;
    Ok(output.finish()?)
}
