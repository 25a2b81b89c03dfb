//! The lines of a source.

use std::ops::Range;

use crate::span::Span;

/// A line of the source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// With its end.
    pub(super) span: Span,
    /// Where its end begins: all `\r` and `\n` at its end.
    pub(super) content_end: usize,
}

/// The line of a source that `range` is of, with its end.
pub(super) fn line(source: &str, range: Range<usize>) -> Line {
    let bytes = &source.as_bytes()[range.clone()];
    let is_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
    let end = bytes.iter().rev().take_while(is_end).count();
    Line { span: Span::new(range.start, range.end), content_end: range.end - end }
}

/// Where the escape character is that continues a line; `None` where it does not.
///
/// It may be followed by blanks. One that is itself escaped does not continue the line, unless
/// `doubled` says that it does.
pub(super) fn continuation(text: &str, escape: char, doubled: bool) -> Option<usize> {
    // Both escapes are one byte, and this is asked of every line.
    let bytes = text.as_bytes();
    let blanks = bytes.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let is_escape = |at: usize| bytes.get(at).is_some_and(|byte| char::from(*byte) == escape);
    let at = (bytes.len() - blanks).checked_sub(1).filter(|at| is_escape(*at))?;
    let is_escaped = at.checked_sub(1).is_some_and(is_escape);
    (doubled || !is_escaped).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_at_the_end_continues() {
        fn check(text: &str, expected: Option<usize>) {
            assert_eq!(continuation(text, '\\', false), expected, "{text:?}");
        }
        check("a \\", Some(2));
        check("a \\ \t", Some(2));
        check("\\", Some(0));
        check("a \\\\", None);
        check("a \\\\\\", None);
        check("a", None);
        check("", None);
        assert_eq!(continuation("a\\\\", '\\', true), Some(2));
    }
}
