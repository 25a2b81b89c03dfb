//! The parts of a document that hold no others: strings, numbers, words.

use std::borrow::Cow;

use crate::document::Content;
use crate::syntax::Expected;
use crate::{BadText, ErrorKind, Rules, Words};

/// Goes through the bytes of a document.
pub(crate) struct Scanner<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
    pub(crate) rules: Rules,
}

/// Why a document was refused, and at which offset.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) kind: ErrorKind,
    pub(crate) at: usize,
    pub(crate) detail: String,
}

pub(crate) type Scanned<T> = Result<T, Box<Stop>>;

impl<'a> Scanner<'a> {
    /// Reads a value that holds no others.
    pub(crate) fn scalar(&mut self) -> Scanned<Content<'a>> {
        match self.peek() {
            Some(b'"') => self.string().map(Content::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Content::Boolean(true)),
            Some(b'f') => self.word("false", Content::Boolean(false)),
            Some(b'n') => self.word("null", Content::Null),
            _ => Err(self.unexpected(Expected::Value)),
        }
    }

    /// Reads a string whose quotation mark is next.
    pub(crate) fn string(&mut self) -> Scanned<Cow<'a, str>> {
        self.at += 1;
        let rest = &self.bytes[self.at..];
        let length = plain_length(rest);
        if rest.get(length) == Some(&b'"')
            && let Ok(text) = str::from_utf8(&rest[..length])
        {
            self.at += length + 1;
            return Ok(Cow::Borrowed(text));
        }
        self.string_with_escapes().map(Cow::Owned)
    }

    fn string_with_escapes(&mut self) -> Scanned<String> {
        let mut text = String::new();
        loop {
            let length = plain_length(&self.bytes[self.at..]);
            self.plain(length, &mut text)?;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(self.unexpected(Expected::NoControl)),
                None => return Err(self.unexpected(Expected::StringEnd)),
            }
        }
    }

    /// Takes so many bytes of text without escapes.
    fn plain(&mut self, length: usize, text: &mut String) -> Scanned<()> {
        let plain = &self.bytes[self.at..self.at + length];
        for chunk in plain.utf8_chunks() {
            text.push_str(chunk.valid());
            self.at += chunk.valid().len();
            if !chunk.invalid().is_empty() && self.rules.bad_text == BadText::Refuse {
                return Err(self.unexpected(Expected::Utf8));
            }
            // One replacement for each byte, as Go does it.
            text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
            self.at += chunk.invalid().len();
        }
        Ok(())
    }

    fn escape(&mut self) -> Scanned<char> {
        let plain = match self.bytes.get(self.at + 1) {
            Some(b'u') => return self.unicode_escape(),
            Some(b @ (b'"' | b'\\' | b'/')) => char::from(*b),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return Err(self.unexpected_at(self.at + 1, Expected::Escape)),
        };
        self.at += 2;
        Ok(plain)
    }

    fn unicode_escape(&mut self) -> Scanned<char> {
        let malformed = |at| self.unexpected_at(at, Expected::Hexadecimal);
        let first = self.four_digits(self.at).map_err(malformed)?;
        if let Some(c) = char::from_u32(first) {
            self.at += 6;
            return Ok(c);
        }
        let is_first = first < 0xdc00 && self.bytes[self.at + 6..].starts_with(b"\\u");
        let second = if is_first { self.four_digits(self.at + 6) } else { Ok(0) };
        if self.rules.words == Words::Go
            && let Err(at) = second
        {
            return Err(malformed(at));
        }
        if let Ok(second @ 0xdc00..0xe000) = second {
            self.at += 12;
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return Ok(char::from_u32(code).expect("a pair of surrogates is a character"));
        }
        if self.rules.bad_text == BadText::Refuse {
            return Err(self.unexpected(Expected::Partner));
        }
        self.at += 6;
        Ok(char::REPLACEMENT_CHARACTER)
    }

    /// The value of the digits of an escape `\uXXXX` at an offset, or the offset of what is no
    /// digit.
    fn four_digits(&self, at: usize) -> Result<u32, usize> {
        (at + 2..at + 6).try_fold(0, |code, at| {
            let digit = self.bytes.get(at).and_then(|&b| char::from(b).to_digit(16));
            digit.map(|digit| code << 4 | digit).ok_or(at)
        })
    }

    fn number(&mut self) -> Scanned<Content<'a>> {
        self.eat(b'-');
        if self.eat(b'0') {
            // To Go the number ends here, and what follows is in the wrong place.
            if self.rules.words == Words::Plain && self.digits() > 0 {
                return Err(self.unexpected(Expected::Number));
            }
        } else if self.digits() == 0 {
            return Err(self.unexpected(Expected::Number));
        }
        if self.eat(b'.') && self.digits() == 0 {
            return Err(self.unexpected(Expected::Fraction));
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            if self.digits() == 0 {
                return Err(self.unexpected(Expected::Exponent));
            }
        }
        Ok(Content::Number)
    }

    /// Passes digits, and counts them.
    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn word(&mut self, word: &'static str, content: Content<'a>) -> Scanned<Content<'a>> {
        for (at, next) in (self.at..).zip(word.bytes()) {
            if self.bytes.get(at) != Some(&next) {
                return Err(self.unexpected_at(at, Expected::Word { word, next }));
            }
        }
        self.at += word.len();
        Ok(content)
    }

    pub(crate) fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        self.at += usize::from(next);
        next
    }

    /// The error that what is here, or the end of the document, was not expected.
    pub(crate) fn unexpected(&self, expected: Expected) -> Box<Stop> {
        self.unexpected_at(self.at, expected)
    }

    /// The error that the byte at an offset does not fit into what begins here.
    fn unexpected_at(&self, byte: usize, expected: Expected) -> Box<Stop> {
        let (at, detail) = match self.rules.words {
            Words::Go => (byte, expected.in_go_words(self.bytes.get(byte).copied())),
            Words::Plain => {
                let words = expected.in_plain_words();
                let ended = self.at >= self.bytes.len();
                let detail =
                    if ended { format!("unexpected end: {words}") } else { words.to_owned() };
                (self.at, detail)
            }
        };
        self.stop(ErrorKind::Syntax, at, detail)
    }

    pub(crate) fn stop(&self, kind: ErrorKind, at: usize, detail: String) -> Box<Stop> {
        Box::new(Stop { kind, at: at.min(self.bytes.len()), detail })
    }
}

/// How many bytes stand before the next one that means something in a string.
fn plain_length(bytes: &[u8]) -> usize {
    bytes.iter().position(|&b| matches!(b, b'"' | b'\\' | 0..=0x1f)).unwrap_or(bytes.len())
}
