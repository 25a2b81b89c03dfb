//! The `--format` option: what users may write, before it is a template.

use super::error::{ExecutionError, ParseError};
use super::execute::Template;
use crate::table::{Layout, align};
use crate::value::{Repr, Value};

/// Who wrote a format, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A user, for one value: `{{.Host.Arch}}`.
    Value,
    /// A user, for a list. What says no `{{range .}}` of its own gets one around it.
    List,
    /// The program itself, for a list: columns are aligned and have headers.
    Program,
}

/// The text of a `--format` option as podman, buildah and skopeo understand it.
///
/// - `\t` and `\n` typed as two characters become a tab and a newline, where the template is still
///   one after that; a newline is added at the end.
/// - `table ` at the start asks for aligned columns with headers; spaces then separate columns, and
///   the rest is applied to each row.
/// - `json` asks for JSON: see [`is_json_format`].
///
/// ```
/// use cask_terminal::template::{Format, Headers, Origin};
/// use cask_terminal::value::Value;
///
/// let rows = Value::of(&serde_json::json!([
///     {"ID": "8d4e0f5a2c1b", "Size": "1.24 MB"},
///     {"ID": "ffe1c2b3a4d5", "Size": "80 MB"},
/// ]))?;
/// let headers = Headers::new([("ID", "IMAGE ID"), ("Size", "SIZE")]);
/// let format = Format::parse("images", "table {{.ID}} {{.Size}}", Origin::List)?;
/// assert_eq!(
///     String::from_utf8(format.render(Some(&headers), &rows)?)?,
///     "IMAGE ID      SIZE\n8d4e0f5a2c1b  1.24 MB\nffe1c2b3a4d5  80 MB\n"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: `report.Formatter` of containers/common.
#[derive(Debug)]
pub struct Format {
    template: Template,
    layout: Option<Layout>,
}

impl Format {
    /// Parses the text of the option; errors call it `name`, which is the command's name.
    ///
    /// # Errors
    ///
    /// [`ParseError`], if neither the text with `\t` and `\n` replaced nor the text as it is makes
    /// a template.
    pub fn parse(name: &str, text: &str, origin: Origin) -> Result<Self, ParseError> {
        let (layout, replaced, plain) = match text.strip_prefix("table ") {
            Some(columns) => {
                let replaced = normalized(columns, true);
                (Some(Layout::PODMAN), in_range(&replaced), in_range(columns))
            }
            None => {
                let replaced = normalized(text, false);
                let plain = text.to_owned();
                match origin {
                    Origin::Value => (None, replaced, plain),
                    Origin::Program => (Some(Layout::PODMAN), replaced, plain),
                    Origin::List => (None, with_range(replaced), with_range(plain)),
                }
            }
        };
        // In `{{printf "\n"}}` the backslash has to stay.
        let template = Template::parse(name, &replaced).or_else(|_| Template::parse(name, &plain));
        Ok(Self { template: template?, layout })
    }

    /// Sets how columns are aligned, if they are; [`Layout::PODMAN`] unless told.
    #[must_use]
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = self.layout.map(|_| layout);
        self
    }

    /// Whether the output is a table, which has headers unless the user refused them.
    #[must_use]
    pub fn is_table(&self) -> bool {
        self.layout.is_some()
    }

    /// Applies the format; headers appear only in a table.
    ///
    /// # Errors
    ///
    /// [`ExecutionError`], as [`Template::render`].
    pub fn render(
        &self,
        headers: Option<&Headers>,
        data: &Value,
    ) -> Result<Vec<u8>, ExecutionError> {
        let mut out = Vec::new();
        let Some(layout) = self.layout else {
            self.template.render_into(data, &mut out)?;
            return Ok(out);
        };
        if let Some(headers) = headers {
            self.template.render_into(&headers.row, &mut out)?;
        }
        self.template.render_into(data, &mut out)?;
        Ok(align(&out, layout))
    }
}

