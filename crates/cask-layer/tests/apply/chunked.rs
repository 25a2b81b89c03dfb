//! zstd:chunked, read by a reader of the format that knows nothing of the writer.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Cursor, Read};
use std::num::NonZeroUsize;

use cask_image::{Algorithm, Hasher};
use cask_layer::{
    Chunked, Compression, DecompressLimits, Level, assemble, decompress, zstd_chunked,
};
use serde_json::Value;

use crate::tar::{Header, Tar};

fn write(tar: &[u8], threads: usize) -> Chunked<Vec<u8>> {
    zstd_chunked(tar, Vec::new(), Level::Default, NonZeroUsize::new(threads).unwrap()).unwrap()
}

fn plain(zstd: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let limits = DecompressLimits::default();
    decompress(zstd, Compression::Zstd, limits).read_to_end(&mut plain).unwrap();
    plain
}

fn sha256(bytes: &[u8]) -> String {
    Hasher::digest(Algorithm::Sha256, bytes).to_string()
}

/// Bytes that do not repeat.
fn noise(len: usize) -> Vec<u8> {
    let mut state = len as u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// The numbers of an annotation.
fn position(annotations: &BTreeMap<String, String>, name: &str) -> Vec<u64> {
    let value = &annotations[&format!("io.github.containers.zstd-chunked.{name}")];
    value.split(':').map(|number| number.parse().unwrap()).collect()
}

/// The table and the tar-split of a blob, both compressed, found by its footer; everything is
/// where the annotations say.
fn behind<'a>(blob: &'a [u8], annotations: &BTreeMap<String, String>) -> (&'a [u8], &'a [u8]) {
    let (frames, footer) = blob.split_at(blob.len() - 64);
    assert_eq!(&footer[56..], b"GNUlInUx");
    let (numbers, _) = footer[..56].as_chunks::<8>();
    let numbers: Vec<u64> = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
    assert_eq!(position(annotations, "manifest-position"), numbers[..4]);
    assert_eq!(position(annotations, "tarsplit-position"), numbers[4..]);
    let [offset, length, plain_bytes, kind, split_offset, split_length, split_plain_bytes] =
        numbers[..].try_into().unwrap();
    assert_eq!(kind, 1);
    let part = |offset: u64, length: u64| {
        let (start, end) = (offset as usize, (offset + length) as usize);
        let head = [&[0x50, 0x2a, 0x4d, 0x18][..], &(length as u32).to_le_bytes()].concat();
        assert_eq!(frames[start - 8..start], head);
        (&blob[start..end], end)
    };
    let (table, end) = part(offset, length);
    assert_eq!(split_offset as usize, end + 8);
    let (tar_split, end) = part(split_offset, split_length);
    assert_eq!(end + 8, frames.len(), "the footer's frame is the last");
    assert_eq!(frames[end..], [0x50, 0x2a, 0x4d, 0x18, 64, 0, 0, 0]);
    assert_eq!(annotations["io.github.containers.zstd-chunked.manifest-checksum"], sha256(table));
    assert_eq!(plain(table).len() as u64, plain_bytes);
    assert_eq!(plain(tar_split).len() as u64, split_plain_bytes);
    (table, tar_split)
}

fn number(row: &Value, key: &str) -> u64 {
    row.get(key).map_or(0, |value| value.as_u64().unwrap())
}

