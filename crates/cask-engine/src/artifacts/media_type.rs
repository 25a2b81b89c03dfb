//! What a file is, by its first bytes.
//!
//! Source: WHATWG, *MIME Sniffing*; the same table as that of Go's `net/http`, since the type is a part of the manifest,
//! and so of its digest.

/// How many bytes are looked at.
pub(super) const LOOKED_AT: usize = 512;

const TEXT: &str = "text/plain; charset=utf-8";

/// Tags that a page begins with; a space or `>` follows.
const PAGES: [&str; 17] = [
    "<!DOCTYPE HTML",
    "<HTML",
    "<HEAD",
    "<SCRIPT",
    "<IFRAME",
    "<H1",
    "<DIV",
    "<FONT",
    "<TABLE",
    "<A",
    "<STYLE",
    "<TITLE",
    "<B",
    "<BODY",
    "<BR",
    "<P",
    "<!--",
];

/// What a file begins with, and what it is. `.` stands for any byte where the second word is true.
const BEGINNINGS: [(&[u8], bool, &str); 31] = [
    (b"%PDF-", false, "application/pdf"),
    (b"%!PS-Adobe-", false, "application/postscript"),
    (b"\xfe\xff..", true, "text/plain; charset=utf-16be"),
    (b"\xff\xfe..", true, "text/plain; charset=utf-16le"),
    (b"\xef\xbb\xbf.", true, TEXT),
    (b"\0\0\x01\0", false, "image/x-icon"),
    (b"\0\0\x02\0", false, "image/x-icon"),
    (b"BM", false, "image/bmp"),
    (b"GIF87a", false, "image/gif"),
    (b"GIF89a", false, "image/gif"),
    (b"RIFF....WEBPVP", true, "image/webp"),
    (b"\x89PNG\r\n\x1a\n", false, "image/png"),
    (b"\xff\xd8\xff", false, "image/jpeg"),
    (b"FORM....AIFF", true, "audio/aiff"),
    (b"ID3", false, "audio/mpeg"),
    (b"OggS\0", false, "application/ogg"),
    (b"MThd\0\0\0\x06", false, "audio/midi"),
    (b"RIFF....AVI ", true, "video/avi"),
    (b"RIFF....WAVE", true, "audio/wave"),
    (b"\x1a\x45\xdf\xa3", false, "video/webm"),
    (b"..................................LP", true, "application/vnd.ms-fontobject"),
    (b"\0\x01\0\0", false, "font/ttf"),
    (b"OTTO", false, "font/otf"),
    (b"ttcf", false, "font/collection"),
    (b"wOFF", false, "font/woff"),
    (b"wOF2", false, "font/woff2"),
    (b"\x1f\x8b\x08", false, "application/x-gzip"),
    (b"PK\x03\x04", false, "application/zip"),
    (b"Rar!\x1a\x07\0", false, "application/x-rar-compressed"),
    (b"Rar!\x1a\x07\x01\0", false, "application/x-rar-compressed"),
    (b"\0asm", false, "application/wasm"),
];

const OTHER: &str = "application/octet-stream";

/// The media type of what begins so.
pub(super) fn of_beginning(bytes: &[u8]) -> &'static str {
    let bytes = &bytes[..bytes.len().min(LOOKED_AT)];
    let blank = |byte: &u8| matches!(byte, b'\t' | b'\n' | 0x0c | b'\r' | b' ');
    let words = &bytes[bytes.iter().take_while(|byte| blank(byte)).count()..];
    if PAGES.iter().any(|tag| is_tag(words, tag.as_bytes())) {
        return "text/html; charset=utf-8";
    }
    if words.starts_with(b"<?xml") {
        return "text/xml; charset=utf-8";
    }
    let begins = |pattern: &[u8], has_gaps: bool| {
        let same = |(byte, wanted): (&u8, &u8)| byte == wanted || (has_gaps && *wanted == b'.');
        bytes.len() >= pattern.len() && bytes.iter().zip(pattern).all(same)
    };
    let found = BEGINNINGS.iter().find(|(pattern, has_gaps, _)| begins(pattern, *has_gaps));
    if let Some((_, _, media_type)) = found {
        return media_type;
    }
    if is_mp4(bytes) {
        return "video/mp4";
    }
    let is_binary = |byte: &u8| matches!(byte, 0..=0x08 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    if words.iter().any(is_binary) { OTHER } else { TEXT }
}

fn is_tag(bytes: &[u8], tag: &[u8]) -> bool {
    let Some((begin, rest)) = bytes.split_at_checked(tag.len()) else { return false };
    begin.eq_ignore_ascii_case(tag) && matches!(rest.first(), Some(b' ' | b'>'))
}

/// Whether it begins with a box that says so, in whose brands `mp4` is.
fn is_mp4(bytes: &[u8]) -> bool {
    let Some((size, rest)) = bytes.split_first_chunk::<4>() else { return false };
    let size = usize::try_from(u32::from_be_bytes(*size)).unwrap_or(usize::MAX);
    if bytes.len() < 12 || bytes.len() < size || size % 4 != 0 || !rest.starts_with(b"ftyp") {
        return false;
    }
    // After the first brand stands its version.
    (8..size).step_by(4).filter(|at| *at != 12).any(|at| bytes[at..].starts_with(b"mp4"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_what_podman_says() {
        fn check(bytes: &[u8], expected: &str) {
            assert_eq!(of_beginning(bytes), expected, "{}", bytes.escape_ascii());
        }
        // Recorded of podman 5.8.6.
        check(b"", TEXT);
        check(b"#!/bin/sh\n", TEXT);
        check(b"{\"a\":1}\n", TEXT);
        check(b"\x89PNG\r\n\x1a\n", "image/png");
        check(b"\x1f\x8b\x08abc", "application/x-gzip");
        check(b"<html><a>", "text/html; charset=utf-8");
        check(b"%PDF-1.4", "application/pdf");
        check(b"\0\x01", OTHER);
        // Of the specification.
        check(b" \n<!doctype html>", "text/html; charset=utf-8");
        check(b"<html", TEXT);
        check(b"  <?xml version", "text/xml; charset=utf-8");
        check(b"RIFF1234WAVEfmt", "audio/wave");
        check(b"\xef\xbb\xbfa", TEXT);
        check(b"\xff\xfea\0", "text/plain; charset=utf-16le");
        check(b"\0\0\0\x14ftypisom\0\0\0\0mp42", "video/mp4");
        check(b"\0\0\0\x10ftypmp42\0\0\0\0", "video/mp4");
        check(b"\0\0\0\x10ftypisommp42", OTHER);
        check(b"\x28\xb5\x2f\xfd", TEXT);
        check(b"a\x1bb", TEXT);
        check(&[b'a'; 600], TEXT);
    }
}
