//! What one verb does to one value.

use super::format::{Flags, Integer};
use super::sink::Sink;
use crate::value::{METHOD, Record, Repr, Value};

/// Prints values with one set of flags.
pub(super) struct Printer<'a> {
    pub(super) sink: &'a mut Sink,
    pub(super) flags: Flags,
}

impl Printer<'_> {
    /// Prints an argument with a verb, as `fmt`'s `printArg` does.
    pub(super) fn argument(&mut self, value: &Value, verb: char) {
        match (&value.0, verb) {
            (Repr::NoValue | Repr::Nil, 'T' | 'v') => self.flags.pad(self.sink, b"<nil>"),
            (_, 'T') => self.flags.string(self.sink, value.type_name().as_bytes()),
            _ => self.value(value, verb),
        }
    }

    fn value(&mut self, value: &Value, verb: char) {
        // Every verb that exists is ASCII; anything else ends up as a bad verb.
        let byte = u8::try_from(verb).unwrap_or(0);
        let done = match &value.0 {
            Repr::NoValue | Repr::Nil => self.nil(verb),
            Repr::Bool(value) => self.boolean(*value, byte),
            Repr::Int(number) => {
                let number = Integer { negative: *number < 0, size: number.unsigned_abs() };
                self.integer(number, byte)
            }
            Repr::Duration(number) if matches!(verb, 'v' | 's' | 'q') => {
                self.text(crate::value::go_duration(*number).as_bytes(), byte)
            }
            Repr::Duration(number) => {
                let number = Integer { negative: *number < 0, size: number.unsigned_abs() };
                self.integer(number, byte)
            }
            Repr::Uint(size) => self.integer(Integer { negative: false, size: *size }, byte),
            Repr::Float(number) => self.float(*number, byte),
            Repr::Text(bytes) => self.text(bytes, byte),
            Repr::Time(time) => self.text(time.0.as_bytes(), byte),
            Repr::NilList | Repr::NilMap if self.flags.sharp_v => {
                self.sink.push_str(&format!("{}(nil)", value.type_name()));
                true
            }
            Repr::NilList => self.list(value, &[], verb),
            Repr::NilMap => self.map(value, &[], verb),
            Repr::List(items) => self.list(value, items, verb),
            Repr::Map(entries) => self.map(value, entries, verb),
            Repr::Struct(record) => self.record(record, verb),
        };
        if !done {
            self.bad_verb(value, verb);
        }
    }

    /// `%!d(string=text)`.
    fn bad_verb(&mut self, value: &Value, verb: char) {
        self.sink.push_str(&format!("%!{verb}("));
        if matches!(value.0, Repr::NoValue | Repr::Nil) {
            self.sink.push_str("<nil>");
        } else {
            self.sink.push_str(&value.type_name());
            self.sink.push_str("=");
            self.argument(value, 'v');
        }
        self.sink.push_str(")");
    }

    fn nil(&mut self, verb: char) -> bool {
        if verb == 'v' {
            self.sink.push_str("<nil>");
        }
        verb == 'v'
    }

    fn boolean(&mut self, value: bool, verb: u8) -> bool {
        let known = matches!(verb, b't' | b'v');
        if known {
            self.flags.pad(self.sink, if value { b"true" } else { b"false" });
        }
        known
    }

    fn integer(&mut self, number: Integer, verb: u8) -> bool {
        // Verbs on characters take the number as 64 unsigned bits.
        let bits = if number.negative { number.size.wrapping_neg() } else { number.size };
        match verb {
            b'v' | b'd' => self.flags.integer(self.sink, number, 10, verb),
            b'b' => self.flags.integer(self.sink, number, 2, verb),
            b'o' | b'O' => self.flags.integer(self.sink, number, 8, verb),
            b'x' | b'X' => self.flags.integer(self.sink, number, 16, verb),
            b'c' => self.flags.character(self.sink, bits),
            b'q' => self.flags.quoted_character(self.sink, bits),
            b'U' => self.flags.unicode(self.sink, bits),
            _ => return false,
        }
        true
    }

    fn float(&mut self, number: f64, verb: u8) -> bool {
        match verb {
            b'v' => self.flags.float(self.sink, number, b'g', None),
            b'b' | b'g' | b'G' | b'x' | b'X' => self.flags.float(self.sink, number, verb, None),
            b'f' | b'F' | b'e' | b'E' => self.flags.float(self.sink, number, verb, Some(6)),
            _ => return false,
        }
        true
    }

    fn text(&mut self, bytes: &[u8], verb: u8) -> bool {
        match verb {
            b'v' if self.flags.sharp_v => self.flags.quoted(self.sink, bytes),
            b'v' | b's' => self.flags.string(self.sink, bytes),
            b'q' => self.flags.quoted(self.sink, bytes),
            b'x' | b'X' => self.flags.hexadecimal(self.sink, bytes, verb == b'X'),
            _ => return false,
        }
        true
    }

    /// What lies in a container is printed with the same verb and flags.
    fn inner(&mut self, value: &Value, verb: char) {
        match value.0 {
            Repr::NoValue => {
                let name = if self.flags.sharp_v { "interface {}(nil)" } else { "<nil>" };
                self.sink.push_str(name);
            }
            _ => self.value(value, verb),
        }
    }

    fn list(&mut self, value: &Value, items: &[Value], verb: char) -> bool {
        let [open, between, close] = if self.flags.sharp_v {
            self.sink.push_str(&value.type_name());
            ["{", ", ", "}"]
        } else {
            ["[", " ", "]"]
        };
        self.sink.push_str(open);
        for (position, item) in items.iter().enumerate() {
            if position > 0 {
                self.sink.push_str(between);
            }
            self.inner(item, verb);
            if self.sink.overflowed() {
                break;
            }
        }
        self.sink.push_str(close);
        true
    }

    fn map(&mut self, value: &Value, entries: &[(Value, Value)], verb: char) -> bool {
        let [open, between, close] = if self.flags.sharp_v {
            self.sink.push_str(&value.type_name());
            ["{", ", ", "}"]
        } else {
            ["map[", " ", "]"]
        };
        self.sink.push_str(open);
        for (position, (key, value)) in entries.iter().enumerate() {
            if position > 0 {
                self.sink.push_str(between);
            }
            self.inner(key, verb);
            self.sink.push_str(":");
            self.inner(value, verb);
            if self.sink.overflowed() {
                break;
            }
        }
        self.sink.push_str(close);
        true
    }

    fn record(&mut self, record: &Record, verb: char) -> bool {
        if self.flags.sharp_v {
            self.sink.push_str(record.name);
        }
        self.sink.push_str("{");
        let shown = record.fields.iter().filter(|field| field.key != METHOD);
        for (position, field) in shown.enumerate() {
            if position > 0 {
                self.sink.push_str(if self.flags.sharp_v { ", " } else { " " });
            }
            if self.flags.plus_v || self.flags.sharp_v {
                self.sink.push_str(field.name);
                self.sink.push_str(":");
            }
            self.inner(&field.value, verb);
            if self.sink.overflowed() {
                break;
            }
        }
        self.sink.push_str("}");
        true
    }
}