/// Reads every file by the table alone, each piece alone; gives the files and the rows.
fn read(layer: &Chunked<Vec<u8>>, tar: &[u8]) -> (HashMap<String, Vec<u8>>, Vec<Value>) {
    let blob = &layer.writer;
    assert_eq!(layer.unlisted, None);
    assert!(plain(blob) == tar, "a decoder that knows nothing of it gives the tarball");
    let (table, tar_split) = behind(blob, &layer.annotations);
    let table: Value = serde_json::from_slice(&plain(table)).unwrap();
    assert_eq!(table["version"], 1);
    assert_eq!(table["tarSplitDigest"], sha256(tar_split));
    let rows = table["entries"].as_array().unwrap().clone();
    let mut files = HashMap::new();
    let mut at = 0;
    while at < rows.len() {
        let row = &rows[at];
        assert_ne!(row["type"], "chunk", "a piece comes after its file");
        let further = rows[at + 1..].iter().take_while(|row| row["type"] == "chunk").count();
        let pieces = &rows[at..=at + further];
        at += 1 + further;
        if row["type"] != "reg" {
            assert_eq!((number(row, "size"), further), (0, 0));
            continue;
        }
        let mut contents = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            let next = pieces.get(index + 1).map(|next| number(next, "offset"));
            let end = next.unwrap_or_else(|| number(row, "endOffset"));
            let (start, end) = (number(piece, "offset") as usize, end as usize);
            let is_empty = number(row, "size") == 0;
            let bytes = if is_empty { Vec::new() } else { plain(&blob[start..end]) };
            assert_eq!(is_empty, end == 0);
            if further > 0 {
                assert_eq!(piece["name"], row["name"]);
                assert_eq!(number(piece, "chunkOffset") as usize, contents.len());
                assert_eq!(number(piece, "chunkSize") as usize, bytes.len());
                assert_eq!(piece["chunkDigest"], sha256(&bytes));
            }
            if piece.get("chunkType").is_some() {
                assert_eq!(piece["chunkType"], "zeros");
                assert!(bytes.len() >= 1024 && bytes.iter().all(|&byte| byte == 0));
            }
            contents.extend_from_slice(&bytes);
        }
        assert_eq!(number(row, "size") as usize, contents.len());
        match contents.is_empty() {
            true => assert!(row.get("digest").is_none()),
            false => assert_eq!(row["digest"], sha256(&contents)),
        }
        files.insert(row["name"].as_str().unwrap().to_owned(), contents);
    }
    let open = |name: &[u8]| {
        let name = std::str::from_utf8(name).map_err(io::Error::other)?;
        Ok::<_, io::Error>(Cursor::new(files[name].clone()))
    };
    let mut again = Vec::new();
    assemble(tar_split, open).unwrap().read_to_end(&mut again).unwrap();
    assert!(again == tar, "the files and the tar-split are the tarball");
    (files, rows)
}

fn file(tar: Tar, name: &str, body: &[u8]) -> Tar {
    let size = body.len() as u64;
    tar.header(&Header { name: name.as_bytes(), size, ..Header::default() }).body(body)
}

/// Files of all sizes, links, devices, attributes.
fn layer() -> Tar {
    let mut tar = Tar::default().dir("etc/", 0o755);
    tar = file(tar, "etc/empty", b"");
    tar = file(tar, "etc/hostname", b"cask\n");
    tar = tar.symlink("etc/link", "hostname").hard_link("etc/other", "etc/hostname");
    tar = file(tar, "big", &noise(700_000));
    tar = file(tar, "same", &vec![1; 1_500_000]);
    tar = file(tar, "holes", &[&noise(3000)[..], &[0; 5000], b"x", &[0; 1023], b"y"].concat());
    tar = file(tar, "hole", &vec![0; 1_200_000]);
    tar = file(tar, "usr/.wh.gone", b"");
    let device = (1, 3);
    tar = tar.header(&Header { name: b"null", flag: b'3', device, ..Header::default() });
    tar = tar.pax(&[
        ("atime", b"1.5"),
        ("ctime", b"-1"),
        ("mtime", b"1700000000.123"),
        ("SCHILY.xattr.user.a", b"\0b"),
        ("path", "n\u{e4}me".as_bytes()),
    ]);
    file(tar, "short", b"abc")
}

#[test]
fn every_file_and_every_piece_can_be_read_alone() {
    let tar = layer().end();
    let layer = write(&tar, 2);
    let (files, rows) = read(&layer, &tar);
    assert_eq!(files.len(), 8);
    assert!(files["big"] == noise(700_000));
    let of = |name: &str| rows.iter().filter(|row| row["name"] == name).collect::<Vec<_>>();
    assert!((4..40).contains(&of("big").len()), "{}", of("big").len());
    let kinds = |name: &str| {
        let kind = |row: &&Value| (number(row, "chunkSize"), row.get("chunkType").is_some());
        of(name).iter().map(kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds("holes"), [(3000, false), (5000, true), (1025, false)]);
    assert_eq!(kinds("hole"), [(0, false)], "a file of one piece has no pieces");
    assert_eq!(number(of("null")[0], "devMinor"), 3);
    assert_eq!(of("etc/other")[0]["linkName"], "etc/hostname");
    let last = of("n\u{e4}me")[0];
    assert_eq!(last["modtime"], "2023-11-14T22:13:20.123Z");
    assert_eq!(last["accesstime"], "1970-01-01T00:00:01.5Z");
    assert_eq!(last["changetime"], "1969-12-31T23:59:59Z");
    assert_eq!(last["xattrs"]["user.a"], "AGI=");
}

#[test]
fn the_bytes_depend_on_the_tarball_and_the_level_alone() {
    struct Slow<'a>(&'a [u8], usize);
    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = self.1 * 7 % 10_007 + 1;
            let length = self.1.min(buffer.len());
            self.0.read(&mut buffer[..length])
        }
    }
    let mut tar = layer();
    for number in 0..100 {
        tar = file(tar, &format!("many/{number}"), &noise(number * 120));
    }
    let tar = [tar.end(), vec![0; 3 << 20]].concat();
    let first = write(&tar, 1);
    read(&first, &tar);
    for threads in [2, 5] {
        let threads = NonZeroUsize::new(threads).unwrap();
        let slow = zstd_chunked(Slow(&tar, 1), Vec::new(), Level::Default, threads).unwrap();
        assert!(slow.writer == first.writer, "{threads}");
        assert_eq!(slow.annotations, first.annotations);
    }
    let level = Level::Exact(1);
    let other = zstd_chunked(&tar[..], Vec::new(), level, NonZeroUsize::MIN).unwrap();
    assert!(other.writer != first.writer);
    read(&other, &tar);
}