/// Whether the text of a `--format` option asks for JSON: `json`, `{{json}}` or `{{json .}}`.
///
/// Source: `report.IsJSON`.
#[must_use]
pub fn is_json_format(text: &str) -> bool {
    let text = text.trim();
    let inner = text.strip_prefix("{{").and_then(|text| text.strip_suffix("}}"));
    match inner.map(str::trim) {
        Some(inner) => {
            inner.strip_prefix("json").is_some_and(|rest| matches!(rest.trim(), "" | "."))
        }
        None => text == "json",
    }
}

/// Replaces `\t` and `\n`, in a table also spaces by tabs, and ends with a newline.
fn normalized(text: &str, table: bool) -> String {
    let mut text = text.replace("\\t", "\t").replace("\\n", "\n");
    if table {
        text = text.replace("table ", "").replace(' ', "\t");
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn in_range(text: &str) -> String {
    format!("{{{{range .}}}}{text}{{{{end -}}}}")
}

fn with_range(text: String) -> String {
    if ranges_over_dot(&text) { text } else { in_range(&text) }
}

/// Whether there is a `{{range .}}` with an `{{end}}` somewhere after it.
fn ranges_over_dot(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        rest = &rest[at + 2..];
        let opening = rest.trim_start().strip_prefix("range").map(str::trim_start);
        let dot = opening.and_then(|rest| rest.strip_prefix('.')).map(str::trim_start);
        if let Some(body) = dot.and_then(|rest| rest.strip_prefix("}}")) {
            return has_end(body);
        }
    }
    false
}

fn has_end(text: &str) -> bool {
    text.split("{{").skip(1).any(|action| {
        let rest = action.trim_start().strip_prefix("end").map(str::trim_start);
        let rest = rest.map(|rest| rest.strip_prefix('-').unwrap_or(rest).trim_start());
        rest.is_some_and(|rest| rest.starts_with("}}"))
    })
}

/// The names above the columns: a row of its own that the same template is applied to.
#[derive(Debug, Clone)]
pub struct Headers {
    row: Value,
}

impl Headers {
    /// Takes field names and the text above each.
    #[must_use]
    pub fn new<'a>(columns: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let columns = columns.into_iter();
        let row = Value::map(columns.map(|(field, title)| (field, Value::string(title))));
        Self { row: Value::list([row]) }
    }

    /// Takes field names, and titles for those whose own name will not do; the others become their
    /// words in capitals: `ImageID` is `IMAGE ID`.
    ///
    /// Source: `report.Headers`.
    #[must_use]
    pub fn from_fields<'a>(
        fields: impl IntoIterator<Item = &'a str>,
        titles: &[(&'a str, &'a str)],
    ) -> Self {
        let own = fields.into_iter().map(|field| (field, words(field).to_uppercase()));
        let given = titles.iter().map(|(field, title)| (*field, title.to_uppercase()));
        let columns = own.chain(given);
        let row = Value::map(columns.map(|(field, title)| (field, Value::string(&title))));
        Self { row: Value::list([row]) }
    }

    /// Adds titles for the fields of a field: `{{.Namespaces.NET}}`.
    #[must_use]
    pub fn with_group(self, field: &str, columns: &[(&str, &str)]) -> Self {
        let group = columns.iter().map(|(field, title)| (*field, Value::string(title)));
        let group = Value::map(group);
        let Repr::List(rows) = &self.row.0 else { return self };
        let row = rows.iter().flat_map(|row| match &row.0 {
            Repr::Map(entries) => entries.to_vec(),
            _ => Vec::new(),
        });
        let row = row.chain([(Value::string(field), group)]).collect();
        Self { row: Value::list([Value::sorted_map(row)]) }
    }
}

