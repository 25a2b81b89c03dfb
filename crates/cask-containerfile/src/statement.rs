//! One instruction as it is written.

use std::ops::Range;

use crate::expand::Escape;
use crate::heredoc::Heredoc;
use crate::instruction::Instruction;
use crate::span::Span;
use crate::text::Text;

/// A word of an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Word {
    /// The text; a string of a JSON array is decoded, everything else is as it is written, with
    /// lines joined.
    pub text: String,
    /// Where it is.
    pub span: Span,
    /// Where it is in [`Statement::text`], unless it is a JSON string.
    pub(crate) place: Place,
}

/// A range of a joined line, in few bytes: there may be as many words as bytes. There is none for
/// what is behind the first four gigabytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u32, u32);

impl Place {
    pub(crate) const NONE: Self = Self(u32::MAX, u32::MAX);

    pub(crate) fn new(range: Range<usize>) -> Self {
        match (u32::try_from(range.start), u32::try_from(range.end)) {
            (Ok(start), Ok(end)) if end < u32::MAX => Self(start, end),
            _ => Self::NONE,
        }
    }

    pub(crate) fn range(self) -> Option<Range<usize>> {
        (self != Self::NONE).then_some(self.0 as usize..self.1 as usize)
    }
}

impl Word {
    pub(crate) fn new(text: impl Into<String>, span: Span) -> Self {
        Self { text: text.into(), span, place: Place::NONE }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// A word that begins with `--`, before the arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flag {
    /// The whole flag, without quotes and escapes.
    pub text: String,
    /// Where it is, with its quotes.
    pub span: Span,
}

impl Flag {
    /// The name, without `--`.
    #[must_use]
    pub fn name(&self) -> &str {
        let text = self.text.strip_prefix("--").unwrap_or(&self.text);
        text.split_once('=').map_or(text, |(name, _)| name)
    }

    /// What is behind `=`; `None` where there is no `=`.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.text.split_once('=').map(|(_, value)| value)
    }

    /// Where the value is, if that can be told: where the flag is written without quotes and
    /// escapes. Else where the flag is.
    #[must_use]
    pub fn value_span(&self) -> Span {
        match self.text.find('=') {
            Some(at) if self.span.len() == self.text.len() => {
                Span::new(self.span.start + at + 1, self.span.end)
            }
            _ => self.span,
        }
    }
}

/// A name and a value, of ENV or LABEL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pair {
    /// The name.
    pub key: Word,
    /// The value, with its quotes.
    pub value: Word,
    /// Whether there is a `=` between them, rather than blanks.
    pub has_equals: bool,
}

/// The arguments, in the shape that the instruction has them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arguments {
    /// There are none.
    None,
    /// A JSON array of strings.
    Json(Vec<Word>),
    /// Words between blanks, with their quotes.
    Words(Vec<Word>),
    /// The rest of the line.
    Text(Word),
    /// Names and values.
    Pairs(Vec<Pair>),
    /// The type of a HEALTHCHECK, and its command.
    Typed(Word, Box<Arguments>),
    /// The instruction behind ONBUILD.
    Trigger(Box<Statement>),
}

/// What a piece of an instruction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenKind {
    /// The byte order mark at the beginning of a file.
    ByteOrderMark,
    /// The word that begins an instruction.
    Keyword,
    /// A flag.
    Flag,
    /// An argument.
    Argument,
    /// Blanks, and text that belongs to no argument.
    Blank,
    /// The escape character at the end of a line, and what is behind it, up to and with the end
    /// of the line.
    Continuation,
    /// A comment line, with its end.
    Comment,
    /// A parser directive, with the end of its line.
    Directive,
    /// An empty line, with its end.
    EmptyLine,
    /// The end of the line.
    LineEnd,
    /// The lines of a heredoc.
    HeredocBody,
    /// The line that ends a heredoc.
    HeredocEnd,
}

/// A piece of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it is.
    pub span: Span,
}

/// What an instruction is made of, without a gap; the text of its words counts as blank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pieces {
    /// That is not known: it is in an ONBUILD.
    #[default]
    None,
    /// One line, whose end begins here.
    Line(usize),
    /// Several lines.
    Many(Vec<Token>),
}

impl Pieces {
    /// All of them, where the instruction is at `span` and its keyword at `head`.
    fn list(&self, span: Span, head: Span) -> Vec<Token> {
        match self {
            Self::None => Vec::new(),
            Self::Many(pieces) => pieces.clone(),
            Self::Line(end) => {
                let all = [
                    (TokenKind::Blank, Span::new(span.start, head.start)),
                    (TokenKind::Blank, Span::new(head.start, *end)),
                    (TokenKind::LineEnd, Span::new(*end, span.end)),
                ];
                let all = all.into_iter().filter(|(_, span)| !span.is_empty());
                all.map(|(kind, span)| Token { kind, span }).collect()
            }
        }
    }

    /// The list, to add to it, of what is at `span` so far.
    pub(crate) fn many(&mut self, span: Span, head: Span) -> &mut Vec<Token> {
        if !matches!(self, Self::Many(_)) {
            *self = Self::Many(self.list(span, head));
        }
        match self {
            Self::Many(pieces) => pieces,
            Self::None | Self::Line(_) => unreachable!("it was just made"),
        }
    }
}

