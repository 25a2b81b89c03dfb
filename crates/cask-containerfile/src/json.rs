//! Arrays of strings in JSON, with the places of the members.

use std::ops::Range;

/// A string of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) text: String,
    /// With the quotes, in bytes of the text that was read.
    pub(crate) range: Range<usize>,
}

/// What an array that cannot be used is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JsonError {
    /// The text does not begin with `[`.
    NotAnArray,
    /// It is not JSON from this byte on.
    Syntax(usize),
    /// It is an array with a member, here, that is no string.
    NotAString(usize),
}

/// Reads an array of strings. Blanks may stand before it.
///
/// Source: Go's `encoding/json`, which BuildKit uses; of its limits, the depth of 10 000.
pub(crate) fn strings(text: &str, ignore_rest: bool) -> Result<Vec<Member>, JsonError> {
    let start = text.len() - text.trim_start().len();
    if !text[start..].starts_with('[') {
        return Err(JsonError::NotAnArray);
    }
    let mut reader = Reader { text, at: start };
    let (members, wrong) = reader.array()?;
    reader.blanks();
    if reader.at < text.len() && !ignore_rest {
        return Err(JsonError::Syntax(reader.at));
    }
    wrong.map_or(Ok(members), |at| Err(JsonError::NotAString(at)))
}

