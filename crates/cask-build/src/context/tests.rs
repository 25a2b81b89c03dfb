//! Contexts from directories and streams.

use std::fs;
use std::io::Write;

use cask_layer::{Compression, Level, MemberKind, MemberWriter, NewMember, compress};

use super::{Context, IgnoreChoice, StreamContext};
use crate::ErrorKind;

fn archive(names: &[&str]) -> Vec<u8> {
    let mut writer = MemberWriter::new(Vec::new());
    for name in names {
        let mut member = NewMember::default();
        member.name = (*name).into();
        (member.mode, member.uid) = (0o644, 77);
        if name.ends_with('/') {
            (member.kind, member.mode) = (MemberKind::Directory, 0o755);
        } else {
            member.size_bytes = name.len() as u64;
        }
        writer.member(&member).unwrap();
        if !name.ends_with('/') {
            writer.write_all(name.as_bytes()).unwrap();
        }
    }
    writer.finish().unwrap()
}

fn compressed(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let threads = std::num::NonZero::<usize>::MIN;
    let mut writer = compress(Vec::new(), compression, Level::Default, threads).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

#[test]
fn a_stream_is_an_archive_or_a_containerfile() {
    let scratch = tempfile::tempdir().unwrap();
    let read = |bytes: &[u8]| {
        Context::from_stream("standard input", bytes, scratch.path(), &IgnoreChoice::default())
    };
    let tar = archive(&["Containerfile", "d/", "d/f", ".wh.name"]);
    for bytes in
        [tar.clone(), compressed(&tar, Compression::Gzip), compressed(&tar, Compression::Zstd)]
    {
        let StreamContext::Context(context) = read(&bytes).unwrap() else { panic!("an archive") };
        assert_eq!(context.read_text("Containerfile", 100).unwrap(), "Containerfile");
        assert_eq!(context.view().list("/").unwrap(), [".wh.name", "Containerfile", "d"]);
        assert_eq!(context.name(), "standard input");
    }
    let StreamContext::Context(empty) = read(&[0; 1024]).unwrap() else { panic!("an archive") };
    assert!(empty.view().list("/").unwrap().is_empty());
    drop(empty);
    for text in ["FROM scratch\n", "x", &"#".repeat(600)] {
        let StreamContext::Containerfile(found) = read(text.as_bytes()).unwrap() else {
            panic!("a text")
        };
        assert_eq!(found, text);
    }
    let refuse = |bytes: &[u8], kind: ErrorKind, expected: &str| {
        let error = read(bytes).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(expected), "{error}");
    };
    refuse(b"", ErrorKind::Invalid, "is empty");
    refuse(b"\xff\xfe", ErrorKind::Invalid, "neither a tar archive nor the text");
    refuse(&compressed(b"text", Compression::Gzip), ErrorKind::Invalid, "no tar archive inside");
    refuse(&compressed(&tar, Compression::Gzip)[..40], ErrorKind::Invalid, "cannot be read");
    refuse(&tar[..513], ErrorKind::Invalid, "cannot be unpacked");
    // A text has an end, also one that came small.
    let long = compressed(&vec![b'#'; (16 << 20) + 1], Compression::Gzip);
    refuse(&long, ErrorKind::Invalid, "no tar archive inside");
    let endless = std::io::repeat(b'#');
    let choice = IgnoreChoice::default();
    let error = Context::from_stream("-", endless, scratch.path(), &choice).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn the_first_ignore_file_counts() {
    let tree = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let containerfile = other.path().join("Build.file");
    let mut choice =
        IgnoreChoice { containerfile: Some(containerfile.clone()), ..IgnoreChoice::default() };
    let chosen = |choice: &IgnoreChoice| {
        let context = Context::directory(tree.path(), choice).unwrap();
        (context.ignored("x").map(|ignored| ignored.line), context.ignored("y").is_some())
    };
    assert_eq!(chosen(&choice), (None, false));
    fs::write(tree.path().join(".dockerignore"), "x\n").unwrap();
    assert_eq!(chosen(&choice), (Some(1), false));
    fs::write(tree.path().join(".containerignore"), "\nx\n").unwrap();
    assert_eq!(chosen(&choice), (Some(2), false));
    fs::write(containerfile.with_extension("file.dockerignore"), "\n\nx\n").unwrap();
    assert_eq!(chosen(&choice), (Some(3), false));
    fs::write(containerfile.with_extension("file.containerignore"), "\n\n\nx\n").unwrap();
    assert_eq!(chosen(&choice), (Some(4), false));
    choice.file = Some(other.path().join("own"));
    fs::write(other.path().join("own"), "y\n").unwrap();
    assert_eq!(chosen(&choice), (None, true));
    // In a context that came from elsewhere, it is beside the Containerfile in there.
    let inside =
        IgnoreChoice { containerfile_inside: Some("d/File".to_owned()), ..IgnoreChoice::default() };
    fs::create_dir(tree.path().join("d")).unwrap();
    fs::write(tree.path().join("d/File.dockerignore"), "\n\n\n\n\nx\n").unwrap();
    assert_eq!(chosen(&inside), (Some(6), false));
    fs::write(other.path().join("own"), "[\n").unwrap();
    let error = Context::directory(tree.path(), &choice).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("own:1"), "{error}");
}

#[test]
fn a_hidden_path_says_which_line_hides_it() {
    let tree = tempfile::tempdir().unwrap();
    fs::write(tree.path().join(".dockerignore"), "# c\nlogs\n!logs/keep\n*.tmp\n").unwrap();
    let context = Context::directory(tree.path(), &IgnoreChoice::default()).unwrap();
    assert_eq!(context.ignore_file(), Some(".dockerignore"));
    let why = |path: &str| context.ignored(path).map(|ignored| ignored.to_string());
    assert_eq!(why("a.tmp").unwrap(), "excluded by .dockerignore:4 (\"*.tmp\")");
    let parent = "excluded by .dockerignore:2 (\"logs\", which matches \"logs\")";
    assert_eq!(why("logs/x").unwrap(), parent);
    assert_eq!(why("logs/keep/x"), None);
}
