//! Tars that should not be unpacked as they are.

use super::case::{Case, Fault};
use crate::generate::tar::{Tar, TarEntry};

/// Tars of a layer, or of anything that is unpacked.
///
/// [`Fault::Escape`] here means that nothing outside of the target may be touched; a reader that
/// resolves the name inside of the target is as good as one that refuses it.
pub fn tars() -> Vec<Case<Vec<u8>>> {
    let mut cases = names();
    cases.extend(links());
    cases.extend(kinds());
    cases.extend(twice());
    cases.extend(headers());
    cases
}

fn names() -> Vec<Case<Vec<u8>>> {
    let deep = "d/".repeat(5000) + "f";
    let long = "n".repeat(300);
    let case = |name: &str, fault, path: &[u8]| {
        Case::new(name, fault, Tar::new().file(path, "evil").finish())
    };
    let pax = |path: &[u8]| {
        Tar::new().entry(&TarEntry::pax(&[("path", path)])).file("good", "evil").finish()
    };
    let gnu = |path: &[u8]| {
        let mut name = TarEntry::new(b'L', "././@LongLink");
        name.content = [path, b"\0"].concat();
        Tar::new().entry(&name).file("good", "evil").finish()
    };
    vec![
        case("parent", Fault::Escape, b"../evil"),
        case("parents", Fault::Escape, b"../../../../../../../../tmp/evil"),
        case("parent below a directory", Fault::Escape, b"a/../../evil"),
        case("absolute name", Fault::Escape, b"/tmp/evil"),
        case("absolute name with many slashes", Fault::Escape, b"//../tmp/evil"),
        case("backslashes", Fault::Escape, b"..\\..\\evil"),
        case("only a parent", Fault::Escape, b".."),
        case("whiteout of a parent", Fault::Escape, b".wh..."),
        case("whiteout of this directory", Fault::Escape, b".wh.."),
        case("whiteout of nothing", Fault::Malformed, b".wh."),
        case("whiteout outside", Fault::Escape, b"../.wh.evil"),
        case("opaque whiteout outside", Fault::Escape, b"../.wh..wh..opq"),
        case("no name", Fault::Malformed, b""),
        case("name of more than a path holds", Fault::Limit, deep.as_bytes()),
        case("name of more than a directory holds", Fault::Limit, long.as_bytes()),
        Case::new("parent in a PAX record", Fault::Escape, pax(b"../evil")),
        Case::new("NUL in a PAX record", Fault::Malformed, pax(b"good\0../evil")),
        Case::new("parent in a GNU long name", Fault::Escape, gnu(b"../evil")),
    ]
}

fn links() -> Vec<Case<Vec<u8>>> {
    let case = |name: &str, tar: Tar| Case::new(name, Fault::Escape, tar.finish());
    let chain =
        (0..100).fold(Tar::new(), |tar, n| tar.symlink(format!("l{n}"), format!("l{}", n + 1)));
    vec![
        case(
            "file through a link to a parent",
            Tar::new().symlink("l", "..").file("l/evil", "evil"),
        ),
        case(
            "file through a link to the root",
            Tar::new().symlink("l", "/").file("l/tmp/evil", "evil"),
        ),
        case(
            "file through an absolute link",
            Tar::new().symlink("l", "/tmp").file("l/evil", "evil"),
        ),
        case(
            "file through two links",
            Tar::new().symlink("a", ".").symlink("a/b", "..").file("a/b/evil", "evil"),
        ),
        case("file over a link", Tar::new().symlink("l", "/tmp/evil").file("l", "evil")),
        case(
            "directory over a link",
            Tar::new().symlink("l", "/tmp").directory("l/").file("l/evil", ""),
        ),
        case(
            "link over a directory",
            Tar::new().directory("d/").symlink("d", "/tmp").file("d/evil", ""),
        ),
        case(
            "hard link to an absolute name",
            Tar::new().hardlink("h", "/etc/passwd").file("h", "evil"),
        ),
        case(
            "hard link to a parent",
            Tar::new().hardlink("h", "../../etc/passwd").file("h", "evil"),
        ),
        case(
            "hard link to a link",
            Tar::new().symlink("l", "/etc/passwd").hardlink("h", "l").file("h", "evil"),
        ),
        case(
            "hard link through a link",
            Tar::new().symlink("l", "/etc").hardlink("h", "l/passwd").file("h", "evil"),
        ),
        case("link to itself", Tar::new().symlink("l", "l").file("l/evil", "evil")),
        case(
            "links to each other",
            Tar::new().symlink("a", "b").symlink("b", "a").file("a/evil", "evil"),
        ),
        case("chain of a hundred links", chain.symlink("l100", "/tmp").file("l0/evil", "evil")),
        case("passwd as a link", Tar::new().directory("etc/").symlink("etc/passwd", "/etc/shadow")),
        Case::new(
            "hard link to what is not there",
            Fault::Missing,
            Tar::new().hardlink("h", "nowhere").finish(),
        ),
        Case::new("hard link to itself", Fault::Missing, Tar::new().hardlink("h", "h").finish()),
    ]
}

