//! What can be wrong with a template.

/// Why a text is no template.
///
/// `Display` is Go's own wording: `template: NAME:LINE: unexpected "|" in command`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    pub(super) kind: ParseErrorKind,
    pub(super) name: String,
    pub(super) input: String,
    pub(super) line: usize,
    pub(super) offset: usize,
    pub(super) message: String,
}

/// The kinds of [`ParseError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// The text does not follow the grammar.
    Syntax,
    /// A number, string or character literal is malformed.
    Literal,
    /// A function that does not exist.
    UndefinedFunction,
    /// A variable that is not declared where it is used.
    UndefinedVariable,
    /// Two definitions of one template.
    DuplicateTemplate,
    /// The text is longer, or nests deeper, than [`Limits`](super::Limits) allow.
    Limit,
}

impl ParseError {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ParseErrorKind {
        self.kind
    }

    /// The text that was parsed.
    #[must_use]
    pub fn input(&self) -> &str {
        &self.input
    }

    /// Where in [`input`](Self::input) the token starts that is wrong, or the one at which it was
    /// noticed, in bytes.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The line at which it was noticed, counted from one.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "template: {}:{}: {}", self.name, self.line, self.message)
    }
}

impl std::error::Error for ParseError {}

/// Why a template cannot be applied to a value.
///
/// `Display` is Go's own wording: `template: NAME:LINE:COLUMN: executing "NAME" at <.Foo>: can't
/// evaluate field Foo in type T`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionError {
    pub(super) kind: ExecutionErrorKind,
    /// Of the text, which the location refers to.
    pub(super) text_name: String,
    /// Of the template in it that was being executed.
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) context: String,
    pub(super) message: String,
}

/// The kinds of [`ExecutionError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecutionErrorKind {
    /// The value has no such field, or is of a kind that the template cannot use there.
    Data,
    /// A function was given too few, too many or unfit arguments.
    Call,
    /// `{{template}}` names one that is not defined.
    UndefinedTemplate,
    /// One of the [`Limits`](super::Limits) was reached.
    Limit,
}

impl ExecutionError {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ExecutionErrorKind {
        self.kind
    }

    /// The line of the failing part, counted from one.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column of the failing part, in bytes, counted from zero as Go counts it.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }
}

impl std::fmt::Display for ExecutionError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "template: {}:{}:{}: executing {} at <{}>: {}",
            self.text_name,
            self.line,
            self.column,
            crate::go::quote_text(&self.name),
            self.context,
            self.message
        )
    }
}

impl std::error::Error for ExecutionError {}
