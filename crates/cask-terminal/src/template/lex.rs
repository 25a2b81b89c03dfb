//! Template text to tokens.

use crate::go::quote_text;

/// The kinds of token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A failure; the token's text is the message.
    Error,
    Bool,
    /// Printable ASCII that is nothing else: the comma, mistakes.
    Character,
    CharacterConstant,
    ComplexConstant,
    Assign,
    Declare,
    End,
    /// `.Name`
    Field,
    Identifier,
    LeftDelimiter,
    LeftParenthesis,
    Number,
    Pipe,
    RawString,
    RightDelimiter,
    RightParenthesis,
    Space,
    String,
    Text,
    /// `$name`
    Variable,
    /// `.`
    Dot,
    Nil,
    Keyword(Keyword),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

/// A piece of the template.
#[derive(Debug, Clone)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    /// Offset in bytes.
    pub(super) position: usize,
    pub(super) text: std::borrow::Cow<'t, str>,
    /// Counted from one.
    pub(super) line: usize,
}

/// Prints as Go's error messages name a token.
impl std::fmt::Display for Token<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            Kind::End => formatter.write_str("EOF"),
            Kind::Error => formatter.write_str(&self.text),
            Kind::Dot | Kind::Nil | Kind::Keyword(_) => write!(formatter, "<{}>", self.text),
            _ if self.text.len() > 10 => {
                let start: String = self.text.chars().take(10).collect();
                write!(formatter, "{}...", quote_text(&start))
            }
            _ => formatter.write_str(&quote_text(&self.text)),
        }
    }
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

