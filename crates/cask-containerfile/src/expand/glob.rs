//! The patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `*`, `?` and `\`.

/// One character of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum One {
    Literal(char),
    Any,
}

/// A pattern: chunks of a fixed number of characters, with any text between each two of them.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// At least one; the chunk before the first `*` may be empty.
    chunks: Vec<Vec<One>>,
}

/// Whether `*` and `?` match a character.
fn is_wild(c: char) -> bool {
    c != '\n'
}

impl Pattern {
    /// Reads a pattern; the error is the character behind a `\` that may not stand there.
    pub(super) fn parse(text: &str) -> Result<Self, Option<char>> {
        let mut chunks = vec![Vec::new()];
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let last = chunks.len() - 1;
            match c {
                // Two stars match what one matches.
                '*' if last > 0 && chunks[last].is_empty() => {}
                '*' => chunks.push(Vec::new()),
                '?' => chunks[last].push(One::Any),
                // The braces and slashes of `${}` are escaped for its sake, not for the pattern's.
                '\\' if matches!(chars.peek(), Some('}' | '/')) => {}
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\')) => chunks[last].push(One::Literal(c)),
                    other => return Err(other),
                },
                c => chunks[last].push(One::Literal(c)),
            }
        }
        Ok(Self { chunks })
    }

    /// Whether a chunk is at this place.
    fn is_at(&self, chunk: &[One], text: &[char], at: usize) -> bool {
        text.len() - at >= chunk.len()
            && chunk.iter().zip(&text[at..]).all(|(one, c)| match one {
                One::Literal(literal) => literal == c,
                One::Any => is_wild(*c),
            })
    }

    /// Where a match that begins at `at` ends.
    fn end(&self, text: &[char], at: usize, longest: bool) -> Match {
        let [first, rest @ ..] = self.chunks.as_slice() else { return Match::None };
        if !self.is_at(first, text, at) {
            return Match::None;
        }
        let mut end = at + first.len();
        let Some((last, middle)) = rest.split_last() else { return Match::End(end) };
        for chunk in middle {
            match self.earliest(chunk, text, end) {
                Some(at) => end = at + chunk.len(),
                None => return Match::NotOnThisLine,
            }
        }
        let found =
            if longest { self.latest(last, text, end) } else { self.earliest(last, text, end) };
        found.map_or(Match::NotOnThisLine, |at| Match::End(at + last.len()))
    }

    /// The places where a star that begins at `at` can end.
    fn reach(&self, text: &[char], at: usize) -> usize {
        at + text[at..].iter().take_while(|c| is_wild(**c)).count()
    }

    fn earliest(&self, chunk: &[One], text: &[char], at: usize) -> Option<usize> {
        let mut place = at;
        loop {
            if self.is_at(chunk, text, place) {
                return Some(place);
            }
            if place >= text.len() || !is_wild(text[place]) {
                return None;
            }
            place += 1;
        }
    }

    fn latest(&self, chunk: &[One], text: &[char], at: usize) -> Option<usize> {
        (at..=self.reach(text, at)).rev().find(|place| self.is_at(chunk, text, *place))
    }

    pub(super) fn without_prefix<'a>(&self, value: &'a str, greedy: bool) -> &'a str {
        let text: Vec<char> = value.chars().collect();
        match self.end(&text, 0, greedy) {
            Match::End(end) => {
                let bytes: usize = text[..end].iter().map(|c| c.len_utf8()).sum();
                &value[bytes..]
            }
            _ => value,
        }
    }

    pub(super) fn without_suffix<'a>(&self, value: &'a str, greedy: bool) -> &'a str {
        let text: Vec<char> = value.chars().rev().collect();
        let mut chunks = self.chunks.clone();
        chunks.iter_mut().for_each(|chunk| chunk.reverse());
        chunks.reverse();
        let reversed = Self { chunks };
        match reversed.end(&text, 0, greedy) {
            Match::End(end) => {
                let bytes: usize = text[..end].iter().map(|c| c.len_utf8()).sum();
                &value[..value.len() - bytes]
            }
            _ => value,
        }
    }

    /// Replaces the first or every match; `None` if the result were longer than `limit`.
    pub(super) fn replaced(
        &self,
        value: &str,
        replacement: &str,
        all: bool,
        limit: usize,
    ) -> Option<String> {
        let text: Vec<char> = value.chars().collect();
        let mut result = String::new();
        let mut at = 0;
        let mut after_match = None;
        while at <= text.len() {
            match self.end(&text, at, true) {
                // An empty match directly behind another match is none.
                Match::End(end) if !(end == at && after_match == Some(at)) => {
                    result.push_str(replacement);
                    if end == at {
                        result.extend(text.get(at));
                        at += 1;
                    } else {
                        at = end;
                    }
                    after_match = Some(end);
                    if !all {
                        break;
                    }
                }
                Match::NotOnThisLine => {
                    // No later place of this line can match either.
                    let next = self.reach(&text, at) + 1;
                    result.extend(&text[at..next.min(text.len())]);
                    at = next;
                }
                _ => {
                    result.extend(text.get(at));
                    at += 1;
                }
            }
            if result.len() > limit {
                return None;
            }
        }
        result.extend(text.get(at..).unwrap_or_default());
        (result.len() <= limit).then_some(result)
    }
}

enum Match {
    /// The beginning does not match.
    None,
    /// The beginning matches, but what must follow is not on the line.
    NotOnThisLine,
    /// It ends here.
    End(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_shortest_or_longest() {
        fn check(pattern: &str, value: &str, expected: [&str; 4]) {
            let p = Pattern::parse(pattern).unwrap();
            let found = [
                p.without_prefix(value, false),
                p.without_prefix(value, true),
                p.without_suffix(value, false),
                p.without_suffix(value, true),
            ];
            assert_eq!(found, expected, "{pattern} on {value}");
        }
        check("*/", "a/b/c/", ["b/c/", "", "a/b/c", ""]);
        check("/*", "a/b/c", ["a/b/c", "a/b/c", "a/b", "a"]);
        check("*", "abc", ["abc", "", "abc", ""]);
        check("?", "äbc", ["bc", "bc", "äb", "äb"]);
        check("", "abc", ["abc"; 4]);
        check("a*c", "abcabc", ["abc", "", "abc", ""]);
        check("*b*", "abab", ["ab", "", "aba", ""]);
        check("abc", "ab", ["ab"; 4]);
    }

    #[test]
    fn matches_are_replaced() {
        fn check(pattern: &str, value: &str, all: bool, expected: &str) {
            let found = Pattern::parse(pattern).unwrap().replaced(value, "-", all, 100);
            assert_eq!(found.as_deref(), Some(expected), "{pattern} on {value}");
        }
        check("b", "abcb", false, "a-cb");
        check("b", "abcb", true, "a-c-");
        check("b*", "abcb", false, "a-");
        check("", "ab", true, "-a-b-");
        check("", "ab", false, "-ab");
        check("x*y", "x\nxay", true, "x\n-");
        check("*", "ab", true, "-");
    }

    #[test]
    fn too_long_a_result_is_refused() {
        let pattern = Pattern::parse("a").unwrap();
        assert_eq!(pattern.replaced("aaaa", "bbbb", true, 10), None);
    }
}
