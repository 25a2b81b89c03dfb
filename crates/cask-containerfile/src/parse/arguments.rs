//! One joined line becomes a keyword, flags and arguments.

use std::borrow::Cow;
use std::ops::Range;

use crate::diagnostic::{Code, Collector, Diagnostic};
use crate::dialect::{Behavior, Dialect};
use crate::expand::Escape;
use crate::instruction::canonical;
use crate::json::{JsonError, Member, strings};
use crate::line::Line;
use crate::span::{Span, narrow};
use crate::statement::{Arguments, Flag, Meaning, Pair, Pieces, Rare, Statement, Word};
use crate::text::Text;
use crate::words::{Cut, blank_separated, first_word, flags, quoted, trim};

/// ONBUILD of ONBUILD is an error; deeper than this it is not looked at.
const TRIGGER_DEPTH_MAX: usize = 4;

/// What a line says.
pub(super) struct Reading {
    /// Where the keyword is in the line.
    pub(super) keyword: Range<usize>,
    pub(super) flags: Vec<Flag>,
    pub(super) arguments: Arguments,
    pub(super) json_error: Option<Span>,
    /// There is an error in it that was told.
    pub(super) is_broken: bool,
}

/// Reads a joined line.
pub(super) fn read(
    line: &Line,
    escape: Escape,
    dialect: Dialect,
    diagnostics: &mut Collector,
) -> Reading {
    let mut reader =
        Reader { line, escape, dialect, diagnostics, json_error: None, is_broken: false };
    reader.instruction(0..line.as_str().len(), 0)
}

struct Reader<'a> {
    line: &'a Line,
    escape: Escape,
    dialect: Dialect,
    diagnostics: &'a mut Collector,
    json_error: Option<Span>,
    is_broken: bool,
}

impl<'a> Reader<'a> {
    fn text(&self, cut: &Cut<'_>) -> Text {
        match &cut.text {
            Cow::Borrowed(text) => self.line.slice(cut.range.start..cut.range.start + text.len()),
            Cow::Owned(text) => Text::from(text.as_str()),
        }
    }

    fn word(&self, cut: &Cut<'_>) -> Word {
        Word::new(self.text(cut), self.line.span(cut.range.clone()))
    }

    fn raw(&self, range: Range<usize>) -> Word {
        Word::new(self.line.slice(range.clone()), self.line.span(range))
    }

    fn refuse(&mut self, diagnostic: Diagnostic) {
        self.is_broken = true;
        self.diagnostics.push(diagnostic);
    }

    fn instruction(&mut self, range: Range<usize>, depth: usize) -> Reading {
        let text = self.line.as_str();
        let (keyword, rest) = first_word(text, trim(text, range));
        let (flags, rest) = match rest {
            Some(rest) => flags(text, rest, self.escape.char(), |cut| self.flag(&cut)),
            None => (Vec::new(), 0..0),
        };
        let arguments = self.arguments(&text[keyword.clone()], trim(text, rest), depth);
        Reading {
            keyword,
            flags,
            arguments,
            json_error: self.json_error.take(),
            is_broken: std::mem::take(&mut self.is_broken),
        }
    }

    fn flag(&self, cut: &Cut<'_>) -> Flag {
        Flag { text: self.text(cut), span: self.line.span(cut.range.clone()) }
    }

    fn arguments(&mut self, keyword: &str, rest: Range<usize>, depth: usize) -> Arguments {
        if rest.is_empty() {
            return Arguments::None;
        }
        let Some(upper) = canonical(keyword) else { return Arguments::Text(self.raw(rest)) };
        match upper {
            "RUN" | "CMD" | "ENTRYPOINT" | "SHELL" => self.json_or_text(rest),
            "ADD" | "COPY" | "VOLUME" => match self.json(rest.clone()) {
                Some(array) => array,
                None => self.blank_separated(rest),
            },
            "EXPOSE" | "FROM" => self.blank_separated(rest),
            "ENV" | "LABEL" => self.pairs(upper, rest),
            "ARG" => {
                let make = |cut: Cut<'_>| self.word(&cut);
                Arguments::Words(quoted(self.line.as_str(), rest, self.escape.char(), make))
            }
            "HEALTHCHECK" => {
                let (kind, rest) = first_white_space(self.line.as_str(), rest);
                let kind = self.raw(kind);
                let command =
                    if rest.is_empty() { Arguments::None } else { self.json_or_text(rest) };
                Arguments::Typed(Box::new((kind, command)))
            }
            "ONBUILD" if depth < TRIGGER_DEPTH_MAX => self.trigger(rest, depth),
            _ => Arguments::Text(self.raw(rest)),
        }
    }

