//! TOML as the readers in Go take it, with the place of every value.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::path::Path;

use cask_json::{Position, folds_equal, push_index, push_key};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml_parser::lexer::TokenKind;

use crate::file::MAX_FILE_BYTES;
use crate::{Error, ErrorKind};

/// The most parts that a dotted key may have. No format here has keys of more than two. The parser
/// allows 80 of them at each of 80 levels of inline tables, and takes the result apart by
/// recursion: that is more than the stack of a thread holds.
const MAX_KEY_PARTS: usize = 16;

/// Where a text came from, and where its lines begin.
pub(crate) struct Source<'t> {
    text: &'t str,
    /// The same without comments.
    parsed: Cow<'t, str>,
    doing: &'static str,
    file: &'t str,
    line_starts: OnceCell<Vec<usize>>,
}

impl<'t> Source<'t> {
    /// `doing` says in errors what is done to the file: `loading registries configuration`.
    pub(crate) fn new(text: &'t str, doing: &'static str, file: &'t str) -> Self {
        Self { text, parsed: without_comments(text), doing, file, line_starts: OnceCell::new() }
    }

    pub(crate) fn file(&self) -> &'t str {
        self.file
    }

    /// Parses the text.
    pub(crate) fn parse(&self) -> Result<Spanned<DeTable<'_>>, Error> {
        if self.text.len() > MAX_FILE_BYTES {
            let message = format!("more than {MAX_FILE_BYTES} bytes; split it into several files");
            return Err(self.error(ErrorKind::TooLarge, MAX_FILE_BYTES, "", message));
        }
        if let Some(offset) = long_key(&self.parsed) {
            let message = format!("a key of more than {MAX_KEY_PARTS} parts");
            return Err(self.error(ErrorKind::Syntax, offset, "", message));
        }
        DeTable::parse(&self.parsed).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            let message = error.message().replace('\n', ", ");
            self.error(ErrorKind::Syntax, offset, "", format!("not TOML: {message}"))
        })
    }

    pub(crate) fn position(&self, offset: usize) -> Position {
        let line_starts = self.line_starts.get_or_init(|| {
            let after_newlines = self.text.match_indices('\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(after_newlines).collect()
        });
        let line = line_starts.partition_point(|&start| start <= offset).max(1);
        let column = offset - line_starts[line - 1] + 1;
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Position { offset, line: number(line), column: number(column) }
    }

    pub(crate) fn error(
        &self,
        kind: ErrorKind,
        offset: usize,
        key: &str,
        message: impl Into<String>,
    ) -> Error {
        let error = Error::new(kind, message).doing(self.doing, Path::new(self.file));
        error.at(key, self.position(offset))
    }
}

/// A value of some type, with its key and its place.
pub(crate) struct Found<T> {
    pub(crate) value: T,
    pub(crate) key: String,
    pub(crate) offset: usize,
}

/// A table of the document.
pub(crate) struct Table<'d> {
    source: &'d Source<'d>,
    table: &'d DeTable<'d>,
    /// The path to it; empty for the document.
    pub(crate) key: String,
    pub(crate) offset: usize,
}

impl<'d> Table<'d> {
    pub(crate) fn root(source: &'d Source<'d>, root: &'d Spanned<DeTable<'d>>) -> Self {
        Self { source, table: root.get_ref(), key: String::new(), offset: 0 }
    }

    /// An error about something in the document.
    pub(crate) fn error(&self, offset: usize, key: &str, message: impl Into<String>) -> Error {
        self.source.error(ErrorKind::Invalid, offset, key, message)
    }

    /// An error about this table.
    pub(crate) fn refuse(&self, message: impl Into<String>) -> Error {
        self.error(self.offset, &self.key, message)
    }

    /// The value of a key, whose case does not matter, as it does not in Go.
    fn get(&self, name: &str) -> Result<Option<Found<&'d Spanned<DeValue<'d>>>>, Error> {
        let mut found = self.table.iter().filter(|(key, _)| folds_equal(key.get_ref(), name));
        let Some((key, value)) = found.next() else { return Ok(None) };
        if let Some((second, _)) = found.next() {
            let message = format!("the same key as {}: keep one of them", key.get_ref());
            let path = self.path(second.get_ref());
            return Err(self.error(second.span().start, &path, message));
        }
        let key = self.path(key.get_ref());
        Ok(Some(Found { value, key, offset: value.span().start }))
    }

