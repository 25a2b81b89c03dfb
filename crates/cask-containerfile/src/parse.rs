//! From text to a tree.

mod arguments;
mod declared;
mod lines;
mod scan;

pub(crate) use declared::declared;
pub(crate) use scan::{DIRECTIVE_BLANKS, key_and_value};

use std::sync::Arc;

use crate::diagnostic::{Code, Collector, Diagnostic};
use crate::dialect::Dialect;
use crate::span::{Lines, SOURCE_MAX_BYTES, Span};
use crate::text::Buffer;
use crate::tree::{DirectiveKey, Tree};

/// The longest line that is read without an error, in bytes.
pub const LINE_MAX_BYTES: usize = 2 << 20;

/// How text is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseOptions {
    /// Whose reading, where they give different results.
    pub dialect: Dialect,
    /// Whether the text is one of several that make a Containerfile together: then it may be
    /// empty, and need not begin with FROM.
    pub fragment: bool,
}

/// A tree, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parsed {
    /// The file.
    pub tree: Tree,
    /// What was found while parsing, by place; at most
    /// [`DIAGNOSTICS_MAX`](crate::DIAGNOSTICS_MAX).
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    /// Whether a builder would refuse the file.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == crate::Severity::Error)
    }
}

/// Parses a Containerfile as BuildKit reads it.
///
/// Every text has a tree: what is wrong is among the diagnostics, each with its place, and
/// everything else is there. Takes time in proportion to the length of the text.
#[must_use]
pub fn parse(source: &str) -> Parsed {
    parse_with(source, &ParseOptions::default())
}

/// Parses a Containerfile, or a part of one.
///
/// A file of bytes that are not UTF-8 is to be decoded by the caller, with replacement characters
/// or with an error. Of a text that is longer than [`SOURCE_MAX_BYTES`], which is an error, the
/// tree has the beginning.
#[must_use]
pub fn parse_with(source: &str, options: &ParseOptions) -> Parsed {
    parse_up_to(source, options, SOURCE_MAX_BYTES)
}

fn parse_up_to(source: &str, options: &ParseOptions, limit: usize) -> Parsed {
    let length = source.len();
    let source = &source[..source.floor_char_boundary(limit)];
    let lines = Lines::new(source);
    let source: Buffer = Arc::new(Box::from(source));
    let found = scan::scan(&source, &lines, options);
    let scan::Scanned { nodes, directives, statements, escape, mut diagnostics } = found;
    let tree = Tree { source, nodes, directives, statements, escape, lines };
    if tree.source.len() < length {
        let end = Span::new(tree.source.len(), tree.source.len());
        let message = format!("the file has {length} bytes, and more than {limit} are not read");
        diagnostics.error(Code::FileTooLong, end, message);
    }
    check_file(&tree, options, &mut diagnostics);
    Parsed { tree, diagnostics: diagnostics.finish() }
}

/// What is wrong with the file as a whole.
fn check_file(tree: &Tree, options: &ParseOptions, diagnostics: &mut Collector) {
    check_syntax(tree, diagnostics);
    if options.fragment {
        return;
    }
    let end = Span::new(tree.source.len(), tree.source.len());
    let Some(first) = tree.statements().next() else {
        let message = if tree.source.trim().is_empty() {
            "file with no instructions: the Dockerfile cannot be empty"
        } else {
            "file with no instructions"
        };
        let help = "begin with `FROM image`, or with `FROM scratch`";
        diagnostics.push(Diagnostic::error(Code::NoInstructions, end, message).with_help(help));
        return;
    };
    let outside = tree.statements().find(|statement| !statement.is("ARG"));
    match outside {
        Some(statement) if statement.is("FROM") => {}
        Some(statement)
            if statement.instruction().is_some() || is_instruction(statement.keyword()) =>
        {
            let span = statement.keyword_span();
            let message = "no build stage in current context";
            let help =
                format!("only ARG may stand before the first FROM, not {}", statement.keyword());
            diagnostics.push(Diagnostic::error(Code::OutsideStage, span, message).with_help(help));
        }
        Some(_) => {}
        None => {
            let message = "dockerfile contains no stages to build";
            let help = "add `FROM image` behind the arguments";
            diagnostics.push(
                Diagnostic::error(Code::NoStages, first.keyword_span(), message).with_help(help),
            );
        }
    }
}

fn is_instruction(word: &str) -> bool {
    crate::instruction::NAMES.iter().any(|name| name.eq_ignore_ascii_case(word))
}

/// Warns of a frontend that is not the language of this crate.
fn check_syntax(tree: &Tree, diagnostics: &mut Collector) {
    let Some((value, span)) = declared(&tree.source, DirectiveKey::Syntax) else { return };
    let image = value.split(' ').next().unwrap_or_default();
    let name = image.strip_prefix("docker.io/").unwrap_or(image);
    let name = name.split(['@', ':']).next().unwrap_or_default();
    if name != "docker/dockerfile" && name != "docker/dockerfile-upstream" {
        let message =
            format!("the frontend {image} is not used: the file is read as a Containerfile");
        diagnostics.push(Diagnostic::warning(Code::ForeignSyntax, span, message));
    }
}

impl Tree {
    /// Whether the file has nothing but comments and empty lines.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half a million of them are in a megabyte of short lines: the time is that of their memory.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn what_a_file_has_many_of_is_small() {
        assert_eq!(size_of::<crate::Word>(), 24);
        assert_eq!(size_of::<crate::Statement>(), 96);
        assert_eq!(size_of::<crate::tree::Node>(), 12);
    }

    #[test]
    fn of_a_file_that_is_too_long_the_beginning_is_read() {
        let parsed = parse_up_to("FROM a\nRUN ää\n", &ParseOptions::default(), 12);
        assert_eq!(parsed.tree.print(), "FROM a\nRUN ");
        let found: Vec<_> = parsed.diagnostics.iter().map(|d| (d.code, d.span.start())).collect();
        assert_eq!(found, [(Code::FileTooLong, 11)]);
        assert!(parse_up_to("FROM a\n", &ParseOptions::default(), 7).diagnostics.is_empty());
    }
}
