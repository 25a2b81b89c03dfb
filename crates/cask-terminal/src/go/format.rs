//! Padding, signs and bases: the leaf formatters of Go's `fmt`.

use super::sink::Sink;
use super::{format_float, quote, quote_code_point};

/// What stands between `%` and the verb.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    /// `%+v`: names of fields.
    pub(super) plus_v: bool,
    /// `%#v`: Go syntax.
    pub(super) sharp_v: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}

impl Flags {
    /// Writes text, padded to the width counted in characters.
    pub(super) fn pad(self, sink: &mut Sink, text: &[u8]) {
        let length = rune_count(text);
        let padding = self.width.unwrap_or(0).saturating_sub(length);
        if self.minus {
            sink.push(text);
            sink.push_repeated(b' ', padding);
        } else {
            sink.push_repeated(if self.zero { b'0' } else { b' ' }, padding);
            sink.push(text);
        }
    }

    fn pad_with_spaces(self, sink: &mut Sink, text: &[u8]) {
        Self { zero: false, ..self }.pad(sink, text);
    }

    /// Text, cut to the precision counted in characters.
    pub(super) fn string(self, sink: &mut Sink, text: &[u8]) {
        self.pad(sink, self.truncated(text));
    }

    fn truncated(self, text: &[u8]) -> &[u8] {
        let Some(precision) = self.precision else { return text };
        let end = rune_ends(text).nth(precision.wrapping_sub(1)).unwrap_or(text.len());
        if precision == 0 { &[] } else { &text[..end] }
    }

    /// `%q` of text.
    pub(super) fn quoted(self, sink: &mut Sink, text: &[u8]) {
        let text = self.truncated(text);
        let raw = std::str::from_utf8(text).ok().filter(|text| self.sharp && can_be_raw(text));
        match raw {
            Some(text) => self.pad(sink, format!("`{text}`").as_bytes()),
            None => self.pad(sink, quote(text, self.plus).as_bytes()),
        }
    }