    pub(crate) fn string(&self, name: &str) -> Result<Option<Found<String>>, Error> {
        self.typed(name, "a string", |value| match value {
            DeValue::String(text) => Some(text.to_string()),
            _ => None,
        })
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<Option<Found<bool>>, Error> {
        self.typed(name, "true or false", |value| match value {
            DeValue::Boolean(value) => Some(*value),
            _ => None,
        })
    }

    /// A whole number, or a string that is one.
    pub(crate) fn number(&self, name: &str) -> Result<Option<Found<i64>>, Error> {
        self.typed(name, "a whole number", |value| match value {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            DeValue::String(text) => text.parse().ok(),
            _ => None,
        })
    }

    /// A string, or a whole number as a text.
    pub(crate) fn string_or_number(&self, name: &str) -> Result<Option<Found<String>>, Error> {
        self.typed(name, "a string or a whole number", |value| match value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).ok().map(|one| one.to_string())
            }
            _ => None,
        })
    }

    /// The strings of an array.
    pub(crate) fn strings(&self, name: &str) -> Result<Option<Vec<Found<String>>>, Error> {
        let Some(found) = self.get(name)? else { return Ok(None) };
        let items = self.array(&found, "an array of strings")?;
        let items = items.map(|item| match item.value.get_ref() {
            DeValue::String(text) => Ok(item.with(text.to_string())),
            other => Err(self.mismatch(&item, "a string", other)),
        });
        items.collect::<Result<_, _>>().map(Some)
    }

    /// The tables of an array of tables; none without the key.
    pub(crate) fn tables(&self, name: &str) -> Result<Vec<Table<'d>>, Error> {
        let Some(found) = self.get(name)? else { return Ok(Vec::new()) };
        let expected = format!("an array of tables, written [[{}]]", header(&found.key));
        let items = self.array(&found, &expected)?;
        let items = items.map(|item| match item.value.get_ref() {
            DeValue::Table(table) => {
                let Found { key, offset, .. } = item;
                Ok(Table { source: self.source, table, key, offset })
            }
            other => Err(self.mismatch(&item, "a table", other)),
        });
        items.collect()
    }

    /// A table in this one.
    pub(crate) fn table(&self, name: &str) -> Result<Option<Table<'d>>, Error> {
        let Some(found) = self.get(name)? else { return Ok(None) };
        match found.value.get_ref() {
            DeValue::Table(table) => {
                let Found { key, offset, .. } = found;
                Ok(Some(Table { source: self.source, table, key, offset }))
            }
            other => Err(self.mismatch(&found, "a table", other)),
        }
    }

    /// Its keys, in no order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'d str> {
        self.table.keys().map(|key| key.get_ref().as_ref())
    }

    /// All keys of a table of strings, in the order of the text, with the places of the values.
    pub(crate) fn string_entries(&self) -> Result<Vec<(&'d str, Found<String>)>, Error> {
        let mut entries = Vec::new();
        for (name, value) in self.table {
            let found =
                Found { value: (), key: self.path(name.get_ref()), offset: value.span().start };
            let DeValue::String(text) = value.get_ref() else {
                return Err(self.mismatch(&found, "a string", value.get_ref()));
            };
            entries.push((name.get_ref().as_ref(), found.with(text.to_string())));
        }
        entries.sort_by_key(|(_, found)| found.offset);
        Ok(entries)
    }

    /// The keys that are none of these.
    pub(crate) fn others(&self, known: &[&str]) -> Vec<Found<()>> {
        let is_known = |key: &str| known.iter().any(|name| folds_equal(name, key));
        let others = self.table.keys().filter(|key| !is_known(key.get_ref()));
        let others = others.map(|key| {
            let offset = key.span().start;
            Found { value: (), key: self.path(key.get_ref()), offset }
        });
        others.collect()
    }

    pub(crate) fn position(&self, offset: usize) -> Position {
        self.source.position(offset)
    }

    fn typed<T>(
        &self,
        name: &str,
        expected: &str,
        take: impl Fn(&DeValue<'_>) -> Option<T>,
    ) -> Result<Option<Found<T>>, Error> {
        let Some(found) = self.get(name)? else { return Ok(None) };
        match take(found.value.get_ref()) {
            Some(value) => Ok(Some(found.with(value))),
            None => Err(self.mismatch(&found, expected, found.value.get_ref())),
        }
    }

    fn array(
        &self,
        found: &Found<&'d Spanned<DeValue<'d>>>,
        expected: &str,
    ) -> Result<impl Iterator<Item = Found<&'d Spanned<DeValue<'d>>>>, Error> {
        let DeValue::Array(items) = found.value.get_ref() else {
            return Err(self.mismatch(found, expected, found.value.get_ref()));
        };
        let path = found.key.clone();
        Ok(items.iter().enumerate().map(move |(index, value)| {
            let mut key = path.clone();
            push_index(&mut key, index);
            Found { value, key, offset: value.span().start }
        }))
    }

    fn mismatch<T>(&self, found: &Found<T>, expected: &str, value: &DeValue<'_>) -> Error {
        let message = format!("incompatible types: expected {expected}, found {}", describe(value));
        self.error(found.offset, &found.key, message)
    }

    fn path(&self, name: &str) -> String {
        let mut path = self.key.clone();
        push_key(&mut path, name);
        path
    }
}

