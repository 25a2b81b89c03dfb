//! One instruction as it is written.

use std::ops::Range;
use std::sync::OnceLock;

use crate::diagnostic::Collector;
use crate::expand::Escape;
use crate::heredoc::Heredoc;
use crate::instruction::{Instruction, lower};
use crate::line::Line;
use crate::span::Span;
use crate::text::Text;

/// A word of an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Word {
    /// The text; a string of a JSON array is decoded, everything else is as it is written, with
    /// lines joined.
    pub text: Text,
    /// Where it is; of a JSON string, with its quotes.
    pub span: Span,
}

impl Word {
    pub(crate) fn new(text: impl Into<Text>, span: Span) -> Self {
        Self { text: text.into(), span }
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
    pub text: Text,
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
                Span::new(self.span.start() + at + 1, self.span.end())
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
    Typed(Box<(Word, Arguments)>),
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pieces {
    /// That is not known: it is in an ONBUILD.
    #[default]
    None,
    /// One line, with its end.
    Line,
    /// Several lines: the pieces are among what few statements have.
    Many,
}

/// What few statements have: not each is to be large for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rare {
    pub(crate) flags: Vec<Flag>,
    pub(crate) heredocs: Vec<Heredoc>,
    pub(crate) comments: Vec<Span>,
    pub(crate) empty_lines: Vec<Span>,
    pub(crate) json_error: Option<Span>,
    pub(crate) pieces: Vec<Token>,
}

impl Rare {
    /// `None` where there is nothing of it.
    pub(crate) fn of(flags: Vec<Flag>, json_error: Option<Span>) -> Option<Box<Self>> {
        let has = !flags.is_empty() || json_error.is_some();
        has.then(|| Box::new(Self { flags, json_error, ..Self::default() }))
    }
}

/// What a statement means, once somebody has asked. It follows from the statement, and so is no
/// part of what makes two of them equal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meaning(OnceLock<Option<Box<Instruction>>>);

impl PartialEq for Meaning {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Meaning {}

/// An instruction as it is written: a node of the [`Tree`](crate::Tree).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statement {
    /// The whole instruction: its first line with the indentation, all its lines, the comments
    /// among them, the heredocs, and the end of the last line.
    pub span: Span,
    /// Its arguments.
    pub arguments: Arguments,
    pub(crate) line: Line,
    pub(crate) rare: Option<Box<Rare>>,
    pub(crate) meaning: Meaning,
    /// Of the word that begins the line.
    pub(crate) keyword_len: u32,
    pub(crate) pieces: Pieces,
    pub(crate) escape: Escape,
    /// There is an error in it that was told, and so it means nothing.
    pub(crate) is_broken: bool,
}

impl Statement {
    /// The word that begins it.
    #[must_use]
    pub fn keyword(&self) -> &str {
        &self.line.as_str()[self.keyword_range()]
    }

    /// Where the word is that begins it.
    #[must_use]
    pub fn keyword_span(&self) -> Span {
        self.line.span(self.keyword_range())
    }

    fn keyword_range(&self) -> Range<usize> {
        let line = self.line.as_str();
        let start = line.len() - line.trim_start().len();
        start..start + self.keyword_len as usize
    }

    /// From the keyword to the last character of the arguments.
    #[must_use]
    pub fn head(&self) -> Span {
        self.line.span(0..self.line.as_str().trim_end().len())
    }

    /// What it means; `None` where there is an error in it. Found out at the first call, and kept.
    #[must_use]
    pub fn instruction(&self) -> Option<&Instruction> {
        if self.is_broken {
            return None;
        }
        // What is wrong with it was told when the file was parsed.
        let meaning = || lower(self, &mut Collector::default()).map(Box::new);
        self.meaning.0.get_or_init(meaning).as_deref()
    }

    /// Its flags.
    #[must_use]
    pub fn flags(&self) -> &[Flag] {
        self.rare.as_ref().map_or(&[], |rare| &rare.flags)
    }

    /// Its heredocs, in the order of their bodies.
    #[must_use]
    pub fn heredocs(&self) -> &[Heredoc] {
        self.rare.as_ref().map_or(&[], |rare| &rare.heredocs)
    }

    /// The comments since the instruction before: where each one is, from its `#`.
    #[must_use]
    pub fn comments(&self) -> &[Span] {
        self.rare.as_ref().map_or(&[], |rare| &rare.comments)
    }

