//! A whole file, without losing a byte of it.

use std::borrow::Cow;

use crate::expand::Escape;
use crate::parse::declared;
use crate::span::{Lines, Span};
use crate::statement::{Statement, Token, TokenKind};
use crate::text::Buffer;

/// What a parser directive is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DirectiveKey {
    /// `escape`: the character that escapes and continues lines.
    Escape,
    /// `syntax`: the frontend that is to read the file.
    Syntax,
    /// `check`: which lints are to be skipped.
    Check,
}

/// A line `# key=value` at the beginning of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Directive {
    /// The key.
    pub key: DirectiveKey,
    /// The value.
    pub value: String,
    /// The line, with its end.
    pub span: Span,
    /// Where the value is.
    pub value_span: Span,
}

/// A part of a file. The items of a file follow each other without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item<'a> {
    /// The byte order mark at the very beginning.
    ByteOrderMark(Span),
    /// A parser directive.
    Directive(&'a Directive),
    /// A comment line, with its indentation and its end.
    Comment(Span),
    /// An empty line, with its blanks and its end.
    EmptyLine(Span),
    /// An instruction.
    Statement(&'a Statement),
}

impl Item<'_> {
    /// Where it is.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::ByteOrderMark(span) | Self::Comment(span) | Self::EmptyLine(span) => *span,
            Self::Directive(directive) => directive.span,
            Self::Statement(statement) => statement.span,
        }
    }
}

/// An item as the tree keeps it, in few bytes: most of a file can be empty lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    ByteOrderMark(Span),
    /// The directive of this index.
    Directive(u32),
    Comment(Span),
    EmptyLine(Span),
    /// The statement of this index.
    Statement(u32),
}

/// A file: its text, and what is where in it.
///
/// Nothing of the text is lost: its items follow each other without a gap, and so do the tokens
/// of each, whatever the text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    pub(crate) source: Buffer,
    pub(crate) nodes: Vec<Node>,
    pub(crate) directives: Vec<Directive>,
    pub(crate) statements: Vec<Statement>,
    pub(crate) escape: Escape,
    pub(crate) lines: Lines,
}

impl Tree {
    /// The text that was parsed.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The parts of the file, in order.
    pub fn items(&self) -> impl ExactSizeIterator<Item = Item<'_>> + DoubleEndedIterator {
        self.nodes.iter().map(|node| self.item(*node))
    }

    fn item(&self, node: Node) -> Item<'_> {
        match node {
            Node::ByteOrderMark(span) => Item::ByteOrderMark(span),
            Node::Directive(index) => Item::Directive(&self.directives[index as usize]),
            Node::Comment(span) => Item::Comment(span),
            Node::EmptyLine(span) => Item::EmptyLine(span),
            Node::Statement(index) => Item::Statement(&self.statements[index as usize]),
        }
    }

    /// The instructions as they are written, in order.
    pub fn statements(&self) -> impl ExactSizeIterator<Item = &Statement> + DoubleEndedIterator {
        self.statements.iter()
    }

    /// The parser directives, in order.
    pub fn directives(&self) -> impl Iterator<Item = &Directive> {
        self.directives.iter()
    }

    /// The value of a parser directive.
    ///
    /// Of `syntax` and `check`, also where BuildKit alone looks for them: behind a first line that
    /// begins with `#!`; of `syntax`, also in comments that begin with `//`, and in a JSON object.
    #[must_use]
    pub fn directive(&self, key: DirectiveKey) -> Option<Cow<'_, str>> {
        match key {
            DirectiveKey::Escape => {
                let directive = self.directives.iter().find(|directive| directive.key == key)?;
                Some(Cow::Borrowed(&directive.value))
            }
            _ => declared(&self.source, key).map(|(value, _)| value),
        }
    }

    /// The character that escapes in this file.
    #[must_use]
    pub fn escape(&self) -> Escape {
        self.escape
    }

    /// Where the lines begin.
    #[must_use]
    pub fn lines(&self) -> &Lines {
        &self.lines
    }

    /// The text of a span.
    #[must_use]
    pub fn text(&self, span: Span) -> &str {
        self.source.get(span.range()).unwrap_or_default()
    }

    /// The instruction that a byte of the source belongs to.
    #[must_use]
    pub fn statement_at(&self, offset: usize) -> Option<&Statement> {
        let at = self.statements.partition_point(|statement| statement.span.end() <= offset);
        self.statements.get(at).filter(|statement| statement.span.contains(offset))
    }

    /// The tokens of the file, which follow each other without a gap: their texts together are
    /// the source.
    #[must_use]
    pub fn tokens(&self) -> Vec<Token> {
        let mut tokens = Vec::new();
        for item in self.items() {
            let kind = match item {
                Item::ByteOrderMark(_) => TokenKind::ByteOrderMark,
                Item::Directive(_) => TokenKind::Directive,
                Item::Comment(_) => TokenKind::Comment,
                Item::EmptyLine(_) => TokenKind::EmptyLine,
                Item::Statement(statement) => {
                    tokens.extend(statement.tokens());
                    continue;
                }
            };
            tokens.push(Token { kind, span: item.span() });
        }
        tokens
    }

    /// Prints the file from its tokens: the bytes that were parsed.
    #[must_use]
    pub fn print(&self) -> String {
        self.tokens().iter().map(|token| self.text(token.span)).collect()
    }
}
