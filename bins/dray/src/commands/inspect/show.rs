//! As JSON, or as the user wants it.

use anyhow::Result;
use cask_program::output;
use cask_terminal::template::{Format, Origin, is_json_format};
use cask_terminal::value::Value;
use serde::Serialize;

/// Prints as JSON, or through a template.
pub(super) fn show(data: &impl Serialize, template: Option<&str>) -> Result<()> {
    let Some(template) = template.filter(|template| !is_json_format(template)) else {
        return output::json(data);
    };
    // As skopeo does: a list of one, so that a template may have a range, and need not.
    let format = Format::parse("skopeo inspect", template, Origin::List)?;
    output::bytes(&format.render(None, &Value::list([Value::of(data)?]))?)
}