impl<T> Found<T> {
    /// Another value at the same place.
    fn with<U>(&self, value: U) -> Found<U> {
        Found { value, key: self.key.clone(), offset: self.offset }
    }
}

/// A path without its indexes, as it is written above a table.
fn header(path: &str) -> String {
    let parts = path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest));
    parts.collect()
}

fn describe(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// A text with spaces for the lines that are comments, so that all else is where it was. The files that come with the
/// tools are hardly more than such lines, and each program reads them at its start: the parser takes four times as long
/// over them. A text with a string of several lines stays as it is, and so does a comment with a control character,
/// which is an error.
fn without_comments(text: &str) -> Cow<'_, str> {
    if !text.contains('#') || text.contains("\"\"\"") || text.contains("'''") {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let words = line.strip_suffix("\r\n").or(line.strip_suffix('\n')).unwrap_or(line);
        let is_comment = words.trim_ascii_start().starts_with('#')
            && words.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
        if is_comment {
            plain.push_str(&" ".repeat(line.len()));
        } else {
            plain.push_str(line);
        }
    }
    Cow::Owned(plain)
}

/// Where the first key of more parts than [`MAX_KEY_PARTS`] ends, if there is one.
fn long_key(text: &str) -> Option<usize> {
    let mut dots = 0;
    for token in toml_parser::Source::new(text).lex() {
        match token.kind() {
            TokenKind::Dot => dots += 1,
            TokenKind::Equals
            | TokenKind::Comma
            | TokenKind::Newline
            | TokenKind::LeftSquareBracket
            | TokenKind::RightSquareBracket
            | TokenKind::LeftCurlyBracket
            | TokenKind::RightCurlyBracket => dots = 0,
            _ => {}
        }
        if dots == MAX_KEY_PARTS {
            return Some(token.span().start());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn comments_of_whole_lines_are_spaces() {
        let check = |text: &str, expected: &str| assert_eq!(without_comments(text), expected);
        check("# a\n[b]\n \t#é\r\nc = 1 # d\n#", "    [b]\n       c = 1 # d\n ");
        for same in [
            "",
            "a = 1\n",
            "# a\nb = '''\n# c\n'''",
            "# a\nb = \"\"\"\n# c\n\"\"\"",
            "#\0\n",
            "# a\rb\n",
        ] {
            check(same, same);
        }
    }

    proptest! {
        #[test]
        fn a_text_means_the_same_without_comments(
            parts in prop::collection::vec(prop::sample::select(vec![
                "# a\n", "#", " # é = [\r\n", "\n", "[a]\n", "[[b]]\n", "c = 1\n", "d = [\n", "'x',\n", "]\n", "e = { f = 1,\n",
                "}\n", "\"", "'", "g", "= ", "\r", "\0",
            ]), 0..16),
        ) {
            let text = parts.concat();
            let plain = without_comments(&text);
            prop_assert_eq!(plain.len(), text.len());
            // The document as a whole has a place that depends on what it ends with; nobody asks for that.
            let of = |text: &str| match DeTable::parse(text) {
                Ok(table) => Ok(format!("{:?}", table.get_ref())),
                Err(error) => Err(error.span().map(|span| span.start)),
            };
            prop_assert_eq!(of(&plain), of(&text));
        }
    }
}
