#![doc = include_str!("../README.md")]

mod diagnostic;
mod dialect;
mod diff;
mod edit;
mod expand;
mod format;
mod graph;
mod heredoc;
mod ignore;
pub mod instruction;
mod json;
mod line;
mod lint;
mod outline;
mod parse;
mod render;
mod span;
mod stages;
mod statement;
mod suggest;
mod text;
mod tree;
mod words;

pub use diagnostic::{Code, DIAGNOSTICS_MAX, Diagnostic, Note, Severity};
pub use dialect::{Behavior, Dialect};
pub use diff::unified_diff;
pub use edit::{Edit, apply};
pub use expand::{
    BuildArguments, EXPANSION_MAX_BYTES, EXPANSION_MAX_DEPTH, Escape, ExpandError, ExpandErrorKind,
    ExpandOptions, Expansion, GlobalScope, PlatformArguments, StageScope, VariableUse, Variables,
    expand, expand_words, is_predefined,
};
pub use format::{format, format_edits};
pub use graph::{Dependency, Graph, Link, Needed, Resolved};
pub use heredoc::Heredoc;
pub use ignore::{Decision, IgnoreError, IgnoreFile, IgnoreRule};
pub use lint::{BaseImage, CheckError, Checks, LintOptions, LintReport, Rule, UnknownRule, lint};
pub use outline::{Outline, OutlinedArgument, OutlinedId};
pub use parse::{LINE_MAX_BYTES, ParseOptions, Parsed, parse, parse_with};
pub use render::{
    RenderedFile, render_excerpt, render_json, render_sarif, render_short, render_text,
};
pub use span::{Lines, Position, SOURCE_MAX_BYTES, Span, Utf16Position};
pub use stages::{Stage, Stages};
pub use statement::{Arguments, Flag, Pair, Statement, Token, TokenKind, Word};
pub use text::Text;
pub use tree::{Directive, DirectiveKey, Item, Tree};
