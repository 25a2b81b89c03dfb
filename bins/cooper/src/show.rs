//! Data as a table, or as the user wants it.

use std::io::IsTerminal as _;

use anyhow::Result;
use cask_program::output;
use cask_terminal::table::{Layout, align};
use cask_terminal::template::{Format, Headers, Origin};
use cask_terminal::value::Value;
use serde::Serialize;

/// How buildah aligns columns.
///
/// Source: containers/common, `pkg/formats`, `StdoutTemplateArray`.
pub(crate) const LAYOUT: Layout = Layout { minimum_width: 0, padding: 3 };

/// Prints rows through a template, in columns where it has spaces; `table` at its beginning gives
/// them headers.
pub(crate) fn rows(
    command: &str,
    template: &str,
    headers: &[(&'static str, &'static str)],
    rows: &[impl Serialize],
) -> Result<()> {
    let headers = Headers::new(headers.iter().copied());
    let values = Value::of(rows)?;
    if template.starts_with("table ") {
        let format = Format::parse(command, template, Origin::List)?.with_layout(LAYOUT);
        return output::bytes(&format.render(Some(&headers), &values)?);
    }
    let format = Format::parse(command, &template.replace(' ', "\t"), Origin::List)?;
    output::bytes(&align(&format.render(None, &values)?, LAYOUT))
}

/// Prints a value through a template. Only a terminal gets the end of a line behind it, as with
/// buildah.
pub(crate) fn value(command: &str, template: &str, value: &impl Serialize) -> Result<()> {
    let format = Format::parse(command, template, Origin::Value)?;
    let mut text = format.render(None, &Value::of(value)?)?;
    if text.ends_with(b"\n") {
        text.pop();
    }
    if std::io::stdout().is_terminal() {
        text.push(b'\n');
    }
    output::bytes(&text)
}
