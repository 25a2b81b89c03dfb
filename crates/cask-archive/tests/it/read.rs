//! Archives that are read: all dialects, all ways in.

use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::path::Path;

use cask_archive::{ArchiveReader, ErrorKind, MemberKind, ReadOptions};

use crate::raw::{Head, Raw, names_in, open, record, stored};

fn small() -> Raw {
    Raw::default().directory("./").file("./a", b"one").directory("d/").file("d//b", &[2; 1000])
}

fn contents(archive: &ArchiveReader) -> Vec<(String, Vec<u8>)> {
    let files = archive.members().iter().filter(|member| *member.kind() == MemberKind::File);
    files
        .map(|member| {
            let bytes = archive.read_member(member.name(), u64::MAX).unwrap();
            (member.display_name().into_owned(), bytes)
        })
        .collect()
}

fn expected() -> Vec<(String, Vec<u8>)> {
    vec![("a".into(), b"one".to_vec()), ("d/b".into(), vec![2; 1000])]
}

#[test]
fn names_are_made_comparable() {
    let archive = open(&small().end()).unwrap();
    assert_eq!(contents(&archive), expected());
    assert_eq!(archive.find("./d/./b").unwrap().size_bytes(), 1000);
    assert_eq!(archive.members().len(), 3, "the root is no member");
    assert!(archive.is_in_place());
}

#[test]
fn what_follows_the_end_marker_is_no_member() {
    let mut bytes = small().end();
    bytes.extend(Raw::default().file("c", b"hidden").end());
    assert_eq!(contents(&open(&bytes).unwrap()), expected());
    assert_eq!(open(&small().zeros(20).0).unwrap().end_offset() as usize, small().0.len());
}

#[test]
fn long_names_of_every_dialect_are_read() {
    let long = format!("{}/file", "directory/".repeat(30));
    let clean = long.replace("//", "/");
    let gnu = Raw::default().extension(b'L', format!("{long}\0").as_bytes()).file("cut", b"x");
    let pax = Raw::default().extension(b'x', &record("path", &long)).file("cut", b"x");
    let both = Raw::default()
        .extension(b'L', long.as_bytes())
        .extension(b'x', &record("path", &long))
        .file("cut", b"x");
    for raw in [gnu, pax, both] {
        assert_eq!(contents(&open(&raw.end()).unwrap()), [(clean.clone(), b"x".to_vec())]);
    }
    let ustar = Head::new(b"name", b'0', 0).field(345, b"prefix/more");
    let star = Head::new(b"name", b'0', 0).field(345, b"prefix/more").field(508, b"tar\0");
    for head in [ustar, star] {
        let archive = open(&Raw::default().head(head).end()).unwrap();
        assert_eq!(archive.members()[0].name(), b"prefix/more/name");
    }
    let full = [b'n'; 100];
    let archive = open(&Raw::default().head(Head::new(&full, 0, 0)).end()).unwrap();
    assert_eq!(archive.members()[0].name(), full);
}

#[test]
fn long_link_targets_are_read() {
    let target = "t".repeat(200);
    let gnu = Raw::default().extension(b'K', format!("{target}\0").as_bytes()).symlink("l", "cut");
    let pax = Raw::default().extension(b'x', &record("linkpath", &target)).symlink("l", "cut");
    for raw in [gnu, pax] {
        let archive = open(&raw.file(&target[..99], b"").end()).unwrap();
        let expected = MemberKind::Symlink(target.as_bytes().into());
        assert_eq!(*archive.members()[0].kind(), expected);
    }
}

#[test]
fn a_pax_size_counts_and_not_the_headers() {
    // The header's size would make a reader take the data for headers (CVE-2025-62518).
    let inner = Raw::default().file("inner", b"smuggled").end();
    let raw = Raw::default()
        .extension(b'x', &record("size", &inner.len().to_string()))
        .head(Head::new(b"outer", b'0', 0))
        .data(&inner)
        .file("last", b"");
    let archive = open(&raw.end()).unwrap();
    let names: Vec<_> = archive.members().iter().map(|member| member.display_name()).collect();
    assert_eq!(names, ["outer", "last"]);
    assert_eq!(archive.read_member("outer", 5000).unwrap(), inner);
}

#[test]
fn old_and_odd_members_are_understood() {
    let raw = Raw::default()
        .head(Head::new(b"old", 0, 0).field(257, &[0; 8]))
        .head(Head::new(b"old-directory/", 0, 0).field(257, &[0; 8]))
        .head(Head::new(b"contiguous", b'7', 0))
        .head(Head::new(b"device", b'3', 0))
        .head(Head::new(b"vendor", b'Z', 3))
        .data(b"abc")
        .extension(b'g', &record("comment", "from git archive"))
        .file("last", b"");
    let archive = open(&raw.end()).unwrap();
    let kinds: Vec<_> = archive.members().iter().map(|member| member.kind().clone()).collect();
    let expected = [
        MemberKind::File,
        MemberKind::Directory,
        MemberKind::File,
        MemberKind::Other(b'3'),
        MemberKind::Other(b'Z'),
        MemberKind::File,
    ];
    assert_eq!(kinds, expected);
    assert_eq!(archive.open_member("vendor").unwrap_err().kind(), ErrorKind::NotAFile);
}

