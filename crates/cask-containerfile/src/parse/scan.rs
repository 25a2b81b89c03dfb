//! Lines become items.

use super::ParseOptions;
use super::arguments::{Reading, read};
use super::lines::{self, Line, continuation};
use crate::diagnostic::{Code, Collector, Diagnostic};
use crate::dialect::Behavior;
use crate::expand::Escape;
use crate::heredoc::{Heredoc, Opening, openings};
use crate::instruction;
use crate::line::{self, Joining};
use crate::span::{Lines, Span, narrow};
use crate::statement::{Arguments, Meaning, Pieces, Rare, Statement, Token, TokenKind};
use crate::text::{Buffer, Text};
use crate::tree::{Directive, DirectiveKey, Node};

/// White space within a directive.
pub(crate) const DIRECTIVE_BLANKS: [char; 5] = ['\t', '\n', '\u{c}', '\r', ' '];

/// What the lines of a source are.
#[derive(Default)]
pub(super) struct Scanned {
    pub(super) nodes: Vec<Node>,
    pub(super) directives: Vec<Directive>,
    pub(super) statements: Vec<Statement>,
    pub(super) escape: Escape,
    pub(super) diagnostics: Collector,
}

/// Reads all lines of a source.
pub(super) fn scan(source: &Buffer, lines: &Lines, options: &ParseOptions) -> Scanned {
    // An item has a line at least, but for the byte order mark.
    let nodes = Vec::with_capacity(lines.count() + 1);
    let found = Scanned { nodes, ..Scanned::default() };
    let mut scanner = Scanner {
        source,
        lines,
        options,
        line: 1,
        at: 0,
        found,
        comments: Vec::new(),
        may_be_directive: true,
    };
    scanner.file();
    scanner.found
}

struct Scanner<'a> {
    source: &'a Buffer,
    lines: &'a Lines,
    options: &'a ParseOptions,
    /// The line that is next, counted from 1.
    line: usize,
    /// Where it begins.
    at: usize,
    found: Scanned,
    /// Comments since the last instruction, and since the last empty one of them.
    comments: Vec<Span>,
    /// Whether a parser directive may come.
    may_be_directive: bool,
}

