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

/// A document of JSON as it is, in lines: the order of its fields stays.
pub(crate) fn indented(json: &[u8]) -> String {
    let text = String::from_utf8_lossy(json);
    let mut out = String::with_capacity(text.len() * 2);
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"    ".repeat(depth));
    };
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if in_text {
            out.push(c);
            in_text = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            ' ' | '\t' | '\r' | '\n' => {}
            '{' | '[' => {
                out.push(c);
                while chars.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                match chars.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => out.push(end),
                    None => {
                        depth += 1;
                        line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => {
                in_text = c == '"';
                out.push(c);
            }
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_keep_the_order_of_their_fields() {
        fn check(json: &str, expected: &str) {
            assert_eq!(indented(json.as_bytes()), format!("{expected}\n"), "{json}");
        }
        check("{}", "{}");
        check("[ ]", "[]");
        check(r#"{"b":1, "a":[true]}"#, "{\n    \"b\": 1,\n    \"a\": [\n        true\n    ]\n}");
        check(r#"{"t":"a\"{,:}\\"}"#, "{\n    \"t\": \"a\\\"{,:}\\\\\"\n}");
    }
}
