//! Diagnostics for people and for programs.

use std::fmt::Write as _;

use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::json::quote;
use crate::lint::Rule;
use crate::span::{Lines, Span};

/// A file whose diagnostics are rendered.
#[derive(Clone, Copy, Debug)]
pub struct RenderedFile<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its text.
    pub source: &'a str,
    /// What was found in it.
    pub diagnostics: &'a [Diagnostic],
}

/// The most characters of a line that are shown.
const WIDTH: usize = 160;

/// Renders diagnostics for people: the message, the place, the line with carets under the span,
/// the notes and what to do. Without colours; ends with a line end unless there are none.
///
/// Control characters of the source are shown as `�`.
///
/// ```
/// use cask_containerfile::{RenderedFile, parse, render_text};
///
/// let source = "FROM alpine\nCPOY a b\n";
/// let diagnostics = parse(source).diagnostics;
/// let text = render_text(&RenderedFile { name: "Containerfile", source, diagnostics: &diagnostics });
/// assert_eq!(text, "\
/// error[unknown-instruction]: unknown instruction: CPOY (did you mean COPY?)
///  --> Containerfile:2:1
///   |
/// 2 | CPOY a b
///   | ^^^^
/// ");
/// ```
#[must_use]
pub fn render_text(file: &RenderedFile<'_>) -> String {
    let lines = Lines::new(file.source);
    let mut text = String::new();
    for (index, diagnostic) in file.diagnostics.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        let severity = diagnostic.severity.as_str();
        let _ =
            writeln!(text, "{severity}[{}]: {}", diagnostic.code, printable(&diagnostic.message));
        let last = diagnostic.notes.iter().filter_map(|note| note.span);
        let last = last.chain([diagnostic.span]).map(|span| lines.line(span.start())).max();
        let gutter = last.unwrap_or(1).to_string().len();
        excerpt(&mut text, file, &lines, diagnostic.span, gutter, true);
        for note in &diagnostic.notes {
            let _ = writeln!(text, "{:gutter$} = note: {}", "", printable(&note.message));
            if let Some(span) = note.span {
                excerpt(&mut text, file, &lines, span, gutter, false);
            }
        }
        if let Some(help) = &diagnostic.help {
            let _ = writeln!(text, "{:gutter$} = help: {}", "", printable(help));
        }
    }
    text
}

/// Renders a place and its line with carets under it, as [`render_text`] does below a message: for
/// errors that are no diagnostics.
///
/// ```
/// use cask_containerfile::{Span, render_excerpt};
///
/// let text = render_excerpt("Containerfile", "FROM a\nRUN exit 3\n", Span::new(7, 17));
/// let lines = [" --> Containerfile:2:1", "  |", "2 | RUN exit 3", "  | ^^^^^^^^^^", ""];
/// assert_eq!(text, lines.join("\n"));
/// ```
#[must_use]
pub fn render_excerpt(name: &str, source: &str, span: Span) -> String {
    let lines = Lines::new(source);
    let gutter = lines.line(span.start()).to_string().len();
    let mut text = String::new();
    let file = RenderedFile { name, source, diagnostics: &[] };
    excerpt(&mut text, &file, &lines, span, gutter, true);
    text
}

/// The line of a span, with carets under it; a span of several lines is marked on its first.
fn excerpt(
    text: &mut String,
    file: &RenderedFile<'_>,
    lines: &Lines,
    span: Span,
    gutter: usize,
    is_main: bool,
) {
    let position = lines.position(file.source, span.start());
    let (line, column) = (position.line, position.column);
    let name = printable(file.name);
    let arrow = if is_main { "-->" } else { ":::" };
    let _ = writeln!(text, "{:gutter$}{arrow} {name}:{line}:{column}", "");
    let whole = lines.text(file.source, line);
    let whole = whole.strip_prefix('\u{feff}').unwrap_or(whole);
    // Of a long line, what is around the span.
    let skipped = if column > WIDTH / 2 { column - 1 - WIDTH / 4 } else { 0 };
    let shown: String = whole.chars().skip(skipped).take(WIDTH).collect();
    let before: String = shown.chars().take(column - 1 - skipped).map(blank).collect();
    let marked = file.source.get(span.range()).unwrap_or_default();
    let marked = marked.split(['\n', '\r']).next().unwrap_or_default().chars().count();
    let room = shown.chars().count().saturating_sub(column - 1 - skipped);
    let carets = if is_main { "^" } else { "-" }.repeat(marked.min(room).max(1));
    let _ = writeln!(text, "{:gutter$} |", "");
    let _ = writeln!(text, "{line:gutter$} | {}", printable(&shown).trim_end());
    let _ = writeln!(text, "{:gutter$} | {before}{carets}", "");
}

/// What keeps the column: a tab stays one.
fn blank(c: char) -> char {
    if c == '\t' { '\t' } else { ' ' }
}

