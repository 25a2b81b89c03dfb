//! Text to a tree, by recursive descent.

use super::quote::quoted_byte;
use super::{Kind, Member, Position, SyntaxError, Value};

/// How deep values may nest. A policy needs eight levels.
const MAX_DEPTH: usize = 128;

/// Reads one JSON document.
///
/// Strict: no byte order mark, no comments, no trailing commas, nothing after the document, valid
/// UTF-8, no lone surrogates. Messages are those of Go's `encoding/json`, where it has one.
pub(crate) fn read(text: &[u8]) -> Result<Value, SyntaxError> {
    let mut reader = Reader { text, at: 0, line: 1, line_start: 0, depth: 0 };
    if let Err(error) = std::str::from_utf8(text) {
        return Err(reader.error_at(error.valid_up_to(), "invalid UTF-8".into()));
    }
    reader.skip_space();
    let value = reader.value()?;
    reader.skip_space();
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.unexpected("after top-level value")),
    }
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    line: u32,
    line_start: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn position(&self) -> Position {
        let column = u32::try_from(self.at - self.line_start + 1).unwrap_or(u32::MAX);
        Position { offset: self.at, line: self.line, column }
    }

    /// An error at a place further on, which may be some lines away.
    fn error_at(&mut self, offset: usize, message: String) -> SyntaxError {
        while self.at < offset {
            self.step();
        }
        SyntaxError { position: self.position(), message }
    }

    /// The error that the byte here, or the end of the text, does not fit `context`.
    fn unexpected(&self, context: &str) -> SyntaxError {
        let message = match self.peek() {
            None => "unexpected end of JSON input".into(),
            Some(byte) => format!("invalid character {} {context}", quoted_byte(byte)),
        };
        SyntaxError { position: self.position(), message }
    }

    /// Passes one byte.
    fn step(&mut self) {
        if self.peek() == Some(b'\n') {
            self.line += 1;
            self.line_start = self.at + 1;
        }
        self.at += 1;
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.step();
        }
    }

    fn value(&mut self) -> Result<Value, SyntaxError> {
        let position = self.position();
        let kind = match self.peek() {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::array)?,
            Some(b'"') => Kind::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal("true", Kind::Bool)?,
            Some(b'f') => self.literal("false", Kind::Bool)?,
            Some(b'n') => self.literal("null", Kind::Null)?,
            _ => return Err(self.unexpected("looking for beginning of value")),
        };
        Ok(Value { position, kind })
    }

    fn nested(
        &mut self,
        read: fn(&mut Self) -> Result<Kind, SyntaxError>,
    ) -> Result<Kind, SyntaxError> {
        if self.depth == MAX_DEPTH {
            let message = format!("exceeded max depth of {MAX_DEPTH} nested values");
            return Err(SyntaxError { position: self.position(), message });
        }
        self.depth += 1;
        let kind = read(self)?;
        self.depth -= 1;
        Ok(kind)
    }

    fn object(&mut self) -> Result<Kind, SyntaxError> {
        let mut members = Vec::new();
        self.step();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.step();
            return Ok(Kind::Object(members));
        }
        loop {
            let position = self.position();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("looking for beginning of object key string"));
            }
            let key = self.string()?;
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("after object key"));
            }
            self.step();
            self.skip_space();
            let value = self.value()?;
            members.push(Member { position, key, value });
            if self.ends(b'}', "after object key:value pair")? {
                return Ok(Kind::Object(members));
            }
        }
    }

    fn array(&mut self) -> Result<Kind, SyntaxError> {
        let mut values = Vec::new();
        self.step();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.step();
            return Ok(Kind::Array(values));
        }
        loop {
            values.push(self.value()?);
            if self.ends(b']', "after array element")? {
                return Ok(Kind::Array(values));
            }
        }
    }

    /// Passes a comma or the closing byte, and says whether it was the latter.
    fn ends(&mut self, close: u8, context: &str) -> Result<bool, SyntaxError> {
        self.skip_space();
        let ends = match self.peek() {
            Some(byte) if byte == close => true,
            Some(b',') => false,
            _ => return Err(self.unexpected(context)),
        };
        self.step();
        if !ends {
            self.skip_space();
        }
        Ok(ends)
    }

    fn literal(&mut self, word: &str, kind: Kind) -> Result<Kind, SyntaxError> {
        for expected in word.bytes() {
            if self.peek() != Some(expected) {
                let expected = char::from(expected);
                return Err(self.unexpected(&format!("in literal {word} (expecting '{expected}')")));
            }
            self.step();
        }
        Ok(kind)
    }

    fn number(&mut self) -> Result<Kind, SyntaxError> {
        if self.peek() == Some(b'-') {
            self.step();
        }
        match self.peek() {
            Some(b'0') => self.step(),
            _ => self.digits("in numeric literal")?,
        }
        if self.peek() == Some(b'.') {
            self.step();
            self.digits("after decimal point in numeric literal")?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.step();
            if let Some(b'+' | b'-') = self.peek() {
                self.step();
            }
            self.digits("in exponent of numeric literal")?;
        }
        Ok(Kind::Number)
    }

    /// Passes one or more digits.
    fn digits(&mut self, context: &str) -> Result<(), SyntaxError> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.unexpected(context));
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.step();
        }
        Ok(())
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        self.step();
        let mut out = String::new();
        loop {
            let start = self.at;
            while self.peek().is_some_and(|byte| byte >= 0x20 && !matches!(byte, b'"' | b'\\')) {
                self.at += 1;
            }
            let plain = std::str::from_utf8(&self.text[start..self.at]);
            out.push_str(plain.expect("the text is UTF-8, and cut at ASCII bytes"));
            match self.peek() {
                Some(b'"') => {
                    self.step();
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => return Err(self.unexpected("in string literal")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        let position = self.position();
        self.step();
        let c = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\x08',
            Some(b'f') => '\x0c',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.step();
                return self.unicode(position);
            }
            _ => return Err(self.unexpected("in string escape code")),
        };
        self.step();
        Ok(c)
    }

    /// Reads what follows `\u`, and the second half of a surrogate pair.
    fn unicode(&mut self, position: Position) -> Result<char, SyntaxError> {
        let lone = || SyntaxError { position, message: "lone surrogate in string literal".into() };
        let first = self.hexadecimal()?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or_else(lone);
        }
        if first >= 0xdc00 || !self.text[self.at..].starts_with(b"\\u") {
            return Err(lone());
        }
        self.at += 2;
        let second = self.hexadecimal()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(lone());
        }
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or_else(lone)
    }

    fn hexadecimal(&mut self) -> Result<u32, SyntaxError> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.unexpected("in \\u hexadecimal character escape"));
            };
            value = value * 16 + digit;
            self.at += 1;
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prints a tree in a form of its own, keys in order and repeated.
    fn print(value: &Value) -> String {
        match &value.kind {
            Kind::String(text) => format!("{text:?}"),
            Kind::Array(values) => {
                format!("[{}]", values.iter().map(print).collect::<Vec<_>>().join(","))
            }
            Kind::Object(members) => {
                let print = |m: &Member| format!("{:?}:{}", m.key, print(&m.value));
                format!("{{{}}}", members.iter().map(print).collect::<Vec<_>>().join(","))
            }
            other => other.name().into(),
        }
    }

    #[test]
    fn valid_documents_are_read() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(print(&read(text.as_bytes()).unwrap()), expected);
        }
        check(" null\n", "null");
        check("[true,false,[],{}]", "[bool,bool,[],{}]");
        check(
            "[0,-0,12,1.5,-1.5e10,1E+2,0e-0]",
            "[number,number,number,number,number,number,number]",
        );
        check(r#"{"a":1,"a":"b","\u0061":null}"#, r#"{"a":number,"a":"b","a":null}"#);
        check(r#""é\u00e9\ud83d\ude00\/\\\"\b\f\n\r\t""#, r#""éé😀/\\\"\u{8}\u{c}\n\r\t""#);
    }

    #[test]
    fn invalid_documents_are_refused_with_position() {
        #[track_caller]
        fn check(text: &[u8], message: &str, offset: usize, line: u32, column: u32) {
            let error = read(text).unwrap_err();
            assert_eq!(error.message, message);
            assert_eq!(error.position, Position { offset, line, column });
        }
        check(b"", "unexpected end of JSON input", 0, 1, 1);
        check(b"[1,\n  2\n 3]", "invalid character '3' after array element", 9, 3, 2);
        check(
            b"{\"a\"\n:1,}",
            "invalid character '}' looking for beginning of object key string",
            8,
            2,
            4,
        );
        check(b"\"a\nb\"", "invalid character '\\n' in string literal", 2, 1, 3);
        check(b"tru", "unexpected end of JSON input", 3, 1, 4);
        check(b"trUe", "invalid character 'U' in literal true (expecting 'u')", 2, 1, 3);
        check(b"[\n\"\xff\"]", "invalid UTF-8", 3, 2, 2);
        check(br#"["\ud800"]"#, "lone surrogate in string literal", 2, 1, 3);
        check(br#"["\udc00"]"#, "lone surrogate in string literal", 2, 1, 3);
        check(br#"["\ud800\u0041"]"#, "lone surrogate in string literal", 2, 1, 3);
        check(b"-", "unexpected end of JSON input", 1, 1, 2);
        check(b"1 2", "invalid character '2' after top-level value", 2, 1, 3);
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(nested(MAX_DEPTH).as_bytes()).is_ok());
        let error = read(nested(MAX_DEPTH + 1).as_bytes()).unwrap_err();
        assert_eq!(error.message, "exceeded max depth of 128 nested values");
        assert!(read("[".repeat(1 << 20).as_bytes()).is_err());
    }
}