/// Splits at changes of case and at digits: `GL11Version` is `GL 11 Version`.
fn words(name: &str) -> String {
    let kind = |symbol: char| match symbol {
        _ if symbol.is_lowercase() => 0,
        _ if symbol.is_uppercase() => 1,
        _ if symbol.is_numeric() => 2,
        _ => 3,
    };
    let symbols: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (position, symbol) in symbols.iter().enumerate() {
        let before = position.checked_sub(1).map(|at| kind(symbols[at]));
        let after = symbols.get(position + 1).map(|next| kind(*next));
        let boundary = match (before, kind(*symbol)) {
            // The last capital of several begins the word that follows in small letters.
            (Some(1), 1) => after == Some(0),
            (Some(1), 0) | (None, _) => false,
            (Some(before), here) => before != here,
        };
        if boundary {
            out.push(' ');
        }
        out.push(*symbol);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_asked_for_in_several_ways() {
        let check = |text: &str, expected: bool| {
            assert_eq!(is_json_format(text), expected, "{text}");
        };
        check("json", true);
        check(" json\n", true);
        check("{{json}}", true);
        check("{{ json. }}", true);
        check("{{json .}}", true);
        check("{{json .ID}}", false);
        check("json .", false);
        check("", false);
    }

    #[test]
    fn a_list_is_ranged_over_once() {
        let check = |text: &str, expected: bool| {
            assert_eq!(ranges_over_dot(text), expected, "{text}");
        };
        check("{{range .}}{{.ID}}{{end}}", true);
        check("x{{ range . }}\n{{ end - }}", true);
        check("{{range .}}{{end -}}", true);
        check("{{range .Names}}{{end}}", false);
        check("{{range .}}", false);
        check("{{end}}{{range .}}", false);
        check("{{.ID}}", false);
    }

    #[test]
    fn headers_come_from_the_names_of_fields() {
        let check = |name: &str, expected: &str| assert_eq!(words(name), expected);
        check("", "");
        check("ID", "ID");
        check("ImageID", "Image ID");
        check("CreatedAt", "Created At");
        check("PDFLoader", "PDF Loader");
        check("GL11Version", "GL 11 Version");
        check("lower", "lower");
    }

    #[test]
    fn fields_of_fields_have_titles() {
        let rows = Value::of(&serde_json::json!([{"ID": "a", "Spaces": {"NET": "1"}}])).unwrap();
        let headers = Headers::new([("ID", "ID")]).with_group("Spaces", &[("NET", "NETWORK")]);
        let format = Format::parse("list", "table {{.ID}} {{.Spaces.NET}}", Origin::List).unwrap();
        let out = String::from_utf8(format.render(Some(&headers), &rows).unwrap()).unwrap();
        assert_eq!(out, "ID          NETWORK\na           1\n");
    }

    #[test]
    fn formats_are_applied_as_podman_applies_them() {
        let rows = Value::of(&serde_json::json!([{"ID": "a", "N": 1}, {"ID": "bb", "N": 22}]));
        let rows = rows.unwrap();
        let headers = Headers::from_fields(["ID", "N"], &[("N", "count")]);
        let check = |text: &str, origin: Origin, expected: &str| {
            let format = Format::parse("list", text, origin).unwrap();
            let out = format.render(Some(&headers), &rows).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{text}");
        };
        check("{{.ID}}", Origin::List, "a\nbb\n");
        check(r"{{.ID}}\t{{.N}}", Origin::List, "a\t1\nbb\t22\n");
        check(r#"{{.ID}}{{printf "\n"}}"#, Origin::List, "a\nbb\n");
        check("{{range .}}{{.ID}},{{end}}", Origin::List, "a,bb,\n");
        check("{{range .}}{{.ID}},{{end -}}", Origin::List, "a,bb,");
        check("{{len .}}", Origin::Value, "2\n");
        check(
            "table {{.ID}} {{.N}}",
            Origin::List,
            "ID          COUNT\na           1\nbb          22\n",
        );
        check(
            "{{range .}}{{.ID}}\t{{.N}}\n{{end -}}",
            Origin::Program,
            "ID          COUNT\na           1\nbb          22\n",
        );
        check("table {{.Missing}}", Origin::List, "<no value>\n<no value>\n<no value>\n");
    }
}
