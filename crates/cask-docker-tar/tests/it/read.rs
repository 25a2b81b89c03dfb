//! Archives that are read.

use std::error::Error as _;
use std::io::{Cursor, Read};

use cask_archive::{ErrorKind as ArchiveErrorKind, ReadOptions};
use cask_docker_tar::{DockerArchive, ErrorKind, Selector, WriteOptions};
use proptest::prelude::*;

use crate::fixtures::{TestImage, archive_of, digest, gzip, name, open, reference, tar_of};

#[test]
fn images_are_chosen_by_name_and_position() {
    let (one, two) = (TestImage::new(&["one"]), TestImage::new(&["one", "two"]));
    let (_directory, path) = archive_of(
        &[(&one, &["busybox:1", "localhost:5000/x:y"]), (&two, &[])],
        &WriteOptions::default(),
    );
    let archive = open(&path).unwrap();
    let names: Vec<_> = archive.entries().iter().map(|entry| entry.display_names()).collect();
    assert_eq!(names, [vec!["docker.io/library/busybox:1", "localhost:5000/x:y"], vec!["@1"]]);
    one.check(&archive, &name("busybox:1"));
    one.check(&archive, &name("localhost:5000/x:y"));
    one.check(&archive, &Selector::Position(0));
    two.check(&archive, &Selector::Position(1));

    // The words of containers/image.
    let check = |selector: Selector, kind, text: &str| {
        let error = archive.image(&selector).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().ends_with(text), "{error}");
    };
    let only = "Unexpected tar manifest.json: expected 1 item, got 2";
    check(Selector::Only, ErrorKind::Ambiguous, only);
    let tag = "Tag \"docker.io/library/zzz:latest\" not found";
    check(name("zzz:latest"), ErrorKind::NoImage, tag);
    let position = "Invalid source index @2, only 2 manifest items available";
    check(Selector::Position(2), ErrorKind::NoImage, position);
}

#[test]
fn short_names_in_the_archive_are_completed() {
    let image = TestImage::new(&["one"]);
    let manifest = r#"[{"Config":"c","RepoTags":["busybox:1","UPPER:1"],"Layers":["l"]}]"#;
    let (_directory, path) = tar_of(&[
        ("c", &image.config),
        ("l", &image.layers[0]),
        ("manifest.json", manifest.as_bytes()),
    ]);
    let archive = open(&path).unwrap();
    image.check(&archive, &name("docker.io/library/busybox:1"));
    let error = archive.image(&name("other:1")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("Invalid tag \"UPPER:1\" in manifest.json item @0"));
}

#[test]
fn the_manifest_names_plain_layers() {
    let image = TestImage::new(&["one", "two", "one"]);
    let config_digest = image.config_digest();
    let plain_sizes = (image.layers[0].len(), image.layers[1].len());
    let layers = image.diff_ids();
    let layer_type = "application/vnd.docker.image.rootfs.diff.tar";
    let expected = format!(
        "{{\"schemaVersion\":2,\
         \"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\",\
         \"config\":{{\"mediaType\":\"application/vnd.docker.container.image.v1+json\",\
         \"size\":{},\"digest\":\"{config_digest}\"}},\"layers\":[\
         {{\"mediaType\":\"{layer_type}\",\"size\":{},\"digest\":\"{}\"}},\
         {{\"mediaType\":\"{layer_type}\",\"size\":{},\"digest\":\"{}\"}},\
         {{\"mediaType\":\"{layer_type}\",\"size\":{},\"digest\":\"{}\"}}]}}",
        image.config.len(),
        plain_sizes.0,
        layers[0],
        plain_sizes.1,
        layers[1],
        plain_sizes.0,
        layers[2],
    );
    let manifest = br#"[{"Config":"c","Layers":["a","b","a"]}]"#;
    for packed in [false, true] {
        let pack = |bytes: &[u8]| if packed { gzip(bytes) } else { bytes.to_vec() };
        let (_directory, path) = tar_of(&[
            ("c", &image.config),
            ("a", &pack(&image.layers[0])),
            ("b", &pack(&image.layers[1])),
            ("manifest.json", manifest),
        ]);
        let archive = open(&path).unwrap();
        image.check(&archive, &Selector::Only);
        let found = archive.image(&Selector::Only).unwrap();
        assert_eq!(found.layers().len(), 2);
        assert_eq!(String::from_utf8_lossy(found.manifest().unwrap().bytes()), expected);
    }
}

#[test]
fn layers_are_read_from_the_middle() {
    let image = TestImage::new(&["one"]);
    let diff_id = &image.diff_ids()[0];
    for stored in [image.layers[0].clone(), gzip(&image.layers[0])] {
        let (_directory, path) = tar_of(&[
            ("c", &image.config),
            ("l", &stored),
            ("manifest.json", br#"[{"Config":"c","Layers":["l"]}]"#),
        ]);
        let found = open(&path).unwrap().image(&Selector::Only).unwrap();
        for offset in [0, 1, 600, image.layers[0].len(), image.layers[0].len() + 5] {
            let mut reader = found.danger_open_layer_unverified(diff_id, offset as u64).unwrap();
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).unwrap();
            assert!(rest == image.layers[0].get(offset..).unwrap_or_default());
        }
        let error = found.open_layer(&digest(b"other")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoLayer);
    }
}

