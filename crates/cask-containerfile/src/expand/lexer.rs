//! Reads a word character by character, as BuildKit's lexer does.

use std::ops::Range;

use super::glob::Pattern;
use super::{
    EXPANSION_MAX_BYTES, EXPANSION_MAX_DEPTH, Escape, ExpandError, ExpandErrorKind, ExpandOptions,
    VariableUse, Variables,
};
use crate::dialect::Dialect;

/// What is kept of a word, other than for its expansion.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Modes {
    /// Quotes stay in the text.
    pub(crate) raw_quotes: bool,
    /// Escapes stay in the text.
    pub(crate) raw_escapes: bool,
    /// Quotes are characters like others.
    pub(crate) literal_quotes: bool,
    /// Unset variables stay in the text.
    pub(crate) keep_unset: bool,
}

/// A word, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) range: Range<usize>,
}

/// Splits a text at its unquoted blanks, without any variable; `\` escapes.
pub(crate) fn split(text: &str, modes: Modes) -> Result<Vec<Piece>, ExpandError> {
    let nothing: &[(&str, &str)] = &[];
    Lexer::new(text, &nothing, &ExpandOptions::default(), modes).words()
}

/// The words so far.
#[derive(Default)]
pub(super) struct Words {
    done: Vec<Piece>,
    text: String,
    in_word: bool,
    start: usize,
}

impl Words {
    fn add(&mut self, c: char, at: usize) {
        if !c.is_whitespace() {
            self.add_raw(c.encode_utf8(&mut [0; 4]), at);
        } else if self.in_word {
            self.end(at);
        }
    }

    fn add_raw(&mut self, text: &str, at: usize) {
        if !self.in_word || self.text.is_empty() {
            self.start = at;
        }
        self.text.push_str(text);
        self.in_word = true;
    }

    fn end(&mut self, at: usize) {
        if !self.text.is_empty() {
            self.done.push(Piece { text: std::mem::take(&mut self.text), range: self.start..at });
            self.in_word = false;
        }
    }
}

pub(super) struct Lexer<'a> {
    pub(super) source: &'a str,
    pub(super) at: usize,
    variables: &'a dyn Variables,
    escape: char,
    dialect: Dialect,
    modes: Modes,
    pub(super) depth: usize,
    uses: Vec<VariableUse>,
}

pub(super) type Outcome<T> = Result<T, ExpandError>;

impl<'a> Lexer<'a> {
    pub(super) fn new(
        source: &'a str,
        variables: &'a dyn Variables,
        options: &ExpandOptions,
        modes: Modes,
    ) -> Self {
        let escape = options.escape;
        let escape = if options.dialect == Dialect::Buildah { Escape::Backslash } else { escape };
        let (dialect, escape) = (options.dialect, escape.char());
        Self { source, at: 0, variables, escape, dialect, modes, depth: 0, uses: Vec::new() }
    }

    pub(super) fn word(&mut self) -> Outcome<String> {
        self.until(None, self.modes.raw_escapes, None)
    }

    pub(super) fn words(&mut self) -> Outcome<Vec<Piece>> {
        let mut words = Words::default();
        self.until(None, self.modes.raw_escapes, Some(&mut words))?;
        words.end(self.source.len());
        Ok(words.done)
    }

    pub(super) fn uses(self) -> Vec<VariableUse> {
        self.uses
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.source[self.at..].chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    pub(super) fn error<T>(&self, kind: ExpandErrorKind, offset: usize) -> Outcome<T> {
        Err(ExpandError { kind, word: self.source.to_owned(), offset })
    }

    pub(super) fn bounded(&self, text: String) -> Outcome<String> {
        if text.len() > EXPANSION_MAX_BYTES {
            return self.error(ExpandErrorKind::TooLong, self.at);
        }
        Ok(text)
    }

    /// Reads up to a character that belongs to nothing else, or to the end.
    fn until(
        &mut self,
        stop: Option<char>,
        raw_escapes: bool,
        mut words: Option<&mut Words>,
    ) -> Outcome<String> {
        let outer = std::mem::replace(&mut self.modes.raw_escapes, raw_escapes);
        let mut result = String::new();
        let begin = self.at;
        while let Some(c) = self.peek() {
            let at = self.at;
            if Some(c) == stop {
                self.at += c.len_utf8();
                self.modes.raw_escapes = outer;
                return self.bounded(result);
            }
            if let Some(special) = self.special(c) {
                let text = special?;
                result.push_str(&text);
                match words.as_deref_mut() {
                    Some(words) if c == '$' => text.chars().for_each(|c| words.add(c, at)),
                    Some(words) => words.add_raw(&text, at),
                    None => {}
                }
                if result.len() > EXPANSION_MAX_BYTES {
                    return self.error(ExpandErrorKind::TooLong, at);
                }
            } else if let Some(run) = self.run(stop) {
                result.push_str(run);
                if let Some(words) = words.as_deref_mut() {
                    words.add_raw(run, at);
                }
            } else {
                self.plain(&mut result, words.as_deref_mut());
            }
        }
        match stop {
            None => {
                self.modes.raw_escapes = outer;
                self.bounded(result)
            }
            Some(_) => self.error(ExpandErrorKind::OpenBrace, begin),
        }
    }

    /// The characters from here on of which none could mean anything; `None` if there is none.
    fn run(&mut self, stop: Option<char>) -> Option<&'a str> {
        let rest = &self.source[self.at..];
        let could_mean = |c: char| {
            matches!(c, '$' | '<' | '\'' | '"')
                || c.is_whitespace()
                || c == self.escape
                || Some(c) == stop
        };
        let run = &rest[..rest.find(could_mean).unwrap_or(rest.len())];
        self.at += run.len();
        (!run.is_empty()).then_some(run)
    }

