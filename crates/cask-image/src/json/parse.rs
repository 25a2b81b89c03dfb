//! The parser: RFC 8259, no more.

use std::borrow::Cow;

use crate::error::{ManifestError, ManifestErrorKind as ErrorKind, quoted};
use crate::json::value::{Document, Entry, Kind, Value, push_index, push_key};
use crate::{MAX_JSON_DEPTH, MAX_JSON_VALUES};

/// What a document may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The most bytes.
    pub(crate) max_bytes: u64,
    /// Whether text that is not UTF-8, and surrogates without a partner, become U+FFFD, as in
    /// Go's `encoding/json`, instead of being refused.
    pub(crate) replace_bad_text: bool,
}

/// Parses a document.
pub(crate) fn parse(bytes: &[u8], rules: Rules) -> Result<Document<'_>, ManifestError> {
    if bytes.len() as u64 > rules.max_bytes.min(u64::from(u32::MAX)) {
        let detail = format!("exceeded maximum allowed size of {} bytes", rules.max_bytes);
        return Err(ManifestError::new(ErrorKind::TooLarge, String::new(), bytes, 0, detail));
    }
    let mut parser = Parser { bytes, at: 0, depth: 0, values: 0, rules };
    parser.document().map_err(|stop| stop.into_error(bytes)).map(|root| Document { bytes, root })
}

/// Why the parser stopped; the way there is added while it returns.
struct Stop {
    kind: ErrorKind,
    at: usize,
    detail: String,
    /// The innermost first.
    way: Vec<Step>,
}

enum Step {
    Index(usize),
    Key(String),
}

impl Stop {
    fn into_error(self, bytes: &[u8]) -> ManifestError {
        let mut path = String::new();
        for step in self.way.iter().rev() {
            match step {
                Step::Index(index) => push_index(&mut path, *index),
                Step::Key(key) => push_key(&mut path, key),
            }
        }
        ManifestError::new(self.kind, path, bytes, self.at, self.detail)
    }
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    values: usize,
    rules: Rules,
}