fn kinds() -> Vec<Case<Vec<u8>>> {
    let device = |kind, name: &str, device| TarEntry { device, ..TarEntry::new(kind, name) };
    let case = |name: &str, entry: TarEntry| {
        Case::new(name, Fault::SpecialFile, Tar::new().entry(&entry).finish())
    };
    let setuid = TarEntry { mode: 0o6755, ..TarEntry::file("setuid", "#!/bin/sh\n") };
    vec![
        case("character device", device(b'3', "mem", (1, 1))),
        case("block device", device(b'4', "disk", (8, 0))),
        case("fifo", TarEntry::new(b'6', "fifo")),
        case("fifo as passwd", TarEntry::new(b'6', "etc/passwd")),
        case("overlay's whiteout", device(b'3', "whiteout", (0, 0))),
        case("file with set-user-ID", setuid),
        case("type that nobody knows", TarEntry::new(b'Z', "odd")),
    ]
}

fn twice() -> Vec<Case<Vec<u8>>> {
    let case = |name: &str, tar: Tar| Case::new(name, Fault::Ambiguous, tar.finish());
    vec![
        case("file twice", Tar::new().file("f", "one").file("f", "two")),
        case("file twice, by another name", Tar::new().file("f", "one").file("./f", "two")),
        case(
            "file, then directory",
            Tar::new().file("f", "one").directory("f/").file("f/g", "two"),
        ),
        case(
            "directory, then file",
            Tar::new().directory("f/").file("f/g", "one").file("f", "two"),
        ),
        case("names that differ in case", Tar::new().file("File", "one").file("file", "two")),
        case("whiteout of its own layer's file", Tar::new().file("f", "one").file(".wh.f", "")),
        case(
            "PAX path and header path",
            Tar::new().entry(&TarEntry::pax(&[("path", b"one")])).file("two", "one or two"),
        ),
        case(
            "PAX path twice",
            Tar::new()
                .entry(&TarEntry::pax(&[("path", b"one"), ("path", b"two")]))
                .file("three", "one or two"),
        ),
        case(
            "PAX size and header size",
            Tar::new()
                .entry(&TarEntry::pax(&[("size", b"1024")]))
                .file("f", Tar::new().file("inner", "").unfinished()),
        ),
    ]
}

fn headers() -> Vec<Case<Vec<u8>>> {
    let size = |field: &[u8; 12]| {
        let entry = TarEntry { size_field: Some(*field), ..TarEntry::file("f", "content") };
        Tar::new().entry(&entry)
    };
    let pax = |records: &[u8]| {
        let entry = TarEntry { content: records.to_vec(), ..TarEntry::pax(&[]) };
        Tar::new().entry(&entry).file("f", "").finish()
    };
    let malformed = |name: &str, bytes| Case::new(name, Fault::Malformed, bytes);
    let limit = |name: &str, bytes| Case::new(name, Fault::Limit, bytes);
    let checksum = TarEntry { checksum: Some(1), ..TarEntry::file("f", "") };
    let whole = Tar::new().file("f", vec![1; 2000]).finish();
    let big_record = vec![b'v'; 2 << 20];
    vec![
        malformed(
            "negative size",
            size(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00").finish(),
        ),
        malformed("size that is no number", size(b"size unknown").finish()),
        malformed("size of two to the 63", size(b"\x80\0\0\0\x80\0\0\0\0\0\0\0").finish()),
        malformed(
            "size of eight exabytes",
            size(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff").finish(),
        ),
        malformed("size beyond the end", size(b"00000100000\0").finish()),
        malformed("wrong checksum", Tar::new().entry(&checksum).finish()),
        malformed("cut in a header", whole[..300].to_vec()),
        malformed("cut in a file", whole[..1500].to_vec()),
        malformed("noise", crate::generate::random_bytes(1, 4096)),
        malformed("PAX record without length", pax(b"path=evil\n")),
        malformed("PAX record longer than its header", pax(b"9999 path=evil\n")),
        malformed("PAX record of no length", pax(b"0 path=evil\n")),
        malformed("PAX record of immense length", pax(b"99999999999999999999 path=evil\n")),
        malformed("PAX size that is no number", pax(b"12 size=-1x\n")),
        limit(
            "PAX record of 2 MiB",
            Tar::new().entry(&TarEntry::pax(&[("comment", &big_record)])).file("f", "").finish(),
        ),
        limit(
            "thousand PAX headers for one file",
            (0..1000)
                .fold(Tar::new(), |tar, _| tar.entry(&TarEntry::pax(&[("comment", b"more")])))
                .file("f", "")
                .finish(),
        ),
        malformed(
            "PAX header without a file",
            Tar::new().entry(&TarEntry::pax(&[("path", b"f")])).finish(),
        ),
        malformed("archive after the end of the archive", [whole.clone(), whole].concat()),
    ]
}
