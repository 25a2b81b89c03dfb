//! `fmt.Sprint`, `fmt.Sprintln` and `fmt.Sprintf`.

use super::format::Flags;
use super::sink::Sink;
use super::verb::Printer;
use crate::value::{Repr, Value};

/// Widths and precisions beyond this are refused, as Go refuses them.
const LARGEST_WIDTH: usize = 1_000_000;

/// Prints one value with `%v`.
pub(crate) fn print_value(sink: &mut Sink, value: &Value) {
    Printer { sink, flags: Flags::default() }.argument(value, 'v');
}

/// `fmt.Sprint`: a space between two operands of which neither is a string.
pub(crate) fn print(sink: &mut Sink, values: &[Value]) {
    let mut after_text = true;
    for (position, value) in values.iter().enumerate() {
        let text = matches!(value.0, Repr::Text(_));
        if position > 0 && !text && !after_text {
            sink.push_str(" ");
        }
        after_text = text;
        print_value(sink, value);
    }
}

/// `fmt.Sprintln`: a space between any two operands, and a newline.
pub(crate) fn print_line(sink: &mut Sink, values: &[Value]) {
    for (position, value) in values.iter().enumerate() {
        if position > 0 {
            sink.push_str(" ");
        }
        print_value(sink, value);
    }
    sink.push_str("\n");
}

/// `fmt.Sprintf`, with Go's own reports of what does not fit: `%!d(string=x)`, `%!s(MISSING)`,
/// `%!(EXTRA int=1)`, `%!(BADWIDTH)`, `%!d(BADINDEX)`, `%!(NOVERB)`.
pub(crate) fn sprintf(sink: &mut Sink, format: &[u8], arguments: &[Value]) {
    Scanner::new(format, arguments).run(sink);
}

/// Where the walk through the format stands.
struct Scanner<'a> {
    format: &'a [u8],
    position: usize,
    arguments: &'a [Value],
    next: usize,
    /// An argument was chosen by number, so that unused ones are no mistake.
    reordered: bool,
    index_is_good: bool,
    after_index: bool,
}

