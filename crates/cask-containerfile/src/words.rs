//! How the rest of a line is taken apart.

use std::borrow::Cow;
use std::ops::Range;

/// A word of a text, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut<'a> {
    /// Borrowed from where the range begins, though perhaps shorter than that; owned where it is
    /// written otherwise.
    pub(crate) text: Cow<'a, str>,
    pub(crate) range: Range<usize>,
}

/// The blanks between the words of an instruction; other white space is a part of them.
const BLANKS: [char; 5] = ['\t', '\u{b}', '\u{c}', '\r', ' '];

/// The range of `range` without white space at both ends.
pub(crate) fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    start..start + part.trim().len()
}

/// Splits a range at its first blanks: what is before, and what is behind if there are any.
pub(crate) fn first_word(text: &str, range: Range<usize>) -> (Range<usize>, Option<Range<usize>>) {
    let part = &text[range.clone()];
    let Some(length) = part.find(BLANKS) else { return (range, None) };
    let rest = part[length..].trim_start_matches(BLANKS);
    (range.start..range.start + length, Some(range.end - rest.len()..range.end))
}

/// Splits at blanks, whatever quotes there are, and makes something of each word.
pub(crate) fn blank_separated<'a, T>(
    text: &'a str,
    range: Range<usize>,
    make: impl Fn(Cut<'a>) -> T,
) -> Vec<T> {
    let mut words = Vec::new();
    let mut rest = Some(range).filter(|range| !range.is_empty());
    while let Some(range) = rest {
        let (word, behind) = first_word(text, range);
        words.push(make(cut(text, word)));
        rest = behind;
    }
    words
}

/// Splits at blanks outside quotes, and makes something of each word. Quotes and escapes stay in the
/// words; an escape at the very end is dropped.
///
/// Source: BuildKit, `parseWords`.
pub(crate) fn quoted<'a, T>(
    text: &'a str,
    range: Range<usize>,
    escape: char,
    make: impl Fn(Cut<'a>) -> T,
) -> Vec<T> {
    let mut words = Vec::new();
    let mut word: Option<Range<usize>> = None;
    let mut quote = None;
    let end = range.end;
    let mut chars = text[range.clone()].char_indices().map(|(at, c)| (range.start + at, c));
    while let Some((at, c)) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            words.extend(word.take().map(|range| make(cut(text, range))));
            continue;
        }
        let range = word.get_or_insert(at..at);
        range.end = at + c.len_utf8();
        if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && (c == '\'' || c == '"') {
            quote = Some(c);
        } else if c == escape && quote != Some('\'') {
            if range.end == end {
                // The escape is a part of the word's place, and not of its text.
                let text = Cow::Borrowed(&text[range.start..at]);
                words.extend(
                    word.filter(|_| !text.is_empty()).map(|range| make(Cut { text, range })),
                );
                return words;
            }
            if let Some((at, c)) = chars.next() {
                range.end = at + c.len_utf8();
            }
        }
    }
    words.extend(word.map(|range| make(cut(text, range))));
    words
}

fn cut(text: &str, range: Range<usize>) -> Cut<'_> {
    Cut { text: Cow::Borrowed(&text[range.clone()]), range }
}

/// What is made of the leading words that begin with `--`, without their quotes and escapes, and what
/// is behind them. A lone `--` ends them.
///
/// Source: BuildKit, `extractBuilderFlags`.
pub(crate) fn flags<'a, T>(
    text: &'a str,
    range: Range<usize>,
    escape: char,
    make: impl Fn(Cut<'a>) -> T,
) -> (Vec<T>, Range<usize>) {
    let mut flags = Vec::new();
    let mut rest = trim(text, range);
    while text[rest.clone()].starts_with("--") {
        let flag = flag(text, rest.clone(), escape);
        let end = flag.range.end;
        let is_end = flag.text == "--";
        if !is_end && !flag.text.is_empty() {
            flags.push(make(flag));
        }
        rest = trim(text, end..rest.end);
        if is_end {
            break;
        }
    }
    (flags, rest)
}

/// The word at the beginning of a range, without quotes and escapes.
fn flag(text: &str, range: Range<usize>, escape: char) -> Cut<'_> {
    let part = &text[range.clone()];
    let is_special = |c: char| c == '\'' || c == '"' || c == escape;
    let plain = part.find(|c: char| c.is_whitespace() || is_special(c)).unwrap_or(part.len());
    if !part[plain..].starts_with(is_special) {
        return cut(text, range.start..range.start + plain);
    }
    let mut word = part[..plain].to_owned();
    let mut end = range.end;
    let mut quote = None;
    let mut chars = part[plain..].char_indices();
    while let Some((at, c)) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            end = range.start + plain + at;
            break;
        }
        if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && (c == '\'' || c == '"') {
            quote = Some(c);
        } else if c == escape {
            word.extend(chars.next().map(|(_, c)| c));
        } else {
            word.push(c);
        }
    }
    Cut { text: Cow::Owned(word), range: range.start..end }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_quotes() {
        fn check(text: &str, expected: &[&str]) {
            let found = quoted(text, 0..text.len(), '\\', |cut| cut.text.into_owned());
            assert_eq!(found, expected, "{text}");
        }
        check("a b", &["a", "b"]);
        check("a=\"b c\" d='e\\' f", &["a=\"b c\"", "d='e\\'", "f"]);
        check("a\\ b c\\", &["a\\ b", "c"]);
        check("a=\"b\\\" c\" \\", &["a=\"b\\\" c\""]);
        check("a=\"b c", &["a=\"b c"]);
        check("", &[]);
    }

    #[test]
    fn flags_lose_their_quotes() {
        fn check(text: &str, expected: &[&str], rest: &str) {
            let (found, behind) = flags(text, 0..text.len(), '\\', |cut| cut.text.into_owned());
            assert_eq!(found, expected, "{text}");
            assert_eq!(&text[behind], rest, "{text}");
        }
        check("--a=b --c d", &["--a=b", "--c"], "d");
        check("--a=\"b c\" d", &["--a=b c"], "d");
        check("--a='b'c\\ d e --f", &["--a=bc d"], "e --f");
        check("-- --a b", &[], "--a b");
        check("--a", &["--a"], "");
        check("-a --b", &[], "-a --b");
        check("--a=\"b", &["--a=b"], "");
    }
}
