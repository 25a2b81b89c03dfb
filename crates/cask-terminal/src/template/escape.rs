//! `html`, `js` and `urlquery`.

use crate::go::{Sink, is_print};

/// Source: `template.HTMLEscape`.
pub(super) fn html(sink: &mut Sink, text: &[u8]) {
    for byte in text {
        match byte {
            0 => sink.push_str("\u{fffd}"),
            b'"' => sink.push_str("&#34;"),
            b'\'' => sink.push_str("&#39;"),
            b'&' => sink.push_str("&amp;"),
            b'<' => sink.push_str("&lt;"),
            b'>' => sink.push_str("&gt;"),
            _ => sink.push(&[*byte]),
        }
    }
}

/// Source: `template.JSEscape`.
pub(super) fn javascript(sink: &mut Sink, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => sink.push_str("\\\\"),
                '\'' => sink.push_str("\\'"),
                '"' => sink.push_str("\\\""),
                '<' | '>' | '&' | '=' | '\0'..='\x1f' => push_unicode(sink, character),
                _ if character.is_ascii() || is_print(character) => sink.push_char(character),
                _ => push_unicode(sink, character),
            }
        }
        for _ in chunk.invalid() {
            sink.push_char(char::REPLACEMENT_CHARACTER);
        }
    }
}

fn push_unicode(sink: &mut Sink, character: char) {
    sink.push_str(&format!("\\u{:04X}", u32::from(character)));
}

/// Source: `url.QueryEscape`.
pub(super) fn url_query(sink: &mut Sink, text: &[u8]) {
    for byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                sink.push(&[*byte]);
            }
            b' ' => sink.push_str("+"),
            _ => sink.push_str(&format!("%{byte:02X}")),
        }
    }
}