    /// What begins with a special character; `None` if it is not one.
    pub(super) fn special(&mut self, c: char) -> Option<Outcome<String>> {
        match c {
            '$' => Some(self.dollar()),
            '<' if self.dialect != Dialect::Buildah => Some(Ok(self.redirection())),
            '\'' if !self.modes.literal_quotes => Some(self.single_quoted()),
            '"' if !self.modes.literal_quotes => Some(self.double_quoted()),
            _ => None,
        }
    }

    pub(super) fn plain(&mut self, result: &mut String, words: Option<&mut Words>) {
        let at = self.at;
        let Some(mut c) = self.next() else { return };
        if c != self.escape {
            result.push(c);
            if let Some(words) = words {
                words.add(c, at);
            }
            return;
        }
        let raw = if self.modes.raw_escapes {
            c.encode_utf8(&mut [0; 4]).to_owned()
        } else {
            String::new()
        };
        result.push_str(&raw);
        let mut text = raw;
        if let Some(escaped) = self.next() {
            c = escaped;
            result.push(c);
            text.push(c);
        }
        if let Some(words) = words
            && !text.is_empty()
        {
            words.add_raw(&text, at);
        }
    }

    fn single_quoted(&mut self) -> Outcome<String> {
        let open = self.at;
        let Some(length) = self.source[open + 1..].find('\'') else {
            self.at = self.source.len();
            return self.error(ExpandErrorKind::OpenQuote('\''), open);
        };
        self.at = open + length + 2;
        let keep = usize::from(!self.modes.raw_quotes);
        Ok(self.source[open + keep..self.at - keep].to_owned())
    }

    fn double_quoted(&mut self) -> Outcome<String> {
        let open = self.at;
        let mut result = String::new();
        self.next();
        if self.modes.raw_quotes {
            result.push('"');
        }
        loop {
            let Some(c) = self.peek() else {
                return self.error(ExpandErrorKind::OpenQuote('"'), open);
            };
            if c == '$' {
                result.push_str(&self.dollar()?);
                result = self.bounded(result)?;
                continue;
            }
            self.next();
            if c == '"' {
                if self.modes.raw_quotes {
                    result.push(c);
                }
                return Ok(result);
            }
            if c != self.escape {
                result.push(c);
                continue;
            }
            if self.modes.raw_escapes {
                result.push(c);
            }
            match self.peek() {
                None => {}
                Some(next) if next == '"' || next == '$' || next == self.escape => {
                    self.next();
                    result.push(next);
                }
                Some(_) => result.push(c),
            }
        }
    }

    /// `<`, or `<<` with the blanks behind it: they belong to the word of a heredoc.
    fn redirection(&mut self) -> String {
        let start = self.at;
        self.next();
        if self.peek() == Some('<') {
            self.next();
            while matches!(self.peek(), Some('\t' | '\r' | ' ')) {
                self.next();
            }
        }
        self.source[start..self.at].to_owned()
    }