impl<'a> Scanner<'a> {
    fn new(format: &'a [u8], arguments: &'a [Value]) -> Self {
        Self {
            format,
            position: 0,
            arguments,
            next: 0,
            reordered: false,
            index_is_good: true,
            after_index: false,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.format.get(self.position).copied()
    }

    fn run(&mut self, sink: &mut Sink) {
        while self.position < self.format.len() && !sink.overflowed() {
            let rest = &self.format[self.position..];
            let plain = rest.iter().position(|byte| *byte == b'%').unwrap_or(rest.len());
            sink.push(&rest[..plain]);
            self.position += plain;
            if self.peek().is_some() {
                self.position += 1;
                self.directive(sink);
            }
        }
        if !self.reordered && self.next < self.arguments.len() {
            self.extra(sink);
        }
    }

    /// One `%…`, its percent sign already passed.
    fn directive(&mut self, sink: &mut Sink) {
        self.index_is_good = true;
        self.after_index = false;
        let mut flags = self.flags();
        self.index();
        self.width(&mut flags, sink);
        self.precision(&mut flags, sink);
        if !self.after_index {
            self.index();
        }
        let Some(verb) = self.verb() else { return sink.push_str("%!(NOVERB)") };
        if verb == '%' {
            return sink.push_str("%");
        }
        if !self.index_is_good {
            return sink.push_str(&format!("%!{verb}(BADINDEX)"));
        }
        let Some(argument) = self.arguments.get(self.next) else {
            return sink.push_str(&format!("%!{verb}(MISSING)"));
        };
        self.next += 1;
        if verb == 'v' {
            flags.sharp_v = std::mem::take(&mut flags.sharp);
            flags.plus_v = std::mem::take(&mut flags.plus);
        }
        Printer { sink, flags }.argument(argument, verb);
    }

    fn flags(&mut self) -> Flags {
        let mut flags = Flags::default();
        while let Some(byte) = self.peek() {
            match byte {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = !flags.minus,
                b'+' => flags.plus = true,
                b'-' => {
                    flags.minus = true;
                    flags.zero = false;
                }
                b' ' => flags.space = true,
                _ => break,
            }
            self.position += 1;
        }
        flags
    }

    /// `[2]`: the argument to take next.
    fn index(&mut self) {
        if self.peek() != Some(b'[') {
            return;
        }
        self.reordered = true;
        let rest = &self.format[self.position..];
        let Some(end) = rest.iter().position(|byte| *byte == b']') else {
            self.index_is_good = false;
            self.position += 1;
            return;
        };
        self.position += end + 1;
        let number = std::str::from_utf8(&rest[1..end]).ok();
        let number = number.filter(|text| text.bytes().all(|digit| digit.is_ascii_digit()));
        let number = number.and_then(|text| text.parse::<usize>().ok());
        match number.filter(|number| (1..=self.arguments.len()).contains(number)) {
            Some(number) => {
                self.next = number - 1;
                self.after_index = true;
            }
            None => self.index_is_good = false,
        }
    }

    fn width(&mut self, flags: &mut Flags, sink: &mut Sink) {
        if self.peek() == Some(b'*') {
            self.position += 1;
            match self.number_from_argument() {
                Some(width) => {
                    if width < 0 {
                        flags.minus = true;
                        flags.zero = false;
                    }
                    flags.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => sink.push_str("%!(BADWIDTH)"),
            }
            self.after_index = false;
        } else {
            flags.width = self.number();
            if self.after_index && flags.width.is_some() {
                self.index_is_good = false;
            }
        }
    }

    fn precision(&mut self, flags: &mut Flags, sink: &mut Sink) {
        // A point that ends the format is a verb to Go.
        if self.peek() != Some(b'.') || self.position + 1 == self.format.len() {
            return;
        }
        self.position += 1;
        if self.after_index {
            self.index_is_good = false;
        }
        self.index();
        if self.peek() == Some(b'*') {
            self.position += 1;
            let number = self.number_from_argument();
            flags.precision = number.and_then(|number| usize::try_from(number).ok());
            if flags.precision.is_none() {
                sink.push_str("%!(BADPREC)");
            }
            self.after_index = false;
        } else {
            flags.precision = Some(self.number().unwrap_or(0));
        }
    }

    /// Digits; a number that is too large swallows the rest of the format, as it does in Go.
    fn number(&mut self) -> Option<usize> {
        let rest = &self.format[self.position..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut number = 0;
        for digit in &rest[..digits] {
            if number > LARGEST_WIDTH {
                self.position = self.format.len();
                return None;
            }
            number = number * 10 + usize::from(digit - b'0');
        }
        self.position += digits;
        (digits > 0).then_some(number)
    }

    fn number_from_argument(&mut self) -> Option<i64> {
        let argument = self.arguments.get(self.next)?;
        self.next += 1;
        let number = match argument.0 {
            Repr::Int(number) => number,
            Repr::Uint(number) => i64::try_from(number).ok()?,
            _ => return None,
        };
        usize::try_from(number.unsigned_abs())
            .is_ok_and(|size| size <= LARGEST_WIDTH)
            .then_some(number)
    }

    fn verb(&mut self) -> Option<char> {
        let rest = &self.format[self.position..];
        let first = *rest.first()?;
        let head = rest.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
        let verb = head.unwrap_or(char::REPLACEMENT_CHARACTER);
        self.position += if first.is_ascii() || head.is_none() { 1 } else { verb.len_utf8() };
        Some(verb)
    }

    fn extra(&self, sink: &mut Sink) {
        sink.push_str("%!(EXTRA ");
        for (position, value) in self.arguments[self.next..].iter().enumerate() {
            if position > 0 {
                sink.push_str(", ");
            }
            if matches!(value.0, Repr::NoValue | Repr::Nil) {
                sink.push_str("<nil>");
            } else {
                sink.push_str(&value.type_name());
                sink.push_str("=");
                print_value(sink, value);
            }
        }
        sink.push_str(")");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(format: &str, arguments: &[Value]) -> String {
        let mut sink = Sink::unlimited();
        sprintf(&mut sink, format.as_bytes(), arguments);
        String::from_utf8(sink.into_bytes()).unwrap()
    }

    fn value<T: serde::Serialize>(data: T) -> Value {
        Value::of(&data).unwrap()
    }

    #[test]
    fn what_templates_cannot_reach_by_literals_is_printed_too() {
        let check = |format: &str, arguments: &[Value], expected: &str| {
            assert_eq!(text(format, arguments), expected, "{format}");
        };
        check("%d", &[value(u64::MAX)], "18446744073709551615");
        check("%x", &[value([10, 255])], "[a ff]");
        check("%s|%d", &[value(["a", "b"]), value(["a"])], "[a b]|[%!d(string=a)]");
        check("%v %+v", &[value(()), value(None::<u8>)], "<nil> <nil>");
        check("%s %d", &[value(()), value(None::<u8>)], "%!s(<nil>) %!d(<nil>)");
        check("%#v", &[value([1, 2])], "[]int{1, 2}");
        check("%v", &[Value::text(&b"\xff"[..])].map(|_| value("ok")), "ok");
    }

    #[test]
    fn structs_and_maps_show_names_when_asked() {
        #[derive(serde::Serialize)]
        #[serde(rename = "pkg.Row")]
        struct Row {
            #[serde(rename = "ID")]
            id: &'static str,
            #[serde(rename = "Sizes")]
            sizes: std::collections::BTreeMap<&'static str, i32>,
        }
        let row = value(Row { id: "x", sizes: [("b", 1), ("a", 2)].into() });
        assert_eq!(text("%v", std::slice::from_ref(&row)), "{x map[a:2 b:1]}");
        assert_eq!(text("%+v", std::slice::from_ref(&row)), "{ID:x Sizes:map[a:2 b:1]}");
        assert_eq!(text("%#v", &[row]), r#"pkg.Row{ID:"x", Sizes:map[string]int{"a":2, "b":1}}"#);
    }

    #[test]
    fn output_stops_growing_at_the_limit() {
        let mut sink = Sink::with_limit(1000);
        sprintf(&mut sink, "%999999d".repeat(1000).as_bytes(), &[value(1)]);
        assert!(sink.overflowed());
        assert!(sink.len() <= 1000);
    }
}
