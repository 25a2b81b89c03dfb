//! Archives that are refused, and what is said of them.

use cask_archive::{ArchiveReader, ErrorKind, ReadOptions};
use proptest::prelude::*;

use crate::raw::{Head, Raw, open, record, stored};

#[track_caller]
fn refuse(bytes: &[u8], kind: ErrorKind, text: &str) {
    let error = open(bytes).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(text), "{error}");
}

#[test]
fn names_that_leave_the_archive_are_refused() {
    let check = |name: &str| {
        refuse(&Raw::default().file(name, b"x").end(), ErrorKind::UnsafeName, "the name");
    };
    check("../manifest.json");
    check("a/../../b");
    check("a/..");
    check("..");
    check("/manifest.json");
    check("//x");
    check("");
    check(".");
}

#[test]
fn long_names_that_leave_the_archive_are_refused() {
    let gnu = Raw::default().extension(b'L', b"../x\0").file("x", b"");
    refuse(&gnu.end(), ErrorKind::UnsafeName, "\"..\"");
    let pax = Raw::default().extension(b'x', &record("path", "/x")).file("x", b"");
    refuse(&pax.end(), ErrorKind::UnsafeName, "absolute");
    let nul = Raw::default().extension(b'x', &record("path", "a\0b")).file("x", b"");
    refuse(&nul.end(), ErrorKind::UnsafeName, "NUL");
    let hidden = Raw::default().extension(b'L', b"a\0b\0").file("x", b"");
    refuse(&hidden.end(), ErrorKind::UnsafeName, "NUL");
    let long = "n/".repeat(2049);
    let pax = Raw::default().extension(b'x', &record("path", &long)).file("x", b"");
    refuse(&pax.end(), ErrorKind::UnsafeName, "4096");
    let gnu = Raw::default().extension(b'L', long.as_bytes()).file("x", b"");
    refuse(&gnu.end(), ErrorKind::UnsafeName, "4096");
    let prefix = Head::new(b"x", b'0', 0).field(345, b"a/..");
    refuse(&Raw::default().head(prefix).end(), ErrorKind::UnsafeName, "\"..\"");
}

#[test]
fn members_below_a_link_or_file_are_refused() {
    let check = |raw: Raw| refuse(&raw.end(), ErrorKind::UnsafeName, "no directory");
    check(Raw::default().symlink("d", ".").file("d/manifest.json", b"{}"));
    check(Raw::default().file("d/x", b"").symlink("d", "/etc"));
    check(Raw::default().directory("d").symlink("d", "/etc").file("d/x", b""));
    check(Raw::default().symlink("d", "/etc").directory("d").file("d/x", b""));
    check(Raw::default().hardlink("d", "e").file("d/x/y", b""));
    check(Raw::default().file("d", b"").file("d/x", b""));
    check(Raw::default().head(Head::new(b"fifo", b'6', 0)).file("fifo/x", b""));
}

#[test]
fn what_programs_read_differently_is_refused() {
    let check = |raw: Raw, kind, text| refuse(&raw.end(), kind, text);
    let names = Raw::default()
        .extension(b'L', b"one\0")
        .extension(b'x', &record("path", "two"))
        .file("x", b"");
    check(names, ErrorKind::Malformed, "ambiguous");
    let twice = Raw::default()
        .extension(b'x', &record("path", "one"))
        .extension(b'x', &record("path", "two"))
        .file("x", b"");
    check(twice, ErrorKind::Malformed, "two extension headers");
    for flag in [b'1', b'2', b'3', b'4', b'5', b'6'] {
        let raw = Raw::default().head(Head::new(b"x", flag, 512)).data(&[1; 512]);
        check(raw, ErrorKind::Malformed, "with data");
    }
    let slash = Raw::default().file("x/", b"data");
    check(slash, ErrorKind::Malformed, "with data");
    let zeros = Raw::default().file("a", b"").zeros(1).file("b", b"");
    check(zeros, ErrorKind::Malformed, "no second one");
    let v7 = Head::new(b"x", b'L', 2).field(257, &[0; 8]);
    check(Raw::default().head(v7).data(b"y\0").file("x", b""), ErrorKind::Malformed, "format");
    let prefix = Head::new(b"x", b'0', 0).field(257, b"ustar  \0").field(345, b"prefix");
    check(Raw::default().head(prefix), ErrorKind::Malformed, "ambiguous");
    let global = Raw::default().extension(b'g', &record("path", "y")).file("x", b"");
    check(global, ErrorKind::Unsupported, "global");
}

