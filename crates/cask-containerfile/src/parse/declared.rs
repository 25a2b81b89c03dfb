//! What a file says of the frontend and of the lints, wherever BuildKit looks for it.

use std::borrow::Cow;

use crate::json::string_members;
use crate::parse::{DIRECTIVE_BLANKS, key_and_value};
use crate::span::Span;
use crate::tree::DirectiveKey;

/// The value that a text gives a key, and where it is.
///
/// A line `#!` may stand before the directives. A `syntax` may also be among comments that begin
/// with `//`, or in a JSON object: it says which frontend reads the file, in whatever language.
///
/// Source: BuildKit, `parser.DetectSyntax` and `parser.ParseDirective`.
pub(crate) fn declared(source: &str, key: DirectiveKey) -> Option<(Cow<'_, str>, Span)> {
    let mut start = if source.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    if source[start..].starts_with("#!") {
        start = source[start..].find('\n').map_or(source.len(), |end| start + end + 1);
    }
    let found = in_comments(source, start, key, "#");
    if found.is_some() || key != DirectiveKey::Syntax {
        return found;
    }
    in_comments(source, start, key, "//").or_else(|| in_json(source, start))
}

fn in_comments<'a>(
    source: &'a str,
    start: usize,
    key: DirectiveKey,
    mark: &str,
) -> Option<(Cow<'a, str>, Span)> {
    let mut at = start;
    for line in source[start..].split_inclusive('\n') {
        let (found, value) = key_and_value(line.strip_prefix(mark)?)?;
        if found == key {
            let (_, behind) = line.split_once('=')?;
            let value_start = at + line.len() - behind.trim_start_matches(DIRECTIVE_BLANKS).len();
            return Some((Cow::Borrowed(value), Span::new(value_start, value_start + value.len())));
        }
        at += line.len();
    }
    None
}

fn in_json(source: &str, start: usize) -> Option<(Cow<'_, str>, Span)> {
    let members = string_members(&source[start..])?;
    // Of equal keys, the last one counts.
    let (_, member) = members.into_iter().rfind(|(key, _)| key == "syntax")?;
    let span = Span::new(start + member.range.start + 1, start + member.range.end - 1);
    Some((Cow::Owned(member.text), span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frontend_is_found_in_any_language() {
        fn check(source: &str, expected: Option<&str>) {
            let found = declared(source, DirectiveKey::Syntax);
            assert_eq!(found.as_ref().map(|(value, _)| &**value), expected, "{source:?}");
            let text = found.map(|(_, span)| source[span.range()].to_owned());
            assert_eq!(text.as_deref(), expected, "{source:?}");
        }
        check("# syntax = a/b:1 x  \r\nFROM a\n", Some("a/b:1 x"));
        check("#escape=`\n#SYNTAX=a", Some("a"));
        check("\u{feff}#!/usr/bin/env x\n# syntax=a\n", Some("a"));
        check("// syntax=a\nimport b\n", Some("a"));
        check("#!/x\n//syntax=a\n", Some("a"));
        check(" {\"x\":\"y\", \"syntax\": \"a/b\"}\n", Some("a/b"));
        check("{\"syntax\": \"a\", \"x\": 1}", None);
        check("# x\n# syntax=a\n", None);
        check("\n# syntax=a\n", None);
        check("FROM a\n", None);
        check("", None);
    }

    #[test]
    fn lints_are_directed_by_comments_of_this_language_alone() {
        let found = |source| declared(source, DirectiveKey::Check).map(|(value, _)| value);
        assert_eq!(found("#!/x\n# check=skip=all\n").as_deref(), Some("skip=all"));
        assert_eq!(found("// check=skip=all\n"), None);
        assert_eq!(found("{\"check\":\"skip=all\"}"), None);
    }
}