    pub(super) fn look_up(&mut self, name: Range<usize>) -> Option<&'a str> {
        let text = &self.source[name.clone()];
        let value = self.variables.value(text);
        self.uses.push(VariableUse { name: text.to_owned(), range: name, is_set: value.is_some() });
        value
    }

    /// The name at this place: digits, one special character, or letters, digits and `_`.
    fn name(&mut self) -> Range<usize> {
        let rest = &self.source[self.at..];
        let length = match rest.chars().next() {
            Some(c) if c.is_numeric() => rest.find(|c: char| !c.is_numeric()).unwrap_or(rest.len()),
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!' | '0') => 1,
            _ => rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()),
        };
        let start = self.at;
        self.at += length;
        start..self.at
    }

    fn dollar(&mut self) -> Outcome<String> {
        if self.dialect == Dialect::Buildah {
            return self.dollar_of_buildah();
        }
        let start = self.at;
        self.next();
        if self.peek() != Some('{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return Ok(match self.look_up(name) {
                Some(value) => value.to_owned(),
                None if self.modes.keep_unset => self.source[start..self.at].to_owned(),
                None => String::new(),
            });
        }
        self.next();
        match self.peek() {
            None => return self.error(ExpandErrorKind::OpenBrace, start),
            Some('{' | '}' | ':') => return self.error(ExpandErrorKind::NoName, start),
            Some(_) => {}
        }
        self.depth += 1;
        if self.depth > EXPANSION_MAX_DEPTH {
            return self.error(ExpandErrorKind::TooDeep, start);
        }
        let name = self.name();
        let result = self.braced(start, name);
        self.depth -= 1;
        result
    }

    /// What follows the name in `${name…}`.
    fn braced(&mut self, start: usize, name: Range<usize>) -> Outcome<String> {
        match self.next() {
            None => self.error(ExpandErrorKind::OpenBrace, start),
            Some('}') => Ok(match self.look_up(name) {
                Some(value) => value.to_owned(),
                None if self.modes.keep_unset => self.source[start..self.at].to_owned(),
                None => String::new(),
            }),
            Some(':') => {
                let Some(modifier) = self.next() else {
                    return self.error(ExpandErrorKind::OpenBrace, start);
                };
                if matches!(modifier, '#' | '%') {
                    let text = format!(":{modifier}");
                    return self.error(ExpandErrorKind::UnknownModifier(text), start);
                }
                self.modified(start, name, modifier, true)
            }
            Some(modifier @ ('+' | '-' | '?' | '#' | '%')) => {
                self.modified(start, name, modifier, false)
            }
            Some('/') => self.replaced(start, name),
            Some(other) => self.error(ExpandErrorKind::UnknownModifier(other.to_string()), start),
        }
    }

    /// Reads an operand; at the end of the text, what is missing is more important than what is
    /// wrong inside.
    fn operand(
        &mut self,
        stop: char,
        raw: bool,
        missing: ExpandErrorKind,
        start: usize,
    ) -> Outcome<String> {
        match self.until(Some(stop), raw, None) {
            Err(error) if limit(&error.kind) => Err(error),
            Err(_) if self.peek().is_none() => self.error(missing, start),
            other => other,
        }
    }

    fn modified(
        &mut self,
        start: usize,
        name: Range<usize>,
        modifier: char,
        empty_is_unset: bool,
    ) -> Outcome<String> {
        let raw = matches!(modifier, '#' | '%');
        let word = self.operand('}', raw, ExpandErrorKind::OpenBrace, start)?;
        let text = self.source[name.clone()].to_owned();
        let value = self.look_up(name);
        let colon = if empty_is_unset { ":" } else { "" };
        if self.modes.keep_unset && value.is_none() {
            return Ok(format!("${{{text}{colon}{modifier}{word}}}"));
        }
        let missing = value.is_none_or(|value| empty_is_unset && value.is_empty());
        let value = value.unwrap_or_default();
        match modifier {
            '-' => Ok(if missing { word } else { value.to_owned() }),
            '+' => Ok(if missing { String::new() } else { word }),
            '?' if !missing => Ok(value.to_owned()),
            '?' => {
                let state =
                    if self.uses.last().is_some_and(|u| u.is_set) { "empty" } else { "unset" };
                let default = format!("is not allowed to be {state}");
                let message = if word.is_empty() { default } else { word };
                self.error(ExpandErrorKind::Required { name: text, message }, start)
            }
            '#' | '%' => self.trimmed(start, value, &word, modifier),
            other => self.error(ExpandErrorKind::UnknownModifier(format!("{colon}{other}")), start),
        }
    }

    fn trimmed(&self, start: usize, value: &str, word: &str, modifier: char) -> Outcome<String> {
        let (greedy, pattern) = match word.strip_prefix(modifier) {
            Some(pattern) => (true, pattern),
            None => (false, word),
        };
        let pattern = self.pattern(start, pattern)?;
        Ok(match modifier {
            '#' => pattern.without_prefix(value, greedy).to_owned(),
            _ => pattern.without_suffix(value, greedy).to_owned(),
        })
    }

    fn pattern(&self, start: usize, text: &str) -> Outcome<Pattern> {
        Pattern::parse(text).or_else(|escaped| {
            let pattern = text.to_owned();
            self.error(ExpandErrorKind::InvalidPattern { pattern, escaped }, start)
        })
    }

    fn replaced(&mut self, start: usize, name: Range<usize>) -> Outcome<String> {
        let all = self.peek() == Some('/');
        if all {
            self.next();
        }
        let pattern = self.operand('/', true, ExpandErrorKind::NoReplacement, start)?;
        let replacement = self.operand('}', true, ExpandErrorKind::OpenBrace, start)?;
        let text = self.source[name.clone()].to_owned();
        let value = self.look_up(name);
        let Some(value) = value else {
            let kept = format!("${{{text}/{pattern}/{replacement}}}");
            return Ok(if self.modes.keep_unset { kept } else { String::new() });
        };
        let pattern = self.pattern(start, &pattern)?;
        let Some(result) = pattern.replaced(value, &replacement, all, EXPANSION_MAX_BYTES) else {
            return self.error(ExpandErrorKind::TooLong, start);
        };
        Ok(result)
    }
}

/// Whether an error is about a limit: nothing that comes later changes it.
fn limit(kind: &ExpandErrorKind) -> bool {
    matches!(kind, ExpandErrorKind::TooLong | ExpandErrorKind::TooDeep)
}