/// An instruction as it is written: a node of the [`Tree`](crate::Tree).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statement {
    /// The whole instruction: its first line with the indentation, all its lines, the comments
    /// among them, the heredocs, and the end of the last line.
    pub span: Span,
    /// From the keyword to the last character of the arguments.
    pub head: Span,
    /// The word that begins it.
    pub keyword: Word,
    /// Its flags.
    pub flags: Vec<Flag>,
    /// Its arguments.
    pub arguments: Arguments,
    /// Its heredocs, in the order of their bodies.
    pub heredocs: Vec<Heredoc>,
    /// The comments since the instruction before: where each one is, from its `#`.
    pub comments: Vec<Span>,
    /// The empty lines in it.
    pub empty_lines: Vec<Span>,
    /// Where in it the text stops to be JSON, if it begins as an array and is none.
    pub json_error: Option<Span>,
    pub(crate) escape: Escape,
    pub(crate) line: Text,
    pub(crate) pieces: Pieces,
    pub(crate) instruction: Option<Box<Instruction>>,
}

impl Statement {
    /// What it means; `None` where there is an error in it.
    #[must_use]
    pub fn instruction(&self) -> Option<&Instruction> {
        self.instruction.as_deref()
    }

    /// The text with its lines joined, without comments, from the keyword on; without heredocs.
    #[must_use]
    pub fn text(&self) -> &str {
        self.line.as_str()
    }

    /// Whether the keyword is this one, in upper or lower case.
    #[must_use]
    pub fn is(&self, keyword: &str) -> bool {
        self.keyword.text.eq_ignore_ascii_case(keyword)
    }

    /// The words of the arguments, in order; those of a trigger are not among them.
    #[must_use]
    pub fn words(&self) -> Vec<&Word> {
        fn collect<'a>(arguments: &'a Arguments, words: &mut Vec<&'a Word>) {
            match arguments {
                Arguments::None | Arguments::Trigger(_) => {}
                Arguments::Json(all) | Arguments::Words(all) => words.extend(all),
                Arguments::Text(word) => words.push(word),
                Arguments::Pairs(pairs) => {
                    words.extend(pairs.iter().flat_map(|pair| [&pair.key, &pair.value]));
                }
                Arguments::Typed(word, rest) => {
                    words.push(word);
                    collect(rest, words);
                }
            }
        }
        let mut words = Vec::new();
        collect(&self.arguments, &mut words);
        words
    }

    /// Whether the arguments are a JSON array.
    #[must_use]
    pub fn is_json(&self) -> bool {
        match &self.arguments {
            Arguments::Json(_) => true,
            Arguments::Typed(_, rest) => matches!(**rest, Arguments::Json(_)),
            _ => false,
        }
    }

    /// Where a part of a word is in the source; the whole word, where that cannot be told.
    #[must_use]
    pub fn span_in(&self, word: &Word, part: Range<usize>) -> Span {
        let Some(range) = word.place.range() else { return word.span };
        let end = range.start + part.end;
        if end > self.line.as_str().len() || part.start > part.end || end > range.end {
            return word.span;
        }
        self.line.span(range.start + part.start..end)
    }

    /// The pieces that the instruction is made of, without a gap: their texts together are the
    /// text of [`span`](Self::span).
    #[must_use]
    pub fn tokens(&self) -> Vec<Token> {
        let mut marks = vec![Token { kind: TokenKind::Keyword, span: self.keyword.span }];
        self.mark(&mut marks);
        marks.retain(|mark| !mark.span.is_empty());
        marks.sort_by_key(|mark| (mark.span.start, mark.span.end));
        let mut tokens = Vec::new();
        let mut next = 0;
        for piece in &self.pieces.list(self.span, self.head) {
            if piece.kind != TokenKind::Blank {
                tokens.push(*piece);
                continue;
            }
            let mut at = piece.span.start;
            while at < piece.span.end {
                while marks.get(next).is_some_and(|mark| mark.span.end <= at) {
                    next += 1;
                }
                let (kind, end) = match marks.get(next) {
                    Some(mark) if mark.span.start <= at => (mark.kind, mark.span.end),
                    Some(mark) => (TokenKind::Blank, mark.span.start),
                    None => (TokenKind::Blank, piece.span.end),
                };
                let end = end.min(piece.span.end);
                tokens.push(Token { kind, span: Span::new(at, end) });
                at = end;
            }
        }
        tokens
    }

    /// Makes the ranges of the words count from `start` of the line that they were cut from.
    pub(crate) fn rebase(&mut self, start: usize) {
        fn shift(word: &mut Word, start: usize) {
            if let Some(range) = word.place.range() {
                word.place = Place::new(range.start - start..range.end - start);
            }
        }
        fn shift_all(arguments: &mut Arguments, start: usize) {
            match arguments {
                Arguments::None | Arguments::Trigger(_) => {}
                Arguments::Json(words) | Arguments::Words(words) => {
                    words.iter_mut().for_each(|word| shift(word, start));
                }
                Arguments::Text(word) => shift(word, start),
                Arguments::Pairs(pairs) => {
                    for pair in pairs {
                        shift(&mut pair.key, start);
                        shift(&mut pair.value, start);
                    }
                }
                Arguments::Typed(word, rest) => {
                    shift(word, start);
                    shift_all(rest, start);
                }
            }
        }
        shift(&mut self.keyword, start);
        shift_all(&mut self.arguments, start);
    }

    fn mark(&self, marks: &mut Vec<Token>) {
        let flags = self.flags.iter().map(|flag| (TokenKind::Flag, flag.span));
        let words = self.words();
        let words = words.iter().map(|word| (TokenKind::Argument, word.span));
        marks.extend(flags.chain(words).map(|(kind, span)| Token { kind, span }));
        if let Arguments::Trigger(trigger) = &self.arguments {
            marks.push(Token { kind: TokenKind::Keyword, span: trigger.keyword.span });
            trigger.mark(marks);
        }
    }
}