#[test]
fn members_are_read_in_parallel_and_from_the_middle() {
    let data: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let archive = open(&Raw::default().file("a", &data).file("b", &data).end()).unwrap();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (archive, data) = (&archive, &data);
            scope.spawn(move || {
                let mut reader = archive.open_member(["a", "b"][number % 2]).unwrap();
                assert_eq!(reader.size_bytes(), data.len() as u64);
                reader.seek(SeekFrom::Start(number as u64 * 1001)).unwrap();
                let mut read = Vec::new();
                reader.read_to_end(&mut read).unwrap();
                assert_eq!(read, data[number * 1001..]);
            });
        }
    });
    let mut reader = archive.open_member("a").unwrap();
    assert_eq!(reader.seek(SeekFrom::End(-4)).unwrap(), data.len() as u64 - 4);
    assert_eq!(reader.seek(SeekFrom::Current(10)).unwrap(), data.len() as u64 + 6);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    assert!(reader.seek(SeekFrom::Current(i64::MIN)).is_err());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn options(spool: &Path) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.spool_directory = spool.to_owned();
    options
}

#[test]
fn compressed_archives_and_streams_are_unpacked_once() {
    let spool = tempfile::tempdir().unwrap();
    let (_directory, path) = stored(&gzip(&small().end()));
    let check = |archive: ArchiveReader| {
        assert_eq!(contents(&archive), expected());
        assert!(!archive.is_in_place());
        assert!(names_in(spool.path()).is_empty(), "the unpacked file has no name");
    };
    check(ArchiveReader::open(&path, &options(spool.path())).unwrap());
    let plain = Cursor::new(small().end());
    check(ArchiveReader::from_reader(plain, "(stdin)", &options(spool.path())).unwrap());
    let packed = Cursor::new(gzip(&small().end()));
    check(ArchiveReader::from_reader(packed, "(stdin)", &options(spool.path())).unwrap());
}

#[test]
fn a_pipe_is_read_by_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    let status = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(status.success());
    let archive = std::thread::scope(|scope| {
        scope.spawn(|| std::fs::write(&path, small().end()).unwrap());
        ArchiveReader::open(&path, &options(directory.path())).unwrap()
    });
    assert_eq!(contents(&archive), expected());
}

#[test]
fn every_truncation_of_a_compressed_archive_is_an_error() {
    let whole = gzip(&small().end());
    for length in 1..whole.len() {
        let error = open(&whole[..length]).unwrap_err();
        // Three bytes are needed to recognise the compression.
        let expected: &[ErrorKind] = if length < 3 {
            &[ErrorKind::Truncated, ErrorKind::Malformed]
        } else {
            &[ErrorKind::Truncated]
        };
        assert!(expected.contains(&error.kind()), "cut at {length}: {error}");
    }
}

#[test]
fn unpacking_is_limited() {
    let spool = tempfile::tempdir().unwrap();
    let bomb = gzip(&Raw::default().file("a", &vec![0; 1 << 20]).end());
    let mut options = options(spool.path());
    options.max_spooled_bytes = 100_000;
    let open = |options: &_| ArchiveReader::from_reader(&bomb[..], "(stdin)", options);
    let error = open(&options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(error.to_string().contains("100000 bytes"), "{error}");
    options.max_spooled_bytes = (1 << 20) + 1536;
    open(&options).unwrap();
    options.spool_directory = "/nonexistent".into();
    assert_eq!(open(&options).unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn what_is_no_archive_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let check = |path: &Path, kind, text: &str| {
        let error = ArchiveReader::open(path, &ReadOptions::default()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    };
    check(&directory.path().join("missing"), ErrorKind::NoArchive, "opening");
    check(directory.path(), ErrorKind::Io, "opening");
    let empty = directory.path().join("empty");
    std::fs::write(&empty, b"").unwrap();
    check(&empty, ErrorKind::Truncated, "empty");
    std::fs::write(&empty, b"hello").unwrap();
    check(&empty, ErrorKind::Truncated, "cut short");
}

#[test]
fn compressed_members_are_unpacked() {
    let data: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let packed = gzip(&data);
    let broken = &packed[..packed.len() / 2];
    let raw = Raw::default().file("plain", &data).file("packed", &packed).file("broken", broken);
    let archive = open(&raw.symlink("link", "packed").end()).unwrap();
    for (name, is_compressed) in [("plain", false), ("packed", true), ("link", true)] {
        for offset in [0, 1, 300_000, data.len() as u64, data.len() as u64 + 1] {
            let mut reader = archive.open_unpacked(name).unwrap();
            assert_eq!(reader.is_compressed(), is_compressed);
            assert_eq!(reader.size_bytes(), (!is_compressed).then_some(data.len() as u64));
            reader.skip(offset).unwrap();
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).unwrap();
            assert!(rest == data.get(offset as usize..).unwrap_or_default(), "{name} {offset}");
        }
    }
    let error = archive.open_unpacked("broken").unwrap().skip(u64::MAX).unwrap_err();
    let error = error.downcast::<cask_archive::Error>().unwrap();
    assert_eq!((error.kind(), error.member_name()), (ErrorKind::Truncated, Some("broken")));
}
