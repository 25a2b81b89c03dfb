//! Text in the file itself: `<<EOF`.

use std::ops::Range;

use crate::expand::{ExpandError, Modes, split};
use crate::span::Span;
use crate::text::Text;

/// A heredoc: its place on the line, and its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Heredoc {
    /// The delimiter, without quotes.
    pub name: Text,
    /// The number before `<<`; 0 where there is none.
    pub descriptor: u64,
    /// Whether variables in the body are replaced: not if the delimiter has quotes.
    pub expands: bool,
    /// Whether tabs at the beginnings of lines are removed: `<<-`.
    pub strips_tabs: bool,
    /// Where the word with `<<` is.
    pub span: Span,
    /// Where the body is: whole lines, without the line that ends it.
    pub body: Span,
    /// The body as it is written.
    pub text: Text,
}

impl Heredoc {
    /// The body, without the tabs that [`strips_tabs`](Self::strips_tabs) removes.
    #[must_use]
    pub fn content(&self) -> String {
        if !self.strips_tabs {
            return self.text.to_string();
        }
        self.text.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }
}

/// A heredoc of a line whose body is not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) name: String,
    pub(crate) descriptor: u64,
    pub(crate) expands: bool,
    pub(crate) strips_tabs: bool,
    pub(crate) range: Range<usize>,
}

/// The heredocs of a line. A line whose quotes are open has none.
pub(crate) fn openings(line: &str) -> Result<Vec<Opening>, ExpandError> {
    if line.contains(['\'', '"', '\\', '$']) { quoted_openings(line) } else { plain_openings(line) }
}

fn quoted_openings(line: &str) -> Result<Vec<Opening>, ExpandError> {
    let modes =
        Modes { raw_quotes: true, raw_escapes: true, keep_unset: true, literal_quotes: false };
    let words = split(line, modes).unwrap_or_default();
    let found = words.iter().filter_map(|word| opening(&word.text, word.range.clone()).transpose());
    found.collect()
}

/// The same of a line in which nothing needs to be lexed: most of them.
fn plain_openings(line: &str) -> Result<Vec<Opening>, ExpandError> {
    let mut found = Vec::new();
    let mut end = 0;
    while let Some(blanks) = line[end..].find(|c: char| !c.is_whitespace()) {
        let start = end + blanks;
        end = start;
        // The blanks behind `<<` belong to the word.
        loop {
            let rest = &line[end..];
            let length = rest.find(|c: char| c == '<' || c.is_whitespace()).unwrap_or(rest.len());
            let rest = &rest[length..];
            let behind = match rest.strip_prefix("<<") {
                Some(behind) => behind.trim_start_matches(['\t', '\r', ' ']),
                None => rest.strip_prefix('<').unwrap_or(rest),
            };
            end = line.len() - behind.len();
            if behind.len() == rest.len() {
                break;
            }
        }
        found.extend(opening(&line[start..end], start..end)?);
    }
    Ok(found)
}

/// Whether a word is the beginning of a heredoc: `^(\d*)<<(-?)\s*([^<]*)$`, with one word as the
/// last part.
pub(crate) fn opening(word: &str, range: Range<usize>) -> Result<Option<Opening>, ExpandError> {
    let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let Some(rest) = word[digits..].strip_prefix("<<") else { return Ok(None) };
    let (strips_tabs, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.trim_start_matches(['\t', '\n', '\u{c}', '\r', ' ']);
    if rest.is_empty() || rest.contains('<') {
        return Ok(None);
    }
    if rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        // Nothing in it could be special.
        let descriptor = word[..digits].parse().unwrap_or(0);
        let name = rest.to_owned();
        return Ok(Some(Opening { name, descriptor, expands: true, strips_tabs, range }));
    }
    let plain = Modes { keep_unset: true, ..Modes::default() };
    let Ok([name]) = <[_; 1]>::try_from(split(rest, plain)?) else { return Ok(None) };
    let name = name.text;
    let raw = split(rest, Modes { raw_quotes: true, ..plain })?;
    let quotes = |text: &str| text.matches(['\'', '"']).count();
    let raw_quotes: usize = raw.iter().map(|piece| quotes(&piece.text)).sum();
    Ok(Some(Opening {
        expands: quotes(&name) == raw_quotes,
        name,
        descriptor: word[..digits].parse().unwrap_or(0),
        strips_tabs,
        range,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heredocs_of_a_line_are_found() {
        fn check(line: &str, expected: &[(&str, u64, bool, bool)]) {
            let found = openings(line).unwrap();
            let found: Vec<_> = found
                .iter()
                .map(|o| (o.name.as_str(), o.descriptor, o.expands, o.strips_tabs))
                .collect();
            assert_eq!(found, expected, "{line}");
        }
        check("RUN <<EOF", &[("EOF", 0, true, false)]);
        check("RUN cat <<EOF > x", &[("EOF", 0, true, false)]);
        check("RUN 3<<-'E F' x", &[("E F", 3, false, true)]);
        check("COPY <<a <<\"b\" /", &[("a", 0, true, false), ("b", 0, false, false)]);
        check("RUN << EOF", &[("EOF", 0, true, false)]);
        check("RUN <<E\"O\"F", &[("EOF", 0, false, false)]);
        check("RUN cat <<<EOF", &[]);
        check("RUN x<<EOF", &[]);
        check("RUN '<<EOF'", &[]);
        check("RUN \\<<EOF", &[]);
        check("RUN <<EOF '", &[]);
        check("RUN <<$EOF", &[("$EOF", 0, true, false)]);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn lines_without_quotes_are_read_as_all_are(line in "[ \\t\\ra3<\u{85}-]{0,12}") {
            proptest::prop_assert_eq!(plain_openings(&line), quoted_openings(&line));
        }
    }

    #[test]
    fn tabs_are_stripped_from_every_line() {
        let heredoc = Heredoc {
            name: Text::from("E"),
            descriptor: 0,
            expands: true,
            strips_tabs: true,
            span: Span::default(),
            body: Span::default(),
            text: Text::from("\t\ta\n \tb\n\n\t\n"),
        };
        assert_eq!(heredoc.content(), "a\n \tb\n\n\n");
    }
}