/// Reads an object whose members are all strings, and nothing else; `None` for any other text.
pub(crate) fn string_members(text: &str) -> Option<Vec<(String, Member)>> {
    let mut reader = Reader { text, at: 0 };
    reader.blanks();
    let members = reader.object().ok()?;
    reader.blanks();
    (reader.at == text.len()).then_some(members)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// How deep arrays and objects may stand in each other.
const DEPTH_MAX: usize = 10_000;

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek() != Some(byte) {
            return Err(JsonError::Syntax(self.at));
        }
        self.at += 1;
        Ok(())
    }

    /// The strings, and where the first other member is.
    fn array(&mut self) -> Result<(Vec<Member>, Option<usize>), JsonError> {
        let (mut members, mut wrong) = (Vec::new(), None);
        self.expect(b'[')?;
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok((members, wrong));
        }
        loop {
            self.blanks();
            let start = self.at;
            if self.peek() == Some(b'"') {
                let text = self.string()?;
                members.push(Member { text, range: start..self.at });
            } else {
                self.skip_value()?;
                wrong = wrong.or(Some(start));
            }
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(JsonError::Syntax(self.at)),
            }
        }
        self.at += 1;
        Ok((members, wrong))
    }

    fn object(&mut self) -> Result<Vec<(String, Member)>, JsonError> {
        let mut members = Vec::new();
        self.expect(b'{')?;
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(members);
        }
        loop {
            self.blanks();
            let key = self.string()?;
            self.blanks();
            self.expect(b':')?;
            self.blanks();
            let start = self.at;
            let text = self.string()?;
            members.push((key, Member { text, range: start..self.at }));
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => break,
            }
        }
        self.expect(b'}')?;
        Ok(members)
    }

    /// Goes over a value of any kind, without recursion.
    fn skip_value(&mut self) -> Result<(), JsonError> {
        let mut open: Vec<u8> = Vec::new();
        loop {
            self.blanks();
            let empty = match self.peek() {
                Some(bracket @ (b'[' | b'{')) => {
                    self.at += 1;
                    let close = if bracket == b'[' { b']' } else { b'}' };
                    open.push(close);
                    if open.len() >= DEPTH_MAX {
                        return Err(JsonError::Syntax(self.at));
                    }
                    self.blanks();
                    if self.peek() != Some(close) {
                        self.key(close)?;
                        continue;
                    }
                    true
                }
                _ => false,
            };
            if !empty {
                self.scalar()?;
            }
            // Behind a value: the ends of what it is in, or a comma and the next value.
            loop {
                let Some(close) = open.last().copied() else { return Ok(()) };
                self.blanks();
                match self.peek() {
                    Some(byte) if byte == close => {
                        self.at += 1;
                        open.pop();
                    }
                    Some(b',') => {
                        self.at += 1;
                        self.blanks();
                        self.key(close)?;
                        break;
                    }
                    _ => return Err(JsonError::Syntax(self.at)),
                }
            }
        }
    }

    /// Where an object is open, its next key and the colon.
    fn key(&mut self, close: u8) -> Result<(), JsonError> {
        if close == b'}' {
            self.string()?;
            self.blanks();
            self.expect(b':')?;
        }
        Ok(())
    }

    fn scalar(&mut self) -> Result<(), JsonError> {
        let rest = &self.text[self.at..];
        if rest.starts_with('"') {
            return self.string().map(drop);
        }
        if let Some(word) = ["true", "false", "null"].iter().find(|word| rest.starts_with(**word)) {
            self.at += word.len();
            return Ok(());
        }
        self.number()
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(JsonError::Syntax(start)) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.expect(b'"')?;
        let mut result = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(c) = rest.chars().next() else { return Err(JsonError::Syntax(self.at)) };
            match c {
                '"' => {
                    self.at += 1;
                    return Ok(result);
                }
                '\\' => result.push(self.escape()?),
                '\0'..='\u{1f}' => return Err(JsonError::Syntax(self.at)),
                c => {
                    self.at += c.len_utf8();
                    result.push(c);
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        self.at += 1;
        let c = match self.peek() {
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            _ => return Err(JsonError::Syntax(start)),
        };
        self.at += 1;
        Ok(c)
    }

    /// `\uXXXX`, or a pair of them; half a pair becomes U+FFFD.
    fn unicode(&mut self, start: usize) -> Result<char, JsonError> {
        self.at += 1;
        let high = self.hexadecimal().ok_or(JsonError::Syntax(start))?;
        self.at += 4;
        if (0xd800..0xdc00).contains(&high) && self.text[self.at..].starts_with("\\u") {
            let back = self.at;
            self.at += 2;
            let low = self.hexadecimal().ok_or(JsonError::Syntax(back))?;
            if (0xdc00..0xe000).contains(&low) {
                self.at += 4;
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hexadecimal(&self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        let is_hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hexadecimal.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    }
}

/// Writes a text as a JSON string, with its quotes.
pub(crate) fn quote(text: &str) -> String {
    let mut result = String::with_capacity(text.len() + 2);
    result.push('"');
    for c in text.chars() {
        match c {
            '"' => result.push_str("\\\""),
            '\\' => result.push_str("\\\\"),
            '\n' => result.push_str("\\n"),
            '\r' => result.push_str("\\r"),
            '\t' => result.push_str("\\t"),
            '\0'..='\u{1f}' | '\u{7f}' => result.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => result.push(c),
        }
    }
    result.push('"');
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_of_strings_are_read() {
        fn check(text: &str, expected: Result<&[&str], JsonError>) {
            let found = strings(text, false);
            let found: Result<Vec<String>, _> =
                found.map(|members| members.into_iter().map(|m| m.text).collect());
            assert_eq!(
                found,
                expected.map(|all| all.iter().map(|s| (*s).to_owned()).collect()),
                "{text}"
            );
        }
        check("[]", Ok(&[]));
        check(r#"  [ "a" , "b" ] "#, Ok(&["a", "b"]));
        check(r#"["\u00e4\ud83d\ude00\ud83dx\n"]"#, Ok(&["ä😀\u{fffd}x\n"]));
        check("a", Err(JsonError::NotAnArray));
        check("['a']", Err(JsonError::Syntax(1)));
        check(r#"["a",]"#, Err(JsonError::Syntax(5)));
        check(r#"["a"] x"#, Err(JsonError::Syntax(6)));
        check(r#"["a""#, Err(JsonError::Syntax(4)));
        check(r#"["\x"]"#, Err(JsonError::Syntax(2)));
        check(r#"["a", 1.5e3, {"a": [null, {}]}]"#, Err(JsonError::NotAString(6)));
        check(r#"[{"a": }]"#, Err(JsonError::Syntax(7)));
        check("[01]", Err(JsonError::Syntax(2)));
    }

    #[test]
    fn objects_of_strings_are_read() {
        fn check(text: &str, expected: Option<&[(&str, &str)]>) {
            let found = string_members(text);
            let found = found.as_ref().map(|all| -> Vec<(&str, &str)> {
                all.iter().map(|(key, member)| (key.as_str(), member.text.as_str())).collect()
            });
            assert_eq!(found.as_deref(), expected, "{text}");
        }
        check(" {\"a\" : \"b\", \"c\":\"\\n\"}\n", Some(&[("a", "b"), ("c", "\n")]));
        check("{ }", Some(&[]));
        check("{\"a\":1}", None);
        check("{\"a\":\"b\"} x", None);
        check("{\"a\":\"b\",}", None);
        check("[]", None);
        check("", None);
    }

    #[test]
    fn deep_arrays_end() {
        let deep = "[".repeat(1_000_000);
        assert!(matches!(strings(&deep, false), Err(JsonError::Syntax(_))));
    }

    #[test]
    fn quoted_text_is_read_again() {
        let text = "a\"\\\n\u{1}ä";
        let found = strings(&format!("[{}]", quote(text)), false).unwrap();
        assert_eq!(found[0].text, text);
    }
}