impl<'a> Parser<'a> {
    fn document(&mut self) -> Result<Value<'a>, Box<Stop>> {
        if self.bytes.starts_with(b"\xef\xbb\xbf") {
            return Err(self.syntax("JSON does not start with a byte order mark"));
        }
        self.space();
        let root = self.value()?;
        self.space();
        if self.at < self.bytes.len() {
            return Err(self.syntax("unexpected text after the end of the document"));
        }
        Ok(root)
    }

    fn value(&mut self) -> Result<Value<'a>, Box<Stop>> {
        self.values += 1;
        if self.values > MAX_JSON_VALUES {
            let detail = format!("more than {MAX_JSON_VALUES} values");
            return Err(self.stop(ErrorKind::TooComplex, self.at, detail));
        }
        let start = self.at;
        let kind = match self.peek() {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::array)?,
            Some(b'"') => Kind::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Kind::Bool(true))?,
            Some(b'f') => self.word("false", Kind::Bool(false))?,
            Some(b'n') => self.word("null", Kind::Null)?,
            _ => return Err(self.syntax("expected a value")),
        };
        Ok(Value { start: offset(start), end: offset(self.at), kind })
    }

    fn nested(
        &mut self,
        parse: fn(&mut Self) -> Result<Kind<'a>, Box<Stop>>,
    ) -> Result<Kind<'a>, Box<Stop>> {
        self.depth += 1;
        if self.depth > MAX_JSON_DEPTH {
            let detail = format!("nested more than {MAX_JSON_DEPTH} levels deep");
            return Err(self.stop(ErrorKind::TooComplex, self.at, detail));
        }
        self.at += 1;
        self.space();
        let kind = parse(self)?;
        self.depth -= 1;
        Ok(kind)
    }

    fn object(&mut self) -> Result<Kind<'a>, Box<Stop>> {
        let mut entries = Vec::new();
        if self.eat(b'}') {
            return Ok(Kind::Object(entries));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.syntax("expected a key in quotation marks"));
            }
            let key_start = offset(self.at);
            let key = self.string()?;
            self.space();
            if !self.eat(b':') {
                return Err(self.syntax("expected a colon after the key"));
            }
            self.space();
            let value =
                self.value().map_err(|stop| on_the_way(stop, || Step::Key(key.to_string())))?;
            entries.push(Entry { key, key_start, value });
            self.space();
            if self.eat(b'}') {
                self.refuse_duplicates(&entries)?;
                return Ok(Kind::Object(entries));
            }
            if !self.eat(b',') {
                return Err(self.syntax("expected a comma or the end of the object"));
            }
            self.space();
        }
    }

    fn array(&mut self) -> Result<Kind<'a>, Box<Stop>> {
        let mut items = Vec::new();
        if self.eat(b']') {
            return Ok(Kind::Array(items));
        }
        loop {
            let index = items.len();
            items.push(self.value().map_err(|stop| on_the_way(stop, || Step::Index(index)))?);
            self.space();
            if self.eat(b']') {
                return Ok(Kind::Array(items));
            }
            if !self.eat(b',') {
                return Err(self.syntax("expected a comma or the end of the array"));
            }
            self.space();
        }
    }

    fn refuse_duplicates(&self, entries: &[Entry<'a>]) -> Result<(), Box<Stop>> {
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by(|&a, &b| entries[a].key.cmp(&entries[b].key).then(a.cmp(&b)));
        let second = order.windows(2).filter(|w| entries[w[0]].key == entries[w[1]].key);
        let Some(second) = second.map(|pair| pair[1]).min() else { return Ok(()) };
        let Entry { key, key_start, .. } = &entries[second];
        let detail = format!("the key {} occurs more than once", quoted(key));
        let stop = self.stop(ErrorKind::DuplicateKey, *key_start as usize, detail);
        Err(on_the_way(stop, || Step::Key(key.to_string())))
    }

    /// Parses a string whose quotation mark is next.
    fn string(&mut self) -> Result<Cow<'a, str>, Box<Stop>> {
        self.at += 1;
        let start = self.at;
        let rest = &self.bytes[start..];
        let plain = rest.iter().position(|&b| matches!(b, b'"' | b'\\' | 0..=0x1f));
        let length = plain.unwrap_or(rest.len());
        if rest.get(length) == Some(&b'"')
            && let Ok(text) = str::from_utf8(&rest[..length])
        {
            self.at += length + 1;
            return Ok(Cow::Borrowed(text));
        }
        self.string_with_escapes().map(Cow::Owned)
    }

    fn string_with_escapes(&mut self) -> Result<String, Box<Stop>> {
        let mut text = String::new();
        loop {
            let rest = &self.bytes[self.at..];
            let plain = rest.iter().position(|&b| matches!(b, b'"' | b'\\' | 0..=0x1f));
            self.plain(plain.unwrap_or(rest.len()), &mut text)?;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(self.syntax("control characters in strings must be escaped")),
                None => return Err(self.syntax("the string does not end")),
            }
        }
    }

    /// Takes so many bytes of text without escapes.
    fn plain(&mut self, length: usize, text: &mut String) -> Result<(), Box<Stop>> {
        let mut rest = &self.bytes[self.at..self.at + length];
        loop {
            match str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    self.at += rest.len();
                    return Ok(());
                }
                Err(error) => {
                    let (valid, bad) = rest.split_at(error.valid_up_to());
                    self.at += valid.len();
                    if !self.rules.replace_bad_text {
                        return Err(self.syntax("the text is not UTF-8"));
                    }
                    text.push_str(&String::from_utf8_lossy(valid));
                    // One replacement for each byte, as Go does it.
                    text.push(char::REPLACEMENT_CHARACTER);
                    self.at += 1;
                    rest = &bad[1..];
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Box<Stop>> {
        let plain = match self.bytes.get(self.at + 1) {
            Some(b'u') => return self.unicode_escape(),
            Some(b @ (b'"' | b'\\' | b'/')) => char::from(*b),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return Err(self.syntax("there is no such escape")),
        };
        self.at += 2;
        Ok(plain)
    }

    fn unicode_escape(&mut self) -> Result<char, Box<Stop>> {
        let Some(first) = self.four_digits(self.at) else {
            return Err(self.syntax("\\u needs four hexadecimal digits"));
        };
        if let Some(c) = char::from_u32(first) {
            self.at += 6;
            return Ok(c);
        }
        let second = self.four_digits(self.at + 6).unwrap_or(0);
        if (0xd800..0xdc00).contains(&first) && (0xdc00..0xe000).contains(&second) {
            self.at += 12;
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return Ok(char::from_u32(code).expect("a pair of surrogates is a character"));
        }
        if !self.rules.replace_bad_text {
            return Err(self.syntax("a surrogate without its partner"));
        }
        self.at += 6;
        Ok(char::REPLACEMENT_CHARACTER)
    }

    /// The value of an escape `\uXXXX` at an offset.
    fn four_digits(&self, at: usize) -> Option<u32> {
        let escape = self.bytes.get(at..at + 6)?;
        let digits = escape.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |code, &b| Some(code << 4 | char::from(b).to_digit(16)?))
    }

    fn number(&mut self) -> Result<Kind<'a>, Box<Stop>> {
        self.eat(b'-');
        let leading_zero = self.peek() == Some(b'0');
        let digits = self.digits();
        if digits == 0 || leading_zero && digits > 1 {
            return Err(self.syntax("this is not a number"));
        }
        if self.eat(b'.') && self.digits() == 0 {
            return Err(self.syntax("expected a digit after the decimal point"));
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            if self.digits() == 0 {
                return Err(self.syntax("expected a digit in the exponent"));
            }
        }
        Ok(Kind::Number)
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn word(&mut self, word: &str, kind: Kind<'a>) -> Result<Kind<'a>, Box<Stop>> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.syntax("expected a value"));
        }
        self.at += word.len();
        Ok(kind)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        self.at += usize::from(next);
        next
    }

    fn syntax(&self, detail: &str) -> Box<Stop> {
        let end = self.at >= self.bytes.len();
        let detail = if end { format!("unexpected end: {detail}") } else { detail.to_owned() };
        self.stop(ErrorKind::Syntax, self.at, detail)
    }

    fn stop(&self, kind: ErrorKind, at: usize, detail: String) -> Box<Stop> {
        Box::new(Stop { kind, at, detail, way: Vec::new() })
    }
}

fn on_the_way(mut stop: Box<Stop>, step: impl FnOnce() -> Step) -> Box<Stop> {
    stop.way.push(step());
    stop
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("the length was checked")
}