impl Scanner<'_> {
    fn file(&mut self) {
        if self.source.starts_with('\u{feff}') {
            self.at = '\u{feff}'.len_utf8();
            self.found.nodes.push(Node::ByteOrderMark(Span::new(0, self.at)));
        }
        while let Some(line) = self.next_line() {
            let content = &self.source[line.span.start()..line.content_end];
            let text = content.trim_start();
            if text.is_empty() {
                self.may_be_directive = false;
                self.found.nodes.push(Node::EmptyLine(line.span));
            } else if text.starts_with('#') {
                self.comment(line, line.content_end - text.len());
            } else {
                self.may_be_directive = false;
                self.statement(line, line.content_end - text.len());
            }
        }
    }

    fn next_line(&mut self) -> Option<Line> {
        let end = self.lines.start(self.line + 1).unwrap_or(self.source.len());
        if self.at == end {
            return None;
        }
        let line = lines::line(self.source, self.at..end);
        self.line += 1;
        self.at = end;
        let length = line.content_end - line.span.start();
        if length > super::LINE_MAX_BYTES {
            let message = format!(
                "dockerfile line greater than max allowed size of {}: it has {length} bytes",
                super::LINE_MAX_BYTES
            );
            let span = Span::new(line.span.start(), line.content_end);
            self.found.diagnostics.error(Code::LineTooLong, span, message);
        }
        Some(line)
    }

    /// A comment, or a directive; `start` is where its `#` is.
    fn comment(&mut self, line: Line, start: usize) {
        if let Some(directive) = self.directive(line, start) {
            self.found.nodes.push(Node::Directive(narrow(self.found.directives.len())));
            self.found.directives.push(directive);
            return;
        }
        let span = Span::new(start, line.content_end);
        if self.source[start + 1..line.content_end].trim().is_empty() {
            self.comments.clear();
        } else {
            self.comments.push(span);
        }
        self.found.nodes.push(Node::Comment(line.span));
    }

    fn directive(&mut self, line: Line, start: usize) -> Option<Directive> {
        if !self.may_be_directive {
            return None;
        }
        let text = &self.source[start + 1..line.content_end];
        let Some((key, value)) = key_and_value(text) else {
            self.may_be_directive = false;
            return None;
        };
        let value_start = line.content_end
            - text[text.find('=').map_or(0, |at| at + 1)..]
                .trim_start_matches(DIRECTIVE_BLANKS)
                .len();
        let value_span = Span::new(value_start, value_start + value.len());
        let directive = Directive { key, value: value.to_owned(), span: line.span, value_span };
        if self.found.directives.iter().any(|known| known.key == key) {
            let name = key_name(key);
            let message = format!("only one {name} parser directive can be used");
            let span = Span::new(start, line.content_end);
            let help = "remove this line; the first one counts";
            self.found
                .diagnostics
                .push(Diagnostic::error(Code::DuplicateDirective, span, message).with_help(help));
        } else if key == DirectiveKey::Escape {
            match value {
                "\\" => self.found.escape = Escape::Backslash,
                "`" => self.found.escape = Escape::Backtick,
                other => {
                    let other = other.escape_debug();
                    let message = format!("invalid escape token '{other}' does not match ` or \\");
                    self.found.diagnostics.error(Code::InvalidEscape, value_span, message);
                }
            }
        }
        Some(directive)
    }

    /// Reads an instruction, whose keyword begins at `start` of its first line.
    fn statement(&mut self, first: Line, start: usize) {
        let (line, pieces) = self.join(first, start);
        let reading =
            read(&line, self.found.escape, self.options.dialect, &mut self.found.diagnostics);
        let takes_heredocs = may_have_heredoc(&reading, line.as_str());
        let mut statement = Statement {
            span: first.span,
            arguments: reading.arguments,
            line,
            rare: Rare::of(reading.flags, reading.json_error),
            meaning: Meaning::default(),
            keyword_len: narrow(reading.keyword.len()),
            pieces: Pieces::Line,
            escape: self.found.escape,
            is_broken: reading.is_broken,
        };
        if let Some(pieces) = pieces {
            statement.pieces = Pieces::Many;
            let is_empty = |piece: &&Token| piece.kind == TokenKind::EmptyLine;
            let rare = statement.rare_mut();
            rare.empty_lines = pieces.iter().filter(is_empty).map(|piece| piece.span).collect();
            rare.pieces = pieces;
        }
        if !self.comments.is_empty() {
            statement.rare_mut().comments = std::mem::take(&mut self.comments);
        }
        if takes_heredocs {
            self.heredocs(&mut statement);
        }
        statement.span = Span::new(first.span.start(), self.at);
        // What is not told need not be looked for.
        if !statement.is_broken && !self.found.diagnostics.is_full() {
            let _ = instruction::lower(&statement, &mut self.found.diagnostics);
        }
        self.found.nodes.push(Node::Statement(narrow(self.found.statements.len())));
        self.found.statements.push(statement);
    }

    /// Joins the lines of an instruction; the pieces that it is made of, where it has several.
    fn join(&mut self, first: Line, start: usize) -> (line::Line, Option<Vec<Token>>) {
        if self.cut(first, start).is_none() {
            return (line::Line::of_source(self.source, start..first.content_end), None);
        }
        let mut joined = Joined::default();
        joined.piece(TokenKind::Blank, first.span.start(), start);
        self.join_lines(&mut joined, first, start);
        (joined.line.finish(), Some(joined.pieces))
    }

    fn join_lines(&mut self, joined: &mut Joined, first: Line, start: usize) {
        let mut line = first;
        let mut start = start;
        while self.join_line(joined, line, start) {
            // Comments and empty lines do not end the instruction.
            line = loop {
                let Some(next) = self.next_line() else { return };
                let text = self.source[next.span.start()..next.content_end].trim_start();
                let kind = if text.starts_with('#') {
                    TokenKind::Comment
                } else if text.is_empty() {
                    TokenKind::EmptyLine
                } else {
                    break next;
                };
                joined.piece(kind, next.span.start(), next.span.end());
            };
            start = line.span.start();
        }
    }

    /// Adds a line from `start` on; whether the next line belongs to it.
    fn join_line(&self, joined: &mut Joined, line: Line, start: usize) -> bool {
        let cut = self.cut(line, start);
        let end = cut.unwrap_or(line.content_end);
        joined.line.push(self.source, start..end);
        joined.piece(TokenKind::Blank, start, end);
        let kind = if cut.is_some() { TokenKind::Continuation } else { TokenKind::LineEnd };
        joined.piece(kind, end, line.span.end());
        cut.is_some()
    }

    /// Where the escape is that continues a line, from `start` on.
    fn cut(&self, line: Line, start: usize) -> Option<usize> {
        let text = &self.source[start..line.content_end];
        let doubled = self.options.dialect.does(Behavior::DoubledEscapeContinues);
        Some(start + continuation(text, self.found.escape.char(), doubled)?)
    }

    /// Reads the bodies of the heredocs of an instruction.
    fn heredocs(&mut self, statement: &mut Statement) {
        let openings = match openings(statement.line.as_str()) {
            Ok(openings) => openings,
            Err(error) => {
                let message = format!("the name of a heredoc cannot be read: {error}");
                self.found.diagnostics.error(Code::InvalidHeredoc, statement.head(), message);
                return;
            }
        };
        let heredocs: Vec<Heredoc> = openings
            .into_iter()
            .map(|opening| {
                let span = statement.line.span(opening.range.clone());
                let name = name_of(&opening, &statement.line);
                // Only what is on its lines is known so far.
                let end = self.at;
                self.heredoc(&opening, name, span, statement.pieces_mut(end))
            })
            .collect();
        if let Arguments::Trigger(trigger) = &mut statement.arguments {
            trigger.rare_mut().heredocs.clone_from(&heredocs);
        }
        statement.rare_mut().heredocs = heredocs;
    }

    fn heredoc(
        &mut self,
        opening: &Opening,
        name: Text,
        span: Span,
        pieces: &mut Vec<Token>,
    ) -> Heredoc {
        let start = self.at;
        let mut end = None;
        while let Some(line) = self.next_line() {
            let text = &self.source[line.span.start()..line.content_end];
            let text = if opening.strips_tabs { text.trim_start_matches('\t') } else { text };
            if name == text {
                end = Some(line.span);
                break;
            }
        }
        let body = Span::new(start, end.map_or(self.at, Span::start));
        if !body.is_empty() {
            pieces.push(Token { kind: TokenKind::HeredocBody, span: body });
        }
        match end {
            Some(span) => pieces.push(Token { kind: TokenKind::HeredocEnd, span }),
            None if self.found.diagnostics.is_full() => {}
            None => {
                let shown = name.escape_debug();
                let help = format!("end it with a line that is nothing but `{shown}`");
                let found =
                    Diagnostic::error(Code::UnterminatedHeredoc, span, "unterminated heredoc");
                self.found.diagnostics.push(found.with_help(help));
            }
        }
        Heredoc {
            name,
            descriptor: opening.descriptor,
            expands: opening.expands,
            strips_tabs: opening.strips_tabs,
            span,
            body,
            text: Text::slice_of(self.source, body.range()),
        }
    }
}