/// Splits a template into tokens, one at a time.
pub(super) struct Lexer<'t> {
    input: &'t str,
    position: usize,
    start: usize,
    inside_action: bool,
    parentheses: u32,
    finished: bool,
    /// Newlines before `counted_to`, plus one.
    line: usize,
    counted_to: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(input: &'t str) -> Self {
        Self {
            input,
            position: 0,
            start: 0,
            inside_action: false,
            parentheses: 0,
            finished: false,
            line: 1,
            counted_to: 0,
        }
    }

    /// The next token; after an error or the end, always the end.
    pub(super) fn next_token(&mut self) -> Token<'t> {
        if self.finished {
            return self.token(Kind::End);
        }
        if self.inside_action { self.inside_action() } else { self.text() }
    }

    fn rest(&self) -> &'t str {
        &self.input[self.position..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn advance(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.position += next.len_utf8();
        Some(next)
    }

    fn accept(&mut self, wanted: &[char]) -> bool {
        let found = self.peek().is_some_and(|next| wanted.contains(&next));
        if found {
            self.position += 1;
        }
        found
    }

    /// Makes a token of what was passed since the last one.
    fn token(&mut self, kind: Kind) -> Token<'t> {
        let text = &self.input[self.start..self.position];
        let token =
            Token { kind, position: self.start, text: text.into(), line: self.line_of_start() };
        self.start = self.position;
        self.finished |= kind == Kind::End;
        token
    }

    fn line_of_start(&mut self) -> usize {
        let passed = &self.input.as_bytes()[self.counted_to..self.start];
        self.line += passed.iter().filter(|byte| **byte == b'\n').count();
        self.counted_to = self.start;
        self.line
    }

    fn error(&mut self, message: impl Into<String>) -> Token<'t> {
        self.finished = true;
        let line = self.line_of_start();
        Token { kind: Kind::Error, position: self.start, text: message.into().into(), line }
    }

    /// Text up to the next action.
    fn text(&mut self) -> Token<'t> {
        loop {
            let Some(length) = self.rest().find(LEFT) else {
                self.position = self.input.len();
                let kind = if self.position > self.start { Kind::Text } else { Kind::End };
                return self.token(kind);
            };
            let opening = self.position + length;
            let trims = has_left_trim_marker(&self.input[opening + LEFT.len()..]);
            let before = &self.input[self.start..opening];
            let kept = if trims { before.trim_end_matches(SPACES) } else { before };
            if !kept.is_empty() {
                self.position = self.start + kept.len();
                let token = self.token(Kind::Text);
                // What was trimmed belongs to nothing; the delimiter is found again next time.
                self.position = opening;
                self.start = opening;
                return token;
            }
            self.start = opening;
            self.position = opening + LEFT.len();
            let after_marker = self.position + if trims { 2 } else { 0 };
            if !self.input[after_marker..].starts_with("/*") {
                let token = self.token(Kind::LeftDelimiter);
                self.position = after_marker;
                self.start = after_marker;
                self.inside_action = true;
                self.parentheses = 0;
                return token;
            }
            self.position = after_marker;
            self.start = after_marker;
            if let Err(message) = self.comment() {
                return self.error(message);
            }
        }
    }

    fn comment(&mut self) -> Result<(), &'static str> {
        let length = self.rest()[2..].find("*/").ok_or("unclosed comment")?;
        self.position += 2 + length + 2;
        let Some(trims) = self.right_delimiter() else {
            return Err("comment ends before closing delimiter");
        };
        self.position += RIGHT.len();
        if trims {
            self.position += 2;
            self.skip_spaces();
        }
        self.start = self.position;
        Ok(())
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start_matches(SPACES).len();
    }

    /// Whether a right delimiter is next, and if so, whether a trim marker stands before it.
    fn right_delimiter(&self) -> Option<bool> {
        let rest = self.rest();
        if has_right_trim_marker(rest) && rest[2..].starts_with(RIGHT) {
            return Some(true);
        }
        rest.starts_with(RIGHT).then_some(false)
    }

    fn close_action(&mut self, trims: bool) -> Token<'t> {
        if trims {
            self.position += 2;
            self.start = self.position;
        }
        self.position += RIGHT.len();
        let token = self.token(Kind::RightDelimiter);
        if trims {
            self.skip_spaces();
            self.start = self.position;
        }
        self.inside_action = false;
        token
    }

    fn inside_action(&mut self) -> Token<'t> {
        if let Some(trims) = self.right_delimiter() {
            if self.parentheses == 0 {
                return self.close_action(trims);
            }
            return self.error("unclosed left paren");
        }
        let Some(next) = self.peek() else { return self.error("unclosed action") };
        if SPACES.contains(&next) {
            return self.space();
        }
        self.position += next.len_utf8();
        match next {
            '=' => self.token(Kind::Assign),
            ':' if self.accept(&['=']) => self.token(Kind::Declare),
            ':' => self.error("expected :="),
            '|' => self.token(Kind::Pipe),
            '"' => self.quoted('"', Kind::String, "unterminated quoted string"),
            '\'' => self.quoted('\'', Kind::CharacterConstant, "unterminated character constant"),
            '`' => self.raw_string(),
            '$' => self.name(Kind::Variable),
            '.' if self.peek().is_some_and(|digit| !digit.is_ascii_digit()) => {
                self.name(Kind::Field)
            }
            '.' | '+' | '-' | '0'..='9' => self.number(),
            '(' => {
                self.parentheses += 1;
                self.token(Kind::LeftParenthesis)
            }
            ')' => self.right_parenthesis(),
            _ if is_alphanumeric(next) => self.identifier(),
            '!'..='~' => self.token(Kind::Character),
            _ => {
                let name = code_point(next);
                self.error(format!("unrecognized character in action: {name}"))
            }
        }
    }

    fn right_parenthesis(&mut self) -> Token<'t> {
        // An unmatched one is a token all the same: the parser has the better words for it.
        self.parentheses = self.parentheses.saturating_sub(1);
        self.token(Kind::RightParenthesis)
    }

    fn space(&mut self) -> Token<'t> {
        let rest = self.rest();
        let mut length = rest.len() - rest.trim_start_matches(SPACES).len();
        // The last space may belong to the delimiter, as in ` -}}`.
        if rest[length..].starts_with('-') && rest[length + 1..].starts_with(RIGHT) {
            if length == 1 {
                if self.parentheses == 0 {
                    return self.close_action(true);
                }
                return self.error("unclosed left paren");
            }
            length -= 1;
        }
        self.position += length;
        self.token(Kind::Space)
    }

    fn quoted(&mut self, delimiter: char, kind: Kind, message: &str) -> Token<'t> {
        loop {
            match self.advance() {
                None | Some('\n') => return self.error(message),
                Some('\\') if matches!(self.advance(), None | Some('\n')) => {
                    return self.error(message);
                }
                Some(end) if end == delimiter => return self.token(kind),
                Some(_) => {}
            }
        }
    }

    fn raw_string(&mut self) -> Token<'t> {
        match self.rest().find('`') {
            Some(length) => {
                self.position += length + 1;
                self.token(Kind::RawString)
            }
            None => self.error("unterminated raw quoted string"),
        }
    }

    /// A field or a variable; its first character is passed.
    fn name(&mut self, kind: Kind) -> Token<'t> {
        if self.at_terminator() {
            return self.token(if kind == Kind::Field { Kind::Dot } else { kind });
        }
        while self.peek().is_some_and(is_alphanumeric) {
            self.advance();
        }
        match self.bad_character() {
            Some(message) => self.error(message),
            None => self.token(kind),
        }
    }

    fn identifier(&mut self) -> Token<'t> {
        while self.peek().is_some_and(is_alphanumeric) {
            self.advance();
        }
        if let Some(message) = self.bad_character() {
            return self.error(message);
        }
        let kind = match &self.input[self.start..self.position] {
            "true" | "false" => Kind::Bool,
            "nil" => Kind::Nil,
            "block" => Kind::Keyword(Keyword::Block),
            "break" => Kind::Keyword(Keyword::Break),
            "continue" => Kind::Keyword(Keyword::Continue),
            "define" => Kind::Keyword(Keyword::Define),
            "else" => Kind::Keyword(Keyword::Else),
            "end" => Kind::Keyword(Keyword::End),
            "if" => Kind::Keyword(Keyword::If),
            "range" => Kind::Keyword(Keyword::Range),
            "template" => Kind::Keyword(Keyword::Template),
            "with" => Kind::Keyword(Keyword::With),
            _ => Kind::Identifier,
        };
        self.token(kind)
    }

    /// What stands directly after a name and may not.
    fn bad_character(&self) -> Option<String> {
        let next = self.peek().filter(|_| !self.at_terminator())?;
        Some(format!("bad character {}", code_point(next)))
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(next) => SPACES.contains(&next) || self.rest().starts_with(RIGHT),
        }
    }

    fn number(&mut self) -> Token<'t> {
        self.position = self.start;
        let good = self.scan_number();
        let sign = self.peek().filter(|next| matches!(next, '+' | '-'));
        let complex = good && sign.is_some();
        let good = good && (!complex || (self.scan_number() && self.passed().ends_with('i')));
        if good {
            return self.token(if complex { Kind::ComplexConstant } else { Kind::Number });
        }
        let message = format!("bad number syntax: {}", quote_text(self.passed()));
        self.error(message)
    }

    fn passed(&self) -> &'t str {
        &self.input[self.start..self.position]
    }

    /// Passes what looks like a number, right or wrong: the parser reads it properly.
    fn scan_number(&mut self) -> bool {
        self.accept(&['+', '-']);
        let mut radix = 10;
        if self.accept(&['0']) {
            if self.accept(&['x', 'X']) {
                radix = 16;
            } else if self.accept(&['o', 'O']) {
                radix = 8;
            } else if self.accept(&['b', 'B']) {
                radix = 2;
            }
        }
        self.digits(radix);
        if self.accept(&['.']) {
            self.digits(radix);
        }
        let exponent = match radix {
            10 => self.accept(&['e', 'E']),
            16 => self.accept(&['p', 'P']),
            _ => false,
        };
        if exponent {
            self.accept(&['+', '-']);
            self.digits(10);
        }
        self.accept(&['i']);
        match self.peek().filter(|next| is_alphanumeric(*next)) {
            Some(next) => {
                self.position += next.len_utf8();
                false
            }
            None => true,
        }
    }

    fn digits(&mut self, radix: u32) {
        while self.peek().is_some_and(|next| next == '_' || next.is_digit(radix)) {
            self.position += 1;
        }
    }
}

