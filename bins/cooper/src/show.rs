//! Data as a table, or as the user wants it.

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
