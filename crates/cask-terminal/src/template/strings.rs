//! The functions that podman, buildah and skopeo add, all on text.

use std::sync::Arc;

use super::functions::{CallError, Function};
use crate::go::Sink;
use crate::value::{Repr, Value};

/// Runs one of the functions on text; the arguments fit its parameters.
///
/// Source: `report.DefaultFuncs` of containers/common.
pub(super) fn call(
    function: Function,
    arguments: &[Value],
    limit: usize,
) -> Result<Value, CallError> {
    let texts: Vec<Arc<[u8]>> = arguments.iter().map(text).collect();
    let numbers: Vec<i64> = arguments.iter().map(number).collect();
    let mut sink = Sink::with_limit(limit);
    match (function, &texts[..], &numbers[..]) {
        (Function::Lower, [text], _) => map_characters(&mut sink, text, lower),
        (Function::Upper, [text], _) => map_characters(&mut sink, text, upper),
        (Function::Title, [text], _) => title(&mut sink, text),
        (Function::Join, [_, separator], _) => join(&mut sink, &arguments[0], separator),
        (Function::Split, [text, separator], _) => return split(text, separator, limit),
        (Function::Pad, [text, ..], [_, before, after]) => pad(&mut sink, text, *before, *after)?,
        (Function::Truncate, [text, _], [_, length]) => return truncate(text, *length),
        _ => return Err(CallError::Message(format!("{} got no arguments", function.name()))),
    }
    if sink.overflowed() {
        return Err(CallError::TooLong);
    }
    Ok(Value::text(sink.into_bytes()))
}

fn text(value: &Value) -> Arc<[u8]> {
    match &value.0 {
        Repr::Text(bytes) => bytes.clone(),
        _ => Arc::default(),
    }
}

fn number(value: &Value) -> i64 {
    match value.0 {
        Repr::Int(number) => number,
        Repr::Uint(number) => i64::try_from(number).unwrap_or(i64::MAX),
        _ => 0,
    }
}

/// Maps every character; bytes that are none become U+FFFD, as in Go's `strings.Map`.
fn map_characters(sink: &mut Sink, text: &[u8], mut each: impl FnMut(char) -> char) {
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            sink.push_char(each(character));
        }
        for _ in chunk.invalid() {
            sink.push_char(each(char::REPLACEMENT_CHARACTER));
        }
    }
}

/// A character's other case, unless that is several characters: Go maps one to one.
fn single(mut mapped: impl Iterator<Item = char>, original: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(character), None) => character,
        _ => original,
    }
}

fn lower(character: char) -> char {
    single(character.to_lowercase(), character)
}

fn upper(character: char) -> char {
    single(character.to_uppercase(), character)
}

/// Capitalises what follows anything but a letter, a digit or an underscore: `strings.Title`.
fn title(sink: &mut Sink, text: &[u8]) {
    let mut after_separator = true;
    map_characters(sink, text, |character| {
        let mapped = if after_separator { upper(character) } else { character };
        after_separator = match character.is_ascii() {
            true => !character.is_ascii_alphanumeric() && character != '_',
            false => character.is_whitespace(),
        };
        mapped
    });
}

fn join(sink: &mut Sink, list: &Value, separator: &[u8]) {
    let Repr::List(items) = &list.0 else { return };
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            sink.push(separator);
        }
        sink.push(&text(item));
        if sink.overflowed() {
            return;
        }
    }
}

fn split(text: &[u8], separator: &[u8], limit: usize) -> Result<Value, CallError> {
    // Each part costs more than its bytes: count it as such.
    if text.len().saturating_mul(8) > limit {
        return Err(CallError::TooLong);
    }
    let mut parts = Vec::new();
    if separator.is_empty() {
        for chunk in text.utf8_chunks() {
            parts
                .extend(chunk.valid().chars().map(|it| Value::string(it.encode_utf8(&mut [0; 4]))));
            parts.extend(chunk.invalid().iter().map(|byte| Value::text([*byte])));
        }
        return Ok(Value::list(parts));
    }
    let mut start = 0;
    for end in ends_of(text, separator) {
        parts.push(Value::text(&text[start..end - separator.len()]));
        start = end;
    }
    parts.push(Value::text(&text[start..]));
    Ok(Value::list(parts))
}

/// Where each occurrence of the needle ends, those that overlap an earlier one left out.
///
/// Knuth, Morris and Pratt: in linear time whatever the needle.
fn ends_of(text: &[u8], needle: &[u8]) -> Vec<usize> {
    // For each start of the needle, the length of the longest proper start that it ends with.
    let mut borders = vec![0; needle.len()];
    let mut matched = 0;
    for position in 1..needle.len() {
        while matched > 0 && needle[position] != needle[matched] {
            matched = borders[matched - 1];
        }
        matched += usize::from(needle[position] == needle[matched]);
        borders[position] = matched;
    }
    let mut ends = Vec::new();
    matched = 0;
    for (position, byte) in text.iter().enumerate() {
        while matched > 0 && *byte != needle[matched] {
            matched = borders[matched - 1];
        }
        matched += usize::from(*byte == needle[matched]);
        if matched == needle.len() {
            ends.push(position + 1);
            matched = 0;
        }
    }
    ends
}

fn pad(sink: &mut Sink, text: &[u8], before: i64, after: i64) -> Result<(), CallError> {
    if text.is_empty() {
        return Ok(());
    }
    let spaces = |count: i64| {
        usize::try_from(count)
            .map_err(|_| CallError::Message("strings: negative Repeat count".to_owned()))
    };
    sink.push_repeated(b' ', spaces(before)?);
    sink.push(text);
    sink.push_repeated(b' ', spaces(after)?);
    Ok(())
}

fn truncate(text: &[u8], length: i64) -> Result<Value, CallError> {
    match usize::try_from(length) {
        Ok(length) => Ok(Value::text(&text[..length.min(text.len())])),
        Err(_) => {
            Err(CallError::Message(format!("runtime error: slice bounds out of range [:{length}]")))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(text: &[u8], separator: &[u8]) -> Vec<Vec<u8>> {
        let Ok(Value(Repr::List(parts))) = split(text, separator, 1 << 20) else { return vec![] };
        parts.iter().map(|part| super::text(part).to_vec()).collect()
    }

    #[test]
    fn bytes_that_are_no_characters_split_too() {
        assert_eq!(parts(b"a\xff\xffb", b"\xff"), [&b"a"[..], b"", b"b"]);
        assert_eq!(parts("é\u{301}".as_bytes(), b""), ["é".as_bytes(), "\u{301}".as_bytes()]);
        assert_eq!(parts(b"a\xffb", b""), [&b"a"[..], b"\xff", b"b"]);
    }

    proptest! {
        #[test]
        fn text_splits_as_rust_splits_it(text in "[ab]{0,30}", separator in "[ab]{1,4}") {
            let expected: Vec<Vec<u8>> =
                text.split(&separator).map(|part| part.as_bytes().to_vec()).collect();
            prop_assert_eq!(parts(text.as_bytes(), separator.as_bytes()), expected);
        }
    }
}