/// A text without what a terminal could obey.
fn printable(text: &str) -> String {
    let keep = |c: char| c == '\t' || !(c.is_control() || is_bidirectional(c));
    text.chars().map(|c| if keep(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// What changes the order in which text is shown.
fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Renders lints in one line each, as BuildKit prints them: `WARN: Rule: text (line N)`, and
/// `ERROR: …` for errors.
#[must_use]
pub fn render_short(file: &RenderedFile<'_>) -> String {
    let lines = Lines::new(file.source);
    let mut text = String::new();
    for diagnostic in file.diagnostics {
        let severity = match diagnostic.severity {
            Severity::Error => "ERROR",
            Severity::Warning => "WARN",
        };
        let (code, message) = (diagnostic.code, printable(&diagnostic.message));
        let line = lines.line(diagnostic.span.start());
        let _ = writeln!(text, "{severity}: {code}: {message} (line {line})");
    }
    text
}

/// A span as JSON: offsets, and lines and columns from 1.
fn place(file: &RenderedFile<'_>, lines: &Lines, span: Span) -> String {
    let start = lines.position(file.source, span.start());
    let end = lines.position(file.source, span.end());
    format!(
        "{{\"start\":{},\"end\":{},\"startLine\":{},\"startColumn\":{},\"endLine\":{},\"endColumn\":{}}}",
        span.start(),
        span.end(),
        start.line,
        start.column,
        end.line,
        end.column
    )
}

/// Renders diagnostics as a JSON array, one object each with `file`, `code`, `severity`,
/// `message`, `span`, `notes` (`message`, and `span` where there is one), and `help` and `url`
/// where there are any. A span has byte offsets, and lines and columns from 1.
#[must_use]
pub fn render_json(files: &[RenderedFile<'_>]) -> String {
    let mut objects = Vec::new();
    for file in files {
        let lines = Lines::new(file.source);
        for diagnostic in file.diagnostics {
            objects.push(json_object(file, &lines, diagnostic));
        }
    }
    if objects.is_empty() {
        return "[]\n".to_owned();
    }
    format!("[\n{}\n]\n", objects.join(",\n"))
}

fn json_object(file: &RenderedFile<'_>, lines: &Lines, diagnostic: &Diagnostic) -> String {
    let mut object = format!(
        "  {{\"file\":{},\"code\":{},\"severity\":{},\"message\":{},\"span\":{}",
        quote(file.name),
        quote(diagnostic.code.as_str()),
        quote(diagnostic.severity.as_str()),
        quote(&diagnostic.message),
        place(file, lines, diagnostic.span)
    );
    let notes = diagnostic.notes.iter().map(|note| {
        let span = note.span.map(|span| format!(",\"span\":{}", place(file, lines, span)));
        format!("{{\"message\":{}{}}}", quote(&note.message), span.unwrap_or_default())
    });
    let _ = write!(object, ",\"notes\":[{}]", notes.collect::<Vec<_>>().join(","));
    if let Some(help) = &diagnostic.help {
        let _ = write!(object, ",\"help\":{}", quote(help));
    }
    if let Some(url) = url(diagnostic.code) {
        let _ = write!(object, ",\"url\":{}", quote(&url));
    }
    object.push('}');
    object
}

fn url(code: Code) -> Option<String> {
    match code {
        Code::Lint(rule) => rule.url(),
        _ => None,
    }
}

/// Renders diagnostics as SARIF 2.1.0, the format of code scanners. Columns count characters.
///
/// The names of the files are taken as URIs relative to the root of the repository.
#[must_use]
pub fn render_sarif(files: &[RenderedFile<'_>], tool: &str, version: &str) -> String {
    let mut codes: Vec<Code> =
        files.iter().flat_map(|file| file.diagnostics).map(|d| d.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let rules: Vec<String> = codes.iter().map(|code| sarif_rule(*code)).collect();
    let mut results = Vec::new();
    for file in files {
        let lines = Lines::new(file.source);
        for diagnostic in file.diagnostics {
            let index = codes.binary_search(&diagnostic.code).unwrap_or_default();
            results.push(sarif_result(file, &lines, diagnostic, index));
        }
    }
    format!(
        "{{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",\"version\":\"2.1.0\",\"runs\":[{{\
         \"tool\":{{\"driver\":{{\"name\":{},\"version\":{},\"rules\":[{}]}}}},\
         \"columnKind\":\"unicodeCodePoints\",\"results\":[{}]}}]}}\n",
        quote(tool),
        quote(version),
        rules.join(","),
        results.join(",")
    )
}

fn sarif_rule(code: Code) -> String {
    let mut rule = format!("{{\"id\":{}", quote(code.as_str()));
    if let Code::Lint(lint) = code {
        let (summary, page) = (Rule::summary(lint), Rule::explain(lint));
        let _ = write!(
            rule,
            ",\"shortDescription\":{{\"text\":{}}},\"help\":{{\"text\":{1},\"markdown\":{1}}}",
            quote(summary),
            quote(page)
        );
    }
    if let Some(url) = url(code) {
        let _ = write!(rule, ",\"helpUri\":{}", quote(&url));
    }
    rule.push('}');
    rule
}

fn sarif_location(
    file: &RenderedFile<'_>,
    lines: &Lines,
    span: Span,
    message: Option<&str>,
) -> String {
    let start = lines.position(file.source, span.start());
    let end = lines.position(file.source, span.end());
    let message = message.map(|text| format!(",\"message\":{{\"text\":{}}}", quote(text)));
    format!(
        "{{\"physicalLocation\":{{\"artifactLocation\":{{\"uri\":{}}},\"region\":{{\"startLine\":{},\
         \"startColumn\":{},\"endLine\":{},\"endColumn\":{}}}}}{}}}",
        quote(&uri(file.name)),
        start.line,
        start.column,
        end.line,
        end.column,
        message.unwrap_or_default()
    )
}

/// A path as a relative URI.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            byte => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}

fn sarif_result(
    file: &RenderedFile<'_>,
    lines: &Lines,
    diagnostic: &Diagnostic,
    index: usize,
) -> String {
    let mut message = diagnostic.message.clone();
    if let Some(help) = &diagnostic.help {
        let _ = write!(message, " ({help})");
    }
    let related: Vec<String> = diagnostic
        .notes
        .iter()
        .filter_map(|note| Some(sarif_location(file, lines, note.span?, Some(&note.message))))
        .collect();
    format!(
        "{{\"ruleId\":{},\"ruleIndex\":{index},\"level\":{},\"message\":{{\"text\":{}}},\"locations\":[{}],\
         \"relatedLocations\":[{}]}}",
        quote(diagnostic.code.as_str()),
        quote(diagnostic.severity.as_str()),
        quote(&message),
        sarif_location(file, lines, diagnostic.span, None),
        related.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::{LintOptions, lint};
    use crate::parse::parse;

    const SOURCE: &str = "FROM alpine:3\nCOPY . /\u{1b}x\nRUN apk add gcc\n";

    fn diagnostics() -> Vec<Diagnostic> {
        lint(&parse(SOURCE).tree, &LintOptions::default()).diagnostics
    }

    #[test]
    fn people_see_the_line_and_the_notes() {
        let found = diagnostics();
        let text = render_text(&RenderedFile { name: "C", source: SOURCE, diagnostics: &found });
        let expected = "\
warning[CopyBeforeInstall]: Packages are installed again whenever a file of the context changes
 --> C:3:1
  |
3 | RUN apk add gcc
  | ^^^^^^^^^^^^^^^
  = note: the whole context is copied here
 ::: C:2:1
  |
2 | COPY . /\u{fffd}x
  | ----------
  = help: put this RUN above the copy
";
        assert_eq!(text, expected);
    }

    #[test]
    fn long_lines_are_shown_around_the_span() {
        let source =
            format!("FROM a\nRUN {} --x\nADD --{} a b", "y".repeat(5000), "z".repeat(5000));
        let found = parse(&source).diagnostics;
        let text = render_text(&RenderedFile { name: "C", source: &source, diagnostics: &found });
        assert!(text.lines().all(|line| line.chars().count() <= 5100), "{text}");
        assert!(text.contains("3 | ADD --zzz"), "{text}");
    }

    #[test]
    fn programs_get_json_and_sarif() {
        let found = diagnostics();
        let file = RenderedFile { name: "dir/a b", source: SOURCE, diagnostics: &found };
        let value: serde_json::Value = serde_json::from_str(&render_json(&[file])).unwrap();
        assert_eq!(value[0]["code"], "CopyBeforeInstall");
        assert_eq!(value[0]["span"]["startLine"], 3);
        assert_eq!(value[0]["notes"][0]["span"]["startLine"], 2);
        let sarif: serde_json::Value =
            serde_json::from_str(&render_sarif(&[file], "cooper", "1")).unwrap();
        let result = &sarif["runs"][0]["results"][0];
        assert_eq!(result["ruleId"], "CopyBeforeInstall");
        let location = &result["locations"][0]["physicalLocation"];
        assert_eq!(location["artifactLocation"]["uri"], "dir/a%20b");
        assert_eq!(location["region"]["endColumn"], 16);
        assert_eq!(sarif["runs"][0]["tool"]["driver"]["rules"][0]["id"], "CopyBeforeInstall");
        assert_eq!(render_json(&[]), "[]\n");
    }

    #[test]
    fn one_line_each_is_as_buildkit_prints_it() {
        let source = "FROM a:1 AS B\n";
        let found = lint(&parse(source).tree, &LintOptions::default()).diagnostics;
        let text = render_short(&RenderedFile { name: "C", source, diagnostics: &found });
        assert_eq!(text, "WARN: StageNameCasing: Stage name 'B' should be lowercase (line 1)\n");
    }
}