    /// `%x` and `%X` of text.
    pub(super) fn hexadecimal(self, sink: &mut Sink, text: &[u8], upper: bool) {
        let text = &text[..self.precision.unwrap_or(text.len()).min(text.len())];
        let mut out = String::new();
        let prefix = if upper { "0X" } else { "0x" };
        for (position, byte) in text.iter().enumerate() {
            if self.space && position > 0 {
                out.push(' ');
            }
            if self.sharp && (self.space || position == 0) {
                out.push_str(prefix);
            }
            out.push_str(&if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
        }
        self.pad(sink, out.as_bytes());
    }

    /// A number in a base, for the verbs `d b o O x X` and `v`.
    pub(super) fn integer(self, sink: &mut Sink, number: Integer, base: u32, verb: u8) {
        let mut least = self.precision.unwrap_or(0);
        if self.precision == Some(0) && number.size == 0 {
            return self.pad_with_spaces(sink, b"");
        }
        if self.precision.is_none() && self.zero {
            let sign = usize::from(number.negative || self.plus || self.space);
            least = self.width.unwrap_or(0).saturating_sub(sign);
        }
        let upper = verb == b'X';
        let mut digits = in_base(number.size, base, upper);
        if digits.len() < least {
            // A width or precision is at most a million.
            digits.insert_str(0, &"0".repeat(least - digits.len()));
        }
        let prefix = match (base, verb) {
            (_, b'O') => "0o",
            (2, _) if self.sharp => "0b",
            (8, _) if self.sharp && !digits.starts_with('0') => "0",
            (16, _) if self.sharp => {
                if upper {
                    "0X"
                } else {
                    "0x"
                }
            }
            _ => "",
        };
        let sign = match number.negative {
            true => "-",
            false if self.plus => "+",
            false if self.space => " ",
            false => "",
        };
        self.pad_with_spaces(sink, format!("{sign}{prefix}{digits}").as_bytes());
    }

    /// `%c`: the character with that number.
    pub(super) fn character(self, sink: &mut Sink, number: u64) {
        let character = u32::try_from(number).ok().and_then(char::from_u32);
        let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
        self.pad(sink, character.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// `%q` of a number.
    pub(super) fn quoted_character(self, sink: &mut Sink, number: u64) {
        self.pad(sink, quote_code_point(number, self.plus).as_bytes());
    }

    /// `%U`: `U+0041`, with `#` also `'A'`.
    pub(super) fn unicode(self, sink: &mut Sink, number: u64) {
        let digits = self.precision.unwrap_or(0).max(4);
        let mut text = format!("U+{number:0digits$X}");
        let character = u32::try_from(number).ok().and_then(char::from_u32);
        if let Some(character) = character.filter(|shown| self.sharp && super::is_print(*shown)) {
            text.push_str(&format!(" '{character}'"));
        }
        self.pad_with_spaces(sink, text.as_bytes());
    }

    /// A floating-point number.
    pub(super) fn float(self, sink: &mut Sink, number: f64, verb: u8, precision: Option<usize>) {
        let precision = self.precision.or(precision);
        let mut text = format_float(number, verb, precision);
        if !text.starts_with(['-', '+']) {
            text.insert(0, '+');
        }
        if self.space && text.starts_with('+') && !self.plus {
            text.replace_range(..1, " ");
        }
        if !number.is_finite() {
            let bare = number.is_nan() && !self.space && !self.plus;
            return self.pad_with_spaces(sink, &text.as_bytes()[usize::from(bare)..]);
        }
        if self.sharp && verb != b'b' {
            text = with_point(&text, verb, precision);
        }
        if !self.plus && text.starts_with('+') {
            return self.pad(sink, &text.as_bytes()[1..]);
        }
        let width = self.width.unwrap_or(0);
        if self.zero && width > text.len() {
            // The sign comes before the zeros.
            sink.push(&text.as_bytes()[..1]);
            sink.push_repeated(b'0', width - text.len());
            sink.push(&text.as_bytes()[1..]);
        } else {
            self.pad(sink, text.as_bytes());
        }
    }
}

/// An integer as sign and size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Integer {
    pub(super) negative: bool,
    pub(super) size: u64,
}

fn in_base(number: u64, base: u32, upper: bool) -> String {
    match base {
        2 => format!("{number:b}"),
        8 => format!("{number:o}"),
        16 if upper => format!("{number:X}"),
        16 => format!("{number:x}"),
        _ => number.to_string(),
    }
}

/// Where each character ends; a byte that is part of none counts as one.
fn rune_ends(text: &[u8]) -> impl Iterator<Item = usize> {
    let mut position = 0;
    text.utf8_chunks().flat_map(move |chunk| {
        let lengths: Vec<usize> = chunk
            .valid()
            .chars()
            .map(char::len_utf8)
            .chain(chunk.invalid().iter().map(|_| 1))
            .collect();
        let start = position;
        position += lengths.iter().sum::<usize>();
        lengths.into_iter().scan(start, |end, length| {
            *end += length;
            Some(*end)
        })
    })
}

/// The number of characters, a byte that is part of none counting as one.
pub(crate) fn rune_count(text: &[u8]) -> usize {
    text.utf8_chunks().map(|chunk| chunk.valid().chars().count() + chunk.invalid().len()).sum()
}

/// `strconv.CanBackquote`.
fn can_be_raw(text: &str) -> bool {
    text.chars().all(|symbol| {
        !matches!(symbol, '`' | '\u{feff}' | '\x7f') && (symbol >= ' ' || symbol == '\t')
    })
}

/// The `#` flag on floats: always a point, and for `%g` no zeros removed.
fn with_point(text: &str, verb: u8, precision: Option<usize>) -> String {
    let tail_at = match verb {
        b'x' | b'X' => text.find(['p', 'P']),
        _ => text.find(['e', 'E']),
    };
    let (number, tail) = text.split_at(tail_at.unwrap_or(text.len()));
    let mut number = number.to_owned();
    let general = matches!(verb, b'v' | b'g' | b'G' | b'x' | b'X');
    let wanted = if general { precision.unwrap_or(6) } else { 0 };
    let digits = number[1..].chars().filter(|symbol| *symbol != '.');
    let mut present = digits.skip_while(|digit| *digit == '0').count();
    if !number.contains('.') {
        if number.len() == 2 && number.ends_with('0') {
            present += 1;
        }
        number.push('.');
    }
    number.extend(std::iter::repeat_n('0', wanted.saturating_sub(present)));
    number + tail
}
