//! The lines of a source.

use crate::span::Span;

/// A line of the source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// With its end.
    pub(super) span: Span,
    /// Where its end begins: all `\r` and `\n` at its end.
    pub(super) content_end: usize,
}

/// The line that begins at `at`; `None` at the end of the source.
pub(super) fn line(source: &str, at: usize) -> Option<Line> {
    let rest = source.get(at..).filter(|rest| !rest.is_empty())?;
    let length = rest.find('\n').map_or(rest.len(), |end| end + 1);
    let content = rest[..length].trim_end_matches(['\r', '\n']).len();
    Some(Line { span: Span::new(at, at + length), content_end: at + content })
}

/// Where the escape character is that continues a line; `None` where it does not.
///
/// It may be followed by blanks. One that is itself escaped does not continue the line, unless
/// `doubled` says that it does.
pub(super) fn continuation(text: &str, escape: char, doubled: bool) -> Option<usize> {
    let before = text.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (doubled || !before.ends_with(escape)).then_some(before.len())
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
