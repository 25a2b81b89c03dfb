//! Data as a table, as JSON, or as the user wants it.

use anyhow::Result;
use cask_program::output;
use cask_terminal::output::Output;
use cask_terminal::table::{Layout, align};
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

/// The usual table of a list, line by line: what its template would say of the rows, several times sooner.
pub(crate) struct Lines {
    text: String,
}

impl Lines {
    /// Begins with a line of headings, unless there shall be none.
    pub(crate) fn new(headings: &[&str], none: bool) -> Self {
        let mut lines = Self { text: String::new() };
        if !none {
            lines.row(headings);
        }
        lines
    }

    /// Adds a row. As in a template, nobody looks at what is in a cell.
    pub(crate) fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        for (position, cell) in cells.into_iter().enumerate() {
            if position > 0 {
                self.text.push('\t');
            }
            self.text.push_str(cell.as_ref());
        }
        self.text.push('\n');
    }

    /// Prints the table.
    pub(crate) fn print(&self) -> Result<()> {
        output::bytes(&align(self.text.as_bytes(), Layout::PODMAN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_a_template_says() {
        let titles = ["CONTAINER ID", "COMMAND", "NAMES"];
        let cells = [["0123", "sh -c a\tb\n", "one"], ["4567", "", "two"], ["89", "é", ""]];
        let row = |[id, command, name]: [&str; 3]| serde_json::json!({ "ID": id, "Command": command, "Names": name });
        let rows = Value::of(&cells.map(row)).unwrap();
        let headers = Headers::from_fields(["ID", "Command", "Names"], &[("ID", "CONTAINER ID")]);
        let usual = "table {{.ID}}\t{{.Command}}\t{{.Names}}";
        let format = Format::parse("ps", usual, Origin::List).unwrap();
        for none in [false, true] {
            let mut lines = Lines::new(&titles, none);
            cells.iter().for_each(|cells| lines.row(cells));
            let expected = format.render((!none).then_some(&headers), &rows).unwrap();
            assert_eq!(align(lines.text.as_bytes(), Layout::PODMAN), expected);
        }
    }
}