#[test]
fn layers_with_other_bytes_are_errors_at_their_end() {
    let image = TestImage::new(&["one"]);
    for stored in [b"other".to_vec(), gzip(b"other"), image.layers[0][..100].to_vec()] {
        let (_directory, path) = tar_of(&[
            ("c", &image.config),
            ("l", &stored),
            ("manifest.json", br#"[{"Config":"c","Layers":["l"]}]"#),
        ]);
        let found = open(&path).unwrap().image(&Selector::Only).unwrap();
        let mut reader = found.open_layer(&image.diff_ids()[0]).unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        let error = error.downcast::<cask_docker_tar::Error>().unwrap();
        assert_eq!(error.kind(), ErrorKind::DigestMismatch);
        assert!(error.to_string().contains("Digest did not match, expected sha256:"));
    }
}

#[test]
fn archives_that_contradict_themselves_are_refused() {
    let image = TestImage::new(&["one", "two"]);
    let check = |manifest: &str, kind, text: &str| {
        let (_directory, path) = tar_of(&[
            ("c", &image.config),
            ("a", &image.layers[0]),
            ("b", &image.layers[1]),
            ("bad.json", b"{\"rootfs\": 5}"),
            ("manifest.json", manifest.as_bytes()),
        ]);
        let error = open(&path).and_then(|archive| archive.image(&Selector::Only)).unwrap_err();
        let mut whole = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            whole.push_str(&format!(": {inner}"));
            source = inner.source();
        }
        assert_eq!(error.kind(), kind, "{whole}");
        assert!(whole.contains(text), "{whole}");
    };
    let malformed = ErrorKind::Malformed;
    let missing = ErrorKind::Archive(ArchiveErrorKind::NoMember);
    let count = "Inconsistent layer count: 1 in manifest, 2 in config";
    check(r#"[{"Config":"c","Layers":["a"]}]"#, malformed, count);
    let twice = "Layer tarfile \"a\" used for two different DiffID values";
    check(r#"[{"Config":"c","Layers":["a","a"]}]"#, malformed, twice);
    check(r#"[{"Config":"c","Layers":["a","x"]}]"#, missing, "\"x\"");
    check(r#"[{"Config":"x","Layers":["a","b"]}]"#, missing, "\"x\"");
    check(r#"[{"Config":"bad.json","Layers":[]}]"#, malformed, "rootfs");
    check(r#"[{"Config":"a","Layers":[]}]"#, malformed, "decoding tar config \"a\"");
    let unsafe_name = ErrorKind::Archive(ArchiveErrorKind::UnsafeName);
    check(r#"[{"Config":"../c","Layers":[]}]"#, unsafe_name, "..");
    check(r#"[{"Config":"c","Layers":["/a","b"]}]"#, unsafe_name, "absolute");
    check(r#"{"Config":"c"}"#, malformed, "decoding tar manifest.json");
    check("not json", malformed, "decoding tar manifest.json");
    check(&" ".repeat((1 << 20) + 1), ErrorKind::Archive(ArchiveErrorKind::TooLarge), "1048576");
}

#[test]
fn duplicates_of_what_counts_are_refused() {
    let image = TestImage::new(&["one"]);
    let manifest: &[u8] = br#"[{"Config":"c","Layers":["l"]}]"#;
    for doubled in ["manifest.json", "c", "l"] {
        let members: [(&str, &[u8]); 3] =
            [("c", &image.config), ("l", &image.layers[0]), ("manifest.json", manifest)];
        let (_directory, path) = tar_of(&members);
        // Appending by hand what the writer refuses to write twice.
        let mut bytes = std::fs::read(&path).unwrap();
        let (_other, other) = tar_of(&[(doubled, b"another")]);
        bytes.truncate(bytes.len() - 1024);
        bytes.extend(std::fs::read(other).unwrap());
        std::fs::write(&path, bytes).unwrap();
        let error = open(&path).and_then(|archive| archive.image(&Selector::Only)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Archive(ArchiveErrorKind::Duplicate), "{doubled}");
    }
}

#[test]
fn what_is_no_archive_of_images_is_named() {
    let check = |members: &[(&str, &[u8])], text: &str| {
        let (_directory, path) = tar_of(members);
        let error = open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotDockerArchive);
        let hint = error.hint().unwrap_or_default();
        assert!(format!("{error} {hint}").contains(text), "{error} {hint}");
    };
    check(&[], "no archive of docker save");
    check(&[("repositories", b"{}")], "before version 1.10");
    check(&[("oci-layout", b"{}"), ("index.json", b"{}")], "oci-archive:");
}

#[test]
fn archives_in_streams_and_compressed_ones_are_read() {
    let image = TestImage::new(&["one", "two"]);
    let (_directory, path) = archive_of(&[(&image, &["a:b"])], &WriteOptions::default());
    let bytes = std::fs::read(&path).unwrap();
    for bytes in [gzip(&bytes), bytes] {
        let stream = Cursor::new(bytes);
        let archive =
            DockerArchive::from_reader(stream, "(stdin)", &ReadOptions::default()).unwrap();
        image.check(&archive, &Selector::Only);
        assert_eq!(archive.select(&Selector::Name(reference("a:b"))).unwrap(), 0);
    }
}

#[test]
fn several_threads_read_one_image() {
    let texts: Vec<String> = (0..8).map(|number| format!("layer {number}").repeat(9999)).collect();
    let image = TestImage::new(&texts.iter().map(|text| &**text).collect::<Vec<_>>());
    let (_directory, path) = archive_of(&[(&image, &[])], &WriteOptions::default());
    let archive = open(&path).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| image.check(&archive, &Selector::Only));
        }
    });
}

proptest! {
    #[test]
    fn no_manifest_panics(text in "\\PC{0,60}") {
        let text = format!("[{{\"Config\":\"c\",{text}");
        let (_directory, path) = tar_of(&[("manifest.json", text.as_bytes())]);
        if let Ok(archive) = open(&path) {
            let _ = archive.image(&Selector::Only);
        }
    }
}
