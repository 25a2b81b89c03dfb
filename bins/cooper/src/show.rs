//! Data as a table, or as the user wants it.

use anyhow::Result;
use cask_program::output;
use cask_terminal::table::Layout;
use cask_terminal::template::{Format, Headers, Origin};
use cask_terminal::value::Value;
use serde::Serialize;

/// How buildah aligns columns.
///
/// Source: containers/common, `pkg/formats`, `StdoutTemplateArray`.
pub(crate) const LAYOUT: Layout = Layout { minimum_width: 0, padding: 3 };

/// Prints rows through a template; `table` at its beginning gives columns with headers.
pub(crate) fn rows(
    command: &str,
    template: &str,
    headers: &[(&'static str, &'static str)],
    rows: &[impl Serialize],
) -> Result<()> {
    let headers = Headers::new(headers.iter().copied());
    let format = Format::parse(command, template, Origin::List)?.with_layout(LAYOUT);
    output::bytes(&format.render(Some(&headers), &Value::of(rows)?)?)
}
