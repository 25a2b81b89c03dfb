//! Interim.
use cask_terminal::value::{JsonStyle, Value, to_json};
use std::io::{self, Write as _};

pub(crate) fn bytes(bytes: &[u8]) -> io::Result<()> {
    io::stdout().write_all(bytes)
}
pub(crate) fn line(text: &str) -> io::Result<()> {
    bytes(text.as_bytes())?;
    bytes(b"\n")
}
pub(crate) fn json(data: &impl serde::Serialize) -> anyhow::Result<()> {
    Ok(line(&to_json(&Value::of(data)?, JsonStyle::pretty()))?)
}