    /// The empty lines in it.
    #[must_use]
    pub fn empty_lines(&self) -> &[Span] {
        self.rare.as_ref().map_or(&[], |rare| &rare.empty_lines)
    }

    /// Where in it the text stops to be JSON, if it begins as an array and is none.
    #[must_use]
    pub fn json_error(&self) -> Option<Span> {
        self.rare.as_ref()?.json_error
    }

    pub(crate) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// What it is made of, without a gap; the text of its words counts as blank.
    fn pieces(&self) -> Vec<Token> {
        match self.pieces {
            Pieces::None => Vec::new(),
            Pieces::Many => self.rare.as_ref().map_or_else(Vec::new, |rare| rare.pieces.clone()),
            Pieces::Line => {
                let (start, end) = (self.head().start(), self.line.end());
                let all = [
                    (TokenKind::Blank, Span::new(self.span.start(), start)),
                    (TokenKind::Blank, Span::new(start, end)),
                    (TokenKind::LineEnd, Span::new(end, self.span.end())),
                ];
                let all = all.into_iter().filter(|(_, span)| !span.is_empty());
                all.map(|(kind, span)| Token { kind, span }).collect()
            }
        }
    }

    /// An empty word behind its head.
    pub(crate) fn nothing(&self) -> Word {
        let end = self.line.as_str().trim_end().len();
        let at = self.head().end();
        Word::new(self.line.slice(end..end), Span::new(at, at))
    }

    /// The list of its pieces, to add to it; `end` is where the statement ends so far.
    pub(crate) fn pieces_mut(&mut self, end: usize) -> &mut Vec<Token> {
        if self.pieces != Pieces::Many {
            self.span = Span::new(self.span.start(), end);
            self.rare_mut().pieces = self.pieces();
            self.pieces = Pieces::Many;
        }
        &mut self.rare_mut().pieces
    }

    /// The text with its lines joined, without comments, from the keyword on; without heredocs.
    #[must_use]
    pub fn text(&self) -> &str {
        self.line.as_str()
    }

    /// Whether the keyword is this one, in upper or lower case.
    #[must_use]
    pub fn is(&self, keyword: &str) -> bool {
        self.keyword().eq_ignore_ascii_case(keyword)
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
                Arguments::Typed(typed) => {
                    words.push(&typed.0);
                    collect(&typed.1, words);
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
            Arguments::Typed(typed) => matches!(typed.1, Arguments::Json(_)),
            _ => false,
        }
    }

    /// Where a part of a word is in the source; the whole word, where that cannot be told.
    #[must_use]
    pub fn span_in(&self, word: &Word, part: Range<usize>) -> Span {
        let Some(range) = self.line.place_of(&word.text) else { return word.span };
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
        let mut marks = vec![Token { kind: TokenKind::Keyword, span: self.keyword_span() }];
        self.mark(&mut marks);
        marks.retain(|mark| !mark.span.is_empty());
        marks.sort_by_key(|mark| (mark.span.start(), mark.span.end()));
        let mut tokens = Vec::new();
        let mut next = 0;
        for piece in &self.pieces() {
            if piece.kind != TokenKind::Blank {
                tokens.push(*piece);
                continue;
            }
            let mut at = piece.span.start();
            while at < piece.span.end() {
                while marks.get(next).is_some_and(|mark| mark.span.end() <= at) {
                    next += 1;
                }
                let (kind, end) = match marks.get(next) {
                    Some(mark) if mark.span.start() <= at => (mark.kind, mark.span.end()),
                    Some(mark) => (TokenKind::Blank, mark.span.start()),
                    None => (TokenKind::Blank, piece.span.end()),
                };
                let end = end.min(piece.span.end());
                tokens.push(Token { kind, span: Span::new(at, end) });
                at = end;
            }
        }
        tokens
    }

    fn mark(&self, marks: &mut Vec<Token>) {
        let flags = self.flags().iter().map(|flag| (TokenKind::Flag, flag.span));
        let words = self.words();
        let words = words.iter().map(|word| (TokenKind::Argument, word.span));
        marks.extend(flags.chain(words).map(|(kind, span)| Token { kind, span }));
        if let Arguments::Trigger(trigger) = &self.arguments {
            marks.push(Token { kind: TokenKind::Keyword, span: trigger.keyword_span() });
            trigger.mark(marks);
        }
    }
}