/// The name of a heredoc, as a part of its line where it is written without quotes and escapes.
fn name_of(opening: &Opening, line: &line::Line) -> Text {
    let word = line.slice(opening.range.clone());
    match word.strip_suffix(opening.name.as_str()) {
        Some(before) => word.slice(before.len()..word.len()),
        None => Text::from(opening.name.as_str()),
    }
}

/// The lines of an instruction as one.
#[derive(Default)]
struct Joined {
    line: Joining,
    pieces: Vec<Token>,
}

impl Joined {
    fn piece(&mut self, kind: TokenKind, start: usize, end: usize) {
        if start < end {
            self.pieces.push(Token { kind, span: Span::new(start, end) });
        }
    }
}

/// Whether heredocs are read: for RUN, COPY and ADD, and for ONBUILD of these, not in JSON.
fn may_have_heredoc(reading: &Reading, line: &str) -> bool {
    let is = |word: &str| ["RUN", "COPY", "ADD"].iter().any(|name| name.eq_ignore_ascii_case(word));
    let may = match &reading.arguments {
        Arguments::Trigger(trigger) => is(trigger.keyword()) && !trigger.is_json(),
        arguments => is(&line[reading.keyword.clone()]) && !matches!(arguments, Arguments::Json(_)),
    };
    may && line.contains('<')
}

/// A directive behind its `#`: `^\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$`, with a key that is
/// known.
pub(crate) fn key_and_value(text: &str) -> Option<(DirectiveKey, &str)> {
    let (key, value) = text.split_once('=')?;
    let key = key.trim_start().trim_end_matches(DIRECTIVE_BLANKS).to_ascii_lowercase();
    let value = value.trim_matches(DIRECTIVE_BLANKS);
    let key = match key.as_str() {
        "escape" => DirectiveKey::Escape,
        "syntax" => DirectiveKey::Syntax,
        "check" => DirectiveKey::Check,
        _ => return None,
    };
    (!value.is_empty()).then_some((key, value))
}

fn key_name(key: DirectiveKey) -> &'static str {
    match key {
        DirectiveKey::Escape => "escape",
        DirectiveKey::Syntax => "syntax",
        DirectiveKey::Check => "check",
    }
}