#[test]
fn what_is_not_supported_is_named() {
    let check = |raw: Raw, text| refuse(&raw.end(), ErrorKind::Unsupported, text);
    check(Raw::default().head(Head::new(b"x", b'S', 0)), "sparse");
    check(Raw::default().head(Head::new(b"x", b'M', 0)), "multi-volume");
    check(Raw::default().head(Head::new(b"x", b'X', 0)), "Solaris");
    let sparse = record("GNU.sparse.map", "0,1");
    check(Raw::default().extension(b'x', &sparse).file("x", b""), "sparse");
}

#[test]
fn headers_that_are_wrong_are_refused() {
    let check = |head: Head, text| {
        refuse(&Raw::default().head(head).end(), ErrorKind::Malformed, text);
    };
    check(Head::new(b"x", b'0', 0).field(124, b"-0000000001\0"), "size");
    check(Head::new(b"x", b'0', 0).field(124, b"00000000009\0"), "size");
    check(Head::new(b"x", b'0', 0).field(124, &[0xff; 12]), "size");
    check(
        Head::new(b"x", b'0', 0).field(124, b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"),
        "size",
    );
    let mut wrong = Raw::default().file("x", b"").end();
    wrong[0] = b'y';
    refuse(&wrong, ErrorKind::Malformed, "checksum");
    refuse(b"{\"not\":\"a tar\"}".repeat(100).as_slice(), ErrorKind::Malformed, "no tar archive");
    let orphan = Raw::default().extension(b'x', &record("path", "y")).end();
    refuse(&orphan, ErrorKind::Malformed, "no member");
    let bad = Raw::default().extension(b'x', b"99 path=y\n").file("x", b"").end();
    refuse(&bad, ErrorKind::Malformed, "PAX record");
}

#[test]
fn sizes_beyond_the_archive_are_truncation() {
    let check = |field: &[u8]| {
        let head = Head::new(b"x", b'0', 0).field(124, field);
        let error = open(&Raw::default().head(head).data(b"short").end()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Truncated, "{error}");
        assert_eq!(error.member_name(), Some("x"));
        assert_eq!(error.offset(), Some(512));
    };
    check(b"77777777777\0");
    check(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
    check(b"00000004000\0");
    let pax = Raw::default().extension(b'x', &record("size", "9223372036854775807"));
    let error = open(&pax.file("x", b"").end()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Truncated, "{error}");
}

#[test]
fn large_extension_headers_are_refused_before_they_are_read() {
    let check = |size: &[u8]| {
        let head = Head::new(b"x", b'x', 0).field(124, size);
        refuse(&Raw::default().head(head).end(), ErrorKind::TooLarge, "1 MiB");
    };
    check(b"00004000001\0");
    check(b"77777777777\0");
    check(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
}

#[test]
fn the_index_is_limited() {
    let mut raw = Raw::default();
    for number in 0..100 {
        raw = raw.file(&format!("file-{number}"), b"");
    }
    let (_directory, path) = stored(&raw.end());
    let mut options = ReadOptions::default();
    options.max_index_bytes = 10_000;
    let error = ArchiveReader::open(&path, &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    options.max_index_bytes = 20_000;
    ArchiveReader::open(&path, &options).unwrap();
}

#[test]
fn duplicates_are_reported_when_asked_for() {
    let raw = Raw::default()
        .file("manifest.json", b"1")
        .file("other", b"")
        .file("./manifest.json", b"2")
        .directory("d")
        .directory("d/")
        .directory("e")
        .file("e", b"");
    let archive = open(&raw.end()).unwrap();
    let error = archive.open_member("manifest.json").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Duplicate);
    assert!(error.to_string().contains("at bytes 0 and 1536"), "{error}");
    archive.open_member("other").unwrap();
    archive.find("d").unwrap();
    assert_eq!(archive.find("e").unwrap_err().kind(), ErrorKind::Duplicate);
}

#[test]
fn links_are_followed_once_and_never_out() {
    let raw = Raw::default()
        .file("layer.tar", b"layer")
        .symlink("id/layer.tar", "../layer.tar")
        .hardlink("hard", "./layer.tar")
        .symlink("twice", "id/layer.tar")
        .symlink("loop", "loop")
        .symlink("out", "../../etc/passwd")
        .symlink("absolute", "/etc/passwd")
        .symlink("nowhere", "missing")
        .symlink("to-directory", "d")
        .hardlink("hard-out", "../x")
        .directory("d");
    let archive = open(&raw.end()).unwrap();
    for name in ["layer.tar", "id/layer.tar", "hard"] {
        assert_eq!(archive.read_member(name, 5).unwrap(), b"layer", "{name}");
    }
    let check = |name: &str, kind| {
        assert_eq!(archive.open_member(name).unwrap_err().kind(), kind, "{name}");
    };
    check("twice", ErrorKind::NotAFile);
    check("loop", ErrorKind::NotAFile);
    check("to-directory", ErrorKind::NotAFile);
    check("d", ErrorKind::NotAFile);
    check("out", ErrorKind::UnsafeName);
    check("absolute", ErrorKind::UnsafeName);
    check("hard-out", ErrorKind::UnsafeName);
    check("nowhere", ErrorKind::NoMember);
    check("../layer.tar", ErrorKind::UnsafeName);
    assert_eq!(archive.read_member("layer.tar", 4).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn every_truncation_is_an_error_or_lost_nothing() {
    let whole = Raw::default()
        .file("a", &[7; 700])
        .extension(b'x', &record("path", "b/long/name"))
        .file("n", b"")
        .directory("d")
        .symlink("d/link", "../a")
        .end();
    let marker = whole.len() - 1024;
    let complete = open(&whole).unwrap().members().to_vec();
    for length in 0..whole.len() {
        match open(&whole[..length]) {
            // The second half of the marker may be missing, as for Go.
            Ok(archive) => {
                assert!(length >= marker + 512, "cut at {length}");
                assert_eq!(archive.members(), complete);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Truncated, "cut at {length}: {error}");
                assert!(error.offset().is_some(), "{error}");
            }
        }
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_an_error() {
    use std::io::Read;
    let (_directory, path) = stored(&Raw::default().file("a", &[7; 5000]).end());
    let archive = ArchiveReader::open(&path, &ReadOptions::default()).unwrap();
    let mut reader = archive.open_member("a").unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1000).unwrap();
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    assert!(error.to_string().contains("became shorter"), "{error}");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        let _ = open(&bytes);
    }

    #[test]
    fn arbitrary_headers_never_panic(
        heads in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 0..40), any::<u8>(), any::<[u8; 12]>(),
             proptest::collection::vec(any::<u8>(), 0..600)), 1..6),
    ) {
        let mut raw = Raw::default();
        for (name, flag, size, data) in heads {
            let mut head = Head::new(&name, flag, data.len());
            if size[0] > 200 {
                head = head.field(124, &size);
            }
            raw = raw.head(head).data(&data);
        }
        if let Ok(archive) = open(&raw.end()) {
            for member in archive.members() {
                let _ = archive.open_member(member.name());
            }
        }
    }

    #[test]
    fn flipped_bits_never_panic(at in 0..5632_usize, bit in 0..8_u8) {
        let mut bytes = Raw::default()
            .file("a", &[7; 700])
            .extension(b'x', &record("path", "a-long-name"))
            .extension(b'K', b"target\0")
            .symlink("n", "x")
            .directory("d")
            .end();
        prop_assert_eq!(bytes.len(), 5632);
        bytes[at] ^= 1 << bit;
        let _ = open(&bytes);
    }
}
