//! What kind of file a file is: by its name, or else by how it begins.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use cask_image::MediaType;

/// How much of a file is looked at.
const BEGINNING: usize = 512;

/// Where systems say what names of files mean; the first that is there counts.
const GLOBS: [&str; 2] = ["/usr/local/share/mime/globs2", "/usr/share/mime/globs2"];

/// Where others say it; all count, and before what is built in.
const TYPES: [&str; 4] = [
    "/etc/mime.types",
    "/etc/apache2/mime.types",
    "/etc/apache/mime.types",
    "/etc/httpd/conf/mime.types",
];

/// What names mean everywhere.
///
/// Source: Go, `mime/type.go`, `builtinTypes`.
const BUILT_IN: [(&str, &str); 16] = [
    ("avif", "image/avif"),
    ("css", "text/css"),
    ("gif", "image/gif"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("mjs", "text/javascript"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("wasm", "application/wasm"),
    ("webp", "image/webp"),
    ("xml", "text/xml"),
];

/// How files begin; a `?` is any byte.
///
/// Source: Go, `net/http/sniff.go`; the MIME Sniffing Standard of WHATWG, chapter 7.
const BEGINNINGS: [(&[u8], &str); 33] = [
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"\xFE\xFF??", "text/plain"),
    (b"\xFF\xFE??", "text/plain"),
    (b"\xEF\xBB\xBF?", "text/plain"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
    (b"\x00\x00\x02\x00", "image/x-icon"),
    (b"BM", "image/bmp"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"RIFF????WEBPVP", "image/webp"),
    (b"\x89PNG\x0D\x0A\x1A\x0A", "image/png"),
    (b"\xFF\xD8\xFF", "image/jpeg"),
    (b"FORM????AIFF", "audio/aiff"),
    (b"ID3", "audio/mpeg"),
    (b"OggS\x00", "application/ogg"),
    (b"MThd\x00\x00\x00\x06", "audio/midi"),
    (b"RIFF????AVI ", "video/avi"),
    (b"RIFF????WAVE", "audio/wave"),
    (b"????ftypmp4", "video/mp4"),
    (b"????ftyp????????mp4", "video/mp4"),
    (b"\x1A\x45\xDF\xA3", "video/webm"),
    (b"??????????????????????????????????LP", "application/vnd.ms-fontobject"),
    (b"\x00\x01\x00\x00", "font/ttf"),
    (b"OTTO", "font/otf"),
    (b"ttcf", "font/collection"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"\x1F\x8B\x08", "application/x-gzip"),
    (b"PK\x03\x04", "application/zip"),
    (b"Rar!\x1A\x07\x00", "application/x-rar-compressed"),
    (b"Rar!\x1A\x07\x01\x00", "application/x-rar-compressed"),
    (b"\x00asm", "application/wasm"),
];

/// How HTML begins, behind white space, in whatever case; a space or a `>` follows.
const TAGS: [&str; 17] = [
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

/// What kind of file a file is.
///
/// Source: containers/common, `libimage/manifests/manifests.go`, `AddArtifact`.
pub(super) fn of_file(path: &Path) -> Result<MediaType> {
    let failed = || format!("reading {:?} to determine its type", path.display());
    // Opening a pipe would wait for who writes to it.
    let is_file = path.metadata().with_context(failed)?.is_file();
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if let Some((_, extension)) = name.rsplit_once('.')
        && let Some(known) = of_extension(extension)
    {
        return Ok(MediaType::from(known.as_str()));
    }
    let mut beginning = Vec::new();
    if is_file {
        let file = File::open(path).with_context(failed)?;
        file.take(BEGINNING as u64).read_to_end(&mut beginning).with_context(failed)?;
    }
    Ok(MediaType::from(of_bytes(&beginning)))
}

fn of_extension(extension: &str) -> Option<String> {
    let read = |path: &&str| std::fs::read_to_string(path).ok();
    let lower = extension.to_ascii_lowercase();
    let names = [extension, lower.as_str()];
    let built_in = |name: &str| {
        BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, kind)| (*kind).to_owned())
    };
    let globs = GLOBS.iter().find_map(read);
    let types = match globs {
        Some(_) => String::new(),
        None => TYPES.iter().filter_map(read).collect::<Vec<_>>().join("\n"),
    };
    names.into_iter().find_map(|name| {
        let listed = || in_types(&types, name).or_else(|| built_in(name));
        listed().or_else(|| in_globs(globs.as_deref()?, name))
    })
}

/// Looks into lines such as `50:image/png:*.png`.
fn in_globs(text: &str, extension: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (_, kind, glob) = (fields.next()?, fields.next()?, fields.next()?);
        (glob.strip_prefix("*.")? == extension).then(|| without_parameters(kind))
    })
}

