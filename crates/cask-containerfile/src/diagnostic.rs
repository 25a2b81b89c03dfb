//! What is wrong with a text, and where.

use std::fmt;

use crate::lint::Rule;
use crate::span::Span;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// The file builds, and something could be better.
    Warning,
    /// No builder takes the file.
    Error,
}

impl Severity {
    /// The word for it: `warning` or `error`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What a diagnostic is about. The text of a code is stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $name,)*
            /// A lint found something.
            Lint(Rule),
        }

        impl Code {
            /// Every code but those of the lints.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable text of the code, for example `unknown-flag`; the name of the rule for
            /// a lint.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Lint(rule) => rule.name(),
                }
            }
        }
    };
}

codes! {
    /// There is no instruction in the file.
    NoInstructions = "no-instructions",
    /// There is no FROM in the file.
    NoStages = "no-stages",
    /// An instruction other than ARG stands before the first FROM.
    OutsideStage = "outside-stage",
    /// A word begins a line and is no instruction.
    UnknownInstruction = "unknown-instruction",
    /// The `escape` directive names another character than `\` or `` ` ``.
    InvalidEscape = "invalid-escape",
    /// A parser directive is there twice.
    DuplicateDirective = "duplicate-directive",
    /// The `check` directive cannot be read.
    InvalidCheck = "invalid-check",
    /// A line is longer than we read.
    LineTooLong = "line-too-long",
    /// The file is longer than we read.
    FileTooLong = "file-too-long",
    /// A heredoc has no end line.
    UnterminatedHeredoc = "unterminated-heredoc",
    /// The name of a heredoc cannot be read.
    InvalidHeredoc = "invalid-heredoc",
    /// A heredoc stands where it may not.
    MisplacedHeredoc = "misplaced-heredoc",
    /// A JSON array has a member that is no string.
    JsonNotStrings = "json-not-strings",
    /// The arguments must be a JSON array.
    JsonRequired = "json-required",
    /// Arguments are missing.
    MissingArguments = "missing-arguments",
    /// There are too many arguments.
    TooManyArguments = "too-many-arguments",
    /// A word of `name=value` words has no `=`.
    MissingEquals = "missing-equals",
    /// A name is empty.
    BlankName = "blank-name",
    /// A value is empty where it may not be.
    BlankValue = "blank-value",
    /// The instruction does not have this flag.
    UnknownFlag = "unknown-flag",
    /// A flag is given twice.
    DuplicateFlag = "duplicate-flag",
    /// A flag needs a value.
    MissingFlagValue = "missing-flag-value",
    /// The value of a flag is not one of those that it takes.
    InvalidFlagValue = "invalid-flag-value",
    /// A field of a mount cannot be.
    InvalidMount = "invalid-mount",
    /// The name of a stage is not one.
    InvalidStageName = "invalid-stage-name",
    /// ONBUILD has a trigger that it may not have.
    InvalidTrigger = "invalid-trigger",
    /// HEALTHCHECK cannot be read.
    InvalidHealthcheck = "invalid-healthcheck",
    /// A port, a range of ports or a protocol is not one.
    InvalidPort = "invalid-port",
    /// A variable cannot be replaced.
    InvalidSubstitution = "invalid-substitution",
    /// Stages need each other in a circle, or one needs itself or a later one.
    CircularStages = "circular-stages",
    /// There is no such stage.
    UnknownStage = "unknown-stage",
    /// A frontend is asked for that is not this language.
    ForeignSyntax = "foreign-syntax",
    /// There were more diagnostics than we keep.
    TooMany = "too-many",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Another place that has to do with a diagnostic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// The place, if it is one.
    pub span: Option<Span>,
    /// What there is to know.
    pub message: String,
}

/// Something that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// What it is about.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub span: Span,
    /// What is wrong, with the words that BuildKit and Buildah use for it.
    pub message: String,
    /// More to know.
    pub notes: Vec<Note>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Makes an error without notes and help.
    #[must_use]
    pub fn error(code: Code, span: Span, message: impl Into<String>) -> Self {
        let severity = Severity::Error;
        Self { code, severity, span, message: message.into(), notes: Vec::new(), help: None }
    }

    /// Makes a warning without notes and help.
    #[must_use]
    pub fn warning(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    /// Says what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a note, at a place or without.
    #[must_use]
    pub fn with_note(mut self, span: Option<Span>, message: impl Into<String>) -> Self {
        self.notes.push(Note { span, message: message.into() });
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Diagnostics as they are found, up to a number.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    found: Vec<Diagnostic>,
    full: bool,
}

/// The most diagnostics that one call gives; the last one then says that there were more.
pub const DIAGNOSTICS_MAX: usize = 1000;

impl Collector {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        if self.found.len() + 1 < DIAGNOSTICS_MAX {
            self.found.push(diagnostic);
        } else if !self.full {
            self.full = true;
            let message =
                format!("more than {} diagnostics: the others are left out", DIAGNOSTICS_MAX - 1);
            self.found.push(Diagnostic { code: Code::TooMany, message, ..diagnostic });
        }
    }

    /// Whether what is pushed is dropped: then nobody need to compute it.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    pub(crate) fn error(&mut self, code: Code, span: Span, message: impl Into<String>) {
        if !self.full {
            self.push(Diagnostic::error(code, span, message));
        }
    }

    /// By place; diagnostics of one place stay in the order in which they were found.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|diagnostic| diagnostic.span.start());
        self.found
    }
}