#[test]
fn every_end_of_a_tarball_is_kept() {
    let unpadded = file(Tar::default(), "a", b"abc").0;
    for end in [0, 512, 1024, 10_240, (3 << 20) - 512] {
        let tar = [unpadded.clone(), vec![0; end]].concat();
        read(&write(&tar, 2), &tar);
    }
    let nothing = write(b"", 1);
    let (files, rows) = read(&nothing, b"");
    assert!(files.is_empty() && rows.is_empty());
    assert_eq!(Compression::detect(&nothing.writer), Compression::Zstd);
}

#[test]
fn what_no_table_can_tell_is_zstd_without_one() {
    let check = |tar: Vec<u8>, reason: &str| {
        let layer = write(&tar, 2);
        assert!(plain(&layer.writer) == tar, "{reason}");
        assert_eq!(layer.unlisted.as_deref(), Some(reason));
        assert!(layer.annotations.is_empty() && !layer.writer.ends_with(b"GNUlInUx"), "{reason}");
        assert!(write(&tar, 1).writer == layer.writer);
    };
    let twice = file(layer(), "etc/hostname", b"another");
    check(
        file(twice, "after", &noise(200_000)).end(),
        "etc/hostname: it replaces a file of the same layer",
    );
    check(
        Tar::default().dir("a/", 0o755).dir("./a", 0o755).end(),
        "./a: its name is given twice, or leads elsewhere",
    );
    let linked = Tar::default().dir("usr/", 0o755).symlink("lib", "usr");
    check(file(linked, "lib/a", b"x").end(), "lib/a: its name is given twice, or leads elsewhere");
    check(
        file(Tar::default(), "../a", b"x").end(),
        "../a: its name is given twice, or leads elsewhere",
    );
    let global = Tar::default().header(&Header { name: b"g", flag: b'g', ..Header::default() });
    check(file(global, "a", b"x").end(), "g: a global header");
    let latin = Tar::default().header(&Header { name: b"\xe4", ..Header::default() });
    check(latin.end(), "\\xe4: a name that is not UTF-8");
    let behind = [layer().end(), b"something".to_vec()].concat();
    check(behind, "the end: data behind the end of the archive");
    let short = [layer().end(), vec![0; 10]].concat();
    check(short, "the end: it is no whole number of blocks");
    let mut cut = file(Tar::default(), "a", b"abc").0;
    cut.truncate(600);
    check(cut, "the end: the padding of the last file is not complete");
}

#[test]
fn what_is_no_tarball_is_an_error_and_others_errors_pass_through() {
    let error = zstd_chunked(&[1; 600][..], Vec::new(), Level::Default, NonZeroUsize::MIN);
    assert!(cask_layer::TarError::of(&error.unwrap_err()).is_some());

    #[derive(Debug)]
    struct Breaks;
    impl Read for Breaks {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the wire"))
        }
    }
    impl io::Write for Breaks {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk"))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let tar = file(Tar::default(), "a", &noise(3 << 20));
    let cut = (&tar.0[..2 << 20]).chain(Breaks);
    let error = zstd_chunked(cut, Vec::new(), Level::Default, NonZeroUsize::MIN).unwrap_err();
    assert_eq!(error.to_string(), "the wire");
    for (threads, end) in [(1, 0), (2, 0), (1, 8 << 20)] {
        let threads = NonZeroUsize::new(threads).unwrap();
        let tar = [tar.0.clone(), vec![0; end]].concat();
        let error = zstd_chunked(&tar[..], Breaks, Level::Default, threads).unwrap_err();
        assert_eq!(error.to_string(), "the disk");
    }
    let error =
        zstd_chunked(&tar.0[..], Vec::new(), Level::Exact(99), NonZeroUsize::MIN).unwrap_err();
    assert_eq!(error.to_string(), "zstd has no level 99: choose 1 to 20");
}
