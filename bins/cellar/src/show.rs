//! Data as a table, as JSON, or as the user wants it.

use anyhow::Result;
use cask_program::output;
use cask_terminal::output::Output;
use cask_terminal::template::{Format, Headers, Origin};
use cask_terminal::value::{JsonStyle, Value};
use serde::Serialize;

/// Prints data as JSON, indented as podman's commands do.
pub(crate) fn json(data: &(impl Serialize + ?Sized), style: JsonStyle) -> Result<()> {
    let mut output = Output::stdout();
    output.json(data, style)?;
    Ok(output.finish()?)
}

/// Prints rows through a template: the user's, or else a table.
pub(crate) fn rows(
    command: &str,
    (template, origin): (&str, Origin),
    headers: Option<&Headers>,
    rows: &[impl Serialize],
) -> Result<()> {
    let format = Format::parse(command, template, origin)?;
    output::bytes(&format.render(headers, &Value::of(rows)?)?)
}