    fn blank_separated(&self, rest: Range<usize>) -> Arguments {
        Arguments::Words(blank_separated(self.line.as_str(), rest, |cut| self.word(&cut)))
    }

    fn json_or_text(&mut self, rest: Range<usize>) -> Arguments {
        match self.json(rest.clone()) {
            Some(array) => array,
            None => Arguments::Text(self.raw(rest)),
        }
    }

    /// The arguments as an array of strings, if they are one.
    fn json(&mut self, rest: Range<usize>) -> Option<Arguments> {
        let ignore_rest = self.dialect.does(Behavior::JsonMayHaveTrailingText);
        match strings(&self.line.as_str()[rest.clone()], ignore_rest) {
            Ok(members) => {
                let words = members.into_iter().map(|member| self.member(member, rest.start));
                Some(Arguments::Json(words.collect()))
            }
            Err(JsonError::NotAnArray) => None,
            Err(JsonError::Syntax(at)) => {
                let at = rest.start + at;
                self.json_error = Some(self.line.span(at..at));
                None
            }
            Err(JsonError::NotAString(at)) => {
                let at = rest.start + at;
                let message =
                    "when using JSON array syntax, arrays must be comprised of strings only";
                let span = self.line.span(at..at + 1);
                let help = "put the member in double quotes";
                self.refuse(Diagnostic::error(Code::JsonNotStrings, span, message).with_help(help));
                Some(Arguments::Text(self.raw(rest)))
            }
        }
    }

    /// A string of an array that begins at `start`.
    fn member(&self, member: Member, start: usize) -> Word {
        let range = start + member.range.start..start + member.range.end;
        let inner = range.start + 1..range.end - 1;
        let is_plain = self.line.as_str()[inner.clone()] == member.text;
        let text = if is_plain { self.line.slice(inner) } else { Text::from(member.text) };
        Word::new(text, self.line.span(range))
    }

    fn pairs(&mut self, keyword: &str, rest: Range<usize>) -> Arguments {
        let line: &'a Line = self.line;
        let text = line.as_str();
        let words = quoted(text, rest.clone(), self.escape.char(), |cut| cut);
        if !words.first().is_some_and(|word| word.text.contains('=')) {
            return self.legacy_pair(keyword, rest);
        }
        let mut pairs = Vec::with_capacity(words.len());
        for word in words {
            let Some(at) = word.text.find('=') else {
                let span = self.line.span(word.range);
                let text = &word.text;
                let message = format!(
                    "Syntax error - can't find = in {text:?}. Must be of the form: name=value"
                );
                let help = "a value with blanks needs quotes: name=\"two words\"";
                self.refuse(Diagnostic::error(Code::MissingEquals, span, message).with_help(help));
                continue;
            };
            let split = word.range.start + at;
            let key = self.raw(word.range.start..split);
            let text = split + 1..word.range.start + word.text.len();
            let span = self.line.span(split + 1..word.range.end);
            let value = Word::new(self.line.slice(text), span);
            pairs.push(Pair { key, value, has_equals: true });
        }
        Arguments::Pairs(pairs)
    }

    /// `ENV name the rest of the line`.
    fn legacy_pair(&mut self, keyword: &str, rest: Range<usize>) -> Arguments {
        let (key, value) = first_word(self.line.as_str(), rest.clone());
        let Some(value) = value else {
            let span = self.line.span(rest.clone());
            let message = format!("{keyword} must have two arguments");
            let help =
                format!("write `{keyword} {}=value`", self.line.as_str()[key].escape_debug());
            self.refuse(Diagnostic::error(Code::MissingArguments, span, message).with_help(help));
            return Arguments::Text(self.raw(rest));
        };
        let (key, value) = (self.raw(key), self.raw(value));
        Arguments::Pairs(vec![Pair { key, value, has_equals: false }])
    }

    fn trigger(&mut self, rest: Range<usize>, depth: usize) -> Arguments {
        let reading = self.instruction(rest.clone(), depth + 1);
        self.is_broken |= reading.is_broken;
        let trigger = Statement {
            span: self.line.span(rest.clone()),
            arguments: reading.arguments,
            line: self.line.part(rest),
            rare: Rare::of(reading.flags, reading.json_error),
            meaning: Meaning::default(),
            keyword_len: narrow(reading.keyword.len()),
            pieces: Pieces::None,
            escape: self.escape,
            is_broken: reading.is_broken,
        };
        Arguments::Trigger(Box::new(trigger))
    }
}

/// Splits a range at its first white space of any kind.
fn first_white_space(text: &str, range: Range<usize>) -> (Range<usize>, Range<usize>) {
    let part = &text[range.clone()];
    let at = range.start + part.find(char::is_whitespace).unwrap_or(part.len());
    (range.start..at, trim(text, at..range.end))
}