/// Looks into lines such as `image/jpeg jpeg jpg jpe`; the last one counts.
fn in_types(text: &str, extension: &str) -> Option<String> {
    let lines = text.lines().rev().filter(|line| !line.starts_with('#'));
    let mut words = lines.map(str::split_whitespace);
    words.find_map(|mut words| {
        let kind = words.next()?;
        let mut extensions = words.take_while(|word| !word.starts_with('#'));
        extensions.any(|known| known == extension).then(|| without_parameters(kind))
    })
}

fn without_parameters(kind: &str) -> String {
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn of_bytes(bytes: &[u8]) -> &'static str {
    let behind_space = bytes.trim_ascii_start();
    if TAGS.iter().any(|tag| begins_with_tag(behind_space, tag.as_bytes())) {
        return "text/html";
    }
    if behind_space.starts_with(b"<?xml") {
        return "text/xml";
    }
    let fits = |pattern: &[u8]| {
        let mut pairs = pattern.iter().zip(bytes);
        bytes.len() >= pattern.len() && pairs.all(|(known, byte)| *known == b'?' || known == byte)
    };
    if let Some((_, kind)) = BEGINNINGS.iter().find(|(pattern, _)| fits(pattern)) {
        return kind;
    }
    match bytes.iter().any(|byte| is_binary(*byte)) {
        true => "application/octet-stream",
        false => "text/plain",
    }
}

fn begins_with_tag(bytes: &[u8], tag: &[u8]) -> bool {
    let is_tag = bytes.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag));
    is_tag && bytes.get(tag.len()).is_some_and(|end| matches!(end, b' ' | b'>'))
}

fn is_binary(byte: u8) -> bool {
    matches!(byte, 0x00..=0x08 | 0x0B | 0x0E..=0x1A | 0x1C..=0x1F)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_say_what_they_are() {
        fn check(bytes: &[u8], expected: &str) {
            assert_eq!(of_bytes(bytes), expected, "{}", bytes.escape_ascii());
        }
        check(b"", "text/plain");
        check(b"a line\n", "text/plain");
        check(b"\x00\x01", "application/octet-stream");
        check(b"\x7FELF\x02\x01\x01\x00", "application/octet-stream");
        check(b" \n<!doctype html>", "text/html");
        check(b"<h1 class=x>", "text/html");
        check(b"<h1x>", "text/plain");
        check(b"<?xml version=\"1.0\"?>", "text/xml");
        check(b"\x89PNG\x0D\x0A\x1A\x0A\x00\x00", "image/png");
        check(b"RIFF\x01\x02\x03\x04WAVEfmt", "audio/wave");
        check(b"\x1F\x8B\x08\x00", "application/x-gzip");
        check(b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom", "video/mp4");
        check(b"\xEF\xBB\xBFtext", "text/plain");
        check(b"\xFF\xFE", "text/plain");
        check(b"\x00asm\x01\x00\x00\x00", "application/wasm");
    }

    #[test]
    fn lists_of_the_system_are_read() {
        let globs = "# comment\n50:image/png:*.png\n60:text/x-c:*.C\n";
        assert_eq!(in_globs(globs, "png").as_deref(), Some("image/png"));
        assert_eq!(in_globs(globs, "c"), None);
        let types = "# text/plain txt\ntext/plain; charset=utf-8 txt asc # more\nx/y\nx/z asc\n";
        assert_eq!(in_types(types, "txt").as_deref(), Some("text/plain"));
        assert_eq!(in_types(types, "asc").as_deref(), Some("x/z"));
        assert_eq!(in_types(types, "more"), None);
    }

    #[test]
    fn names_count_before_contents() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let file = directory.path().join("page.JSON");
        std::fs::write(&file, "<html>").expect("it is writable");
        assert_eq!(of_file(&file).expect("it is there").as_str(), "application/json");
        let file = directory.path().join("page");
        std::fs::write(&file, "<html>").expect("it is writable");
        assert_eq!(of_file(&file).expect("it is there").as_str(), "text/html");
        assert!(of_file(&directory.path().join("nosuch")).is_err());
    }
}