fn has_left_trim_marker(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|rest| rest.starts_with(SPACES))
}

fn has_right_trim_marker(text: &str) -> bool {
    text.strip_prefix(SPACES).is_some_and(|rest| rest.starts_with('-'))
}

/// Letters, digits and the underscore; Rust's idea of a letter is a little wider than Go's.
fn is_alphanumeric(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// Names a character as Go's `%#U` does.
fn code_point(character: char) -> String {
    let name = format!("U+{:04X}", u32::from(character));
    if crate::go::is_print(character) { format!("{name} '{character}'") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, expected: &str) {
        let mut lexer = Lexer::new(template);
        let mut tokens = Vec::new();
        loop {
            let token = lexer.next_token();
            let last = matches!(token.kind, Kind::End | Kind::Error);
            tokens.push(match token.kind {
                Kind::Space => "_".to_owned(),
                _ => token.to_string(),
            });
            if last {
                break;
            }
        }
        assert_eq!(tokens.join(" "), expected, "{template}");
    }

    #[test]
    fn tokens_are_told_apart() {
        check("", "EOF");
        check("a\nb", r#""a\nb" EOF"#);
        check("a{{.}}b", r#""a" "{{" <.> "}}" "b" EOF"#);
        check("{{.A.B $x.C}}", r#""{{" ".A" ".B" _ "$x" ".C" "}}" EOF"#);
        check("{{$ := 1 | f}}", r#""{{" "$" _ ":=" _ "1" _ "|" _ "f" "}}" EOF"#);
        check("{{$x =-1.5e3}}", r#""{{" "$x" _ "=" "-1.5e3" "}}" EOF"#);
        check("{{if nil}}", r#""{{" <if> _ <nil> "}}" EOF"#);
        check(r#"{{"a\"}}" '\'' `}}`}}"#, r#""{{" "\"a\\\"}}\"" _ "'\\''" _ "`}}`" "}}" EOF"#);
        check("{{ a\n,\tb }}", r#""{{" _ "a" _ "," _ "b" _ "}}" EOF"#);
        check("{{.veryLongName}}", r#""{{" ".veryLongN"... "}}" EOF"#);
    }

    #[test]
    fn trim_markers_eat_space() {
        check("a \n{{- 1 -}} \n b", r#""a" "{{" "1" "}}" "b" EOF"#);
        check("a {{-1}}", r#""a " "{{" "-1" "}}" EOF"#);
        check("a {{- /* c */ -}} b", r#""a" "b" EOF"#);
        check("{{/* a }} b */}}{{/**/}}", "EOF");
        check(" {{- 1}}", r#""{{" "1" "}}" EOF"#);
        check("{{1  -}} a", r#""{{" "1" _ "}}" "a" EOF"#);
    }

    #[test]
    fn mistakes_are_named() {
        check("{{", r#""{{" unclosed action"#);
        check("{{/*", "unclosed comment");
        check("{{/**/ }}", "comment ends before closing delimiter");
        check("{{:}}", r#""{{" expected :="#);
        check("{{\"a", r#""{{" unterminated quoted string"#);
        check("{{\"a\\", r#""{{" unterminated quoted string"#);
        check("{{\"a\\\nb\"", r#""{{" unterminated quoted string"#);
        check("{{'a\n'", r#""{{" unterminated character constant"#);
        check("{{`a", r#""{{" unterminated raw quoted string"#);
        check("{{(1}}", r#""{{" "(" "1" unclosed left paren"#);
        check("{{(1 -}}", r#""{{" "(" "1" unclosed left paren"#);
        check("{{1z}}", r#""{{" bad number syntax: "1z""#);
        check("{{1+2}}", r#""{{" bad number syntax: "1+2""#);
        check("{{a+}}", r#""{{" bad character U+002B '+'"#);
        check("{{.a\u{7}}}", r#""{{" bad character U+0007"#);
        check("{{\u{a0}}}", r#""{{" unrecognized character in action: U+00A0"#);
    }
}
